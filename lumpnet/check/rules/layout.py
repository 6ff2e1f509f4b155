"""Reshape, permute and concat: the same numbers in other places, followed element by element."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lumpnet.check.effect import Near, Step, within_memory
from lumpnet.check.graph import Case, Kind, Node, integer, integers
from lumpnet.check.numbers import Array
from lumpnet.check.outcome import Refusal, Unsure
from lumpnet.check.relation import Law, Relation, Rows, Shape, carry

_MAX_ELEMENTS = 1 << 24


def _size(shape: Shape) -> int:
    return math.prod(n or 0 for n in shape[1:])


def _reshape_shape(node: Node, ins: list[Shape]) -> Shape:
    shape = (ins[0][0], *node.attrs["shape"])
    if _size(shape) != _size(ins[0]):
        raise ValueError(f"{_size(ins[0])} elements per example in the shape {node.attrs['shape']}")
    return shape


def _permute_shape(node: Node, ins: list[Shape]) -> Shape:
    dims = node.attrs["dims"]
    if sorted(dims) != list(range(len(ins[0]))) or dims[0] != 0:
        raise ValueError(f"dims {dims}, not a permutation of the {len(ins[0])} axes that keeps axis 0")
    return tuple(ins[0][d] for d in dims)


def _sources(node: Node, source: Shape) -> Array:
    """For every output element of one example, row-major, the number of the input element it is."""
    elements: Array = np.arange(_size(source))
    if node.kind == "permute":
        elements = elements.reshape([n or 0 for n in source[1:]]).transpose([d - 1 for d in node.attrs["dims"][1:]])
    return elements.reshape(elements.size)


def _moved(case: Case) -> str:
    """Every output element claims what the input element in its place has; the reduced operator moves its column to the same place."""
    if _size(case.node.shape) > _MAX_ELEMENTS:
        raise Unsure(case.where, f"more than {_MAX_ELEMENTS} elements per example")
    inn, out = case.ins[0].elements(), case.out.elements()
    at = _sources(case.node, case.ins[0].shape)
    if case.reduced is not None:
        back = _sources(case.reduced, case.ins[0].reduced_shape())
        out = replace(out, kept=np.append(back, -1)[out.kept])
    inn = replace(inn, column=inn.column[at], law=inn.law[at], kept=inn.kept[at])
    carry(case.where, inn, out)
    return "every element has the row of the element it came from"


def _concat_shape(node: Node, ins: list[Shape]) -> Shape:
    axis = node.attrs["axis"]
    if axis >= len(ins[0]) or any(len(x) != len(ins[0]) or x[:axis] + x[axis + 1 :] != ins[0][:axis] + ins[0][axis + 1 :] for x in ins):
        raise ValueError(f"inputs of the shapes {ins} on axis {axis}")
    return (*ins[0][:axis], sum(x[axis] or 0 for x in ins), *ins[0][axis + 1 :])


def _on_units(case: Case) -> bool:
    """The concat joins units; otherwise it joins positions of one common lumping."""
    axes = {r.axis for r in (case.out, *case.ins)} - {None}
    return axes <= {case.node.attrs["axis"]}


def _concat_counterpart(case: Case) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if not _on_units(case):
        return ("concat",), case.node.inputs
    return ("concat",), tuple(r.name for r in case.ins if not r.absent)


def _concat(case: Case) -> str:
    axis = case.node.attrs["axis"]
    if _on_units(case):
        out = case.out.on(axis, case.where)  # first, as it is as long as all operands together
        carry(case.where, _joined([r.on(axis, case.where) for r in case.ins]), out.rows())
        return "the operands' rows stand side by side"
    units = next(r.axis for r in (case.out, *case.ins) if r.axis is not None)
    out = case.out.on(units, case.where)
    for operand in (r.on(units, case.where) for r in case.ins):
        if not _equal(operand, out):
            raise Refusal(case.where, f"the lumping of {operand.name!r}", f"the output's own, since axis {axis} joins positions")
    return "one lumping at all positions"


def _equal(one: Relation, two: Relation) -> bool:
    return (
        one.columns == two.columns
        and np.array_equal(one.classes, two.classes)
        and np.array_equal(one.reps, two.reps)
        and all(one.scale_of(unit) == two.scale_of(unit) for unit in {*one.scale, *two.scale})
        and all(one.offset_of(unit) == two.offset_of(unit) for unit in {*one.offset, *two.offset})
    )


def _joined(operands: list[Relation]) -> Rows:
    """The rows of all operands in one numbering: a column belongs to its value, however often that is an operand."""
    laws: list[Law] = []
    column, law, kept = [], [], []
    first: dict[str, int] = {}
    classes = columns = 0
    for operand in operands:
        rows = operand.rows()
        if operand.name not in first:
            first[operand.name] = classes
            classes += len(operand.reps)
        column.append(np.where(rows.column >= 0, rows.column + first[operand.name], -1))
        law.append(rows.law + len(laws))
        kept.append(np.where(rows.kept >= 0, rows.kept + columns, -1))
        laws += rows.laws
        columns += operand.columns
    joined = np.concatenate(column)
    return Rows(joined, np.concatenate(law), laws, np.concatenate(kept), np.arange(len(joined)), np.ones(len(joined), np.bool_))


def _reshaped(step: Step, ins: Sequence[Near]) -> Near:
    shape = [n or 0 for n in step.node.shape[1:]]
    if ins[0].size.size == len(ins[0].size) and ins[0].apart.size == len(ins[0].size):
        return ins[0].each(lambda a: a.reshape(len(a), *[1] * len(shape)))
    return ins[0].each(lambda a: step.full(a, step.shapes[0]).reshape(len(a), *shape))


def _permuted(step: Step, ins: Sequence[Near]) -> Near:
    return ins[0].each(lambda a: a.transpose(step.node.attrs["dims"]))


def _side_by_side(step: Step, ins: Sequence[Near]) -> Near:
    axis = step.node.attrs["axis"]

    def joined(parts: list[Array]) -> Array:
        common = list(np.broadcast_shapes(*((*p.shape[:axis], 1, *p.shape[axis + 1 :]) for p in parts)))
        lengths = [shape[axis] or 0 for shape in step.shapes]
        views = [np.broadcast_to(p, (*common[:axis], n, *common[axis + 1 :])) for p, n in zip(parts, lengths, strict=True)]
        within_memory([sum(view.size for view in views)])
        return np.concatenate(views, axis)

    return Near(joined([x.size for x in ins]), joined([x.apart for x in ins]))


KINDS = {
    "reshape": Kind(_reshape_shape, _moved, attrs={"shape": integers(0)}, free=("shape",), effect=_reshaped),
    "permute": Kind(_permute_shape, _moved, attrs={"dims": integers(0)}, effect=_permuted),
    "concat": Kind(_concat_shape, _concat, inputs=None, attrs={"axis": integer(1)}, counterpart=_concat_counterpart, effect=_side_by_side),
}
