"""Float arrays as exact integers on one exponent, and exact weighted sums of their columns.

`Scaled` is an integer array with one common rational factor. Its integers are
int64 while a bit count proves that nothing can overflow, and Python integers otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from lumpnet.exact.numbers import round_to

_BITS = 62


@dataclass(frozen=True, eq=False)
class Scaled:
    """The exact array `ints * factor`; `ints` is int64 or object, any shape."""

    ints: np.ndarray
    factor: Fraction

    def reshape(self, *shape: int) -> Scaled:
        return Scaled(self.ints.reshape(*shape), self.factor)

    def value(self, *index: int) -> Fraction:
        return int(self.ints[index]) * self.factor

    def fractions(self) -> np.ndarray:
        out = np.empty(self.ints.shape, dtype=object)
        out.reshape(-1)[:] = [int(i) * self.factor for i in self.ints.reshape(-1).tolist()]
        return out


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


def collapse(array: np.ndarray, classes: np.ndarray, scales: np.ndarray, count: int) -> Scaled:
    """`out[:, k] = sum of scales[j] * array[:, j] over classes[j] == k`, exactly.

    array (m, n, taps) float; classes (n,) int with -1 for columns to leave out;
    scales (n,) Fraction; the result is (m, count, taps).
    """
    columns = np.flatnonzero(classes >= 0)
    columns = columns[np.argsort(classes[columns], kind="stable")]
    chosen = classes[columns]
    denominator = math.lcm(*(scales[j].denominator for j in columns)) if len(columns) else 1
    weights = [int(scales[j] * denominator) for j in columns]
    plain = all(w == 1 for w in weights)
    headroom = max((w.bit_length() for w in weights), default=0) + len(columns).bit_length()
    scaled = integers(array[:, columns], 0 if plain and len(columns) == count else headroom)
    ints = scaled.ints
    if not plain:
        if ints.dtype != object:
            ints = ints * np.array(weights, dtype=np.int64)[None, :, None]
        else:
            ints = ints * np.array(weights, dtype=object)[None, :, None]
    if len(columns) != count or not np.array_equal(chosen, np.arange(count)):
        ints = _sums(ints, chosen, count)
    return Scaled(ints, scaled.factor / denominator)


def _sums(ints: np.ndarray, classes: np.ndarray, count: int) -> np.ndarray:
    out = np.zeros((ints.shape[0], count, *ints.shape[2:]), dtype=ints.dtype)
    if len(classes):
        present, starts = np.unique(classes, return_index=True)
        out[:, present] = np.add.reduceat(ints, starts, axis=1)
    return out


def multiples(rows: np.ndarray, base: np.ndarray, ratio: Fraction) -> np.ndarray:
    """For integer rows (r, ...) and one base row (...): which rows equal `ratio * base`, exactly."""
    p, q = ratio.numerator, ratio.denominator
    need = max(bits(rows) + q.bit_length(), bits(base) + abs(p).bit_length())
    if need > _BITS:
        rows, base = rows.astype(object), base.astype(object)
    equal = rows * q == (base * p)[None]
    return np.asarray(equal.reshape(len(rows), -1).all(axis=1), dtype=bool)


def rounded(exact: Scaled, dtype: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The array in `dtype`, rounded to nearest even; which entries were not exact; which overflowed (and are 0)."""
    target = np.dtype(dtype)
    power = exact.factor
    dyadic = power.denominator & (power.denominator - 1) == 0 and power.numerator & (power.numerator - 1) == 0
    exponent = power.numerator.bit_length() - power.denominator.bit_length()
    if exact.ints.dtype != object and dyadic and bits(exact.ints) <= 53 and -1000 < exponent < 900:
        wide = np.ldexp(exact.ints.astype(np.float64), exponent)
        with np.errstate(over="ignore"):
            narrow = wide.astype(target)
        overflow = ~np.isfinite(narrow)
        narrow[overflow] = 0
        return narrow, narrow.astype(np.float64) != wide, overflow
    out = np.zeros(exact.ints.shape, dtype=target)
    flat, inexact, overflow = out.reshape(-1), np.zeros(out.size, dtype=bool), np.zeros(out.size, dtype=bool)
    for i, whole in enumerate(exact.ints.reshape(-1).tolist()):
        q = int(whole) * power
        value = round_to(q, dtype)
        overflow[i] = value is None
        flat[i] = value or 0.0
        inexact[i] = Fraction(value or 0.0) != q
    return out, inexact.reshape(out.shape), overflow.reshape(out.shape)
