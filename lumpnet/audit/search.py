"""Branch and bound for the largest difference of two networks over a box: an interval that holds it, and the input where it was seen.

Boxes are taken worst first, many at a time. A box whose bound is no larger than the
goal is done. From the others is cut off what the linear bounds exclude: where an
output's bound is `t` above the goal and its coefficient of input j is a, the goal
can be passed only within `t / |a|` of the better end of j. What is left is halved along
the input that moves the bounds most.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lumpnet.bounds.relaxed.program import Evaluation, Program, evaluate, upper
from lumpnet.errors import NoBound

BATCH = 64
CLOSE = 1.02
"""Without a goal the search ends when the ends of the interval are this close."""
U = 2.0**-53


@dataclass(eq=False)
class Boxes:
    """N boxes: ends of the flat inputs (N, n), bounds of the outputs (N, 2 m), and bounds of values known inside."""

    low: Tensor
    high: Tensor
    bound: Tensor
    known: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.low)

    @property
    def worst(self) -> Tensor:
        return self.bound.amax(1)

    def take(self, at: Tensor) -> Boxes:
        return Boxes(self.low[at], self.high[at], self.bound[at], {k: (a[at], b[at]) for k, (a, b) in self.known.items()})


def joined(parts: Sequence[Boxes]) -> Boxes:
    keys = set.intersection(*(set(p.known) for p in parts)) if parts else set()
    known = {k: (torch.cat([p.known[k][0] for p in parts]), torch.cat([p.known[k][1] for p in parts])) for k in keys}
    return Boxes(*(torch.cat([getattr(p, name) for p in parts]) for name in ("low", "high", "bound")), known)


@dataclass(eq=False)
class State:
    """How far a search is: `upper` holds for all of the domain, `lower` is attained at `witness`."""

    upper: float
    lower: float
    witness: Tensor | None
    boxes: int = 0
    open: int = 0
    seconds: float = 0.0


Attack = Callable[[Tensor], tuple[float, Tensor]]
"""Points (N, n) -> the largest difference seen at any of them, certified, and its point."""


class Search:
    """`program` has one or more outputs; `rows` picks among the 2 m signed entries (all outputs, then their negatives)."""

    def __init__(self, program: Program, attack: Attack, goal: float | None = None, rows: Tensor | None = None, jobs: int = 1):
        self.program, self.attack, self.goal, self.jobs = program, attack, goal, jobs
        self.targets = [t for t in program.outputs if t is not None]
        self.sizes = [program.nodes[i].size for i in program.inputs]
        self.rows = rows

    def run(self, low: Tensor, high: Tensor, seconds: float = 60.0, progress: Callable[[State], None] | None = None) -> State:
        """low, high: (n,), all inputs in a row. Raises `NoBound` where not even the whole box has a bound."""
        began = time.monotonic()
        with single_threaded(), torch.no_grad():
            if not self.targets:
                return State(0.0, 0.0, (low + high) / 2)
            first, points = self.bounded(low[None], high[None], {})
            lower, witness = self.attack(torch.cat([points, low[None], high[None]]))
            state = State(float(first.worst.max()), lower, witness, 1)
            waiting = first
            finished = 0.0
            with _workers(self.jobs) as work:
                while True:
                    state.seconds, state.open = time.monotonic() - began, len(waiting)
                    if progress is not None:
                        progress(state)
                    bar = self._bar(state)
                    done = waiting.worst <= bar
                    finished = max(finished, float(waiting.worst[done].max()) if bool(done.any()) else 0.0)
                    waiting = waiting.take(torch.nonzero(~done)[:, 0])
                    state.upper = max(finished, float(waiting.worst.max()) if len(waiting) else 0.0, state.lower)
                    if not len(waiting) or state.seconds >= seconds or (self.goal is not None and state.lower > self.goal):
                        return state
                    order = torch.argsort(waiting.worst, descending=True)
                    count = min(len(order), BATCH * self.jobs)
                    chosen, rest = order[:count], order[count:]
                    parts = [waiting.take(c) for c in torch.chunk(chosen, self.jobs)]
                    found = work(lambda part, bar=bar: self.children(part, bar), parts)
                    finished = max(finished, bar)  # what the children leave out is known to be at most the bar
                    state.boxes += sum(len(b) for b, _ in found)
                    best, at = self.attack(torch.cat([p for _, p in found]))
                    if best > state.lower:
                        state.lower, state.witness = best, at
                    waiting = joined([waiting.take(rest), *(b for b, _ in found)])

    def _bar(self, state: State) -> float:
        """Boxes with no more than this are done."""
        return self.goal if self.goal is not None else state.lower * CLOSE

    def bounded(self, low: Tensor, high: Tensor, known: dict[int, tuple[Tensor, Tensor]]) -> tuple[Boxes, Tensor]:
        """Boxes with bounds, and for each the corner where its worst linear bound is largest."""
        boxes, coefficients, _ = self._bounded(low, high, known)
        worst = coefficients[torch.arange(len(low)), boxes.bound.argmax(1)]
        return boxes, torch.where(worst > 0, high, low)

    def _bounded(self, low: Tensor, high: Tensor, known: dict[int, tuple[Tensor, Tensor]]) -> tuple[Boxes, Tensor, Tensor]:
        found = evaluate(self.program, list(zip(low.split(self.sizes, 1), high.split(self.sizes, 1), strict=True)), known)
        bound, coefficients, linear = self.outputs(found)
        return Boxes(low, high, bound, found.refined), coefficients, linear

    def outputs(self, found: Evaluation) -> tuple[Tensor, Tensor, Tensor]:
        """Bounds of the signed outputs (N, 2 m), the coefficients of the inputs (N, 2 m, n), and the bounds that these coefficients give (N, 2 m)."""
        bounds, coefficients, linear = [], [], []
        for target in self.targets:
            n, batch = self.program.nodes[target].size, len(found.bounds[target][0])
            eye = torch.eye(n, dtype=torch.float64)
            signed = torch.cat([eye, -eye])
            signed = signed if self.rows is None else signed[self.rows]
            answer = upper(self.program, found, target, signed.expand(batch, *signed.shape))
            low, high = found.bounds[target]
            plain = torch.cat([high, -low], dim=1)
            bounds.append(torch.minimum(answer.bound, plain if self.rows is None else plain[:, self.rows]))
            linear.append(answer.bound)
            zeros = [torch.zeros(batch, len(signed), size, dtype=torch.float64) for size in self.sizes]
            coefficients.append(torch.cat([answer.coefficients.get(i, z) for i, z in zip(self.program.inputs, zeros, strict=True)], dim=2))
        return torch.cat(bounds, 1), torch.cat(coefficients, 1), torch.cat(linear, 1)

    def children(self, boxes: Boxes, bar: float) -> tuple[Boxes, Tensor]:
        """Both halves of what is left of each box."""
        low, high = self._cut(boxes, bar)
        width = high - low
        gain = self.influence(boxes, bar) * width
        at = torch.where(gain.amax(1) > 0, gain.argmax(1), width.argmax(1))[:, None]
        middle = (low.gather(1, at) / 2 + high.gather(1, at) / 2).clamp(low.gather(1, at), high.gather(1, at))
        left, right = high.scatter(1, at, middle), low.scatter(1, at, middle)
        known = {k: (torch.cat([a, a]), torch.cat([b, b])) for k, (a, b) in boxes.known.items() if k >= 0}
        done, coefficients, linear = self._bounded(torch.cat([low, right]), torch.cat([left, high]), known)
        worst = coefficients[torch.arange(len(done)), done.bound.argmax(1)]
        points = torch.where(worst > 0, done.high, done.low)
        done.bound = torch.minimum(done.bound, torch.cat([boxes.bound, boxes.bound]))
        done.known[-1] = (coefficients, linear)
        return done, points

    def influence(self, boxes: Boxes, bar: float) -> Tensor:
        coefficients = boxes.known.get(-1)
        if coefficients is None:
            return torch.ones_like(boxes.low)
        over = (boxes.bound - bar).clamp(min=0)
        return (coefficients[0].abs() * over[..., None]).sum(1)

    def _cut(self, boxes: Boxes, bar: float) -> tuple[Tensor, Tensor]:
        """The part of each box in which a linear bound passes the bar, a little larger. The room is that of the linear bound itself, not of a better one."""
        coefficients = boxes.known.get(-1)
        if coefficients is None:
            return boxes.low, boxes.high
        a, linear = coefficients
        room = (linear - bar)[..., None]
        reach = torch.where(a == 0, math.inf, room / a.abs().clamp(min=1e-300)) * (1 + 2.0**-30)
        low, high = boxes.low[:, None], boxes.high[:, None]
        from_high, from_low = torch.maximum(low, high - reach), torch.minimum(high, low + reach)
        begin = torch.where(a > 0, from_high, low)
        end = torch.where(a < 0, from_low, high)
        over = (boxes.bound > bar)[..., None]
        begin = torch.where(over, begin, math.inf).amin(1)
        end = torch.where(over, end, -math.inf).amax(1)
        slack = 2.0**-40 * (boxes.low.abs() + boxes.high.abs())
        return torch.maximum(boxes.low, begin - slack), torch.minimum(boxes.high, end + slack)


@contextmanager
def single_threaded() -> Any:
    """Small operations on few cores: threads inside of them cost more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _workers(jobs: int) -> Any:
    if jobs == 1:
        yield lambda function, parts: [function(p) for p in parts]
        return
    from joblib import Parallel, delayed

    with Parallel(n_jobs=jobs, prefer="threads") as pool:
        yield lambda function, parts: pool(delayed(function)(p) for p in parts)


__all__ = ["Boxes", "NoBound", "Search", "State", "np", "single_threaded"]
