"""What stands behind a name of an ONNX graph while it is lifted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lumpnet.ir import Shape


@dataclass(frozen=True)
class Batch:
    """The size `times * N`, N the number of examples, which is not known."""

    times: int = 1

    def __mul__(self, other: object) -> Batch | int:
        if isinstance(other, int | np.integer):
            return Batch(self.times * int(other)) if other else 0
        return NotImplemented

    __rmul__ = __mul__

    def __floordiv__(self, other: object) -> Batch | int:
        if isinstance(other, Batch) and self.times % other.times == 0:
            return self.times // other.times
        if isinstance(other, int | np.integer) and other and self.times % int(other) == 0:
            return Batch(self.times // int(other))
        return NotImplemented

    __truediv__ = __floordiv__


Size = int | Batch


@dataclass(frozen=True, eq=False)
class Const:
    """A constant: an array (of `object` where sizes hold the batch) and the name its tensor would like to have.

    `spread` says that axis 0, of size 1, stands for the whole batch. `base` is the constant that this one transposes.
    """

    array: np.ndarray
    name: str = ""
    spread: bool = False
    base: Const | None = field(default=None, repr=False)

    @property
    def floating(self) -> bool:
        return self.array.dtype.kind == "f"

    def moved(self, array: np.ndarray, how: str) -> Const:
        """Entries of this constant in another arrangement, named after it."""
        if array.shape == self.array.shape and array.dtype == self.array.dtype and array.tobytes() == self.array.tobytes():
            return self
        return Const(array, f"{self.name}.{how}" if self.name else "", self.spread)

    def transposed(self) -> Const:
        """(n, m) as (m, n); twice is the constant itself."""
        return self.base or Const(np.ascontiguousarray(self.array.T), f"{self.name}.T" if self.name else "", base=self)

    def sizes(self) -> list[Size]:
        """The entries, as integers or multiples of the batch."""
        return [v if isinstance(v, Batch) else int(v) for v in self.array.reshape(-1).tolist()]


@dataclass(frozen=True)
class Val:
    """A value of the graph under construction; the batch is on axis 0.

    `bare` says that the file, which is for one example, has no axis for it: it
    says (4, 36) where the graph has (batch, 4, 36). `at` is where the file has it
    otherwise: (time, batch, units) is the graph's (batch, time, units) with `at` 1.
    """

    name: str
    shape: Shape
    dtype: str
    bare: bool = False
    at: int = 0

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def axes(self) -> int:
        """How many axes the file has for it."""
        return len(self.shape) - self.bare

    @property
    def written(self) -> list[int]:
        """Its shape in a file that is for one example."""
        return self.sizes if self.bare else [*self.sizes[: self.at], 1, *self.sizes[self.at :]]

    @property
    def sizes(self) -> list[int]:
        """The sizes of all axes but the batch."""
        return [int(d or 0) for d in self.shape[1:]]


Operand = Const | Val
Answer = Operand | Sequence[Operand | None] | None
