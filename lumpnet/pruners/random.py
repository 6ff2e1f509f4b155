"""Random pruning: whatever the seed says leaves. The control for "does the choice matter at all"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lumpnet.pruners.base import Pruned, Pruner, Task, one_of
from lumpnet.pruners.registry import register
from lumpnet.pruners.selection import best_units, best_weights


@register
@dataclass(frozen=True)
class Random(Pruner):
    """Units (or, with of="weights", entries of matrices and kernels) drawn without replacement, layer by layer; scores are the draws.

    With one seed, what a smaller share keeps is part of what a larger one keeps.
    """

    name: ClassVar[str] = "random"
    of: str = "units"

    def __post_init__(self) -> None:
        one_of(self.name, "of", self.of, ("units", "weights"))

    def prune(self, task: Task) -> Pruned:
        rng = task.rng()
        if self.of == "weights":
            return best_weights(task, lambda weight: rng.permutation(weight.size).reshape(weight.shape))
        return best_units(task, lambda layer: rng.permutation(len(layer)))
