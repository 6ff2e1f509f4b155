"""Pruning by a score: what is worth least leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lumpnet.lump.layers import Layer
from lumpnet.ops import get
from lumpnet.ops.sites import sites
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
        into = np.where(stays, np.arange(len(layer)), GONE)
        layer.rewrite(tensors, layer.reads, heard(into))
        changes.append(Change(layer.makers, "units", len(layer), int(stays.sum()), into, layer.at, scores))
    return Pruned(replace(task.graph, tensors=tensors), tuple(changes), tuple(skipped))


def best_weights(task: Task, score: Callable[[np.ndarray], np.ndarray]) -> Pruned:
    """In every matrix and kernel of the operators that make units, the best entries by `score` (of its shape) stay, the others become zero."""

    def change(matrix: np.ndarray, count: int) -> tuple[np.ndarray, None]:
        stays = best(np.asarray(score(matrix), dtype=np.float64).ravel(), count).reshape(matrix.shape)
        return np.where(stays, matrix, 0.0), None

    return changed_weights(task, change)


def changed_weights(task: Task, change: Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray | None]]) -> Pruned:
    """Every matrix and kernel of the operators that make units, changed: `change(matrix, how many entries may stay)` gives (the new one, scores).

    What `change` is given is (units made, units read, taps ...) float64, kernels in groups and tables as they are; what it does not change keeps its bits.
    """
    tensors, changes = dict(task.graph.tensors), []
    users: dict[str, list[str]] = {}
    axis: dict[str, int] = {}
    for site in sites(task.graph):
        axes = get(site.node.kind).param_axes(site) or {}
        for role, tensor in site.node.params.items() if get(site.node.kind).counts_units else ():
            if tensors[tensor].ndim > 1 and site.node.name not in users.setdefault(tensor, []):
                users[tensor].append(site.node.name)
                axis.setdefault(tensor, axes.get(role, (0, None))[0] or 0)
    for name, operators in users.items():
        rows = np.moveaxis(tensors[name], axis[name], 0)
        before = rows.astype(np.float64)
        found, scores = change(before, task.count(before.size))
        after = np.where(found == before, before, found).astype(rows.dtype)
        tensors[name] = np.ascontiguousarray(np.moveaxis(after, 0, axis[name]))
        changes.append(Change(tuple(operators), "weights", before.size, int(np.count_nonzero(found)), scores=scores))
    return Pruned(replace(task.graph, tensors=tensors), tuple(changes))


def heard(into: np.ndarray, scale: np.ndarray | None = None) -> Callable[[np.ndarray], np.ndarray]:
    """What becomes of the weights (columns, entries) that read a layer when `scale[k]` (None: 1) times column `into[k]` stands for column k.

    The weights of a class add up at the column that stands for it, all others become zero.
    """

    def change(numbers: np.ndarray) -> np.ndarray:
        found = np.zeros_like(numbers)
        there = np.flatnonzero(into != GONE)
        np.add.at(found, into[there], numbers[there] if scale is None else numbers[there] * scale[there, None])
        return found

    return change


def best(scores: np.ndarray, count: int) -> np.ndarray:
    """A mask (n,) of the `count` largest of the scores (n,), the first of equals: the mask for fewer is part of it."""
    mask = np.zeros(len(scores), dtype=bool)
    mask[np.argsort(-scores, kind="stable")[:count]] = True
    return mask
