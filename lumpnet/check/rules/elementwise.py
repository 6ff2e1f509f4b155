"""Functions of one number, `y = f(x)`: which rows pass, and what constants become.

A row that passes is `f(s*u + c) == t*f(u) + d` for all real u. A rule here says
for which (s, c) it knows (t, d); a constant needs a rational `f(c)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from lumpnet.certificate import Real
from lumpnet.check.effect import Bend, Bent, Rule
from lumpnet.check.effect import same as unchanged
from lumpnet.check.graph import Case, Kind, Node, number
from lumpnet.check.numbers import compare, same, scale_real
from lumpnet.check.relation import ONE, ZERO, Law, Shape, carry

Row = tuple[Fraction, Fraction]
HALF = Fraction(1, 2)
Attrs = Mapping[str, Any]


def exactly(attrs: Attrs, row: Row) -> Row | None:
    return row if row == (ONE, ZERO) else None


def _any_row(attrs: Attrs, row: Row) -> Row | None:
    return row


def _positive(attrs: Attrs, row: Row) -> Row | None:
    return row if row[0] > 0 and row[1] == 0 else None


def odd(attrs: Attrs, row: Row) -> Row | None:
    return row if row[0] in (1, -1) and row[1] == 0 else None


def _mirrored(attrs: Attrs, row: Row) -> Row | None:
    """sigmoid(-u) == 1 - sigmoid(u)."""
    return (-ONE, ONE) if row == (-ONE, ZERO) else exactly(attrs, row)


def _clip_row(attrs: Attrs, row: Row) -> Row | None:
    return (odd if attrs["min"] == -attrs["max"] else exactly)(attrs, row)


def _same_value(attrs: Attrs, c: Real) -> Real | None:
    return c


def _rectified(attrs: Attrs, c: Real) -> Real | None:
    return c if compare(c, ZERO) > 0 else ZERO


def _leaky(attrs: Attrs, c: Real) -> Real | None:
    return c if compare(c, ZERO) >= 0 else scale_real(Fraction(attrs["slope"]), c)


def _clipped(attrs: Attrs, c: Real) -> Real | None:
    low, high = Fraction(attrs["min"]), Fraction(attrs["max"])
    return low if compare(c, low) <= 0 else high if compare(c, high) >= 0 else c


def _at_zero(value: Fraction) -> Callable[[Attrs, Real], Real | None]:
    return lambda attrs, c: value if same(c, ZERO) else None


def relative(member: Law, rep: Law) -> Row:
    """The member as a row over its representative: x_i = s * x_R + c."""
    s: Fraction = member[0] / rep[0]
    return s, member[1] - s * rep[1]


def function(
    row: Callable[[Attrs, Row], Row | None], value: Callable[[Attrs, Real], Real | None], effect: Rule | None = None, **attrs: Callable[[Any], bool]
) -> Kind:
    def oblige(case: Case) -> str:
        axis = next((r.axis for r in (case.out, *case.ins) if r.axis is not None), len(case.node.shape) - 1)
        inn, out = case.ins[0].on(axis, case.where), case.out.on(axis, case.where)

        def passes(mine: Law, its: Law, claimed: Law) -> bool:
            return row(case.node.attrs, relative(mine, its)) == claimed

        def constant(c: Real, claimed: Real) -> bool:
            result = value(case.node.attrs, c)
            return result is not None and same(result, claimed)

        carry(case.where, inn.rows(), out.rows(), passes, constant)
        return "every row passes the function"

    def shape(node: Node, ins: list[Shape]) -> Shape:
        if "min" in node.attrs and node.attrs["min"] > node.attrs["max"]:
            raise ValueError("min above max")
        return ins[0]

    return Kind(shape, oblige, attrs=attrs, effect=effect)


def _limited(attrs: Attrs) -> Bend:
    low, high = float(attrs["min"]), float(attrs["max"])
    return Bend(at_zero=max(low, -high, 0.0), most=max(abs(low), abs(high)))


KINDS = {
    "identity": function(_any_row, _same_value, unchanged),
    "dropout": function(_any_row, _same_value, unchanged, p=number),
    "relu": function(_positive, _rectified, Bent(Bend())),
    "leaky_relu": function(_positive, _leaky, Bent(lambda attrs: Bend(max(1.0, abs(attrs["slope"])))), slope=number),
    "tanh": function(odd, _at_zero(ZERO), Bent(Bend(most=1.0))),
    "sigmoid": function(_mirrored, _at_zero(HALF), Bent(Bend(0.25, at_zero=0.5, most=1.0))),
    "silu": function(exactly, _at_zero(ZERO), Bent(Bend(1.1, gain=1.0))),
    "gelu": function(exactly, _at_zero(ZERO), Bent(Bend(1.13, gain=1.0)), approximate=lambda value: value in ("none", "tanh")),
    "hardtanh": function(_clip_row, _clipped, Bent(_limited), min=number, max=number),
}
