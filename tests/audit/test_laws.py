"""The law of certified differences: the bounds of every value of every program hold what the networks compute, at every point tried.

Where networks are piecewise linear both sides are exact and nothing is forgiven.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import lumpnet
from lumpnet.audit.attack import Attack
from lumpnet.audit.matching import matched
from lumpnet.audit.search import Search
from lumpnet.bounds.kinds.means import Mean
from lumpnet.bounds.registry import RULES
from lumpnet.bounds.relaxed import Allowance, Match, Units, evaluate, pair, program, tape, upper
from lumpnet.bounds.relaxed import relaxations as relax
from lumpnet.domain import Box, boxes
from lumpnet.exact import fractions
from lumpnet.ir import Graph
from lumpnet.ops.sites import run, sites
from tests.audit.campaign import KINDS
from tests.audit.networks import FAMILIES, HOW, attention, box_of, changed, pair_of
from tests.audit.truth import Pairing, boxed, check
from tests.bounds.cases import ADVERSARIES, RELU, chain, linear
from tests.laws.test_operators import examples

Array = np.ndarray[Any, Any]
SUMMING = {"linear", "conv", "conv_transpose", "mean", "sum", "avg_pool", "adaptive_avg_pool", "upsample"}
ACTIVATIONS = ("relu", "leaky_relu", "hardtanh", "relu6", "sigmoid", "tanh", "gelu", "silu", None)


def sampler(rng: np.random.Generator, n: int) -> Any:
    """Corners, anything, and mixtures."""

    def shares(shape: Sequence[int]) -> Array:
        share, ends = rng.random((n, *shape)), rng.integers(0, 2, size=(n, *shape))
        kind = rng.integers(0, 3, size=(n, *[1] * len(shape)))
        return np.where((kind == 0) | ((kind == 1) & (rng.random(share.shape) < 0.5)), ends, share)

    return shares


def law(one: Graph, two: Graph, match: Match, rng: np.random.Generator, n: int = 8) -> None:
    torch.set_num_threads(1)
    pairing = Pairing(one, two, match)
    box = box_of(rng, one)
    low, high = (e.astype(np.float64) for e in box.on(one.inputs[0]))
    found = check(pairing, low, high, sampler(rng, n), rng)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("kind", KINDS)
def test_no_sum_has_more_terms_than_a_map_says(kind: str, rng: np.random.Generator) -> None:
    """Forwards a sum for every row, backwards for every column: the margins count both."""
    seen = 0
    for example in examples(kind, rng):
        for step in tape(example.graph()).steps:
            for each in step.maps:
                there = each.dense() != 0
                most = max(int(there.sum(0).max()), int(there.sum(1).max())) if there.numel() else 0
                assert most <= each.terms, (example, most, each.terms)
                seen += most > 1
    assert seen or kind not in SUMMING


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 11])
def test_averages_of_any_geometry_are_counted(n: int) -> None:
    """An average of n entries reads few of them and, where there are more averages than entries, an entry is read by many."""
    pools = [("adaptive_avg_pool", {"output_size": [o]}) for o in (*range(1, 14), 40, 97)]
    sides = [(k, s, p) for k in range(1, n + 1) for s in (1, 2, 3) for p in range(k // 2 + 1)]
    ends = {"ceil_mode": False, "count_include_pad": True, "divisor_override": None}
    pools += [("avg_pool", {"kernel": [k], "stride": [s], "padding": [p]} | ends) for k, s, p in sides]
    for kind, attrs in pools:
        graph = chain([1, n], (kind, attrs, {}))
        (step,) = (step for step in tape(graph).steps if step.maps)
        there, (site,), rule = step.maps[0].dense() != 0, sites(graph), RULES[kind]
        assert isinstance(rule, Mean)
        assert int(there.sum(1).max()) <= rule.terms(site)
        assert int(there.sum(0).max()) <= rule.read(site)
        assert step.maps[0].terms >= max(rule.terms(site), rule.read(site)) + rule.divisions


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_bounds_hold_every_value(family: str, how: str, rng: np.random.Generator) -> None:
    one, two = pair_of(rng, family, how, str(rng.choice(["relu", "leaky_relu", "relu6"])) if rng.random() < 0.5 else None)
    law(one, two, matched(one, two), rng)


@pytest.mark.parametrize("activation", [a for a in ACTIVATIONS if a])
def test_bounds_hold_for_every_function(activation: str, rng: np.random.Generator) -> None:
    for _ in range(4):
        one, two = pair_of(rng, "mlp", str(rng.choice(HOW)), activation)
        law(one, two, matched(one, two), rng, 30)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_bounds_hold_without_any_match(family: str, rng: np.random.Generator) -> None:
    one, two = pair_of(rng, family, "moved", None)
    law(one, two, {}, rng)


def test_bounds_hold_for_softmax_and_gates(rng: np.random.Generator) -> None:
    for _ in range(3):
        one = attention(rng)
        law(one, changed(rng, one, "moved"), {n.name: (n.name, None) for n in one.nodes}, rng)


def nonsense(rng: np.random.Generator, one: Graph, two: Graph) -> Match:
    """Any value with any other, of its kind if there is one, of the same size but for the unit axis, by any relation: correct, if wide."""
    found = {}
    for mine in one.nodes:
        alike = [n for n in two.nodes if len(n.shape) == len(mine.shape) and n.shape[2:] == mine.shape[2:]]
        fits = [n for n in alike if n.kind == mine.kind] or alike
        if not fits or rng.random() < 0.2:
            continue
        theirs = fits[int(rng.integers(len(fits)))]
        m, n = int(mine.shape[1] or 0), int(theirs.shape[1] or 0)
        if m == n and rng.random() < 0.4:
            found[mine.name] = theirs.name, None
            continue
        scale = np.where(rng.random(m) < 0.5, 1.0, np.abs(rng.normal(size=m)) * rng.choice([1.0, 1.0, 1.0, -1.0], size=m))
        offset = np.where(rng.random(m) < 0.7, 0.0, rng.normal(size=m)) * rng.integers(0, 2)
        of = rng.integers(-1 if rng.random() < 0.5 else 0, n, size=m)
        found[mine.name] = theirs.name, Units(of, np.where(of < 0, 0.0, scale), offset)
    return found


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_bounds_hold_for_any_match(family: str, rng: np.random.Generator) -> None:
    """Whoever proposes a match need not be believed."""
    for activation in ("relu", None):
        one, two = pair_of(rng, family, str(rng.choice(["another network", "moved", "rows swapped"])), activation)
        law(one, two, nonsense(rng, one, two), rng)


def test_bounds_hold_for_functions_that_are_mixed_up(rng: np.random.Generator) -> None:
    """Networks of one shape and different functions, matched node by node."""
    for _ in range(6):
        one, _ = pair_of(rng, "mlp", "nothing", str(rng.choice(["sigmoid", "tanh", "gelu", "silu"])))
        gelus: list[tuple[str, dict[str, Any]]] = [("gelu", {"approximate": form}) for form in ("none", "tanh")]
        forms = [*gelus, ("sigmoid", {}), ("tanh", {}), ("silu", {})]
        kind, attrs = forms[int(rng.integers(len(forms)))]
        nodes = tuple(replace(n, kind=kind, attrs=attrs) if n.kind in ("sigmoid", "tanh", "gelu", "silu") else n for n in one.nodes)
        law(one, replace(one, nodes=nodes), {n.name: (n.name, None) for n in one.nodes}, rng)


def test_bounds_hold_for_permuted_and_scaled_units(rng: np.random.Generator) -> None:
    """The match that a pruner or lumpnet itself would give: nothing is left but rounding."""
    for _ in range(5):
        one, _ = pair_of(rng, "mlp", "nothing", "relu")
        first, after = [n for n in one.nodes if n.kind == "linear"][:2]
        weight, order = one.tensors[first.params["weight"]], rng.permutation(len(one.tensors[first.params["weight"]]))
        scale = 2.0 ** rng.integers(-3, 4, size=len(weight))
        tensors = dict(one.tensors)
        tensors[first.params["weight"]] = ((weight[order].T * scale).T).astype(weight.dtype)
        if "bias" in first.params:
            tensors[first.params["bias"]] = (one.tensors[first.params["bias"]][order] * scale).astype(weight.dtype)
        tensors[after.params["weight"]] = (one.tensors[after.params["weight"]][:, order] / scale).astype(weight.dtype)
        back = np.argsort(order)
        units = Units(back, 1 / scale[back], np.zeros(len(back)))
        relus = [n.name for n in one.nodes if n.name not in (first.name, after.name)]
        between = [n.name for n in one.nodes[one.nodes.index(first) : one.nodes.index(after)]]
        match: Match = {name: (name, units) for name in between} | {name: (name, None) for name in [*relus, after.name] if name not in between}
        law(one, replace(one, tensors=tensors), match, rng, 30)


def free_slopes(pairing: Pairing, low: Array, high: Array, x: Array, rng: np.random.Generator) -> list[str]:
    """Where lines say that a slope is free, any slope from 0 to 1 for any row: sums over the outputs that are above their bounds."""
    found = evaluate(pairing.program, boxed(low[None], high[None]))
    points, out = 7, []
    for number, lines in found.lines.items():
        if lines.free is not None:
            share = torch.from_numpy(rng.random((1, points, lines.free.shape[1])))
            share = torch.where(torch.from_numpy(rng.random(share.shape) < 0.5), share, share.round())
            usual = lines.low[0]
            assert usual is not None
            found.slopes[number] = torch.where(lines.free[:, None], share, usual[:, None])
    f, g = (values[graph.outputs[0]] for values, graph in zip(pairing._run(x), pairing.graphs, strict=True))
    (target,) = pairing.program.outputs
    if target is not None:
        rows, peaks = rng.normal(size=(6, f.shape[1])), torch.from_numpy(rng.integers(points, size=(1, 6)))
        above = upper(pairing.program, found, target, torch.from_numpy(rows)[None], peaks=peaks).bound[0].numpy()
        sums = (f - g) @ fractions(rows).T
        out += [f"{float(sums[n, k])!r} > {above[k]!r}" for n, k in np.argwhere((sums > above).astype(bool))]
    return out


@pytest.mark.parametrize("matches", [True, False])
def test_bounds_hold_for_any_free_slope(matches: bool, rng: np.random.Generator) -> None:
    torch.set_num_threads(1)
    free = 0
    for drawn in range(200):
        if drawn >= 12 and free:  # pairs without free slopes are no test
            break
        one, two = pair_of(rng, "mlp", str(rng.choice(HOW)), str(rng.choice(["relu", "leaky_relu", "relu6"])))
        pairing = Pairing(one, two, matched(one, two) if matches else {})
        low, high = (e.astype(np.float64) for e in box_of(rng, one, float(rng.choice([0.1, 1.0, 3.0]))).on(one.inputs[0]))
        free += sum(int(line.free.sum()) for line in evaluate(pairing.program, boxed(low[None], high[None])).lines.values() if line.free is not None)
        share = sampler(rng, 20)(low.shape)
        found = free_slopes(pairing, low, high, np.clip(low * (1 - share) + high * share, low, high), rng)
        assert not found, "\n".join(found)
    assert free > 0


def tops(pairing: Pairing, low: Array, high: Array, share: Array, rng: np.random.Generator) -> tuple[int, list[str]]:
    """How many values have convex bounds, and what is outside of them: at `low + share (high - low)`, between the corners, in exact arithmetic."""
    found = evaluate(pairing.program, boxed(low[None], high[None]))
    exact = fractions(share)
    x = fractions(low) * (1 - exact) + fractions(high) * exact
    graphs = [replace(g, tensors={k: t.astype(np.float64) for k, t in g.tensors.items()}) for g in pairing.graphs]
    values = [run(g, {g.inputs[0].name: x}) for g in graphs]
    f, g = ({name: v.reshape(len(x), -1) for name, v in each.items()} for each in values)
    pairing._run = lambda _: [f, g]  # type: ignore[method-assign]
    truths, _ = pairing.truths(share)
    weights = np.array([[1]] * len(share), dtype=object)
    for t in exact.T:
        weights = np.stack([weights * (1 - t)[:, None], weights * t[:, None]], 2).reshape(len(share), -1)

    out = []
    for node, (below, above) in found.heights.items():
        if node in truths:
            bottom, top = (weights @ fractions(h[0].T.numpy()) for h in (below, above))
            out += [f"value {node}" for _ in np.argwhere(((truths[node] > top) | (truths[node] < bottom)).astype(bool))[:3]]
    (target,) = pairing.program.outputs
    if target is not None and target in truths:
        rows = rng.normal(size=(4, truths[target].shape[1]))
        heights = upper(pairing.program, found, target, torch.from_numpy(rows)[None]).heights
        if heights is not None:
            out += ["a sum" for _ in np.argwhere((truths[target] @ fractions(rows).T > weights @ fractions(heights[0].T.numpy())).astype(bool))[:3]]
    return len(found.reliefs), out


def relieved_too_much(rng: np.random.Generator, n: int = 400) -> list[str]:
    """Lines with their reliefs against values in all that heights and bounds allow: relu, and differences of relus on both sides, exactly."""
    weights = rng.random((n, 4)) ** 3
    weights = np.where(weights == weights.max(1, keepdims=True), 1.0, weights * (rng.random((n, 1)) < 0.5))
    corners = np.sort(rng.normal(size=(2, n, 4)) * rng.choice([0.1, 1.0, 3.0], size=(n, 1)), axis=0)
    share = fractions(weights) / fractions(weights).sum(1, keepdims=True)
    inside = [(share * fractions(side)).sum(1) for side in corners]
    ends = np.sort(rng.normal(size=(2, n)), axis=0)
    low, high = np.maximum(inside[0], fractions(ends[0])), np.minimum(inside[1], fractions(ends[1]))
    p, keep = low + fractions(np.where(rng.random(n) < 0.5, rng.random(n).round(), rng.random(n))) * (high - low), (low <= high).astype(bool)
    other = np.sort(rng.normal(size=(2, n)) * rng.choice([0.01, 1.0], size=n), axis=0)
    z = fractions(other[0]) + fractions(np.where(rng.random(n) < 0.5, rng.random(n).round(), rng.random(n))) * (fractions(other[1]) - fractions(other[0]))
    d, at = ((torch.from_numpy(pair[0])[None], torch.from_numpy(pair[1])[None]) for pair in (ends, other))
    out = []
    for name, (_, lines), value in (
        ("relu", relax.relu(d), np.maximum(p, 0)),
        ("difference", relax.relu_difference(d, at), np.maximum(z + p, 0) - np.maximum(z, 0)),
    ):
        found = program._relief(lines, *(torch.from_numpy(c)[None] for c in corners))
        by = (share * fractions(found.by[0].numpy())).sum(1)
        operands = [p, z][: len(lines.high)]
        top, bottom = (
            offset + sum(fractions(s[0].numpy()) * o for s, o in zip(slopes, operands, strict=True) if s is not None)
            for slopes, offset in ((lines.high, fractions(lines.over[0].numpy()) - by), (lines.low, fractions(lines.under[0].numpy()) + by * found.both))
        )
        bad = ((value > top) | (value < bottom)).astype(bool) & keep
        out += [f"{name} {k}: {float(bottom[k])} <= {float(value[k])} <= {float(top[k])}" for k in np.flatnonzero(bad)[:3]]
    return out


def test_reliefs_hold_for_any_heights(rng: np.random.Generator) -> None:
    assert not relieved_too_much(rng)


@pytest.mark.parametrize("matches", [True, False])
def test_convex_bounds_hold_between_corners(matches: bool, rng: np.random.Generator) -> None:
    """Not only is no corner exceeded: whatever a convex function above a value can be between corners, the value is below it."""
    torch.set_num_threads(1)
    reliefs = 0
    for _ in range(12):
        one, two = pair_of(rng, "mlp", str(rng.choice(HOW)), str(rng.choice(["relu", "leaky_relu", "relu6"])))
        low, high = (e.astype(np.float64) for e in box_of(rng, one, float(rng.choice([0.1, 1.0, 3.0]))).on(one.inputs[0]))
        count, found = tops(Pairing(one, two, matched(one, two) if matches else {}), low, high, sampler(rng, 12)(low.shape), rng)
        reliefs += count
        assert not found, found
    assert reliefs > 0


@pytest.mark.slow
def test_bounds_hold_at_length(rng: np.random.Generator) -> None:
    for _ in range(300):
        family, how = str(rng.choice(sorted(FAMILIES))), str(rng.choice(HOW))
        one, two = pair_of(rng, family, how, ACTIVATIONS[int(rng.integers(len(ACTIVATIONS)))])
        law(one, two, matched(one, two) if rng.random() < 0.5 else nonsense(rng, one, two), rng)


# -- the search -------------------------------------------------------------------------------


def dense(n: int, box: Box, graph: Graph) -> torch.Tensor:
    low, high = (torch.from_numpy(e.astype(np.float64)) for e in box.on(graph.inputs[0]))
    axes = [torch.linspace(0, 1, n, dtype=torch.float64)] * len(low)
    share = torch.cartesian_prod(*axes).reshape(-1, len(low))
    return low * (1 - share) + high * share


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_interval_holds_the_largest_difference(activation: str, rng: np.random.Generator) -> None:
    """With any goal, in any time: no point of a fine grid is above it, and its lower end is attained."""
    torch.set_num_threads(1)
    for _ in range(3):
        one, two = pair_of(rng, "mlp", str(rng.choice(["moved", "rounded", "another network", "doubled"])), activation)
        box = box_of(rng, one, float(rng.choice([0.05, 0.5, 2.0])))
        ends = {one.inputs[0].name: box.on(one.inputs[0])}
        attack = Attack(one, two, ends)
        with torch.no_grad():
            f, g = attack.outputs(dense(21, box, one))
        seen = float((f - g).abs().max()) * (1 - 1e-9)
        program = pair(tape(one), tape(two), matched(one, two))
        for goal, seconds in ((None, 1.0), (seen * 1.05, 1.0), (seen * 2, 1.0), (seen * 0.7, 1.0), (None, 0.0)):
            attack = Attack(one, two, ends)
            state = Search(program, attack, goal).run(attack.space.low, attack.space.high, seconds)
            assert state.upper >= seen, (goal, state)
            assert state.lower <= state.upper


CURVED = {"sigmoid", "tanh", "silu", "gelu", "softmax", "mul"}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_point_alone_attains_what_is_true_there(family: str, rng: np.random.Generator) -> None:
    """No more than both networks' enclosures leave room for, and without curves no less than they certify but for rounding."""
    torch.set_num_threads(1)
    for how in rng.permutation([h for h in HOW if h != "another network"])[:3]:
        one, two = pair_of(rng, family, str(how))
        ends = {v.name: box_of(rng, one, 1.0).on(v) for v in one.inputs}
        attack = Attack(one, two, ends)
        point = attack.space.representable(attack.space.random(1, rng))[0]
        known = attack.enclosed(point)
        program = pair(tape(one), tape(two), matched(one, two))
        if known is None or all(t is None for t in program.outputs):
            continue
        f, g = known
        most = float(np.maximum(f.hi - g.lo, g.hi - f.lo).max()) * (1 + 1e-15)
        near = Search(program, attack).attained(point, Allowance())
        assert near <= most
        if not CURVED & {node.kind for node in one.nodes}:  # of differences of curves only slopes are known
            assert near >= attack.certified(point) - 1e-9 * (1 + float(np.abs(f.hi).max() + np.abs(g.hi).max()))


def test_outputs_are_bounded_some_at_a_time(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows go at once; and where slopes would be too many, the whole box has the same bound, and is not split."""
    one, two = (chain([3], linear(w), RELU, linear(v)) for w, v in ((rng.normal(size=(6, 3)), rng.normal(size=(5, 6))) for _ in range(2)))
    attack = Attack(one, two, {"x": Box(-1, 1).on(one.inputs[0])})
    program = pair(tape(one), tape(two), matched(one, two))
    target = program.outputs[0]
    assert target is not None
    search = Search(program, attack)
    assert torch.equal(search.signed(target, torch.arange(10)), torch.cat([torch.eye(5), -torch.eye(5)]).double())
    some = torch.tensor([7, 0, 3])
    assert torch.equal(Search(program, attack, rows=some).signed(target, torch.arange(3)), search.signed(target, some))
    space, found = attack.space, []
    for many, slopes in ((100, 1 << 24), (3, 1 << 24), (1, 1 << 24), (4, 5 * 2 * 3), (4, 5 * 2 * 3 - 1)):
        monkeypatch.setattr("lumpnet.audit.search.SLOPES", slopes)
        search = Search(program, attack, most=1)
        search.many = many
        found.append(search.run(space.low, space.high).upper)
        longer = Search(program, attack, most=50).run(space.low, space.high)
        assert (longer.boxes > 1, longer.upper < found[0]) == ((slopes >= 30),) * 2
    assert found == pytest.approx([found[0]] * len(found), rel=1e-12)


def test_a_witness_of_a_deep_network_is_believed(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through forty layers intervals grow until they say nothing, from the last digit on; bounds of the point alone do not."""
    layers = [rng.normal(size=(16, 16)) / 3 for _ in range(40)]
    one, two = (chain([16], *(part for w in layers for part in (linear(w), RELU)), linear(np.full((1, 16), s))) for s in (1.0, 1.25))
    box = Box(np.full(16, 0.9, np.float32), np.full(16, 1.0, np.float32))
    attack = Attack(one, two, {one.inputs[0].name: box.on(one.inputs[0])})
    attack.climb()
    assert attack.seen > 1e3 * attack.best
    found = lumpnet.audit(lumpnet.Network(one), lumpnet.Network(two), domain=box, boxes=1, timeout=math.inf, jobs=1)
    assert found.witness is not None
    with torch.no_grad():
        f, g = attack.outputs(torch.from_numpy(found.witness["x"].astype(np.float64))[None])
    assert 0 < found.lower_bound <= float((f - g).abs().max()) * (1 + 1e-9)
    assert found.lower_bound >= attack.seen * 0.9
    asked = []
    monkeypatch.setattr(Search, "attained", lambda self, point, allowance: (asked.append(point.tolist()), 0.0)[1])
    lumpnet.audit(lumpnet.Network(one), lumpnet.Network(two), domain=box, boxes=1, timeout=math.inf, jobs=1)
    assert len(asked) == 1  # nothing new is learned by asking again


def test_the_attack_climbs_from_corners_to_a_peak_between_them() -> None:
    """2 - |x| against 0, on [-1, 1]: 1 at the ends, 2 in the middle."""
    rise, fall = (chain([1], linear(np.array([[1.0], [-1.0]])), RELU, linear(np.array([[-s, -s]]), np.array([2 * s]))) for s in (1.0, 0.0))
    ends = {rise.inputs[0].name: tuple(np.array([e], dtype=rise.inputs[0].dtype) for e in (-1.0, 1.0))}
    corners = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    assert Attack(rise, fall, ends)(corners)[0] <= 1  # type: ignore[arg-type]
    assert Attack(rise, fall, ends)(corners, 12)[0] > 1.9  # type: ignore[arg-type]


def test_the_attack_sees_a_step_before_it_stands_on_it() -> None:
    """One unit is active where the mean of 64 inputs is above 1/2, which no drawn point is, and there the networks differ by 1."""
    mean = np.full((1, 64), 1 / 64)
    one, two = (chain([64], linear(mean, [-0.5]), RELU, linear([[1.0]])), chain([64], linear(mean, [-0.5]), RELU, linear([[3.0]])))
    attack = Attack(one, two, {one.inputs[0].name: Box(-1, 1).on(one.inputs[0])})
    attack.climb()
    assert attack.best == 0
    attack.climb_softly()
    assert attack.best > 0.9


def test_large_values_have_no_convex_bounds() -> None:
    """At 256 corners they would not fit into memory."""
    for units, corners in ((24, 1), (1025, 0)):
        graph = chain([8], linear(np.ones((units, 8))), RELU, linear(np.ones((2, units))))
        program = Pairing(graph, graph, {}).program
        assert bool(program.held) == bool(corners)
        found = evaluate(program, [(torch.zeros(1, 8, dtype=torch.float64), torch.ones(1, 8, dtype=torch.float64))])
        assert bool(found.points) == bool(corners)


def test_a_search_among_many_corners_is_the_same_each_time(rng: np.random.Generator) -> None:
    """Eight inputs: 256 corners, and boxes bounded in parts."""
    w, v = rng.normal(size=(24, 8)), rng.normal(size=(24, 24))
    one, two = (chain([8], linear(w + m), RELU, linear(v + m), RELU, linear(v[:2])) for m in (0.0, 0.01))
    ends = {one.inputs[0].name: Box(-1, 1).on(one.inputs[0])}
    found = []
    for held in (64, 16, 16):
        attack = Attack(one, two, ends)
        attack.climb()
        search, low, high = Search(pair(tape(one), tape(two), matched(one, two)), attack, goal=0.0), attack.space.low, attack.space.high
        search.together = held
        with torch.no_grad():
            boxes = search.bounded(low[None], high[None], {})
            for _ in range(6):
                boxes = search.children(boxes, 0.0)
        found.append(boxes.bound)
    assert torch.equal(found[1], found[2])
    assert torch.allclose(found[0], found[1], rtol=1e-9)


# -- badly rounding networks --------------------------------------------------------------------


def wide(graph: Graph, rng: np.random.Generator) -> Graph:
    """The same layers with float64 weights that use all of their digits."""
    tensors = {k: t.astype(np.float64) * (1 + (rng.random(t.shape) - 0.5) * 2.0**-26) for k, t in graph.tensors.items()}
    values = {v.name: replace(v, dtype="float64") for v in graph.values()}
    nodes = tuple(replace(n, value=values[n.name]) for n in graph.nodes)
    return replace(graph, inputs=tuple(values[v.name] for v in graph.inputs), nodes=nodes, tensors=tensors)


def last_bits(graph: Graph, rng: np.random.Generator) -> Graph:
    """Some weights one float up."""
    moved = {k: np.where(rng.random(t.shape) < 0.3, np.nextafter(t, np.asarray(np.inf, t.dtype)), t) for k, t in graph.tensors.items()}
    return replace(graph, tensors=moved)


@pytest.mark.parametrize("adversary", ADVERSARIES, ids=lambda a: a.__name__)
def test_bounds_hold_where_floats_round_badly(adversary: Any, rng: np.random.Generator) -> None:
    torch.set_num_threads(1)
    for double in (False, True):
        _, one, domain = adversary(rng)
        one = wide(one, rng) if double else one
        two = last_bits(one, rng) if rng.random() < 0.6 else changed(rng, one, "moved")
        pairing = Pairing(one, two, {n.name: (n.name, None) for n in one.nodes})
        low, high = (e.astype(np.float64) for e in boxes(domain, one.inputs)["x"])
        found = check(pairing, low, high, sampler(rng, 4), rng)
        assert not found, "\n".join(found)
