"""Entries chosen along one axis: along the units rows are chosen, along positions every unit keeps its row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lumpnet.check.effect import Near, Step
from lumpnet.check.graph import Case, Kind, Node, integer, integers
from lumpnet.check.outcome import Refusal
from lumpnet.check.relation import Shape, carry


def _selected_shape(node: Node, ins: list[Shape]) -> Shape:
    (x,), axis, index = ins, node.attrs["axis"], node.attrs["index"]
    if axis >= len(x) or not index or max(index) >= (x[axis] or 0):
        raise ValueError(f"entries of axis {axis} of an input of shape {x}")
    return (*x[:axis], len(index), *x[axis + 1 :])


def _selected(case: Case) -> str:
    """Output unit j claims what input unit `index[j]` has, and the reduced selection takes its column from the same place."""
    along = case.node.attrs["axis"]
    axis = next((r.axis for r in (case.out, *case.ins) if r.axis is not None), along)
    inn, out = case.ins[0].on(axis, case.where).rows(), case.out.on(axis, case.where).rows()
    reduced = None if case.reduced is None else case.reduced.attrs["index"]
    if axis != along:
        if reduced is not None and reduced != case.node.attrs["index"]:
            raise Refusal(case.where, "the reduced node selects other positions", "the same ones")
        carry(case.where, inn, out)
        return "positions are selected, and rows stay"
    at = np.array(case.node.attrs["index"], np.int64)
    if reduced is not None:
        out = replace(out, kept=np.append(np.array(reduced, np.int64), -1)[out.kept])
    carry(case.where, replace(inn, column=inn.column[at], law=inn.law[at], kept=inn.kept[at]), out)
    return "every unit has the row of the unit it is"


def _effect(step: Step, ins: Sequence[Near]) -> Near:
    axis, index = step.node.attrs["axis"], step.node.attrs["index"]
    return ins[0].each(lambda a: a if a.shape[axis] == 1 else a.take(index, axis))


KINDS = {"index_select": Kind(_selected_shape, _selected, attrs={"axis": integer(1), "index": integers(0)}, free=("index",), effect=_effect)}
