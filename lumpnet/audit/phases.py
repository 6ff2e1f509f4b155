"""Regions of a box in which operands of relus are known to lie on one side: where the inputs are many, halving one of them changes little.

A region is a box, one signed output, and certified bounds of the operands, cut where a function bends. That a point lies in a region is
a condition on the inputs, which linear bounds over the whole box would forget: for any multipliers c, `c z - min c z` over the known bounds of z is never
negative and may be added to what is bounded (beta-CROWN's multipliers, here of every operand). Subgradient steps find good ones; any are sound.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lumpnet.bounds.relaxed.program import Affine, Evaluation, Input, Nonlinear, Program, Upper, upper
from lumpnet.bounds.relaxed.relaxations import Bounds

STEPS = 24
"""Steps of the multipliers for each region; they go on from those of the region that it is a part of."""
ANYWHERE = 0.05
"""How much it counts, for what is cut next, that lines are apart in the middle of their operands."""
OPERANDS = 1 << 18
"""Entries of operands times signed outputs, at most: every output has a region of its own, and bounds of all operands are kept with each."""


@dataclass(frozen=True, eq=False)
class Phases:
    """`operands`: values that functions read, whose bounds are kept; `bends`: those functions that bend on one stretch of the last one; `cuts`: these."""

    program: Program
    target: int
    operands: tuple[int, ...]
    bends: tuple[int, ...]
    cuts: tuple[int, ...]

    def tightened(self, found: Evaluation, rows: Tensor, pulls: dict[int, Tensor], bar: float) -> tuple[Upper, dict[int, Tensor]]:
        """The least bound above rows (B, n) that the steps meet, and its multipliers (B, n) of operands, from these ones on.

        A step is as long as Polyak's would be if the bar were the optimum, and shorter after each that has made nothing better.
        """
        least = torch.full((len(rows),), torch.inf, dtype=torch.float64)
        share, kept = torch.ones_like(least), pulls
        for step in range(STEPS + 1):
            answer = self._upper(found, rows, pulls)
            bound = answer.bound[:, 0]
            better = bound < least
            least, share = torch.where(better, bound, least), share if step == 0 else torch.where(better, share, 0.8 * share)
            kept = {k: torch.where(better[:, None], c, kept[k]) for k, c in pulls.items()}
            if step < STEPS:
                values = self._attained(found, answer)
                slopes = {k: _slope(c, values[k], *found.bounds[k]) for k, c in pulls.items()}
                length = share * (bound - bar).clamp(min=0) / torch.cat([g * g for g in slopes.values()], 1).sum(1).clamp(min=1e-300)
                pulls = {k: _moved(c, torch.nan_to_num(length[:, None] * slopes[k])) for k, c in pulls.items()}
        return self._upper(found, rows, kept), kept

    def cut(self, found: Evaluation, answer: Upper) -> Tensor:
        """(B, 3): the number among the entries of `cuts` that loosens the bound most where it is largest, -1 for none, and the values at which to cut it."""
        values = self._attained(found, answer)
        scores = {k: torch.zeros_like(found.bounds[k][0]) for k in self.cuts}
        ends = {k: (torch.zeros_like(scores[k]), torch.zeros_like(scores[k])) for k in self.cuts}
        for number in self.bends:
            node = self.program.nodes[number]
            assert isinstance(node, Nonlinear)
            assert node.bend is not None
            assert node.run is not None
            if number in answer.passed:
                z, (below, above) = node.parents[-1], node.bend([found.bounds[p] for p in node.parents])
                a, off = answer.passed[number][:, 0], values[number] - node.run([values[p] for p in node.parents])
                scores[z] = scores[z] + (a * off).clamp(min=0) + ANYWHERE * a.abs() * found.gaps[number]
                ends[z] = torch.minimum(ends[z][0], below), torch.maximum(ends[z][1], above)
        for k, (below, above) in ends.items():
            low, high = found.bounds[k]
            scores[k] = torch.where((low < above) & (high > below) & ((low < 2 * below) | (high > 2 * above)), scores[k], 0.0)
        score, below, above = (torch.cat([x[k] for k in self.cuts], 1) for x in (scores, *({k: e[i] for k, e in ends.items()} for i in (0, 1))))
        best = score.argmax(1, keepdim=True)
        return torch.cat([torch.where(score.gather(1, best) > 0, best, -1).double(), below.gather(1, best), above.gather(1, best)], 1)

    def _upper(self, found: Evaluation, rows: Tensor, pulls: dict[int, Tensor]) -> Upper:
        return upper(self.program, found, self.target, rows[:, None], passing=True, pulls={k: c[:, None] for k, c in pulls.items()})

    def _attained(self, found: Evaluation, answer: Upper) -> dict[int, Tensor]:
        """What values are (B, n) where the linear bound is largest, each function on the line that was taken for it."""
        values: dict[int, Tensor] = {}
        for number, node in enumerate(self.program.nodes[: self.target]):
            if isinstance(node, Input):
                low, high = found.bounds[number]
                slope = answer.coefficients.get(number)
                values[number] = low if slope is None else torch.where(slope[:, 0] > 0, high, low)
            elif isinstance(node, Affine):
                values[number] = sum((m.apply(values[p]) for m, p in zip(node.maps, node.parents, strict=True)), node.bias.expand(len(found.bounds[0][0]), -1))
            else:
                lines, a = found.lines[number], answer.passed.get(number)
                high, low = (
                    sum((s * values[p] for s, p in zip(slopes, node.parents, strict=True) if s is not None), offset)
                    for slopes, offset in ((lines.high, lines.over), (lines.low, lines.under))
                )
                values[number] = high if a is None else torch.where(a[:, 0] >= 0, high, low)
        return values


def phases(program: Program) -> Phases | None:
    """None where no operand can be cut, too many would be kept, or there are several outputs."""
    targets = [t for t in program.outputs if t is not None]
    if len(targets) != 1:
        return None
    functions = {k: node for k, node in enumerate(program.nodes[: targets[0]]) if isinstance(node, Nonlinear)}
    affine = {k for k, node in enumerate(program.nodes) if isinstance(node, Affine)}
    operands = affine & {p for node in functions.values() for p in node.parents}
    bends = tuple(k for k, node in functions.items() if node.bend is not None and node.parents[-1] in affine)
    if not bends or 2 * program.nodes[targets[0]].size * sum(program.nodes[k].size for k in operands) > OPERANDS:
        return None
    return Phases(program, targets[0], tuple(sorted(operands)), bends, tuple(sorted({functions[k].parents[-1] for k in bends})))


def parts(bounds: dict[int, Bounds], cut: Tensor, cuts: tuple[int, ...]) -> tuple[dict[int, Bounds], Tensor]:
    """Bounds of operands (B, n) above, below and between where they are cut, and the region that each part is of; a cut of -1 has no parts."""
    at = cut[:, :1].long()
    low, high = (torch.cat([bounds[k][i] for k in cuts], 1) for i in (0, 1))
    a, b, below, above = low.gather(1, at.clamp(min=0)), high.gather(1, at.clamp(min=0)), cut[:, 1:2], cut[:, 2:]
    ends = (torch.maximum(a, above), b), (a, torch.minimum(b, below)), (torch.maximum(a, below), torch.minimum(b, above))
    of, lows, highs = [], [], []
    for k, (least, most) in enumerate(ends):
        there = torch.nonzero((at >= 0) & (least <= most) & ((k < 2) | (below < above)))[:, 0]
        of.append(there)
        lows.append(low[there].scatter_(1, at[there], least[there]))
        highs.append(high[there].scatter_(1, at[there], most[there]))
    sizes = [bounds[k][0].shape[1] for k in cuts]
    each = zip(torch.split(torch.cat(lows), sizes, 1), torch.split(torch.cat(highs), sizes, 1), strict=True)
    return {k: (a[torch.cat(of)], b[torch.cat(of)]) for k, (a, b) in bounds.items()} | dict(zip(cuts, each, strict=True)), torch.cat(of)


def _slope(c: Tensor, z: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """How the bound moves with c, if z is what z is where it is largest; where c is 0, towards what makes it smaller."""
    return torch.where(c > 0, z - low, torch.where(c < 0, z - high, z - torch.minimum(torch.maximum(z, low), high)))


def _moved(c: Tensor, step: Tensor) -> Tensor:
    """c - step, but not past 0."""
    moved = c - step
    return torch.where(c * moved < 0, 0.0, moved)
