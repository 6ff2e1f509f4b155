"""Every rule of the relaxations is needed: each one weakened a little is caught by the points that contradict it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lumpnet.bounds.relaxed import Match, Program, evaluate, program, upper
from lumpnet.bounds.relaxed import relaxations as relax
from lumpnet.bounds.relaxed.maps import Dense
from lumpnet.bounds.relaxed.program import Affine, Input
from lumpnet.bounds.relaxed.tape import Step
from lumpnet.ir import Graph
from tests.audit.test_laws import relieved_too_much, sampler
from tests.audit.truth import Pairing, check
from tests.bounds.cases import RELU, chain, linear

Array = np.ndarray[Any, Any]
Layer = tuple[str, dict[str, Any], dict[str, Array]]


def pairs(seed: int, count: int, *middle: Layer) -> list[tuple[Graph, Graph, Match]]:
    """linear, something, linear: weights moved a little or a lot."""
    found = []
    for k in range(count):
        rng = np.random.default_rng([seed, k])
        n = 3
        w, b, out = rng.normal(size=(4, n)) * 2, rng.normal(size=4), rng.normal(size=(2, 4))
        moved = w + rng.normal(size=w.shape) * 10.0 ** rng.integers(-3, 1)
        one, two = (chain([n], linear(v, b), *middle, linear(out)) for v in (w, moved))
        found.append((one, two, {node.name: (node.name, None) for node in one.nodes}))
    return found


def contradictions(cases: list[tuple[Graph, Graph, Match]], seed: int, n: int = 60) -> int:
    torch.set_num_threads(1)
    rng, count = np.random.default_rng(seed), 0
    for one, two, match in cases:
        low = rng.normal(size=3)
        high = low + rng.choice([0.1, 1.0, 3.0]) * rng.random(3)
        count += bool(check(Pairing(one, two, match), low, high, sampler(rng, n), rng))
    return count


def caught(monkeypatch: pytest.MonkeyPatch, what: str, weak: Any, seed: int, *middle: Layer, where: Any = relax, count: int = 12) -> None:
    cases = pairs(seed, count, *middle)
    assert contradictions(cases, seed) == 0
    monkeypatch.setattr(where, what, weak)
    assert any(contradictions(pairs(s, count, *middle), s) > 0 for s in (seed, 1, 2, 3))


def test_chord_without_the_maximum_of_both_ends(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """The offset of a chord from one end, with a slope that is cut to [0, 1], or from one end whose value is too low."""
    rise = relax._rise

    def weak(dl: Tensor, du: Tensor, lz: Tensor, uz: Tensor, nudge: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        slope, _, at_low, at_high = rise(dl, du, lz, uz, nudge)
        return slope / 2, at_low - slope / 2 * dl + nudge, at_low, at_high

    caught(monkeypatch, "_rise", weak, seed, RELU)


def test_upper_function_that_forgets_the_sign_of_z(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """`e <= max(0, d + u')` without the minimum with 0, for z that may be positive: as if z were at its lower end."""
    rise = relax._rise
    caught(monkeypatch, "_rise", lambda dl, du, lz, uz, nudge: rise(dl, du, lz, lz, nudge), seed, RELU)


def test_cap_from_the_wrong_end(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """relu(u) - relu(u') in the place of relu(u) - relu(l')."""
    difference = relax.relu_difference

    def weak(d: tuple[Tensor, Tensor], z: tuple[Tensor, Tensor]) -> Any:
        (low, high), lines = difference(d, z)
        cap = (z[1] + d[1]).clamp(min=0) - z[1].clamp(min=0)
        return (low, torch.minimum(high, torch.maximum(cap, low))), lines

    caught(monkeypatch, "relu_difference", weak, seed, RELU)


def test_lower_line_with_the_sign_of_the_upper(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    difference = relax.relu_difference

    def weak(d: tuple[Tensor, Tensor], z: tuple[Tensor, Tensor]) -> Any:
        bounds, lines = difference(d, z)
        assert lines.low[0] is not None
        return bounds, relax.Lines([-lines.low[0], lines.low[1]], lines.high, lines.under, lines.over)

    caught(monkeypatch, "relu_difference", weak, seed, RELU)


def test_upper_line_of_a_single_relu_without_its_offset(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    single = relax.relu

    def weak(z: tuple[Tensor, Tensor]) -> Any:
        bounds, lines = single(z)
        return bounds, relax.Lines(lines.low, lines.high, lines.under, lines.over / 2)

    caught(monkeypatch, "relu", weak, seed, RELU)


def test_lower_slope_above_one(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Rows of a second layer that take twice the slope of their corner."""
    picked = program._picked
    second = linear(np.random.default_rng(seed).normal(size=(4, 4)), np.full(4, 0.1))
    caught(monkeypatch, "_picked", lambda table, index: 2 * picked(table, index), seed, RELU, second, RELU, where=program)


def relieved(monkeypatch: pytest.MonkeyPatch, seed: int, weak: Any) -> None:
    assert not relieved_too_much(np.random.default_rng(seed))
    monkeypatch.setattr(program, "_relief", weak)
    assert relieved_too_much(np.random.default_rng(seed))


def test_relief_that_looks_above_only(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """(1 - s) p in the place of its maximum with -s p."""
    relief = program._relief
    relieved(monkeypatch, seed, lambda lines, below, above: relief(lines, below.clamp(min=0), above))


def test_relief_that_is_never_negative(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """A convex function above is larger than the chord at some corners; without those it may be too low between them."""
    relief = program._relief

    def weak(lines: relax.Lines, below: Tensor, above: Tensor) -> program.Relief:
        found = relief(lines, below, above)
        return program.Relief(found.by.clamp(min=0), found.most, found.both)

    relieved(monkeypatch, seed, weak)


def test_relief_of_a_line_that_is_no_chord(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """A constant cap holds for all of a box, and there is nothing to be taken off of it."""
    relief = program._relief

    def weak(lines: relax.Lines, below: Tensor, above: Tensor) -> program.Relief:
        assert lines.chord is not None
        return relief(relax.Lines(lines.low, lines.high, lines.under, lines.over, lines.free, torch.ones_like(lines.chord), lines.both), below, above)

    relieved(monkeypatch, seed, weak)


def test_relief_of_a_lower_line_that_is_the_upper_ones(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """A single relu's lower line goes through 0 and has no offset to be relieved of."""
    relief = program._relief

    def weak(lines: relax.Lines, below: Tensor, above: Tensor) -> program.Relief:
        found = relief(lines, below, above)
        return program.Relief(found.by, found.most, True)

    relieved(monkeypatch, seed, weak)


def test_relief_of_entries_that_nobody_looked_at() -> None:
    """Where no row was substituted the heights are the interval's ends, and not 0."""
    eye = torch.eye(2, dtype=torch.float64)
    layer = [Affine(2, (k,), (Dense(eye),), torch.zeros(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)) for k in (0, 2)]
    relu = program.plain(Step("relu", (1,), (2,), ("relu", 0)), (1,))
    p = Program([Input(2, "x"), layer[0], relu, layer[1]], [0], [3])
    one = torch.ones(1, 2, dtype=torch.float64)
    found = evaluate(p, [(-one, one)])
    program._rows(p, found, 3, torch.tensor([[True, False]]))
    below, above = found.heights[3]
    low, high = found.bounds[3]
    assert bool((below[0, 1] == low[0, 1]).all() and (above[0, 1] == high[0, 1]).all())
    assert not bool((above[0, 0] == high[0, 0]).all())


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "silu", "gelu"])
def test_curves_that_do_not_bend(name: str, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Without the bend, chords of 16 parts are taken for the curve, and their slopes for all of its slopes."""
    middle: Layer = (name, {"approximate": "none"} if name == "gelu" else {}, {})
    cases = pairs(seed, 8, middle)
    assert contradictions(cases, seed) == 0
    cases += pairs(1, 8, middle)
    monkeypatch.setattr(relax, "BENDS", dict.fromkeys(relax.BENDS, 0.0))
    monkeypatch.setattr(relax, "MARGIN", 0.0)
    monkeypatch.setattr(relax, "_PARTS", 2)
    assert contradictions(cases, seed) > 0


def test_softmax_with_half_the_constant(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """1/8 of the spread: with two classes near a tie, d = (t, -t) moves softmax by t/2, a quarter of its spread 2t."""
    monkeypatch.setattr(relax, "softmax_difference", _weaker(relax.softmax_difference, 0.5))
    assert not _softmax_holds()
    monkeypatch.undo()
    assert _softmax_holds()


def _weaker(rule: Callable[..., tuple[Tensor, Tensor]], factor: float) -> Callable[..., tuple[Tensor, Tensor]]:
    def weak(*arguments: Any) -> tuple[Tensor, Tensor]:
        low, high = rule(*arguments)
        return low * factor, high * factor

    return weak


def _softmax_holds() -> bool:
    softmax: Layer = ("softmax", {"axis": 1}, {})
    one, two = (chain([2], linear(np.eye(2) * 0.01), linear(np.eye(2), b), softmax) for b in ([0.1, -0.1], [0.0, 0.0]))
    rng = np.random.default_rng(0)
    pairing = Pairing(one, two, {n.name: (n.name, None) for n in one.nodes})
    return not check(pairing, np.zeros(2), np.full(2, 0.01), sampler(rng, 10), rng)


def test_product_with_one_corner_left_out(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """(y + d)(z + f) - y z without the term y f."""

    def weak(d: Any, y: Any, f: Any, z: Any) -> Any:
        return relax.product(d, (z[0] + f[0], z[1] + f[1]))[0]

    rng = np.random.default_rng(seed)
    from lumpnet.testing.draft import Draft

    cases = []
    for k in range(8):
        rng = np.random.default_rng(k) if k >= 4 else rng
        graphs, w = [], rng.normal(size=(2, 3, 3)).astype(np.float32)
        for move in (0.0, 0.25):
            draft = Draft({"x": (None, 3)})
            a, b = (draft.add("linear", ["x"], weight=(v + np.float32(move)).astype(np.float64)) for v in w)
            draft.outputs.append(draft.add("mul", [a, b]))
            graphs.append(draft.freeze())
        cases.append((graphs[0], graphs[1], {n.name: (n.name, None) for n in graphs[0].nodes}))
    assert contradictions(cases, seed) == 0
    monkeypatch.setattr(relax, "product_difference", weak)
    assert contradictions(cases, seed) > 0


def test_substitution_without_a_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large numbers that cancel: a float sum, in whatever order, misses what is small, and only the margin holds it."""
    n = 32
    bias = torch.ones(n, dtype=torch.float64)
    bias[0], bias[-1] = 2.0**60, -(2.0**60)
    affine = Affine(n, (0,), (Dense(torch.zeros(n, 1, dtype=torch.float64)),), bias, torch.zeros(n, dtype=torch.float64))
    p, point = Program([Input(1, "x"), affine], [0], [1]), torch.ones(1, 1, dtype=torch.float64)

    def bound() -> float:
        return float(upper(p, evaluate(p, [(point, point)]), 1, torch.ones(1, 1, n, dtype=torch.float64)).bound)

    assert bound() >= n - 2
    monkeypatch.setattr(program, "U", 2.0**-400)
    assert bound() < n - 2
