"""Operators on constants alone: shapes and integers exactly, floats where the result is exact."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import onnx

from lumpnet.lift.onnx.call import Call
from lumpnet.lift.onnx.kinds.sizes import zeros
from lumpnet.lift.onnx.operands import Batch, Const
from lumpnet.lift.onnx.registry import folds
from lumpnet.lift.onnx.tensors import NAMES, array_of

MAX_FOLDED = 1 << 28
MAX_SLOW = 1 << 16


def _const(call: Call, k: int) -> Const | None:
    c = call.input(k)
    return c if isinstance(c, Const) and not c.spread else None


@folds("Constant")
def constant(call: Call) -> Const | None:
    given = {a.name: call.attrs[a.name] for a in call.proto.attribute}
    if len(given) != 1:
        call.refuse("a constant with several values", "one", "check the model")
    ((name, value),) = given.items()
    if name == "value":
        return Const(array_of(value, call.lifting.source.folder, call.where), call.name)
    if name in ("value_float", "value_floats"):
        return Const(np.array(value, dtype=np.float32), call.name)
    return Const(np.array(value, dtype=np.int64), call.name) if name in ("value_int", "value_ints") else None


@folds("Identity")
def identity(call: Call) -> Const | None:
    c = call.input(0)
    return c if isinstance(c, Const) else None


@folds("Cast")
def cast(call: Call) -> Const | None:
    """Exact where the conversion back gives the same numbers."""
    c, to = _const(call, 0), NAMES.get(call.attrs["to"])
    if c is None or to is None:
        return None
    if c.array.dtype == object:
        return c if to in ("int64", "int32") else None
    if call.attrs["to"] in (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16):
        return c if c.array.dtype.kind == "f" and np.array_equal(_half(c.array, call.attrs["to"]), c.array) else None
    with np.errstate(all="ignore"):
        out = c.array.astype(to)
        back = out.astype(c.array.dtype)
    same = np.array_equal(back, c.array) or to == "bool"
    return Const(out, c.name if out.dtype.kind == "f" and c.floating else call.name) if same else None


def _half(array: np.ndarray, kind: int) -> np.ndarray:
    if kind == onnx.TensorProto.FLOAT16:
        with np.errstate(over="ignore"):
            return array.astype(np.float16).astype(array.dtype)
    whole = array.astype(np.float32)
    return (whole.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32).astype(array.dtype)


def _axes(call: Call, name: str, k: int) -> list[int] | None:
    found = call.sizes(name, k)
    return None if found is None else [v for v in found if isinstance(v, int)]


MOVES: dict[str, Callable[[Call, np.ndarray], np.ndarray | None]] = {}


def moves(name: str) -> Callable[[Callable[[Call, np.ndarray], np.ndarray | None]], Callable[[Call, np.ndarray], np.ndarray | None]]:
    def register(function: Callable[[Call, np.ndarray], np.ndarray | None]) -> Callable[[Call, np.ndarray], np.ndarray | None]:
        MOVES[name] = function
        folds(name)(_moved)
        return function

    return register


def _moved(call: Call) -> Const | None:
    """Moving entries about is exact. Errors of numpy are those of the model."""
    c = _const(call, 0)
    if c is None or any(x is not None and not isinstance(x, Const) for x in call.inputs):
        return None
    try:
        out = MOVES[call.kind](call, c.array)
    except (ValueError, IndexError, TypeError, OverflowError) as error:
        call.refuse(f"its constants do not fit together ({error})", "shapes as ONNX defines them", "check the model")
    return None if out is None else c.moved(np.array(out), call.kind.lower())


@folds("Transpose")
def transposed(call: Call) -> Const | None:
    """Twice is the constant itself."""
    c = _const(call, 0)
    perm = list(call.get("perm") or range(c.array.ndim)[::-1]) if c else []
    if c is None or sorted(perm) != list(range(c.array.ndim)):
        return None
    return c.transposed() if perm == [1, 0] else c.moved(np.array(c.array.transpose(perm)), "transpose")


@moves("Reshape")
def _reshape(call: Call, array: np.ndarray) -> np.ndarray | None:
    shape = call.ints("shape", 1) or []
    return array.reshape([array.shape[k] if v == 0 and not call.get("allowzero", 0) else v for k, v in enumerate(shape)])


@moves("Squeeze")
def _squeeze(call: Call, array: np.ndarray) -> np.ndarray | None:
    axes = _axes(call, "axes", 1)
    return array.squeeze() if axes is None else array.squeeze(tuple(axes))


@moves("Unsqueeze")
def _unsqueeze(call: Call, array: np.ndarray) -> np.ndarray | None:
    return np.expand_dims(array, tuple(_axes(call, "axes", 1) or ()))


@moves("Flatten")
def _flatten(call: Call, array: np.ndarray) -> np.ndarray | None:
    axis = call.attrs["axis"] % (array.ndim + 1) if call.attrs["axis"] >= 0 else call.attrs["axis"] + array.ndim
    return array.reshape(int(np.prod(array.shape[:axis])), -1)


@moves("Slice")
def _slice(call: Call, array: np.ndarray) -> np.ndarray | None:
    starts, ends = call.ints("starts", 1) or [], call.ints("ends", 2) or []
    axes, steps = call.ints("axes", 3) or list(range(len(starts))), call.ints("steps", 4) or [1] * len(starts)
    index = [slice(None)] * array.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        where = range(*slice(start, end, step).indices(array.shape[axis]))
        index[axis] = slice(where.start, where.stop if where.stop >= 0 else None, step)
    return array[tuple(index)]


@moves("Gather")
def _gather(call: Call, array: np.ndarray) -> np.ndarray | None:
    index = _const(call, 1)
    if index is None or index.array.dtype.kind not in "iuO" or any(isinstance(v, Batch) for v in index.sizes()):
        return None
    found = np.take(array, index.array.astype(np.int64), axis=call.attrs["axis"])
    return np.asarray(found, dtype=array.dtype)


@moves("Expand")
def _expand(call: Call, array: np.ndarray) -> np.ndarray | None:
    target = call.sizes("shape", 1) or []
    if Batch() in target[1:] and target.count(Batch()) == 1 and array.size == 1 and not array.any():
        found = zeros(target)
        return None if found is None else found.array
    shape = np.broadcast_shapes(array.shape, tuple(call.ints("shape", 1) or ()))
    return np.broadcast_to(array, shape) if np.prod(shape) <= MAX_FOLDED else None


@folds("Concat")
def concat(call: Call) -> Const | None:
    parts = [_const(call, k) for k in range(len(call.inputs))]
    arrays = [p.array for p in parts if p is not None]
    if len(arrays) != len(parts):
        return None
    if any(a.dtype == object for a in arrays):
        arrays = [a.astype(object) for a in arrays]
    try:
        return Const(np.concatenate(arrays, axis=call.attrs["axis"]), call.name)
    except (ValueError, IndexError, OverflowError) as error:
        call.refuse(f"its constants do not fit together ({error})", "shapes as ONNX defines them", "check the model")


@folds("Split")
def split(call: Call) -> list[Const] | None:
    c, given, count = _const(call, 0), call.ints("split", 1), len(call.proto.output)
    if c is None:
        return None
    axis = call.attrs["axis"]
    if not -c.array.ndim <= axis < c.array.ndim:
        call.refuse(f"axis {axis} of {c.array.ndim} axes", "an axis of its input", "export the model again")
    given = given or [c.array.shape[axis] // count] * count
    if sum(given) != c.array.shape[axis] or min(given) < 0:
        return None
    parts = np.split(c.array, np.cumsum(given)[:-1], axis=axis)
    return [c.moved(np.array(p), f"part{k}") for k, p in enumerate(parts)]


@folds("Neg")
def negated(call: Call) -> Const | None:
    c = _const(call, 0)
    return c.moved(-c.array, "negative") if c is not None and c.array.dtype.kind in "fi" else None


WHOLE: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add, "Sub": operator.sub, "Mul": operator.mul, "Min": np.minimum, "Max": np.maximum,
    "Equal": operator.eq, "Greater": operator.gt, "Less": operator.lt, "And": operator.and_, "Or": operator.or_, "Mod": operator.mod,
}  # fmt: skip


@folds(*WHOLE, "Div")
def arithmetic(call: Call) -> Const | None:
    """On integers as ONNX has it; on floats where the result is exact."""
    a, b = (_const(call, k) for k in (0, 1))
    if a is None or b is None or len(call.inputs) != 2:
        return None
    if a.array.dtype.kind == "f" and b.array.dtype.kind == "f":
        try:
            found = EXACT[call.kind](a.array, b.array) if call.kind in EXACT else None
        except ValueError as error:
            call.refuse(f"its constants do not fit together ({error})", "shapes as ONNX defines them", "check the model")
        return None if found is None else a.moved(found, call.kind.lower())
    if "f" in (a.array.dtype.kind, b.array.dtype.kind):
        return None
    return _whole(call, a.array, b.array)


def _whole(call: Call, a: np.ndarray, b: np.ndarray) -> Const | None:
    """Python's integers: nothing overflows, and the batch stays a symbol."""
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError as error:
        call.refuse(f"its constants do not fit together ({error})", "shapes as ONNX defines them", "check the model")
    if np.prod(shape) > MAX_SLOW:
        return None
    pairs = zip(np.broadcast_to(a, shape).reshape(-1).tolist(), np.broadcast_to(b, shape).reshape(-1).tolist(), strict=True)
    out = np.empty(int(np.prod(shape)), dtype=object)
    try:
        out[:] = [_one(call.kind, x, y) for x, y in pairs]
    except (TypeError, ZeroDivisionError):
        return None
    return Const(_plainly(out.reshape(shape)), call.name)


def _one(kind: str, x: Any, y: Any) -> Any:
    if kind == "Div":
        if isinstance(x, Batch) or isinstance(y, Batch):
            return x // y
        return abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)  # towards zero
    if kind in ("Min", "Max") and not isinstance(x, Batch) and not isinstance(y, Batch):
        return (min if kind == "Min" else max)(x, y)
    if kind == "Mod" and not isinstance(x, Batch) and min(x, y) < 0:
        raise TypeError("the sign of a remainder")
    if kind == "Equal" and isinstance(x, Batch) != isinstance(y, Batch):
        if -1 in (x, y):
            return False
        raise TypeError("a size against the batch")
    return WHOLE[kind](x, y)


def _plainly(array: np.ndarray) -> np.ndarray:
    """Integers or booleans, where there is no batch among them."""
    items = array.reshape(-1).tolist()
    if items and all(isinstance(v, bool) for v in items):
        return array.astype(bool)
    if all(isinstance(v, int) and abs(v) < 1 << 62 for v in items):
        return array.astype(np.int64)
    return array


@folds("Where")
def where(call: Call) -> Const | None:
    parts = [_const(call, k) for k in range(3)]
    arrays = [p.array for p in parts if p is not None]
    if len(arrays) != 3 or arrays[0].dtype != bool:
        return None
    try:
        found = np.where(arrays[0], *(a.astype(object) if object in (arrays[1].dtype, arrays[2].dtype) else a for a in arrays[1:]))
    except ValueError as error:
        call.refuse(f"its constants do not fit together ({error})", "shapes as ONNX defines them", "check the model")
    return Const(_plainly(found) if found.dtype == object else found, call.name)


@folds("ReduceProd")
def product(call: Call) -> Const | None:
    c = _const(call, 0)
    if c is None or c.array.dtype.kind not in "iO" or c.array.ndim != 1:
        return None
    total: Any = 1
    for v in c.sizes():
        total = total * v
    out = np.empty([1] if call.attrs["keepdims"] else [], dtype=object)
    out[...] = total
    return Const(_plainly(out), call.name)


@folds("Range")
def range_(call: Call) -> Const | None:
    parts = [_const(call, k) for k in range(3)]
    if any(p is None or p.array.dtype.kind not in "i" for p in parts):
        return None
    start, stop, step = (int(p.array.reshape(())[()]) for p in parts if p is not None)
    items = range(start, stop, step) if step else range(0)
    return Const(np.array(items, dtype=np.int64), call.name) if step and len(items) <= MAX_SLOW else None


def exact_product(a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    """a * b, `None` where an entry would be rounded."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        out = np.asarray(a * b)
    return out if _agrees(out, (a, b), operator.mul) else None


def exact_sum(a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    with np.errstate(over="ignore", invalid="ignore"):
        out = np.asarray(a + b)
    return out if _agrees(out, (a, b), operator.add) else None


def exact_difference(a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    return exact_sum(a, -b)


def exact_quotient(a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    if not b.all():
        return None
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        out = np.asarray(a / b)
    return out if _agrees(np.asarray(np.broadcast_to(a, out.shape)), (out, b), operator.mul) else None


EXACT = {"Add": exact_sum, "Sub": exact_difference, "Mul": exact_product, "Div": exact_quotient}


def _agrees(out: np.ndarray, operands: Sequence[np.ndarray], combine: Callable[[Any, Any], Any]) -> bool:
    """Whether `out` is the combination of the operands in exact arithmetic; a product of two float32 is exact in double."""
    one, two = (np.broadcast_to(x, out.shape) for x in operands)
    if not all(np.isfinite(x).all() for x in (out, one, two)):
        return False
    if out.dtype == np.float32 and combine is operator.mul:
        return bool((one.astype(np.float64) * two.astype(np.float64) == out.astype(np.float64)).all())
    if out.size > MAX_SLOW:
        return False
    return all(combine(Fraction(x), Fraction(y)) == Fraction(z) for x, y, z in zip(*(v.reshape(-1).tolist() for v in (one, two, out)), strict=True))
