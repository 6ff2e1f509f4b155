"""What the laws of pruning are asked of: every method, data for those that look at them, and generated networks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np

import lumpnet
from lumpnet.ir import FLOATS, Graph
from lumpnet.network import Network
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
    "ispasp": ("ispasp", {}),
    "ispasp-signed": ("ispasp", {"signed": True}),
    "neuron_merging": ("neuron_merging", {"threshold": 0.1}),
    "greedy": ("greedy", {}),
}
WEIGHTS: dict[str, tuple[str, dict[str, Any]]] = {
    "magnitude-weights": ("magnitude", {"of": "weights"}),
    "random-weights": ("random", {"of": "weights"}),
    "spectral": ("spectral", {}),
    "spectral-threshold": ("spectral", {"by": "threshold"}),
    "spectral-dz": ("spectral", {"by": "dz", "eps": 0.01}),
    "pivoting": ("pivoting", {"block": 2}),
}
RESHAPED: dict[str, tuple[str, dict[str, Any]]] = {"eigendamage": ("eigendamage", {})}
"""Cases that change which layers there are."""
MERGING = {"merge_similar", "folding"}
"""Methods that make rows alike."""
NARROW = {"ispasp", "ispasp-signed", "greedy", "neuron_merging", "eigendamage"}
"""Cases that leave some layers alone which can lose units: outside of blocks, no multiples, too small."""
NOT_NESTED = {"folding", "ispasp", "ispasp-signed", "greedy", "spectral-dz", "pivoting", "eigendamage"}
"""Cases in which what a smaller share keeps need not be part of what a larger one keeps: clusters, layers judged behind pruned ones, draws."""
REWEIGHTED = {"spectral-dz"}
"""Cases that change weights which stay."""
FEWER = {"spectral-dz", "pivoting"}
"""Cases that may keep fewer than asked."""
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
ALL = UNITS | WEIGHTS | RESHAPED | TRAINED
AT_LEAST = {"ising", "edropout", "directional"}
"""Methods that find themselves how much stays."""
KEEPS = (0.1, 0.3, 0.5, 0.7, 1.0)


def prune(network: Any, case: str, keep: float, seed: int = 0, example: Any = None) -> Pruning:
    """By a case, with data if the method wants any."""
    method, options = ALL[case]
    network = network if isinstance(network, Network) else lumpnet.lift(network, example)
    data = examples(network) if lumpnet.pruners.get(method).needs else None
    return lumpnet.prune(network, method=method, keep=keep, seed=seed, data=data, **options)


def examples(network: Network, rows: int = 24, seed: int = 9) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Random inputs (small integers where integers are read), and labels among the entries of the output."""
    rng = np.random.default_rng(seed)
    shapes = {v.name: (v.dtype, (rows, *(int(d or 0) for d in v.shape[1:]))) for v in network.graph.inputs}
    inputs = {name: rng.normal(size=shape) if dtype in FLOATS else rng.integers(0, 4, size=shape) for name, (dtype, shape) in shapes.items()}
    return inputs, rng.integers(0, int(network.graph.value(network.graph.outputs[0]).shape[-1] or 1), size=rows)


def seeds(count: int) -> Iterator[int]:
    """Fresh seeds, a few a run."""
    yield from (SEED + k for k in range(count))


def share(keep: float, n: int) -> int:
    """`keep * n` rounded up, in decimals."""
    return ceil(Fraction(str(keep)) * n)


def wide(graph: Graph) -> Graph:
    """The graph with float64 parameters, so that running it does not round where float32 would."""
    return replace(graph, tensors={name: t.astype(np.float64) if t.dtype.kind == "f" else t for name, t in graph.tensors.items()})


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
