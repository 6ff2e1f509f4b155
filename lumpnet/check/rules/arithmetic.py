"""Sums and products: add, mul, the same with a stored constant, and division by one.

Each reads as a row over its operands' columns, `x = s_1 y_1 + s_2 y_2 + c`;
rows over the same columns then compare by the one rule of `tied_alike`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from lumpnet.certificate import Surd
from lumpnet.check.effect import Near, Step, plus, times, up
from lumpnet.check.graph import Case, Kind, Node
from lumpnet.check.numbers import Array, add_reals, fractions, integer_parts, misfits, scale_real, shown
from lumpnet.check.outcome import Refusal, Unsure
from lumpnet.check.relation import ONE, ZERO, Law, Relation, Rows, Shape, carry, distinct


def _broadcast(node: Node, ins: list[Shape]) -> Shape:
    one, two = ins
    if len(one) != len(two) or any(a != b and a != 1 and b != 1 for a, b in zip(one, two, strict=True)):
        raise ValueError(f"operands of the shapes {one} and {two}")
    return tuple(b if a == 1 else a for a, b in zip(one, two, strict=True))


def _operands(case: Case) -> tuple[Relation, Relation, Relation]:
    """Both operands and the output over one unit axis, which neither operand broadcasts."""
    axis = next((r.axis for r in (case.out, *case.ins) if r.axis is not None), len(case.node.shape) - 1)
    for operand in case.ins:
        if operand.shape[axis] != case.node.shape[axis]:
            raise Refusal(case.where, f"{operand.name!r} of shape {operand.shape} is broadcast along the unit axis {axis}", "broadcasting along positions only")
    one, two = (r.on(axis, case.where) for r in case.ins)
    return one, two, case.out.on(axis, case.where)


def _paired(one: Rows, two: Rows, law: Callable[[Law, Law], Law | None]) -> Rows:
    """The rows of an operator of two operands; where `law` knows none, the unit is a column of its own that nothing may use."""
    width = int(two.column.max(initial=-1)) + 2
    column = (one.column + 1) * width + two.column + 1
    fresh = int(column.max(initial=0)) + 1 + np.arange(len(column))
    pairs, _, number = distinct(one.law, two.law)
    found = [law(one.laws[a], two.laws[b]) for a, b in pairs]
    known = np.array([result is not None for result in found], np.bool_)[number]
    laws = [(ONE, ZERO) if result is None else result for result in found]
    kept = np.where((one.kept == two.kept) & known, one.kept, -1)
    return Rows(np.where(known, column, fresh), number, laws, kept, np.arange(len(column)), known)


def _added(one: Law, two: Law) -> Law | None:
    offset = add_reals(one[1], two[1])
    return None if offset is None else (one[0], two[0], offset)


def _multiplied(one: Law, two: Law) -> Law | None:
    """Constant times anything, or two pure scalings."""
    for constant, other in ((one, two), (two, one)):
        if constant == (ZERO, ZERO):
            return constant
        if constant[0] == 0 and not isinstance(constant[1], Surd):
            return constant[1] * other[0], scale_real(constant[1], other[1])
    return (one[0] * two[0], ZERO) if one[0] and two[0] and one[1] == two[1] == 0 else None


def _dead(case: Case) -> int | None:
    """Which operand of an addition has gone, where the other one has not."""
    gone = [r.absent for r in case.ins]
    return gone.index(True) if sum(gone) == 1 else None


def _add_counterpart(case: Case) -> tuple[tuple[str, ...], tuple[str, ...]]:
    dead = _dead(case)
    return (("add",), case.node.inputs) if dead is None else (("identity", "add_constant"), (case.node.inputs[1 - dead],))


def _add(case: Case) -> str:
    one, two, out = _operands(case)
    rows, dead = _paired(one.rows(), two.rows(), _added), _dead(case)
    if case.reduced is None or dead is None:
        carry(case.where, rows, out.rows())
        return "rows add up, and so do offsets"
    rows = replace(rows, kept=(one, two)[1 - dead].rows().kept)
    carry(case.where, rows, out.rows(), neutral=False)
    laws = [rows.laws[rows.law[rep]] for rep in out.kept().tolist()]
    for rep, law in zip(out.kept().tolist(), laws, strict=True):
        if law[dead] != 0 or law[1 - dead] != 1 or isinstance(law[2], Surd):
            raise Refusal(case.where, f"unit {rep} is not its live operand plus a rational constant", "a constant unit in the operand that has gone")
    _stored(case, out, [law[2] for law in laws], "term")
    return "one operand is constant, and the reduced network adds that constant"


def _mul(case: Case) -> str:
    one, two, out = _operands(case)
    carry(case.where, _paired(one.rows(), two.rows(), _multiplied), out.rows())
    return "scales multiply"


def _stored(case: Case, out: Relation, values: list[Fraction], role: str) -> None:
    """The reduced node's `role` holds these values, one per kept column (identity: zeros)."""
    node = case.counterpart
    stored, rounding = node.param(role), case.rounding
    if stored is None:
        stored, rounding = np.zeros((), np.float64), "none"
    elif stored.ndim and node.attrs["axis"] != out.axis:
        raise Refusal(case.where, f"the reduced {role} acts on axis {node.attrs['axis']}", f"the unit axis {out.axis}")
    tops, bottoms = integer_parts(values)
    bad = np.flatnonzero(misfits(tops, 0, bottoms, np.broadcast_to(stored, tops.shape), rounding))
    if len(bad):
        found = np.broadcast_to(stored, tops.shape)[bad[0]]
        raise Refusal(case.where, f"the reduced {role} of column {bad[0]} is {found!r}", shown(values[bad[0]]))
    exact = ~misfits(tops, 0, bottoms, np.broadcast_to(stored, tops.shape), "none")
    case.exact[role] = exact if stored.ndim else np.asarray(exact.all())


def _constant_shape(role: str) -> Callable[[Node, list[Shape]], Shape]:
    def shape(node: Node, ins: list[Shape]) -> Shape:
        stored, axis = node.params[role].data, node.attrs["axis"]
        if axis is None and stored.ndim:
            raise ValueError(f"a {role} of shape {stored.shape} without an axis")
        if (axis is not None and axis >= len(ins[0])) or (stored.ndim and stored.shape != (ins[0][axis],)):
            raise ValueError(f"a {role} of shape {stored.shape} on axis {axis} of an input of shape {ins[0]}")
        return ins[0]

    return shape


def _with_constant(role: str, law: Callable[[Law, Fraction], Law], value: Callable[[Law], Fraction | None]) -> Callable[[Case], str]:
    def oblige(case: Case) -> str:
        stored = case.node.params[role].data
        default = case.node.attrs["axis"] if stored.ndim else len(case.node.shape) - 1
        axis = next((r.axis for r in (case.out, *case.ins) if r.axis is not None), default)
        inn, out = case.ins[0].on(axis, case.where), case.out.on(axis, case.where)
        if stored.ndim and axis != case.node.attrs["axis"]:
            raise Refusal(case.where, f"its {role} acts on axis {case.node.attrs['axis']}", f"the unit axis {axis}")
        rows = _transformed(inn.rows(), np.broadcast_to(stored, inn.classes.shape), law)
        carry(case.where, rows, out.rows(), neutral=False)
        if case.reduced is not None:
            values = [value(rows.laws[rows.law[rep]]) for rep in out.kept().tolist()]
            if None in values:
                unit = out.kept()[values.index(None)]
                raise Refusal(case.where, f"unit {unit} does not read its column as the reduced operator does", "another representative")
            _stored(case, out, [v for v in values if v is not None], role)
        return f"every row with its {role}"

    return oblige


def _transformed(rows: Rows, stored: Array, law: Callable[[Law, Fraction], Law]) -> Rows:
    """The rows after each unit meets its stored constant."""
    values, which = np.unique(stored, return_inverse=True)
    exact = fractions(values)
    pairs, _, number = distinct(rows.law, which.reshape(-1))
    return replace(rows, law=number, laws=[law(rows.laws[mine], exact[its]) for mine, its in pairs])


def _shifted(law: Law, term: Fraction) -> Law:
    return law[0], add_reals(law[1], term)


def _scaled(law: Law, factor: Fraction) -> Law:
    return factor * law[0], scale_real(factor, law[1])


def _divided(law: Law, divisor: Fraction) -> Law:
    return law[0] / divisor, scale_real(1 / divisor, law[1])


def _divisor_shape(node: Node, ins: list[Shape]) -> Shape:
    if not node.params["divisor"].data.all():
        raise ValueError("a divisor that is zero")
    return _constant_shape("divisor")(node, ins)


def _divisor_of(law: Law) -> Fraction | None:
    return 1 / law[0] if law[0] and law[1] == 0 else None


def _term_of(law: Law) -> Fraction | None:
    return law[1] if law[0] == 1 else None


def _factor_of(law: Law) -> Fraction | None:
    return law[0] if law[1] == 0 else None


def _axis(value: object) -> bool:
    return value is None or (type(value) is int and 0 <= value < 32)


def _sum_effect(step: Step, ins: Sequence[Near]) -> Near:
    one, two = ins
    return Near(plus(one.size, two.size), plus(one.apart, two.apart))


def _product_effect(step: Step, ins: Sequence[Near]) -> Near:
    """q1 q2 - r1 r2 = (q1 - r1) q2 + r1 (q2 - r2). Over all inputs a product grows like t * t."""
    one, two = ins
    if len(one.size) > 1:
        raise Unsure(step.where, "a product of values has no bound over all inputs, only over a box")
    return Near(times(one.size, two.size), plus(times(one.apart, plus(two.size, two.apart)), times(one.size, two.apart)))


def _shift_effect(step: Step, ins: Sequence[Near]) -> Near:
    term, off = (step.constants(step.along(a, step.node.attrs["axis"]), ins[0]) for a in step.stored("term"))
    return Near(plus(ins[0].size, term), plus(ins[0].apart, off))


def _factor_effect(step: Step, ins: Sequence[Near]) -> Near:
    factor, off = (step.along(a, step.node.attrs["axis"]) for a in step.stored("factor"))
    return Near(times(ins[0].size, factor), plus(times(ins[0].apart, plus(factor, off)), times(ins[0].size, off)))


def _quotient_effect(step: Step, ins: Sequence[Near]) -> Near:
    return ins[0].each(lambda a: up(a / np.abs(step.along(step.equal("divisor"), step.node.attrs["axis"])), 1))


KINDS = {
    "add": Kind(_broadcast, _add, inputs=2, counterpart=_add_counterpart, effect=_sum_effect),
    "mul": Kind(_broadcast, _mul, inputs=2, effect=_product_effect),
    "add_constant": Kind(_constant_shape("term"), _with_constant("term", _shifted, _term_of), roles=("term",), attrs={"axis": _axis}, effect=_shift_effect),
    "mul_constant": Kind(
        _constant_shape("factor"), _with_constant("factor", _scaled, _factor_of), roles=("factor",), attrs={"axis": _axis}, effect=_factor_effect
    ),
    "div_constant": Kind(_divisor_shape, _with_constant("divisor", _divided, _divisor_of), roles=("divisor",), attrs={"axis": _axis}, effect=_quotient_effect),
}
