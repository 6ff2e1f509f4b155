"""Traps about recurrent layers: a last bit of the recurrence, rows without it, biases apart, the state before the first step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from trap import accepted, kinds, linear, reduced, refused, tensor, units

X = torch.zeros(2, 4, 2)
GATES = {nn.RNN: 1, nn.LSTM: 4, nn.GRU: 3}


def layer(cls, into, own, bias_ih=None, bias_hh=None, **options):
    """From (gates, units, ...) arrays."""
    into, own = (np.asarray(a, dtype=np.float64) for a in (into, own))
    made = cls(into.shape[2], into.shape[1], batch_first=True, bias=bias_ih is not None, **options)
    values = {"weight_ih": into, "weight_hh": own, "bias_ih": bias_ih, "bias_hh": bias_hh}
    with torch.no_grad():
        for role, value in values.items():
            if value is not None:
                getattr(made, f"{role}_l0").copy_(tensor(np.asarray(value, dtype=np.float64).reshape(getattr(made, f"{role}_l0").shape)))
    return made


class Read(nn.Module):
    """Value `body` (the hidden sequence), value `head`."""

    def __init__(self, body, weight=None):
        super().__init__()
        n = body.hidden_size
        self.body, self.head = body, linear(np.arange(1, 2 * n + 1).reshape(2, n) / 8 if weight is None else weight, [1, 2])

    def forward(self, x):
        return self.head(self.body(x)[0])


def twins(cls, seed=0, n=3, **options):
    """Units 0 and 1 are twins, through the recurrence too: their columns differ."""
    rng = np.random.default_rng(seed)
    into, own = rng.integers(1, 9, size=(GATES[cls], n, 2)) / 16, rng.integers(1, 9, size=(GATES[cls], n, n)) / 16
    into[:, 1] = into[:, 0]
    own[:, 1] = own[:, 0] + np.array([0.25, -0.25] + [0] * (n - 2))
    return layer(cls, into, own, **options)


def bump(parameter, index):
    """One unit in the last place."""
    with torch.no_grad():
        parameter[index] = torch.nextafter(parameter[index], torch.tensor(np.inf))


@pytest.mark.parametrize("cls", GATES)
def test_twins_through_the_recurrence_are_one(cls):
    model = Read(twins(cls))
    found = reduced(model, X)
    assert units(found, "body") == 2
    accepted(found.original.graph, {"body": {1: (0, 1, 0)}})


@pytest.mark.parametrize("role", ["weight_ih_l0", "weight_hh_l0"])
@pytest.mark.parametrize("gate", range(4))
def test_the_last_bit_of_any_gate_keeps_two_units_apart(gate, role):
    model = Read(twins(nn.LSTM))
    bump(getattr(model.body, role), (3 * gate + 1, 1))
    found = reduced(model, X)
    assert units(found, "body") == 3
    refused(found.original.graph, {"body": {1: (0, 1, 0)}})


@pytest.mark.parametrize("cls", GATES)
def test_equal_rows_with_another_recurrence_stay_apart(cls):
    """Both read the input alike, but one listens to the third unit and the other to itself."""
    model = Read(twins(cls))
    with torch.no_grad():
        for gate in range(GATES[cls]):
            model.body.weight_hh_l0[3 * gate + 1] = model.body.weight_hh_l0[3 * gate].flip(0)
    found = reduced(model, X)
    assert units(found, "body") == 3
    refused(found.original.graph, {"body": {1: (0, 1, 0)}})


def test_units_that_only_support_each_other_merge_in_pairs():
    """0 and 1 are alike if 2 and 3 are, and 2 and 3 are alike if 0 and 1 are: the coarsest hypothesis finds both."""
    own = np.zeros((1, 4, 4))
    own[0, 0, 2] = own[0, 1, 3] = own[0, 2, 0] = own[0, 3, 1] = 0.5
    found = reduced(Read(layer(nn.RNN, [[[1, 2], [1, 2], [2, 1], [2, 1]]], own)), X)
    assert units(found, "body") == 2
    with_a_difference = Read(layer(nn.RNN, [[[1, 2], [1, 2], [2, 1], [2, 1.5]]], own))
    apart = reduced(with_a_difference, X)
    assert units(apart, "body") == 4
    refused(apart.original.graph, {"body": {1: (0, 1, 0)}})


class Bent(nn.Module):
    """A GELU behind the sequence: it takes a unit and its negative apart."""

    def __init__(self, body, bend):
        super().__init__()
        self.body, self.bend, self.head = body, bend, linear(np.arange(1, 2 * body.hidden_size + 1).reshape(2, -1) / 8)

    def forward(self, x):
        return self.head(self.bend(self.body(x)[0]))


def test_what_a_neighbour_takes_apart_comes_apart_through_the_recurrence():
    """1 is -0; so 2 and 3 are twins, and 4, which reads 0 + 1, is zero. Where 0 and 1 stay apart, nothing shows the rest any more."""
    into = [[[1, 2], [-1, -2], [2, 1], [2, 1], [0, 0]]]
    own = np.zeros((1, 5, 5))
    own[0, 0, 0], own[0, 1, 1], own[0, 2, 0], own[0, 3, 1], own[0, 4, :2] = 0.5, 0.5, 0.5, -0.5, 1
    own[0, :, 4] = [1, 1, 2, 2, 0]
    free = reduced(Bent(layer(nn.RNN, into, own), nn.Tanh()), X)
    assert units(free, "body") == 2
    taken = reduced(Bent(layer(nn.RNN, into, own), nn.GELU()), X)
    assert units(taken, "body") == 5
    for claim in ({3: (2, 1, 0)}, {4: 0}):
        refused(taken.original.graph, {"body": claim, "bend": claim})


def test_biases_that_agree_in_their_sum_are_enough_but_for_a_candidate():
    for cls, left in ((nn.RNN, 2), (nn.LSTM, 2), (nn.GRU, 3)):
        gates = GATES[cls]
        base = twins(cls)
        bias = np.arange(1.0, 3 * gates + 1).reshape(gates, 3) / 8
        bias[:, 1] = bias[:, 0]
        moved = np.array([0, 0.5, 0])
        weights = [getattr(base, role).detach().reshape(gates, 3, -1).numpy() for role in ("weight_ih_l0", "weight_hh_l0")]
        found = reduced(Read(layer(cls, *weights, bias + moved, bias - moved)), X)
        assert units(found, "body") == left
        if cls is nn.GRU:
            refused(found.original.graph, {"body": {1: (0, 1, 0)}})


@pytest.mark.parametrize(("cls", "turning"), [(nn.RNN, 0), (nn.LSTM, 2), (nn.GRU, 2)])
def test_a_negated_candidate_turns_the_unit(cls, turning):
    """The other gates equal, and everything that reads the state sees the difference of the two."""
    body = twins(cls)
    with torch.no_grad():
        own = body.weight_hh_l0
        own[:, 1] *= -1  # columns of the negative twin
        for p in (body.weight_ih_l0, own):
            p[3 * turning + 1] *= -1
    found = reduced(Read(body), X)
    assert units(found, "body") == 2
    accepted(found.original.graph, {"body": {1: (0, -1, 0)}})
    refused(found.original.graph, {"body": {1: (0, 1, 0)}})


def test_gates_do_not_turn():
    """All gates negated: no multiple, though every row is one."""
    body = twins(nn.LSTM)
    with torch.no_grad():
        body.weight_hh_l0[:, 1] *= -1
        for p in (body.weight_ih_l0, body.weight_hh_l0):
            for gate in range(4):
                p[3 * gate + 1] *= -1
    found = reduced(Read(body), X)
    assert units(found, "body") == 3
    refused(found.original.graph, {"body": {1: (0, -1, 0)}})


def test_a_relu_cell_carries_positive_multiples_only():
    own = np.array([[[0.5, 0.25, 1], [1, 0.5, 2], [0, 0, 0.5]]])
    into = np.array([[[1, 2], [2, 4], [3, 1]]])
    own[0, 1] = 2 * own[0, 0]
    found = reduced(Read(layer(nn.RNN, into, own, nonlinearity="relu")), X)
    assert units(found, "body") == 2
    into[0, 1], own[0, 1] = -into[0, 0], -own[0, 0]
    apart = reduced(Read(layer(nn.RNN, into, own, nonlinearity="relu")), X)
    assert units(apart, "body") == 3
    refused(apart.original.graph, {"body": {1: (0, -1, 0)}})
    found = reduced(Read(layer(nn.RNN, into, own)), X)  # tanh is odd: the columns still tell the two apart, the rows do not
    assert units(found, "body") == 2


def test_a_constant_that_holds_only_after_the_first_step_stays():
    """A zero row with a positive bias: 3 at every position of the sequence, but 0 in the state before the first step, which unit 1 reads."""
    model = Read(layer(nn.RNN, [[[0, 0], [1, 2]]], [[[0, 0], [1, 0]]], [3, 0], [0, 0], nonlinearity="relu"))
    found = reduced(model, X)
    assert units(found, "body") == 2
    refused(found.original.graph, {"body": {0: 3}})
    refused(found.original.graph, {"body": {0: 0}})


def test_a_unit_that_remembers_is_not_zero_for_its_row():
    """A tanh cell without input that only keeps itself is zero from the start; with a bias it is not."""
    into, own = [[[0, 0], [1, 2]]], [[[1, 0], [1, 0.5]]]
    found = reduced(Read(layer(nn.RNN, into, own)), X)
    assert units(found, "body") == 1
    other = reduced(Read(layer(nn.RNN, into, own, [0.25, 0], [0, 0])), X)
    assert units(other, "body") == 2
    refused(other.original.graph, {"body": {0: 0}})


def test_zeros_that_hold_each_other_up():
    """0 is zero because 1 is, 1 because 0 is: only the hypothesis that both are can see it."""
    into, own = [[[0, 0], [0, 0], [1, 2]]], [[[0, 1, 0], [1, 0, 0], [1, 1, 0.5]]]
    assert units(reduced(Read(layer(nn.RNN, into, own)), X), "body") == 1


def test_a_closed_cell_gate_silences_the_unit_whatever_the_other_gates_read():
    rng = np.random.default_rng(1)
    into, own = rng.integers(1, 9, size=(4, 3, 2)) / 8, rng.integers(1, 9, size=(4, 3, 3)) / 8
    into[2, 0], own[2, 0] = 0, 0
    found = reduced(Read(layer(nn.LSTM, into, own)), X)
    assert units(found, "body") == 2
    own[2, 0, 1] = 2.0**-149
    other = reduced(Read(layer(nn.LSTM, into, own)), X)
    assert units(other, "body") == 3
    refused(other.original.graph, {"body": {0: 0}})


def test_a_unit_that_only_the_state_reads_is_observed_as_long_as_its_readers_are():
    """Unit 0 feeds unit 1 only, unit 1 feeds unit 2 only, which the head reads; without the last link all but unit 2 leave."""
    own = np.zeros((1, 3, 3))
    own[0, 1, 0], own[0, 2, 1] = 0.5, 0.5
    into = [[[1, 2], [3, 1], [1, 1]]]
    weight = [[0, 0, 1], [0, 0, 2]]
    found = reduced(Read(layer(nn.RNN, into, own), weight), X)
    assert units(found, "body") == 3
    refused(found.original.graph, {}, {"body": [0]})
    own[0, 2, 1] = 0
    assert units(reduced(Read(layer(nn.RNN, into, own), weight), X), "body") == 1


def test_reads_that_cancel_over_twins_leave_the_twins_unread():
    """Unit 2 reads 0 - 1, which are one: both become a class that nobody reads."""
    own = np.array([[[0.5, 0, 0], [0, 0.5, 0], [1, -1, 0.5]]])
    found = reduced(Read(layer(nn.RNN, [[[1, 2], [1, 2], [2, 1]]], own), [[0, 0, 1], [0, 0, 2]]), X)
    assert units(found, "body") == 1
    refused(found.original.graph, {}, {"body": [0, 1]})
    accepted(found.original.graph, {"body": {1: (0, 1, 0)}}, {"body": [0, 1]})


class Given(nn.Module):
    """From a state that somebody gives."""

    def __init__(self, state):
        super().__init__()
        self.body, self.head = twins(nn.GRU), linear([[1, 2, 3]])
        self.state = nn.Parameter(tensor(state))

    def forward(self, x):
        return self.head(self.body(x, self.state.expand(1, x.shape[0], 3))[0])


def test_a_given_state_leaves_the_layer_as_it_is():
    """Twins start apart: the call is carried along whole, and says so."""
    found = reduced(Given([[[1.0, -1.0, 0.5]]]), X)
    assert [what for what in kinds(found).values() if what in GATES.values() or what == "gru"] == []
    assert any("gru" in node.attrs["target"] or "gru" in str(node.attrs["args"]) for node in found.network.graph.nodes if node.kind == "opaque")


class Cell(nn.Module):
    """Reads the cell state too."""

    def __init__(self):
        super().__init__()
        self.body, self.head = twins(nn.LSTM), linear([[1, 2, 3]])

    def forward(self, x):
        y, (_, c) = self.body(x)
        return self.head(y), c[-1]


def test_a_cell_state_that_is_read_is_not_forgotten():
    found = reduced(Cell(), X)
    assert sorted(kinds(found).values()) == ["linear", "lstm", "opaque"]
    assert units(found, "body") == 2  # the sequence is lumped; the opaque call beside it keeps the whole layer


def test_constants_of_the_operand_fold_into_a_bias_the_layer_did_not_have():
    class Front(nn.Module):
        def __init__(self):
            super().__init__()
            self.front, self.body, self.head = linear([[1, 2], [0, 0]], [0, 4]), twins(nn.LSTM), linear([[1, 2, 3]])

        def forward(self, x):
            return self.head(self.body(self.front(x))[0])

    found = reduced(Front(), X)
    assert (units(found, "front"), units(found, "body")) == (1, 2)
    assert {"body.bias_ih_l0", "body.bias_hh_l0"} <= set(found.model.state_dict())


def test_a_merge_that_would_round_the_recurrence_is_declined():
    """1 + 2**-24 is no float32: the twins merge only where rounding is allowed."""
    own = np.array([[[0, 0, 0.5], [0, 0, 0.5], [1, 2.0**-24, 0.25]]])
    body = layer(nn.RNN, [[[1, 2], [1, 2], [2, 1]]], own)
    assert units(reduced(Read(body), X, require="exact"), "body") == 3
    loose = reduced(Read(body), X, require="nearest")
    assert (units(loose, "body"), loose.rounding) == (2, "nearest")
