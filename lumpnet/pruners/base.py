"""The interface of all pruning methods: a task in, a network and the list of what changed out.

A pruner changes a network in place of shape: units that it removes are no longer
read, units that it merges become equal, weights that it drops become zero. That
is the relaxed lumping. The exact one comes after it and is nobody's own: what is
unread, equal or zero leaves by `lumpnet.reduce`, with a certificate.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from lumpnet.errors import PruneError
from lumpnet.ir import Graph
from lumpnet.lump.layers import Layer, layers
from lumpnet.pruners.data import Data

if TYPE_CHECKING:
    import torch

GONE = -1
Progress = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Change:
    """What a method did to one layer: `before` and `after` count its columns of units, or its weights, or columns in a new "order".

    For units `into[k]` is the column that column k has become (itself where it stays, `GONE` where it is no longer read), and
    `at[value]` (columns, units) are the units of every value that the columns pass through, so that `into` is a relation at all of these
    (THEORY section 1): its classes, and the zero class. `scale[k]` is the multiple of column `into[k]` that readers hear in place of column
    k; None where all are 1. `scores` are the method's own, NaN where it has none: of the columns, or of all weights as the method says.
    """

    operators: tuple[str, ...]
    what: str
    before: int
    after: int
    into: np.ndarray | None = None
    at: Mapping[str, np.ndarray] = field(default_factory=dict)
    scores: np.ndarray | None = None
    scale: np.ndarray | None = None

    @property
    def removed(self) -> dict[str, list[int]]:
        """By operator that makes them, the units that are no longer read."""
        return {} if self.into is None else {name: sorted(self.at[name][self.into == GONE].ravel().tolist()) for name in self.operators}

    @property
    def merged(self) -> dict[str, list[tuple[int, int]]]:
        """By operator that makes them, (unit, the unit that stands for it)."""
        if self.into is None:
            return {}
        moved = np.flatnonzero((self.into != GONE) & (self.into != np.arange(len(self.into))))
        pairs = {name: (self.at[name][moved], self.at[name][self.into[moved]]) for name in self.operators}
        return {name: list(zip(one.ravel().tolist(), two.ravel().tolist(), strict=True)) for name, (one, two) in pairs.items()}

    def as_dict(self) -> dict[str, Any]:
        """As `lumpnet prune --json` prints it."""
        counts = {"operators": list(self.operators), "what": self.what, "before": self.before, "after": self.after}
        return counts | {"removed": self.removed, "merged": self.merged, "scores": _plain(self.scores), "scale": _plain(self.scale)}


def _plain(numbers: np.ndarray | None) -> list[float | None] | None:
    return None if numbers is None else [None if math.isnan(x) else x for x in numbers.tolist()]


@dataclass(frozen=True, eq=False)
class Pruned:
    """A pruner's answer: the network with its inputs and outputs, what changed in it, and (operators, reason) of what could not."""

    graph: Graph
    changes: tuple[Change, ...]
    skipped: tuple[tuple[tuple[str, ...], str], ...] = ()


@dataclass(frozen=True, eq=False)
class Task:
    """What a pruner is asked: the network, the share to keep, a seed, and data if there are any."""

    graph: Graph
    keep: Fraction
    seed: int = 0
    data: Data | None = None
    progress: Progress = lambda text: None

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Every set of units that leave together, pinned or not."""
        return layers(self.graph)

    def count(self, n: int) -> int:
        """How many of n stay: `keep * n` rounded up, so never none."""
        return math.ceil(self.keep * n)

    def rng(self) -> np.random.Generator:
        """A fresh generator, the same for the same seed."""
        return np.random.default_rng(self.seed)

    def module(self) -> torch.nn.Module:
        """The network as an `nn.Module` of its own, for methods that run or train it; see `graph_of`."""
        from lumpnet.lower.torch import lower_graph  # loads torch

        return lower_graph(self.graph)

    def graph_of(self, module: torch.nn.Module) -> Graph:
        """The way back, in evaluation mode. Raises `LiftError`."""
        import torch

        from lumpnet.lift.torch import lift_module

        examples = tuple(torch.zeros(2, *(int(d or 0) for d in v.shape[1:]), dtype=getattr(torch, v.dtype)) for v in self.graph.inputs)
        return lift_module(module, examples)


class Pruner(ABC):
    """A method. Subclass it as a frozen dataclass whose fields, with defaults, are the method's options.

    `needs` names what of `Task.data` it cannot do without: "data", or "data" and "labels". `keeps_at_least` says that the
    method itself finds how much stays, `keep` being the least of it.
    """

    name: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]] = ()
    keeps_at_least: ClassVar[bool] = False

    @abstractmethod
    def prune(self, task: Task) -> Pruned:
        """The pruned network; inputs and outputs stay. Must not change the task's arrays, and depends on nothing but the task and the options."""


def one_of(method: str, option: str, value: Any, values: tuple[str, ...]) -> None:
    """Raises `PruneError` where an option has none of its values."""
    if value not in values:
        raise PruneError(f"pruner {method!r}", f"{option} is {value!r}", f"one of {', '.join(map(repr, values))}", f"{option}={values[0]!r}")
