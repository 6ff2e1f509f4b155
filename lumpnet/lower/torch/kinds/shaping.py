"""reshape and permute."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from lumpnet.ir import Node
from lumpnet.lower.torch.registry import Attrs, Tensors, rebuilds, runs


@runs("reshape")
def reshape(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return values[0].reshape([values[0].shape[0], *attrs["shape"]])


@runs("permute")
def permute(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return values[0].permute(attrs["dims"])


@rebuilds("reshape", "Flatten")
def flatten_module(node: Node, tensors: Tensors) -> nn.Module | None:
    """Everything behind the batch; other flattenings run as functions."""
    return nn.Flatten() if len(node.attrs["shape"]) == 1 else None
