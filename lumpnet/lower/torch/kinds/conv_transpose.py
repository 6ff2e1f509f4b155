"""conv_transpose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from lumpnet.ir import Node
from lumpnet.lower.torch.registry import Attrs, Tensors, dimensions, empty, rebuilds, runs


@runs("conv_transpose")
def conv_transpose(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    weight = tensors["weight"]
    run: Any = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[weight.ndim - 3]
    sides = (attrs["stride"], attrs["padding"], attrs["output_padding"], attrs["groups"], attrs["dilation"])
    out: Tensor = run(values[0], weight, tensors.get("bias"), *sides)
    return out


@rebuilds("conv_transpose", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", slots={"weight": "weight", "bias": "bias"})
def conv_transpose_module(node: Node, tensors: Tensors) -> nn.Module | None:
    assert node.module is not None
    into, out, *kernel = tensors["weight"].shape
    if len(kernel) != dimensions(node.module.type):
        return None
    a = node.attrs
    where = {name: tuple(a[name]) for name in ("stride", "padding", "output_padding", "dilation")}
    return empty(getattr(nn, node.module.type), into, out * a["groups"], tuple(kernel), groups=a["groups"], bias="bias" in tensors, **where)
