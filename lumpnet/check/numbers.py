"""Exact arithmetic on stored weights: dyadic integers in arrays, surds, correct rounding.

A float array is written as integers times one power of two, in int64 where the
bit budget of what follows allows it and in Python integers where it does not,
so every sum and comparison below is exact. No tolerance, no Fraction per weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lumpnet.certificate import Real, Surd

Array = np.ndarray[Any, Any]
BUDGET = 62
PRECISION = {"float32": (24, -149), "float64": (53, -1074)}
"""Per dtype: bits of the mantissa, exponent of the smallest positive number."""


def bits(n: int) -> int:
    return abs(n).bit_length()


def dyadic(x: Array, room: int = 0) -> tuple[Array, int]:
    """Integers and one exponent with `x == integers * 2**exponent` exactly; int64 if `room` bits more would still fit, else objects."""
    precision = PRECISION[x.dtype.name][0]
    mantissa, exponent = np.frexp(x)
    whole = np.ldexp(mantissa, precision).astype(np.int64)
    zeros = np.frexp((whole & -whole).astype(np.float64))[1] - 1
    shift: Array = exponent.astype(np.int64) - precision + zeros
    filled = whole != 0
    if not filled.any():
        return whole, 0
    bottom = int(shift[filled].min())
    top = int(exponent[filled].max())
    shift = np.where(filled, shift - bottom, 0)
    whole = whole >> np.where(filled, zeros, 0)
    if top - bottom + room > BUDGET:
        return whole.astype(object) << shift.astype(object), bottom
    return whole << shift, bottom


def segment_sums(x: Array, starts: Array, factors: Array | None) -> tuple[Array, int]:
    """Sums over axis 0 of `factors * x`, each segment from one start to the next; integers and one exponent.

    `x` has shape (units, rows, taps), `factors` Python integers per unit (None: all one).
    """
    longest = int(np.diff(np.append(starts, len(x))).max(initial=0))
    room = bits(longest) + (max(map(bits, factors), default=0) if factors is not None else 0)
    whole, exponent = dyadic(x, room)
    if factors is not None and whole.any():  # zeros have no bits, and room for no factor
        whole = whole * (factors if whole.dtype == object else factors.astype(np.int64))[:, None, None]
    if longest > 1:
        whole = np.add.reduceat(whole, starts, axis=0)
    return whole, exponent


def room_for_sums(x: Array, room: int) -> Array:
    """For which rows of float64 `x` (units, rows, taps), made from float32, sums of integer multiples that need `room` bits more are exact, in any order.

    Every entry of a row is a multiple of q, the last place of its smallest. float64 holds all multiples of q below
    2**53 * q, so no sum or product of this kind is ever rounded.
    """
    size = np.abs(x)
    top, least = size.max(axis=(0, 2), initial=0), size.min(axis=(0, 2), initial=np.inf, where=size > 0)
    least[top == 0], top[top == 0] = 1, 1
    q = np.frexp(least)[1] - PRECISION["float32"][0]
    return np.asarray(np.frexp(top)[1] - q + room <= PRECISION["float64"][0], np.bool_)


def times(x: Array, factors: Array) -> Array:
    """Exact product of integer arrays; `factors` are Python integers, broadcast against `x`."""
    if x.dtype != object and _widest(x) + max(map(bits, factors.flat), default=0) <= BUDGET:
        return np.asarray(x * factors.astype(np.int64))
    return np.asarray(x.astype(object) * factors)


def _widest(x: Array) -> int:
    return max(bits(int(x.max(initial=0))), bits(int(x.min(initial=0))))


def order(x: Array, e: int, y: Array, f: Array) -> Array:
    """The sign of `x*2**e - y*2**f`, entry by entry: x int64 or objects, y int64 or objects, f int64."""
    out = np.zeros(x.shape, np.int64)
    small = np.zeros(x.shape, np.bool_)
    lift: Array = np.where((x == 0) | (y == 0), 0, f - e)
    if x.dtype != object and y.dtype != object:
        up, down = np.clip(lift, 0, BUDGET), np.clip(-lift, 0, BUDGET)
        small = (_lengths(y) + np.maximum(lift, 0) <= BUDGET) & (_lengths(x) - np.minimum(lift, 0) <= BUDGET)
        left, right = np.where(small, x, 0) << np.where(small, down, 0), np.where(small, y, 0) << np.where(small, up, 0)
        out = np.sign(left - right)
    if not small.all():
        rest = ~small
        shift = lift[rest].astype(object)
        left, right = x[rest].astype(object) << np.maximum(-shift, 0), y[rest].astype(object) << np.maximum(shift, 0)
        out[rest] = (left > right).astype(np.int64) - (left < right).astype(np.int64)
    return out


def _lengths(x: Array) -> Array:
    return np.frexp(np.abs(x).astype(np.float64))[1].astype(np.int64)


def misfits(x: Array, e: int, denominators: Array | None, stored: Array, rounding: str) -> Array:
    """Where the finite floats `stored` are not `x * 2**e / denominators`: exactly ("none"), or rounded to nearest, ties to even.

    Nearest is decided by the two midpoints to the neighbouring floats; a value
    beyond the largest float's upper midpoint has no nearest one and never fits.
    """
    precision, least = PRECISION[stored.dtype.name]
    mantissa, exponent = np.frexp(stored)
    power = np.where(stored == 0, least, np.maximum(exponent.astype(np.int64) - precision, least))
    whole = np.abs(np.ldexp(mantissa, exponent - power)).astype(np.int64)  # |stored| == whole * 2**power
    x = np.where(stored < 0, -x, x)

    def against(quarters: Array) -> Array:
        return order(x, e, quarters if denominators is None else times(quarters, denominators), power - 2)

    if rounding == "none":
        return np.asarray(against(4 * whole) != 0)
    above = against(4 * whole + 2)
    below = against(4 * whole - np.where((whole == 1 << (precision - 1)) & (power > least), 1, 2))
    odd = whole % 2 == 1
    return np.asarray((above > 0) | (below < 0) | (((above == 0) | (below == 0)) & odd))


def add_reals(x: Real, y: Real) -> Real | None:
    """The exact sum, or None where it leaves the numbers `a + b*sqrt(r)`."""
    if isinstance(x, Fraction):
        x, y = y, x
    if isinstance(y, Fraction):
        return Surd(x.a + y, x.b, x.r) if isinstance(x, Surd) else x + y
    if not isinstance(x, Surd) or x.r != y.r:
        return None
    return Surd(x.a + y.a, x.b + y.b, x.r) if x.b + y.b else x.a + y.a


def scale_real(factor: Fraction, x: Real) -> Real:
    if isinstance(x, Fraction):
        return factor * x
    return Surd(factor * x.a, factor * x.b, x.r) if factor else Fraction(0)


def sign(x: Fraction) -> int:
    return (x > 0) - (x < 0)


def sign_of_root(a: Fraction, b: Fraction, r: Fraction) -> int:
    """The sign of `a + b*sqrt(r)`, r positive."""
    if sign(a) * sign(b) >= 0:
        return sign(a) or sign(b)
    return sign(a) * sign(a * a - b * b * r)


def compare(x: Real, bound: Fraction) -> int:
    """The sign of `x - bound`."""
    return sign_of_root(x.a - bound, x.b, x.r) if isinstance(x, Surd) else sign(x - bound)


def same(x: Real, y: Real) -> bool:
    """Exact equality of two numbers `a + b*sqrt(r)`."""
    a, b, r = (x.a, x.b, x.r) if isinstance(x, Surd) else (x, Fraction(0), Fraction(1))
    c, d, s = (y.a, y.b, y.r) if isinstance(y, Surd) else (y, Fraction(0), Fraction(1))
    gap = a - c
    if gap == 0:
        return _is_root(b, r, d, s)
    if b == 0:
        return _is_root(gap, Fraction(1), d, s)
    root = (d * d * s - gap * gap - b * b * r) / (2 * gap * b)  # sqrt(r), by (gap + b*sqrt(r))**2 == d*d*s
    return root >= 0 and root * root == r and _is_root(gap + b * root, Fraction(1), d, s)


def _is_root(b: Fraction, r: Fraction, d: Fraction, s: Fraction) -> bool:
    """Whether `b*sqrt(r) == d*sqrt(s)`."""
    return sign(b) == sign(d) and b * b * r == d * d * s


def fractions(x: Array) -> list[Fraction]:
    """The exact values of a one-dimensional float array."""
    return [Fraction(v) for v in x.tolist()]


def shown(x: Real) -> str:
    """The number in at most a line of text; Python spells no integer of more than 4300 digits."""
    if isinstance(x, Surd):
        return f"{shown(x.a)} + {shown(x.b)}*sqrt({shown(x.r)})"
    top, bottom = bits(x.numerator), bits(x.denominator)
    if top + bottom > 1000:
        return f"a fraction of {top} over {bottom} bits"
    text = str(x)
    return text if len(text) <= 60 else f"{text[:57]}..."


def integer_parts(values: Sequence[Fraction]) -> tuple[Array, Array]:
    """Numerators and denominators as arrays of Python integers."""
    top, bottom = np.empty(len(values), object), np.empty(len(values), object)
    for k, value in enumerate(values):
        top[k], bottom[k] = value.numerator, value.denominator
    return top, bottom
