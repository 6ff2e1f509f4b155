"""Neuron merging (Kim, Kim, Park, Kim: Neuron Merging: Compensating for Pruned Neurons, NeurIPS 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from lumpnet.ir import Graph
from lumpnet.lump.layers import Layer
from lumpnet.lump.relaxed import passes
from lumpnet.ops import Site
from lumpnet.ops.sites import sites
from lumpnet.pruners.base import GONE, Change, Pruned, Pruner, Task, one_of
from lumpnet.pruners.registry import register
from lumpnet.pruners.selection import best, heard

_NORM = "batch_norm"


@register
@dataclass(frozen=True)
class NeuronMerging(Pruner):
    """The units with the smallest rows leave, and for each the nearest one that stays is heard so many times more as the norms of their rows differ.

    A row are a unit's weights and, where there is no batch norm, its bias. The nearest is the one with the largest cosine; what the removed unit's
    readers heard of it they hear of that one, times `|w_i| / |w_j|` (a rectifier lets such factors pass), if the cosine is at least
    `threshold`: otherwise the unit is only removed. Behind a batch norm `y = g (x - m) / s + b` the factor becomes `|w_i| g_i s_j / (|w_j| g_j s_i)`
    and must be positive, what it leaves of the shifts, `|b_i - ...|` over the factor, is scaled to [0, 1] over the candidates,
    and the nearest has the least `share (1 - cosine) + (1 - share) shift`. Reconstructed: the factor was derived anew, so that a multiple of a unit
    merges exactly. For biases without a norm, rows as in the authors' program for fully connected layers.

    Left alone: what several operators make, what another weight scales unit by unit, activations that bend. Scores are cosines; `into` and `scale`
    of a change say which unit is heard how often.
    """

    name: ClassVar[str] = "neuron_merging"
    norm: str = "l2"
    threshold: float = 0.45
    share: float = 0.85

    def __post_init__(self) -> None:
        one_of(self.name, "norm", self.norm, ("l2", "l1"))

    def prune(self, task: Task) -> Pruned:
        tensors, changes, skipped = dict(task.graph.tensors), [], []
        by_name = {s.node.name: s for s in sites(task.graph)}
        for layer in task.layers:
            reason = _why_not(layer, by_name)
            if reason is not None:
                skipped.append((layer.makers, reason))
                continue
            into, scale, scores = self._merge(task.graph, layer, by_name, task.count(len(layer)))
            layer.rewrite(tensors, layer.reads, heard(into, scale))
            after = int((into == np.arange(len(layer))).sum())
            changes.append(Change(layer.makers, "units", len(layer), after, into, layer.at, scores, scale))
        return Pruned(replace(task.graph, tensors=tensors), tuple(changes), tuple(skipped))

    def _merge(self, graph: Graph, layer: Layer, by_name: Mapping[str, Site], count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`into`, `scale` and cosines of the columns."""
        n, norms = len(layer), [by_name[name] for name in layer.at if by_name[name].node.kind == _NORM]
        rows = layer.entries(graph, layer.weights if norms else tuple(s for s in layer.rows if s.value in layer.makers))
        sizes = np.linalg.norm(layer.entries(graph, layer.weights), {"l1": 1, "l2": 2}[self.norm], axis=1)
        stays = best(sizes, count)
        length = np.linalg.norm(rows, axis=1)
        unit = np.divide(rows, length[:, None], out=np.zeros_like(rows), where=length[:, None] > 0)
        gone, kept = np.flatnonzero(~stays), np.flatnonzero(stays)
        cosine = unit[gone] @ unit[kept].T
        factor = np.divide(length[gone][:, None], length[kept], out=np.zeros(cosine.shape), where=length[kept] > 0)
        cost = 1 - cosine
        for site in norms:
            factor, shift = _through(site, layer, factor, gone, kept, _biases(graph, layer))
            cost = self.share * cost + (1 - self.share) * _unit_range(shift)
        fits = (cosine >= self.threshold) & (factor > 0) & np.isfinite(cost)
        into, scale, scores = np.where(stays, np.arange(n), GONE), np.ones(n), np.full(n, np.nan)
        if len(gone):
            at = np.where(fits, cost, np.inf).argmin(axis=1)
            here = np.arange(len(gone))
            merged = fits[here, at]
            into[gone[merged]], scale[gone[merged]], scores[gone[merged]] = kept[at[merged]], factor[here, at][merged], cosine[here, at][merged]
        return into, scale, scores


def _why_not(layer: Layer, by_name: Mapping[str, Site]) -> str | None:
    """Why no unit of the layer is a multiple of another one with rows like its own."""
    if layer.kept_by or layer.apart_by:
        return layer.kept_by or layer.apart_by
    if len(layer.makers) > 1:
        return f"{', '.join(layer.makers)} make it together (a sum, or shared units): the method merges what one operator makes"
    behind = [by_name[name] for name in layer.at if name not in layer.makers]
    norms = [s for s in behind if s.node.kind == _NORM]
    if (
        len(norms) > 1
        or any(layer.at[s.node.name].shape[1] > 1 for s in norms)
        or any(slot.value not in (*layer.makers, *(s.node.name for s in norms)) for slot in layer.rows)
    ):
        return f"other weights work on the units of {layer.makers[0]} one by one"
    bends = [s.node for s in behind if len(layer) > 1 and s.node.kind != _NORM and not passes(s)]
    return f"{bends[0].name} ({bends[0].kind}) is not known to let multiples of a unit pass" if bends else None


def _biases(graph: Graph, layer: Layer) -> np.ndarray:
    """(columns,): what the maker adds."""
    slots = tuple(s for s in layer.rows if s.value in layer.makers and s not in layer.weights)
    return np.asarray(layer.entries(graph, slots).sum(axis=1))


def _through(norm: Site, layer: Layer, factor: np.ndarray, gone: np.ndarray, kept: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The factor behind a batch norm of (gone, kept) pairs, and the size of the shift that it leaves, over the factor; infinite where there is none."""
    at = layer.at[norm.node.name][:, 0]
    zero, one = np.zeros(norm.units), np.ones(norm.units)
    weight, bias, mean = (norm.params.get(role, otherwise)[at].astype(np.float64) for role, otherwise in (("weight", one), ("bias", zero), ("mean", zero)))
    mean = mean - before
    gain = weight / np.sqrt(norm.params["var"][at].astype(np.float64) + norm.attrs["eps"])
    with np.errstate(divide="ignore", invalid="ignore"):
        behind = factor * gain[gone][:, None] / gain[kept]
        shift = bias[gone][:, None] - gain[gone][:, None] * mean[gone][:, None] - behind * bias[kept] + factor * gain[gone][:, None] * mean[kept]
        left = np.abs(shift) / behind
    fine = np.isfinite(behind) & (behind > 0)
    return np.where(fine, behind, 0.0), np.where(fine, left, np.inf)


def _unit_range(numbers: np.ndarray) -> np.ndarray:
    """Rows scaled to [0, 1]; what is infinite stays so."""
    finite = np.isfinite(numbers)
    low, high = (end(np.where(finite, numbers, 0.0), axis=1, keepdims=True, where=finite, initial=start) for end, start in ((np.min, np.inf), (np.max, 0.0)))
    span = np.where(high > low, high - low, 1.0)
    return np.where(finite, (np.where(finite, numbers, 0.0) - np.where(np.isfinite(low), low, 0.0)) / span, np.inf)
