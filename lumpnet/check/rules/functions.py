"""The longer list of functions of one number, in the terms of `elementwise`: what is known of `f(s*u + c)`, and rational values.

A function of which nothing is known passes equal operands. Constants leave where
the value is rational and computed here; functions that are undefined somewhere
are undefined at the same places before and behind every row that passes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from math import ceil, floor, isqrt

from lumpnet.certificate import Real
from lumpnet.check.effect import Bend, Bent
from lumpnet.check.graph import Node, number, somewhere
from lumpnet.check.numbers import sign
from lumpnet.check.relation import ONE, ZERO, Shape
from lumpnet.check.rules.elementwise import HALF, Attrs, Row, exactly, function, odd

_LARGEST_POWER = 8
Rational = Callable[[Attrs, Fraction], Fraction | None]


def _at(value: Rational) -> Callable[[Attrs, Real], Real | None]:
    """A value at rational constants; irrational ones are not followed."""
    return lambda attrs, c: value(attrs, c) if isinstance(c, Fraction) else None


def _only(point: int, result: int) -> Callable[[Attrs, Real], Real | None]:
    return _at(lambda attrs, c: Fraction(result) if c == point else None)


def _even(attrs: Attrs, row: Row) -> Row | None:
    """f(-u) == f(u)."""
    return (ONE, ZERO) if row in ((ONE, ZERO), (-ONE, ZERO)) else None


def _absolute(attrs: Attrs, row: Row) -> Row | None:
    """|s*u| == |s| * |u|."""
    return (abs(row[0]), ZERO) if row[1] == 0 else None


def _sign_row(attrs: Attrs, row: Row) -> Row | None:
    """The sign of a product is the product of signs."""
    return (Fraction(sign(row[0])), ZERO) if row[1] == 0 and row[0] != 0 else None


def _inverse(attrs: Attrs, row: Row) -> Row | None:
    return (1 / row[0], ZERO) if row[1] == 0 and row[0] != 0 else None


def _ramp_row(attrs: Attrs, row: Row) -> Row | None:
    """A ramp that is 1/2 at 0 is 1 minus itself in the mirror."""
    return (-ONE, ONE) if row == (-ONE, ZERO) and Fraction(attrs["beta"]) == HALF else exactly(attrs, row)


def _exponent(attrs: Attrs) -> int | None:
    value = Fraction(attrs["exponent"])
    return value.numerator if value.denominator == 1 and abs(value) <= _LARGEST_POWER else None


def _power_row(attrs: Attrs, row: Row) -> Row | None:
    """(s*u)**n == s**n * u**n for whole n."""
    n = _exponent(attrs)
    if n is None:
        return exactly(attrs, row)
    return (row[0] ** n, ZERO) if row[1] == 0 and row[0] != 0 else None


def _power(attrs: Attrs, c: Fraction) -> Fraction | None:
    n = _exponent(attrs)
    return None if n is None or (c == 0 and n < 0) else Fraction(c**n)


def _square_root(attrs: Attrs, c: Fraction) -> Fraction | None:
    if c < 0:
        return None
    root = Fraction(isqrt(c.numerator), isqrt(c.denominator))
    return root if root * root == c else None


def _positive_part_known(attrs: Attrs, c: Fraction) -> Fraction | None:
    return c if c >= 0 else None


def _beyond_threshold(attrs: Attrs, c: Fraction) -> Fraction | None:
    return c if Fraction(attrs["beta"]) * c > Fraction(attrs["threshold"]) else None


def _hardswish(attrs: Attrs, c: Fraction) -> Fraction:
    return c if c >= 3 else ZERO if c <= -3 else c * (c + 3) / 6


def _ramp_middle(attrs: Attrs, c: Fraction) -> Fraction | None:
    return sorted((ZERO, Fraction(attrs["beta"]), ONE))[1] if c == 0 else None


def _roots_or_divides(node: Node, ins: list[Shape]) -> bool:
    """Powers but the whole ones from 0."""
    exponent = Fraction(node.attrs["exponent"])
    return exponent.denominator != 1 or exponent < 0


def _divides_by(name: str) -> Callable[[Node, list[Shape]], bool]:
    return lambda node, ins: node.attrs[name] == 0


def _ramp(attrs: Attrs) -> Bend:
    return Bend(abs(attrs["alpha"]), at_zero=min(max(float(attrs["beta"]), 0.0), 1.0), most=1.0)


KINDS = {
    "abs": function(_absolute, _at(lambda attrs, c: abs(c)), Bent(Bend())),
    "sign": function(_sign_row, _at(lambda attrs, c: Fraction(sign(c)))),
    "exp": function(exactly, _only(0, 1)),
    "log": replace(function(exactly, _only(1, 0)), partial=somewhere),
    "sqrt": replace(function(exactly, _at(_square_root)), partial=somewhere),
    "reciprocal": replace(function(_inverse, _at(lambda attrs, c: 1 / c if c else None)), partial=somewhere),
    "erf": function(odd, _only(0, 0), Bent(Bend(1.1284, most=1.0))),
    "sin": function(odd, _only(0, 0), Bent(Bend(most=1.0))),
    "cos": function(_even, _only(0, 1), Bent(Bend(at_zero=1.0, most=1.0))),
    "softsign": function(odd, _at(lambda attrs, c: c / (1 + abs(c))), Bent(Bend(most=1.0))),
    "elu": function(exactly, _at(_positive_part_known), Bent(lambda attrs: Bend(max(1.0, abs(attrs["alpha"])))), alpha=number),
    "selu": function(exactly, _only(0, 0), Bent(Bend(1.7581))),
    "celu": replace(function(exactly, _at(_positive_part_known), alpha=number), partial=_divides_by("alpha")),
    "softplus": replace(function(exactly, _at(_beyond_threshold), beta=number, threshold=number), partial=_divides_by("beta")),
    "hardswish": function(exactly, _at(_hardswish), Bent(Bend(1.5, gain=1.0))),
    "hardsigmoid": function(_ramp_row, _at(_ramp_middle), Bent(_ramp), alpha=number, beta=number),
    "mish": function(exactly, _only(0, 0), Bent(Bend(1.0885, gain=1.0))),
    "logsigmoid": function(exactly, _at(lambda attrs, c: None), Bent(Bend(at_zero=0.6932))),
    "floor": function(exactly, _at(lambda attrs, c: Fraction(floor(c)))),
    "ceil": function(exactly, _at(lambda attrs, c: Fraction(ceil(c)))),
    "round": function(odd, _at(lambda attrs, c: Fraction(round(c)))),
    "pow": replace(function(_power_row, _at(_power), exponent=number), partial=_roots_or_divides),
}
