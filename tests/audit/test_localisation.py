"""A fault in a pruned copy is found at the operator it was planted in, whatever else pruning did."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import lumpnet
from lumpnet.audit.matching import matched, residuals
from lumpnet.ir import Graph, Node
from tests.architectures.test_whole_way import SMALL

FAULTS = ("a wrong index", "a forgotten bias", "swapped channels", "a lost statistic", "a lost sign")
PLACES = 2
"""Operators of a network that a fault is planted in, one network each."""


def networks(name: str) -> tuple[Graph, Graph]:
    """The original, and a copy without some units of each layer whose units may leave one by one: their weights outward are zeroed, and lumping compacts."""
    build, size = SMALL[name]
    model = build().eval()
    inputs = torch.zeros(1, 3, size, size)
    original = lumpnet.lift(model, inputs)
    masked = original.graph
    tensors = dict(masked.tensors)
    for node in masked.nodes:
        if node.kind in ("batch_norm",) and "weight" in node.params:
            for role in ("weight", "bias"):
                changed = tensors[node.params[role]].copy()
                changed[::4] = 0
                tensors[node.params[role]] = changed
    return masked, lumpnet.reduce(lumpnet.network.Network(replace(masked, tensors=tensors))).network.graph


def planted(graph: Graph, fault: str, dice: np.random.Generator) -> tuple[Graph, str] | None:
    """The graph with the fault in one of its operators, drawn."""
    places = [node for node in graph.nodes if possible(graph, node, fault)]
    if not places:
        return None
    node = places[int(dice.integers(len(places)))]
    tensors = dict(graph.tensors)
    params = node.params
    match fault:
        case "a wrong index":
            tensors[params["weight"]] = np.roll(tensors[params["weight"]], 1, axis=1)
        case "a forgotten bias":
            tensors[params["bias"]] = np.zeros_like(tensors[params["bias"]])
        case "swapped channels":
            tensors[params["weight"]] = tensors[params["weight"]][[1, 0, *range(2, len(tensors[params["weight"]]))]]
        case "a lost statistic":
            tensors[params["mean"]] = np.zeros_like(tensors[params["mean"]])
        case _:
            tensors[params["weight"]] = -tensors[params["weight"]]
    return replace(graph, tensors=tensors), node.name


def possible(graph: Graph, node: Node, fault: str) -> bool:
    params = graph.params_of(node)
    if fault == "a lost statistic":
        return node.kind == "batch_norm" and bool(params["mean"].any())
    if fault == "a forgotten bias":
        return "bias" in params and bool(params["bias"].any())
    if node.kind not in ("conv", "linear") or len(params["weight"]) < 2:
        return False
    return fault != "a wrong index" or params["weight"].shape[1] > 1


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", SMALL)
def test_a_planted_fault_is_localised(name: str, fault: str, architectures: dict[str, tuple[Graph, Graph]]) -> None:
    original, pruned = architectures.setdefault(name, networks(name)) if name not in architectures else architectures[name]
    dice = np.random.default_rng([SMALL_SEED, list(SMALL).index(name), FAULTS.index(fault)])
    for _ in range(PLACES):
        found = planted(pruned, fault, dice)
        if found is None:
            pytest.skip("no operator of this network can have this fault")
        wrong, place = found
        told = [r for r in residuals(original, wrong, matched(original, wrong)) if r.weights > 0]
        partner = {theirs: mine for mine, (theirs, _) in matched(original, wrong).items()}
        assert [r.operator for r in told] == [partner[place]]


@pytest.mark.parametrize("name", SMALL)
def test_pruning_alone_changes_no_weight(name: str, architectures: dict[str, tuple[Graph, Graph]]) -> None:
    original, pruned = architectures.setdefault(name, networks(name)) if name not in architectures else architectures[name]
    found = residuals(original, pruned, matched(original, pruned))
    assert not [r for r in found if r.weights > 0]


SMALL_SEED = 20261121


@pytest.fixture(scope="module")
def architectures() -> dict[str, tuple[Graph, Graph]]:
    return {}
