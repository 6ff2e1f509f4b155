"""Operators that carry no relation but equality: normalisations, products of values, opaque calls, and any operator between equal values.

Equal inputs, the same operator and the same numbers give equal outputs; this
needs no knowledge of the operator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lumpnet.check.graph import Case, Kind, Node, integer, number, somewhere
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


def _normalised(axes: Callable[[Node, Shape], Shape]) -> Kind:
    """A normalisation with weights of the sizes that `axes` gives."""

    def shape(node: Node, ins: list[Shape]) -> Shape:
        sizes = axes(node, ins[0])
        if any(tensor.data.shape != sizes for tensor in node.params.values()):
            raise ValueError(f"parameters that are not of shape {sizes}")
        return ins[0]

    return Kind(shape, _refuse_lumping, optional=("weight", "bias"), attrs={"eps": number}, partial=lambda node, ins: node.attrs["eps"] <= 0)


def _last_axes(node: Node, x: Shape) -> Shape:
    if not node.attrs["dims"] < len(x):
        raise ValueError(f"the last {node.attrs['dims']} axes of an input of shape {x}")
    return x[-node.attrs["dims"] :]


def _channels(node: Node, x: Shape) -> Shape:
    groups = node.attrs.get("groups", 1)
    if len(x) < 3 - ("groups" in node.attrs) or (x[1] or 0) % groups:
        raise ValueError(f"{groups} groups of an input of shape {x}")
    return (x[1],)


def _matmul_shape(node: Node, ins: list[Shape]) -> Shape:
    a, b = ins
    if len(a) != len(b) or len(a) < 3 or a[:-2] != b[:-2] or a[-1] != b[-2]:
        raise ValueError(f"inputs of the shapes {a} and {b}")
    return (*a[:-1], b[-1])


def _quotient_shape(node: Node, ins: list[Shape]) -> Shape:
    a, b = ins
    if len(a) != len(b) or any(m != n and m != 1 and n != 1 for m, n in zip(a, b, strict=True)):
        raise ValueError(f"inputs of the shapes {a} and {b}")
    return tuple(n if m == 1 else m for m, n in zip(a, b, strict=True))


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
    "layer_norm": replace(_normalised(_last_axes), attrs={"dims": integer(1), "eps": number}),
    "rms_norm": replace(_normalised(_last_axes), attrs={"dims": integer(1), "eps": number}, optional=("weight",)),
    "group_norm": replace(_normalised(_channels), attrs={"groups": integer(1), "eps": number}),
    "instance_norm": _normalised(_channels),
    "matmul": Kind(_matmul_shape, _refuse_lumping, inputs=2),
    "div": Kind(_quotient_shape, _refuse_lumping, inputs=2, partial=somewhere),
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
        partial=somewhere,
    ),
}
