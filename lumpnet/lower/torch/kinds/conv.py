"""conv."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from lumpnet.ir import Node
from lumpnet.lower.torch.registry import Attrs, Tensors, dimensions, empty, rebuilds, runs

FUNCTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


@runs("conv")
def conv(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    weight = tensors["weight"]
    return FUNCTIONS[weight.ndim - 2](values[0], weight, tensors.get("bias"), attrs["stride"], attrs["padding"], attrs["dilation"], attrs["groups"])


@rebuilds("conv", "Conv1d", "Conv2d", "Conv3d", slots={"weight": "weight", "bias": "bias"})
def conv_module(node: Node, tensors: Tensors) -> nn.Module | None:
    assert node.module is not None
    out, into, *kernel = tensors["weight"].shape
    if len(kernel) != dimensions(node.module.type):
        return None
    a = node.attrs
    where = {name: tuple(a[name]) for name in ("stride", "padding", "dilation")}
    return empty(getattr(nn, node.module.type), into * a["groups"], out, tuple(kernel), groups=a["groups"], bias="bias" in tensors, **where)
