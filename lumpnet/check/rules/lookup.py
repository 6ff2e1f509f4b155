"""Embedding: one entry of a table, chosen by an integer.

Unit i of the output is column i of the table, whatever entry is chosen, so a
row `x_i = s x_R + c` holds exactly if it holds in every entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from lumpnet.certificate import Surd
from lumpnet.check.effect import Near, Step
from lumpnet.check.graph import Case, Kind, Node, somewhere
from lumpnet.check.numbers import Array, dyadic, misfits, shown, times
from lumpnet.check.outcome import Refusal
from lumpnet.check.relation import ZERO, Relation, Shape


def _shape(node: Node, ins: list[Shape]) -> Shape:
    (x,), table = ins, node.params["weight"].data
    if table.ndim != 2 or 0 in table.shape:
        raise ValueError(f"a table of shape {table.shape}")
    return (*x, table.shape[1])


def _oblige(case: Case) -> str:
    table, out = case.node.params["weight"].data, case.out.on(len(case.node.shape) - 1, case.where)
    for unit, rep in zip(*(a.tolist() for a in out.members()), strict=True):
        offset = out.offset_of(unit)
        if isinstance(offset, Surd) or not _follows(table[:, unit], table[:, rep], out.scale_of(unit), offset):
            raise Refusal(
                case.where, f"unit {unit} is not {shown(out.scale_of(unit))} times unit {rep} plus {shown(offset)}", "the same row in every entry of the table"
            )
    for unit in out.constants().tolist():
        offset = out.offset_of(unit)
        if isinstance(offset, Surd) or not _follows(table[:, unit], np.zeros_like(table[:, unit]), ZERO, offset):
            raise Refusal(case.where, f"unit {unit} is not the constant {shown(offset)} that it claims", "the same number in every entry of the table")
    if case.reduced is not None:
        _kept(case, table, out, case.reduced)
    return f"{len(out.classes)} columns of a table give {out.columns}"


def _follows(mine: Array, its: Array, scale: Fraction, offset: Fraction) -> bool:
    """mine == scale * its + offset, entry by entry."""
    if scale == 1 and offset == 0:
        return bool((mine == its).all())
    whole, exponent = dyadic(np.concatenate([mine, its]))
    left, right = np.split(whole, 2)
    gap = times(left, np.array(scale.denominator, object)) - times(right, np.array(scale.numerator, object))
    wanted = Fraction(2) ** -exponent * offset * scale.denominator  # in units of 2**exponent
    return wanted.denominator == 1 and bool((gap.astype(object) == wanted.numerator).all())


def _kept(case: Case, table: Array, out: Relation, reduced: Node) -> None:
    """The reduced table holds the representatives' columns, and both networks look up the same integer."""
    if not case.ins[0].identity:
        raise Refusal(case.where, f"{case.ins[0].name!r} is not the same in both networks", "identity")
    stored = reduced.params["weight"].data
    if stored.shape[0] != len(table):
        raise Refusal(case.where, f"a reduced table of {stored.shape[0]} entries", f"{len(table)}")
    exact = np.zeros(stored.shape, np.bool_)
    for column, rep in enumerate(out.kept().tolist()):
        whole, exponent = dyadic(table[:, rep])
        exact[:, column] = ~misfits(whole, exponent, None, stored[:, column], "none")
        bad = np.flatnonzero(misfits(whole, exponent, None, stored[:, column], case.rounding))
        if len(bad):
            raise Refusal(case.where, f"the reduced entry {bad[0]} of column {column} is {stored[bad[0], column]!r}", f"that of unit {rep}")
    case.exact["weight"] = exact


def _effect(step: Step, ins: Sequence[Near]) -> Near:
    """The largest entry of a column, whichever is looked up."""
    axis = len(step.node.shape) - 1
    size, apart = (step.constants(step.along(x.max(axis=0), axis), ins[0]) for x in step.stored("weight"))
    return Near(size, apart)


KINDS = {
    "embedding": Kind(_shape, _oblige, roles=("weight",), training=("padding_idx",), operands=("int32", "int64"), partial=somewhere, effect=_effect),
}
