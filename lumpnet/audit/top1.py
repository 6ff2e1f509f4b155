"""Whether two classifiers name the same class everywhere on a box (argmax, of equal scores the one with the lowest number).

The box is connected and scores are continuous, so where both networks have a strict
winner everywhere, it is one class. That class is the original's at the centre; every other one has
to stay below it, by linear bounds on smaller and smaller boxes, in both networks. Only strict
inequalities are certified, so ties play no part in an answer of `same` or `different`. Networks whose
difference is zero everywhere name the same class, ties included.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lumpnet.audit.attack import Attack
from lumpnet.bounds.relaxed import Allowance, Program, evaluate, tape, upper
from lumpnet.bounds.relaxed.devices import on
from lumpnet.bounds.relaxed.program import Input, Node, plain
from lumpnet.errors import DomainError, NoBound
from lumpnet.ir import Graph

Array = np.ndarray[Any, Any]
BATCH = 64
STARTS, ROUNDS, HALVINGS = 64, 6, 40
STEPS = (8, 24)
AT_ONCE = 1 << 22
"""Scores compared with the winner's, times boxes, times scores."""
CLEARER = 2.0
"""Linear bounds are asked for at a point where the winners are this many times as far ahead as at the last one."""
CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class Top1:
    """`verdict` is same, different or unknown. same: class `classes[0]` everywhere (None: whichever it is). different: the two classes at `inputs`."""

    verdict: str
    reason: str = ""
    classes: tuple[int, int] | None = None
    inputs: dict[str, Array] | None = None

    def as_dict(self) -> dict[str, Any]:
        point = None if self.inputs is None else {name: x.tolist() for name, x in self.inputs.items()}
        return {"verdict": self.verdict, "reason": self.reason or None, "classes": self.classes and list(self.classes), "counterexample": point}


def classifier(graph: Graph) -> int:
    """How many classes. Raises `DomainError` for a network without one row of scores."""
    shapes = [graph.value(name).shape for name in graph.outputs]
    if len(shapes) != 1 or len(shapes[0]) != 2 or not shapes[0][1]:
        raise DomainError("top-1", f"outputs of shapes {shapes}", "one output with one row of scores for each example", "audit without top-1")
    return int(shapes[0][1])


def top1(attack: Attack, zero: bool, seconds: float, device: torch.device = CPU) -> Top1:
    """`zero`: the difference is known to be 0 everywhere."""
    classifier(attack.graphs[0])
    if zero:
        return Top1("same")
    began = time.monotonic()
    classes = Classes(attack, began + seconds, device)
    return classes.different(began + seconds / 2) or classes.same()


def alone(graph: Graph) -> Program:
    """One network as a program."""
    steps = tape(graph)
    names = {number: name for name, number in steps.values.items()}
    nodes: list[Node] = [Input(s.size, names[k]) if s.kind == "input" else plain(s, s.parents) for k, s in enumerate(steps.steps)]
    return Program(nodes, [steps.values[v.name] for v in graph.inputs], [steps.values[name] for name in graph.outputs])


class Classes:
    """The classes that both networks of an attack name, until `deadline`, as `time.monotonic()` tells; boxes are bounded on `device`."""

    def __init__(self, attack: Attack, deadline: float, device: torch.device = CPU):
        self.attack, self.deadline, self.device = attack, deadline, device
        self.n = classifier(attack.graphs[0])
        self.clear = 0.0
        """How far the winners were ahead at the clearest point at which linear bounds were asked for."""

    @cached_property
    def programs(self) -> list[Program]:
        """Raises `NoBound`."""
        with on(self.device):
            return [alone(graph) for graph in self.attack.graphs]

    # -- the same class -----------------------------------------------------------------------

    def same(self) -> Top1:
        """Certified on smaller and smaller boxes; a counterexample where one turns up on the way."""
        try:
            return self._same()
        except NoBound as reason:
            return Top1("unknown", f"no bound of the scores: {reason}")

    def _same(self) -> Top1:
        space = self.attack.space
        winner = self._candidate((space.low / 2 + space.high / 2).clamp(space.low, space.high))
        if winner is None:
            return Top1("unknown", "no bound of the scores")
        if self.n == 1:
            return Top1("same", classes=(0, 0))
        waiting, per = [(space.low, space.high)], 0.0
        while waiting:
            began = time.monotonic()
            count = int(min(BATCH, max(0.0, self.deadline - began) / max(per, 1e-9)))
            if not count:
                return Top1("unknown", f"time is up: class {winner} is not certified on all of the domain")
            batch, waiting = waiting[-count:], waiting[:-count]
            low, high = (torch.stack(side) for side in zip(*batch, strict=True))
            open_, influence = self.beaten(self.programs, winner, low, high, self.deadline)
            per = (time.monotonic() - began) / len(batch)
            low, high, influence = low[open_], high[open_], influence[open_]
            if (found := self.told_apart(low / 2 + high / 2)) is not None:
                return found
            widest = (influence * (high - low)).argmax(1)[:, None]
            middle = low.gather(1, widest) / 2 + high.gather(1, widest) / 2
            if bool(((middle <= low.gather(1, widest)) | (middle >= high.gather(1, widest))).any()):
                return Top1("unknown", f"class {winner} does not win by a margin that floating point can tell")
            waiting += list(zip(low, high.scatter(1, widest, middle), strict=True)) + list(zip(low.scatter(1, widest, middle), high, strict=True))
        return Top1("same", classes=(winner, winner))

    def _candidate(self, x: Tensor) -> int | None:
        """The original's class at a point (n,), as far as anything shows it."""
        if self.attack.modules:
            with torch.no_grad():
                return int(self.attack.outputs(x[None])[0].argmax())
        enclosed = self.attack.enclosed(x)
        return None if enclosed is None else int((enclosed[0].lo + enclosed[0].hi).argmax())

    def beaten(self, programs: list[Program], winner: int, low: Tensor, high: Tensor, deadline: float) -> tuple[Tensor, Tensor]:
        """On which boxes (B, n) another score may reach the winner's in one of the networks, (B,) bool, and how much each input moves what may."""
        worst, influence, sizes = torch.zeros(len(low), dtype=torch.bool), torch.zeros_like(low), self.attack.space.sizes
        others = torch.tensor([k for k in range(self.n) if k != winner])
        for program in programs:
            with on(program.device):
                ends = (torch.split(x.to(program.device), sizes, 1) for x in (low, high))
                found = evaluate(program, list(zip(*ends, strict=True)), allowance=Allowance(deadline))
                target = program.outputs[0]
                assert target is not None
                for some in torch.split(others, max(1, AT_ONCE // (self.n * len(low)))):
                    if found.allowance.over:  # nothing is known of the others
                        worst[:] = True
                        break
                    rows = torch.zeros(len(some), self.n, dtype=torch.float64)
                    rows[torch.arange(len(some)), some.to(program.device)], rows[:, winner] = 1.0, -1.0
                    answer = upper(program, found, target, rows.expand(len(low), *rows.shape))
                    zeros = [torch.zeros(len(low), len(rows), size, dtype=torch.float64) for size in sizes]
                    coefficients = torch.cat([answer.coefficients.get(i, z) for i, z in zip(program.inputs, zeros, strict=True)], 2)
                    above = answer.bound >= 0
                    worst |= above.any(1).cpu()
                    influence += (coefficients.abs() * above[..., None]).sum(1).cpu()
        return worst, influence + 1e-30

    # -- another class ------------------------------------------------------------------------

    def different(self, until: float) -> Top1 | None:
        """Random and climbed points, then points on both sides of where the original changes its class."""
        attack = self.attack
        if not attack.modules:
            return None
        x = torch.cat([attack.point[None], attack.space.random(STARTS * 4, attack.rng)])
        for k in range(ROUNDS):
            climbed = attack.climb(_towards_another_class, STARTS, STEPS[k % len(STEPS)])
            for points in (x, climbed, _boundary(attack, torch.cat([climbed, x]))):
                found = self.told_apart(points)
                if found is not None or time.monotonic() > until:
                    return found
            x = attack.space.random(STARTS, attack.rng)
        return None

    def told_apart(self, x: Tensor) -> Top1 | None:
        """A certified counterexample among points (N, n), where torch finds one."""
        if not self.attack.modules or not len(x):
            return None
        x = self.attack.space.representable(x)
        with torch.no_grad():
            f, g = self.attack.outputs(x)
        apart = torch.nonzero(f.argmax(1) != g.argmax(1))[:, 0]
        for k in apart[:4].tolist():
            if (found := self._by_intervals(x[k])) is not None:
                return found
        if not len(apart):
            return None
        clear = torch.minimum(_ahead(f[apart]), _ahead(g[apart]))
        if float(clear.max()) <= self.clear * CLEARER:
            return None
        at, self.clear = apart[clear.argmax()], float(clear.max())
        return self._by_lines(x[at], int(f[at].argmax()), int(g[at].argmax()))

    def _by_intervals(self, x: Tensor) -> Top1 | None:
        enclosed = self.attack.enclosed(x)
        if enclosed is None:
            return None
        classes = [_strict_winner(r.lo, r.hi) for r in enclosed]
        if None in classes or classes[0] == classes[1]:
            return None
        return Top1("different", classes=(classes[0] or 0, classes[1] or 0), inputs=self.attack.space.arrays(x))

    def _by_lines(self, x: Tensor, one: int, two: int) -> Top1 | None:
        """Linear bounds of the point alone, for deep networks of which intervals say nothing, in half of the time that is left."""
        now = time.monotonic()
        deadline = now + max(0.0, self.deadline - now) / 2
        with suppress(NoBound):
            if not any(bool(self.beaten([p], k, x[None], x[None], deadline)[0]) for p, k in zip(self.programs, (one, two), strict=True)):
                return Top1("different", classes=(one, two), inputs=self.attack.space.arrays(x))
        return None


def _ahead(scores: Tensor) -> Tensor:
    """By how much the largest of the scores (N, n) is ahead of the next."""
    best = scores.topk(2, dim=1).values
    return torch.nan_to_num(best[:, 0] - best[:, 1])


def _strict_winner(low: Array, high: Array) -> int | None:
    best = int(low.argmax())
    return best if bool((np.delete(high, best) < low[best]).all()) else None


def _towards_another_class(f: Tensor, g: Tensor) -> Tensor:
    """How far the other network puts some class above the original's: g's best other score minus g's score of f's class."""
    best = f.argmax(1, keepdim=True)
    rest = g.scatter(1, best, -torch.inf)
    return rest.amax(1) - g.gather(1, best)[:, 0]


def _boundary(attack: Attack, x: Tensor) -> Tensor:
    """Points next to the original's decision boundary, by halving between neighbours in the list that it classes differently."""
    with torch.no_grad():
        one, two = x, x.roll(1, 0)
        a, b = (attack.outputs(t)[0].argmax(1) for t in (one, two))
        one, two, a = one[a != b], two[a != b], a[a != b]
        tried = [one[:0]]
        for k in range(HALVINGS if len(one) else 0):
            middle = (one + two) / 2
            same = attack.outputs(middle)[0].argmax(1) == a
            one, two = torch.where(same[:, None], middle, one), torch.where(same[:, None], two, middle)
            if k > 3:
                tried += [one, two]
        return torch.cat(tried)
