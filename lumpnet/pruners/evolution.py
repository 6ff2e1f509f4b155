"""Training under masks that a search by binary differential evolution improves: what Ising pruning and EDropout share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from lumpnet.pruners.base import GONE, Change, Pruned, Pruner, Task

if TYPE_CHECKING:
    from lumpnet.pruners.training.network import Batch, Trainee

Energy = Callable[[np.ndarray], np.ndarray]
"""Of states (candidates, bits) the energies (candidates,): what is lower is better."""


@dataclass(frozen=True)
class Searched(Pruner):
    """One bit a unit; before every training step a generation of the search, and the step goes under the best mask. Subclasses say what energy is.

    Every minibatch has its own energy, by which parents and children are compared anew. From epoch `freeze` on, or as soon as all
    candidates are equal (so that differences flip nothing), the mask stays, and training ends with it.
    """

    needs: ClassVar[tuple[str, ...]] = ("data", "labels")
    keeps_at_least: ClassVar[bool] = True
    epochs: int = 60
    batch: int = 128
    lr: float = 0.05
    momentum: float = 0.9
    freeze: int = 20
    candidates: int = 8
    crossover: float = 0.9
    flip: float = 0.9

    @abstractmethod
    def energy(self, trainee: Trainee, batch: Batch) -> Energy:
        """The energy of masks over the columns of `trainee.layers`, one layer after the other, on this minibatch."""

    def prune(self, task: Task) -> Pruned:
        from lumpnet.pruners.training.network import Trainee, descent, isolated

        rng = task.rng()
        with isolated(task.seed):
            trainee = Trainee(task, self.name)
            ends = np.cumsum([0, *map(len, trainee.layers)])
            parts = [slice(a, b) for a, b in pairwise(ends.tolist())]
            floor = Floor([(part, task.count(part.stop - part.start)) for part in parts])
            states = floor.held(rng.random((max(4, self.candidates), ends[-1])) < 0.5, rng)
            best = states[0]
            optimizer, pace = descent(trainee, self.lr, self.momentum)
            for batch in trainee.batches(self.epochs, self.batch, "training"):
                if batch.part * self.epochs < self.freeze and (states != states[0]).any():
                    energy = self.energy(trainee, batch)
                    states, energies = generation(states, energy, rng, floor, self.crossover, self.flip)
                    best = states[int(np.argmin(energies))]
                pace(batch)
                trainee.step(optimizer, batch, [best[part] for part in parts])
            stays = [best[part] for part in parts]
            graph = trainee.graph(stays)
        changes = [
            Change(layer.makers, "units", len(layer), int(stay.sum()), np.where(stay, np.arange(len(layer)), GONE), layer.at)
            for layer, stay in zip(trainee.layers, stays, strict=True)
        ]
        return Pruned(graph, tuple(changes), trainee.skipped)


@dataclass(frozen=True)
class Floor:
    """(bits of a layer, how many of them are 1 at least)."""

    layers: list[tuple[slice, int]]

    def held(self, states: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The states with as many more bits of each layer set, drawn at random, as are missing."""
        states = states.copy()
        for state in states:
            for part, least in self.layers:
                missing = least - int(state[part].sum())
                if missing > 0:
                    state[part.start + rng.choice(np.flatnonzero(~state[part]), missing, replace=False)] = True
        return states


def generation(
    states: np.ndarray, energy: Energy, rng: np.random.Generator, floor: Floor, crossover: float = 0.9, flip: float = 0.9
) -> tuple[np.ndarray, np.ndarray]:
    """One generation of states (candidates, bits): (states, energies). A child replaces its parent only where its energy is strictly lower.

    Binary differential evolution, reconstructed: of three other candidates a, b, c the mutant is a with the bits flipped, each with probability
    `flip`, in which b and c differ; the child takes each bit from the mutant with probability `crossover`, from its parent otherwise.
    """
    n = len(states)
    others = np.array([rng.choice(np.delete(np.arange(n), i), 3, replace=False) for i in range(n)])
    a, b, c = (states[others[:, k]] for k in range(3))
    mutants = a ^ ((b != c) & (rng.random(states.shape) < flip))
    children = floor.held(np.where(rng.random(states.shape) < crossover, mutants, states), rng)
    before, after = energy(states), energy(children)
    better = after < before
    return np.where(better[:, None], children, states), np.where(better, after, before)
