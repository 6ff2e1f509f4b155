"""A node that is no `torch.nn` module: a function of values and tensors that it is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lumpnet.ir import Module
from lumpnet.lower.torch.registry import RUNNERS


class Step(nn.Module):
    """Called with the values by position and the tensors by role.

    `lumpnet_origin` keeps the node's module annotation, so that lifting finds it again;
    `lumpnet_backward` tells it that two flips belong to a recurrent layer.
    """

    def __init__(self, kind: str, attrs: Mapping[str, Any], origin: Module | None):
        super().__init__()
        self.kind, self.attrs, self.lumpnet_origin = kind, dict(attrs), origin
        self.lumpnet_backward = attrs.get("reverse", False)

    def forward(self, *values: Tensor, **tensors: Tensor) -> Tensor:
        return RUNNERS[self.kind](values, tensors, self.attrs)

    def extra_repr(self) -> str:
        return ", ".join([self.kind, *(f"{k}={v}" for k, v in self.attrs.items() if k not in ("args", "kwargs", "output"))])


class Identity(nn.Identity):
    """An identity that lifting can see: the same memory under a new name."""

    def forward(self, input: Tensor) -> Tensor:
        out: Tensor = torch.ops.aten.alias.default(input)
        return out
