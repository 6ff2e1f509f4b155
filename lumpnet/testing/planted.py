"""Networks with planted redundancy and a known minimum."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np

from lumpnet.ir import Graph
from lumpnet.testing.bases import FAMILIES, base
from lumpnet.testing.widen import OPERATIONS, Widener


@dataclass(frozen=True)
class Planted:
    """A widened network `graph` that computes the same function as `base`.

    `minimum[value]` is the number of units that value has in `base`: an exact
    reduction should find at least this. `operations` says what was planted.
    """

    graph: Graph
    minimum: dict[str, int]
    base: Graph
    operations: list[str]


def planted(seed: int, family: str, operations: int = 5, activation: str | None = None, permutations: int = 0) -> Planted:
    """A generic network of the family, widened by `operations` function-preserving steps; the same seed gives the same network.

    `activation` None draws one at every place. `permutations` more steps only
    reorder units. All weights are exact in float32.
    Raises `KeyError` for an unknown family or activation-kind.
    """
    draft = base(seed, family, activation)
    small = copy.deepcopy(draft)
    widener = Widener(draft, np.random.default_rng([seed, 1]))
    names = [*OPERATIONS, "duplicate", "duplicate", "respread"]
    for _ in range(operations):
        OPERATIONS[str(widener.rng.choice(names))](widener)
    for _ in range(permutations):
        widener.permute()
    minimum = {name: len(units) for name, units in small.units().items()}
    return Planted(draft.freeze(), minimum, small.freeze(), widener.done)


def as_trained(seed: int, family: str, activation: str | None = None) -> Graph:
    """A network of the family with random float32 weights and nothing planted."""
    return base(seed, family, activation, trained=True).freeze()


__all__ = ["FAMILIES", "Planted", "as_trained", "planted"]
