"""Pruning by a pressure that grows by rank while the network trains: what incremental regularisation and probabilistic pruning share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lumpnet.pruners.base import GONE, Change, Pruned, Pruner, Task


def increment(rank: np.ndarray, leaving: int, most: float, u: float = 0.25) -> np.ndarray:
    """`Delta(r)` for ranks from 0 (the smallest norm): `A e^(-a r)` for r < N, else `2uA - A e^(-a (2N - r))`; `a = ln(2/u) / K`, `N = -ln(u) / a`.

    A is `most`, K is `leaving`. It falls from A at rank 0 through uA at rank N and 0 at rank K, and is point-symmetric about (N, uA).
    """
    slope = math.log(2 / u) / leaving
    centre = -math.log(u) / slope
    rank = np.asarray(rank, dtype=np.float64)
    fallen = most * np.exp(-slope * np.minimum(rank, 2 * centre - rank))
    return np.asarray(np.where(rank < centre, fallen, 2 * u * most - fallen))


class Pressure(ABC):
    """One layer under pressure: how much on every unit, which stay, how many have to leave yet."""

    def __init__(self, norms: np.ndarray, leaving: int):
        self.pressure, self.stays, self.leaving = np.zeros(len(norms)), np.ones(len(norms), dtype=bool), leaving
        self.first, self.ranks = norms, np.zeros(len(norms))

    def grow(self, norms: np.ndarray, most: float, u: float) -> None:
        """Change the pressure on what stays by its rank: L1 norms ranked, ranks averaged over all times, and ranked again."""
        self.ranks += self.ranked(norms)
        added = increment(self.ranked(self.ranks), self.leaving, most, u)
        self.pressure = np.where(self.stays, np.maximum(self.pressure + added, 0.0), 0.0)

    def ranked(self, numbers: np.ndarray) -> np.ndarray:
        """(n,) 0 for the smallest of those that stay, of equals for the first; what has left is below."""
        found = np.empty(len(numbers))
        found[np.argsort(np.where(self.stays, numbers, -np.inf), kind="stable")] = np.arange(len(numbers)) - (~self.stays).sum()
        return found

    def remove(self, units: np.ndarray) -> None:
        """The first of these leave, as many as have to; with the last of them all pressure goes."""
        gone = units[: self.leaving]
        self.stays[gone] = False
        self.leaving -= len(gone)

    def mask(self, rng: np.random.Generator) -> np.ndarray:
        """(n,) what takes part in a step."""
        return self.stays

    def factors(self, lr: float) -> np.ndarray:
        """(n,) by which the numbers of every unit are multiplied after a step."""
        return np.ones(len(self.stays))

    @abstractmethod
    def update(self, norms: np.ndarray, method: Pressed) -> None:
        """Let leave what has to, and change the pressure on the others."""

    @abstractmethod
    def finish(self, norms: np.ndarray) -> np.ndarray:
        """Let leave what has to and has not yet. Returns the scores (n,)."""


@dataclass(frozen=True)
class Pressed(Pruner):
    """Training under pressure until each layer has shrunk to `keep`, then retraining. Subclasses say what pressure does."""

    needs: ClassVar[tuple[str, ...]] = ("data", "labels")
    epochs: int = 60
    retrain: int = 30
    batch: int = 64
    lr: float = 0.05
    momentum: float = 0.9
    most: float = 0.02
    u: float = 0.25
    every: int = 5

    @abstractmethod
    def layer(self, norms: np.ndarray, leaving: int) -> Pressure:
        """A layer with these L1 norms, of which `leaving` units have to leave."""

    def prune(self, task: Task) -> Pruned:
        from lumpnet.pruners.training.network import Trainee, descent, isolated

        rng = task.rng()
        with isolated(task.seed):
            trainee = Trainee(task, self.name)
            rows = [trainee.rows(layer) for layer in trainee.layers]
            under = [self.layer(columns.norms(), len(layer) - task.count(len(layer))) for layer, columns in zip(trainee.layers, rows, strict=True)]
            leaving = any(one.leaving for one in under)
            optimizer, _ = descent(trainee, self.lr, self.momentum)
            for batch in trainee.batches(self.epochs if leaving else 0, self.batch, "pruning"):
                trainee.step(optimizer, batch, [one.mask(rng) for one in under])
                for one, columns in zip(under, rows, strict=True):
                    if one.leaving:
                        columns.scale(one.factors(self.lr))
                        if batch.step % self.every == 0:
                            one.update(columns.norms(), self)
                if not any(one.leaving for one in under):
                    break
            scores = [one.finish(columns.norms()) for one, columns in zip(under, rows, strict=True)]
            stays = [one.stays for one in under]
            optimizer, pace = descent(trainee, self.lr, self.momentum)
            for batch in trainee.batches(self.retrain if leaving else 0, self.batch, "retraining", stream=1):
                pace(batch)
                trainee.step(optimizer, batch, stays)
            graph = trainee.graph(stays)
        changes = [
            Change(layer.makers, "units", len(layer), int(stay.sum()), np.where(stay, np.arange(len(layer)), GONE), layer.at, score)
            for layer, stay, score in zip(trainee.layers, stays, scores, strict=True)
        ]
        return Pruned(graph, tuple(changes), trainee.skipped)
