"""What became of the units is counted and measured along the relation, whatever the method is called."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import lumpnet
from lumpnet.audit.explained import CLOSE, Explained, explained
from lumpnet.audit.related import related
from lumpnet.bounds.relaxed import Match, Units
from lumpnet.ir import Graph
from lumpnet.testing import as_trained

BOX = lumpnet.Box(-1, 2)


def network() -> Graph:
    """Two inputs, four units, three outputs; biases of 1."""
    first, last = nn.Linear(2, 4), nn.Linear(4, 3)
    first.weight.data, first.bias.data = torch.tensor([[1.0, 2.0], [3.0, 0.0], [0.5, 0.5], [0.0, 4.0]]), torch.ones(4)
    last.weight.data, last.bias.data = torch.arange(12.0).reshape(3, 4), torch.zeros(3)
    return lumpnet.lift(nn.Sequential(first, nn.ReLU(), last), torch.zeros(2, 2)).graph


def along(graph: Graph, of: list[int], scale: list[float], offset: list[float]) -> Match:
    units = Units(np.array(of), np.array(scale), np.array(offset))
    return {value.name: (value.name, units if value.name in ("0", "1") else None) for value in graph.values()}


def smaller(graph: Graph, rows: list[int], change: float = 0.0) -> Graph:
    """Some of its rows and columns, the first weight changed."""
    tensors = {name: x[rows] if name.startswith("0.") else x[:, rows] if name == "2.weight" else x for name, x in graph.tensors.items()}
    tensors["0.weight"] = tensors["0.weight"].copy()
    tensors["0.weight"][0, 0] += np.float32(change)
    values = tuple(replace(n, value=replace(n.value, shape=(None, len(rows))) if n.name in ("0", "1") else n.value) for n in graph.nodes)
    return replace(graph, nodes=values, tensors=tensors)


CASES = {
    "nothing": ([0, 1, 2, 3], [1.0] * 4, [0.0] * 4, 0.0, Explained(4, 0, 0, 0, 0, 0.0, None, 0)),
    "one to zero, which weighs its largest column times its largest value": ([0, 1, 2, -1], [1.0] * 4, [0.0] * 4, 0.0, Explained(4, 1, 0, 0, 0, 0.0, 99.0, 0)),
    "one to a constant": ([0, 1, 2, -1], [1.0] * 4, [0, 0, 0, 7.0], 0.0, Explained(4, 0, 1, 0, 0, 0.0, None, 0)),
    "one behind another": ([0, 1, 2, 1], [1.0] * 4, [0.0] * 4, 0.0, Explained(4, 0, 0, 1, 1, 7.0, None, 0)),
    "one behind another, at a scale": ([0, 1, 2, 0], [1, 1, 1, 2.0], [0.0] * 4, 0.0, Explained(4, 0, 0, 1, 1, 3.0, None, 0)),
    "one changed": ([0, 1, 2, 3], [1.0] * 4, [0.0] * 4, 0.25, Explained(4, 0, 0, 0, 1, 0.25, None, 0)),
    "one rounded": ([0, 1, 2, 3], [1.0] * 4, [0.0] * 4, CLOSE / 2, Explained(4, 0, 0, 0, 0, 0.0, None, 0)),
}


@pytest.mark.parametrize("which", list(CASES))
def test_units_are_counted_and_residuals_measured(which: str) -> None:
    of, scale, offset, change, wanted = CASES[which]
    graph = network()
    other = smaller(graph, sorted({unit for unit in of if unit >= 0}), change)
    found = explained(graph, other, along(graph, of, scale, offset), BOX)
    assert found.weighs == (None if wanted.weighs is None else pytest.approx(wanted.weighs, rel=1e-12))
    assert replace(found, weighs=wanted.weighs) == wanted


def test_what_follows_nothing_is_said_to() -> None:
    graph = network()
    found = explained(graph, graph, {}, BOX)
    assert found == Explained(4, 0, 0, 0, 0, 0.0, None, 4)
    assert str(found) == "of 4 units 4 follow nothing"
    assert str(replace(found, unknown=0)) == "of 4 units all stay as they are"
    everything = Explained(10, 3, 2, 1, 4, 0.12345, 6.789, 0)
    assert str(everything) == "of 10 units 3 to 0 (worth up to 6.79), 2 to a constant, 1 follow others, 4 changed by up to 0.124"


@pytest.mark.parametrize(("method", "zero", "merged"), [("magnitude", 2, 0), ("random", 2, 0), ("folding", 0, 2)])
def test_methods_are_told_apart_by_what_they_did(method: str, zero: int, merged: int) -> None:
    graph = network()
    pruned = lumpnet.prune(lumpnet.Network(graph), method=method, keep=0.5)
    found = explained(graph, pruned.network.graph, related(pruned.certificate, graph, pruned.network.graph), BOX)
    assert (found.zero, found.merged) == (zero, merged)
    assert (found.weighs is not None) == (zero > 0)
    assert (found.changed > 0) == (merged > 0)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("family", ["mlp", "cnn", "resnet"])
def test_units_in_another_order_are_the_same_units(family: str, seed: int) -> None:
    """Pivoting that drops next to nothing: every change is one of weights, none of places."""
    graph = as_trained(seed, family)
    pruned = lumpnet.prune(lumpnet.Network(graph), method="pivoting", keep=0.95, block=1)
    assert any(change.what == "order" for change in pruned.changes)
    found = explained(graph, pruned.network.graph, related(pruned.relation, graph, pruned.network.graph), BOX)
    plain = explained(graph, pruned.network.graph, related(pruned.certificate, graph, pruned.network.graph), BOX)
    largest = max(float(np.abs(x).sum()) for x in graph.tensors.values() if x.ndim > 1)
    assert found.change <= plain.change
    assert found.change < 0.5 * largest
    assert (found.zero, found.constant, found.merged) == (plain.zero, plain.constant, plain.merged)
    same = lumpnet.prune(lumpnet.Network(graph), method="magnitude", keep=0.5)
    assert same.relation == same.certificate
