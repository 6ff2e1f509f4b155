"""Pairs of small networks: one of `lumpnet.testing`, and a copy of it that was changed, or another one altogether."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from lumpnet.domain import Box
from lumpnet.ir import Graph
from lumpnet.testing import FAMILIES, as_trained
from lumpnet.testing.bases import Base
from lumpnet.testing.bases import base as draft

Array = np.ndarray[Any, Any]
Change = Callable[[np.random.Generator, Array], Array]


def _moved(rng: np.random.Generator, t: Array) -> Array:
    return t + 10.0 ** rng.integers(-6, 0) * rng.normal(size=t.shape)


def _zeroed(rng: np.random.Generator, t: Array) -> Array:
    out = t.copy()
    out[rng.integers(len(t))] = 0
    return out


def _swapped(rng: np.random.Generator, t: Array) -> Array:
    return t[rng.permutation(len(t))]


def _rounded(rng: np.random.Generator, t: Array) -> Array:
    return np.clip(t, -65504, 65504).astype(np.float16)


def _doubled(rng: np.random.Generator, t: Array) -> Array:
    return t * 2


CHANGES: dict[str, Change] = {"moved": _moved, "unit zeroed": _zeroed, "rows swapped": _swapped, "rounded": _rounded, "doubled": _doubled}


def changed(rng: np.random.Generator, graph: Graph, how: str) -> Graph:
    """A copy: one tensor changed (variances keep their sign), all of them rounded, all biases zero, or operands of sums, products, concats swapped."""
    tensors, names = dict(graph.tensors), sorted(name for name, t in graph.tensors.items() if t.ndim and name.split(".")[-1] != "var")
    if how == "biases dropped":
        tensors |= {name: tensors[name] * 0 for name in names if name.endswith("bias")}
    elif how == "operands swapped":
        return replace(graph, nodes=tuple(replace(n, inputs=n.inputs[::-1]) if n.kind in ("add", "mul", "concat") else n for n in graph.nodes))
    elif how != "nothing":
        for name in names if how == "rounded" else [names[rng.integers(len(names))]]:
            tensors[name] = CHANGES[how](rng, tensors[name]).astype(tensors[name].dtype)
    return replace(graph, tensors=tensors)


HOW = ("nothing", "biases dropped", "operands swapped", *CHANGES, "another network")


def pair_of(rng: np.random.Generator, family: str, how: str, activation: str | None = None) -> tuple[Graph, Graph]:
    seed = int(rng.integers(1 << 30))
    graph = as_trained(seed, family, activation)
    if how == "another network":
        return graph, as_trained(seed + 1, family, activation)
    return graph, changed(rng, graph, how)


def attention(rng: np.random.Generator) -> Graph:
    """Softmax of products, gates: what is bounded with intervals only."""
    b = Base(rng, {"x": (None, 3)}, trained=True)
    x = b.act(b.linear("x", 3))
    s = b.draft.add("softmax", [b.linear(x, 3)], {"axis": 1})
    x = b.draft.add("mul", [s, b.act(b.linear(x, 3), "silu")])
    b.finish(b.linear(x, 2))
    return b.draft.freeze()


def box_of(rng: np.random.Generator, graph: Graph, width: float | None = None) -> Box:
    """A box of floats of the input's type, of any width."""
    (value,) = graph.inputs
    shape = tuple(int(d or 0) for d in value.shape[1:])
    centre = rng.normal(size=shape).astype(value.dtype)
    radius = (rng.choice([0.0, 1e-3, 0.1, 1.0, 3.0]) if width is None else width) * rng.random(shape)
    return Box(centre - radius, centre + radius)


def points(rng: np.random.Generator, box: Box, graph: Graph, n: int) -> Array:
    """Corners, random points, and points with some entries at their ends."""
    low, high = box.on(graph.inputs[0])
    share = rng.random((n, *low.shape))
    share = np.where(rng.random((n, *[1] * low.ndim)) < 0.5, np.rint(share), np.where(rng.random(share.shape) < 0.5, share, np.rint(share)))
    x = low.astype(np.float64) * (1 - share) + high.astype(np.float64) * share
    return np.clip(x.astype(low.dtype), low, high)


__all__ = ["CHANGES", "FAMILIES", "HOW", "attention", "box_of", "changed", "draft", "pair_of", "points"]
