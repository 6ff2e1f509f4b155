"""Laws of relaxed lumping on generated networks: the certificate's bound holds wherever one looks, and goals are kept.

Outputs are compared in rational arithmetic where every operator has a value there, else in float64 with the room that it needs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

import lumpnet
from lumpnet.api import Reduction
from lumpnet.errors import GraphError, NoExactValue
from lumpnet.exact import fractions
from lumpnet.ir import Graph, Node, Value
from lumpnet.lump.relaxed import passes
from lumpnet.network import Network
from lumpnet.ops.sites import run, sites
from lumpnet.testing import FAMILIES, as_trained, planted
from lumpnet.verdict import Proved, Unknown

SEED = int(os.environ.get("LUMPNET_SEED") or int.from_bytes(os.urandom(3), "big"))
BOX = lumpnet.Box(-1, 1.5)
GOALS = ({"size": 0.6}, {"tolerance": 0.4}, {"budget": 3.0})
SEEDS = (1, 2, 3, *(SEED + k for k in range(3)))


def wide(graph: Graph) -> Graph:
    return replace(graph, tensors={name: x.astype(np.float64) if x.dtype.kind == "f" else x for name, x in graph.tensors.items()})


def inputs(graph: Graph, rng: np.random.Generator, scale: float | None) -> Iterator[dict[str, np.ndarray]]:
    """Corners of the box and points in it, in numbers that are exact; without a box, points of all sizes."""
    for _ in range(3):
        whole = {v.name: rng.integers(0, 17, (2, *v.shape[1:])) / 16 for v in graph.inputs}
        corner = {v.name: rng.integers(0, 2, (2, *v.shape[1:])) * 1.0 for v in graph.inputs}
        for points in (whole, corner):
            yield {name: -1 + 2.5 * x if scale is None else (2 * x - 1) * scale for name, x in points.items()}


def apart(one: Graph, two: Graph, points: dict[str, np.ndarray]) -> Fraction:
    """The largest difference of any output, or a little less than it where only floats tell."""
    try:
        exact = {name: fractions(x) for name, x in points.items()}
        pairs = [(run(g, exact)[name] for g in (one, two)) for name in one.outputs]
        return max((abs(d) for f, h in pairs for d in (f - h).ravel()), default=Fraction(0))
    except NoExactValue:
        values = [run(wide(g), points) for g in (one, two)]
        largest = max(float(np.abs(x).max(initial=0)) for x in values[0].values())
        return Fraction(max(float(np.abs(values[0][name] - values[1][name]).max(initial=0)) for name in one.outputs)) - Fraction(largest) / 2**30


def relaxed(graph: Graph, domain: lumpnet.Box | None, **goal: float) -> Reduction | None:
    """None where relaxed lumping says that it has no bound here."""
    result = lumpnet.reduce(Network(graph), domain=domain, **goal)
    if isinstance(result.verdict, Unknown):
        assert "no rule" in result.verdict.reason or "no bound" in result.verdict.reason, result.verdict
        return None
    assert isinstance(result.verdict, Proved), result.verdict
    return result


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: next(iter(goal)))
def test_the_bound_holds_and_the_goal_is_kept(family: str, seed: int, goal: dict[str, float]) -> None:
    graph = as_trained(seed, family)
    result = relaxed(graph, BOX, **goal)
    if result is None:
        return
    effect, rng = result.certificate.effect, np.random.default_rng(seed)
    bound = Fraction(effect.alpha) if effect is not None else Fraction(0)
    if result.certificate.moved is not None:
        assert effect is not None
        assert effect.alpha <= goal.get("budget", np.inf)
        assert all(apart(graph, result.network.graph, points) <= bound for points in inputs(graph, rng, None)), f"{family}, seed {seed}"
    assert result.network.size.units <= result.original.size.units


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", SEEDS[2:4])
def test_without_a_box_the_bound_grows_with_the_input(family: str, seed: int) -> None:
    graph = as_trained(seed, family)
    result = relaxed(graph, None, size=0.6)
    if result is None or result.certificate.moved is None:
        return
    effect, rng = result.certificate.effect, np.random.default_rng(seed)
    assert effect is not None
    for scale in (0.0, 1.0, 64.0):
        for points in inputs(graph, rng, scale):
            largest = max(Fraction(float(np.abs(x).max())) for x in points.values())
            assert apart(graph, result.network.graph, points) <= Fraction(effect.alpha) + Fraction(effect.beta) * largest


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", SEEDS[2:4])
def test_tolerance_zero_is_exact_lumping(family: str, seed: int) -> None:
    graph = planted(seed, family).graph
    exact = lumpnet.reduce(Network(graph), domain=BOX)
    result = relaxed(graph, BOX, tolerance=0.0)
    if result is not None:
        assert result.network.data == exact.network.data
        assert result.certificate == exact.certificate


@pytest.mark.parametrize("family", ["mlp", "cnn", "resnet"])
def test_a_smaller_size_leaves_no_more_units(family: str) -> None:
    for seed in SEEDS[2:4]:
        graph = as_trained(seed, family)
        found = [relaxed(graph, BOX, size=size) for size in (0.9, 0.7, 0.5)]
        units = [r.network.size.units for r in found if r is not None]
        assert units == sorted(units, reverse=True)


def test_the_same_twice() -> None:
    graph = as_trained(5, "cnn")
    one, two = (relaxed(graph, BOX, size=0.6) for _ in range(2))
    assert one is not None
    assert two is not None
    assert (one.network.data, one.certificate) == (two.network.data, two.certificate)


@pytest.mark.parametrize("goal", [{}, {"tolerance": 0.1, "size": 0.5}, {"tolerance": -1.0}, {"size": 0.0}, {"size": 1.5}, {"budget": float("nan")}])
def test_a_goal_is_one_number_in_its_range(goal: dict[str, float]) -> None:
    from lumpnet.lump.relaxed import Goal

    with pytest.raises(ValueError, match="one of tolerance"):
        Goal(**goal)


def test_inputs_of_integers_are_told_from_numbers() -> None:
    value, node = Value("x", (None, 2), "int64"), Node(Value("y", (None, 2, 3)), "embedding", ("x",), {}, {"weight": "w"})
    with pytest.raises(GraphError, match="cannot be drawn"):
        lumpnet.reduce(Network(Graph((value,), (node,), ("y",), {"w": np.ones((4, 3), np.float32)})), size=0.5)


@pytest.mark.parametrize("units", [2, 3, 8])
def test_what_a_multiple_passes(units: int) -> None:
    """Multiples pass what is homogeneous, and nothing that bends, however many units there are."""

    class Chain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.f = nn.Conv2d(1, units, 1), nn.Linear(12 * units, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.a(x)
            y = torch.cat([torch.relu(x), nn.functional.max_pool2d(nn.functional.leaky_relu(x), 1)], 1)
            z = torch.cat([torch.tanh(x), torch.sigmoid(x), nn.functional.gelu(x), nn.functional.hardtanh(x)], 1)
            return self.f(torch.cat([y, z], 1).mean(-1).flatten(1))

    graph = lumpnet.lift(Chain(), torch.zeros(2, 1, 2, 2)).graph
    found = {s.node.kind: passes(s) for s in sites(graph) if s.in_axes[0] == 1 and s.axis == 1 and s.node.kind != "linear"}
    bend = {"tanh", "sigmoid", "gelu", "hardtanh"}
    assert {"relu", "leaky_relu", "max_pool", "concat", *bend} <= set(found)
    assert {kind for kind, passed in found.items() if not passed} == bend
