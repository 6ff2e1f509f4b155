"""conv: convolutions in 1 to 3 dimensions with zero padding and stored weights; not the transposed ones."""

from __future__ import annotations

from typing import Any

from lumpnet.lift.torch.call import Call
from lumpnet.lift.torch.operands import Form, Param
from lumpnet.lift.torch.registry import converts


@converts("aten.conv1d.default", "aten.conv2d.default", "aten.conv3d.default", "aten.convolution.default")
def conv(call: Call) -> Form | None:
    """(batch, in, *spatial) -> (batch, out, *spatial)."""
    if call.get("transposed", False):
        return None
    weight = call["weight"]
    return _form(call, call.ints("padding", weight.tensor.ndim - 2)) if isinstance(weight, Param) else None


@converts("aten.conv1d.padding", "aten.conv2d.padding", "aten.conv3d.padding")
def conv_padded_by_name(call: Call) -> Form | None:
    """padding="valid", or "same" where it is symmetric."""
    weight = call["weight"]
    return _form(call, _named_padding(call, weight)) if isinstance(weight, Param) else None


def _named_padding(call: Call, weight: Param) -> list[int] | None:
    sizes = list(weight.tensor.shape[2:])
    dilation = call.ints("dilation", len(sizes))
    if call["padding"] == "valid" or dilation is None:
        return [0] * len(sizes)
    total = [d * (k - 1) for d, k in zip(dilation, sizes, strict=True)]
    return [t // 2 for t in total] if all(t % 2 == 0 for t in total) else None


def _form(call: Call, padding: list[int] | None) -> Form | None:
    x, weight, bias = call.batched("input"), call["weight"], call["bias"]
    count = weight.tensor.ndim - 2
    stride, dilation = call.ints("stride", count), call.ints("dilation", count)
    if x is None or x.shape is None or len(x.shape) != count + 2 or padding is None or stride is None or dilation is None:
        return None
    if bias is not None and not isinstance(bias, Param):
        return None
    attrs: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": call["groups"]}
    return Form("conv", (x,), attrs, {"weight": weight} | ({"bias": bias} if bias else {}))
