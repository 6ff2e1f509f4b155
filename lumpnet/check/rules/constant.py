"""A value that ignores its input: one stored number a unit, the same at every position."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from lumpnet.certificate import Surd
from lumpnet.check.effect import Near, Step
from lumpnet.check.graph import DTYPES, Case, Counterpart, Kind, Node, integer, integers
from lumpnet.check.numbers import fractions, integer_parts, misfits, shown
from lumpnet.check.outcome import Refusal
from lumpnet.check.relation import Shape


def _shape(node: Node, ins: list[Shape]) -> Shape:
    shape, axis, value = node.attrs["shape"], node.attrs["axis"], node.params["value"].data
    if axis > len(shape) or value.shape != (shape[axis - 1],):
        raise ValueError(f"a value of shape {value.shape} on axis {axis} of {shape}")
    return (ins[0][0], *shape)


def any_input(case: Case) -> Counterpart:
    """The counterpart reads the size of the batch and nothing else, so it may read any value."""
    return ("constant",), None


def _constant(case: Case) -> str:
    """`v_i = scale_i * v_R + offset_i`, and the reduced value is that of the representatives."""
    out = case.out.on(case.node.attrs["axis"], case.where)
    value = _values(case.node)
    for unit, rep in zip(*(a.tolist() for a in out.members()), strict=True):
        if value[unit] != out.scale_of(unit) * value[rep] + _rational(case, out.offset_of(unit)):
            raise Refusal(
                case.where,
                f"unit {unit} is {shown(value[unit])}",
                f"{shown(out.scale_of(unit))} times unit {rep}, {shown(value[rep])}, plus {shown(out.offset_of(unit))}",
            )
    for unit in out.constants().tolist():
        if value[unit] != _rational(case, out.offset_of(unit)):
            raise Refusal(case.where, f"unit {unit} is {shown(value[unit])}", f"the constant {shown(out.offset_of(unit))} that is claimed")
    if case.reduced is not None:
        reps = out.kept().tolist()
        tops, bottoms = integer_parts([value[rep] for rep in reps])
        stored = case.counterpart.params["value"].data
        bad = np.flatnonzero(misfits(tops, 0, bottoms, stored, case.rounding))
        if len(bad):
            raise Refusal(case.where, f"the reduced value of column {bad[0]} is {stored[bad[0]]!r}", shown(value[reps[bad[0]]]))
        case.exact["value"] = ~misfits(tops, 0, bottoms, stored, "none")
    return "stored numbers"


def _values(node: Node) -> list[Fraction]:
    return fractions(node.params["value"].data)


def _rational(case: Case, offset: Fraction | Surd) -> Fraction:
    if isinstance(offset, Surd):
        raise Refusal(case.where, "an irrational constant is claimed of a stored number", "a rational one")
    return offset


def _effect(step: Step, ins: Sequence[Near]) -> Near:
    size, apart = (step.constants(step.along(x, step.node.attrs["axis"]), ins[0]) for x in step.stored("value"))
    return Near(size, apart)


KINDS = {
    "constant": Kind(
        _shape,
        _constant,
        roles=("value",),
        attrs={"shape": integers(0), "axis": integer(1)},
        free=("shape",),
        counterpart=any_input,
        operands=DTYPES,
        effect=_effect,
    ),
}
