"""Functions of one number, one line each: values in doubles, rational values, and which rows pass.

A row that passes is `f(s u + c) = t f(u) + d` for every u (and where f has no value on one side it has none
on the other). What is known of a function is its symmetry; unknown ones pass equal rows only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from lumpnet.errors import NoExactValue
from lumpnet.exact import ONE, ZERO, Number, Surd, sign
from lumpnet.ops.base import Site
from lumpnet.ops.registry import register
from lumpnet.ops.unary import Elementwise, Image

Attrs = Mapping[str, Any]
Row = Callable[[Attrs, Fraction, Fraction], Image]
Value = Callable[[Attrs, Fraction], Fraction | None]
HALF = Fraction(1, 2)
MAX_POWER = 8
"""Whole exponents up to here have rational values and pass scales."""
MAX_BITS = 512
"""Longer numbers are not raised to a power: nobody could write the result down."""


@dataclass(frozen=True)
class Function:
    """`doubles(attrs, x)` on arrays; `exact(attrs, c)` where that is rational and known; `row(attrs, scale, offset)` as `Unary.row`."""

    doubles: Callable[[Attrs, np.ndarray], Any]
    exact: Value
    row: Row


# -- rows ---------------------------------------------------------------------------------


def plain(attrs: Attrs, scale: Fraction, offset: Fraction) -> Image:
    """Equal operands give equal outputs."""
    return (scale, offset), ONE, ZERO


def odd(attrs: Attrs, scale: Fraction, offset: Fraction) -> Image:
    return (abs(scale), offset / scale), ONE if scale > 0 else -ONE, ZERO


def even(attrs: Attrs, scale: Fraction, offset: Fraction) -> Image:
    return (abs(scale), offset / scale), ONE, ZERO


def of_sign(attrs: Attrs, scale: Fraction, offset: Fraction) -> Image:
    return offset / scale, ONE if scale > 0 else -ONE, ZERO


def mirrored(attrs: Attrs, scale: Fraction, offset: Fraction) -> Image:
    """About 1/2, where the middle of the ramp is there."""
    if attrs["beta"] != HALF:
        return plain(attrs, scale, offset)
    return (abs(scale), offset / scale), *((ONE, ZERO) if scale > 0 else (-ONE, ONE))


def absolute(attrs: Attrs, scale: Fraction, offset: Fraction) -> Image:
    return offset / scale, abs(scale), ZERO


def inverse(attrs: Attrs, scale: Fraction, offset: Fraction) -> Image:
    return offset / scale, 1 / scale, ZERO


def power(attrs: Attrs, scale: Fraction, offset: Fraction) -> Image:
    n = whole(attrs["exponent"])
    return plain(attrs, scale, offset) if n is None or long(scale) else (offset / scale, scale**n, ZERO)


def whole(exponent: float) -> int | None:
    return int(exponent) if exponent == int(exponent) and abs(exponent) <= MAX_POWER else None


def long(c: Fraction) -> bool:
    return c.numerator.bit_length() + c.denominator.bit_length() > MAX_BITS


# -- rational values ----------------------------------------------------------------------


def nowhere(attrs: Attrs, c: Fraction) -> None:
    return None


def at(point: int, value: int) -> Value:
    return lambda attrs, c: Fraction(value) if c == point else None


def _reciprocal(attrs: Attrs, c: Fraction) -> Fraction | None:
    return 1 / c if c else None


def _root(attrs: Attrs, c: Fraction) -> Fraction | None:
    if c < 0:
        return None
    top, bottom = math.isqrt(c.numerator), math.isqrt(c.denominator)
    return Fraction(top, bottom) if top * top == c.numerator and bottom * bottom == c.denominator else None


def _unchanged_above_zero(attrs: Attrs, c: Fraction) -> Fraction | None:
    return c if c >= 0 else None


def _softplus(attrs: Attrs, c: Fraction) -> Fraction | None:
    return c if c * Fraction(attrs["beta"]) > Fraction(attrs["threshold"]) else None


def _hardswish(attrs: Attrs, c: Fraction) -> Fraction:
    return c * min(max(c + 3, ZERO), Fraction(6)) / 6


def _hardsigmoid(attrs: Attrs, c: Fraction) -> Fraction | None:
    """Only in the middle: the slope is stored rounded, as 1/6 is."""
    return min(max(Fraction(attrs["beta"]), ZERO), ONE) if c == 0 else None


def _pow(attrs: Attrs, c: Fraction) -> Fraction | None:
    n = whole(attrs["exponent"])
    return None if n is None or (n < 0 and c == 0) or long(c) else Fraction(c**n)


# -- doubles ------------------------------------------------------------------------------


def _elu(alpha: float, x: np.ndarray, width: float = 1.0) -> Any:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / width))


def _log1pexp(x: np.ndarray) -> Any:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _thresholded(a: Attrs, x: np.ndarray) -> Any:
    z = x * a["beta"]
    return np.where(z > a["threshold"], x, _log1pexp(z) / a["beta"])


SELU = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946

FUNCTIONS: dict[str, Function] = {
    "abs": Function(lambda a, x: np.abs(x), lambda a, c: abs(c), absolute),
    "sign": Function(lambda a, x: np.sign(x), lambda a, c: Fraction(sign(c)), of_sign),
    "exp": Function(lambda a, x: np.exp(x), at(0, 1), plain),
    "log": Function(lambda a, x: np.log(x), at(1, 0), plain),
    "sqrt": Function(lambda a, x: np.sqrt(x), _root, plain),
    "reciprocal": Function(lambda a, x: 1 / x, _reciprocal, inverse),
    "erf": Function(lambda a, x: np.vectorize(math.erf, otypes=[float])(x), at(0, 0), odd),
    "sin": Function(lambda a, x: np.sin(x), at(0, 0), odd),
    "cos": Function(lambda a, x: np.cos(x), at(0, 1), even),
    "softsign": Function(lambda a, x: x / (1 + np.abs(x)), lambda a, c: c / (1 + abs(c)), odd),
    "elu": Function(lambda a, x: _elu(a["alpha"], x), _unchanged_above_zero, plain),
    "selu": Function(lambda a, x: SELU[1] * _elu(SELU[0], x), at(0, 0), plain),
    "celu": Function(lambda a, x: _elu(a["alpha"], x, a["alpha"]), _unchanged_above_zero, plain),
    "softplus": Function(_thresholded, _softplus, plain),
    "hardswish": Function(lambda a, x: x * np.clip(x + 3, 0, 6) / 6, _hardswish, plain),
    "hardsigmoid": Function(lambda a, x: np.clip(a["alpha"] * x + a["beta"], 0, 1), _hardsigmoid, mirrored),
    "mish": Function(lambda a, x: x * np.tanh(_log1pexp(x)), at(0, 0), plain),
    "logsigmoid": Function(lambda a, x: -_log1pexp(-x), nowhere, plain),
    "floor": Function(lambda a, x: np.floor(x), lambda a, c: Fraction(math.floor(c)), plain),
    "ceil": Function(lambda a, x: np.ceil(x), lambda a, c: Fraction(math.ceil(c)), plain),
    "round": Function(lambda a, x: np.round(x), lambda a, c: Fraction(round(c)), odd),
    "pow": Function(lambda a, x: np.power(x, float(a["exponent"])), _pow, power),
}


class Pointwise(Elementwise):
    """One function of the table."""

    function: Function

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        """Where a function has no value, doubles say NaN or infinity."""
        if xs[0].dtype == object:
            return np.asarray(np.frompyfunc(lambda c: self._exactly(site, c), 1, 1)(xs[0]), dtype=object)
        with np.errstate(all="ignore"):
            return np.asarray(self.function.doubles(site.attrs, xs[0]))

    def _exactly(self, site: Site, c: Fraction) -> Fraction:
        found = self.function.exact(site.attrs, Fraction(c))
        if found is None:
            raise NoExactValue(site.node.name, f"{self.kind} of {c} has no rational value that is known")
        return found

    def row(self, site: Site, unit: int, scale: Fraction, offset: Fraction) -> Image:
        return self.function.row(site.attrs, scale, offset)

    def constant(self, site: Site, unit: int, c: Number) -> Number | None:
        return None if isinstance(c, Surd) else self.function.exact(site.attrs, c)


for _kind, _function in FUNCTIONS.items():
    register(type(_kind, (Pointwise,), {"kind": _kind, "function": _function}))
