"""What Python users call: `lumpnet.audit(model, other, domain=...)`.

match -> difference as one program -> bounds, shares, witness -> verdict. Whatever is above is certified by
`bounds.relaxed`, whatever is below by a point at which both networks are enclosed (`attack`).
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lumpnet.api import reduce
from lumpnet.audit.attack import SHARES, STARTS, STEPS, Attack
from lumpnet.audit.matching import matched, residuals
from lumpnet.audit.related import related
from lumpnet.audit.result import About, Array, Audit, Flip, Lossless, Observed, Source, short
from lumpnet.audit.search import Search, State, single_threaded
from lumpnet.audit.searching import First, Searching
from lumpnet.audit.shares import Parts, by_unit, shares
from lumpnet.audit.top1 import Top1, classifier, top1
from lumpnet.bounds.relaxed import Allowance, Match, Program, pair, tape
from lumpnet.bounds.relaxed.allowance import GRACE
from lumpnet.bounds.relaxed.devices import on, usable
from lumpnet.certificate import Certificate
from lumpnet.domain import Box, Domain
from lumpnet.errors import DomainError, LumpnetError, NoBound
from lumpnet.executing import common
from lumpnet.figures import above, below
from lumpnet.ir import Graph
from lumpnet.network import Network, as_network
from lumpnet.verdict import Proved

Model = nn.Module | str | Path | Network
Progress = Callable[[int, float | None, float], None]
"""Boxes done, the upper end of the interval so far (None: none yet), and its lower end."""
BEYOND = 1e300
"""Bounds above this are none."""
ATTACKING = 0.2
"""The part of the time that the first attack may take."""
SETTLING = 0.6
"""The part that certifying its point may take where intervals say nothing of it."""
MODERATE = 1 << 17
"""Parameters up to which exact lumping is tried."""
UNITS = 5
"""Units whose shares are told."""
FLIPS = 8
"""Examples kept whose class changes."""


def audit(
    model: Model,
    other: Model,
    *,
    domain: Domain,
    example_inputs: Any = None,
    epsilon: float | None = None,
    top1: bool = False,
    data: Any = None,
    timeout: float = 60.0,
    seed: int = 0,
    jobs: int | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
    lossless: bool = True,
    certificate: Certificate | str | Path | None = None,
    boxes: int | None = None,
) -> Audit:
    """How far `other` can be from `model` on the domain, certified on both ends.

    model, other: `nn.Module`s (with example_inputs, a batch; not needed for an `nn.Sequential` that begins with a linear layer, nor with a
    domain of arrays), paths or `Network`s of equal inputs and outputs. epsilon: stop as soon as it is certified or refuted.
    top1: whether the predicted class never changes. data: examples (N, ...) of the only input, observed on top. lossless: whether to say
    what exact lumping alone gives (up to 2^17 parameters, after the search). certificate: of a reduction, whose relation says which unit
    became which; it is believed in nothing else, and without one units are matched by what is stored for them. The search ends after
    `timeout` seconds (a first bound that takes longer is cut short, and wider for it), after `boxes` boxes (0: without any upper bound), or when
    both ends of the interval are within 2 %; with timeout=math.inf and jobs=1 the answer does not depend on the machine's speed. device: where boxes
    are bounded, `cpu` by `jobs` threads, or `cuda` (tested where there is one, and else on a pretended one). Raises `LumpnetError` subclasses for models
    that cannot be read and domains that do not fit, `ValueError` for options that are none.
    """
    place = usable(device)
    if epsilon is not None and not (epsilon >= 0 and math.isfinite(epsilon)):
        raise ValueError(f"epsilon is {epsilon!r}: use a number of 0 or more")
    began = time.monotonic()
    examples = example_inputs if example_inputs is not None else _examples(model, other, domain)
    networks = as_network(model, examples), as_network(other, examples)
    one, two = (network.graph for network in networks)
    _comparable(one, two)
    if top1:
        classifier(one)
    with on(torch.device("cpu")), single_threaded():
        match = matched(one, two) if certificate is None else related(certificate, one, two)
        run = _Run(one, two, match, domain, epsilon, top1, timeout, boxes, seed, jobs or len(os.sched_getaffinity(0)), place, progress, began)
        found = run.audit(data)
    options = {"epsilon": epsilon, "top1": top1, "timeout": timeout, "seed": seed}
    changes = tuple(residuals(one, two, run.match))
    found = replace(found, about=About((_named(model, "the original"), _named(other, "the other network")), networks, run.ends, run.match, changes, options))
    if not lossless:
        return found
    alone, seconds = _lossless(*networks), round(time.monotonic() - began, 3)
    return replace(found, lossless=alone, seconds=seconds, phases=found.phases | {"lossless": round(seconds - found.seconds, 3)})


def _named(model: Model, otherwise: str) -> str:
    """What people call a model: its file without folders, or its class."""
    return Path(model).name if isinstance(model, str | Path) else type(model).__name__ if isinstance(model, nn.Module) else otherwise


class _Run:
    """One audit, phase by phase."""

    def __init__(
        self,
        one: Graph,
        two: Graph,
        match: Match,
        domain: Domain,
        epsilon: float | None,
        top1: bool,
        timeout: float,
        most: int | None,
        seed: int,
        jobs: int,
        device: torch.device,
        progress: Progress | None,
        began: float,
    ):
        self.one, self.two, self.match, self.epsilon, self.wants_top1, self.timeout, self.most = one, two, match, epsilon, top1, timeout, most
        self.jobs, self.device, self.progress, self.began = jobs, device, progress, began
        self.ends = common(domain, one, two)
        self.attack = Attack(one, two, self.ends, seed)
        self.first: First | None = None
        self.settled: Tensor | None = None
        self.phases: dict[str, float] = {}
        self.reason = self.cut = ""

    def audit(self, data: Any) -> Audit:
        observed = None if data is None else self._observed(np.asarray(data))
        self._lap("lift")
        program = self._program()
        zero = program is not None and all(o is None for o in program.outputs)
        if zero:
            return self._done("equivalent", State(0.0, 0.0, None), [], Top1("same") if self.wants_top1 else None, observed)
        self._climb()
        self._settle(program, (ATTACKING if self.attack.best else SETTLING) * self._left())
        self._lap("attack")
        classes = top1(self.attack, False, self._left() * (0.5 if self.epsilon is not None else 0.8), self.device) if self.wants_top1 else None
        self._lap("top1")
        decided = classes is not None and classes.verdict == "different" and self.epsilon is None
        state = self._bounded(program, 0.0 if decided else self._left())
        self._lap("search")
        sources = self._sources(program, state.upper)
        self._lap("residuals")
        return self._done(self._verdict(state, classes), state, sources, classes, observed)

    def _climb(self) -> None:
        """One step tells how long a step takes, and so from how many points there is time to climb."""
        began = time.monotonic()
        probed = min(STARTS, max(1, self.attack.many // 4))
        self.attack.climb(starts=probed, steps=1)
        step = max(time.monotonic() - began - self.attack.cost, 1e-6)
        share = ATTACKING if self.epsilon is not None else ATTACKING / 2
        self.attack.until = time.monotonic() + share * self._left()
        starts = int(min(STARTS, probed * share * self._left() / (STEPS * step)))
        if starts:
            self.attack.climb(starts=starts)
        softly = int(min(STARTS, probed * share * self._left() / (2 * len(SHARES) * step)))
        self.attack.until = time.monotonic() + share * self._left()
        if softly and self.epsilon is None:
            self.attack.climb_softly(softly)
        self.attack.until = self.began + self.timeout
        self.attack.believe()

    def _settle(self, program: Program | None, seconds: float) -> None:
        """Bounds of the point at which most was seen, where intervals do not show it: once, or again where they were cut short."""
        point = self.attack.highest
        if program is None or not self.attack.doubtful or not seconds or (self.settled is not None and torch.equal(point, self.settled)):
            return
        allowance = Allowance(time.monotonic() + seconds)
        with suppress(NoBound):
            self.attack.trust(Search(program, self.attack).attained(point, allowance), point)
        if not allowance.left:
            self.settled = point

    def _program(self) -> Program | None:
        if self.most == 0:
            self.reason = "no bound: no box was asked for"
            return None
        try:
            with on(self.device):
                return pair(tape(self.one), tape(self.two), self.match)
        except NoBound as reason:
            self.reason = f"no bound: {reason}"
            return None

    def _bounded(self, program: Program | None, seconds: float) -> State:
        try:
            if program is not None:
                search = Searching(program, self.attack, self.epsilon, jobs=self.jobs, most=math.inf if self.most is None else self.most)
                search.until = self.began + self.timeout
                state = search.run(self.attack.space.low, self.attack.space.high, seconds, self._told)
                self._settle(program, self._left())
                self.first = search.first
                self.cut = self._cut(search.time)
                return state
        except NoBound as reason:
            self.cut = self._cut(search.time)
            self.reason = f"no bound: {reason}" + (f" ({self.cut})" if self.cut else "")
        return State(math.inf, self.attack.best, None)

    def _cut(self, had: Allowance | None) -> str:
        """Says that the first bound was cut short."""
        if had is None or not had.left:
            return ""
        return f"the first bound was cut short: after {self.timeout:g} s {had.left:,} linear bounds were missing, in whose place are intervals"

    def _sources(self, program: Program | None, upper: float) -> list[Source]:
        """Those that add something or store something else, the largest share first."""
        parts = {} if program is None or self.first is None or upper >= BEYOND else self._shares(program, self.first)
        added = {name: sum(float(part.clamp(min=0).sum()) for part in each) for name, each in parts.items()}
        total = sum(added.values())
        dealt = {name: upper * (value / total) for name, value in added.items() if value > 0} if 0 < total < BEYOND else {}
        changes = {r.operator: r for r in residuals(self.one, self.two, self.match)}
        found = []
        for name in {**dealt, **changes}:
            share = dealt.get(name, 0.0) if dealt else None
            found.append(Source(name, share, changes.get(name), self._worst(name, parts.get(name, ()), upper / total) if share else ()))
        return sorted(found, key=lambda source: -(source.share or 0.0))

    def _shares(self, program: Program, first: First) -> Parts:
        """Of the largest of the bounds over the whole domain."""
        column = int(first.bounds[0].argmax())
        for target in (t for t in program.outputs if t is not None):
            n = program.nodes[target].size
            if column < 2 * n:
                end = time.monotonic() + max(self._left(), GRACE)
                with on(program.device):
                    row = torch.zeros(n, dtype=torch.float64)
                    row[column % n] = 1.0 if column < n else -1.0
                    found = shares(program, first.found, target, row, end)
                return {name: [part.cpu() for part in parts] for name, parts in found.items()}
            column -= 2 * n
        return {}

    def _worst(self, name: str, parts: Sequence[Tensor], factor: float) -> tuple[tuple[int, float], ...]:
        value = self.one.value(name)
        if len(value.shape) < 2:
            return ()
        linear = any(node.name == name and node.kind == "linear" for node in self.one.nodes)
        units = by_unit(parts, [int(d or 0) for d in value.shape[1:]], len(value.shape) - 1 if linear else 1) * factor
        largest, order = torch.sort(units, descending=True, stable=True)
        return tuple((int(unit), float(share)) for unit, share in zip(order[:UNITS], largest[:UNITS], strict=True) if share > 0)

    def _told(self, state: State) -> None:
        if self.progress is not None:
            self.progress(state.boxes, state.upper, state.lower)

    def _verdict(self, state: State, classes: Top1 | None) -> str:
        top, low = state.upper, self.attack.best
        if self.epsilon is not None and low > self.epsilon:
            self.reason = f"the networks differ by at least {below(low)}, more than {self.epsilon:g}, at {short(self.attack.space.arrays(self.attack.point))}"
            return "refuted"
        if classes is not None and classes.verdict == "different" and classes.classes is not None and classes.inputs is not None:
            self.reason = f"class {classes.classes[0]} becomes {classes.classes[1]} at {short(classes.inputs)}"
            return "refuted"
        if classes is not None and classes.verdict == "unknown":
            self.reason = f"top-1: {classes.reason}"
            return "unknown"
        if top >= BEYOND and (classes is None or self.epsilon is not None):
            self.reason = self.reason or "no bound: the bound is beyond all floats"
            return "unknown"
        if self.epsilon is not None and top > self.epsilon:
            why = f" ({self.cut})" if self.cut else ""
            self.reason = f"time is up: {below(low)} <= largest difference <= {above(top)} says nothing about {self.epsilon:g}{why}"
            return "unknown"
        return "bounded"

    def _done(self, verdict: str, state: State, sources: list[Source], classes: Top1 | None, observed: Observed | None) -> Audit:
        upper = None if state.upper >= BEYOND else max(state.upper, self.attack.best)
        witness = self.attack.space.arrays(self.attack.point) if self.attack.best > 0 else None
        reason = "" if verdict in ("equivalent", "bounded") else self.reason
        seconds = round(time.monotonic() - self.began, 3)
        more = self.epsilon, reason, observed, self.phases, self.cut
        return Audit(verdict, upper, self.attack.best, witness, classes, sources, seconds, state.boxes, *more)

    def _observed(self, data: Array) -> Observed:
        """Raises `DomainError` where the examples do not fit."""
        if len(self.ends) != 1:
            raise DomainError("data", f"one array for {len(self.ends)} inputs", "a network with one input", "leave the data out")
        ((low, _),) = self.ends.values()
        if data.dtype.kind not in "fiu" or data.ndim < 1 or data.size != len(data) * low.size or not len(data) or not np.isfinite(data).all():
            raise DomainError("data", f"{data.dtype} of shape {data.shape}", f"finite numbers of shape (N, {', '.join(map(str, low.shape))})")
        x = torch.from_numpy(data.reshape(len(data), -1).astype(low.dtype).astype(np.float64))
        within = ((x >= self.attack.space.low) & (x <= self.attack.space.high)).all(1).numpy()
        if not self.attack.modules:
            raise DomainError("data", "torch cannot run these networks", "operators that PyTorch has", "leave the data out")
        with torch.no_grad():
            answers = [self.attack.outputs(part) for part in torch.split(x, 256)]
        deviations = torch.cat([(f - g).abs().amax(1) for f, g in answers]).numpy()
        classes = torch.cat([torch.stack([f.argmax(1), g.argmax(1)], 1) for f, g in answers]).numpy()
        changed = np.flatnonzero(classes[:, 0] != classes[:, 1])
        rows = len(self.one.outputs) == 1 and len(self.one.value(self.one.outputs[0]).shape) == 2
        flipped = tuple(Flip(int(k), x[k].numpy().reshape(low.shape), (int(classes[k, 0]), int(classes[k, 1]))) for k in changed[:FLIPS] if rows)
        return Observed(len(x), int(within.sum()), float(deviations.max()), len(changed) if rows else None, deviations, within, flipped)

    def _left(self) -> float:
        return max(0.0, self.timeout - (time.monotonic() - self.began))

    def _lap(self, phase: str) -> None:
        now = time.monotonic() - self.began
        self.phases[phase] = round(now - sum(self.phases.values()), 3)


def _lossless(original: Network, other: Network) -> Lossless | None:
    """None where it would take long, or is not proved."""
    if original.size.parameters > MODERATE:
        return None
    with suppress(LumpnetError):
        found = reduce(original, require="exact")
        if isinstance(found.verdict, Proved) and found.verdict.rounding == "none":
            return Lossless(found.network.size.units, original.size.units, other.size.units)
    return None


def _comparable(one: Graph, two: Graph) -> None:
    """Raises `DomainError` for networks whose inputs or outputs do not correspond."""
    for what, mine, theirs in (
        ("inputs", [v.shape for v in one.inputs], [v.shape for v in two.inputs]),
        ("outputs", [one.value(name).shape for name in one.outputs], [two.value(name).shape for name in two.outputs]),
    ):
        if mine != theirs:
            shapes = [", ".join("x".join("N" if d is None else str(d) for d in s) for s in side) for side in (mine, theirs)]
            raise DomainError(what, f"{shapes[0]} in one network, {shapes[1]} in the other", f"networks with the same {what}", "compare networks for one task")
    names = [[v.name for v in graph.inputs] for graph in (one, two)]
    if names[0] != names[1] and sorted(names[0]) == sorted(names[1]):
        raise DomainError("inputs", f"{', '.join(names[0])} in one network, {', '.join(names[1])} in the other", "the same inputs in the same order")


def _examples(model: Model, other: Model, domain: Domain) -> Any:
    """A batch of zeros where its shape is plain: from a domain of arrays, or from a chain of layers that begins with a linear one."""
    modules = [m for m in (model, other) if isinstance(m, nn.Module)]
    if not modules:
        return None
    dtype = next((p.dtype for p in modules[0].parameters()), torch.float32)
    given: Sequence[Box] = [domain] if isinstance(domain, Box) else list(domain.values())
    if all(b.lower.ndim for b in given):
        return tuple(torch.zeros(2, *b.lower.shape, dtype=dtype) for b in given)
    first = next((m for m in modules[0].modules() if not isinstance(m, nn.Sequential)), None)
    if isinstance(modules[0], nn.Sequential) and isinstance(first, nn.Linear):
        return torch.zeros(2, first.in_features, dtype=dtype)
    where, hint = "lumpnet.audit", "lumpnet.audit(model, other, domain=..., example_inputs=torch.zeros(2, 3, 32, 32))"
    raise LumpnetError(where, "a module without example inputs", "a batch of example inputs, or a domain of arrays", hint)


__all__ = ["About", "Audit", "Flip", "Lossless", "Observed", "Source", "audit"]
