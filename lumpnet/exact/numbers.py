"""Rational numbers, square roots of rationals, and correct rounding.

A float *is* a dyadic rational: `Fraction(x)` is exact. Constants that leave a
batch norm live in Q(sqrt(r)); `Surd` holds one of them and decides its sign exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

ZERO, ONE = Fraction(0), Fraction(1)


@dataclass(frozen=True)
class Surd:
    """The irrational number `a + b*sqrt(r)`: b != 0, r > 0 not the square of a rational."""

    a: Fraction
    b: Fraction
    r: Fraction

    def times(self, k: Fraction) -> Fraction | Surd:
        return surd(self.a * k, self.b * k, self.r)

    def plus(self, k: Fraction) -> Surd:
        return Surd(self.a + k, self.b, self.r)

    def sign(self) -> int:
        """-1 or 1, exactly: compare a^2 with b^2 r when a and b disagree."""
        if self.a >= 0 and self.b > 0:
            return 1
        if self.a <= 0 and self.b < 0:
            return -1
        outer = 1 if self.a > 0 else -1
        return outer if self.a * self.a > self.b * self.b * self.r else -outer


Number = Fraction | Surd


def surd(a: Fraction, b: Fraction, r: Fraction) -> Number:
    """`a + b*sqrt(r)` as the simplest number: a `Fraction` whenever it is rational."""
    root = square_root(r)
    if root is not None:
        return a + b * root
    return Surd(a, b, r) if b else a


def square_root(q: Fraction) -> Fraction | None:
    """The rational square root of `q`, or None when there is none."""
    if q < 0:
        return None
    n, d = math.isqrt(q.numerator), math.isqrt(q.denominator)
    return Fraction(n, d) if n * n == q.numerator and d * d == q.denominator else None


class SquareClasses:
    """Positive rationals: `split(v)` is (outer, core) with `v = outer^2 * core`, equal cores only when v / w is the square of a rational.

    Legendre symbols of numerator * denominator are equal within a class (but for
    multiples of the primes), so they sort the values and few pairs are tested exactly.
    """

    def __init__(self) -> None:
        self._cores: dict[tuple[int, ...], list[Fraction]] = {}
        self._known: dict[Fraction, tuple[Fraction, Fraction]] = {}

    def split(self, v: Fraction) -> tuple[Fraction, Fraction]:
        if v not in self._known:
            n = v.numerator * v.denominator
            bucket = self._cores.setdefault(tuple(pow(n, (p - 1) // 2, p) for p in _PRIMES), [ONE])
            outer = core = ONE
            for core in bucket:
                root = square_root(v / core)
                if root is not None:
                    outer = root
                    break
            else:
                core = v
                bucket.append(v)
            self._known[v] = outer, core
        return self._known[v]


def roots(values: Iterable[object]) -> dict[int, tuple[Fraction, Fraction]]:
    """For each `Surd` among `values`, by position: (m, core) with `value = a + m * sqrt(core)`; cores as in `SquareClasses`."""
    squares, found = SquareClasses(), {}
    for i, v in enumerate(values):
        if isinstance(v, Surd):
            outer, core = squares.split(v.r)
            found[i] = v.b * outer, core
    return found


_PRIMES = (1000003, 1000033, 1000037, 1000039, 1000081, 1000099, 1000117, 1000121, 1000133, 1000151, 1000159, 1000171, 1000183, 1000187, 1000193, 1000199)


def sign(x: Number) -> int:
    return x.sign() if isinstance(x, Surd) else (x > 0) - (x < 0)


def compare(x: Number, k: Fraction) -> int:
    """The sign of `x - k`."""
    return sign(x.plus(-k) if isinstance(x, Surd) else x - k)


def fractions(array: np.ndarray) -> np.ndarray:
    """The exact values of a float array, as an object array of `Fraction`, same shape."""
    out = np.empty(array.shape, dtype=object)
    out.reshape(-1)[:] = [Fraction(x) for x in array.reshape(-1).tolist()]
    return out


def constant_array(n: int, value: object) -> np.ndarray:
    """An object array of shape (n,) filled with `value`."""
    out = np.empty(n, dtype=object)
    out[:] = value
    return out


_FORMATS = {"float32": (24, -149, 128), "float64": (53, -1074, 1024)}


def round_to(q: Fraction, dtype: str) -> float | None:
    """`q` rounded to nearest, ties to even, in `dtype`; None where that overflows.

    The result is returned as a Python float, which holds every float32 and float64.
    """
    precision, lowest, highest = _FORMATS[dtype]
    if q == 0:
        return 0.0
    magnitude = abs(q)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    if magnitude < Fraction(2) ** exponent:
        exponent -= 1
    unit = max(exponent - precision + 1, lowest)
    steps = round(magnitude / Fraction(2) ** unit)  # Python's round on a Fraction is half-to-even
    if steps.bit_length() + unit > highest:
        return None
    result = math.ldexp(steps, unit)
    return result if q > 0 else -result
