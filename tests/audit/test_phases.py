"""Regions: their parts leave no point out, their bounds hold every point in them, and they tell more than halves of inputs do where inputs are many."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from lumpnet.audit import phases, search
from lumpnet.audit.attack import Attack
from lumpnet.audit.boxes import Boxes
from lumpnet.audit.matching import matched
from lumpnet.audit.search import Search
from lumpnet.bounds.relaxed import pair, tape
from lumpnet.bounds.relaxed import relaxations as relax
from lumpnet.domain import Box
from lumpnet.exact import fractions
from lumpnet.ir import Graph
from tests.audit.networks import HOW, box_of, pair_of
from tests.audit.truth import Pairing
from tests.bounds.cases import RELU, chain, linear


@pytest.fixture(autouse=True)
def _regions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(search, "MANY", 0)
    torch.set_num_threads(1)
    with torch.no_grad():
        yield


def searching(one: Graph, two: Graph, ends: Any, goal: float | None = None, most: float = float("inf"), match: Any = None) -> Search:
    return Search(pair(tape(one), tape(two), matched(one, two) if match is None else match), Attack(one, two, ends), goal, most=most)


def test_every_point_is_in_a_region_whose_bound_it_obeys(rng: np.random.Generator) -> None:
    """And in no region whose bound it does not obey, those given up as empty included."""
    cut = 0
    for drawn in range(100):
        if drawn >= 6 and cut:  # pairs without regions are no test
            break
        one, two = pair_of(rng, "mlp", str(rng.choice(HOW)), "relu")
        box = box_of(rng, one, float(rng.choice([0.1, 1.0, 3.0])))
        match = matched(one, two) if rng.random() < 0.7 else {}
        pairing, found = Pairing(one, two, match), searching(one, two, {one.inputs[0].name: box.on(one.inputs[0])}, match=match)
        found.phases = phases.phases(found.program)
        if found.phases is None or found.phases.target not in pairing.truths(np.zeros((1, len(box.on(one.inputs[0])[0]))))[0]:
            continue
        low, high = (torch.from_numpy(e.astype(np.float64)) for e in box.on(one.inputs[0]))
        whole, bar = found.bounded(low[None], high[None], {}), -1.0
        regions = found.regions(whole, bar)
        while len(regions) < 80:
            regions = found.regions(regions, bar)
        assert (regions.row >= 0).all()
        cut += len(regions)
        share = rng.random((40, len(low)))
        x = np.clip(low.numpy() * (1 - share) + high.numpy() * share, low.numpy(), high.numpy())
        truths, tolerance = pairing.truths(x)
        assert tolerance == 0
        signed = fractions(found.signed(found.phases.target, torch.arange(2 * found.program.nodes[found.phases.target].size)).numpy())
        reached = truths[found.phases.target] @ signed.T
        above = set(torch.nonzero(whole.bound[0] > bar)[:, 0].tolist())  # the others are done before they are cut
        assert (reached <= fractions(whole.bound.numpy())).all()
        for k in range(len(x)):
            inside = [j for j in range(len(regions)) if holds(regions, j, x[k], {n: v[k] for n, v in truths.items()})]
            assert {int(regions.row[j]) for j in inside} == above
            for j in inside:
                top = float(regions.bound[j, 0])
                assert np.isfinite(top)
                assert reached[k, int(regions.row[j])] <= fractions(np.array(top))
    assert cut


def holds(regions: Boxes, j: int, x: np.ndarray, truths: dict[int, np.ndarray]) -> bool:
    """Whether a point is in the box, and its operands in what is known of them."""
    known = [(v, *(e[j].numpy() for e in regions.known[k])) for k, v in truths.items() if k in regions.known]
    sides = [(fractions(x), regions.low[j].numpy(), regions.high[j].numpy()), *known]
    return all(bool(((v >= fractions(a)) & (v <= fractions(b))).all()) for v, a, b in sides)


@pytest.mark.parametrize("goal", [None, 0.5, 1.05, 2.0])
def test_the_interval_holds_the_largest_difference(goal: float | None, rng: np.random.Generator) -> None:
    for _ in range(3):
        one, two = pair_of(rng, "mlp", str(rng.choice(["moved", "rounded", "another network", "doubled"])), "relu")
        ends = {one.inputs[0].name: box_of(rng, one, float(rng.choice([0.05, 0.5, 2.0]))).on(one.inputs[0])}
        attack = Attack(one, two, ends)
        f, g = attack.outputs(attack.space.representable(attack.space.random(4000, rng)))
        seen = float((f - g).abs().max()) * (1 - 1e-9)
        found = searching(one, two, ends, None if goal is None else seen * goal, 300)
        state = found.run(attack.space.low, attack.space.high)
        assert state.lower <= state.upper
        assert state.upper >= seen


def drawn(rng: np.random.Generator, inputs: int, units: int = 12) -> tuple[Graph, Graph, Any]:
    """Two hidden layers, weights 1 % off, on a small box."""
    sizes = (inputs, units, units, 2)
    weights = [rng.normal(size=(m, n)) * np.sqrt(2 / n) for n, m in pairwise(sizes)]
    graphs = []
    for moved in (0.0, 0.01):
        a, b, c = (linear(w + moved * rng.normal(size=w.shape) * np.abs(w).mean(), np.zeros(len(w))) for w in weights)
        graphs.append(chain([inputs], a, RELU, b, RELU, c))
    middle = np.float32(rng.normal(size=inputs))
    return graphs[0], graphs[1], {graphs[0].inputs[0].name: Box(middle - np.float32(0.05), middle + np.float32(0.05)).on(graphs[0].inputs[0])}


def test_regions_tell_more_than_halves_where_inputs_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both after as many boxes; and without multipliers a region's condition on the inputs is forgotten."""
    one, two, ends = drawn(np.random.default_rng(5), 80)
    found = {}
    for name, many, steps in (("halves", 100, 24), ("regions", 64, 24), ("no multipliers", 64, 0)):
        monkeypatch.setattr(search, "MANY", many)
        monkeypatch.setattr(phases, "STEPS", steps)
        made = searching(one, two, ends, most=400)
        state = made.run(made.attack.space.low, made.attack.space.high, float("inf"))  # type: ignore[attr-defined]
        found[name] = state.upper
    assert found["regions"] < 0.9 * found["halves"]
    assert found["regions"] < 0.9 * found["no multipliers"]


def test_a_region_with_nothing_to_cut_is_halved() -> None:
    """Smooth functions beside relus: cutting relus ends, and the bounds still come down."""
    rng = np.random.default_rng(2)
    w, v = rng.normal(size=(4, 2)), rng.normal(size=(1, 4))
    one, two = (chain([2], linear(w + m, np.zeros(4)), ("tanh", {}, {}), linear(v, np.zeros(1)), RELU, linear(np.ones((1, 1)))) for m in (0.0, 0.05))
    found = searching(one, two, {one.inputs[0].name: Box(-2, 2).on(one.inputs[0])}, most=1000)
    low, high = (torch.full((2,), e, dtype=torch.float64) for e in (-2.0, 2.0))
    root = float(found.bounded(low[None], high[None], {}).bound.max())
    assert found.run(low, high, float("inf")).upper < 0.8 * root


def test_functions_are_linear_outside_of_where_they_bend(rng: np.random.Generator) -> None:
    """Relu, and its difference: below 0, above d, as lines say that have no gap."""
    ends = np.sort(rng.normal(size=(2, 200)) * rng.choice([1e-3, 1.0], size=200), axis=0)
    d = (torch.from_numpy(ends[0])[None], torch.from_numpy(ends[1])[None])
    z = (torch.full((1, 200), -5.0, dtype=torch.float64), torch.full((1, 200), 5.0, dtype=torch.float64))
    below, above = relax.bend(d, z)
    for side, wanted in (((above, z[1]), d), ((z[0], below), (torch.zeros(1, 200), torch.zeros(1, 200)))):
        interval, lines = relax.relu_difference(d, side)
        assert all(torch.equal(i, w.double()) for i, w in zip(interval, wanted, strict=True))
        assert torch.equal(lines.over, lines.under)
    assert ((above - below) <= torch.from_numpy(np.maximum(ends[1], 0) - np.minimum(ends[0], 0)) + 1e-9).all()
    assert not any(e.any() for e in relax.bend(None, z))


def test_parts_cover_what_they_are_of() -> None:
    """Below, above and between; a cut outside of the bounds has fewer parts, -1 none."""
    bounds = {3: (torch.tensor([[-1.0, -2.0]] * 3).double(), torch.tensor([[1.0, 2.0]] * 3).double()), 5: (torch.zeros(3, 1), torch.ones(3, 1))}
    cut = torch.tensor([[1.0, -0.5, 0.25], [0.0, -3.0, 0.5], [-1.0, 0.0, 0.0]]).double()
    found, of = phases.parts(bounds, cut, (3,))
    pieces = sorted((int(r), *(float(found[3][s][k, 1 if int(r) == 0 else 0]) for s in (0, 1))) for k, r in enumerate(of))
    assert pieces == [(0, -2.0, -0.5), (0, -0.5, 0.25), (0, 0.25, 2.0), (1, -1.0, 0.5), (1, 0.5, 1.0)]
    assert len(found[5][0]) == 5
