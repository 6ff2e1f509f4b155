"""Sums, products, quotients and powers, of two values or of a value and a constant."""

from __future__ import annotations

import numpy as np

from lumpnet.lift.onnx.call import Call, NoRule
from lumpnet.lift.onnx.operands import Answer, Const, Val
from lumpnet.lift.onnx.registry import converts


@converts("Add")
def add(call: Call) -> Answer:
    """A constant behind a linear layer that nothing else reads is its bias."""
    pair = _split(call)
    if pair is None:
        return call.emit("add", _alike(call))
    x, term, axis = pair
    if (axis == x.rank - 1 and term.array.shape == (x.shape[-1],)) or (term.array.ndim == 0 and x.shape[-1] == 1):
        fused = _biased(call, x, term)
        if fused is not None:
            return fused
    return call.emit("add_constant", [x], {"axis": axis}, term=term)


def _biased(call: Call, x: Val, term: Const) -> Val | None:
    lifting = call.lifting
    node = lifting.nodes.get(x.name)
    if node is None or node.kind != "linear" or "bias" in node.params or lifting.take(x.name) is None:
        return None
    weight = Const(lifting.state.tensors[node.params["weight"]], node.params["weight"])
    operand = lifting.env_of(node.inputs[0])
    return call.emit("linear", [operand], weight=weight, bias=term.moved(term.array.reshape(-1), "bias"))


@converts("Sub")
def sub(call: Call) -> Answer:
    """x - c adds -c; c - x and a - b take the negative first."""
    pair = _split(call)
    if pair is None:
        a, b = _alike(call)
        return call.emit("add", [a, call.emit("mul_constant", [b], {"axis": 1}, part="negative", factor=call.literal(-1))])
    x, c, axis = pair
    if isinstance(call.inputs[0], Val):
        return call.emit("add_constant", [x], {"axis": axis}, term=c.moved(-c.array, "negative"))
    y = call.emit("mul_constant", [x], {"axis": 1}, part="negative", factor=call.literal(-1))
    return call.emit("add_constant", [y], {"axis": axis}, term=c)


@converts("Mul")
def mul(call: Call) -> Answer:
    pair = _split(call)
    if pair is None:
        return call.emit("mul", _alike(call))
    x, factor, axis = pair
    return call.emit("mul_constant", [x], {"axis": axis}, factor=factor)


@converts("Neg")
def neg(call: Call) -> Answer:
    return call.emit("mul_constant", [call.val(0)], {"axis": 1}, factor=call.literal(-1))


@converts("Div")
def div(call: Call) -> Answer:
    pair = _split(call)
    if pair is None:
        return call.emit("div", _alike(call))
    x, c, axis = pair
    if isinstance(call.inputs[0], Val):
        if not c.array.all():
            call.refuse("it divides by a constant zero", "divisors other than zero", "repair the model")
        return call.emit("div_constant", [x], {"axis": axis}, divisor=c)
    y = call.emit("reciprocal", [x], part="reciprocal")
    return call.emit("mul_constant", [y], {"axis": axis}, factor=c)


@converts("Pow")
def pow(call: Call) -> Answer:
    x, exponent = call.val(0), call.scalar(1)
    if exponent is None:
        raise NoRule
    return call.emit("pow", [x], {"exponent": exponent})


@converts("Sum")
def sum_of(call: Call) -> Answer:
    """Any number of values."""
    xs = [call.val(k) for k in range(len(call.inputs))]
    if len({x.shape for x in xs}) != 1:
        raise NoRule
    total = xs[0]
    for k, x in enumerate(xs[1:], 2):
        total = call.emit("add", [total, x], part="" if k == len(xs) else f"sum{k}")
    return total if len(xs) > 1 else call.passed(total)


def _alike(call: Call) -> list[Val]:
    """Both operands as values of one rank."""
    a, b = call.val(0), call.val(1)
    if a.rank != b.rank:
        raise NoRule
    return [a, b]


def _split(call: Call) -> tuple[Val, Const, int] | None:
    """(value, constant, axis) with a constant that is one number, or varies along one axis of the value; `None` for two values.

    Raises `NoRule` for constants that vary along more axes, or make the value larger.
    """
    a, b = call.inputs
    if isinstance(a, Val) and isinstance(b, Val):
        return None
    k = 0 if isinstance(a, Val) else 1
    x, c = call.val(k), call.inputs[1 - k]
    if not isinstance(c, Const) or not c.floating:
        raise NoRule
    shape = [1] * (x.rank - c.array.ndim) + list(c.array.shape)
    if x.rank < 2 or c.array.ndim > x.axes or shape[0] != 1 or any(d not in (1, n) for d, n in zip(shape[1:], x.sizes, strict=True)):
        raise NoRule
    array = c.array.reshape(shape)
    axes = [i for i, d in enumerate(shape) if d != 1 and not _same_along(array, i)]
    if len(axes) > 1:
        raise NoRule
    if not axes:
        return x, c.moved(np.array(array.reshape(-1)[0]), "number"), 1
    line = tuple(slice(None) if i == axes[0] else 0 for i in range(x.rank))
    return x, c.moved(np.array(array[line]), "line"), axes[0]


def _same_along(array: np.ndarray, axis: int) -> bool:
    return bool((array == np.take(array, [0], axis)).all())
