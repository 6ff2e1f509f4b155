"""index_select: slices, pieces, single entries and constant indices along one axis; nothing where all entries stay in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from lumpnet.ir import Shape
from lumpnet.lift.torch.call import Call
from lumpnet.lift.torch.operands import Deferred, Form, Operand, Param, Parts, Val, is_batched
from lumpnet.lift.torch.registry import converts, splits

Read = Val | Deferred | Form


def selected(x: Read, axis: int, index: Sequence[int]) -> Read | None:
    """`x` at these entries of `axis`; `x` itself where they are all of them in order, `None` for the batch or no entry."""
    assert x.shape is not None
    size = int(x.shape[axis] or 0)
    if axis == 0 or not index or not all(0 <= i < size for i in index):
        return None
    if list(index) == list(range(size)):
        return x
    shape = (*x.shape[:axis], len(index), *x.shape[axis + 1 :])
    return Form("index_select", (x,), {"axis": axis, "index": [int(i) for i in index]}, shape=shape)


def entry(x: Read, axis: int, index: int) -> Read | None:
    """One entry, and the axis gone."""
    one = selected(x, axis, [index])
    if one is None or one.shape is None:
        return None
    shape: Shape = (*one.shape[:axis], *one.shape[axis + 1 :])
    return Form("reshape", (one,), {"shape": list(shape[1:])}, shape=shape)


def _answer(found: Read | None) -> Form | Operand | None:
    return found


@converts("aten.slice.Tensor")
def slice_(call: Call) -> Form | Operand | None:
    """`x[start:end:step]`; the whole of any axis of anything is itself."""
    x, bounds = call["self"], (call["start"], call["end"], call["step"])
    if bounds[0] in (None, 0) and bounds[2] == 1 and (bounds[1] is None or (isinstance(bounds[1], int) and bounds[1] > 1 << 61)):
        whole: Operand = x
        return whole
    value = call.batched("self")
    if value is None or value.shape is None or not all(b is None or type(b) is int for b in bounds):
        return None
    axis = call["dim"] % len(value.shape)
    return _answer(selected(value, axis, range(*slice(*bounds).indices(int(value.shape[axis] or 0))))) if axis else None


@converts("aten.select.int")
def select(call: Call) -> Form | Operand | None:
    x = call.batched("self")
    if x is None or x.shape is None or type(call["index"]) is not int:
        return None
    axis = call["dim"] % len(x.shape)
    return _answer(entry(x, axis, call["index"] % int(x.shape[axis] or 1))) if axis else None


@converts("aten.index_select.default")
def index_select(call: Call) -> Form | Operand | None:
    return _constant(call, call["dim"], call["index"])


@converts("aten.index.Tensor")
def index(call: Call) -> Form | Operand | None:
    """One stored list of entries along one axis."""
    given = [(axis, i) for axis, i in enumerate(call["indices"]) if i is not None]
    return _constant(call, *given[0]) if len(given) == 1 else None


def _constant(call: Call, dim: int, given: object) -> Form | Operand | None:
    x = call.batched("self")
    if x is None or x.shape is None or not isinstance(given, Param) or given.tensor.ndim != 1 or str(given.tensor.dtype) not in ("torch.int64", "torch.int32"):
        return None
    axis = dim % len(x.shape)
    size = int(x.shape[axis] or 0)
    entries = [i + size if i < 0 else i for i in given.tensor.tolist()]
    return _answer(selected(x, axis, entries)) if axis else None


@converts("aten.flip.default")
def flip(call: Call) -> Form | Operand | None:
    return _along(call, [(d, -1) for d in call["dims"]], lambda size, _: range(size)[::-1])


@converts("aten.roll.default")
def roll(call: Call) -> Form | Operand | None:
    if not call["dims"] or not all(type(s) is int for s in call["shifts"]):
        return None
    return _along(call, list(zip(call["dims"], call["shifts"], strict=True)), lambda size, shift: np.roll(range(size), shift).tolist())


def _along(call: Call, steps: Sequence[tuple[int, int]], order: Any) -> Form | Operand | None:
    """One selection after the other."""
    x: Read | None = call.batched("self")
    for dim, by in steps:
        if x is None or x.shape is None:
            return None
        axis = dim % len(x.shape)
        x = selected(x, axis, order(int(x.shape[axis] or 0), by))
    return x


@converts("aten.channel_shuffle.default")
def channel_shuffle(call: Call) -> Form | Operand | None:
    x, groups = call.batched("self"), call["groups"]
    if x is None or x.shape is None:
        return None
    return _answer(selected(x, 1, np.arange(int(x.shape[1] or 0)).reshape(groups, -1).T.reshape(-1).tolist()))


@converts("aten.glu.default")
def glu(call: Call) -> Form | None:
    """The first half gated by the second."""
    x = call.batched("self")
    if x is None or x.shape is None or call["dim"] % len(x.shape) == 0:
        return None
    axis = call["dim"] % len(x.shape)
    half = int(x.shape[axis] or 0) // 2
    value, gate = selected(x, axis, range(half)), selected(x, axis, range(half, 2 * half))
    return Form("mul", (value, Form("sigmoid", (gate,), shape=gate.shape))) if value is not None and gate is not None else None


@splits("aten.split.Tensor")
def split(call: Call) -> Parts | None:
    size = call["split_size"]
    total = _length(call)
    return _pieces(call, [*range(0, total, size), total]) if type(size) is int and size > 0 else None


@splits("aten.split_with_sizes.default")
def split_with_sizes(call: Call) -> Parts | None:
    sizes = call["split_sizes"]
    return _pieces(call, list(accumulate(sizes, initial=0))) if all(type(s) is int for s in sizes) else None


@splits("aten.unbind.int")
def unbind(call: Call) -> Parts | None:
    x = call.batched("self")
    if x is None or x.shape is None or call["dim"] % len(x.shape) == 0:
        return None
    axis = call["dim"] % len(x.shape)
    return _parts(entry(x, axis, i) for i in range(int(x.shape[axis] or 0)))


def _length(call: Call) -> int:
    x = call["self"]
    return int(x.shape[call["dim"] % len(x.shape)] or 0) if is_batched(x) else 0


def _pieces(call: Call, ends: Sequence[int]) -> Parts | None:
    x = call.batched("self")
    if x is None or x.shape is None or call["dim"] % len(x.shape) == 0:
        return None
    return _parts(selected(x, call["dim"] % len(x.shape), range(a, b)) for a, b in pairwise(ends))


def _parts(found: Iterator[Read | None]) -> Parts | None:
    items = tuple(found)
    return Parts(tuple(x for x in items if x is not None)) if None not in items else None
