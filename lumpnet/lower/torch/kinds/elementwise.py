"""add, mul, add_constant, mul_constant, div_constant, constant, concat."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lumpnet.lower.torch.registry import Attrs, Tensors, runs


@runs("add")
def add(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return values[0] + values[1]


@runs("mul")
def mul(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return values[0] * values[1]


@runs("div")
def div(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return values[0] / values[1]


@runs("matmul")
def matmul(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return values[0] @ values[1]


@runs("add_constant")
def add_constant(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return values[0] + _along(tensors["term"], values[0].ndim, attrs["axis"])


@runs("mul_constant")
def mul_constant(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return values[0] * _along(tensors["factor"], values[0].ndim, attrs["axis"])


@runs("constant")
def constant(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return _along(tensors["value"], len(attrs["shape"]) + 1, attrs["axis"]).expand(values[0].shape[0], *attrs["shape"]).clone()


@runs("div_constant")
def div_constant(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return values[0] / _along(tensors["divisor"], values[0].ndim, attrs["axis"])


@runs("concat")
def concat(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return torch.cat(list(values), attrs["axis"])


def _along(tensor: Tensor, rank: int, axis: int) -> Tensor:
    """(n,) broadcast along `axis` of a value of `rank` axes; a scalar as it is."""
    return tensor.view([-1] + [1] * (rank - 1 - axis)) if tensor.ndim else tensor
