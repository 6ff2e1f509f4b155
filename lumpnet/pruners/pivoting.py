"""Blocks of weights become zero in a grid that the units were put in order for (inspired by pivoting, arXiv 1712.01084)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from lumpnet.errors import PruneError
from lumpnet.pruners.base import Change, Pruned, Pruner, Task
from lumpnet.pruners.registry import register
from lumpnet.pruners.selection import changed_weights


@register
@dataclass(frozen=True)
class Pivoting(Pruner):
    """The units of every layer are put in order, the heaviest first, and of each matrix, cut into `block` by `block` squares, the heaviest blocks stay.

    A unit's weight is the sum of the squares of what makes it and of what reads it, each relative to its matrix; so small numbers gather in the far
    corner, and zeros come in squares that hardware can skip. In kernels a block holds all taps. Blocks stay in the order of their mean squares as
    long as all their entries together are no more than `keep` says, at least one. The order is a permutation of columns, folded into what makes and reads
    them: it alone changes no function. Layers that cannot be reordered (outputs, rows that belong to several units) stay as they
    are, their matrices are thinned out too. This is not the authors' algorithm, whose text was not at hand: only the idea is theirs.

    Changes of "order" tell by `scores` the new place of every column; those of weights count entries.
    """

    name: ClassVar[str] = "pivoting"
    block: int = 4

    def __post_init__(self) -> None:
        if self.block < 1:
            raise PruneError(f"pruner {self.name!r}", f"block is {self.block}", "a side of at least 1", "block=4")

    def prune(self, task: Task) -> Pruned:
        tensors, orders = dict(task.graph.tensors), []
        for layer in task.layers:
            if layer.kept_by is not None or layer.apart_by is not None:
                continue
            heavy = np.zeros(len(layer))
            for slots in (layer.weights, layer.reads):
                for slot in slots:
                    square = (layer.entries(task.graph, (slot,)) ** 2).sum(axis=1)
                    heavy += square / (square.sum() or 1.0)
            order = np.argsort(-heavy, kind="stable") if task.keep < 1 else np.arange(len(layer))
            layer.rewrite(tensors, (*layer.rows, *layer.reads), in_order(order))
            orders.append(Change(layer.makers, "order", len(layer), len(layer), np.arange(len(layer)), layer.at, np.argsort(order).astype(np.float64)))
        found = changed_weights(replace(task, graph=replace(task.graph, tensors=tensors)), lambda rows, count: (in_blocks(rows, count, self.block), None))
        return Pruned(found.graph, (*orders, *found.changes))


def in_order(order: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Numbers (columns, entries) with column `order[k]` in place k."""
    return lambda numbers: numbers[order]


def in_blocks(rows: np.ndarray, count: int, block: int) -> np.ndarray:
    """rows (units, units read, taps ...) with zeros but in the blocks of the largest mean squares that hold `count` entries together, at least one."""
    if count >= rows.size:
        return rows
    grid = np.arange(rows.shape[0])[:, None] // block * -(-rows.shape[1] // block) + np.arange(rows.shape[1]) // block
    square = (rows.reshape(*rows.shape[:2], -1) ** 2).sum(axis=2)
    taps = rows.size // max(1, grid.size)
    sizes = np.bincount(grid.ravel()) * taps
    order = np.argsort(-np.bincount(grid.ravel(), square.ravel()) / sizes, kind="stable")
    stays = np.zeros(len(sizes), dtype=bool)
    stays[order[: max(1, int(np.searchsorted(np.cumsum(sizes[order]), count, side="right")))]] = True
    return np.where(stays[grid].reshape(*grid.shape, *[1] * (rows.ndim - 2)), rows, 0.0)
