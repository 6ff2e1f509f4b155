"""Greedy forward selection (Ye, Gong, Nie, Zhou, Klivans, Liu: Good Subnetworks Provably Exist, ICML 2020, arXiv 2003.01794)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from lumpnet.lump.layers import Layer
from lumpnet.pruners.base import GONE, Pruned, Pruner, Task
from lumpnet.pruners.observing import Choice, Observed, front_to_back
from lumpnet.pruners.registry import register

_NUMBERS = 1 << 24
"""Of what the units of a layer add, so many are held at once."""


@register
@dataclass(frozen=True)
class Greedy(Pruner):
    """A layer is built up from nothing: again and again the unit comes in, possibly once more, with which the average of all picks is the best stand-in.

    With n units, `f = sum_k C_k` is what they add at the operators that read them, and a list S of picks stands for it by `n / |S| sum_{k in S} C_k`; the
    pick after s others moves the average by a step of `1 / (s + 1)`. A unit picked m times is heard `m n / |S|` times (the `scale` of a change), units
    never picked are no longer read. Picks end when as many different units are in as `keep` says; after `patience` repeats in a row only new ones
    count. Reconstructed: the best pick is the one that leaves the least squared difference at the readers (behind their batch norm), on the data, rather
    than the least loss of the network on labels; so all candidates of a step are compared by one table of products `<C_i, C_k>`.

    Front to back, each layer on what the already pruned ones give it, inside blocks only (as `ispasp`). Scores are the shares of `|f|^2` that
    were left when the unit first came in.
    """

    name: ClassVar[str] = "greedy"
    needs: ClassVar[tuple[str, ...]] = ("data",)
    patience: int = 4

    def prune(self, task: Task) -> Pruned:
        return front_to_back(task, lambda seen, layer, count: self._choose(task, seen, layer, count))

    def _choose(self, task: Task, seen: Observed, layer: Layer, count: int) -> Choice:
        n = len(layer)
        if count == n:
            return Choice(np.arange(n), np.full(n, np.nan))
        picks, left = selection(products(seen, layer), count, self.patience)
        task.progress(f"greedy {layer.makers[0]}: {len(picks)} picks among {n} units, {len(picks) * n} candidates, {n} evaluations of all examples")
        times, first = np.bincount(picks, minlength=n), {k: at for at, k in reversed(list(enumerate(picks)))}
        scores = np.array([left[first[k]] if k in first else np.nan for k in range(n)])
        return Choice(np.where(times > 0, np.arange(n), GONE), scores, np.where(times > 0, times * (n / len(picks)), 1.0))


def products(seen: Observed, layer: Layer) -> np.ndarray:
    """`<C_i, C_k>` (columns, columns) of what each column adds at the readers of its layer, over all examples and places."""
    n, found = len(layer), np.zeros((len(layer), len(layer)))
    for site, end in seen.readers(layer):
        numbers = int(np.prod([int(d or 0) for d in site.shape[1:]]))
        for x in torch.split(seen[end], max(1, _NUMBERS // max(1, n * numbers))):
            with torch.no_grad():
                added = [seen.part(site, x * seen.only(layer, end, one)).flatten() for one in np.eye(n)]
            rows = torch.stack(added).numpy()
            found += rows @ rows.T
    return found


def selection(products: np.ndarray, count: int, patience: int, most: int | None = None) -> tuple[list[int], list[float]]:
    """Picks until `count` different ones are in (or `most` picks), and after each the squared difference that is left, relative to that of picking none."""
    n, whole = len(products), products.sum(axis=1)
    total = float(whole.sum())
    picks: list[int] = []
    left: list[float] = []
    fresh, waited = np.ones(n, dtype=bool), 0
    picked, own = np.zeros(n), 0.0  # <sum of the picks, C_k>, and its square
    toward = 0.0  # <sum of the picks, f>
    while n - fresh.sum() < count and (most is None or len(picks) < most):
        step = n / (len(picks) + 1)
        after = total - 2 * step * (toward + whole) + step * step * (own + 2 * picked + products.diagonal())
        k = int(np.where(fresh | (waited < patience), after, np.inf).argmin())
        waited = 0 if fresh[k] else waited + 1
        own += 2 * picked[k] + products[k, k]
        toward, picked, fresh[k] = toward + whole[k], picked + products[k], False
        picks.append(k)
        left.append(max(float(after[k]), 0.0) / total if total > 0 else 0.0)
    return picks, left
