"""What Python users call: `lumpnet.audit(model, other, domain=...)`.

match -> difference as one program -> bounds, shares, witness -> verdict. Whatever is above is certified by
`bounds.relaxed`, whatever is below by a point at which both networks are enclosed (`attack`).
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lumpnet.api import Network, as_network, reduce
from lumpnet.audit.attack import SHARES, STARTS, STEPS, Attack
from lumpnet.audit.matching import Residual, matched, residuals
from lumpnet.audit.moved import MOVERS
from lumpnet.audit.related import related
from lumpnet.audit.search import Boxes, Search, State, joined, single_threaded
from lumpnet.audit.shares import Parts, by_unit, shares
from lumpnet.audit.top1 import Top1, classifier, top1
from lumpnet.bounds import execution_dtype
from lumpnet.bounds.relaxed import Evaluation, Match, Program, pair, tape
from lumpnet.certificate import Certificate
from lumpnet.domain import Box, Domain, boxes
from lumpnet.errors import DomainError, LumpnetError, NoBound
from lumpnet.ir import FLOATS, Graph, write_whole
from lumpnet.verdict import Proved

Array = np.ndarray[Any, Any]
Model = nn.Module | str | Path | Network
Progress = Callable[[int, float | None, float], None]
"""Boxes done, the upper end of the interval so far (None: none yet), and its lower end."""
BEYOND = 1e300
"""Bounds above this are none."""
ATTACKING = 0.2
"""The part of the time that the first attack may take."""
MODERATE = 1 << 17
"""Parameters up to which exact lumping is tried."""
UNITS = 5
"""Units whose shares are told."""
FLIPS = 8
"""Examples kept whose class changes."""


@dataclass(frozen=True, eq=False)
class Flip:
    """An example, without its batch axis, whose top-1 class is another one in the other network."""

    index: int
    x: Array
    classes: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Observed:
    """What given examples showed, both networks executed in float64: evidence, not proof.

    `deviations` and `within` (whether it lies in the domain) by example; `flipped`: the first examples whose class changes.
    """

    examples: int
    inside: int
    largest: float
    flips: int | None
    deviations: Array = field(default_factory=lambda: np.zeros(0))
    within: Array = field(default_factory=lambda: np.zeros(0, dtype=bool))
    flipped: tuple[Flip, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {"examples": self.examples, "inside": self.inside, "largest": self.largest, "flips": self.flips}


@dataclass(frozen=True, eq=False)
class Source:
    """Where the difference enters: an operator of the original, its share of `upper_bound` (None: there is none), the units with most of that
    share, and what is stored differently for it (None: nothing). All shares sum to `upper_bound`; they are dealt out as the bound over the
    whole domain is, before boxes are split."""

    operator: str
    share: float | None
    change: Residual | None
    worst: tuple[tuple[int, float], ...] = ()

    def __str__(self) -> str:
        parts = [self.operator if self.share is None else f"{self.operator}: {above(self.share)}"]
        if len(self.worst) > 1:
            parts.append("most by unit " + " and ".join(f"{unit} ({above(share)})" for unit, share in self.worst[:2]))
        if self.change is not None and self.change.units:
            units = ", ".join(map(str, self.change.units))
            how = "other units read" if self.change.kind in MOVERS else f"weights changed by up to {above(self.change.weights)}"
            parts.append(f"unit{'s' if len(self.change.units) > 1 else ''} {units} ({how})")
        if self.change is not None and self.change.removed:
            parts.append(f"{self.change.removed} unit{'s' if self.change.removed > 1 else ''} removed")
        return ", ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        change = self.change
        return {
            "operator": self.operator,
            "share": self.share,
            "share_by_unit": [{"unit": unit, "share": share} for unit, share in self.worst],
            "units": [] if change is None else list(change.units),
            "removed": 0 if change is None else change.removed,
            "weights": 0.0 if change is None else change.weights,
        }


@dataclass(frozen=True, eq=False)
class Lossless:
    """What exact lumping alone gives: the original with so many hidden units and a difference of 0, as the checker says; beside it what both networks have."""

    units: int
    original: int
    other: int

    def __str__(self) -> str:
        return f"{self.units} of {self.original} units are enough for a difference of 0 (the other network has {self.other})"

    def as_dict(self) -> dict[str, int]:
        return {"units": self.units, "original_units": self.original, "other_units": self.other}


@dataclass(frozen=True, eq=False)
class About:
    """What an audit was of: names without folders, both networks, the ends of every input, how units were matched, what changed, what was asked."""

    names: tuple[str, str]
    networks: tuple[Network, Network]
    ends: Mapping[str, tuple[Array, Array]]
    match: Match
    changes: tuple[Residual, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Audit:
    """How far two networks can be apart on a domain: `lower_bound <= max |F - G| <= upper_bound`, over all inputs and outputs, in real arithmetic.

    verdict: `equivalent` (the difference is zero by its structure), `bounded` (as asked, or, where nothing was asked, by
    `upper_bound`), `refuted` (by `witness` or by the counterexample in `top1`), `unknown` (`reason` says why). `upper_bound` is None where there is none.
    `witness` (input name -> array, one example) attains `lower_bound`. `residuals`: where the difference enters, the largest share first.
    `top1` and `observed` only where asked for; `lossless` for networks of moderate size.
    """

    verdict: str
    upper_bound: float | None
    lower_bound: float
    witness: dict[str, Array] | None
    top1: Top1 | None
    residuals: list[Source]
    seconds: float
    boxes: int
    epsilon: float | None = None
    reason: str = ""
    observed: Observed | None = None
    phases: dict[str, float] = field(default_factory=dict)
    lossless: Lossless | None = None
    about: About | None = None

    def as_dict(self) -> dict[str, Any]:
        """The object that `lumpnet audit --json` prints."""
        return {
            "verdict": self.verdict,
            "reason": self.reason or None,
            "upper_bound": self.upper_bound,
            "lower_bound": self.lower_bound,
            "epsilon": self.epsilon,
            "witness": None if self.witness is None else {"inputs": {k: x.tolist() for k, x in self.witness.items()}, "deviation": self.lower_bound},
            "top1": None if self.top1 is None else self.top1.as_dict(),
            "observed": None if self.observed is None else self.observed.as_dict(),
            "residuals": [source.as_dict() for source in self.residuals],
            "exact_lumping": None if self.lossless is None else self.lossless.as_dict(),
            "boxes": self.boxes,
            "seconds": self.seconds,
            "phases": self.phases,
        }

    def summary(self) -> str:
        """A few lines for people."""
        lines = [self.line(), f"interval       {self.interval()} ({self.boxes:,} boxes, {self.seconds:.1f} s)"]
        if self.top1 is not None:
            lines.append(f"top-1          {self.top1_line()}")
        if self.observed is not None:
            lines.append(f"observed       {self.observed_line()}")
        lines += [f"{'enters by' if k == 0 else '':<14} {source}" for k, source in enumerate(self.residuals[:5])]
        if self.lossless is not None:
            lines.append(f"by lumping     {self.lossless}")
        if self.witness is not None:
            lines.append(f"witness        {short(self.witness)}")
        return "\n".join(lines)

    __str__ = summary

    def save_report(self, path: str | Path, **more: Any) -> None:
        """Write all of this as one inert HTML file; more as for `lumpnet.report.audits.page`. Raises `FileError`."""
        from lumpnet.report.audits import page

        write_whole(path, page(self, **more).html().encode())

    def _repr_html_(self) -> str:
        from lumpnet.report.audits import page

        return page(self).fragment()

    def line(self) -> str:
        """One line: what holds, or why nothing is claimed."""
        match self.verdict:
            case "equivalent":
                return "equivalent: the two networks compute the same real function"
            case "bounded":
                parts = [] if self.upper_bound is None else [f"no output differs by more than {above(self.upper_bound)} on the domain"]
                return "bounded: " + ", and ".join([*parts, *(["the top-1 class never changes"] if self.top1 is not None else [])])
            case "refuted":
                return f"refuted: {self.reason}"
        return f"unknown: {self.reason}"

    def interval(self) -> str:
        top = "no upper bound" if self.upper_bound is None else above(self.upper_bound)
        return (
            f"{below(self.lower_bound)} <= largest difference <= {top}"
            if self.upper_bound is not None
            else f"{below(self.lower_bound)} <= largest difference, {top}"
        )

    def top1_line(self) -> str:
        assert self.top1 is not None
        if self.top1.verdict == "different" and self.top1.classes is not None and self.top1.inputs is not None:
            return f"different: class {self.top1.classes[0]} becomes {self.top1.classes[1]} at {short(self.top1.inputs)}"
        if self.top1.verdict == "same":
            return "same" + (f": class {self.top1.classes[0]} everywhere" if self.top1.classes is not None else "")
        return f"unknown: {self.top1.reason}"

    def observed_line(self) -> str:
        assert self.observed is not None
        o = self.observed
        flips = "" if o.flips is None else f", {o.flips} top-1 flips"
        return f"largest difference {o.largest:.3g} on {o.examples:,} examples ({o.inside:,} of them in the domain){flips}"

    def assert_within(self, epsilon: float) -> None:
        """Raises `AssertionError` unless no output is certified to differ by more than epsilon."""
        if self.verdict == "equivalent" or (self.upper_bound is not None and self.upper_bound <= epsilon):
            return
        if self.lower_bound > epsilon:
            assert self.witness is not None
            raise AssertionError(f"refuted: the networks differ by at least {below(self.lower_bound)}, more than {epsilon:g}, at {short(self.witness)}")
        why = self.reason or f"time ended at {self.interval()}"
        raise AssertionError(f"not certified: no proof that the networks stay within {epsilon:g} ({why}). Give it more time (timeout=...) or a smaller domain")

    def assert_top1_equal(self) -> None:
        """Raises `AssertionError` unless the predicted class is certified never to change."""
        if self.verdict == "equivalent" or (self.top1 is not None and self.top1.verdict == "same"):
            return
        if self.top1 is None:
            raise AssertionError("not certified: this audit was not asked for top-1; call lumpnet.audit(..., top1=True)")
        raise AssertionError(f"top-1 {self.top1_line()}")


def above(value: float) -> str:
    """Three digits, no less than the number."""
    return _three(value, 1)


def below(value: float) -> str:
    return _three(value, -1)


def _three(value: float, side: int) -> str:
    text = f"{value:.2e}"
    if side * float(text) < side * value:
        exponent = math.floor(math.log10(abs(value))) - 2
        text = f"{float(text) + side * 10.0**exponent:.2e}"
    number = float(text)
    return f"{number:.3g}"


def short(inputs: Mapping[str, Array]) -> str:
    """The input in a line: all of a small one, the first entries of a large one."""
    parts = []
    for name, x in inputs.items():
        flat = [repr(float(v)) for v in x.reshape(-1)[:8]]
        parts.append(f"{name} = [{', '.join(flat)}{', ...' if x.size > 8 else ''}]")
    return ", ".join(parts)


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
    became which; it is believed in nothing else, and without one units are matched by what is stored for them. The search ends
    after `timeout` seconds (the first bound may take longer), after `boxes` boxes (0: without any upper bound), or when both ends of the
    interval are within 2 %; with timeout=math.inf and jobs=1 the answer does not depend on the machine's speed. Raises
    `LumpnetError` subclasses for models that cannot be read and domains that do not fit.
    """
    if device != "cpu":
        raise ValueError(f"device is {device!r}: audits run on 'cpu'")
    if epsilon is not None and not (epsilon >= 0 and math.isfinite(epsilon)):
        raise ValueError(f"epsilon is {epsilon!r}: use a number of 0 or more")
    began = time.monotonic()
    examples = example_inputs if example_inputs is not None else _examples(model, other, domain)
    networks = as_network(model, examples), as_network(other, examples)
    one, two = (network.graph for network in networks)
    _comparable(one, two)
    if top1:
        classifier(one)
    with single_threaded():
        match = matched(one, two) if certificate is None else related(certificate, one, two)
        run = _Run(one, two, match, domain, epsilon, top1, timeout, boxes, seed, jobs or len(os.sched_getaffinity(0)), progress, began)
        found = run.audit(data)
    options = {"epsilon": epsilon, "top1": top1, "timeout": timeout, "seed": seed}
    changes = tuple(residuals(one, two, run.match))
    found = replace(found, about=About((_named(model, "the original"), _named(other, "the other network")), networks, run.ends, run.match, changes, options))
    if not lossless:
        return found
    alone, seconds = _lossless(*networks), round(time.monotonic() - began, 3)
    return replace(found, lossless=alone, seconds=seconds, phases=found.phases | {"lossless": round(seconds - found.seconds, 3)})


@dataclass(frozen=True, eq=False)
class First:
    """The whole domain: bounds of all values, and (1, r) of the signed outputs."""

    found: Evaluation
    bounds: Tensor


class Searching(Search):
    """A search that keeps what it knows of the whole domain, and bounds no more boxes at once than time is left for: the others are left as they are."""

    first: First | None = None
    per = 0.0
    """Seconds that a box took, of those bounded last."""
    late = over = False
    """Whether a step left some out; whether the one before this did."""
    deadline = math.inf
    state: State | None = None

    def run(self, low: Tensor, high: Tensor, seconds: float = 60.0, progress: Callable[[State], None] | None = None) -> State:
        self.deadline = time.monotonic() + seconds

        def told(state: State) -> None:
            self.state, self.over = state, self.late
            if progress is not None:
                progress(state)

        try:
            return super().run(low, high, seconds, told)
        except _Late:
            assert self.state is not None
            return self.state

    def outputs(self, found: Evaluation) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        answer = super().outputs(found)
        if self.first is None:
            self.first = First(found, answer[0])
        return answer

    def bounded(self, low: Tensor, high: Tensor, known: dict[int, tuple[Tensor, Tensor]]) -> Boxes:
        began = time.monotonic()
        found = super().bounded(low, high, known)
        self.per = (time.monotonic() - began) / len(low)
        return found

    def children(self, boxes: Boxes, bar: float) -> Boxes:
        if self.over:
            raise _Late
        count = int(min(len(boxes), max(0.0, self.deadline - time.monotonic()) / max(2 * self.per, 1e-9)))
        self.late = self.late or count < len(boxes)
        rest = boxes.take(torch.arange(count, len(boxes)))
        return joined([super().children(boxes.take(torch.arange(count)), bar), rest]) if count else rest


class _Late(Exception):
    """Time for nothing more."""


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
        progress: Progress | None,
        began: float,
    ):
        self.one, self.two, self.match, self.epsilon, self.wants_top1, self.timeout, self.most = one, two, match, epsilon, top1, timeout, most
        self.jobs, self.progress, self.began = jobs, progress, began
        self.ends = common(domain, one, two)
        self.attack = Attack(one, two, self.ends, seed)
        self.first: First | None = None
        self.phases: dict[str, float] = {}
        self.reason = ""

    def audit(self, data: Any) -> Audit:
        observed = None if data is None else self._observed(np.asarray(data))
        self._lap("lift")
        program = self._program()
        zero = program is not None and all(o is None for o in program.outputs)
        if zero:
            return self._done("equivalent", State(0.0, 0.0, None), [], Top1("same") if self.wants_top1 else None, observed)
        self._climb()
        self._lap("attack")
        classes = top1(self.attack, False, self._left() * (0.5 if self.epsilon is not None else 0.8)) if self.wants_top1 else None
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
        self.attack.climb(steps=1)
        step = max(time.monotonic() - began, 1e-6)
        share = ATTACKING if self.epsilon is not None else ATTACKING / 2
        starts = int(min(STARTS, STARTS * share * self._left() / (STEPS * step)))
        if starts:
            self.attack.climb(starts=starts)
        softly = int(min(STARTS, STARTS * share * self._left() / (2 * len(SHARES) * step)))
        if softly and self.epsilon is None:
            self.attack.climb_softly(softly)

    def _program(self) -> Program | None:
        if self.most == 0:
            self.reason = "no bound: no box was asked for"
            return None
        try:
            return pair(tape(self.one), tape(self.two), self.match)
        except NoBound as reason:
            self.reason = f"no bound: {reason}"
            return None

    def _bounded(self, program: Program | None, seconds: float) -> State:
        try:
            if program is not None:
                search = Searching(program, self.attack, self.epsilon, jobs=self.jobs, most=math.inf if self.most is None else self.most)
                state = search.run(self.attack.space.low, self.attack.space.high, seconds, self._told)
                self.first = search.first
                return state
        except NoBound as reason:
            self.reason = f"no bound: {reason}"
        return State(math.inf, self.attack.best, None)

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
                row = torch.zeros(n, dtype=torch.float64)
                row[column % n] = 1.0 if column < n else -1.0
                return shares(program, first.found, target, row)
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
            self.reason = f"time is up: {below(low)} <= largest difference <= {above(top)} says nothing about {self.epsilon:g}"
            return "unknown"
        return "bounded"

    def _done(self, verdict: str, state: State, sources: list[Source], classes: Top1 | None, observed: Observed | None) -> Audit:
        upper = None if state.upper >= BEYOND else max(state.upper, self.attack.best)
        witness = self.attack.space.arrays(self.attack.point) if self.attack.best > 0 else None
        reason = "" if verdict in ("equivalent", "bounded") else self.reason
        seconds = round(time.monotonic() - self.began, 3)
        return Audit(verdict, upper, self.attack.best, witness, classes, sources, seconds, state.boxes, self.epsilon, reason, observed, self.phases)

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


def common(domain: Domain, one: Graph, two: Graph) -> dict[str, tuple[Array, Array]]:
    """The ends of every input of the original, in a type that both networks hold."""
    dtype = min(map(execution_dtype, (one, two)))
    return boxes(domain, [replace(v, dtype=min(v.dtype, dtype)) if v.dtype in FLOATS else v for v in one.inputs])


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
