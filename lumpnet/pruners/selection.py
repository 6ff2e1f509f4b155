"""Pruning by a score: what is worth least leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lumpnet.lump.layers import Layer
from lumpnet.ops import get
from lumpnet.pruners.base import GONE, Change, Pruned, Task


def best_units(task: Task, score: Callable[[Layer], np.ndarray]) -> Pruned:
    """In every layer that can lose units, the best columns by `score` (columns,) stay; the weights that read the others become zero.

    Among equals the first stay. Zeros at the readers say that a unit counts as 0 wherever it is read, whatever
    stands between its rows and there (biases, batch norms, sigmoids); zero rows would not.
    """
    tensors, changes, skipped = dict(task.graph.tensors), [], []
    for layer in task.layers:
        if layer.kept_by is not None:
            skipped.append((layer.makers, layer.kept_by))
            continue
        scores = np.asarray(score(layer), dtype=np.float64)
        stays = best(scores, task.count(len(layer)))
        layer.rewrite(tensors, layer.reads, zero_but(stays))
        into = np.where(stays, np.arange(len(layer)), GONE)
        changes.append(Change(layer.makers, "units", len(layer), int(stays.sum()), into, layer.at, scores))
    return Pruned(replace(task.graph, tensors=tensors), tuple(changes), tuple(skipped))


def best_weights(task: Task, score: Callable[[np.ndarray], np.ndarray]) -> Pruned:
    """In every matrix and kernel of the operators that make units, the best entries by `score` (of its shape) stay, the others become zero."""
    tensors, changes = dict(task.graph.tensors), []
    users: dict[str, list[str]] = {}
    for node in task.graph.nodes:
        for tensor in node.params.values() if get(node.kind).counts_units else ():
            if tensors[tensor].ndim > 1 and node.name not in users.setdefault(tensor, []):
                users[tensor].append(node.name)
    for name, operators in users.items():
        weight = tensors[name]
        stays = best(np.asarray(score(weight), dtype=np.float64).ravel(), task.count(weight.size)).reshape(weight.shape)
        tensors[name] = np.where(stays, weight, np.zeros((), weight.dtype))
        changes.append(Change(tuple(operators), "weights", weight.size, int(stays.sum())))
    return Pruned(replace(task.graph, tensors=tensors), tuple(changes))


def zero_but(stays: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Numbers (columns, entries) with zeros in the columns that do not stay."""
    return lambda numbers: np.where(stays[:, None], numbers, 0.0)


def best(scores: np.ndarray, count: int) -> np.ndarray:
    """A mask (n,) of the `count` largest of the scores (n,), the first of equals: the mask for fewer is part of it."""
    mask = np.zeros(len(scores), dtype=bool)
    mask[np.argsort(-scores, kind="stable")[:count]] = True
    return mask
