"""PReLU: positive scales pass among units of one stored slope; constants are bent by their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from lumpnet.check.effect import Near, Step, bent_by
from lumpnet.check.graph import Case, Kind, Node
from lumpnet.check.numbers import compare, fractions, scale_real
from lumpnet.check.outcome import Refusal
from lumpnet.check.relation import ZERO, Law, Relation, Rows, Shape, carry, distinct
from lumpnet.check.rules.elementwise import relative


def _shape(node: Node, ins: list[Shape]) -> Shape:
    (x,), slope = ins, node.params["slope"].data
    if len(x) < 2 or slope.shape not in ((1,), (x[1],)):
        raise ValueError(f"slopes of shape {slope.shape} for an input of shape {x}")
    return x


def _prelu(case: Case) -> str:
    slope = case.node.params["slope"].data
    axis = next((r.axis for r in (case.out, *case.ins) if r.axis is not None), 1)
    if len(slope) > 1 and axis != 1:
        raise Refusal(case.where, "its slopes vary along axis 1", f"one slope for the units of axis {axis}")
    inn, out = case.ins[0].on(axis, case.where), case.out.on(axis, case.where)
    own = np.broadcast_to(slope, inn.classes.shape) if len(slope) == 1 else slope
    rows = out.rows()
    tied = np.flatnonzero(rows.obliged & (rows.column >= 0))
    bent = tied[own[tied] != own[rows.reps[tied]]]
    if len(bent):
        raise Refusal(case.where, f"unit {bent[0]} has another slope than unit {rows.reps[bent[0]]}", "one slope in a class")
    carry(case.where, _constants_bent(inn.rows(), own), rows, _positive)
    _reduced_slopes(case, out, own)
    return "positive scales under one slope"


def _positive(mine: Law, its: Law, claimed: Law) -> bool:
    row = relative(mine, its)
    return row[0] > 0 and row[1] == 0 and row == claimed


def _constants_bent(rows: Rows, slopes: np.ndarray) -> Rows:
    """Constant units after the function, by their own slopes; the others as they are."""
    values, which = np.unique(slopes, return_inverse=True)
    exact = fractions(values)

    def Bent(law: Law, slope: Fraction) -> Law:
        return (ZERO, scale_real(slope, law[1])) if law[0] == 0 and compare(law[1], ZERO) < 0 else law

    pairs, _, number = distinct(rows.law, which.reshape(-1))
    return replace(rows, law=number, laws=[Bent(rows.laws[mine], exact[its]) for mine, its in pairs])


def _reduced_slopes(case: Case, out: Relation, own: np.ndarray) -> None:
    if case.reduced is None:
        return
    stored, wanted = case.reduced.params["slope"].data, own[out.kept()]
    bad = np.flatnonzero(np.broadcast_to(stored, wanted.shape) != wanted)
    if len(bad):
        raise Refusal(case.where, f"the reduced slope of column {bad[0]} is another one", f"{wanted[bad[0]]!r}, that of its representative")


def _effect(step: Step, ins: Sequence[Near]) -> Near:
    slope = step.along(np.maximum(np.abs(step.own("slope")), 1.0), 1)
    return bent_by(step, ins[0], slope, slope)


KINDS = {"prelu": Kind(_shape, _prelu, roles=("slope",), effect=_effect)}
