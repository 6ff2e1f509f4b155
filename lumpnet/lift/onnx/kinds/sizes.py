"""Arithmetic of shapes: exact, with the batch as a symbol."""

from __future__ import annotations

import math

import numpy as np

from lumpnet.lift.onnx.call import Call, NoRule
from lumpnet.lift.onnx.operands import Answer, Batch, Const, Size, Val
from lumpnet.lift.onnx.registry import converts, folds

MAX_FILL = 1 << 24


def sizes_of(x: Val) -> np.ndarray:
    out = np.empty(x.axes, dtype=object)
    out[:] = x.sizes if x.bare else [*x.sizes[: x.at], Batch(), *x.sizes[x.at :]]
    return out


@converts("Shape")
def shape(call: Call) -> Answer:
    x = call.input(0)
    if not isinstance(x, Val):
        raise NoRule
    return Const(sizes_of(x)[slice(call.get("start", 0), call.get("end"))])


@converts("Size")
def size(call: Call) -> Answer:
    x = call.input(0)
    if not isinstance(x, Val):
        raise NoRule
    out = np.empty((), dtype=object)
    out[()] = Batch(math.prod(x.sizes))
    return Const(out)


@folds("Shape")
def known_shape(call: Call) -> Const | None:
    c = call.input(0)
    if not isinstance(c, Const):
        return None
    sizes = np.array([Batch() if c.spread and k == 0 else n for k, n in enumerate(c.array.shape)], dtype=object)
    return Const(sizes[slice(call.get("start", 0), call.get("end"))])


def zeros(target: list[Size]) -> Const | None:
    """Zeros, as an initial state of recurrent layers has them, one axis the batch's: of `object`, so that nothing else takes them."""
    sizes = [1 if isinstance(v, Batch) else v for v in target]
    return Const(np.zeros(sizes, dtype=object)) if min(sizes) > 0 and math.prod(sizes) <= MAX_FILL else None


@folds("ConstantOfShape")
def constant_of_shape(call: Call) -> Const | None:
    """One number throughout; an axis 0 of the batch's size is kept as 1 and marked."""
    target = call.sizes("", 0)
    value = call.get("value")
    if target and value is None and Batch() in target[1:] and target.count(Batch()) == 1:
        return zeros(target)
    if target is None or Batch() in target[1:]:
        return None
    sizes = [v for v in target if isinstance(v, int)]
    if any(isinstance(v, Batch) and v.times != 1 for v in target) or any(v < 0 for v in sizes) or math.prod(v for v in sizes if v) > MAX_FILL:
        return None
    from lumpnet.lift.onnx.tensors import array_of

    fill = array_of(value, None, call.where).reshape(-1)[0] if value is not None else np.float32(0)
    spread = bool(target) and isinstance(target[0], Batch)
    return Const(np.full([1 if isinstance(v, Batch) else v for v in target], fill), call.name, spread)
