"""Audits end when their time does: no step is begun for which there is no time, and what it would have split stays whole."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import numpy as np
import pytest
import torch

import lumpnet
from lumpnet import Box
from lumpnet.audit.attack import Attack
from lumpnet.audit.boxes import FIELDS, Boxes, Waiting
from lumpnet.audit.matching import matched
from lumpnet.audit.search import Search
from lumpnet.audit.searching import Searching
from lumpnet.audit.top1 import Classes
from lumpnet.bounds.relaxed import pair, tape
from lumpnet.ir import Graph
from tests.bounds.cases import RELU, chain, linear

SLOW = 0.1
"""Seconds that a box takes here."""


class Clock:
    """Time that passes where it is told to, and a little whenever it is asked for."""

    def __init__(self) -> None:
        self.now, self.lock = 1000.0, threading.Lock()

    def __call__(self) -> float:
        self.passes(1e-3)
        return self.now

    def passes(self, seconds: float) -> None:
        with self.lock:
            self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(time, "monotonic", found)
    return found


def two(rng: np.random.Generator) -> tuple[Graph, Graph]:
    w, v = rng.normal(size=(12, 6)), rng.normal(size=(12, 12))
    return tuple(chain([6], linear(w + m), RELU, linear(v + m), RELU, linear(v[:2])) for m in (0.0, 0.3))  # type: ignore[return-value]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    bounded = Search.bounded

    def later(self: Search, low: torch.Tensor, *rest: Any) -> Boxes:
        clock.passes(SLOW * len(low))
        return bounded(self, low, *rest)

    monkeypatch.setattr(Search, "bounded", later)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_search_ends_in_time(rng: np.random.Generator, slow: None, jobs: int) -> None:
    """A step of 16 boxes each would take three seconds; the last one is shortened to what fits."""
    one, other = two(rng)
    found = lumpnet.audit(lumpnet.Network(one), lumpnet.Network(other), domain=Box(-3, 3), timeout=2.0, jobs=jobs)
    assert found.boxes > 4
    assert found.phases["search"] < 2.6
    assert found.upper_bound is not None
    assert found.lower_bound <= found.upper_bound


def test_what_is_left_whole_still_counts(rng: np.random.Generator) -> None:
    """Boxes for which there was no time are neither lost nor better known."""
    one, other = two(rng)
    search = Searching(pair(tape(one), tape(other), matched(one, other)), lambda x: (0.0, x[0]))
    low = torch.full((6,), -1.0, dtype=torch.float64)
    first = search.bounded(low[None], -low[None], {})
    many = search.children(first, 0.0)
    many = search.children(many, 0.0)
    search.per, search.deadline = 1.0, time.monotonic() + 4.5  # two boxes into halves
    left = search.children(many, 0.0)
    assert search.late
    assert len(many) == 4
    assert len(left) == 2 * 2 + 2
    assert torch.equal(left.low[4:], many.low[2:])
    assert torch.equal(left.bound[4:], many.bound[2:])
    search.deadline = time.monotonic()
    assert torch.equal(search.children(many, 0.0).bound, many.bound)


def test_an_attack_has_a_part_of_the_time(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    outputs = Attack.outputs

    def later(self: Attack, x: torch.Tensor) -> list[torch.Tensor]:
        clock.passes(0.002 * len(x))
        return outputs(self, x)

    monkeypatch.setattr(Attack, "outputs", later)
    one, other = two(rng)
    found = lumpnet.audit(lumpnet.Network(one), lumpnet.Network(other), domain=Box(-1, 1), timeout=1.0, jobs=1)
    assert found.lower_bound > 0
    assert found.phases["attack"] < 1.2


def test_top1_ends_in_time(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """64 boxes at once would take six seconds."""
    beaten = Classes.beaten

    def later(self: Any, programs: Any, winner: int, low: torch.Tensor, *rest: Any) -> Any:
        clock.passes(SLOW * len(low))
        return beaten(self, programs, winner, low, *rest)

    monkeypatch.setattr(Classes, "beaten", later)
    graphs = [chain([4], linear(np.ones((2, 4)), [bias, bias])) for bias in (0.0, 0.5)]
    attack = Attack(*graphs, {"x": Box(0, 1).on(graphs[0].inputs[0])})
    began = time.monotonic()
    found = Classes(attack, began + 2.0).same()
    assert found.verdict == "unknown"
    assert "time is up" in found.reason
    assert time.monotonic() - began < 2.6


def test_waiting_boxes_are_those_of_a_list(rng: np.random.Generator) -> None:
    """Put, taken worst first and let go, some thousand times: the same boxes with all that belongs to them, whatever rows are used again."""

    def boxes(n: int, keys: list[int]) -> Boxes:
        bound = torch.from_numpy(rng.choice([0.0, 1.0, rng.random(), math.inf], size=(n, 2)) if rng.random() < 0.3 else rng.random((n, 2)))
        shapes = {"low": (n, 3), "high": (n, 3), "linear": (n, 2), "slopes": (n, 2, 3), "loose": (n, 1, 1), "cut": (n, 3)}
        some = {k: torch.from_numpy(rng.random((n, 4))) for k in keys}
        known = {k: (v, v + 1) for k, v in some.items()}
        numbers = {name: torch.from_numpy(rng.random(shape)) for name, shape in shapes.items()}
        return Boxes(bound=bound, row=torch.arange(n), known=known, pulls={k: -v for k, v in some.items()}, **numbers)

    def each(given: Boxes, keys: set[int]) -> list[tuple[float, ...]]:
        rows = [torch.cat([getattr(given, name)[j].reshape(-1).double() for name in FIELDS]) for j in range(len(given))]
        more = [torch.cat([torch.cat([given.known[k][0][j], given.known[k][1][j], given.pulls[k][j]]) for k in sorted(keys)]) for j in range(len(given))]
        return [tuple(torch.cat(pair).tolist()) for pair in zip(rows, more, strict=True)]

    first = boxes(1, [5, 7, 9])
    waiting, listed, keys = Waiting(first), each(first, {5}), {5}
    for _ in range(1000):
        new = boxes(int(rng.integers(0, 9)), [5, *rng.choice([7, 9, 11], 2).tolist()])
        waiting.put(new)
        listed += each(new, keys)
        taken = waiting.pop(int(rng.integers(1, 8)))
        assert (taken.worst[1:] <= taken.worst[:-1]).all()
        gone = each(taken, keys)
        assert all(max(t[6:8]) >= max((max(x[6:8]) for x in set(listed) - set(gone)), default=0) for t in gone)
        for one in gone:
            listed.remove(one)
        bar = float(rng.random() * rng.choice([0.1, 0.9]))
        done = [max(x[6:8]) for x in listed if max(x[6:8]) <= bar]
        assert waiting.drop(bar) == max(done, default=0.0)
        listed = [x for x in listed if max(x[6:8]) > bar]
        assert len(waiting) == len(listed)
        assert waiting.top == max((max(x[6:8]) for x in listed), default=0.0)
        if not listed:
            waiting.put(restart := boxes(1, [5]))
            listed = each(restart, keys)
    waiting.drop(-1.0)
    left = waiting.pop(len(waiting))
    assert sorted(each(left, keys)) == sorted(listed)


def test_what_is_no_number_is_no_small_bound() -> None:
    one = torch.zeros(1, 1, dtype=torch.float64)
    waiting = Waiting(Boxes(one, one, one * math.nan, one, one[None], one[None], torch.full((1,), -1), torch.zeros(1, 3, dtype=torch.float64)))
    assert waiting.drop(1e300) == 0
    assert waiting.top == math.inf
