"""Ising energy pruning (Salehinejad, Valaee: Pruning of Convolutional Neural Networks Using Ising Energy Model, ICASSP 2021, arXiv 2102.05437)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from lumpnet.ir import Graph
from lumpnet.ops.sites import sites
from lumpnet.pruners.evolution import Energy, Searched
from lumpnet.pruners.registry import register

if TYPE_CHECKING:
    from lumpnet.lump.layers import Layer
    from lumpnet.pruners.training.network import Batch, Trainee

BINS = 256


@register
@dataclass(frozen=True)
class Ising(Searched):
    """Masks compete by an energy of the units themselves, `E(s) = -s^T J s + |s| sum(J) / D` over D units; nothing in it looks at the loss.

    Inside a layer J is the symmetric Kullback-Leibler divergence between Gaussians fitted to the filters (mean and covariance, over the input
    channels, of their k x k kernels; pseudo-inverses), divided by the layer's largest; from a unit to every unit of the layers that read it, it is the
    entropy of its activations (256 bins, between the unit's least and largest value, divided by log 256); and 1 less in
    both cases. Other pairs are not coupled, nor a unit with itself. Units of outputs, and others that cannot leave, have the bit 1. Couplings are
    recomputed for each minibatch, on the unmasked network in evaluation mode. Reconstructed, as the source could not be read
    in full: what normalises, which pairs are coupled, the search's mutation, and that it has ended when all candidates are equal.

    With equal couplings the energy is least where half of the units stay, so that a rate near 50 % is built in. Units whose weights are
    distributed alike count as redundant, whether or not they compute anything alike: compare with a random mask that is trained the same way
    (`examples/ising.py`). Channels that meet in a residual sum have one bit together: masked in one summand, a channel would still carry the others.
    `keep` is the least share of units that stays in each layer; in the source a penalty holds 10 % of the network.

    epochs, batch, lr (falling to 0 along half a cosine), momentum: of SGD. The mask changes before epoch `freeze`
    only. candidates, crossover, flip: of the search.
    """

    name: ClassVar[str] = "ising"

    def energy(self, trainee: Trainee, batch: Batch) -> Energy:
        every, graph = trainee.task.layers, trainee.task.graph
        inside = [divergences(layer, {s.tensor: np.asarray(trainee.tensors[s.tensor].detach()) for s in layer.weights}) for layer in every]
        axes = {s.node.name: s.axis for s in sites(graph)}
        seen = trainee.values([layer.reads[0].value for layer in every if layer.reads], batch.inputs)

        def heard(layer: Layer) -> np.ndarray:
            name = layer.reads[0].value
            return entropies(np.moveaxis(seen[name], axes[name] or 0, 0)[layer.at[name]])

        across = [(i, j, heard(every[i]) - 1) for i, j in followers(graph, every) if every[i].reads]
        return couplings([one - 1 for one in inside], across, [layer in trainee.layers for layer in every])


def couplings(inside: Sequence[np.ndarray], across: Sequence[tuple[int, int, np.ndarray]], free: Sequence[bool]) -> Energy:
    """The energy of states over the free layers' units, one layer after the other; those of the others are 1.

    inside: J of every layer, whose diagonal does not count. across: (layer, layer that reads it, J of the former's units with each unit of the latter).
    """
    sizes = [len(j) for j in inside]
    inside = [j - np.diag(np.diag(j)) for j in inside]
    whole = sum(float(j.sum()) for j in inside) + sum(float(h.sum()) * sizes[b] for _, b, h in across)
    ends = np.cumsum([n for n, is_free in zip(sizes, free, strict=True) if is_free])[:-1]

    def energy(states: np.ndarray) -> np.ndarray:
        given = iter(np.split(states.astype(np.float64), ends, axis=1))
        bits = [next(given) if is_free else np.ones((len(states), n)) for n, is_free in zip(sizes, free, strict=True)]
        bound = sum(((s @ j) * s).sum(axis=1) for s, j in zip(bits, inside, strict=True))
        bound = bound + sum(((bits[a] @ h) * bits[b].sum(axis=1)) for a, b, h in across)
        return np.asarray(-bound + sum(s.sum(axis=1) for s in bits) * whole / sum(sizes))

    return energy


def divergences(layer: Layer, tensors: dict[str, np.ndarray]) -> np.ndarray:
    """(columns, columns) in [0, 1]: how differently the weights of two columns are distributed, the mean over the layers that make them."""
    found = [np.zeros((len(layer), len(layer)))]
    for s in layer.weights:
        kernels = np.moveaxis(tensors[s.tensor].astype(np.float64), s.axis, 0)[layer.at[s.value]]
        found.append(symmetric_kl(kernels.reshape(len(layer), kernels.shape[1] * kernels.shape[2], -1)))
    apart = np.mean(found[1:] or found, axis=0)
    return np.asarray(apart / (apart.max() or 1.0))


def symmetric_kl(samples: np.ndarray) -> np.ndarray:
    """(n, n) `KL(i|j) + KL(j|i)` of Gaussians fitted to samples (n, count, dim), with pseudo-inverses of their covariances; at least 0."""
    mean = samples.mean(axis=1)
    centred = samples - mean[:, None]
    covariance = np.swapaxes(centred, 1, 2) @ centred / samples.shape[1]
    inverse = np.linalg.pinv(covariance, hermitian=True)
    n, dim = mean.shape
    traces = covariance.reshape(n, -1) @ inverse.reshape(n, -1).T
    pulled = np.einsum("jab,jb->ja", inverse, mean)
    own = (pulled * mean).sum(axis=1)
    square = np.einsum("jab,ia,ib->ij", inverse, mean, mean, optimize=True) - 2 * mean @ pulled.T + own
    one_way = (traces + square - dim) / 2
    return np.asarray(np.maximum(one_way + one_way.T, 0.0))


def entropies(activations: np.ndarray) -> np.ndarray:
    """(columns,) in [0, 1]: of the histograms of activations (columns, ...), between each column's least and largest."""
    x = activations.reshape(len(activations), -1).astype(np.float64)
    low, width = x.min(axis=1, keepdims=True), np.ptp(x, axis=1, keepdims=True)
    bins = np.minimum((x - low) / np.where(width > 0, width, 1.0) * BINS, BINS - 1).astype(np.int64)
    counts = np.bincount((bins + BINS * np.arange(len(x))[:, None]).ravel(), minlength=BINS * len(x)).reshape(len(x), BINS)
    share = counts / x.shape[1]
    return np.asarray(-(share * np.log(np.where(share > 0, share, 1.0))).sum(axis=1) / np.log(BINS))


def followers(graph: Graph, layers: Sequence[Layer]) -> list[tuple[int, int]]:
    """(layer, another one that an operator makes of it), by position."""
    makers = {name: k for k, layer in enumerate(layers) for name in layer.makers}
    found = {}
    for k, layer in enumerate(layers):
        for node in graph.nodes:
            other = makers.get(node.name, k)
            if other != k and any(name in layer.at for name in node.inputs):
                found[k, other] = True
    return list(found)
