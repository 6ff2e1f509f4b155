"""Float arrays as exact integers on one exponent, and exact weighted sums of their columns.

`Scaled` is an integer array with one common rational factor. Its integers are
int64 while a bit count proves that nothing can overflow, and Python integers otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np

from lumpnet.exact.large import zeros
from lumpnet.exact.numbers import ONE, round_to

_BITS = 62


@dataclass(frozen=True, eq=False)
class Scaled:
    """The exact array `ints * factor`; `ints` is int64 or object, any shape."""

    ints: np.ndarray
    factor: Fraction

    def reshape(self, *shape: int) -> Scaled:
        return Scaled(self.ints.reshape(*shape), self.factor)

    def rounded(self, dtype: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The array in `dtype`, rounded to nearest even; which entries were not exact; which overflowed (and are 0)."""
        out = np.zeros(self.ints.shape, dtype=dtype)
        inexact, overflow = np.zeros(self.ints.shape, dtype=bool), np.zeros(self.ints.shape, dtype=bool)
        slow = np.ones(self.ints.shape, dtype=bool)
        exponent = _power_of_two(self.factor)
        if self.ints.dtype != object and exponent is not None and -900 < exponent < 800:
            wide = self.ints.astype(np.float64)
            slow = wide.astype(np.int64) != self.ints  # more than 53 significant bits
            wide = np.ldexp(wide, exponent)
            with np.errstate(over="ignore"):
                out[~slow] = wide[~slow]
            overflow = ~np.isfinite(out)
            out[overflow] = 0
            inexact = (out.astype(np.float64) != wide) & ~slow
        flat, lost, over = out.reshape(-1), inexact.reshape(-1), overflow.reshape(-1)
        for i in np.flatnonzero(slow.reshape(-1)).tolist():
            q = int(self.ints.reshape(-1)[i]) * self.factor
            value = round_to(q, dtype)
            over[i] = value is None
            flat[i] = value or 0.0
            lost[i] = Fraction(value or 0.0) != q
        return out, inexact, overflow

    def value(self, *index: int) -> Fraction:
        return int(self.ints[index]) * self.factor

    def fractions(self) -> np.ndarray:
        out = np.empty(self.ints.shape, dtype=object)
        out.reshape(-1)[:] = [int(i) * self.factor for i in self.ints.reshape(-1).tolist()]
        return out


def _power_of_two(q: Fraction) -> int | None:
    n, d = q.numerator, q.denominator
    return n.bit_length() - d.bit_length() if n > 0 and n & (n - 1) == 0 and d & (d - 1) == 0 else None


def bits(ints: np.ndarray) -> int:
    """Bits of the largest magnitude."""
    if not ints.size:
        return 0
    return int(max(abs(int(ints.max())), abs(int(ints.min())))).bit_length()


def integers(array: np.ndarray, extra_bits: int = 0) -> Scaled:
    """The exact integers behind a float array; int64 with `extra_bits` to spare, else object.

    `array` is float32 or float64 and finite.
    """
    mantissa_bits = 24 if array.dtype == np.float32 else 53
    mantissa, exponent = np.frexp(array.astype(np.float64, copy=False))
    nonzero = mantissa != 0
    if not nonzero.any():
        return Scaled(np.zeros(array.shape, dtype=np.int64), Fraction(1))
    exponent = exponent - mantissa_bits
    lowest = int(exponent[nonzero].min())
    shift = np.where(nonzero, exponent - lowest, 0)
    whole = np.ldexp(mantissa, mantissa_bits).astype(np.int64)
    factor = Fraction(2) ** lowest
    if int(shift.max()) + mantissa_bits + extra_bits <= _BITS:
        return Scaled(whole << shift.astype(np.int64), factor)
    wide = np.empty(array.shape, dtype=object)
    wide.reshape(-1)[:] = [w << s for w, s in zip(whole.reshape(-1).tolist(), shift.reshape(-1).tolist(), strict=True)]
    return Scaled(wide, factor)


@dataclass(frozen=True, eq=False)
class Merge:
    """Weighted sums of columns: `out[:, k] = sum of scales[j] * array[:, j] over classes[j] == k`.

    classes (n,) int, -1 for columns to leave out; scales (n,) Fraction; `count` sums.
    """

    classes: np.ndarray
    scales: np.ndarray
    count: int

    @cached_property
    def columns(self) -> np.ndarray:
        """The columns that enter, sum by sum."""
        columns = np.flatnonzero(self.classes >= 0)
        return np.asarray(columns[np.argsort(self.classes[columns], kind="stable")])

    @cached_property
    def targets(self) -> np.ndarray:
        return np.asarray(self.classes[self.columns])

    @cached_property
    def denominator(self) -> int:
        return math.lcm(*{self.scales[j].denominator for j in self.columns})

    @cached_property
    def weights(self) -> np.ndarray:
        """The scales of `columns` over the common denominator, Python integers."""
        return np.array([int(self.scales[j] * self.denominator) for j in self.columns] + [0], dtype=object)[:-1]

    @cached_property
    def starts(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The sums that have columns, and where their columns begin; None if every sum is one column, in order."""
        if np.array_equal(self.targets, np.arange(self.count)):
            return None
        present, starts = np.unique(self.targets, return_index=True)
        return present, starts

    @cached_property
    def plain(self) -> bool:
        """Whether the sums are the columns as they are."""
        return self.starts is None and len(self.columns) == len(self.classes) and all(s is ONE or s == 1 for s in self.scales.tolist())

    @cached_property
    def headroom(self) -> int:
        """Bits that a sum can have more than its terms."""
        growth = [1] * max(self.count, 1)
        for weight, target in zip(self.weights.tolist(), self.targets.tolist(), strict=True):
            growth[target] += abs(weight)
        return max(growth).bit_length()

    @cached_property
    def turns(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray | None]] | None:
        """Which column is added to which sum with which factor (None: all 1), first members first, so that no sum occurs twice in a turn.

        None where float64 does not hold every product of a float32 with a scale.
        """
        factors = np.ones(len(self.columns))
        for k, j in enumerate(self.columns.tolist()):
            if self.scales[j] is not ONE and self.scales[j] != 1:
                factor = _narrow(self.scales[j])
                if factor is None:
                    return None
                factors[k] = factor
        begins = np.unique(self.targets, return_index=True)[1] if len(self.targets) else np.zeros(0, dtype=np.int64)
        rank = np.arange(len(self.targets)) - np.repeat(begins, np.diff([*begins, len(self.targets)]))
        by_rank = np.argsort(rank, kind="stable")
        turns = np.split(by_rank, np.cumsum(np.bincount(rank))[:-1]) if len(rank) else []
        return [(self.columns[at], self.targets[at], factors[at][:, None] if (factors[at] != 1).any() else None) for at in turns]

    def floats(self, array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The sums of an array (m, n, taps) in float64, (m, count, taps), and which rows (m,) are exact, by the error-free sum of Knuth (TwoSum).

        A float32 times a scale of `turns` has at most 53 significant bits and an exponent far from float64's ends.
        """
        total, exact = np.zeros((len(array), self.count, array.shape[2])), np.ones(len(array), dtype=bool)
        if array.dtype != np.float32 or self.turns is None:
            return total, ~exact
        for k, (columns, targets, factors) in enumerate(self.turns):
            b = array[:, columns].astype(np.float64)
            if factors is not None:
                b *= factors
            if k == 0:
                total[:, targets] = b
                continue
            a = total[:, targets]
            s = a + b
            part = s - a
            lost = (a - (s - part)) + (b - part)
            exact &= ~lost.any(axis=(1, 2))
            total[:, targets] = s
        total += 0.0  # no negative zeros
        return total, exact

    def apply(self, array: np.ndarray) -> Scaled:
        """The sums of a float array (m, n, taps), exactly: (m, count, taps)."""
        scaled = integers(array[:, self.columns], self.headroom)
        ints = scaled.ints if self.headroom <= _BITS else scaled.ints.astype(object)
        if (self.weights != 1).any():
            ints = ints * self.weights.astype(ints.dtype)[None, :, None]
        if self.starts is not None:
            present, starts = self.starts
            out = np.zeros((len(ints), self.count, *ints.shape[2:]), dtype=ints.dtype)
            if len(present):
                out[:, present] = np.add.reduceat(ints, starts, axis=1)
            ints = out
        return Scaled(ints, scaled.factor / self.denominator)


@dataclass(frozen=True, eq=False)
class Collapsed:
    """The sums of some rows of an array, computed only when they are rounded, a block at a time: bounded memory, narrow exponents."""

    array: np.ndarray
    rows: np.ndarray
    merge: Merge
    shape: tuple[int, ...]
    turned: bool = False

    def reshape(self, *shape: int) -> Collapsed:
        return replace(self, shape=shape)

    def swapped(self) -> Collapsed:
        """The first two axes exchanged in what `rounded` answers."""
        return replace(self, turned=not self.turned)

    def rounded(self, dtype: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `Scaled.rounded`."""
        shape = (len(self.rows), self.merge.count, self.array.shape[2])
        tensor, inexact, overflow = zeros(shape, dtype), np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        step = max(1, _BLOCK // max(1, math.prod(self.array.shape[1:])))
        for i in range(0, len(self.rows), step):
            rows = self.rows[i : i + step]
            block, exact = self.merge.floats(self.array[rows])
            with np.errstate(over="ignore"):
                tensor[i : i + step] = block
            lost = tensor[i : i + step] != block
            if lost.any():  # masks that stay empty cost no memory
                inexact[i : i + step], overflow[i : i + step] = lost, np.isinf(tensor[i : i + step])
            left = np.flatnonzero(~exact)
            if len(left):
                tensor[i + left], inexact[i + left], overflow[i + left] = self.merge.apply(self.array[rows[left]]).rounded(dtype)
        if overflow.any():
            tensor[overflow] = 0
        tensor, inexact, overflow = tensor.reshape(self.shape), inexact.reshape(self.shape), overflow.reshape(self.shape)
        if self.turned:
            return tensor.swapaxes(0, 1), inexact.swapaxes(0, 1), overflow.swapaxes(0, 1)
        return tensor, inexact, overflow


_BLOCK = 1 << 16


def _narrow(scale: Fraction) -> float | None:
    """The scale as a float of at most 29 significant bits and a moderate exponent: a float32 has 24 more, and together they fill a float64."""
    n, d = scale.numerator, scale.denominator
    if d & (d - 1) or n.bit_length() + d.bit_length() > 200 or (n // (n & -n)).bit_length() > 29:
        return None
    return n / d


def multiples(rows: np.ndarray, base: np.ndarray, ratio: Fraction) -> np.ndarray:
    """For integer rows (r, ...) and one base row (...): which rows equal `ratio * base`, exactly."""
    p, q = ratio.numerator, ratio.denominator
    need = max(bits(rows) + q.bit_length(), bits(base) + abs(p).bit_length())
    if need > _BITS:
        rows, base = rows.astype(object), base.astype(object)
    equal = rows * q == (base * p)[None]
    return np.asarray(equal.reshape(len(rows), -1).all(axis=1), dtype=bool)
