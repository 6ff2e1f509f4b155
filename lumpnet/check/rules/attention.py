"""Attention: which heads attend alike, read off their scores.

Softmax over the keys does not see what is the same for every key. With the
premises q_i = a_i y_c + b_i and k_i = r_i z_e + o_i the scores of a head are,
up to that, sums of products y_c z_e with coefficients a_i r_i, and of z_e with
coefficients b_i r_i. Heads with equal coefficients have equal weights, and the
weights of a head sum to one, so the row of a value passes through it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np

from lumpnet.certificate import Surd
from lumpnet.check.graph import Case, Kind, Node, boolean, integer, number
from lumpnet.check.numbers import Array
from lumpnet.check.outcome import Refusal, Unsure
from lumpnet.check.relation import ONE, ZERO, Relation, Rows, Shape, carry

_MAX_UNITS = 1 << 20
Form = frozenset[tuple[tuple[int, int], Fraction]]
"""Non-zero coefficients of (query column, key column); query column -1 stands for the number one."""


def _shape(node: Node, ins: list[Shape]) -> Shape:
    q, k, v = ins
    heads, kv = node.attrs["heads"], node.attrs["kv_heads"]
    if not len(q) == len(k) == len(v) == 3 or k[1] != v[1] or not k[1]:
        raise ValueError(f"queries, keys and values of the shapes {ins}")
    if node.attrs["causal"] and q[1] != k[1]:
        raise ValueError(f"a causal mask between {q[1]} queries and {k[1]} keys")
    d, dv = (k[2] or 0) // kv, (v[2] or 0) // kv
    if heads % kv or not d or not dv or (q[2], k[2], v[2]) != (heads * d, kv * d, kv * dv):
        raise ValueError(f"{heads} query heads and {kv} key heads in the shapes {ins}")
    return (q[0], q[1], heads * dv)


def _attention(case: Case) -> str:
    """Claims about output units follow from the forms of their heads and the rows of their values."""
    if any((r.shape[2] or 0) > _MAX_UNITS for r in (*case.ins, case.out)):
        raise Unsure(case.where, f"more than {_MAX_UNITS} units")
    q, k, v = (r.on(2, case.where) for r in case.ins)
    out = case.out.on(2, case.where)
    heads, kv = case.node.attrs["heads"], case.node.attrs["kv_heads"]
    forms = [_form(case, q, k, head) for head in range(heads)]
    number_of = {form: at for at, form in enumerate(dict.fromkeys(forms))}
    head, value = _units(heads, kv, len(v.classes) // kv)
    mine = np.array([number_of[form] for form in forms], np.int64)[head]
    rows = v.rows()
    read = v.classes[value]
    column = np.where(read >= 0, mine * len(v.reps) + read, -1)
    inn = Rows(column, rows.law[value], rows.laws, np.full(len(column), -1, np.int64), np.append(out.reps, -1)[out.classes], out.obliged())
    if case.reduced is not None:
        inn = replace(inn, kept=_kept(case, case.reduced, k, v, out, forms))
    carry(case.where, inn, out.rows())
    return f"{len(number_of)} ways to attend in {heads} heads"


def _units(heads: int, kv: int, width: int) -> tuple[Array, Array]:
    """Per output unit its head, and the value unit that it reads."""
    head, at = np.divmod(np.arange(heads * width, dtype=np.int64), width)
    return head, head // (heads // kv) * width + at


def _form(case: Case, q: Relation, k: Relation, head: int) -> Form:
    heads, kv = case.node.attrs["heads"], case.node.attrs["kv_heads"]
    d = len(k.classes) // kv
    found: dict[tuple[int, int], Fraction] = {}
    for unit, other in zip(range(head * d, head * d + d), range(head // (heads // kv) * d, head // (heads // kv) * d + d), strict=True):
        key = int(k.classes[other])
        if key < 0:
            continue  # a constant key adds the same to the scores of all keys
        if q.classes[unit] >= 0:
            at = (int(q.classes[unit]), key)
            found[at] = found.get(at, ZERO) + q.scale_of(unit) * k.scale_of(other)
        shift = q.offset_of(unit)
        if isinstance(shift, Surd):
            raise Refusal(case.where, f"query unit {unit} has an irrational constant", "a rational one, or a constant key")
        found[-1, key] = found.get((-1, key), ZERO) + shift * k.scale_of(other)
    return frozenset((at, value) for at, value in found.items() if value)


def _kept(case: Case, reduced: Node, k: Relation, v: Relation, out: Relation, forms: list[Form]) -> Array:
    """For each representative its column, if the reduced head attends as the representative's own head does, and reads the value's column."""
    heads, kv = reduced.attrs["heads"], reduced.attrs["kv_heads"]
    d = k.columns // kv
    head, value = _units(case.node.attrs["heads"], case.node.attrs["kv_heads"], len(v.classes) // case.node.attrs["kv_heads"])
    its_head, its_value = _units(heads, kv, v.columns // kv)
    plain = [frozenset(((h * d + i, h // (heads // kv) * d + i), ONE) for i in range(d)) for h in range(heads)]
    kept = np.full(len(head), -1, np.int64)
    for column, rep in enumerate(out.kept().tolist()):
        if forms[head[rep]] == plain[its_head[column]] and v.classes[value[rep]] == its_value[column]:
            kept[rep] = column
    return kept


KINDS = {
    "attention": Kind(
        _shape,
        _attention,
        inputs=3,
        attrs={
            "heads": integer(1),
            "kv_heads": integer(1),
            "scale": lambda value: number(value) and math.isfinite(value),
            "causal": boolean,
        },
        free=("heads", "kv_heads"),
    ),
}
