"""relu, tanh, sigmoid, silu, gelu, leaky_relu, hardtanh (ReLU6 and clamp are hardtanh)."""

from __future__ import annotations

from typing import Any

from lumpnet.lift.torch.call import Call, kernel_scalar
from lumpnet.lift.torch.operands import Form
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
