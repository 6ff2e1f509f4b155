"""Pruning by merging: units become equal, so that one of them can stand for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from lumpnet.lump.layers import Layer
from lumpnet.pruners.base import Change, Pruned, Task


@dataclass(frozen=True, eq=False)
class Classes:
    """`into[k]` is the column that stands for column k (and for itself), `change` gives numbers (columns, entries) to all columns; scores as in `Change`."""

    into: np.ndarray
    change: Callable[[np.ndarray], np.ndarray]
    scores: np.ndarray


def merged(task: Task, why_not: Callable[[Layer], str | None], choose: Callable[[Layer, int], Classes]) -> Pruned:
    """In every layer that can be merged, the classes of `choose(layer, how many)`; the weights that read them stay, and exact lumping adds them up."""
    tensors, changes, skipped = dict(task.graph.tensors), [], []
    for layer in task.layers:
        reason = why_not(layer)
        if reason is not None:
            skipped.append((layer.makers, reason))
            continue
        task.progress(f"merging {layer.makers[0]}")
        found = choose(layer, task.count(len(layer)))
        layer.rewrite(tensors, layer.rows, found.change)
        changes.append(Change(layer.makers, "units", len(layer), len(np.unique(found.into)), found.into, layer.at, found.scores))
    return Pruned(replace(task.graph, tensors=tensors), tuple(changes), tuple(skipped))
