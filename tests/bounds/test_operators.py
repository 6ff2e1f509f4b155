"""Laws of the registry of bounds: every rule, on the examples of its operator, holds what exact arithmetic and all executions answer."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from lumpnet import Box
from lumpnet.bounds import Range, executed, ranges
from lumpnet.bounds.functions import MARGIN, gelu_tanh
from lumpnet.bounds.registry import RULES, Computed, Execution, rule_for
from lumpnet.bounds.rounding import ARITHMETIC
from lumpnet.domain import boxes
from lumpnet.errors import NoBound, NoExactValue
from lumpnet.exact import fractions
from lumpnet.ir import Graph, Node, Value
from lumpnet.ops import kinds
from lumpnet.ops.sites import run, sites
from tests.bounds.cases import chain
from tests.bounds.executions import REFUSALS, all_ways, by_torch, inside, nearly, real, widened, worst
from tests.laws.test_operators import examples

KNOWN = pytest.mark.parametrize("kind", sorted(RULES))
SHARE = 10
"""Examples of a kind, drawn anew."""


def graphs(kind: str, rng: np.random.Generator, dtype: str) -> list[Graph]:
    found = examples(kind, rng)
    chosen = rng.permutation(len(found))[:SHARE]
    return [widened(found[k].graph(), dtype) for k in chosen]


def some_box(graph: Graph, rng: np.random.Generator, wide: float) -> dict[str, Box]:
    """Around quarters, so that points are hit where functions bend."""
    out = {}
    for value in graph.inputs:
        low = rng.integers(-12, 13, size=[int(d or 0) for d in value.shape[1:]]) / 4
        out[value.name] = Box(low, low + wide * rng.integers(0, 9, size=low.shape) / 4)
    return out


def known(found: dict[str, Range | NoBound], name: str) -> Range:
    out = found[name]
    assert isinstance(out, Range), out
    return out


def test_what_is_known_is_registered() -> None:
    assert set(RULES) <= set(kinds())
    assert len(RULES) >= 30


@pytest.mark.parametrize("kind", sorted(set(kinds()) - set(RULES)))
def test_what_is_not_known_has_no_bound_and_says_so(kind: str, rng: np.random.Generator) -> None:
    graph = examples(kind, rng)[0].graph()
    if graph.inputs[0].dtype == "int64":
        return
    word = graph.nodes[0].attrs["target"] if kind == "opaque" else kind
    reason = executed(graph, Box(0.5, 1)).reason
    assert reason is not None
    assert reason.startswith("no bound: ")
    assert f"operator {word} is not known here" in reason
    assert executed(graph, Box(0.5, 1)).bound is None


@KNOWN
@pytest.mark.parametrize("wide", [0.0, 1.0])
def test_the_range_holds_every_value(kind: str, wide: float, rng: np.random.Generator) -> None:
    """In rational arithmetic; where there is none, in float64 with 1e-12 for its own errors."""
    for graph in graphs(kind, rng, "float64"):
        domain = some_box(graph, rng, wide)
        found = known(ranges(graph, domain), "n")
        xs = inside(boxes(domain, graph.inputs), 20, rng)
        try:
            few = {name: fractions(x[:6]) for name, x in xs.items()}
            (exact,) = (run(graph, few)[name] for name in graph.outputs)
            low, high = (np.vectorize(Fraction, otypes=[object])(end) for end in (found.lo, found.hi))
            assert ((exact >= low) & (exact <= high)).all(), graph
        except NoExactValue:
            (y,) = nearly(graph, xs)
            slack = 1e-12 * (1 + np.abs(y))
            assert ((y >= found.lo - slack) & (y <= found.hi + slack)).all(), graph


SUMS = ["linear", "conv", "conv_transpose", "avg_pool", "adaptive_avg_pool", "mean", "sum"]
ROUNDING = [*SUMS, "add", "mul", "add_constant", "mul_constant", "div_constant", "leaky_relu", "prelu"]


@pytest.mark.parametrize("kind", ROUNDING)
def test_the_range_holds_to_the_last_bit(kind: str, rng: np.random.Generator) -> None:
    """With numbers that fill a float64: the exact value is inside, where the float64 value is not the exact one."""
    missed = 0
    for graph in graphs(kind, rng, "float64"):
        tensors = {name: rng.normal(size=t.shape) + (t != 0) if t.dtype.kind == "f" else t for name, t in graph.tensors.items()}
        attrs = {**graph.nodes[0].attrs} | ({"slope": 0.1} if kind == "leaky_relu" else {})
        node = Node(graph.nodes[0].value, kind, graph.nodes[0].inputs, attrs, graph.nodes[0].params)
        graph = Graph(graph.inputs, (node,), graph.outputs, tensors)
        xs = {v.name: rng.normal(size=(1, *(int(d or 0) for d in v.shape[1:]))) for v in graph.inputs}
        found = known(ranges(graph, {name: Box(x[0], x[0]) for name, x in xs.items()}), "n")
        exact, near = run(graph, {name: fractions(x) for name, x in xs.items()})["n"][0], run(graph, xs)["n"][0]
        low, high = (np.vectorize(Fraction, otypes=[object])(end) for end in (found.lo, found.hi))
        assert ((exact >= low) & (exact <= high)).all(), graph
        missed += int((np.vectorize(Fraction, otypes=[object])(near) != exact).sum())
    assert missed


def test_attributes_that_the_format_rounds_are_counted() -> None:
    """0.1 is no float32: limits, slopes and padding are off by its rounding."""
    tenth = Fraction(0.1)
    for layer, x, want in [
        (("hardtanh", {"min": -0.1, "max": 0.1}, {}), 1.0, tenth),
        (("leaky_relu", {"slope": 0.1}, {}), -1.0, -tenth),
        (("pad", {"pads": [[0, 1]], "mode": "constant", "value": 0.1}, {}), 0.0, tenth),
    ]:
        graph = chain([1], layer)
        y = by_torch(graph)({"x": np.full((1, 1), x, np.float32)})[0].reshape(-1)[-1]
        off = abs(Fraction(float(y)) - want)
        assert 0 < off <= Fraction(executed(graph, Box(x, x)).bound or 0.0)


TINY = 2.0**-75
WINDOW = {"kernel": [3], "stride": [1], "padding": [0], "ceil_mode": False, "count_include_pad": True, "divisor_override": None}
UNDERFLOWS: dict[str, tuple[list[int], tuple[str, dict[str, Any], dict[str, Any]], float]] = {
    "mul_constant": ([1], ("mul_constant", {"axis": 1}, {"factor": np.array(TINY)}), TINY),
    "div_constant": ([1], ("div_constant", {"axis": 1}, {"divisor": np.array(1 / TINY)}), TINY),
    "leaky_relu": ([1], ("leaky_relu", {"slope": TINY}, {}), -TINY),
    "prelu": ([1], ("prelu", {}, {"slope": np.array([TINY])}), -TINY),
    "batch_norm": ([1], ("batch_norm", {"eps": 0.0}, {"mean": np.zeros(1), "var": np.ones(1), "weight": np.array([TINY])}), TINY),
    "linear": ([1], ("linear", {}, {"weight": np.array([[TINY]])}), TINY),
    "mean": ([1, 3], ("mean", {"axes": [2], "keepdim": False}, {}), 2.0**-149),
    "avg_pool": ([1, 3], ("avg_pool", WINDOW | {"divisor_override": None}, {}), 2.0**-149),
    "adaptive_avg_pool": ([1, 3], ("adaptive_avg_pool", {"output_size": [1]}, {}), 2.0**-149),
}


@pytest.mark.parametrize("kind", UNDERFLOWS)
def test_underflows_are_counted(kind: str) -> None:
    """Products of 2^-150 become 0, and averages of 2^-149 and zeros too."""
    shape, layer, x = UNDERFLOWS[kind]
    graph = chain(shape, layer)
    point = np.full(shape, x)
    point.reshape(-1)[1:] = 0
    y = by_torch(graph)({"x": point[None].astype(np.float32)})[0]
    (exact,) = real(widened(graph), {"x": point[None]}) or [None]
    assert exact is not None
    error = abs(Fraction(float(y.reshape(-1)[0])) - exact.reshape(-1)[0])
    assert 0 < error <= Fraction(executed(graph, Box(point, point)).bound or 0.0)


def test_underflow_of_a_product_of_values_is_counted() -> None:
    value = Value("x", (None, 1))
    graph = Graph((value,), (Node(Value("y", (None, 1)), "mul", ("x", "x")),), ("y",), {})
    y = by_torch(graph)({"x": np.full((1, 1), TINY, np.float32)})[0]
    assert y.item() == 0
    assert Fraction(TINY) ** 2 <= Fraction(executed(graph, Box(TINY, TINY)).bound or 0.0)


@KNOWN
def test_the_range_of_a_point_is_narrow(kind: str, rng: np.random.Generator) -> None:
    for graph in graphs(kind, rng, "float64"):
        found = known(ranges(graph, some_box(graph, rng, 0.0)), "n")
        assert (found.hi - found.lo <= 1e-8 * (1 + found.most)).all(), graph


@KNOWN
def test_the_range_reaches_the_corners(kind: str, rng: np.random.Generator) -> None:
    """Widths are no more than what 400 points of the box show, thirty times over: a rule that gives up is found."""
    for graph in graphs(kind, rng, "float64")[:4]:
        domain = some_box(graph, rng, 0.25)
        found = known(ranges(graph, domain), "n")
        (y,) = nearly(graph, inside(boxes(domain, graph.inputs), 400, rng))
        shown = y.max(axis=0) - y.min(axis=0)
        assert (found.hi - found.lo <= 30 * shown + 0.2 * (kind in ("silu", "gelu")) + 1e-6 * (1 + found.most)).all(), graph


@KNOWN
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_execution_is_within_the_bound(kind: str, dtype: str, rng: np.random.Generator) -> None:
    for graph in graphs(kind, rng, dtype)[:3]:
        domain = some_box(graph, rng, float(rng.choice([0.0, 1.0])))
        bound, slack = executed(graph, domain, dtype), executed(widened(graph), domain, "float64")
        tanh_form = graph.nodes[0].attrs.get("approximate") == "tanh"
        if tanh_form:
            assert slack.reason is not None
            if dtype == "float64":
                continue
        assert bound.reason is None, bound.reason
        xs = inside(boxes(domain, graph.inputs), 9, rng)
        truth = nearly(graph, xs) if not tanh_form else [gelu_tanh(xs["x0"].astype(np.float64))]
        answers = []
        for way, execute in all_ways(graph, rng, True):
            try:
                outputs = execute(xs)
            except REFUSALS:
                assert way.startswith("onnxruntime")
                continue
            answers.append((way, outputs))
            if tanh_form:
                assert (np.abs(outputs[0] - truth[0]) <= bound.bounds["n"] + MARGIN * np.abs(xs["x0"])).all()
                continue
            count, violations, ratio = worst(outputs, truth, bound, graph, slack)
            assert count == outputs[0].size
            assert not violations, f"{way}: {graph}, {ratio}"
        exact = real(graph, {name: x[:1] for name, x in xs.items()})
        for way, outputs in answers if exact is not None else ():
            assert not worst([y[:1] for y in outputs], exact, bound, graph)[1], f"{way}: {graph}"


@KNOWN
def test_errors_of_the_operands_pass(kind: str, rng: np.random.Generator) -> None:
    """Operands that are off by as much as is told of them, to either side or by less: the value is off by no more than the rule says."""
    seen = 0.0
    for graph in graphs(kind, rng, "float32"):
        graph = widened(graph)
        domain = some_box(graph, rng, float(rng.choice([0.0, 0.5])))
        found = ranges(graph, domain)
        off = {v.name: rng.integers(0, 13, size=known(found, v.name).lo.shape) / 4 for v in graph.inputs}
        operands = [Computed(known(found, name), off[name]) for name in graph.nodes[0].inputs]
        (site,) = sites(graph)
        told = rule_for(site).error(site, operands, known(found, "n"), Execution(ARITHMETIC["float32"]))
        xs = inside(boxes(domain, graph.inputs), 60, rng)
        moved = {name: x + off[name] * rng.choice([-1, 1, 1, -1, 0.5, 0], size=(60, *[1] * (x.ndim - 1))) for name, x in xs.items()}
        mixed = {name: x + off[name] * rng.choice([-1, 1], size=x.shape) for name, x in xs.items()}
        for other in (moved, mixed):
            change = np.abs(run(graph, other)["n"] - run(graph, xs)["n"])
            assert (change <= told + 1e-9 * (1 + np.abs(told))).all(), graph
            seen = max(seen, float(change.max(initial=0)))
    assert seen > 0 or kind == "constant"


MOVES = ["reshape", "permute", "index_select", "concat", "identity", "dropout", "upsample", "max_pool", "adaptive_max_pool", "relu", "amax", "amin", "constant"]


@pytest.mark.parametrize("kind", MOVES)
def test_what_only_moves_or_compares_is_exact(kind: str, rng: np.random.Generator) -> None:
    for graph in graphs(kind, rng, "float32"):
        assert executed(graph, some_box(graph, rng, 1.0)).bound == 0
