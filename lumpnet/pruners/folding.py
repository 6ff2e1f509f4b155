"""Model folding (Wang et al.: Forget the Data and Fine-Tuning! Just Fold the Network to Compress, ICLR 2025, arXiv 2502.10216)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lumpnet.lump.layers import Layer
from lumpnet.pruners.base import Pruned, Pruner, Task
from lumpnet.pruners.distance import quick_distances
from lumpnet.pruners.merging import Classes, merged
from lumpnet.pruners.registry import register


@register
@dataclass(frozen=True)
class Folding(Pruner):
    """k-means on the joint rows of every layer: members of a cluster get its mean, and their outgoing weights add up.

    A joint row holds all numbers of a unit, in all layers that make it and in what works on it unit by unit (batch norms,
    depthwise kernels), one as heavy as the other; so the result is near, in the sum of squared weight changes, to the
    closest network that has so many classes. Reconstructed: the paper folds the batch norm's factor into the rows first and repairs the
    statistics of activations afterwards, which is not done here. Scores are distances to the cluster's mean.
    `tries` starts (k-means++, seeded), each of at most `rounds` rounds; the best one counts.
    """

    name: ClassVar[str] = "folding"
    tries: int = 3
    rounds: int = 100

    def prune(self, task: Task) -> Pruned:
        rng = task.rng()

        def choose(layer: Layer, count: int) -> Classes:
            rows = layer.entries(task.graph, layer.rows)
            found = [kmeans(rows, count, rng, self.rounds) for _ in range(max(1, self.tries) if 1 < count < len(rows) else 1)]
            label, _ = min(found, key=lambda one: one[1])
            _, first, label = np.unique(label, return_index=True, return_inverse=True)
            return Classes(first[label], lambda numbers: means(numbers, label)[label], np.sqrt(((rows - means(rows, label)[label]) ** 2).sum(axis=1)))

        return merged(task, lambda layer: layer.apart_by, choose)


def means(rows: np.ndarray, label: np.ndarray) -> np.ndarray:
    """(clusters, entries): of rows (n, entries) with labels (n,) that cover 0..clusters-1. A cluster of one has its row, to the bit."""
    total = np.zeros((int(label.max()) + 1, rows.shape[1]))
    np.add.at(total, label, rows)
    return np.asarray(total / np.bincount(label)[:, None])


def kmeans(rows: np.ndarray, count: int, rng: np.random.Generator, rounds: int) -> tuple[np.ndarray, float]:
    """Labels (n,) with `count` clusters, none empty, and the sum of squared distances to their means."""
    if count == len(rows):
        return np.arange(count), 0.0
    label = _filled(quick_distances(rows, _seeds(rows, count, rng)))
    for _ in range(rounds):
        apart = quick_distances(rows, means(rows, label))
        new = _filled(apart)
        if np.array_equal(new, label):
            break
        label = new
    return label, float(((rows - means(rows, label)[label]) ** 2).sum())


def _seeds(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """k-means++ (Arthur, Vassilvitskii 2007): each further seed is drawn in proportion to its squared distance from those before."""
    chosen = [int(rng.integers(len(rows)))]
    near = quick_distances(rows, rows[chosen])[:, 0]
    while len(chosen) < count:
        total = near.sum()
        free = np.setdiff1d(np.arange(len(rows)), chosen)
        chosen.append(int(rng.choice(len(rows), p=near / total) if total > 0 else rng.choice(free)))
        near = np.minimum(near, quick_distances(rows, rows[chosen[-1:]])[:, 0])
        near[chosen] = 0
    return rows[chosen]


def _filled(apart: np.ndarray) -> np.ndarray:
    """The nearest of the centres for every row, of distances (n, centres); an empty cluster takes the farthest row of a cluster of several."""
    label = apart.argmin(axis=1)
    far = apart.min(axis=1)
    for empty in np.setdiff1d(np.arange(apart.shape[1]), label):
        several = np.bincount(label, minlength=apart.shape[1])[label] > 1
        taken = int(np.where(several, far, -1.0).argmax())
        label[taken], far[taken] = empty, 0.0
    return np.asarray(label)
