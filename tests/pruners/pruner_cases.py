"""What the laws of pruning are asked of: every method, and generated networks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np

import lumpnet
from lumpnet.api import Network
from lumpnet.ir import Graph
from lumpnet.ops.sites import run, sites
from lumpnet.pruners import Change
from lumpnet.pruning import Pruning

SEED = int(os.environ.get("LUMPNET_SEED") or int.from_bytes(os.urandom(3), "big"))

UNITS: dict[str, tuple[str, dict[str, Any]]] = {
    "magnitude": ("magnitude", {}),
    "magnitude-l1": ("magnitude", {"norm": "l1"}),
    "random": ("random", {}),
    "merge_similar": ("merge_similar", {}),
    "folding": ("folding", {"tries": 2}),
}
WEIGHTS: dict[str, tuple[str, dict[str, Any]]] = {"magnitude-weights": ("magnitude", {"of": "weights"}), "random-weights": ("random", {"of": "weights"})}
SEARCHED = {"epochs": 2, "freeze": 1, "batch": 8, "lr": 1e-3}
PRESSED = {"epochs": 3, "retrain": 1, "batch": 8, "lr": 1e-3, "every": 1}
TRAINED: dict[str, tuple[str, dict[str, Any]]] = {
    "ising": ("ising", SEARCHED),
    "edropout": ("edropout", SEARCHED),
    "directional": ("directional", {"epochs": 2, "batch": 8, "lr": 1e-3, "c": 500.0}),
    "incremental": ("incremental", PRESSED | {"most": 1e3}),
    "probabilistic": ("probabilistic", PRESSED | {"most": 0.4}),
}
"""Methods that train, for a few steps on a few examples (`examples`)."""
ALL = UNITS | WEIGHTS | TRAINED
AT_LEAST = {"ising", "edropout", "directional"}
"""Methods that find themselves how much stays."""
KEEPS = (0.1, 0.3, 0.5, 0.7, 1.0)


def seeds(count: int) -> Iterator[int]:
    """Fresh seeds, a few a run."""
    yield from (SEED + k for k in range(count))


def share(keep: float, n: int) -> int:
    """`keep * n` rounded up, in decimals."""
    return ceil(Fraction(str(keep)) * n)


def wide(graph: Graph) -> Graph:
    """The graph with float64 parameters, so that running it does not round where float32 would."""
    return replace(graph, tensors={name: t.astype(np.float64) if t.dtype.kind == "f" else t for name, t in graph.tensors.items()})


def examples(network: Network, case: str, count: int = 20) -> Any:
    """Random examples and labels for the methods that need them, else None."""
    if not lumpnet.pruners.get(ALL[case][0]).needs:
        return None
    rng, classes = np.random.default_rng(3), network.graph.value(network.graph.outputs[0]).shape[1]
    inputs = {v.name: rng.normal(size=(count, *(int(d or 0) for d in v.shape[1:]))) for v in network.graph.inputs}
    return inputs, rng.integers(0, int(classes or 1), count)


def outputs(network: Network, rows: int = 3, seed: int = 5) -> list[np.ndarray]:
    """What a network answers in doubles on random inputs."""
    rng = np.random.default_rng(seed)
    graph = wide(network.graph)
    values = run(graph, {v.name: rng.normal(size=(rows, *(int(d or 0) for d in v.shape[1:]))) for v in graph.inputs})
    return [values[name] for name in graph.outputs]


def stayed(change: Change) -> set[int]:
    """The columns that stand for themselves."""
    assert change.into is not None
    return set(np.flatnonzero(change.into == np.arange(len(change.into))).tolist())


def zeros(network: Network, tensor: str) -> int:
    return int((network.graph.tensors[tensor] == 0).sum())


def units(network: Network) -> dict[str, int]:
    """Units of every value whose units are followed."""
    return {s.node.name: s.units for s in sites(network.graph) if s.axis is not None}


def units_asked(found: Pruning) -> dict[str, int]:
    """What is left of every value if just the columns that were to leave have left, in all the values that they pass through."""
    left = units(found.original)
    for change in found.changes:
        for value, at in change.at.items():
            left[value] -= (change.before - change.after) * at.shape[1]
    return left
