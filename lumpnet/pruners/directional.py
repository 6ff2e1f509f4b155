"""Structured directional pruning (arXiv 2107.05328), after directional pruning by gRDA (Chao et al., NeurIPS 2020, arXiv 2006.09358)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lumpnet.ops.sites import sites
from lumpnet.pruners.base import GONE, Change, Pruned, Pruner, Task
from lumpnet.pruners.registry import register


@register
@dataclass(frozen=True)
class Directional(Pruner):
    """SGD by dual averaging (gRDA) whose soft threshold grows by `c lr^(mu+1/2) (k^mu - (k-1)^mu)` at step k; whole units reach exactly zero as it trains.

    Reconstructed: the source could not be read in full, so the element-wise threshold of gRDA became one for groups, `GroupedGRDA` of
    `lumpnet.pruners.training.grda`. A group holds all trained numbers of a unit: weights, bias, the batch norm's scale and its shift (without which
    a constant would stay), depthwise kernels, and this in all layers that meet in a residual stream. Output layers are not penalised. No momentum, no
    weight decay, no retraining. A group that is zero may come back. How much is removed follows from c, mu and the number of steps:
    `keep` is only the least share of units that stays in each layer. Where zero rows make constants (a sigmoid) the units have become equal, and exact
    lumping folds them into what reads them. Scores are the groups' final `|w| / sqrt(size)`.

    epochs, batch, lr: of SGD. c (5e-4 to 6e-2, by size of the network) and mu (.5 to .55): the growth of the threshold.
    """

    name: ClassVar[str] = "directional"
    needs: ClassVar[tuple[str, ...]] = ("data", "labels")
    keeps_at_least: ClassVar[bool] = True
    epochs: int = 200
    batch: int = 64
    lr: float = 0.1
    c: float = 0.02
    mu: float = 0.51

    def prune(self, task: Task) -> Pruned:
        from lumpnet.pruners.training.grda import GroupedGRDA
        from lumpnet.pruners.training.network import Trainee, isolated

        with isolated(task.seed):
            trainee = Trainee(task, self.name, lambda layer: layer.kept_by or layer.apart_by)
            groups = [trainee.rows(layer) for layer in trainee.layers]
            least = [task.count(len(layer)) for layer in trainee.layers]
            optimizer = GroupedGRDA(trainee.parameters.values(), groups, self.lr, self.c, self.mu, least)
            for batch in trainee.batches(self.epochs, self.batch, "training"):
                trainee.step(optimizer, batch)
            strengths = [group.norms(2) / group.size**0.5 for group in groups]
            seen = trainee.values([name for layer in trainee.layers for name in layer.at], tuple(x[:2] for x in trainee.inputs))
            graph = trainee.graph()
        axes = {s.node.name: s.axis for s in sites(graph)}
        changes = []
        for layer, strength in zip(trainee.layers, strengths, strict=True):
            zero = strength == 0
            silent = all(not np.moveaxis(seen[name], axes[name] or 0, 0)[at[zero]].any() for name, at in layer.at.items())
            into = np.where(zero, GONE if silent else np.argmax(zero), np.arange(len(layer)))
            left = int((~zero).sum()) if silent else len(np.unique(into))
            changes.append(Change(layer.makers, "units", len(layer), left, into, layer.at, strength))
        return Pruned(graph, tuple(changes), trainee.skipped)
