"""A search that keeps to its time, and what it knows of the whole domain."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lumpnet.audit.boxes import Boxes, joined
from lumpnet.audit.search import Search, State
from lumpnet.bounds.relaxed import Allowance, Evaluation


@dataclass(frozen=True, eq=False)
class First:
    """The whole domain: bounds of all values, and (1, r) of the signed outputs."""

    found: Evaluation
    bounds: Tensor


class Searching(Search):
    """A search that keeps what it knows of the whole domain, and bounds no more boxes at once than time is left for: the others are left as they are.

    Every bound has until `until`; `time` is what the first one had of it.
    """

    first: First | None = None
    until = math.inf
    time: Allowance | None = None
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

    def allowance(self) -> Allowance:
        found = Allowance(self.until)
        self.time = self.time or found
        return found

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

    def region(self, low: Tensor, *given: Any) -> Boxes:
        began = time.monotonic()
        if began + self.per * len(low) > self.deadline:
            raise _Late
        found = super().region(low, *given)
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
