"""Arithmetic on float64 arrays that errs outward: one rounded operation and one step to the next float.

An operation of IEEE arithmetic answers the float nearest to the real result, so
the next float beyond it is beyond the result; that holds for results that
underflow, and where they overflow infinity is beyond them. Nothing here answers NaN
on finite operands; callers refuse infinities (`finite`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lumpnet.errors import NoBound

Array = np.ndarray[Any, Any]
Numbers = Array | float | int


@dataclass(frozen=True, eq=False)
class Range:
    """`lo <= x <= hi` for every entry of a value, in the value's shape without batch."""

    lo: Array
    hi: Array

    @property
    def most(self) -> Array:
        """A bound on |x|."""
        return np.maximum(np.abs(self.lo), np.abs(self.hi))


def add_up(a: Numbers, b: Numbers) -> Array:
    total = np.add(a, b)
    return np.where(_zero(a) | _zero(b) | _zero(total), total, np.nextafter(total, np.inf))  # a sum is 0 only exactly


def add_down(a: Numbers, b: Numbers) -> Array:
    return -add_up(np.negative(a), np.negative(b))


def mul_up(a: Numbers, b: Numbers) -> Array:
    product = np.multiply(a, b)
    return np.where(_zero(a) | _zero(b), 0.0, np.nextafter(product, np.inf))


def mul_down(a: Numbers, b: Numbers) -> Array:
    return -mul_up(np.negative(a), b)


def div_up(a: Numbers, b: Numbers) -> Array:
    """b is not zero."""
    return np.where(_zero(a), 0.0, np.nextafter(np.divide(a, b), np.inf))


def div_down(a: Numbers, b: Numbers) -> Array:
    return -div_up(np.negative(a), b)


def total_up(*terms: Numbers) -> Array:
    """A bound above the sum of these terms."""
    out = np.asarray(terms[0], dtype=np.float64)
    for term in terms[1:]:
        out = add_up(out, term)
    return out


def plus(x: Range, y: Range) -> Range:
    return Range(add_down(x.lo, y.lo), add_up(x.hi, y.hi))


def times(x: Range, y: Range) -> Range:
    corners = [(a, b) for a in (x.lo, x.hi) for b in (y.lo, y.hi)]
    return Range(np.minimum.reduce([mul_down(a, b) for a, b in corners]), np.maximum.reduce([mul_up(a, b) for a, b in corners]))


def over(x: Range, divisor: Array) -> Range:
    """x divided by numbers that are not zero."""
    ends = (x.lo, x.hi)
    return Range(np.minimum.reduce([div_down(a, divisor) for a in ends]), np.maximum.reduce([div_up(a, divisor) for a in ends]))


def point(x: Numbers) -> Range:
    """A number that is known exactly."""
    return Range(np.asarray(x, dtype=np.float64), np.asarray(x, dtype=np.float64))


def finite(where: str, *arrays: Array) -> None:
    """Raises `NoBound` for an infinity: no statement is made with one."""
    if not all(np.isfinite(a).all() for a in arrays):
        raise NoBound(where, "its bound is beyond the floats that bounds are computed in", "values of moderate size", "a smaller domain")


def gradual() -> None:
    """Raises `NoBound` where this process flushes subnormal numbers to zero, which the proofs here exclude."""
    least = np.nextafter(np.zeros(2), 1.0)
    if not (least * 1.0 > 0).all() or not (least + least > least).all() or not (np.full(2, 2.0**-1022) * 0.5 > 0).all():
        raise NoBound("this process", "it flushes subnormal numbers to zero", "gradual underflow", "torch.set_flush_denormal(False)")


def _zero(x: Numbers) -> Any:
    return np.equal(x, 0)
