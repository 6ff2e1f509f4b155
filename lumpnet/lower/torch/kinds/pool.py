"""max_pool, avg_pool, adaptive_avg_pool, adaptive_max_pool, mean, sum, amax, amin, upsample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from lumpnet.ir import Node
from lumpnet.lower.torch.registry import Attrs, Tensors, dimensions, rebuilds, runs


@runs("max_pool")
def max_pool(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[len(attrs["kernel"]) - 1]
    out: Tensor = pool(values[0], attrs["kernel"], attrs["stride"], attrs["padding"], attrs["dilation"], ceil_mode=attrs["ceil_mode"])
    return out


@runs("avg_pool")
def avg_pool(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    (x,), kernel, stride, padding = values, attrs["kernel"], attrs["stride"], attrs["padding"]
    rest, divisor = (attrs["ceil_mode"], attrs["count_include_pad"]), attrs["divisor_override"]
    if len(kernel) == 1 and divisor is not None:  # of one dimension torch knows none
        return F.avg_pool2d(x[:, :, None], [1, *kernel], [1, *stride], [0, *padding], *rest, divisor)[:, :, 0]
    pool: Any = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[len(kernel) - 1]
    out: Tensor = pool(x, kernel, stride, padding, *rest, *([divisor] if len(kernel) > 1 else []))
    return out


@runs("adaptive_avg_pool")
def adaptive_avg_pool(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    pool: Any = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[len(attrs["output_size"]) - 1]
    out: Tensor = pool(values[0], attrs["output_size"])
    return out


@runs("adaptive_max_pool")
def adaptive_max_pool(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    pool: Any = (F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d)[len(attrs["output_size"]) - 1]
    out: Tensor = pool(values[0], attrs["output_size"])
    return out


@runs("mean")
def mean(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return values[0].mean(attrs["axes"], attrs["keepdim"])


@runs("sum")
def sum_(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return values[0].sum(attrs["axes"], attrs["keepdim"])


@runs("amax")
def amax(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return values[0].amax(attrs["axes"], attrs["keepdim"])


@runs("amin")
def amin(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return values[0].amin(attrs["axes"], attrs["keepdim"])


@runs("upsample")
def upsample(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return F.interpolate(values[0], [n * s for n, s in zip(values[0].shape[2:], attrs["scales"], strict=True)], mode="nearest")


@rebuilds("upsample", "Upsample")
def upsample_module(node: Node, tensors: Tensors) -> nn.Module:
    return nn.Upsample(scale_factor=tuple(map(float, node.attrs["scales"])))


@rebuilds("upsample", "UpsamplingNearest2d")
def upsample_2d_module(node: Node, tensors: Tensors) -> nn.Module | None:
    scales = node.attrs["scales"]
    return nn.UpsamplingNearest2d(scale_factor=(float(scales[0]), float(scales[1]))) if len(scales) == 2 else None


@rebuilds("max_pool", "MaxPool1d", "MaxPool2d", "MaxPool3d")
def max_pool_module(node: Node, tensors: Tensors) -> nn.Module | None:
    return _window(node, dilation=tuple(node.attrs["dilation"]))


@rebuilds("avg_pool", "AvgPool1d", "AvgPool2d", "AvgPool3d")
def avg_pool_module(node: Node, tensors: Tensors) -> nn.Module | None:
    if len(node.attrs["kernel"]) == 1 and node.attrs["divisor_override"] is not None:
        return None
    divisor = {"divisor_override": node.attrs["divisor_override"]} if len(node.attrs["kernel"]) > 1 else {}
    return _window(node, count_include_pad=node.attrs["count_include_pad"], **divisor)


def _window(node: Node, **options: Any) -> nn.Module | None:
    assert node.module is not None
    if len(node.attrs["kernel"]) != dimensions(node.module.type):
        return None
    kernel, stride, padding = (tuple(node.attrs[name]) for name in ("kernel", "stride", "padding"))
    module: nn.Module = getattr(nn, node.module.type)(kernel, stride, padding, ceil_mode=node.attrs["ceil_mode"], **options)
    return module


@rebuilds("adaptive_avg_pool", "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d")
@rebuilds("adaptive_max_pool", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d")
def adaptive_pool_module(node: Node, tensors: Tensors) -> nn.Module | None:
    assert node.module is not None
    size = tuple(node.attrs["output_size"])
    if len(size) != dimensions(node.module.type):
        return None
    module: nn.Module = getattr(nn, node.module.type)(size)
    return module
