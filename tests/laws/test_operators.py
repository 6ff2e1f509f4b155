"""Laws over the registry of operators: an operator is tested on the day it is registered.

Every kind has examples here. For all of them: the shape is torch's, `run` in
doubles is torch's, `run` on rationals is `run` in doubles; the lumping rule claims
what holds, and nothing that it keeps apart could be claimed; units that it calls
unobserved change no observed output; and a lemma stands behind the rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
import torch

from lumpnet.errors import NoExactValue
from lumpnet.exact import ONE, ZERO, Surd, constant_array, fractions
from lumpnet.ir import Graph, Node, Shape, Value
from lumpnet.lower.torch import lower_graph
from lumpnet.ops import Site, get, kinds
from lumpnet.ops.pointwise import FUNCTIONS, whole
from lumpnet.ops.sites import run, sites
from lumpnet.partition import GONE, Lumping, discrete, normal_form, nothing, refine
from proofs import registry

NORMS = ("layer_norm", "rms_norm", "group_norm", "instance_norm")
IRRATIONAL = (*NORMS, "div", "tanh", "sigmoid", "silu", "gelu", "softmax", "batch_norm", "attention", "rnn", "lstm", "gru", *FUNCTIONS)
"""Kinds without rational values at most rational inputs (a batch norm has them where its variances are squares)."""
NOT_MAXIMAL: dict[str, tuple[Callable[[Site], bool], str]] = {
    "avg_pool": (lambda site: True, "windows whose weights all sum to one number other than 1 would pass offsets, multiplied by it"),
    "hardtanh": (lambda site: True, "it is odd about the middle of its limits, not only about 0: f(min + max - u) = min + max - f(u)"),
    "floor": (lambda site: True, "whole numbers would pass as offsets"),
    "ceil": (lambda site: True, "whole numbers would pass as offsets"),
    "round": (lambda site: True, "even numbers would pass as offsets"),
    "sqrt": (lambda site: True, "squares would pass as scales"),
    "exp": (lambda site: True, "an offset becomes an irrational scale"),
    "log": (lambda site: True, "a positive scale becomes an irrational offset"),
    "sign": (lambda site: True, "a sign takes three values, and few samples tell them apart"),
    "hardsigmoid": (lambda site: True, "it is a mirror image about the middle of its ramp, not only about 0"),
    "pow": (lambda site: not whole(site.attrs["exponent"]), "powers of scales that stay rational would pass; exponent 0 is a constant"),
    "attention": (lambda site: True, "heads merge and leave whole; a head that attends to one key, or nowhere more than elsewhere, gives what its values are"),
    "mul": (lambda site: True, "beside a constant factor an offset would pass as an offset"),
    "rnn": (lambda site: True, "a constant other than zero holds after the first step, and a negative pre-activation before it"),
    "lstm": (lambda site: True, "a gate does not matter on few steps"),
    "gru": (lambda site: True, "a reset gate does not matter where it multiplies zero"),
    "index_select": (
        lambda site: bool(site.axis == site.attrs["axis"]),
        "a selection cannot scale: where the double of a unit is chosen first, or alone, the two units stay apart",
    ),
    "softmax": (
        lambda site: site.shape[site.attrs["axis"]] in (1, 2),
        "the share of a lone position is 1, and that of one of two is 1 minus the other's",
    ),
    "pad": (lambda site: bool(site.attrs["mode"] == "constant"), "constants other than the padding are related by what they differ from it"),
    "prelu": (lambda site: bool((site.params["slope"] == 1).any()), "slope 1 is the identity, which passes any row"),
    "conv": (lambda site: bool(site.attrs["groups"] > 1), "outputs of different groups are compared place by place"),
    "conv_transpose": (lambda site: bool(site.attrs["groups"] > 1), "as for conv"),
}
"""Kinds whose rule keeps apart what could be claimed: where, and what that is."""
SHARE = {"conv": 0.4, "conv_transpose": 0.4, "avg_pool": 0.6}
"""Of the trials, for the kinds that are slow on rationals."""


@dataclass(frozen=True)
class Example:
    """One node: operand shapes (batch `None`), attributes, float64 parameters; `axis` is the operands' unit axis.

    With `choices` the operand holds integers below it, and has no units.
    """

    kind: str
    shapes: tuple[Shape, ...]
    attrs: dict[str, Any] = field(default_factory=dict)
    params: dict[str, np.ndarray] = field(default_factory=dict)
    axis: int = 1
    choices: int | None = None

    def shape(self) -> Shape:
        if self.kind == "opaque":
            return self.shapes[0]
        return get(self.kind).infer(self.shapes, self.attrs, self.params)

    def graph(self) -> Graph:
        inputs = tuple(Value(f"x{k}", s, "float64" if self.choices is None else "int64") for k, s in enumerate(self.shapes))
        names = {role: f"n.{role}" for role in self.params}
        node = Node(Value("n", self.shape(), "float64"), self.kind, tuple(v.name for v in inputs), self.attrs, names)
        return Graph(inputs, (node,), ("n",), {names[role]: p for role, p in self.params.items()})

    def numbers(self, rng: np.random.Generator, count: int) -> dict[str, np.ndarray]:
        """Something for every operand."""
        sizes = [(count, *(int(d or 0) for d in s[1:])) for s in self.shapes]
        return {
            f"x{k}": quarters(rng, *s) + (self.kind == "div") / 8 if self.choices is None else rng.integers(self.choices, size=s) for k, s in enumerate(sizes)
        }

    def site(self) -> Site:
        """The node as it stands behind values with the unit axis `axis`."""
        node = self.graph().nodes[0]
        site = Site(node, self.params, self.shapes, ((self.axis if self.choices is None else None),) * len(self.shapes))
        return Site(node, self.params, self.shapes, site.in_axes, get(self.kind).unit_axis(site))


# -- examples of every kind ---------------------------------------------------------------------


def quarters(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(-12, 13, size=shape) / 4


def proportional(rng: np.random.Generator, weight: np.ndarray) -> np.ndarray:
    """Some rows become multiples of others, some columns too, some rows zero: so that there is something to merge."""
    for i in range(1, len(weight)):
        if rng.random() < 0.4:
            weight[i] = weight[rng.integers(i)] * rng.choice([1, 2, -1, 0.5, 0])
    return weight


def linear(rng: np.random.Generator) -> Iterator[Example]:
    for shape, bias in product([(None, 4), (None, 3, 4)], [True, False]):
        params = {"weight": proportional(rng, quarters(rng, 5, 4))} | ({"bias": quarters(rng, 5)} if bias else {})
        yield Example("linear", (shape,), {}, params, len(shape) - 1)


def conv(rng: np.random.Generator) -> Iterator[Example]:
    one = product([5, 6], [1, 2, 3], [1, 2, 3], [0, 1, 2], [1, 2], [1])
    for size, kernel, stride, padding, dilation, groups in [*one, (5, 3, 1, 1, 1, 2), (6, 2, 2, 1, 1, 4), (5, 3, 2, 1, 1, 4)]:
        if size + 2 * padding < dilation * (kernel - 1) + 1:
            continue
        for rank in (1, 2, 3) if size == 5 and kernel == 2 else (2,):
            sizes = (size, *[size - 1] * (rank - 1))
            attrs = {"stride": [stride, *[1] * (rank - 1)], "padding": [padding] * rank, "dilation": [dilation, *[1] * (rank - 1)], "groups": groups}
            weight = proportional(rng, quarters(rng, 8 if groups == 4 and rank == 2 else 4, 4 // groups, *[kernel] * rank))
            weight[rng.random(size=weight.shape) < 0.3] = 0
            params = {"weight": weight} | ({"bias": quarters(rng, len(weight))} if rng.random() < 0.7 else {})
            yield Example("conv", ((None, 4, *sizes),), attrs, params)


def conv_transpose(rng: np.random.Generator) -> Iterator[Example]:
    for kernel, stride, padding, extra, dilation, groups in product([1, 2, 3], [1, 2, 3], [0, 1], [0, 1], [1, 2], [1, 2, 4]):
        if extra >= max(stride, dilation) or (3 - 1) * stride - 2 * padding + dilation * (kernel - 1) + extra < 0:
            continue
        for rank in (1, 2, 3) if (kernel, dilation, extra) == (2, 1, 0) and groups < 4 else (1,):
            more = rank - 1
            attrs = {"stride": [stride, *[2] * more], "padding": [padding, *[0] * more], "output_padding": [extra, *[0] * more]}
            attrs |= {"dilation": [dilation, *[1] * more], "groups": groups}
            rows = proportional(rng, quarters(rng, 8, 4 // groups, *[kernel] * rank))  # (out, in / groups, ...)
            rows[rng.random(size=rows.shape) < 0.3] = 0
            if rng.random() < 0.4:  # constants pass: every tap the same, or one tap
                rows[:] = rows[(..., *[slice(0, 1)] * rank)]
            weight = rows.reshape(groups, 8 // groups, 4 // groups, *[kernel] * rank).swapaxes(1, 2).reshape(4, 8 // groups, *[kernel] * rank)
            params = {"weight": weight} | ({"bias": quarters(rng, 8)} if rng.random() < 0.7 else {})
            yield Example("conv_transpose", ((None, 4, 3, *[2] * more),), attrs, params)


def embedding(rng: np.random.Generator) -> Iterator[Example]:
    for shape, entries in product([(None,), (None, 3), (None, 2, 2)], [1, 2, 7]):
        table = proportional(rng, quarters(rng, 5, entries)) + rng.choice([0, 0.5, 3], size=(5, 1))
        yield Example("embedding", (shape,), {"padding_idx": -1}, {"weight": np.ascontiguousarray(table.T)}, len(shape), entries)


def batch_norm(rng: np.random.Generator) -> Iterator[Example]:
    for shape, square, eps, affine in product([(None, 5), (None, 5, 3), (None, 5, 2, 3)], [True, False], [0.0, 2.0**-10], [True, False]):
        var = rng.choice([0.25, 1.0, 2.25, 4.0], size=5) - eps if square else rng.choice([2.0, 3.0, 8.0, 18.0], size=5) - eps
        params = {"mean": quarters(rng, 5), "var": var}
        if affine:
            params |= {"weight": rng.choice([1.0, -1.0, 3.0, 0.5, 0.0], size=5), "bias": quarters(rng, 5)}
        yield Example("batch_norm", (shape,), {"eps": eps}, params)


def elementwise(kind: str, *attrs: dict[str, Any]) -> Callable[[np.random.Generator], Iterator[Example]]:
    def examples(rng: np.random.Generator) -> Iterator[Example]:
        for a, shape in product(attrs or ({},), [(None, 6), (None, 6, 2, 3)]):
            yield Example(kind, (shape,), a)

    return examples


def pairwise(kind: str) -> Callable[[np.random.Generator], Iterator[Example]]:
    def examples(rng: np.random.Generator) -> Iterator[Example]:
        for a, b in [((6,), (6,)), ((6, 2, 3), (6, 2, 3)), ((6, 2, 3), (6, 1, 1)), ((6, 1, 3), (6, 2, 1)), ((6, 1, 1), (6, 2, 3))]:
            yield Example(kind, ((None, *a), (None, *b)))

    return examples


def with_constant(kind: str, role: str, values: tuple[float, ...] = (0.0, 1.0, -2.0, 0.75, 3.0)) -> Callable[[np.random.Generator], Iterator[Example]]:
    def examples(rng: np.random.Generator) -> Iterator[Example]:
        for shape, size in product([(None, 6), (None, 6, 2, 3)], [(), (6,)]):
            yield Example(kind, (shape,), {"axis": 1}, {role: rng.choice(values, size=size)})
        yield Example(kind, ((None, 6, 2, 3),), {"axis": 3}, {role: rng.choice(values, size=3)})

    return examples


def constant(rng: np.random.Generator) -> Iterator[Example]:
    for shape, axis in [([6], 1), ([6, 2, 3], 1), ([2, 6], 2)]:
        yield Example("constant", ((None, 4, 2),), {"shape": shape, "axis": axis}, {"value": rng.choice([0.0, 1.0, -2.0, 0.75, 3.0], size=6)})


def concat(rng: np.random.Generator) -> Iterator[Example]:
    yield Example("concat", ((None, 3), (None, 4)), {"axis": 1})
    yield Example("concat", ((None, 3, 2), (None, 1, 2), (None, 3, 2)), {"axis": 1})
    yield Example("concat", ((None, 3, 2), (None, 3, 4)), {"axis": 2}, axis=2)
    yield Example("concat", ((None, 3, 2), (None, 3, 4)), {"axis": 2}, axis=1)


def reshape(rng: np.random.Generator) -> Iterator[Example]:
    for before, after, axis in [
        ((4, 2, 3), [24], 1),
        ((4, 6), [4, 2, 3], 1),
        ((4, 2, 3), [4, 6], 1),
        ((4, 2, 3), [4, 6], 3),
        ((4, 2, 3), [8, 3], 2),
        ((4, 1, 1), [4], 1),
        ((4,), [4, 1, 1], 1),
        ((4, 6), [2, 2, 6], 1),
        ((4, 2, 3), [4, 2, 3], 2),
    ]:
        yield Example("reshape", ((None, *before),), {"shape": after}, axis=axis)


def permute(rng: np.random.Generator) -> Iterator[Example]:
    for dims, axis in product([[0, 2, 3, 1], [0, 1, 3, 2], [0, 3, 1, 2], [0, 3, 2, 1]], [1, 2, 3]):
        yield Example("permute", ((None, 4, 2, 3),), {"dims": dims}, axis=axis)


def index_select(rng: np.random.Generator) -> Iterator[Example]:
    for index, axis, units in product([[0], [2, 0, 3, 1], [1, 2], [3, 3, 0], [3, 2, 1, 0]], [1, 2], [1, 2]):
        yield Example("index_select", ((None, 4, 4, 2),), {"axis": axis, "index": index}, axis=units)
    yield Example("index_select", ((None, 6),), {"axis": 1, "index": [1, 4, 5]})


def windows(rng: np.random.Generator) -> Iterator[tuple[tuple[int, ...], dict[str, Any]]]:
    for size, kernel, stride, padding, ceil in product([5, 6], [2, 3], [1, 2, 3], [0, 1], [False, True]):
        for rank in (1, 2, 3) if size == 5 else (2,):
            sides = {"kernel": [kernel, *[2] * (rank - 1)], "stride": [stride, *[2] * (rank - 1)], "padding": [padding] * rank}
            yield (size, *[4] * (rank - 1)), sides | {"ceil_mode": ceil}


def max_pool(rng: np.random.Generator) -> Iterator[Example]:
    for (sizes, attrs), dilation in product(list(windows(rng)), [1, 2]):
        if dilation * (attrs["kernel"][0] - 1) < sizes[0]:
            yield Example("max_pool", ((None, 4, *sizes),), attrs | {"dilation": [dilation, *[1] * (len(sizes) - 1)]})


def avg_pool(rng: np.random.Generator) -> Iterator[Example]:
    for (sizes, attrs), counted, divisor in product(list(windows(rng)), [True, False], [None, 3]):
        yield Example("avg_pool", ((None, 4, *sizes),), attrs | {"count_include_pad": counted, "divisor_override": divisor})


def adaptive(kind: str) -> Callable[[np.random.Generator], Iterator[Example]]:
    def examples(rng: np.random.Generator) -> Iterator[Example]:
        for sizes, outs in [((5,), [2]), ((7,), [3]), ((5, 4), [1, 1]), ((5, 4), [3, 2]), ((4, 5), [4, 7]), ((3, 4, 5), [2, 2, 2])]:
            yield Example(kind, ((None, 4, *sizes),), {"output_size": outs})

    return examples


def over_positions(kind: str, rng: np.random.Generator) -> Iterator[Example]:
    for axes, keepdim, axis in product([[2], [3], [2, 3], [1], [1, 3], [1, 2, 3]], [True, False], [1, 3]):
        yield Example(kind, ((None, 4, 2, 3),), {"axes": axes, "keepdim": keepdim}, axis=axis)


def prelu(rng: np.random.Generator) -> Iterator[Example]:
    for shape, size in product([(None, 6), (None, 6, 2, 3)], [1, 6]):
        yield Example("prelu", (shape,), {}, {"slope": rng.choice([0.25, 0.25, -0.5, 2.0], size=size)})
    yield Example("prelu", ((None, 2, 4),), {}, {"slope": np.array([0.25])}, axis=2)
    yield Example("prelu", ((None, 2, 4),), {}, {"slope": np.array([0.25, 0.5])}, axis=2)


def pad(rng: np.random.Generator) -> Iterator[Example]:
    for mode, value in [("constant", 0.0), ("constant", 1.5), ("reflect", 0.0), ("replicate", 0.0), ("circular", 0.0)]:
        for pads, shape in [([[0, 0], [1, 2]], (None, 4, 3)), ([[0, 0], [1, 0], [0, 2]], (None, 4, 2, 3)), ([[0, 0], [0, 0], [2, 1]], (None, 4, 1, 3))]:
            yield Example("pad", (shape,), {"pads": pads, "mode": mode, "value": value})
    for axis in (1, 2):
        yield Example("pad", ((None, 3, 4),), {"pads": [[1, 1], [0, 0]], "mode": "constant", "value": 0.5}, axis=axis)


def upsample(rng: np.random.Generator) -> Iterator[Example]:
    for scales in ([2], [1, 3], [2, 2], [1, 2, 2]):
        yield Example("upsample", ((None, 4, *[2, 3, 1][: len(scales)]),), {"scales": scales, "mode": "nearest"})


def twins(rng: np.random.Generator, params: dict[str, np.ndarray], gates: int) -> dict[str, np.ndarray]:
    """Some units become another one or its negative (the candidate alone turns), some are zero."""
    blocks = {role: p.reshape(gates, -1, *p.shape[1:]) for role, p in params.items()}
    for unit in range(1, next(iter(blocks.values())).shape[1]):
        source, turn = rng.integers(unit), rng.choice([1, 1, -1, 0])
        if rng.random() < 0.6:
            for p in blocks.values():
                p[:, unit] = p[:, source]
                p[2 if gates > 1 else 0, unit] *= turn
    return params


def recurrent(kind: str, gates: int, *attrs: dict[str, Any]) -> Callable[[np.random.Generator], Iterator[Example]]:
    def examples(rng: np.random.Generator) -> Iterator[Example]:
        for a, reverse, bias, length in product(attrs or ({},), [False, True], [True, False], [1, 3]):
            params = {"weight_ih": quarters(rng, gates * 4, 3) / 4, "weight_hh": quarters(rng, gates * 4, 4) / 4}
            params |= {role: quarters(rng, gates * 4) / 4 for role in ("bias_ih", "bias_hh") if bias}
            yield Example(kind, ((None, length, 3),), a | {"reverse": reverse}, twins(rng, params, gates), 2)

    return examples


def softmax(rng: np.random.Generator) -> Iterator[Example]:
    for axis in (1, 2):
        yield Example("softmax", ((None, 4, 3),), {"axis": axis})
    for axis in (1, 3):
        yield Example("softmax", ((None, 3, 4, 2),), {"axis": axis}, axis=2)


def normalisation(kind: str, shapes: Sequence[tuple[int, ...]], **attrs: Any) -> Callable[[np.random.Generator], Iterator[Example]]:
    """Over the last `dims` axes, or with weights along axis 1."""

    def examples(rng: np.random.Generator) -> Iterator[Example]:
        for shape, roles, eps in product(shapes, [(), ("weight",), ("weight", "bias")], [1e-5, 0.5]):
            if (kind == "rms_norm") <= ("bias" not in roles):
                dims = attrs.get("dims")
                size = shape[len(shape) - dims :] if dims else shape[:1]
                yield Example(kind, ((None, *shape),), attrs | {"eps": eps}, {role: quarters(rng, *size) for role in roles})

    return examples


def matmul(rng: np.random.Generator) -> Iterator[Example]:
    yield Example("matmul", ((None, 3, 4), (None, 4, 2)))
    yield Example("matmul", ((None, 2, 3, 4), (None, 2, 4, 5)))


def opaque(rng: np.random.Generator) -> Iterator[Example]:
    call = {"target": "aten.layer_norm.default", "args": [{"input": 0}, [4], {"param": "0"}], "kwargs": {}, "output": None}
    yield Example("opaque", ((None, 3, 4),), call, {"0": quarters(rng, 4)})


SIXTH = 1 / 6
FUNCTION_ATTRS: dict[str, tuple[dict[str, Any], ...]] = {
    "elu": ({"alpha": 1.0}, {"alpha": 0.25}),
    "celu": ({"alpha": 1.0}, {"alpha": 2.0}),
    "softplus": ({"beta": 1.0, "threshold": 20.0}, {"beta": 2.0, "threshold": 3.0}),
    "hardsigmoid": ({"alpha": SIXTH, "beta": 0.5}, {"alpha": 0.25, "beta": 0.5}, {"alpha": 0.25, "beta": 0.25}),
    "pow": ({"exponent": 2.0}, {"exponent": 3.0}, {"exponent": -1.0}, {"exponent": -2.0}, {"exponent": 0.5}, {"exponent": 0.0}),
}


def attention(rng: np.random.Generator) -> Iterator[Example]:
    for (heads, kv, d, dv), (t, s), causal in product([(2, 2, 2, 1), (4, 2, 1, 2), (3, 3, 1, 1), (2, 1, 2, 2)], [(3, 3), (2, 3), (1, 1)], [False, True]):
        if t == s or not causal:
            shapes = ((None, t, heads * d), (None, s, kv * d), (None, s, kv * dv))
            yield Example("attention", shapes, {"heads": heads, "kv_heads": kv, "scale": 0.5, "causal": causal}, axis=2)


EXAMPLES: dict[str, Callable[[np.random.Generator], Iterator[Example]]] = {
    "linear": linear,
    "conv": conv,
    "conv_transpose": conv_transpose,
    "embedding": embedding,
    "layer_norm": normalisation("layer_norm", [(4,), (3, 4)], dims=1),
    "rms_norm": normalisation("rms_norm", [(3, 4), (2, 3, 4)], dims=2),
    "group_norm": normalisation("group_norm", [(4, 3), (4, 2, 3)], groups=2),
    "instance_norm": normalisation("instance_norm", [(4, 3), (4, 2, 3)]),
    "matmul": matmul,
    "div": pairwise("div"),
    "batch_norm": batch_norm,
    "relu": elementwise("relu"),
    "leaky_relu": elementwise("leaky_relu", {"slope": 0.125}, {"slope": float(np.float32(0.01))}, {"slope": -0.5}),
    "tanh": elementwise("tanh"),
    "sigmoid": elementwise("sigmoid"),
    "silu": elementwise("silu"),
    "gelu": elementwise("gelu", {"approximate": "none"}, {"approximate": "tanh"}),
    "hardtanh": elementwise("hardtanh", {"min": 0.0, "max": 6.0}, {"min": -1.0, "max": 1.0}, {"min": -1.0, "max": 2.0}),
    **{kind: elementwise(kind, *FUNCTION_ATTRS.get(kind, ())) for kind in FUNCTIONS},
    "identity": elementwise("identity"),
    "dropout": elementwise("dropout", {"p": 0.5}),
    "softmax": softmax,
    "attention": attention,
    "add": pairwise("add"),
    "mul": pairwise("mul"),
    "add_constant": with_constant("add_constant", "term"),
    "mul_constant": with_constant("mul_constant", "factor"),
    "constant": constant,
    "div_constant": with_constant("div_constant", "divisor", (1.0, -2.0, 0.75, 3.0)),
    "concat": concat,
    "reshape": reshape,
    "index_select": index_select,
    "permute": permute,
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "adaptive_avg_pool": adaptive("adaptive_avg_pool"),
    "adaptive_max_pool": adaptive("adaptive_max_pool"),
    **{kind: partial(over_positions, kind) for kind in ("mean", "sum", "amax", "amin")},
    "prelu": prelu,
    "pad": pad,
    "upsample": upsample,
    "rnn": recurrent("rnn", 1, {"nonlinearity": "tanh"}, {"nonlinearity": "relu"}),
    "lstm": recurrent("lstm", 4),
    "gru": recurrent("gru", 3, {"linear_before_reset": True}, {"linear_before_reset": False}),
    "opaque": opaque,
}


def examples(kind: str, rng: np.random.Generator) -> list[Example]:
    assert kind in EXAMPLES, f"the kind {kind!r} is registered without examples: give some in tests/laws/test_operators.py"
    return list(EXAMPLES[kind](rng))


ALL = pytest.mark.parametrize("kind", kinds())


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference; infinite where one has a value and the other has none."""
    finite = np.isfinite(a)
    return float(np.abs(a[finite] - b[finite]).max(initial=0)) if (finite == np.isfinite(b)).all() else math.inf


def largest(a: np.ndarray) -> float:
    """At least 1."""
    return max(1.0, float(np.abs(a[np.isfinite(a)]).max(initial=0)))


# -- shape, run ---------------------------------------------------------------------------------


@ALL
def test_every_kind_has_examples(kind: str, rng: np.random.Generator) -> None:
    assert examples(kind, rng)


def test_examples_are_of_registered_kinds() -> None:
    assert set(EXAMPLES) == set(kinds())


@ALL
def test_shapes_and_doubles_are_torchs(kind: str, rng: np.random.Generator) -> None:
    """`infer` gives the shape that torch gives, and `run` its numbers, to 1e-12."""
    for example in examples(kind, rng):
        graph = example.graph()
        inputs = example.numbers(rng, 3)
        with torch.no_grad():
            want = lower_graph(graph)(*(torch.as_tensor(x) for x in inputs.values())).numpy()
        assert (None, *want.shape[1:]) == example.shape(), example
        if kind == "opaque":
            with pytest.raises(NoExactValue):
                run(graph, inputs)
            continue
        got = run(graph, inputs)["n"]
        assert got.shape == want.shape, example
        assert apart(got, want) <= 1e-12 * largest(want), example


@ALL
def test_rationals_agree_with_doubles(kind: str, rng: np.random.Generator) -> None:
    """`run` on `Fraction` arrays is exact; where it has no answer the kind is known to be irrational."""
    if kind == "opaque":
        return
    for example in examples(kind, rng):
        graph = example.graph()
        for factor in (1.0, 0.0):
            inputs = {name: factor * x for name, x in example.numbers(rng, 2).items()}
            try:
                exact = run(graph, {name: fractions(x) for name, x in inputs.items()})["n"]
            except NoExactValue:
                assert kind in IRRATIONAL
                continue
            assert all(isinstance(v, Fraction | int) for v in exact.reshape(-1)), example
            double = run(graph, inputs)["n"]
            assert apart(exact.astype(np.float64), double) <= 1e-12 * largest(double), example


@ALL
def test_a_lemma_stands_behind_every_kind(kind: str) -> None:
    """`proofs/lemmas/<kind>.py`, or the lemma that the kind shares with another."""
    assert any(kind in registry.covers(rule) for rule in registry.rules())


# -- the lumping rule ---------------------------------------------------------------------------

SCALES = [Fraction(s) for s in ("1", "1", "1", "2", "1/2", "-1", "-1", "-2", "3")]
OFFSETS = [Fraction(o) for o in ("0", "0", "0", "0", "1", "-1/2", "3")]
CONSTANTS = [Fraction(c) for c in ("0", "0", "0", "1", "-1", "3", "1/2", "-5")]
SURDS = [Surd(Fraction(1), Fraction(1), Fraction(2)), Surd(Fraction(-1), Fraction(1, 2), Fraction(3)), Surd(Fraction(2), Fraction(2), Fraction(2))]


def random_lumping(rng: np.random.Generator, n: int, surds: bool) -> Lumping:
    """Classes with scales and offsets, constants, sometimes irrational ones."""
    classes = int(rng.integers(1, n + 1))
    share = rng.choice([0.0, 0.25, 0.7])
    plain = rng.random() < 0.5
    keys: list[Any] = []
    scale, offset, value = constant_array(n, ONE), constant_array(n, ZERO), constant_array(n, None)
    for i in range(n):
        if rng.random() < share:
            keys.append(None)
            pool: Sequence[Any] = SURDS if surds and rng.random() < 0.4 else CONSTANTS
            value[i] = pool[rng.integers(len(pool))]
        else:
            keys.append(int(rng.integers(classes)))
            scale[i] = SCALES[rng.integers(len(SCALES))]
            offset[i] = ZERO if plain else OFFSETS[rng.integers(len(OFFSETS))]
    return normal_form(keys, scale, offset, value)


def decimal(c: Fraction | Surd) -> float:
    return float(c.a) + float(c.b) * float(c.r) ** 0.5 if isinstance(c, Surd) else float(c)


def operand(rng: np.random.Generator, x: Lumping, shape: Shape, axis: int, exact: bool, samples: int) -> np.ndarray:
    """Values that obey the lumping and are random otherwise, of shape (samples, ...)."""
    positions = [samples, *(int(d or 0) for k, d in enumerate(shape) if k not in (0, axis))]
    basis = [fractions(quarters(rng, *positions) * rng.choice([1, 1, 3, 16], size=positions)) for _ in range(x.count)]
    parts = []
    for i in range(len(x)):
        if x.classes[i] == GONE:
            part = np.full(positions, x.value[i] if exact else decimal(x.value[i]), dtype=object)
        else:
            part = x.scale[i] * basis[x.classes[i]] + x.offset[i]
        parts.append(part)
    whole = np.stack(parts, axis=axis)
    return whole if exact else whole.astype(np.float64)


def settled(site: Site, ins: list[Lumping]) -> tuple[list[Lumping], Lumping]:
    """The operand and output lumpings that meet the operator's demands: what the search would end with, for this node alone."""
    op = get(site.node.kind)
    first, asked = ins, [nothing(len(x)) for x in ins]
    below = nothing(site.units)
    free, free_out = [np.zeros(len(x), dtype=bool) for x in ins], np.zeros(site.units, dtype=bool)
    while True:
        out = refine(op.forward(site, ins), below)
        ups, down = op.demands(site, ins, out, free, free_out)
        new = [a if up is None else a.meet(up) for a, up in zip(asked, ups, strict=True)]
        deeper = below if down is None else below.meet(down)
        if all(a.same(b) for a, b in zip(asked, new, strict=True)) and below.same(deeper):
            return ins, out
        asked, below = new, deeper
        ins = [refine(x, demand) for x, demand in zip(first, asked, strict=True)]


def rational(site: Site) -> Site:
    params = {role: fractions(p) for role, p in site.params.items()}
    return Site(site.node, params, site.in_shapes, site.in_axes, site.axis)


def evaluate(site: Site, xs: list[np.ndarray]) -> np.ndarray:
    """The output as (units, samples and positions)."""
    exact = all(x.dtype == object for x in xs)
    y = get(site.node.kind).run(rational(site) if exact else site, xs)
    return np.moveaxis(y, site.axis or 0, 0).reshape(site.units, -1)


def trials(kind: str, rng: np.random.Generator, budget: int) -> Iterator[tuple[Site, list[Lumping], Lumping, list[np.ndarray], np.ndarray]]:
    """Settled sites of the kind with operand values that obey the lumpings they started from, and the output."""
    followed = [e for e in examples(kind, rng) if kind != "opaque" and e.site().axis is not None]
    if not followed:
        return
    for k in range(int(budget * SHARE.get(kind, 1))):
        example = followed[k % len(followed)] if budget >= len(followed) else followed[rng.integers(len(followed))]
        site = example.site()
        if example.choices is not None:
            (x,) = example.numbers(rng, 32).values()
            ins, out = settled(site, [discrete(1)])
            yield site, ins, out, [x], evaluate(rational(site), [x])
            continue
        start = [random_lumping(rng, int(s[example.axis] or 0), kind not in ("conv", "conv_transpose", "linear") or k % 4 == 0) for s in example.shapes]
        exact = not any(isinstance(v, Surd) for x in start for v in x.value)
        samples = 32 if all(len(s) == 2 for s in example.shapes) else 8
        xs = [operand(rng, x, s, example.axis, exact, samples) for x, s in zip(start, example.shapes, strict=True)]
        try:
            y = evaluate(site, xs)
        except NoExactValue:
            xs = [x.astype(np.float64) for x in xs]
            y = evaluate(site, xs)
        ins, out = settled(site, start)
        yield site, ins, out, xs, y


def equal(a: np.ndarray, b: Any) -> bool:
    """Exactly for rationals; within 1e-9 in doubles, where functions are irrational."""
    if a.dtype == object:
        return bool((a == b).all())
    return apart(a, np.broadcast_to(np.asarray(b, dtype=np.float64), a.shape)) <= 1e-9 * largest(a)


@ALL
def test_what_the_rule_claims_holds(kind: str, rng: np.random.Generator) -> None:
    """`x_out = E y_out + c_out` for every class, and every constant is the constant it is said to be."""
    for site, ins, out, _, y in trials(kind, rng, 150):
        for i in range(len(out)):
            if out.value[i] is not None:
                assert equal(y[i], out.value[i] if y.dtype == object else decimal(out.value[i])), (site.node, ins, out)
            if out.present[i]:
                r = out.first[out.classes[i]]
                s, t = out.scale[i], out.offset[i]
                claimed = s * y[r] + t if y.dtype == object else float(s) * y[r] + float(t)
                assert equal(y[i], claimed), (site.node, ins, out, i)


def constant(a: np.ndarray) -> bool:
    return len(a) == 0 or equal(a, a[0])


def related(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether `b = s a + t` for some numbers s and t, on these samples; a is not constant."""
    if a.dtype != object:
        known = np.isfinite(a) & np.isfinite(b)
        a, b = a[known], b[known]
        if len(a) < 3 or constant(a):
            return False
    far = int(np.argmax(np.abs(a - a[0])))
    s = (b[far] - b[0]) / (a[far] - a[0])
    return equal(b, s * (a - a[0]) + b[0])


@ALL
def test_nothing_beyond_the_rule_could_be_claimed(kind: str) -> None:
    """Units that the operator keeps apart are related on no set of random inputs, and a rational constant is never overlooked.

    Irrational scales are no lumping, so this is about rational outputs and about the kinds that are irrational functions.
    The trials are fixed: two units that only repeat constants, one value inside and one at the border, look related by chance.
    """
    for site, ins, out, _, y in trials(kind, np.random.default_rng(0), 100):
        if y.dtype != object and (kind == "batch_norm" or any(isinstance(v, Surd) for x in ins for v in x.value)):
            continue
        maximal = kind not in NOT_MAXIMAL or not NOT_MAXIMAL[kind][0](site)
        moving = [i for i in range(len(out)) if out.present[i] and out.value[i] is None and not constant(y[i])]
        for i, j in combinations(moving, 2):
            assert out.classes[i] == out.classes[j] or not related(y[i], y[j]) or not maximal, (site.node, site.params, ins, out, i, j)
        for i in range(len(out)):
            assert y.dtype != object or not constant(y[i]) or out.value[i] is not None or not maximal, (site.node, site.params, ins, out, i)


@ALL
def test_unobserved_operands_change_nothing(kind: str, rng: np.random.Generator) -> None:
    """Operand classes without an observed unit may take any values: observed outputs stay the same."""
    for site, ins, out, xs, y in trials(kind, rng, 60):
        chosen = rng.random(out.count) < 0.5
        alive_out = np.array([c != GONE and chosen[c] for c in out.classes], dtype=bool)
        while (more := alive_out | get(kind).revives(site, out, alive_out)).sum() > alive_out.sum():
            alive_out = more
        masks = get(kind).alive(site, ins, out, alive_out)
        if site.in_axes == (None,):  # an operand without units is read or not
            assert bool(masks[0].all()) == bool(alive_out.any())
            continue
        moved = []
        for x, array, mask, axis in zip(ins, xs, masks, site.in_axes, strict=True):
            stays = x.present & np.array([v is not None for v in x.value], dtype=bool)  # a constant has no other values
            fresh = array if stays.any() else operand(rng, x, (None, *array.shape[1:]), axis or 0, array.dtype == object, len(array))
            dead = np.array([x.present[i] and not mask[x.classes == x.classes[i]].any() for i in range(len(x))], dtype=bool)
            new = np.moveaxis(array, axis or 0, 0).copy()
            new[dead] = np.moveaxis(fresh, axis or 0, 0)[dead]
            moved.append(np.moveaxis(new, 0, axis or 0))
        try:
            after = evaluate(site, moved)
        except NoExactValue:  # a drawn number where the function is not defined
            continue
        for i in np.flatnonzero(alive_out):
            assert equal(y[i], after[i]), (site.node, ins, out, masks)


def test_a_long_flatten_is_followed_unit_by_unit() -> None:
    """Beyond 8,192 entries np.unravel_index answers wrongly for a column of them (numpy 2.4.6)."""
    weight = {"weight": "w"}
    conv = Node(Value("x", (None, 320, 6, 6)), "conv", ("image",), {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1}, weight)
    flat = Node(Value("y", (None, 11520)), "reshape", ("x",), {"shape": [11520]})
    graph = Graph((Value("image", (None, 1, 6, 6)),), (conv, flat), ("y",), {"w": np.ones((320, 1, 1, 1), np.float32)})
    site = sites(graph)[1]
    assert site.axis == 1
    op = get("reshape")
    np.testing.assert_array_equal(op.source(site), np.repeat(np.arange(320), 36))
    np.testing.assert_array_equal(op.slots(site), np.tile(np.arange(36), 320))
