"""linear."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from lumpnet.ir import Node
from lumpnet.lower.torch.registry import Attrs, Tensors, empty, rebuilds, runs


@runs("linear")
def linear(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return F.linear(values[0], tensors["weight"], tensors.get("bias"))


@rebuilds("linear", "Linear", slots={"weight": "weight", "bias": "bias"})
def linear_module(node: Node, tensors: Tensors) -> nn.Module:
    out, into = tensors["weight"].shape
    return empty(nn.Linear, into, out, bias="bias" in tensors)
