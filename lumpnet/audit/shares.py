"""By how much each operator's change, and each unit of it, raises a bound of the difference.

The bound is followed backwards once more, without its margins of rounding. What a residual adds is its
operator's. What a relaxation adds (a chord's offset, a cap, an interval) comes from the width of the deviation that it
relaxes, and is dealt out to what that deviation consists of, by magnitudes, until it arrives at residuals.
An explanation and no bound: nothing certified depends on it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from lumpnet.bounds.relaxed import Evaluation, Program
from lumpnet.bounds.relaxed.maps import Diagonal, Gather, Map
from lumpnet.bounds.relaxed.program import Affine, Nonlinear

ROWS, LARGEST = 1 << 19, 1 << 28
"""Entries of a matrix held at once, and of the largest that is written out."""
Parts = dict[str, list[Tensor]]
"""Operator -> what the entries of its values add, one tensor for each place where it differs."""


def shares(program: Program, found: Evaluation, target: int, row: Tensor, end: float = math.inf) -> Parts:
    """Of the bound above `row` (n,) of a value, on the first box; none where `end` passes, as `time.monotonic()` tells."""
    try:
        return _Following(program, found, end).down(target, row)
    except _Late:
        return {}


class _Late(Exception):
    """Time is up."""


def deviations(program: Program) -> set[int]:
    """The values that consist of differences."""
    out: set[int] = set()
    for number, node in enumerate(program.nodes):
        marked = isinstance(node, Affine) and any((*node.residual, node.bias_residual))
        if marked or any(p in out for p in node.parents):
            out.add(number)
    return out


class _Following:
    def __init__(self, program: Program, found: Evaluation, end: float):
        self.end = end
        self.program, self.found, self.within = program, found, deviations(program)
        self.parts: Parts = {}
        self.slopes: dict[int, Tensor] = {}
        self.blame: dict[int, Tensor] = {}

    def down(self, target: int, row: Tensor) -> Parts:
        self.slopes[target] = row
        with torch.no_grad():
            for number in range(target, -1, -1):
                if number not in self.within:
                    continue
                node = self.program.nodes[number]
                zero = torch.zeros(node.size, dtype=torch.float64)
                a, blame = self.slopes.pop(number, zero), self.blame.pop(number, zero)
                if isinstance(node, Affine):
                    self._affine(node, a)
                    self._blamed(node, blame)
                elif isinstance(node, Nonlinear):
                    self._pass(node, number, blame + self._relaxed(node, number, a))
        return self.parts

    def _affine(self, node: Affine, a: Tensor) -> None:
        """What the residuals add, and the coefficients of the other deviations."""
        if node.bias_residual:
            self._adds(node, a * node.bias)
        for k, (parent, operator) in enumerate(zip(node.parents, node.maps, strict=True)):
            if _residual(node, k):
                middle, half = self._centred(parent)
                self._adds(node, a * operator.apply(middle) + a.abs() * self._magnitudes(operator, half, a != 0))
            elif parent in self.within:
                b = operator.back(a[None])[0]
                self.slopes[parent] = self.slopes[parent] + b if parent in self.slopes else b

    def _relaxed(self, node: Nonlinear, number: int, a: Tensor) -> Tensor:
        """What the lines add to the bound; the slopes go on to the deviations."""
        lines, positive = self.found.lines[number], a.clamp(min=0)
        negative = a - positive
        added = positive * lines.over[0] + negative * lines.under[0]
        for parent, high, low in zip(node.parents, lines.high, lines.low, strict=True):
            if high is None and low is None:
                continue
            b = (0 if high is None else positive * high[0]) + (0 if low is None else negative * low[0])
            assert isinstance(b, Tensor)
            if parent in self.within:
                self.slopes[parent] = self.slopes[parent] + b if parent in self.slopes else b
            else:
                middle, half = self._centred(parent)
                added = added + b * middle + b.abs() * half
        return added.clamp(min=0)

    def _blamed(self, node: Affine, blame: Tensor) -> None:
        """Deals out by the magnitudes of the terms."""
        if not bool(blame.any()):
            return
        chosen = [(k, p, m) for k, (p, m) in enumerate(zip(node.parents, node.maps, strict=True)) if _residual(node, k) or p in self.within]
        terms = [(k, p, m, self._magnitudes(m, self._most(p), blame > 0) if _residual(node, k) else m.absolute(self._most(p))) for k, p, m in chosen]
        whole = sum((size for *_, size in terms), node.bias.abs() if node.bias_residual else torch.zeros(node.size, dtype=torch.float64))
        per = torch.where(whole > 0, blame / whole.clamp(min=1e-300), 0.0)
        if node.bias_residual:
            self._adds(node, per * node.bias.abs())
        for k, parent, operator, size in terms:
            if _residual(node, k):
                self._adds(node, per * size)
            else:
                self._blames(parent, self._most(parent) * _turned(operator, per))

    def _pass(self, node: Nonlinear, number: int, blame: Tensor) -> None:
        """To the deviations among the operands: entry by entry where there are lines, by size from any entry to any where there is an interval only."""
        lines, operands = self.found.lines[number], [p for p in node.parents if p in self.within]
        sizes = [self._most(p) for p in operands]
        if any(side is not None for side in (*lines.low, *lines.high)) and all(len(size) == len(blame) for size in sizes):
            whole = sum(sizes, torch.zeros(len(blame), dtype=torch.float64))
            for p, size in zip(operands, sizes, strict=True):
                self._blames(p, torch.where(whole > 0, blame * size / whole.clamp(min=1e-300), 0.0))
        else:
            total = max(float(sum(size.sum() for size in sizes)), 1e-300)
            for p, size in zip(operands, sizes, strict=True):
                self._blames(p, size / total * blame.sum())

    def _blames(self, number: int, blame: Tensor) -> None:
        self.blame[number] = self.blame[number] + blame if number in self.blame else blame

    def _adds(self, node: Affine, part: Tensor) -> None:
        parts = self.parts.setdefault(node.origin, [])
        for k, known in enumerate(parts):
            if len(known) == len(part):
                parts[k] = known + part
                return
        parts.append(part)

    def _most(self, number: int) -> Tensor:
        low, high = self.found.bounds[number]
        return torch.maximum(low[0].abs(), high[0].abs())

    def _magnitudes(self, operator: Map, x: Tensor, wanted: Tensor) -> Tensor:
        """`|W| x` in the wanted rows, 0 in the others: of what is left of differences, where `absolute` is what was subtracted."""
        if isinstance(operator, Gather | Diagonal) or operator.n_in * operator.n_out > LARGEST:
            return operator.absolute(x) * wanted
        out = torch.zeros(operator.n_out, dtype=torch.float64)
        for index in torch.split(torch.nonzero(wanted)[:, 0], max(1, ROWS // operator.n_in)):
            if self.end < math.inf and time.monotonic() >= self.end:
                raise _Late
            out[index] = operator.rows(index).abs() @ x
        return out

    def _centred(self, number: int) -> tuple[Tensor, Tensor]:
        low, high = self.found.bounds[number]
        return (low[0] + high[0]) / 2, (high[0] - low[0]) / 2


def _residual(node: Affine, k: int) -> bool:
    return bool(node.residual and node.residual[k])


def _turned(operator: Map, x: Tensor) -> Tensor:
    """The transpose of `absolute`."""
    with torch.enable_grad():
        zero = torch.zeros(operator.n_in, dtype=torch.float64, requires_grad=True)
        (out,) = torch.autograd.grad(operator.absolute(zero), zero, x)
    return out


def by_unit(parts: Sequence[Tensor], shape: Sequence[int], axis: int) -> Tensor:
    """Sums over all but an axis (batch counted) of what belongs to a value of this shape, without batch."""
    out = torch.zeros(shape[axis - 1], dtype=torch.float64)
    for part in parts:
        if part.numel() == torch.Size(shape).numel():
            out = out + part.reshape(*shape).clamp(min=0).movedim(axis - 1, 0).flatten(1).sum(1) if len(shape) > 1 else out + part.clamp(min=0)
    return out


__all__ = ["Parts", "by_unit", "deviations", "shares"]
