"""Traps about embeddings: columns of a table, integers, and a table that is also an output layer's weight."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from trap import accepted, linear, net, read, reduced, refused, tensor, units

import lumpnet
from lumpnet.evidence.sampling import choices, compare
from lumpnet.verdict import Proved

TOKENS = torch.tensor([[0, 3, 2], [1, 1, 4]])
BASE = np.array([1.0, -2.0, 0.5, 4.0, 3.0])


def table(columns: Any, **options: Any) -> nn.Embedding:
    """One row of `columns` a unit."""
    values = tensor(np.asarray(columns, dtype=np.float64).T)
    return nn.Embedding(*values.shape, _weight=values, **options)


COLUMNS: dict[str, tuple[np.ndarray, int, Any]] = {
    "a copy": (BASE, 1, (0, 1, 0)),
    "a multiple": (-2 * BASE, 1, (0, -2, 0)),
    "a multiple and an offset": (BASE / 4 + 3, 1, (0, "1/4", 3)),
    "a constant": (np.full(5, 7.0), 1, 7),
    "zero": (np.zeros(5), 1, 0),
    "a copy but for the last entry": (np.where(np.arange(5) == 4, 3.5, BASE), 2, (0, 1, 0)),
    "a copy but for the last bit of one entry": (np.where(np.arange(5) == 2, 0.5 + 2.0**-24, BASE), 2, (0, 1, 0)),
    "a constant but for one entry": (np.array([7.0, 7, 7, 7, 8]), 2, 7),
    "another order": (BASE[::-1], 2, (0, 1, 0)),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_leaves_iff_every_entry_agrees(name):
    column, left, claim = COLUMNS[name]
    model = net(table([BASE, column]), linear(read(2), [1, 2]))
    found = reduced(model, TOKENS)
    assert units(found, "0") == left
    assert found.network.graph.value("0").shape == (None, 3, left)
    (accepted if left == 1 else refused)(found.original.graph, {"0": {1: claim}})


def test_nonlinear_readers_ask_as_always():
    """An offset does not pass a ReLU, a positive scale does."""
    for column, left in ((2 * BASE, 1), (-BASE, 2), (BASE + 1, 2)):
        found = reduced(net(table([BASE, column]), nn.ReLU(), linear(read(2), [1, 2])), TOKENS)
        assert units(found, "0") == left


def test_the_lowered_layer_is_an_embedding_with_its_padding_index():
    found = reduced(net(table([BASE, 2 * BASE, BASE**2], padding_idx=2), linear(read(3))), TOKENS)
    layer = found.model.get_submodule("0")
    assert isinstance(layer, nn.Embedding)
    assert (layer.num_embeddings, layer.embedding_dim, layer.padding_idx) == (5, 2, 2)
    assert lumpnet.lift(found.model, TOKENS).data == found.network.data


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_both_kinds_of_integers_are_looked_up(dtype):
    assert units(reduced(net(table([BASE, 2 * BASE]), linear(read(2))), TOKENS.to(dtype)), "0") == 1


def test_a_single_entry_is_all_constant():
    found = reduced(net(table([[1.0], [2.0]]), linear(read(2), [1, 2])), torch.zeros(2, 3, dtype=torch.int64))
    assert [node.kind for node in found.network.graph.nodes] == ["constant"]
    assert lumpnet.lift(found.model, torch.zeros(2, 3, dtype=torch.int64)).data == found.network.data


def test_sampled_integers_are_in_the_table():
    """The lift is compared with the module on integers that it knows, all of them."""
    model = net(table([BASE, BASE**2]), linear(read(2)))
    network = lumpnet.lift(model, TOKENS)
    assert choices(network.graph) == [5]
    found = lumpnet.reduce(model, TOKENS)
    verdict = lumpnet.check(model, found.network, found.certificate, example_inputs=TOKENS[:, :1] * 0)
    assert isinstance(lumpnet.check(model, found.network, found.certificate, example_inputs=TOKENS), Proved), verdict
    assert compare(model, lumpnet.lower(network), (TOKENS,)).deviation == 0
    assert compare(model, lumpnet.lower(network), (TOKENS,), choices=[5]).deviation == 0


class Tied(nn.Module):
    """An embedding whose table is also the output layer's weight; between them a ReLU, or nothing."""

    def __init__(self, columns: Any, between: nn.Module):
        super().__init__()
        self.embed, self.between = table(columns), between
        self.head = nn.Linear(len(columns), 5, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.between(self.embed(x)))


@pytest.mark.parametrize("between", [nn.Identity(), nn.ReLU(), nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 3))])
def test_a_table_that_is_also_an_output_layer_stays_whole(between):
    """Merging copies would halve the table on one side and sum columns on the other: both sides stay whole, and the tensor shared."""
    found = reduced(Tied([BASE, BASE, 2 * BASE], between), TOKENS)
    assert units(found, "embed") == 3
    assert found.network.graph.nodes[0].params == {"weight": "embed.weight"}
    assert found.network.graph.nodes[-1].params["weight"] == "embed.weight"
    assert found.model.head.weight is found.model.embed.weight
    reasons = dict(found.pinned)
    assert reasons["embed (embedding)"] == "shares embed.weight with head, an operator of another kind"
    assert reasons["head (linear)"] == "shares embed.weight with embed, an operator of another kind"


def test_an_unread_unit_of_a_shared_table_stays_too():
    """Nobody reads unit 1 of the embedding, but the output layer has its column."""
    between = linear([[1, 0, 2], [3, 0, 1], [1, 0, 5]])
    found = reduced(Tied([BASE, BASE**2, BASE**3], between), TOKENS)
    assert found.network.graph.tensors["embed.weight"].shape == (5, 3)
    assert found.model.head.weight is found.model.embed.weight


class Twice(nn.Module):
    """Two inputs looked up in one table."""

    def __init__(self, columns: Any):
        super().__init__()
        self.embed, self.out = table(columns), linear(read(len(columns)))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.out(F.relu(self.embed(x)) + self.embed(y))


def test_one_table_looked_up_twice_is_lumped_once():
    found = reduced(Twice([BASE, 2 * BASE, BASE**2]), TOKENS, TOKENS + 0)
    assert found.network.graph.tensors["embed.weight"].shape == (5, 2)
    assert len({node.params["weight"] for node in found.network.graph.nodes if node.kind == "embedding"}) == 1
    kept = reduced(Twice([BASE, -2 * BASE, BASE**2]), TOKENS, TOKENS + 0)
    assert kept.network.graph.tensors["embed.weight"].shape == (5, 3), "the ReLU of one use keeps them apart in both"


class Convolved(nn.Module):
    """One kernel for a convolution and for the transposed one behind it."""

    def __init__(self, weight: torch.Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv_transpose1d(F.relu(F.conv1d(x, self.weight)), self.weight)


def test_a_kernel_shared_by_a_convolution_and_its_transpose_stays_whole():
    weight = torch.tensor([[[1.0, 2]], [[2, 4]], [[3, -1]]])
    found = reduced(Convolved(weight), torch.zeros(2, 1, 4))
    assert [node.params["weight"] for node in found.network.graph.nodes if node.params] == ["weight", "weight"]
    assert len(found.pinned) == 2


def test_a_lookup_in_what_was_computed_is_no_embedding():
    class Soft(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = table([BASE, 2 * BASE])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.embedding(x, self.embed.weight * 2 + 0 * x.sum())

    assert [node.kind for node in lumpnet.lift(Soft(), TOKENS).graph.nodes] == ["opaque"]
