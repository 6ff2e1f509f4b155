"""The relation `x = E y + c` with one entry per row: classes, scales, offsets.

A `Lumping` of n units says `x_i = scale_i * y_class(i) + offset_i`. Class -1 is a
constant unit that may leave: `x_i = offset_i`. Lumpings are kept in normal form:
the first unit of a class stands for it, with scale 1 and offset 0.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from lumpnet.exact import ONE, ZERO, constant_array

GONE = -1


@dataclass(frozen=True, eq=False)
class Lumping:
    """Arrays over units, all of shape (n,): `classes` int64, the rest objects.

    `value[i]` is the constant (Fraction or Surd) that unit i equals, or None; a
    constant unit with a class of its own is a constant kept as a unit.
    """

    classes: np.ndarray
    scale: np.ndarray
    offset: np.ndarray
    value: np.ndarray

    def __len__(self) -> int:
        return len(self.classes)

    @cached_property
    def present(self) -> np.ndarray:
        """Which units have a class (are not constants that may leave)."""
        return np.asarray(self.classes != GONE)

    @cached_property
    def count(self) -> int:
        return int(self.classes.max()) + 1 if len(self.classes) else 0

    @cached_property
    def first(self) -> np.ndarray:
        """The first unit of each class, shape (count,), increasing."""
        units = np.flatnonzero(self.present)
        _, index = np.unique(self.classes[units], return_index=True)
        return units[index]

    @cached_property
    def sizes(self) -> np.ndarray:
        """Number of units in each class, shape (count,)."""
        return np.bincount(self.classes[self.present], minlength=self.count)

    @cached_property
    def is_discrete(self) -> bool:
        return self.count == len(self)

    @cached_property
    def is_plain(self) -> bool:
        """Every unit alone, and none a constant."""
        return self.is_discrete and all(v is None for v in self.value.tolist())

    def same(self, other: Lumping) -> bool:
        """Equal as relations."""
        return self is other or (
            np.array_equal(self.classes, other.classes)
            and bool(np.all(self.scale == other.scale))
            and bool(np.all(self.offset == other.offset))
            and bool(np.all(self.value == other.value))
        )


@lru_cache(maxsize=256)
def discrete(n: int) -> Lumping:
    """Every unit alone: the identity relation."""
    arrays = np.arange(n), constant_array(n, ONE), constant_array(n, ZERO), constant_array(n, None)
    for array in arrays:
        array.flags.writeable = False
    return Lumping(*arrays)


def normal_form(keys: Sequence[Hashable], scale: np.ndarray, offset: np.ndarray, value: np.ndarray) -> Lumping:
    """The lumping whose classes are the equal keys; key None is a constant that may leave.

    `scale` and `offset` are coordinates against any common direction of the class;
    they are re-expressed against its first unit.
    """
    n = len(keys)
    classes, first = _number(keys)
    out_scale, out_offset = constant_array(n, ONE), constant_array(n, ZERO)
    for i in range(n):
        c = classes[i]
        if c == GONE:
            out_scale[i], out_offset[i] = ZERO, value[i]
        elif first[c] != i:
            r = first[c]
            ratio = scale[i] / scale[r]
            out_scale[i], out_offset[i] = ratio, offset[i] - ratio * offset[r]
    return Lumping(classes, out_scale, out_offset, value)


def _number(keys: Iterable[Hashable]) -> tuple[np.ndarray, list[int]]:
    seen: dict[Hashable, int] = {}
    first: list[int] = []
    classes = []
    for i, key in enumerate(keys):
        if key is None:
            classes.append(GONE)
            continue
        if key not in seen:
            seen[key] = len(first)
            first.append(i)
        classes.append(seen[key])
    return np.array(classes, dtype=np.int64), first


def labels(keys: Iterable[Hashable]) -> np.ndarray:
    """Equal keys, equal numbers, in order of first appearance."""
    return _number(("key", key) for key in keys)[0]
