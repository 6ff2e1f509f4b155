"""Padding: at positions copies have the row of what they copy, and a stored value `v` enters every unit, so a row has to map `v` to itself.

Along the unit axis the padding is constant units of value `v`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from lumpnet.certificate import Real
from lumpnet.check.effect import Near, Step
from lumpnet.check.graph import Case, Kind, Node, integer, number
from lumpnet.check.numbers import Array, same
from lumpnet.check.outcome import Refusal
from lumpnet.check.relation import ONE, ZERO, Law, Relation, Rows, Shape, carry
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
        return _units(case, axis, inn, out)
    if case.reduced is not None and case.reduced.attrs["pads"] != attrs["pads"]:
        raise Refusal(case.where, f"the reduced pads are {case.reduced.attrs['pads']}", f"{attrs['pads']}")
    value = Fraction(attrs["value"]) if attrs["mode"] == "constant" else None

    def passes(mine: Law, its: Law, claimed: Law) -> bool:
        scale, offset = relative(mine, its)
        return (scale, offset) == claimed and (value is None or scale * value + offset == value)

    def constant(c: Real, claimed: Real) -> bool:
        return same(c, claimed) and (value is None or same(c, value))

    carry(case.where, inn.rows(), out.rows(), passes, constant)
    return "copies keep their rows" if value is None else "every row maps the padding to itself"


def _units(case: Case, axis: int, inn: Relation, out: Relation) -> str:
    """Constant units around the operand's; the reduced node pads its columns with those of them that are kept."""
    attrs, (before, after) = case.node.attrs, case.node.attrs["pads"][axis - 1]
    if attrs["mode"] != "constant" or any(n for k, pair in enumerate(attrs["pads"]) if k != axis - 1 for n in pair):
        raise Refusal(case.where, f"it pads the unit axis {axis} with copies, or positions with it", "identity lumpings around it")
    rows, claims = inn.rows(), out.rows()
    around = (before, after)

    def widened(array: Array, value: int) -> Array:
        return np.pad(array, around, constant_values=value)

    column = widened(rows.column, int(rows.column.max(initial=-1)) + 1)
    law, laws = widened(rows.law, len(rows.laws)), [*rows.laws, (ZERO, Fraction(attrs["value"]))]
    if case.reduced is not None:
        pads = [list(pair) for pair in case.reduced.attrs["pads"]]
        first, _ = pads[axis - 1]
        pads[axis - 1] = list(around)
        if pads != attrs["pads"]:
            raise Refusal(case.where, f"the reduced pads are {case.reduced.attrs['pads']}", f"those of {attrs['pads']} but for axis {axis}")
        mine = (claims.kept >= first) & (claims.kept < first + inn.columns)
        place = np.where(mine, claims.kept - first, inn.columns)  # one number past the columns: a column of padding
        claims = replace(claims, kept=np.where(claims.kept >= 0, place, -1))
    premise = Rows(column, law, laws, widened(rows.kept, inn.columns), np.arange(len(column)), np.ones(len(column), np.bool_))
    carry(case.where, premise, claims, neutral=False)
    for unit in out.kept().tolist():
        if before <= unit < before + len(rows.law) and rows.laws[rows.law[unit - before]] != (ONE, ZERO):
            raise Refusal(case.where, f"unit {unit} does not read its column by scale 1 and offset 0", "another representative")
    return "constant units around rows that stay"


def _effect(step: Step, ins: Sequence[Near]) -> Near:
    """Copies of entries, or a stored value, in which the networks agree."""
    attrs = step.node.attrs
    x = ins[0].most([axis + 1 for axis, pair in enumerate(attrs["pads"]) if any(pair)])
    value = np.full((1, *[1] * (len(step.node.shape) - 1)), abs(float(attrs["value"])) if attrs["mode"] == "constant" else 0.0)
    return replace(x, size=np.maximum(x.size, step.constants(value, x)))


KINDS = {"pad": Kind(_shape, _pad, attrs={"pads": _pairs, "mode": lambda value: value in _MODES, "value": number}, free=("pads",), effect=_effect)}
