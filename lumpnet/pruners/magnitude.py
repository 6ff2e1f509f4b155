"""Magnitude pruning: what is small leaves. The control that every other method is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lumpnet.lump.layers import Layer
from lumpnet.pruners.base import Pruned, Pruner, Task, one_of
from lumpnet.pruners.registry import register
from lumpnet.pruners.selection import best_units, best_weights


@register
@dataclass(frozen=True)
class Magnitude(Pruner):
    """of="units": the units whose rows have the largest norm stay, layer by layer (L1: Li et al., arXiv 1608.08710, there filter by filter).

    The norm is that of the weights of all layers that make the unit (one, or those that meet in a residual stream), biases and
    batch norms apart. of="weights": the largest entries of every matrix and kernel stay (Han et al., arXiv 1506.02626, without retraining).
    """

    name: ClassVar[str] = "magnitude"
    of: str = "units"
    norm: str = "l2"

    def __post_init__(self) -> None:
        one_of(self.name, "of", self.of, ("units", "weights"))
        one_of(self.name, "norm", self.norm, ("l2", "l1"))

    def prune(self, task: Task) -> Pruned:
        if self.of == "weights":
            return best_weights(task, np.abs)
        order = {"l1": 1, "l2": 2}[self.norm]

        def norm(layer: Layer) -> np.ndarray:
            return np.asarray(np.linalg.norm(layer.entries(task.graph, layer.weights), order, axis=1))

        return best_units(task, norm)
