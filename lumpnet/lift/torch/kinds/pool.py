"""max_pool, avg_pool, adaptive_avg_pool, adaptive_max_pool; unit axis 1, spatial axes behind it."""

from __future__ import annotations

from typing import Any

from lumpnet.lift.torch.call import Call
from lumpnet.lift.torch.operands import Form
from lumpnet.lift.torch.registry import converts


def _each(pattern: str) -> tuple[str, ...]:
    return tuple(f"aten.{pattern.format(n)}" for n in (1, 2, 3))


def _dimensions(call: Call) -> int:
    """The number of spatial axes, which is in the operator's name."""
    return int(next(c for c in str(call.target) if c in "123"))


def _form(call: Call, kind: str, attrs: dict[str, Any], required: tuple[str, ...]) -> Form | None:
    x = call.batched("self")
    if x is None or x.shape is None or len(x.shape) != _dimensions(call) + 2 or any(attrs[name] is None for name in required):
        return None
    return Form(kind, (x,), attrs)


def _window(call: Call) -> dict[str, Any]:
    count = _dimensions(call)
    kernel = call.ints("kernel_size", count)
    stride = call.ints("stride", count) if call["stride"] else kernel
    return {"kernel": kernel, "stride": stride, "padding": call.ints("padding", count), "ceil_mode": call["ceil_mode"]}


@converts(*_each("max_pool{}d.default"), *_each("max_pool{}d_with_indices.default"))
def max_pool(call: Call) -> Form | None:
    attrs = _window(call) | {"dilation": call.ints("dilation", _dimensions(call))}
    return _form(call, "max_pool", attrs, ("kernel", "stride", "padding", "dilation"))


@converts(*_each("avg_pool{}d.default"))
def avg_pool(call: Call) -> Form | None:
    attrs = _window(call) | {"count_include_pad": call["count_include_pad"], "divisor_override": call.get("divisor_override")}
    return _form(call, "avg_pool", attrs, ("kernel", "stride", "padding"))


@converts(*_each("adaptive_avg_pool{}d.default"), *_each("_adaptive_avg_pool{}d.default"))
def adaptive_avg_pool(call: Call) -> Form | None:
    return _form(call, "adaptive_avg_pool", {"output_size": call.ints("output_size", _dimensions(call))}, ("output_size",))


@converts(*_each("adaptive_max_pool{}d.default"))
def adaptive_max_pool(call: Call) -> Form | None:
    return _form(call, "adaptive_max_pool", {"output_size": call.ints("output_size", _dimensions(call))}, ("output_size",))
