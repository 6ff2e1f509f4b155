"""The relation `x = E y + c` with one entry per row: classes, scales, offsets.

A `Lumping` of n units says `x_i = scale_i * y_class(i) + offset_i`. Class -1 is a
constant unit that may leave: `x_i = offset_i`. Lumpings are kept in normal form:
the first unit of a class stands for it, with scale 1 and offset 0.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache

import numpy as np

from lumpnet.exact import ONE, ZERO, Surd, constant_array

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
    def moved(self) -> np.ndarray:
        """Which units have an offset, shape (n,)."""
        return np.array([o is not ZERO and o != 0 for o in self.offset.tolist()], dtype=bool)

    @cached_property
    def irrational(self) -> np.ndarray:
        """Which units equal an irrational constant, shape (n,)."""
        return np.array([isinstance(v, Surd) for v in self.value.tolist()], dtype=bool)

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
            and all(a is b or a.tolist() == b.tolist() for a, b in ((self.scale, other.scale), (self.offset, other.offset), (self.value, other.value)))
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
            out_scale[i], out_offset[i] = _against(scale[i], offset[i], scale[r], offset[r])
    return Lumping(classes, out_scale, out_offset, value)


def split(x: Lumping, label: np.ndarray) -> Lumping:
    """The classes of `x`, those units apart that have different labels (n,) int."""
    units = np.flatnonzero(x.present)
    classes, scale, offset = x.classes.copy(), x.scale, x.offset
    classes[units] = joint(x.classes[units], label[units])
    first = np.zeros(classes.max(initial=-1) + 1, dtype=np.int64)
    first[classes[units][::-1]] = units[::-1]
    moved = units[first[classes[units]] != x.first[x.classes[units]]]
    if len(moved):
        scale, offset = scale.copy(), offset.copy()
    for i, r in zip(moved.tolist(), first[classes[moved]].tolist(), strict=True):
        scale[i], offset[i] = _against(x.scale[i], x.offset[i], x.scale[r], x.offset[r])
    return Lumping(classes, scale, offset, x.value)


def _against(scale: Fraction, offset: Fraction, its: Fraction, moved: Fraction) -> tuple[Fraction, Fraction]:
    """`scale y + offset` as a multiple of `its y + moved`, and what is left."""
    ratio = ONE if scale is its else _ratio(scale, its)
    if moved is ZERO or not moved:
        return ratio, offset
    return ratio, offset - ratio * moved


@lru_cache(maxsize=1 << 16)
def _ratio(a: Fraction, b: Fraction) -> Fraction:
    """The quotient, the same object for the same numbers: comparing begins with identity."""
    return ONE if a == b else a / b


def joint(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Integers (n,), equal where both arrays (n,) of integers are, numbered in order of first appearance."""
    if not len(a):
        return np.zeros(0, dtype=np.int64)
    width = int(b.max()) - int(b.min()) + 1
    _, first, inverse = np.unique((a - a.min()) * width + (b - b.min()), return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return np.asarray(rank[inverse.reshape(-1)])


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
