"""Softmax over positions: unit by unit, and what is added at all positions cancels. Over units it carries equality only."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from lumpnet.certificate import Real
from lumpnet.check.effect import Bend, Bent, Near, Step
from lumpnet.check.graph import Case, Kind, Node, integer
from lumpnet.check.numbers import same
from lumpnet.check.outcome import Refusal
from lumpnet.check.relation import ONE, ZERO, Law, Shape, carry
from lumpnet.check.rules.elementwise import relative


def _shape(node: Node, ins: list[Shape]) -> Shape:
    if node.attrs["axis"] >= len(ins[0]) or ins[0][node.attrs["axis"]] == 0:
        raise ValueError(f"axis {node.attrs['axis']} of an input of shape {ins[0]}")
    return ins[0]


def _shifted(mine: Law, its: Law, claimed: Law) -> bool:
    """exp(u + c) is exp(c) exp(u), at every position: x = x_R + c and x_R have one softmax."""
    return relative(mine, its)[0] == 1 and claimed == (ONE, ZERO)


def _softmax(case: Case) -> str:
    summed = case.node.attrs["axis"]
    units = next((r.axis for r in (case.out, *case.ins) if r.axis is not None), None)
    if units is None or units == summed:
        raise Refusal(case.where, "an input or the output is lumped, dropped or constant along the axis that it sums over", "identity lumpings around it")
    share = Fraction(1, case.node.shape[summed] or 1)

    def even(c: Real, claimed: Real) -> bool:
        """Equal numbers share equally."""
        return same(share, claimed)

    carry(case.where, case.ins[0].on(units, case.where).rows(), case.out.on(units, case.where).rows(), _shifted, even)
    return "every unit by itself, up to what is added to it"


def _effect(step: Step, ins: Sequence[Near]) -> Near:
    """A row of the derivative, p_i (e_i - p), has absolute sum 2 p_i (1 - p_i) <= 1/2."""
    return Bent(Bend(0.5, at_zero=1.0, most=1.0))(step, [ins[0].most([step.node.attrs["axis"]])])


KINDS = {"softmax": Kind(_shape, _softmax, attrs={"axis": integer(1)}, effect=_effect)}
