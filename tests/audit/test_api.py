"""`lumpnet.audit` as users meet it: verdicts, witnesses that are replayed, top-1, messages."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lumpnet
from lumpnet import Box
from lumpnet.audit.attack import Attack
from lumpnet.audit.top1 import Classes, _strict_winner
from lumpnet.errors import DomainError, LumpnetError
from lumpnet.exact import fractions
from lumpnet.figures import above, below
from lumpnet.ir import Graph
from lumpnet.ops.sites import run
from tests.audit.networks import box_of
from tests.bounds.cases import RELU, chain, linear


def net(graph: Graph) -> lumpnet.Network:
    return lumpnet.Network(graph)


def audited(one: Graph, two: Graph, **options: Any) -> lumpnet.Audit:
    return lumpnet.audit(net(one), net(two), **({"domain": Box(-1, 1), "timeout": 5.0, "jobs": 1} | options))


def relu_pair(rng: np.random.Generator, move: float = 0.1) -> tuple[Graph, Graph]:
    """They differ on any box that is drawn: one unit is active everywhere."""
    w, b, out = rng.normal(size=(6, 3)), rng.normal(size=6) + 30 * (np.arange(6) == 0), rng.normal(size=(3, 6))
    return tuple(chain([3], linear(w + m, b), RELU, linear(out)) for m in (0.0, move))  # type: ignore[return-value]


def exact(graph: Graph, x: np.ndarray) -> np.ndarray:
    wide = replace(graph, tensors={k: t.astype(np.float64) for k, t in graph.tensors.items()})
    found: np.ndarray = run(wide, {graph.inputs[0].name: fractions(x[None].astype(np.float64))})[graph.outputs[0]][0]
    return found


# -- verdicts ---------------------------------------------------------------------------------


def test_equal_networks_are_equivalent(rng: np.random.Generator) -> None:
    one, _ = relu_pair(rng)
    found = audited(one, one, top1=True)
    assert (found.verdict, found.upper_bound, found.lower_bound, found.witness) == ("equivalent", 0.0, 0.0, None)
    assert found.top1 is not None
    assert found.top1.verdict == "same"
    found.assert_within(0)
    found.assert_top1_equal()


def test_without_a_question_the_interval_is_the_answer(rng: np.random.Generator) -> None:
    one, two = relu_pair(rng)
    found = audited(one, two)
    assert found.verdict == "bounded"
    assert found.upper_bound is not None
    assert 0 < found.lower_bound <= found.upper_bound <= 1.1 * found.lower_bound
    assert found.residuals[0].operator == "v0"
    assert found.boxes >= 1


def test_the_witness_attains_the_lower_bound_exactly(rng: np.random.Generator) -> None:
    """Replayed in rational arithmetic, at a point of the input's type inside of the box."""
    for _ in range(5):
        one, two = relu_pair(rng, float(10.0 ** rng.integers(-4, 1)))
        box = box_of(rng, one, 1.0)
        found = audited(one, two, domain=box, timeout=1.0)
        assert found.witness is not None
        (x,) = found.witness.values()
        low, high = box.on(one.inputs[0])
        assert x.dtype == low.dtype
        assert (low <= x).all()
        assert (x <= high).all()
        worst = max(abs(a - b) for a, b in zip(exact(one, x), exact(two, x), strict=True))
        assert worst >= Fraction(found.lower_bound)
        assert worst <= Fraction(found.upper_bound or 0)


def test_epsilon_is_certified_refuted_or_neither(rng: np.random.Generator) -> None:
    one, two = relu_pair(rng)
    wide = audited(one, two)
    assert wide.upper_bound is not None
    assert audited(one, two, epsilon=wide.upper_bound * 1.01).verdict == "bounded"
    refuted = audited(one, two, epsilon=wide.lower_bound * 0.9)
    assert refuted.verdict == "refuted"
    assert refuted.witness is not None
    assert "more than" in refuted.reason
    with pytest.raises(AssertionError, match=r"refuted: the networks differ by at least .* at x = \["):
        refuted.assert_within(wide.lower_bound * 0.9)


def test_epsilon_inside_of_the_interval_is_unknown(rng: np.random.Generator) -> None:
    """Between what is attained and what is certified in no time at all."""
    w, v = rng.normal(size=(12, 4)), rng.normal(size=(2, 12))
    one, two = (chain([4], linear(w + m), RELU, linear(v)) for m in (0.0, 0.5))
    first = audited(one, two, timeout=1e-9)
    assert first.upper_bound is not None
    assert first.upper_bound > 1.05 * first.lower_bound
    epsilon = first.upper_bound * 0.99
    found = audited(one, two, epsilon=epsilon, timeout=1e-9)
    assert found.verdict == "unknown"
    assert "time is up" in found.reason
    with pytest.raises(AssertionError, match="not certified"):
        found.assert_within(epsilon)


def test_no_bound_is_unknown_with_the_reason() -> None:
    """An operator without a rule."""
    one = chain([3], linear(np.eye(3)))
    opaque = {"target": "torch.nn.functional.hardswish", "args": [], "kwargs": {}}
    with pytest.raises(LumpnetError):
        audited(replace(one, nodes=(replace(one.nodes[0], kind="nosuch", attrs=opaque),)), one)
    model = nn.Sequential(nn.Linear(3, 4), nn.Hardswish(), nn.Linear(4, 2))
    other = copy.deepcopy(model)
    with torch.no_grad():
        other[0].weight += 0.1
    found = lumpnet.audit(model, other, domain=Box(0, 1), timeout=2, jobs=1)
    assert found.verdict == "unknown"
    assert found.upper_bound is None
    assert found.reason.startswith("no bound")


def test_the_residuals_name_the_operator_and_the_unit_that_were_changed(rng: np.random.Generator) -> None:
    one = chain([3], linear(rng.normal(size=(6, 3))), RELU, linear(rng.normal(size=(5, 6))), RELU, linear(rng.normal(size=(2, 5))))
    weight = one.tensors["v2.weight"].copy()
    weight[1] += 0.125
    weight[4] += 0.25
    found = audited(one, replace(one, tensors={**one.tensors, "v2.weight": weight}), timeout=1)
    (source,) = found.residuals
    assert (source.operator, source.change and source.change.units) == ("v2", (4, 1))
    assert source.share is not None
    assert "enters by      v2: " in str(found)
    assert "units 4, 1 (weights changed by up to" in str(found)


# -- networks and domains ---------------------------------------------------------------------


def test_modules_paths_and_networks(tmp_path: Any) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    other = copy.deepcopy(model)
    with torch.no_grad():
        other[0].bias += 0.25
    lumpnet.lift(other, torch.zeros(2, 3)).save(tmp_path / "other.safetensors")
    one = lumpnet.audit(model, other, domain=Box(0, 1), jobs=1, timeout=5)
    two = lumpnet.audit(model, tmp_path / "other.safetensors", domain=Box(np.zeros(3), np.ones(3)), jobs=1, timeout=5)
    assert one.verdict == two.verdict == "bounded"
    assert one.upper_bound == two.upper_bound
    conv = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    with pytest.raises(LumpnetError, match="a module without example inputs"):
        lumpnet.audit(conv, conv, domain=Box(0, 1))
    found = lumpnet.audit(conv, conv, domain=Box(0, 1), example_inputs=torch.zeros(2, 1, 5, 5))
    assert found.verdict == "equivalent"


def test_other_shapes_are_refused() -> None:
    one, wider, longer = chain([3], linear(np.eye(3))), chain([4], linear(np.ones((3, 4)))), chain([3], linear(np.ones((2, 3))))
    with pytest.raises(DomainError, match="inputs: Nx3 in one network, Nx4 in the other"):
        audited(one, wider)
    with pytest.raises(DomainError, match="outputs: Nx3 in one network, Nx2 in the other"):
        audited(one, longer)
    with pytest.raises(DomainError, match="lower of shape"):
        audited(one, one, domain=Box(np.zeros(2), np.ones(3)))
    with pytest.raises(DomainError, match="top-1"):
        audited(chain([1, 2], RELU), chain([1, 2], RELU), top1=True)
    with pytest.raises(ValueError, match="epsilon"):
        audited(one, one, epsilon=-1)
    with pytest.raises(ValueError, match="device"):
        audited(one, one, device="tpu")


# -- floating point ---------------------------------------------------------------------------


def test_a_difference_that_float32_does_not_see_is_not_zero() -> None:
    """1 and 1 + 2^-40, in float64."""
    one, two = (chain([1], linear([[w]]), RELU, linear([[2.0**40]]), dtype="float64") for w in (1.0, 1 + 2.0**-40))
    found = audited(one, two, domain=Box(0, 1))
    assert found.verdict == "bounded"
    assert found.upper_bound is not None
    assert found.lower_bound <= 1 <= found.upper_bound
    assert found.lower_bound >= 0.99


def test_large_weights_and_a_read_out_that_cancels() -> None:
    """In float32 the sums 2^30 x + 1 and 2^30 x are one number; read out, they differ by 1."""
    big = 2.0**30
    one, two = (chain([1], linear([[big], [big]], [b, 0.0]), linear([[1.0, -1.0]])) for b in (1.0, 0.0))
    found = audited(one, two, domain=Box(1, 2))
    assert found.verdict != "equivalent"
    assert found.upper_bound is not None
    assert found.lower_bound <= 1 <= found.upper_bound
    assert audited(one, two, domain=Box(1, 2), epsilon=0.5).verdict == "refuted"


def test_a_tiny_bound_is_bounded_and_not_equivalent() -> None:
    one, two = (chain([1], linear([[1.0]], [b]), dtype="float64") for b in (0.0, 2.0**-60))
    found = audited(one, two)
    assert found.verdict == "bounded"
    assert (found.upper_bound or 0) >= 2.0**-60


def test_printed_bounds_round_outward(rng: np.random.Generator) -> None:
    for value in [0.0, 1.0, 0.0999999, 999.9, *(10.0 ** rng.uniform(-12, 12, size=200))]:
        low, high = (float(text.replace(",", "")) for text in (below(value), above(value)))
        assert low <= value <= high <= value * 1.011


# -- top-1 ------------------------------------------------------------------------------------


def scores(weight: Any, bias: Any) -> Graph:
    return chain([2], linear(np.eye(2)), RELU, linear(weight, bias))


def test_a_class_that_wins_by_a_margin_is_the_same() -> None:
    one, two = (scores([[1.0, 1.0], [0.5, 0.5]], [1.0, b]) for b in (0.0, 0.25))
    found = audited(one, two, domain=Box(0, 1), top1=True)
    assert found.top1 is not None
    assert (found.verdict, found.top1.verdict, found.top1.classes) == ("bounded", "same", (0, 0))
    found.assert_top1_equal()


def test_a_class_that_changes_is_shown() -> None:
    """Between two boundaries that are 1/1000 apart."""
    one, two = (scores([[1.0, 0.0], [0.0, 1.0]], [b, 0.0]) for b in (0.0, 0.001))
    found = audited(one, two, domain=Box(0, 1), top1=True, timeout=20)
    assert found.verdict == "refuted"
    assert found.top1 is not None
    assert found.top1.inputs is not None
    x = found.top1.inputs["x"]
    classes = tuple(int(np.argmax(exact(graph, x))) for graph in (one, two))
    assert classes == found.top1.classes
    assert classes[0] != classes[1]
    with pytest.raises(AssertionError, match=r"top-1 different: class \d becomes \d at x = \["):
        found.assert_top1_equal()


def test_a_tie_is_neither(rng: np.random.Generator) -> None:
    """Classes that tie on all of the domain, in networks that differ: argmax says 0 in both, but only strict winners are certified."""
    one, two = (scores([[1.0, 1.0], [1.0, 1.0]], [b, b]) for b in (0.0, 0.5))
    found = audited(one, two, domain=Box(0, 1), top1=True, timeout=2)
    assert found.top1 is not None
    assert found.top1.verdict == "unknown"
    assert found.verdict == "unknown"
    with pytest.raises(AssertionError, match="top-1 unknown"):
        found.assert_top1_equal()
    with pytest.raises(AssertionError, match="was not asked"):
        audited(one, two).assert_top1_equal()


def near_ties(rng: np.random.Generator, factor: float) -> tuple[Graph, Graph, Box]:
    """A network that names one class at 500 points of a small box, and a copy in which another class is raised by `factor` times its least distance there."""
    while True:
        w, v, b = rng.normal(size=(8, 3)), rng.normal(size=(3, 8)), rng.normal(size=3)
        one = chain([3], linear(w), RELU, linear(v, b), dtype="float64")
        centre = rng.normal(size=3)
        scores = np.maximum((centre + rng.uniform(-0.1, 0.1, size=(500, 3))) @ w.T, 0) @ v.T + b
        best = scores[0].argmax()
        if (scores.argmax(1) == best).all():
            behind = np.delete(np.arange(3), best)
            gaps = scores[:, [best]] - scores[:, behind]
            raised = np.zeros(3)
            raised[behind[gaps.min(0).argmin()]] = factor * gaps.min()
            return one, chain([3], linear(w), RELU, linear(v, b + raised), dtype="float64"), Box(centre - 0.1, centre + 0.1)


def test_many_classes_are_compared_some_at_a_time(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever scores go at once, the same boxes are open; where time is up all of them are."""
    w = rng.normal(size=(9, 4))
    one, two = chain([4], linear(w)), chain([4], linear(w + 0.01 * rng.normal(size=(9, 4))))
    attack = Attack(one, two, {"x": Box(-1, 1).on(one.inputs[0])})
    low = torch.from_numpy(rng.uniform(-1, 0.8, size=(30, 4)))
    classes, found = Classes(attack, math.inf), []
    scores = attack.outputs(low)[0]
    best = scores.topk(2, dim=1).values
    winner = int(scores[(best[:, 0] - best[:, 1]).argmax()].argmax())
    for at_once in (1 << 22, 9 * 30 * 3, 1):
        monkeypatch.setattr("lumpnet.audit.top1.AT_ONCE", at_once)
        found.append(classes.beaten(classes.programs, winner, low, low + 0.01, math.inf))
    for open_, influence in found:
        assert torch.equal(open_, found[0][0])
        assert torch.allclose(influence, found[0][1], rtol=1e-12)
    assert 0 < int(found[0][0].sum()) < 30
    assert bool(classes.beaten(classes.programs, winner, low, low + 0.01, time.monotonic())[0].all())


def test_a_class_that_changes_somewhere_is_never_certified(rng: np.random.Generator) -> None:
    """Where a point is known at which the classes differ, without the attack that would find it. A third of the distance is mostly no change."""
    torch.set_num_threads(1)
    answers = []
    for k in range(12):
        factor = (1.01, 2.0, 0.3)[k % 3]
        one, two, box = near_ties(rng, factor)
        attack = Attack(one, two, {"x": box.on(one.inputs[0])})
        attack.modules = []
        found = Classes(attack, time.monotonic() + 2).same()
        if factor > 1:
            assert found.verdict == "unknown"
        else:
            answers.append(found.verdict)
    assert "same" in answers


def test_a_class_that_changes_in_a_deep_network_is_believed(rng: np.random.Generator) -> None:
    """Through eighty layers intervals say nothing of a point, linear bounds do, and rational arithmetic agrees. Scores that are tied change no class."""
    layers = [(linear(rng.integers(-8, 9, size=(8, 8)) / 8, np.full(8, 0.25)), RELU) for _ in range(80)]
    last = rng.integers(-8, 9, size=(2, 8)) / 8
    one, turned, tied = (chain([8], *(part for layer in layers for part in layer), linear(w)) for w in (last, last[::-1], last[[0, 0]]))
    ends = {"x": Box(0.5, 1).on(one.inputs[0])}
    attack = Attack(one, turned, ends)
    found = Classes(attack, math.inf).different(math.inf)
    assert found is not None
    assert found.inputs is not None
    for graph, best in zip((one, turned), found.classes or (), strict=True):
        scores = exact(graph, found.inputs["x"])
        assert scores[best] > scores[1 - best]
    enclosed = attack.enclosed(torch.from_numpy(found.inputs["x"].astype(np.float64)))
    assert enclosed is not None
    assert [_strict_winner(r.lo, r.hi) for r in enclosed] == [None, None]
    assert Classes(Attack(one, tied, ends), math.inf).different(math.inf) is None


class Fixed(nn.Module):
    """Numbers of float32 inside of an operator that nobody knows."""

    def __init__(self, by: float):
        super().__init__()
        torch.manual_seed(0)
        self.into, self.out = nn.Linear(4, 4), nn.Linear(4, 2)
        with torch.no_grad():
            self.out.weight[0, 0] += by

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.out(self.into(x).to(torch.int32).float() + torch.einsum("bi,ij->bj", self.into(x), torch.eye(4)))
        return found


def test_an_operator_with_a_type_of_its_own_is_run_in_it() -> None:
    """Its bound is unknown, what examples show is not."""
    options: dict[str, Any] = {"domain": Box(-1, 1), "example_inputs": torch.zeros(2, 4), "timeout": 1, "jobs": 1}
    found = lumpnet.audit(Fixed(0.0), Fixed(0.5), data=np.ones((3, 4), np.float32), **options)
    assert found.verdict == "unknown"
    assert "no bound" in found.reason
    assert found.observed is not None
    x = torch.ones(1, 4)
    assert found.observed.largest == pytest.approx(float((Fixed(0.0)(x) - Fixed(0.5)(x)).detach().abs().max()))


def test_networks_may_be_very_deep() -> None:
    deep = [part for _ in range(400) for part in (linear(np.eye(2)), RELU)]
    one, two = (chain([2], *deep, linear([[1.0, by]])) for by in (1.0, 1.5))
    found = audited(one, two, timeout=2, top1=False, lossless=False)
    assert found.upper_bound is not None
    assert 0.5 <= found.upper_bound < 0.51
    assert found.lower_bound == pytest.approx(0.5)


@pytest.mark.parametrize("kind", ["avg_pool", "max_pool"])
def test_windows_of_padding_are_bounded_though_torch_runs_none(kind: str) -> None:
    """A network file may have more padding than half of a window."""
    more: dict[str, Any] = {"dilation": [1, 1]} if kind == "max_pool" else {"count_include_pad": True, "divisor_override": None}
    pool = (kind, {"kernel": [3, 3], "stride": [1, 1], "padding": [2, 2], "ceil_mode": False} | more, {})
    one, two = (chain([1, 3, 3], ("mul_constant", {"axis": 1}, {"factor": np.array(by)}), pool) for by in (1.0, 1.25))
    found = audited(one, two, timeout=2, lossless=False)
    assert found.upper_bound is not None
    assert 0.25 <= found.upper_bound < 3


def test_top1_agrees_with_sampling(rng: np.random.Generator) -> None:
    """`same` is contradicted by no point; where a class changes it is found."""
    for factor in (0.3, 2.0, 0.3, 2.0):
        one, two, box = near_ties(rng, factor)
        found = audited(one, two, domain=box, top1=True, timeout=2)
        assert found.top1 is not None
        x = box.on(one.inputs[0])[0] + rng.random((2000, 3)) * 0.2
        classes = [run(graph, {"x": x})["v2"].argmax(1) for graph in (one, two)]
        assert found.top1.verdict == "different" or (classes[0] == classes[1]).all()
        if factor > 1:
            assert found.top1.verdict == "different"


# -- data, results ----------------------------------------------------------------------------


def test_given_examples_are_observed() -> None:
    one, two = (scores([[1.0, 0.0], [0.0, 1.0]], [b, 0.0]) for b in (0.0, 0.5))
    found = audited(one, two, domain=Box(0, 1), data=np.array([[0.5, 0.75], [0.1, 0.9], [3.0, 0.0]]))
    assert found.observed is not None
    assert found.observed.as_dict() == {"examples": 3, "inside": 2, "largest": 0.5, "flips": 1}
    for wrong in (np.zeros((2, 3)), np.array([["a", "b"]]), np.zeros((0, 2)), np.full((1, 2), np.nan)):
        with pytest.raises(DomainError, match="data"):
            audited(one, two, data=wrong)


def test_the_result_has_the_keys_of_the_interface(rng: np.random.Generator) -> None:
    one, two = relu_pair(rng)
    data = audited(one, two, top1=True, timeout=2).as_dict()
    assert {"verdict", "upper_bound", "lower_bound", "witness", "top1", "residuals", "seconds"} <= set(data)
    assert data["witness"]["deviation"] == data["lower_bound"]
    assert {"operator", "share", "share_by_unit", "units", "removed", "weights"} == set(data["residuals"][0])


def test_what_exact_lumping_alone_gives(rng: np.random.Generator) -> None:
    """A unit twice, and one that is never read: two of five leave without a difference, while the other network has four and differs."""
    w, v = rng.normal(size=(5, 3)), rng.integers(1, 9, size=(2, 5)) / 8
    w[1], v[:, 4] = w[0], 0
    one, two = (chain([3], linear(a), RELU, linear(b)) for a, b in ((w, v), (w[1:], v[:, 1:] + 0.25)))
    found = audited(one, two, timeout=0.5)
    assert found.lossless is not None
    assert found.as_dict()["exact_lumping"] == {"units": 3, "original_units": 5, "other_units": 4}
    assert "by lumping     3 of 5 units are enough for a difference of 0 (the other network has 4)" in str(found)
    assert found.phases["lossless"] > 0
    assert audited(one, two, timeout=0.5, lossless=False).as_dict()["exact_lumping"] is None


def test_lumping_is_not_tried_on_large_networks(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = relu_pair(rng)
    monkeypatch.setattr("lumpnet.audit.api.MODERATE", 41)
    assert audited(one, two, timeout=0.2).lossless is None
    monkeypatch.setattr("lumpnet.audit.api.MODERATE", 42)
    assert audited(one, two, timeout=0.2).lossless is not None


def test_the_same_seed_gives_the_same_answer(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = relu_pair(rng)
    first, second = (audited(one, two, seed=3, timeout=60).as_dict() for _ in range(2))
    assert {k: v for k, v in first.items() if k not in ("seconds", "phases")} == {k: v for k, v in second.items() if k not in ("seconds", "phases")}
    ends = {"x": Box(-1, 1).on(one.inputs[0])}
    points = [Attack(one, two, ends, seed).space.random(8, Attack(one, two, ends, seed).rng) for seed in (3, 3, 4)]
    assert torch.equal(points[0], points[1])
    assert not torch.equal(points[0], points[2])
    seeds: list[int] = []
    monkeypatch.setattr("lumpnet.audit.api.Attack", lambda *given: seeds.append(given[3]) or Attack(*given))
    audited(one, two, seed=4, timeout=0.1)
    assert seeds == [4]


def test_progress_is_told(rng: np.random.Generator) -> None:
    one, two = relu_pair(rng)
    told: list[tuple[int, float | None, float]] = []
    found = audited(one, two, progress=lambda *state: told.append(state))
    assert told
    assert all(low <= (high or np.inf) for _, high, low in told)
    assert told[-1][0] <= found.boxes


def test_only_a_strict_winner_is_certified() -> None:
    ties, overlap, clear = ([1.0, 1.0], [1.0, 1.0]), ([1.0, 0.0], [2.0, 1.5]), ([1.0, 0.0], [2.0, 0.5])
    assert [_strict_winner(np.array(low), np.array(high)) for low, high in (ties, overlap, clear)] == [None, None, 0]
