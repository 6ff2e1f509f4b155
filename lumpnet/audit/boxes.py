"""Boxes of a search with what is known of them, and the pool of those that are not done.

What the linear bounds exclude is cut off: where an output's bound is `t` above the goal and its coefficient of
input j is a, the goal can be passed only within `t / |a|` of the better end of j.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

Known = dict[int, tuple[Tensor, Tensor]]
"""Bounds (N, n) of values."""


@dataclass(eq=False)
class Boxes:
    """N boxes: ends of the flat inputs (N, n), bounds of the signed outputs (N, r), and bounds of values known inside.

    `linear` (N, r) are the bounds that linear functions with the coefficients `slopes` (N, r, n) give, `loose` (N, r, n) what the relaxations
    add to them, dealt out to the inputs by their share in the width of what was relaxed. Regions (`phases`) have bounds of one signed output only, number
    `row` (-1: bounds of all), a `cut` (N, 3), and multipliers `pulls` of operands.
    """

    low: Tensor
    high: Tensor
    bound: Tensor
    linear: Tensor
    slopes: Tensor
    loose: Tensor
    row: Tensor
    cut: Tensor
    known: Known = field(default_factory=dict)
    pulls: dict[int, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.low)

    @property
    def worst(self) -> Tensor:
        """(N,), and infinite where a bound is no number."""
        return torch.where(self.bound.isnan(), math.inf, self.bound).amax(1)

    def take(self, at: Tensor) -> Boxes:
        fields: dict[str, Any] = {name: getattr(self, name)[at] for name in FIELDS}
        return Boxes(**fields, known=taken(self.known, at), pulls={k: c[at] for k, c in self.pulls.items()})


FIELDS = ("low", "high", "bound", "linear", "slopes", "loose", "row", "cut")


def taken(known: Known, at: Tensor | slice) -> Known:
    return {k: (a[at], b[at]) for k, (a, b) in known.items()}


def joined(parts: Sequence[Boxes]) -> Boxes:
    parts = [p for p in parts if len(p)]
    keys = set.intersection(*(set(p.known) for p in parts))
    known = {k: (torch.cat([p.known[k][0] for p in parts]), torch.cat([p.known[k][1] for p in parts])) for k in keys}
    fields: dict[str, Any] = {name: torch.cat([getattr(p, name) for p in parts]) for name in FIELDS}
    pulls = {k: torch.cat([p.pulls[k] for p in parts]) for k in set.intersection(*(set(p.pulls) for p in parts))}
    return Boxes(**fields, known=known, pulls=pulls)


class Waiting:
    """Boxes that are not done, as rows of tensors that grow by doubling: of very many only few are taken and put at a time."""

    def __init__(self, boxes: Boxes):
        self.rows = boxes.take(torch.arange(len(boxes)))
        self.worst = boxes.worst.clone()
        """Of each row; a free one has -inf."""

    def __len__(self) -> int:
        return int((self.worst > -math.inf).sum())

    @property
    def top(self) -> float:
        return max(0.0, float(self.worst.max()))

    def drop(self, bar: float) -> float:
        """Lets go those with no more than the bar; the largest bound of these, or 0."""
        done = self.worst <= bar
        most = float(self.worst[done].max()) if bool(done.any()) else 0.0
        self.worst[done] = -math.inf
        return max(0.0, most)

    def pop(self, count: int) -> Boxes:
        """The worst ones, the worst first."""
        at = torch.topk(self.worst, min(count, len(self))).indices
        chosen = self.rows.take(at)
        self.worst[at] = -math.inf
        return chosen

    def put(self, boxes: Boxes) -> None:
        if not len(boxes):
            return
        if not len(self):  # bounds may be of other outputs than before
            self.rows, self.worst = boxes.take(torch.arange(len(boxes))), boxes.worst.clone()
            return
        free = torch.nonzero(self.worst == -math.inf)[: len(boxes), 0]
        if len(free) < len(boxes):
            more = max(len(boxes), len(self.worst))
            self.rows = self.rows.take(torch.arange(len(self.worst) + more).clamp(max=len(self.worst) - 1))
            self.worst = torch.cat([self.worst, torch.full((more,), -math.inf, dtype=self.worst.dtype)])
            free = torch.nonzero(self.worst == -math.inf)[: len(boxes), 0]
        self.worst[free] = boxes.worst
        for name in FIELDS:
            getattr(self.rows, name)[free] = getattr(boxes, name)
        for mine, theirs in ((self.rows.known, boxes.known), (self.rows.pulls, boxes.pulls)):
            for key in set(mine) - set(theirs):
                del mine[key]
        for k, (low, high) in self.rows.known.items():
            low[free], high[free] = boxes.known[k]
        for k, c in self.rows.pulls.items():
            c[free] = boxes.pulls[k]


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
