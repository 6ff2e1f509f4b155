"""The numbers of a layer's columns inside the parameters of a module."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Rows:
    """Slices of a tensor along `axis`; those at `at[k]` (columns, units) belong to column k, or slice k alone where `at` is None."""

    tensor: Tensor
    axis: int = 0
    at: Tensor | None = None

    def numbers(self) -> Tensor:
        """(columns, entries), a copy."""
        units = self.tensor.detach().movedim(self.axis, 0)
        return units.reshape(len(units), -1).clone() if self.at is None else units[self.at].reshape(len(self.at), -1)

    def scale(self, factors: Tensor) -> None:
        """Multiply the numbers of every column by its factor (columns,), in place."""
        units = self.tensor.detach().movedim(self.axis, 0)
        every = torch.ones(len(units), dtype=units.dtype)
        at = torch.arange(len(units))[:, None] if self.at is None else self.at
        every[at] = factors.to(units.dtype)[:, None].expand(at.shape)
        units.mul_(every.view(-1, *[1] * (units.ndim - 1)))


@dataclass(frozen=True, eq=False)
class Columns:
    """Equally many columns in several tensors: what makes one unit stands in one column of all."""

    parts: tuple[Rows, ...]

    @property
    def size(self) -> int:
        """Numbers in one column."""
        return sum(part.numbers().shape[1] for part in self.parts)

    def norms(self, order: int = 1) -> np.ndarray:
        """(columns,) float64."""
        return np.asarray(torch.cat([part.numbers() for part in self.parts], 1).double().norm(order, dim=1))

    def scale(self, factors: np.ndarray) -> None:
        """Multiply every column by its factor (columns,), in place."""
        for part in self.parts:
            part.scale(torch.from_numpy(factors))
