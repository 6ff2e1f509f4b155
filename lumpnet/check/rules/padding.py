"""Padding of positions: copies have the row of what they copy; a stored value `v` enters every unit, so a row has to map `v` to itself."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from lumpnet.certificate import Real
from lumpnet.check.graph import Case, Kind, Node, integer, number
from lumpnet.check.numbers import same
from lumpnet.check.outcome import Refusal
from lumpnet.check.relation import Law, Shape, carry
from lumpnet.check.rules.elementwise import relative

_MODES = ("constant", "reflect", "replicate", "circular")


def _pairs(value: Any) -> bool:
    good = integer(0)
    return isinstance(value, list) and all(isinstance(pair, list) and len(pair) == 2 and all(map(good, pair)) for pair in value)


def _shape(node: Node, ins: list[Shape]) -> Shape:
    (x,), pads, mode = ins, node.attrs["pads"], node.attrs["mode"]
    if len(pads) != len(x) - 1:
        raise ValueError(f"{len(pads)} pairs for an input of shape {x}")
    sizes = [n or 0 for n in x[1:]]
    for n, pair in zip(sizes, pads, strict=True):
        copies = {"constant": None, "reflect": n - 1, "circular": n, "replicate": None if n else 0}[mode]
        if copies is not None and max(pair) > max(copies, 0):
            raise ValueError(f"{mode} padding {pair} of an axis of size {n}")
    return (x[0], *(n + sum(pair) for n, pair in zip(sizes, pads, strict=True)))


def _pad(case: Case) -> str:
    attrs = case.node.attrs
    axis = next((r.axis for r in (case.out, *case.ins) if r.axis is not None), len(case.node.shape) - 1)
    inn, out = case.ins[0].on(axis, case.where), case.out.on(axis, case.where)
    if any(attrs["pads"][axis - 1]):
        raise Refusal(case.where, f"it pads the unit axis {axis}", "padded positions, or identity lumpings around it")
    value = Fraction(attrs["value"]) if attrs["mode"] == "constant" else None

    def passes(mine: Law, its: Law, claimed: Law) -> bool:
        scale, offset = relative(mine, its)
        return (scale, offset) == claimed and (value is None or scale * value + offset == value)

    def constant(c: Real, claimed: Real) -> bool:
        return same(c, claimed) and (value is None or same(c, value))

    carry(case.where, inn.rows(), out.rows(), passes, constant)
    return "copies keep their rows" if value is None else "every row maps the padding to itself"


KINDS = {"pad": Kind(_shape, _pad, attrs={"pads": _pairs, "mode": lambda value: value in _MODES, "value": number})}
