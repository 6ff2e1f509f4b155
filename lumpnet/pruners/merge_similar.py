"""Data-free merging of similar units (Srinivas, Babu: Data-free parameter pruning for deep neural networks, BMVC 2015)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lumpnet.lump.layers import Layer
from lumpnet.pruners.base import Pruned, Pruner, Task
from lumpnet.pruners.distance import squared_distances
from lumpnet.pruners.merging import Classes, merged
from lumpnet.pruners.registry import register


@register
@dataclass(frozen=True)
class MergeSimilar(Pruner):
    """Again and again the pair (i, j) of least saliency `<a_j^2> |W_i - W_j|^2` is merged: unit j becomes unit i, whose outgoing weights become `a_i + a_j`.

    `W` are all numbers of a unit (weights, bias, batch norm), `a` all weights that read it, `<>` their mean. The paper does
    so for fully connected layers; here convolutions and residual streams, whose units have rows in several layers, go the
    same way. All layers are judged on the original weights. Scores are saliencies at the merge. Memory grows with the square of a layer's units.
    """

    name: ClassVar[str] = "merge_similar"

    def prune(self, task: Task) -> Pruned:
        def choose(layer: Layer, count: int) -> Classes:
            return _greedy(layer.entries(task.graph, layer.rows), layer.entries(task.graph, layer.reads), count)

        return merged(task, lambda layer: layer.apart_by or layer.kept_by, choose)


def _greedy(rows: np.ndarray, outgoing: np.ndarray, count: int) -> Classes:
    """rows and outgoing (units, entries): one merge after the other until `count` units are left. The first of equal saliencies goes first."""
    n, outgoing = len(rows), outgoing.copy()
    apart = squared_distances(rows, rows)
    np.fill_diagonal(apart, np.inf)
    near, at = apart.min(axis=0), apart.argmin(axis=0)  # of each unit j: the nearest other unit i that is left
    weight = _mean_square(outgoing)
    into, scores, left = np.arange(n), np.full(n, np.nan), np.ones(n, dtype=bool)
    for _ in range(n - count):
        saliency = np.where(left, weight * near, np.inf)
        j = int(saliency.argmin())
        i = int(at[j])
        into[into == j], scores[j], left[j] = i, saliency[j], False
        outgoing[i] += outgoing[j]
        weight[i] = _mean_square(outgoing[i : i + 1])[0]
        apart[j] = np.inf
        stale = np.flatnonzero(left & (at == j))
        near[stale], at[stale] = apart[:, stale].min(axis=0), apart[:, stale].argmin(axis=0)
    return Classes(into, lambda numbers: numbers[into], scores)


def _mean_square(outgoing: np.ndarray) -> np.ndarray:
    return np.asarray((outgoing**2).sum(axis=1) / max(1, outgoing.shape[1]))
