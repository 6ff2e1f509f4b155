"""Branch and bound for the largest difference of two networks over a box: an interval that holds it, and the input where it was seen.

Boxes are taken worst first, many at a time. A box whose bound is no larger than the
goal is done. From the others is cut off what the linear bounds exclude (`boxes`), and what is left is halved along
the input that moves the bounds most. Where the inputs are many, operands of relus are cut instead (`phases`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lumpnet.audit.boxes import Boxes, Known, Waiting, corners, cut, joined, taken
from lumpnet.audit.phases import Phases, parts, phases
from lumpnet.bounds.relaxed.allowance import Allowance
from lumpnet.bounds.relaxed.devices import on, room
from lumpnet.bounds.relaxed.program import Evaluation, Program, evaluate, upper

BATCH = 32
"""Boxes split at once by each job: more do not stay in a cache."""
FEWER = 16
"""Times as many coefficients are held at once where the inputs are few: many boxes share them."""
SLOPES = 1 << 24
"""Signed outputs times inputs, at most, for which slopes are kept: of images made of images the whole is bounded, and nothing smaller."""
KEPT = 3 << 20
"""Numbers of a block that is larger than what one step allocates."""
HELD = 1 << 19
"""Numbers at the corners of so many boxes for each value at once."""
STEPS = 8
"""Steps that the attack climbs from what a round has found, where the lower end is half of the answer."""
MANY = 64
"""Where inputs are as wide together as more than this of the widest they are not halved, but regions made."""
CLOSE = 1.02
"""Without a goal the search ends when the ends of the interval are this close."""


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
        self.program, self.attack, self.goal, self.most = program, attack, goal, most
        self.jobs = jobs if program.device.type == "cpu" else 1
        self.targets = [t for t in program.outputs if t is not None]
        self.sizes = [program.nodes[i].size for i in program.inputs]
        self.rows = rows
        self.batch = BATCH * room(program.device)
        self.together = max(HELD * room(program.device) // program.held, self.batch // 2) if program.held else 2 * self.batch
        self.steps = STEPS if goal is None else 0
        widest, inputs = max(node.size for node in program.nodes), sum(self.sizes)
        self.many = max(1, (1 if program.many else FEWER) * program.elements // widest)
        self.sloped = all(2 * program.nodes[target].size * inputs <= SLOPES for target in self.targets)
        """Whether what each input does to each output is kept; without it no box is split."""
        self.phases: Phases | None = None

    def run(self, low: Tensor, high: Tensor, seconds: float = 60.0, progress: Callable[[State], None] | None = None) -> State:
        """low, high: (n,), all inputs in a row. Raises `NoBound` where not even the whole box has a bound."""
        began = time.monotonic()
        with on(self.program.device), single_threaded(), torch.no_grad():
            if not self.targets:
                return State(0.0, 0.0, (low + high) / 2)
            low, high = (x.to(self.program.device) for x in (low, high))
            self.phases = phases(self.program) if float((high - low).sum()) > MANY * float((high - low).max()) else None
            first = self.bounded(low[None], high[None], {})
            lower, witness = self.tried(torch.cat([*([corners(first)] if self.sloped else []), low[None], high[None]]))
            state = State(float(first.worst.max()), lower, witness, 1)
            waiting = Waiting(first)
            finished = 0.0
            with _workers(self.jobs) as work:
                while True:
                    bar = self._bar(state)
                    finished = max(finished, waiting.drop(bar))
                    state.upper = max(finished, waiting.top, state.lower)
                    state.seconds, state.open = time.monotonic() - began, len(waiting)
                    if progress is not None:
                        progress(state)
                    decided = not state.open or (self.goal is not None and state.lower > self.goal)
                    if decided or not self.sloped or state.seconds >= seconds or state.boxes >= self.most:
                        return state
                    chosen = waiting.pop(self.batch * self.jobs)
                    parts = [chosen.take(c) for c in torch.chunk(torch.arange(len(chosen)), self.jobs)]
                    found = work(lambda part, bar=bar: self.children(part, bar), parts)
                    finished = max(finished, bar)  # what the children leave out is known to be at most the bar
                    state.boxes += sum(map(len, found))
                    best, at = self.tried(torch.cat([corners(b) for b in found]))
                    if best > state.lower:
                        state.lower, state.witness = best, at
                    for part in found:
                        waiting.put(part)

    def tried(self, points: Tensor) -> tuple[float, Tensor]:
        """What the attack, on the processor, makes of points (N, n)."""
        with on(torch.device("cpu")):
            return self.attack(points.cpu(), self.steps)

    def attained(self, point: Tensor, allowance: Allowance) -> float:
        """A number that an output reaches at a point (n,): bounds of the point alone, in which errors meet, as intervals do not let them. Raises `NoBound`."""
        with on(self.program.device), single_threaded(), torch.no_grad():
            point = point.to(self.program.device)
            found = evaluate(self.program, self.ends(point[None], point[None]), allowance=allowance)
            return max(0.0, -float(self.outputs(found)[0].min()))

    def _bar(self, state: State) -> float:
        """Boxes with no more than this are done."""
        return self.goal if self.goal is not None else state.lower * CLOSE

    def bounded(self, low: Tensor, high: Tensor, known: Known) -> Boxes:
        """Boxes with bounds; `known` are bounds that hold on larger ones."""
        bounded = []
        for b in range(0, len(low), self.together):
            least, most = low[b : b + self.together], high[b : b + self.together]
            found = evaluate(self.program, self.ends(least, most), taken(known, slice(b, b + self.together)), allowance=self.allowance())
            known_now = found.refined if self.phases is None else {k: found.bounds[k] for k in self.phases.operands}
            bounded.append(Boxes(least, most, *self.outputs(found), torch.full((len(least),), -1), torch.zeros(len(least), 3, dtype=torch.float64), known_now))
        return joined(bounded)

    def ends(self, low: Tensor, high: Tensor) -> list[tuple[Tensor, Tensor]]:
        return list(zip(torch.split(low, self.sizes, 1), torch.split(high, self.sizes, 1), strict=True))

    def allowance(self) -> Allowance:
        """Of one evaluation."""
        return Allowance()

    def outputs(self, found: Evaluation) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """`bound`, `linear`, `slopes` and `loose` of `Boxes`: where time is up, intervals and no slopes."""
        bounds, linear, coefficients, loose = [], [], [], []
        for target in self.targets:
            (low, high), batch = found.bounds[target], len(found.bounds[target][0])
            plain = torch.cat([high, -low], dim=1)
            plain = plain if self.rows is None else plain[:, self.rows]
            for at, interval in zip(torch.split(torch.arange(plain.shape[1]), self.many), torch.split(plain, self.many, 1), strict=True):
                slopes, way = (torch.zeros(batch, len(at), sum(self.sizes) if self.sloped else 0, dtype=torch.float64) for _ in range(2))
                coefficients.append(slopes)
                loose.append(way)
                if found.allowance.over:
                    found.allowance.left += batch * len(at)
                    bounds.append(interval)
                    linear.append(torch.full_like(interval, math.inf))
                    continue
                rows = self.signed(target, at)
                answer = upper(self.program, found, target, rows.expand(batch, *rows.shape), passing=not self.program.many and self.sloped)
                linear.append(answer.linear)
                bounds.append(torch.minimum(answer.bound, interval))
                if not self.sloped:
                    continue
                zeros = [torch.zeros(batch, len(rows), size, dtype=torch.float64) for size in self.sizes]
                torch.cat([answer.coefficients.get(i, z) for i, z in zip(self.program.inputs, zeros, strict=True)], 2, out=slopes)
                for number, a in answer.passed.items():
                    reach = [found.reach[p] for p in self.program.nodes[number].parents if p in found.reach]
                    if reach:
                        way += torch.matmul(a.abs() * found.gaps[number][:, None], reach[-1])
        return torch.cat(bounds, 1), torch.cat(linear, 1), torch.cat(coefficients, 1), torch.cat(loose, 1)

    def signed(self, target: int, at: Tensor) -> Tensor:
        """Those of the outputs and their negatives with the numbers `at` (k,), as rows (k, n) of this value."""
        n, at = self.program.nodes[target].size, at if self.rows is None else self.rows.to(at.device)[at]
        rows = torch.zeros(len(at), n, dtype=torch.float64)
        rows[torch.arange(len(at)), at % n] = torch.where(at < n, 1.0, -1.0).double()
        return rows

    def children(self, boxes: Boxes, bar: float) -> Boxes:
        """Both halves of what is left of each box, or parts of each region."""
        if self.phases is not None:
            return self.regions(boxes, bar)
        low, high = cut(boxes, bar)
        at = self.split(boxes, low, high, bar)[:, None]
        below, above = low.gather(1, at), high.gather(1, at)
        middle = torch.clamp(below / 2 + above / 2, below, above)
        halves = torch.cat([low, low.scatter(1, at, middle)]), torch.cat([high.scatter(1, at, middle), high])
        found = self.bounded(*halves, {k: (torch.cat([a, a]), torch.cat([b, b])) for k, (a, b) in boxes.known.items()})
        found.bound = torch.minimum(found.bound, torch.cat([boxes.bound, boxes.bound]))
        return found

    def regions(self, boxes: Boxes, bar: float) -> Boxes:
        """Of a box a region for every output above the bar, of a region its parts; both halves where there is nothing to cut."""
        assert self.phases is not None
        if bool((boxes.row < 0).all()):
            at, row = (boxes.bound > bar).nonzero(as_tuple=True)
            zeros = {k: torch.zeros_like(boxes.known[k][0][at]) for k in self.phases.cuts}
            return self.region(boxes.low[at], boxes.high[at], taken(boxes.known, at), row, zeros, boxes.bound[at, row], bar, False)
        whole = boxes.take(torch.nonzero(boxes.cut[:, 0] < 0)[:, 0])
        known, at = parts(boxes.known, boxes.cut, self.phases.cuts)
        of = boxes.take(at)
        low, high = whole.low, whole.high
        by = self.split(whole, low, high, bar)[:, None]
        middle = torch.clamp(low / 2 + high / 2, low, high).gather(1, by)
        low, high = torch.cat([of.low, low, low.scatter(1, by, middle)]), torch.cat([of.high, high.scatter(1, by, middle), high])
        of = joined([of, whole, whole])
        known = {k: (torch.cat([a, *[whole.known[k][0]] * 2]), torch.cat([b, *[whole.known[k][1]] * 2])) for k, (a, b) in known.items()}
        return self.region(low, high, known, of.row, of.pulls, of.bound[:, 0], bar, len(whole) > 0)

    def region(self, low: Tensor, high: Tensor, known: Known, row: Tensor, pulls: dict[int, Tensor], bound: Tensor, bar: float, refine: bool) -> Boxes:
        """Regions with bounds, no larger than these. What is known of operands is refined where boxes were halved: multipliers gain more for their time."""
        assert self.phases is not None
        if len(low) > self.together:
            each = [slice(b, b + self.together) for b in range(0, len(low), self.together)]
            some = [(low[b], high[b], taken(known, b), row[b], {k: c[b] for k, c in pulls.items()}, bound[b], bar, refine) for b in each]
            return joined([self.region(*given) for given in some])
        found = evaluate(self.program, self.ends(low, high), known, refine)
        answer, pulls = self.phases.tightened(found, self.signed(self.phases.target, row), pulls, bar)
        empty = torch.stack([(a > b).any(1) for a, b in found.bounds]).any(0)
        best = torch.where(empty, -math.inf, torch.minimum(answer.bound[:, 0], bound))[:, None]
        zeros = [torch.zeros(len(low), 1, size, dtype=torch.float64) for size in self.sizes]
        slopes = torch.cat([answer.coefficients.get(i, z) for i, z in zip(self.program.inputs, zeros, strict=True)], dim=2)
        known = {k: found.bounds[k] for k in self.phases.operands}
        return Boxes(low, high, best, answer.linear, slopes, torch.zeros(len(low), 1, 1), row, self.phases.cut(found, answer), known, pulls)

    def split(self, boxes: Boxes, low: Tensor, high: Tensor, bar: float) -> Tensor:
        """The input along which the bounds above the bar change most."""
        over = (boxes.bound - bar).clamp(min=0)
        gain = ((boxes.slopes.abs() * (high - low)[:, None] + boxes.loose) * over[..., None]).sum(1)
        return torch.where(gain.amax(1) > 0, gain.argmax(1), (high - low).argmax(1))


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
