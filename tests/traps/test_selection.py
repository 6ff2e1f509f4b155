"""Traps about slices, pieces and shuffles: units that are read elsewhere, twice, in another order, or not at all."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from trap import linear, read, reduced, refused, units

import lumpnet
from lumpnet.lift.torch import lift_module

X = torch.zeros(2, 3)
A, B, C = [1.0, 2.0, -1.0], [0.5, -3.0, 2.0], [2.0, 1.0, 1.0]


def times(factor: float, row: list[float]) -> list[float]:
    return [factor * v for v in row]


class Behind(nn.Module):
    """A hidden layer, a function of it, an activation and a last layer."""

    def __init__(self, rows, function, columns, activation=None, bias=None):
        super().__init__()
        self.hidden, self.last = linear(rows, bias if bias is not None else [0.0] * len(rows)), linear(read(columns), [1, 2])
        self.function, self.activation = function, activation or nn.ReLU()

    def forward(self, x):
        return self.last(self.activation(self.function(self.hidden(x))))


def names(found):
    return {n.name: n for n in found.network.graph.nodes}


def test_a_unit_that_no_slice_reads_leaves():
    found = reduced(Behind([A, B, C, A], lambda h: h[:, 1:3], 2), X)
    assert units(found, "hidden") == 2
    assert "index_select" in names(found)
    assert names(found)["index_select"].attrs["index"] == [0, 1]


def test_halves_share_a_column():
    """Each half reads one of two equal units: one column is read by both."""

    def halves(h):
        left, right = h.chunk(2, 1)
        return left * torch.sigmoid(right)

    found = reduced(Behind([A, B, A, C], halves, 2), X)
    assert units(found, "hidden") == 3


def test_a_half_that_reads_only_the_double_keeps_it():
    """The second half holds 2A alone: a selection cannot scale, so A and 2A are two columns."""
    for function in (lambda h: torch.cat([torch.sigmoid(h[:, :2]), h[:, 2:]], 1), lambda h: h[:, [2, 1]]):
        model = Behind([A, B, times(2, A), C], function, 4 if function(torch.zeros(1, 4)).shape[1] == 4 else 2)
        found = reduced(model, X)
        assert units(found, "hidden") == (4 if model.last.in_features == 4 else 2)


def test_forged_a_selected_double():
    graph = lumpnet.network.lift(Behind([A, B, times(2, A)], lambda h: h[:, [2, 1]], 2), X)
    refused(graph.graph, {"hidden": {2: (0, 2, 0)}})


def test_equal_units_behind_a_shuffle_merge_on_both_sides():
    def shuffle(h):
        return h.view(-1, 2, 3).transpose(1, 2).reshape(-1, 6)

    found = reduced(Behind([A, B, C, A, times(1, B), [1.0, 0.0, 0.0]], shuffle, 6), X)
    assert units(found, "hidden") == units(found, "activation") == 4
    assert [n.kind for n in found.original.graph.nodes] == ["linear", "index_select", "relu", "linear"]


def test_doubles_stay_together_where_the_shuffle_keeps_their_order():
    def shuffle(h):
        return h.view(-1, 2, 2).transpose(1, 2).reshape(-1, 4)

    found = reduced(Behind([A, B, times(2, A), times(4, B)], shuffle, 4), X)
    assert units(found, "hidden") == 2
    turned = reduced(Behind([A, B, times(2, A), times(4, B)], lambda h: h.flip(1), 4), X)
    assert units(turned, "hidden") == 4


def test_a_unit_read_twice_is_one():
    found = reduced(Behind([A, B], lambda h: h[:, [0, 1, 0]], 3), X)
    assert units(found, "activation") == 2
    for wrong in ((0, 2, 0), (1, 1, 0)):
        refused(found.original.graph, {"index_select": {2: wrong}, "activation": {2: wrong}})


def test_the_output_of_the_network_may_repeat_what_is_one_unit_inside():
    """Outputs are pinned, their source is not: one column is selected twice."""

    class Repeats(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = linear([A, B, A], [1, 2, 1])

        def forward(self, x):
            return self.hidden(x)[:, [2, 1, 0]]

    found = reduced(Repeats(), X)
    assert units(found, "hidden") == 2
    assert names(found)["index_select"].attrs["index"] == [0, 1, 0]


def test_constants_leave_through_slices():
    found = reduced(Behind([[0, 0, 0], A, B], lambda h: h[:, :2], 2, bias=[3, 0, 0]), X)
    assert units(found, "hidden") == units(found, "activation") == 1


def test_representatives_agree_through_a_selection_even_where_others_round_less():
    """3A and A, read with short weights: as multiples of A nothing rounds, but the selection holds 3A only."""

    class Beside(nn.Module):
        def __init__(self, selects):
            super().__init__()
            self.hidden, self.last, self.side = linear([times(3, A), A, B], [0, 0, 0]), linear(read(3), [1, 2]), linear(read(1), [0, 1])
            self.selects = selects

        def forward(self, x):
            h = torch.relu(self.hidden(x))
            return self.last(h) + self.side(h[:, :1]) if self.selects else self.last(h)

    free, bound = reduced(Beside(False), X), reduced(Beside(True), X)
    assert free.network.graph.tensors["hidden.weight"][0].tolist() == A
    assert bound.network.graph.tensors["hidden.weight"][0].tolist() == times(3, A)
    assert units(free, "hidden") == units(bound, "hidden") == 2


@pytest.mark.parametrize(
    ("function", "kinds"),
    [
        (lambda x: x[:, 0:3], []),
        (lambda x: x.chunk(1, 1)[0], []),
        (lambda x: x[:, :9, ...], []),
        (lambda x: x[:, 1:], ["index_select"]),
        (lambda x: x[:, 1], ["index_select", "reshape"]),
        (lambda x: x.flip(1), ["index_select"]),
        (lambda x: x[:, 1:1], ["opaque"]),
        (lambda x: x.flip(0), ["opaque"]),
        (lambda x: x[:, torch.tensor([-1, 0])], ["index_select"]),
    ],
)
def test_what_selections_become(function, kinds):
    class Selecting(nn.Module):
        def forward(self, x):
            return function(x) * 2.0 if kinds == [] else function(x)

    graph = lift_module(Selecting(), (X,))
    assert [n.kind for n in graph.nodes] == (kinds or ["mul_constant"])
