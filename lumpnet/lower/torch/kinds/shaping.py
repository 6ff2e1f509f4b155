"""reshape, permute and index_select."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from lumpnet.ir import Node
from lumpnet.lower.torch.registry import Attrs, Tensors, makes, rebuilds, runs


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


class Select(nn.Module):
    """Entries of one axis: a view where they are evenly spaced, otherwise by an index that moves with the module and is not in its state."""

    def __init__(self, axis: int, index: list[int]):
        super().__init__()
        self.axis = axis
        steps = {b - a for a, b in pairwise(index)} or {1}
        step = steps.pop()
        self.span = slice(index[0], index[-1] + 1, step) if not steps and step > 0 else None
        self.register_buffer("index", None if self.span else torch.tensor(index), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.span is None:
            return x.index_select(self.axis, self.get_buffer("index"))
        return x[(*[slice(None)] * self.axis, self.span)]

    def extra_repr(self) -> str:
        return f"axis={self.axis}, span={self.span}"


@makes("index_select")
def index_select(attrs: Attrs) -> nn.Module:
    return Select(attrs["axis"], attrs["index"])
