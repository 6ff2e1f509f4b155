"""i-SpaSP (Wolfe, Kyrillidis: i-SpaSP: Structured Neural Pruning via Sparse Signal Recovery, L4DC 2022, arXiv 2112.04905)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from lumpnet.lump.layers import Layer
from lumpnet.pruners.base import GONE, Pruned, Pruner, Task
from lumpnet.pruners.observing import Choice, Observed, front_to_back
from lumpnet.pruners.registry import register
from lumpnet.pruners.selection import best


@register
@dataclass(frozen=True)
class ISpaSP(Pruner):
    """Hidden units of a two-layer block are chosen as CoSaMP recovers a sparse signal: those that matter to what is left over, then the largest.

    With hidden values `H` (units, examples) behind a rectifier, weights `W` that read them and a set `S` of units to keep, every round takes the
    units with the largest `W^T V 1` (signed), V = `W (H - H_S)`, twice as many as will stay, adds them to `S`, and keeps of these the
    ones with the largest `H 1`; it ends when `S` repeats, or after `rounds`. Weights never change, but that those which read a removed unit become
    zero. Where half of the units or more stay, all are candidates, and the method is to keep those with the largest `H 1`.

    In a convolution `1` sums over examples and places, and V is taken behind the batch norm that follows the reader (without its shift, which is no
    unit's). Since everything is linear in H, a round costs one pass forward and one backward through the reader, on the sum of all examples.

    Front to back, each layer on what the already pruned ones give it. Only inside blocks: what several operators make (a residual stream), and what
    takes negative values on the data (a bottleneck without rectifier; other activations, unless `signed`), is left alone. Scores are `H 1`, NaN for
    units that were not among the candidates of the last round.
    """

    name: ClassVar[str] = "ispasp"
    needs: ClassVar[tuple[str, ...]] = ("data",)
    rounds: int = 20
    signed: bool = False

    def prune(self, task: Task) -> Pruned:
        return front_to_back(task, lambda seen, layer, count: self._choose(task, seen, layer, count))

    def _choose(self, task: Task, seen: Observed, layer: Layer, count: int) -> Choice | str:
        readers = seen.readers(layer)
        ends = list(dict.fromkeys(operand for _, operand in readers))
        if not self.signed:
            for end in ends:
                if bool((seen[end] * seen.only(layer, end) < 0).any()):
                    return f"{end} takes negative values on the data: the method is for units behind a rectifier (signed=True takes all)"
        size = np.sum([seen.columns(layer, end, seen[end]) for end in ends], axis=0)

        def importance(left: np.ndarray) -> np.ndarray:
            """`W^T W (H_left 1)`, (columns,): the gradient of half the squared residual."""
            total = np.zeros(len(layer))
            for site, end in readers:
                x = (seen[end].sum(dim=0, keepdim=True) * seen.only(layer, end, left)).requires_grad_()
                (gradient,) = torch.autograd.grad((seen.part(site, x) ** 2).sum() / 2, x)
                total += seen.columns(layer, end, gradient)
            return total

        sets = list(iterates(size, importance, count, self.rounds))
        stays, candidates = sets[-1]
        task.progress(f"i-SpaSP {layer.makers[0]}: {len(sets)} rounds, {2 * len(sets) * len(readers)} evaluations of one example")
        return Choice(np.where(stays, np.arange(len(layer)), GONE), np.where(candidates, size, np.nan))


def iterates(size: np.ndarray, importance: Callable[[np.ndarray], np.ndarray], count: int, rounds: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(units that stay, candidates), masks (n,), round by round until the first repeats.

    size (n,) is `H 1`; `importance(left)` gives `W^T W (H 1)` of the units where left (n,) is 1, and nothing of those where it is 0.
    """
    stays = np.zeros(len(size), dtype=bool)
    for _ in range(max(1, rounds)):
        candidates = best(importance(1.0 - stays), 2 * count) | stays
        before, stays = stays, best(np.where(candidates, size, -np.inf), count)
        yield stays, candidates
        if np.array_equal(before, stays):
            return
