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

import torch
from torch import Tensor

from lumpnet.bounds.relaxed.program import Evaluation, Program, evaluate, upper

BATCH = 32
"""Boxes split at once by each job: more do not stay in a cache."""
KEPT = 3 << 20
"""Numbers of a block that is larger than what one step allocates."""
HELD = 1 << 19
"""Numbers at the corners of so many boxes for each value at once."""
STEPS = 8
"""Steps that the attack climbs from what a round has found, where the lower end is half of the answer."""
CLOSE = 1.02
"""Without a goal the search ends when the ends of the interval are this close."""


@dataclass(eq=False)
class Boxes:
    """N boxes: ends of the flat inputs (N, n), bounds of the signed outputs (N, r), and bounds of values known inside.

    `linear` (N, r) are the bounds that linear functions with the coefficients `slopes` (N, r, n) give, `loose` (N, r, n) what the relaxations
    add to them, dealt out to the inputs by their share in the width of what was relaxed.
    """

    low: Tensor
    high: Tensor
    bound: Tensor
    linear: Tensor
    slopes: Tensor
    loose: Tensor
    known: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.low)

    @property
    def worst(self) -> Tensor:
        return self.bound.amax(1)

    def take(self, at: Tensor) -> Boxes:
        fields: dict[str, Any] = {name: getattr(self, name)[at] for name in FIELDS}
        return Boxes(**fields, known={k: (a[at], b[at]) for k, (a, b) in self.known.items()})


FIELDS = ("low", "high", "bound", "linear", "slopes", "loose")


def joined(parts: Sequence[Boxes]) -> Boxes:
    parts = [p for p in parts if len(p)]
    keys = set.intersection(*(set(p.known) for p in parts))
    known = {k: (torch.cat([p.known[k][0] for p in parts]), torch.cat([p.known[k][1] for p in parts])) for k in keys}
    fields: dict[str, Any] = {name: torch.cat([getattr(p, name) for p in parts]) for name in FIELDS}
    return Boxes(**fields, known=known)


@dataclass(eq=False)
class State:
    """How far a search is: `upper` holds for all of the domain, `lower` is attained at `witness`."""

    upper: float
    lower: float
    witness: Tensor | None
    boxes: int = 0
    open: int = 0
    seconds: float = 0.0


Attack = Callable[[Tensor, int], tuple[float, Tensor]]
"""Points (N, n), and steps to climb from them -> the largest difference seen, certified, and its point."""


class Search:
    """`program` has one or more outputs; `rows` picks among the 2 m signed entries (all outputs, then their negatives). It ends after `most` boxes."""

    def __init__(self, program: Program, attack: Attack, goal: float | None = None, rows: Tensor | None = None, jobs: int = 1, most: float = math.inf):
        self.program, self.attack, self.goal, self.jobs, self.most = program, attack, goal, jobs, most
        self.targets = [t for t in program.outputs if t is not None]
        self.sizes = [program.nodes[i].size for i in program.inputs]
        self.rows = rows
        self.together = max(HELD // program.held, BATCH // 2) if program.held else 2 * BATCH
        self.steps = STEPS if goal is None else 0

    def run(self, low: Tensor, high: Tensor, seconds: float = 60.0, progress: Callable[[State], None] | None = None) -> State:
        """low, high: (n,), all inputs in a row. Raises `NoBound` where not even the whole box has a bound."""
        began = time.monotonic()
        with single_threaded(), torch.no_grad():
            if not self.targets:
                return State(0.0, 0.0, (low + high) / 2)
            first = self.bounded(low[None], high[None], {})
            lower, witness = self.attack(torch.cat([corners(first), low[None], high[None]]), self.steps)
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
                    if not len(waiting) or state.seconds >= seconds or state.boxes >= self.most or (self.goal is not None and state.lower > self.goal):
                        return state
                    order = torch.argsort(waiting.worst, descending=True)
                    count = min(len(order), BATCH * self.jobs)
                    chosen, rest = order[:count], order[count:]
                    parts = [waiting.take(c) for c in torch.chunk(chosen, self.jobs)]
                    found = work(lambda part, bar=bar: self.children(part, bar), parts)
                    finished = max(finished, bar)  # what the children leave out is known to be at most the bar
                    state.boxes += sum(map(len, found))
                    best, at = self.attack(torch.cat([corners(b) for b in found]), self.steps)
                    if best > state.lower:
                        state.lower, state.witness = best, at
                    waiting = joined([waiting.take(rest), *found])

    def _bar(self, state: State) -> float:
        """Boxes with no more than this are done."""
        return self.goal if self.goal is not None else state.lower * CLOSE

    def bounded(self, low: Tensor, high: Tensor, known: dict[int, tuple[Tensor, Tensor]]) -> Boxes:
        """Boxes with bounds; `known` are bounds that hold on larger ones."""
        parts = []
        for b in range(0, len(low), self.together):
            least, most = low[b : b + self.together], high[b : b + self.together]
            ends = zip(torch.split(least, self.sizes, 1), torch.split(most, self.sizes, 1), strict=True)
            found = evaluate(self.program, list(ends), {k: (x[b : b + self.together], y[b : b + self.together]) for k, (x, y) in known.items()})
            parts.append(Boxes(least, most, *self.outputs(found), found.refined))
        return joined(parts)

    def outputs(self, found: Evaluation) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """`bound`, `linear`, `slopes` and `loose` of `Boxes`."""
        bounds, linear, coefficients, loose = [], [], [], []
        for target in self.targets:
            n, batch = self.program.nodes[target].size, len(found.bounds[target][0])
            eye = torch.eye(n, dtype=torch.float64)
            signed = torch.cat([eye, -eye])
            signed = signed if self.rows is None else signed[self.rows]
            answer = upper(self.program, found, target, signed.expand(batch, *signed.shape), loose=True)
            low, high = found.bounds[target]
            plain = torch.cat([high, -low], dim=1)
            linear.append(answer.linear)
            bounds.append(torch.minimum(answer.bound, plain if self.rows is None else plain[:, self.rows]))
            zeros = [torch.zeros(batch, len(signed), size, dtype=torch.float64) for size in self.sizes]
            coefficients.append(torch.cat([answer.coefficients.get(i, z) for i, z in zip(self.program.inputs, zeros, strict=True)], dim=2))
            way = torch.zeros(batch, len(signed), sum(self.sizes), dtype=torch.float64)
            for number, gap in answer.loose.items():
                reach = [found.reach[p] for p in self.program.nodes[number].parents if p in found.reach]
                if reach:
                    way = way + torch.matmul(gap, reach[-1])
            loose.append(way)
        return torch.cat(bounds, 1), torch.cat(linear, 1), torch.cat(coefficients, 1), torch.cat(loose, 1)

    def children(self, boxes: Boxes, bar: float) -> Boxes:
        """Both halves of what is left of each box."""
        low, high = cut(boxes, bar)
        at = self.split(boxes, low, high, bar)[:, None]
        below, above = low.gather(1, at), high.gather(1, at)
        middle = torch.clamp(below / 2 + above / 2, below, above)
        halves = torch.cat([low, low.scatter(1, at, middle)]), torch.cat([high.scatter(1, at, middle), high])
        found = self.bounded(*halves, {k: (torch.cat([a, a]), torch.cat([b, b])) for k, (a, b) in boxes.known.items()})
        found.bound = torch.minimum(found.bound, torch.cat([boxes.bound, boxes.bound]))
        return found

    def split(self, boxes: Boxes, low: Tensor, high: Tensor, bar: float) -> Tensor:
        """The input along which the bounds above the bar change most."""
        over = (boxes.bound - bar).clamp(min=0)
        gain = ((boxes.slopes.abs() * (high - low)[:, None] + boxes.loose) * over[..., None]).sum(1)
        return torch.where(gain.amax(1) > 0, gain.argmax(1), (high - low).argmax(1))


def corners(boxes: Boxes) -> Tensor:
    """For each box the corner where its worst linear bound is largest."""
    worst = boxes.slopes[torch.arange(len(boxes)), boxes.bound.argmax(1)]
    return torch.where(worst > 0, boxes.high, boxes.low)


def cut(boxes: Boxes, bar: float) -> tuple[Tensor, Tensor]:
    """The part of each box in which a linear bound passes the bar, a little larger. The room is that of the linear bound itself, not of a better one."""
    room = (boxes.linear - bar)[..., None]
    over = (boxes.bound > bar)[..., None]
    reach = torch.where(boxes.slopes == 0, math.inf, room / boxes.slopes.abs().clamp(min=1e-300)) * (1 + 2.0**-30)
    low, high = boxes.low[:, None], boxes.high[:, None]
    begin = torch.where(boxes.slopes > 0, torch.maximum(low, high - reach), low)
    end = torch.where(boxes.slopes < 0, torch.minimum(high, low + reach), high)
    begin = torch.where(over, begin, math.inf).amin(1)
    end = torch.where(over, end, -math.inf).amax(1)
    slack = 2.0**-40 * (boxes.low.abs() + boxes.high.abs())
    return torch.maximum(boxes.low, begin - slack), torch.minimum(boxes.high, end + slack)


@contextmanager
def single_threaded() -> Any:
    """Small operations on few cores: threads inside of them cost more than they bring.

    The C library keeps freed memory up to the size of the largest block that it has seen returned, instead of
    fetching it page by page for every step, which takes a quarter of the time.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.empty(KEPT, dtype=torch.float64)
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
