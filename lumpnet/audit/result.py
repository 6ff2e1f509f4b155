"""What an audit found: the interval, the input that is worst, where the difference enters, and what machines and people read of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lumpnet.audit.matching import Residual
from lumpnet.audit.moved import MOVERS
from lumpnet.audit.top1 import Top1
from lumpnet.bounds.relaxed import Match
from lumpnet.figures import above, below
from lumpnet.network import Network
from lumpnet.shown import Shown

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Flip:
    """An example, without its batch axis, whose top-1 class is another one in the other network."""

    index: int
    x: Array
    classes: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Observed:
    """What given examples showed, both networks executed in float64 (as stored, where an operator has a type of its own): evidence, not proof.

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
class Audit(Shown):
    """How far two networks can be apart on a domain: `lower_bound <= max |F - G| <= upper_bound`, over all inputs and outputs, in real arithmetic.

    verdict: `equivalent` (the difference is zero by its structure), `bounded` (as asked, or, where nothing was asked, by
    `upper_bound`), `refuted` (by `witness` or by the counterexample in `top1`), `unknown` (`reason` says why). `upper_bound` is None where there is none.
    `witness` (input name -> array, one example) attains `lower_bound`. `residuals`: where the difference enters, the largest share first.
    `top1` and `observed` only where asked for; `lossless` for networks of moderate size. `cut` says so where time was up within the first bound, which
    then is as sound and wider.
    """

    drawn_by = "lumpnet.report.audits"

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
    cut: str = ""
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
            "cut_short": self.cut or None,
            "seconds": self.seconds,
            "phases": self.phases,
        }

    def summary(self) -> str:
        """A few lines for people."""
        lines = [self.line(), f"interval       {self.interval()} ({self.boxes:,} boxes, {self.seconds:.1f} s)"]
        if self.cut:
            lines.append(f"in haste       {self.cut}")
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


def short(inputs: Mapping[str, Array]) -> str:
    """The input in a line: all of a small one, the first entries of a large one."""
    parts = []
    for name, x in inputs.items():
        flat = [repr(float(v)) for v in x.reshape(-1)[:8]]
        parts.append(f"{name} = [{', '.join(flat)}{', ...' if x.size > 8 else ''}]")
    return ", ".join(parts)
