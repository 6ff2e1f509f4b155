"""reshape, permute, index_select and pad."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lumpnet.ir import Node
from lumpnet.lower.torch.registry import Attrs, Tensors, dimensions, makes, rebuilds, runs


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


@runs("pad")
def pad(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    """Torch wants the last axes, and for copies just the spatial ones or all but the batch."""
    pads, constant = attrs["pads"], attrs["mode"] == "constant"
    least = len(pads) - next((k for k, pair in enumerate(pads) if any(pair)), len(pads))
    count = least if constant else max(least, len(pads) - 1, 1)
    amounts = [n for pair in reversed(pads[len(pads) - count :]) for n in pair]
    return F.pad(values[0], amounts, attrs["mode"], attrs["value"] if constant else None)


_PADDINGS = ("ConstantPad", "ZeroPad", "ReflectionPad", "ReplicationPad", "CircularPad")


@rebuilds("pad", *(f"{name}{n}d" for name in _PADDINGS for n in (1, 2, 3)))
def pad_module(node: Node, tensors: Tensors) -> nn.Module | None:
    assert node.module is not None
    count, pads = dimensions(node.module.type), node.attrs["pads"]
    if len(pads) < count or any(n for pair in pads[: len(pads) - count] for n in pair):
        return None
    amounts = tuple(n for pair in reversed(pads[len(pads) - count :]) for n in pair)
    kind = getattr(nn, node.module.type)
    module: nn.Module = kind(amounts, node.attrs["value"]) if node.module.type.startswith("Constant") else kind(amounts)
    return module if node.attrs["value"] == 0 or node.module.type.startswith("Constant") else None
