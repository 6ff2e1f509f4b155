"""relu, tanh, sigmoid, silu, gelu, leaky_relu, hardtanh (ReLU6 and clamp are hardtanh), and a table of functions of one number."""

from __future__ import annotations

from typing import Any

from lumpnet.lift.torch.call import Call, kernel_scalar
from lumpnet.lift.torch.operands import Form, Param
from lumpnet.lift.torch.registry import converts


def _form(call: Call, kind: str, **attrs: Any) -> Form | None:
    x = call.batched("self")
    return Form(kind, (x,), attrs) if x is not None and None not in attrs.values() else None


@converts("aten.relu.default")
def relu(call: Call) -> Form | None:
    return _form(call, "relu")


@converts("aten.tanh.default")
def tanh(call: Call) -> Form | None:
    return _form(call, "tanh")


@converts("aten.sigmoid.default")
def sigmoid(call: Call) -> Form | None:
    return _form(call, "sigmoid")


@converts("aten.silu.default")
def silu(call: Call) -> Form | None:
    return _form(call, "silu")


@converts("aten.gelu.default")
def gelu(call: Call) -> Form | None:
    return _form(call, "gelu", approximate=call["approximate"])


@converts("aten.leaky_relu.default")
def leaky_relu(call: Call) -> Form | None:
    return _form(call, "leaky_relu", slope=call.scalar("negative_slope"))


@converts("aten.relu6.default")
def relu6(call: Call) -> Form | None:
    return _form(call, "hardtanh", min=0.0, max=6.0)


@converts("aten.hardtanh.default")
def hardtanh(call: Call) -> Form | None:
    return _between(call, call["min_val"], call["max_val"])


@converts("aten.clamp.default")
def clamp(call: Call) -> Form | None:
    """Only with two limits, in order."""
    return _between(call, call["min"], call["max"])


def _between(call: Call, least: object, most: object) -> Form | None:
    low, high = kernel_scalar(least, call.dtype), kernel_scalar(most, call.dtype)
    return _form(call, "hardtanh", min=low, max=high) if low is not None and high is not None and low <= high else None


PLAIN = {
    "abs": "abs",
    "sign": "sign",
    "exp": "exp",
    "log": "log",
    "sqrt": "sqrt",
    "reciprocal": "reciprocal",
    "erf": "erf",
    "sin": "sin",
    "cos": "cos",
    "selu": "selu",
    "hardswish": "hardswish",
    "mish": "mish",
    "log_sigmoid": "logsigmoid",
    "log_sigmoid_forward": "logsigmoid",
    "floor": "floor",
    "ceil": "ceil",
    "round": "round",
}
"""Functions without attributes: torch's name, and the kind."""


def _register(name: str, kind: str) -> None:
    converts(f"aten.{name}.default")(lambda call: _form(call, kind))


for _name, _kind in PLAIN.items():
    _register(_name, _kind)


@converts("aten.elu.default")
def elu(call: Call) -> Form | None:
    """Without further scales."""
    return _form(call, "elu", alpha=call.scalar("alpha")) if call["scale"] == 1 and call["input_scale"] == 1 else None


@converts("aten.celu.default")
def celu(call: Call) -> Form | None:
    return _form(call, "celu", alpha=call.scalar("alpha"))


@converts("aten.softplus.default")
def softplus(call: Call) -> Form | None:
    return _form(call, "softplus", beta=call.scalar("beta"), threshold=call.scalar("threshold"))


@converts("aten.hardsigmoid.default")
def hardsigmoid(call: Call) -> Form | None:
    """A sixth of the operand plus a half; the sixth is written as the nearest number."""
    return _form(call, "hardsigmoid", alpha=kernel_scalar(1 / 6, call.dtype), beta=0.5)


@converts("aten.pow.Tensor_Scalar")
def pow_(call: Call) -> Form | None:
    return _form(call, "pow", exponent=call.scalar("exponent"))


@converts("aten.square.default")
def square(call: Call) -> Form | None:
    return _form(call, "pow", exponent=2.0)


@converts("aten.prelu.default", "aten._prelu_kernel.default")
def prelu(call: Call) -> Form | None:
    """One stored slope, or one a channel."""
    x, slope = call.batched("self"), call["weight"]
    if x is None or x.shape is None or len(x.shape) < 2 or not isinstance(slope, Param) or tuple(slope.tensor.shape) not in ((1,), (x.shape[1],)):
        return None
    return Form("prelu", (x,), {}, {"slope": slope})
