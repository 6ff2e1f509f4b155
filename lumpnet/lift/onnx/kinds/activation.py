"""Pointwise functions and softmax."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lumpnet.lift.onnx.call import Call, NoRule
from lumpnet.lift.onnx.operands import Answer, Const
from lumpnet.lift.onnx.registry import converts

PLAIN = {
    "Relu": "relu", "Tanh": "tanh", "Sigmoid": "sigmoid", "Abs": "abs", "Sign": "sign", "Exp": "exp", "Log": "log", "Sqrt": "sqrt",
    "Reciprocal": "reciprocal", "Erf": "erf", "Sin": "sin", "Cos": "cos", "Softsign": "softsign", "HardSwish": "hardswish", "Mish": "mish",
    "Floor": "floor", "Ceil": "ceil", "Round": "round",
}  # fmt: skip
SELU = {"alpha": 1.6732632423543772848170429916717, "gamma": 1.0507009873554804934193349852946}


@converts(*PLAIN)
def plain(call: Call) -> Answer:
    return call.emit(PLAIN[call.kind], [call.val(0)])


@converts("LeakyRelu")
def leaky_relu(call: Call) -> Answer:
    return call.emit("leaky_relu", [call.val(0)], {"slope": call.number("alpha")})


@converts("Elu", "Celu")
def elu(call: Call) -> Answer:
    alpha = call.number("alpha")
    if alpha == 0 and call.kind == "Celu":
        raise NoRule
    return call.emit(call.kind.lower(), [call.val(0)], {"alpha": alpha})


@converts("Selu")
def selu(call: Call) -> Answer:
    """With its usual numbers, in single precision."""
    if any(np.float32(call.number(name)) != np.float32(value) for name, value in SELU.items()):
        raise NoRule
    return call.emit("selu", [call.val(0)])


@converts("Softplus")
def softplus(call: Call) -> Answer:
    """Without a threshold: -logsigmoid(-x)."""
    y = call.emit("mul_constant", [call.val(0)], {"axis": 1}, part="negative", factor=call.literal(-1))
    y = call.emit("logsigmoid", [y], part="logsigmoid")
    return call.emit("mul_constant", [y], {"axis": 1}, factor=call.literal(-1))


@converts("HardSigmoid")
def hardsigmoid(call: Call) -> Answer:
    return call.emit("hardsigmoid", [call.val(0)], {"alpha": call.number("alpha"), "beta": call.number("beta")})


@converts("Gelu")
def gelu(call: Call) -> Answer:
    return call.emit("gelu", [call.val(0)], {"approximate": call.get("approximate", "none")})


@converts("Clip")
def clip(call: Call) -> Answer:
    """A limit that is left out is the type's largest number, as ONNX says."""
    x, limits = call.val(0), _limits(call)
    if limits == (0.0, None):
        return call.emit("relu", [x])
    most = float(np.finfo(call.lifting.dtype).max)
    low, high = limits
    return call.emit("hardtanh", [x], {"min": -most if low is None else low, "max": most if high is None else high})


def _limits(call: Call) -> tuple[float | None, float | None]:
    if "min" in call.attrs or "max" in call.attrs:  # opset 10 and below
        most = float(np.finfo(np.float32).max)
        low, high = call.number("min"), call.number("max")
        return (None if low == -most else low), (None if high == most else high)
    return _limit(call, 1, -math.inf), _limit(call, 2, math.inf)


def _limit(call: Call, k: int, none: float) -> float | None:
    """An infinite limit on its own side is none."""
    c: Any = call.input(k)
    if isinstance(c, Const) and c.array.size == 1 and c.array.dtype.kind == "f" and c.array.reshape(())[()] == none:
        return None
    return call.scalar(k)


@converts("PRelu")
def prelu(call: Call) -> Answer:
    """One slope, or one a unit of axis 1."""
    x, slope = call.val(0), call.const(1)
    if slope.array.size == 1:
        return call.emit("prelu", [x], slope=slope.moved(slope.array.reshape(1), "slope"))
    shape = [1] * (x.rank - slope.array.ndim) + list(slope.array.shape)
    if x.rank < 2 or len(shape) != x.rank or shape != [1, x.shape[1]] + [1] * (x.rank - 2):
        raise NoRule
    return call.emit("prelu", [x], slope=slope.moved(slope.array.reshape(-1), "slope"))


@converts("Softmax")
def softmax(call: Call) -> Answer:
    """Before opset 13 it ran over all axes from `axis` on."""
    x = call.val(0)
    axis = call.axis(call.attrs["axis"], x.rank)
    if axis == 0 or (call.lifting.source.opset < 13 and math.prod(x.sizes[axis:]) != 1):
        raise NoRule
    return call.emit("softmax", [x], {"axis": axis})
