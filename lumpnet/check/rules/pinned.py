"""Operators that carry no relation but equality: softmax and opaque calls, and any operator between equal values.

Equal inputs, the same operator and the same numbers give equal outputs; this
needs no knowledge of the operator.
"""

from __future__ import annotations

import numpy as np

from lumpnet.check.graph import Case, Kind, Node, integer
from lumpnet.check.numbers import Array
from lumpnet.check.outcome import Refusal
from lumpnet.check.relation import Shape

_BLOCK = 1 << 22


def equal_numbers(one: Array, two: Array) -> bool:
    """The same shape and entries as numbers (-0.0 equals 0.0)."""
    if one.shape != two.shape:
        return False
    left, right = one.reshape(one.size), two.reshape(two.size)
    return all(bool((left[at : at + _BLOCK] == right[at : at + _BLOCK]).all()) for at in range(0, one.size, _BLOCK))


def between_equals(case: Case) -> bool:
    """All lumpings are the identity, and the reduced operator is the original's with equal parameters."""
    if case.reduced is None or not all(r.identity for r in (case.out, *case.ins)):
        return False
    mine, its = ({role: t.data for role, t in node.params.items() if role != "num_batches_tracked"} for node in (case.node, case.reduced))
    same_call = case.reduced.kind == case.node.kind and repr(dict(case.reduced.attrs)) == repr(dict(case.node.attrs))
    return same_call and set(mine) == set(its) and all(equal_numbers(mine[role], its[role]) for role in mine)


def _refuse_lumping(case: Case) -> str:
    raise Refusal(case.where, "an input or the output is lumped, dropped or constant", "identity lumpings around an operator that mixes units")


def _softmax_shape(node: Node, ins: list[Shape]) -> Shape:
    if node.attrs["axis"] >= len(ins[0]):
        raise ValueError(f"axis {node.attrs['axis']} of an input of shape {ins[0]}")
    return ins[0]


def _opaque_shape(node: Node, ins: list[Shape]) -> Shape:
    """As declared: the checker does not know the operator."""
    return node.shape


def _opaque(case: Case) -> str:
    """The same call on equal values with bitwise equal tensors of the same dtype."""
    if not all(r.identity for r in (case.out, *case.ins)):
        _refuse_lumping(case)
    node, reduced = case.node, case.counterpart
    if node.dtype != reduced.dtype or case.dtypes[0] != case.dtypes[1]:
        raise Refusal(case.where, f"dtype {case.dtypes[1]} in the reduced network", f"{case.dtypes[0]}, since an opaque operator may depend on it")
    for role in sorted({*node.params, *reduced.params}):
        mine, its = node.params.get(role), reduced.params.get(role)
        if mine is None or its is None or mine.dtype != its.dtype or mine.data.shape != its.data.shape or not _same_bytes(mine.data, its.data):
            raise Refusal(case.where, f"the reduced tensor {role!r} is another one", "the same bytes, shape and dtype")
    return "the same opaque call on equal values"


def _same_bytes(one: Array, two: Array) -> bool:
    return equal_numbers(one.reshape(one.size).view(np.uint8), two.reshape(two.size).view(np.uint8))


KINDS = {
    "softmax": Kind(_softmax_shape, _refuse_lumping, attrs={"axis": integer(1)}),
    "opaque": Kind(
        _opaque_shape,
        _opaque,
        inputs=None,
        attrs={
            "target": lambda value: isinstance(value, str),
            "args": lambda value: isinstance(value, list),
            "kwargs": lambda value: isinstance(value, dict),
            "output": lambda value: value is None or integer(0)(value),
        },
        opaque=True,
    ),
}
