"""Weights behind relaxed merges, fitted so that they make up for what the merges changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from lumpnet.ir import Graph
from lumpnet.ops import Kept, Site, get
from lumpnet.ops.sites import run, sites
from lumpnet.quotient.plan import Plan

_RIDGE = 1e-2
"""How much weights hold on to their values, as a share of the mean square of what they multiply."""
_ROWS = 1 << 13
_MOST = 1 << 11
"""Rows of more entries are left as they are."""


def refitted(original: Graph, found: Plan, merged: Mapping[str, np.ndarray], points: Mapping[str, np.ndarray]) -> tuple[Graph, tuple[str, ...]]:
    """The reduced network with other weights where a node reads one of the values in `merged`, and the names of these nodes.

    Each row is fitted, by least squares with a ridge towards its own weights, to what the original makes at the same points (inputs by
    name): neuron by neuron, from the inputs on, so that a layer makes up for what the layers before it could not. Weights are numbers of float32.
    """
    graph, wanted = found.quotient.graph, run(original, dict(points))
    before = {node.name: node for node in original.nodes}
    values, tensors, taken = dict(points), dict(graph.tensors), []
    rng = np.random.default_rng(0)
    for site in sites(graph):
        node = site.node
        if node.inputs and node.inputs[0] in merged and before[node.name].kind == node.kind and _followed(found.kept[node.name], merged.get(node.name)):
            fitted = _fitted(site, values[node.inputs[0]], wanted[node.name], found.kept[node.name], rng)
            if fitted is not None:
                site = fitted
                tensors |= {key: site.params[role] for role, key in node.params.items()}
                taken.append(node.name)
        values[node.name] = get(node.kind).run(site, [values[name] for name in node.inputs])
    return Graph(graph.inputs, graph.nodes, graph.outputs, tensors, graph.buffers, graph.notes), tuple(taken)


def _followed(kept: Kept, stay: np.ndarray | None) -> bool:
    """Whether all units that follow a kept one do so by a move: others follow it by their own weights, which would no longer fit."""
    follows = (kept.column >= 0) & (kept.column < len(kept.units))
    follows[kept.units] = False
    return not follows.any() if stay is None else not (follows & stay).any()


def _fitted(site: Site, x: np.ndarray, wanted: np.ndarray, kept: Kept, rng: np.random.Generator) -> Site | None:
    features = get(site.node.kind).features(site, x.astype(np.float64))
    if features is None or features.shape[1] >= _MOST or site.axis is None:
        return None
    rows = np.moveaxis(wanted, site.axis, -1)[..., kept.units].reshape(len(features), -1)
    at = np.arange(len(features)) if len(features) <= _ROWS else rng.choice(len(features), _ROWS, replace=False)
    weight, bias = site.params["weight"], site.params.get("bias")
    a, own = features[at], weight.reshape(len(weight), -1).astype(np.float64)
    if bias is not None:
        a, own = np.concatenate([a, np.ones((len(at), 1))], axis=1), np.concatenate([own, bias[:, None]], axis=1)
    square = a.T @ a
    ridge = _RIDGE * np.trace(square) / len(square)
    if not ridge:
        return None
    new = own + np.linalg.solve(square + ridge * np.eye(len(square)), a.T @ (rows[at] - a @ own.T)).T
    new = new.astype(np.float32).astype(weight.dtype)
    params = {"weight": new[:, : features.shape[1]].reshape(weight.shape)} | ({} if bias is None else {"bias": new[:, -1]})
    return replace(site, params={**site.params, **params}, derived={})
