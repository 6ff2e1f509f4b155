"""Traps about wiring: residual streams, pins, layouts, shared weights, and the network's own inputs and outputs."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from trap import accepted, conv, kinds, linear, net, norm, pointwise, read, reduced, refused, units

X = torch.zeros(2, 2)
IMAGE = torch.zeros(2, 2, 3, 4)


class Given(nn.Module):
    """A network from layers and a function of (self, input)."""

    def __init__(self, function, **layers):
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x):
        return self.function(self, x)


# -- residual streams -------------------------------------------------------------------------


def residual(stem, branch, last=None, activation=torch.relu):
    """`stem`, then `add` of the stem and the branch `one`, `two`, read by `last`."""
    one, two = branch

    def forward(m, x):
        x = activation(m.stem(x))
        return m.last(torch.relu(x + m.two(torch.relu(m.one(x)))))

    return Given(forward, stem=stem, one=one, two=two, last=last or linear(read(2)))


def test_a_stream_merges_only_where_every_branch_agrees():
    """Twins in the stem, not in the branch: the stream keeps both. Twins in both: one is left."""
    stem = linear([[1, 2], [1, 2]], [1, 1])
    other = residual(stem, (linear([[1, 2]], [1]), linear([[3], [4]], [1, 1])))
    found = reduced(other, X)
    assert units(found, "stem") == 2
    agreeing = reduced(residual(stem, (linear([[1, 2]], [1]), linear([[3], [3]], [1, 1]))), X)
    assert (units(agreeing, "stem"), units(agreeing, "two")) == (1, 1)
    add = next(name for name, kind in kinds(found).items() if kind == "add")
    relus = [name for name, kind in kinds(found).items() if kind == "relu"]
    refused(found.original.graph, {name: {1: (0, 1, 0)} for name in ("stem", "two", add, *relus) if found.original.graph.value(name).shape[1] == 2})


def test_a_stream_merges_only_with_one_scale():
    """Scale 2 in the stem and 1 in the branch do not add up to a multiple; 2 and 2 do."""
    stem = linear([[1, 2], [2, 4]], [1, 2])
    for branch, left in (([[3], [3]], 2), ([[3], [6]], 1)):
        model = residual(stem, (linear([[1, 2]], [1]), linear(branch, [1, branch[1][0] / 3])))
        assert units(reduced(model, X), "stem") == left


def test_a_dead_branch_leaves_whole():
    """The branch ends in zero weights: its layers leave, and the addition becomes the identity."""
    dead = residual(linear([[1, 2], [3, 1]], [1, 1]), (linear([[1, 2], [5, 1]], [1, 1]), linear([[0, 0], [0, 0]], [0, 0])))
    found = reduced(dead, X)
    assert (units(found, "one"), units(found, "two")) == (0, 0)
    assert "add" not in kinds(found).values()
    assert "identity" in kinds(found).values()
    assert {name.split(".")[0] for name in found.model.state_dict()} == {"stem", "last"}


def test_a_dead_branch_with_a_bias_leaves_a_constant():
    """The addition becomes x + b."""
    dead = residual(linear([[1, 2], [3, 1]], [1, 1]), (linear([[1, 2], [5, 1]], [1, 1]), linear([[0, 0], [0, 0]], [0.5, -2])))
    found = reduced(dead, X)
    assert "add_constant" in kinds(found).values()
    assert "add" not in kinds(found).values()
    assert [t.tolist() for name, t in found.network.graph.tensors.items() if name.endswith("term")] == [[0.5, -2.0]]


def test_a_block_whose_last_norm_is_zero_leaves():
    """gamma = 0 at the end of a residual block, as zero-initialised blocks have it, and the same with a bias."""
    for beta, kind in (([0.0, 0.0], "identity"), ([0.25, -0.5], "add_constant")):

        def forward(m, x):
            x = torch.relu(m.stem(x))
            return m.last(torch.relu(x + m.bn2(m.two(torch.relu(m.bn1(m.one(x)))))))

        ones = conv(np.arange(1.0, 37.0).reshape(2, 2, 3, 3), padding=1)
        model = Given(
            forward,
            stem=pointwise([[1, 2], [3, 1]], [1, 1]),
            one=ones,
            bn1=norm([1, 2], [0, 1], [1, 2], [2, 3], 1e-5),
            two=conv(np.arange(1.0, 37.0).reshape(2, 2, 3, 3), padding=1),
            bn2=norm([0, 0], beta, [1, 2], [2, 3], 1e-5),
            last=pointwise(read(2)),
        )
        found = reduced(model, IMAGE)
        assert (units(found, "one"), units(found, "two"), units(found, "stem")) == (0, 0, 2)
        assert kind in kinds(found).values()


def test_two_dead_operands():
    """Both operands of an addition are constant: the sum is one constant and leaves too."""
    model = Given(
        lambda m, x: m.last(torch.relu(m.a(x) + m.b(x)) + m.c(x)),
        a=linear(np.zeros((2, 2)), [1, 2]),
        b=linear(np.zeros((2, 2)), [3, -7]),
        c=linear(read(2)),
        last=linear(read(2)),
    )
    found = reduced(model, X)
    assert (units(found, "a"), units(found, "b"), units(found, "c")) == (0, 0, 2)


def test_a_constant_unit_in_a_living_stream_stays():
    """Constant in the stem, not in the branch: the unit stays in both."""
    model = residual(linear([[1, 2], [0, 0]], [1, 3]), (linear([[1, 2]], [1]), linear([[3], [5]], [1, 1])))
    found = reduced(model, X)
    assert (units(found, "stem"), units(found, "two")) == (2, 2)


def test_a_gate_that_is_zero_kills_what_it_gates():
    """x * 0: the other factor is not observed there. A constant factor scales."""
    model = Given(
        lambda m, x: m.last(torch.relu(m.a(x)) * torch.relu(m.gate(x))),
        a=linear([[1, 2], [3, 1], [5, 7]], [1, 1, 1]),
        gate=linear([[1, 1], [0, 0], [2, 1]], [1, -5, 1]),
        last=linear(read(3)),
    )
    found = reduced(model, X)
    assert (units(found, "a"), units(found, "gate")) == (2, 2)


def test_a_gate_merges_products_of_scales():
    model = Given(
        lambda m, x: m.last(torch.relu(m.a(x)) * torch.relu(m.gate(x))),
        a=linear([[1, 2], [2, 4]], [1, 2]),
        gate=linear([[1, 1], [0.25, 0.25]], [1, 0.25]),
        last=linear(read(2)),
    )
    found = reduced(model, X)
    assert (units(found, "a"), units(found, "gate")) == (1, 1)


# -- pins -------------------------------------------------------------------------------------


def pinned(found, words):
    assert any(words in f"{operator}: {reason}" for operator, reason in found.pinned), found.pinned
    assert words in str(found)


TWINS = linear([[1, 2], [1, 2], [3, 1], [3, 1]], [1, 1, 2, 2])


def test_layer_norm_pins_and_is_reported():
    """It mixes its units: twins before it stay. Twins behind it leave."""
    found = reduced(net(TWINS, nn.LayerNorm(4), linear([[1, 2, 3, 4]] * 2), nn.ReLU(), linear(read(2))), X)
    assert (units(found, "0"), units(found, "2")) == (4, 1)
    pinned(found, "layer_norm")


def test_softmax_pins_and_is_reported():
    found = reduced(net(TWINS, nn.Softmax(1), linear([[1, 2, 3, 4]] * 2), nn.ReLU(), linear(read(2))), X)
    assert (units(found, "0"), units(found, "2")) == (4, 1)
    pinned(found, "softmax mixes its units")


def test_group_norm_pins_and_is_reported():
    rows = [[1, 2], [1, 2], [3, 1], [3, 1]]
    found = reduced(net(pointwise(rows, [1, 1, 2, 2]), nn.GroupNorm(2, 4), nn.ReLU(), pointwise([[1, 2, 3, 4]] * 2), nn.ReLU(), pointwise(read(2))), IMAGE)
    assert (units(found, "0"), units(found, "3")) == (4, 1)
    pinned(found, "group_norm")


def test_a_channel_shuffle_is_followed_unit_by_unit():
    """view, transpose, view exchanges channels between groups: the twins 0 and 1 are read at places 0 and 2."""

    def forward(m, x):
        y = torch.relu(m.first(x))
        n, c, h, w = y.shape
        y = y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        return m.last(y)

    found = reduced(Given(forward, first=pointwise([[1, 2], [1, 2], [3, 1], [3, 1]], [1, 1, 2, 2]), last=pointwise(read(4))), IMAGE)
    assert units(found, "first") == 2
    read_out = found.network.graph.tensors["last.weight"].reshape(2, 2)
    first, last = read(4), found.original.graph.tensors["last.weight"].reshape(2, 4)
    assert (first == last).all()
    np.testing.assert_array_equal(read_out, np.stack([last[:, 0] + last[:, 2], last[:, 1] + last[:, 3]], axis=1))


def test_a_linear_layer_over_the_width_of_an_image():
    """Units are the channels, the layer reads the width: channels before it stay whole, and the layer works on positions."""
    found = reduced(net(pointwise([[1, 2], [1, 2]], [1, 1]), nn.ReLU(), linear(read(4, 3), [1, 2, 3])), IMAGE)
    assert units(found, "0") == 2
    pinned(found, "acts on the last axis")


def test_a_pin_that_nobody_observes_pins_nothing():
    """The branch with the layer norm is multiplied by zero weights: its twins leave with it."""

    def forward(m, x):
        return m.last(torch.cat([torch.relu(m.a(x)), m.norm(m.b(x))], 1))

    weight = np.concatenate([read(2), np.zeros((2, 4))], axis=1)
    found = reduced(Given(forward, a=linear([[1, 2], [3, 1]]), b=TWINS, norm=nn.LayerNorm(4), last=linear(weight)), X)
    assert (units(found, "a"), units(found, "b"), units(found, "norm")) == (2, 0, 0)


def test_an_input_that_nobody_reads_stays_an_input():
    """Concatenated and read with zero weights: the network keeps its interface."""
    model = TwoConcatenated()
    found = reduced(model, X, torch.zeros(2, 3))
    assert units(found, "a") == 1
    assert [v.shape for v in found.network.graph.inputs] == [(None, 2), (None, 3)]


def test_a_pinned_operand_that_is_read_with_zeros():
    """A layer norm under zero weights: the outputs are constant, and the network still works."""
    found = reduced(net(linear([[1, 2], [1, 2], [3, 1]]), nn.LayerNorm(3), linear(np.zeros((2, 3)), [1, 2])), X)
    assert units(found, "2") == 2


# -- layout -----------------------------------------------------------------------------------


def test_concat_of_one_value_twice():
    """Twins leave from both copies at once."""
    found = reduced(
        Given(lambda m, x: (lambda h: m.last(torch.cat([h, h], 1)))(torch.relu(m.a(x))), a=linear([[1, 2], [2, 4], [3, 1]], [1, 2, 1]), last=linear(read(6))), X
    )
    assert units(found, "a") == 2
    assert found.network.graph.tensors["last.weight"].shape == (2, 4)


def test_concat_with_an_operand_that_leaves():
    """All units of one operand are constant: the concatenation loses the operand, its constants go into the bias."""
    found = reduced(
        Given(
            lambda m, x: m.last(torch.cat([torch.relu(m.a(x)), torch.relu(m.b(x))], 1)),
            a=linear([[1, 2], [3, 1]]),
            b=linear(np.zeros((2, 2)), [1, -1]),
            last=linear(read(4)),
        ),
        X,
    )
    assert (units(found, "a"), units(found, "b")) == (2, 0)
    assert found.network.graph.tensors["last.bias"].tolist() == read(4)[:, 2].tolist()


def test_concat_with_an_input():
    """The input's units are the network's interface: they stay, beside units that leave."""
    found = reduced(Given(lambda m, x: m.last(torch.cat([x, torch.relu(m.a(x))], 1)), a=linear([[1, 2], [1, 2]]), last=linear(read(4))), X)
    assert units(found, "a") == 1
    assert found.network.graph.tensors["last.weight"].shape == (2, 3)


def test_channels_last_and_back():
    """permute carries the units along."""
    found = reduced(Given(lambda m, x: m.last(torch.relu(m.a(x)).permute(0, 2, 3, 1)), a=pointwise([[1, 2], [2, 4]], [1, 2]), last=linear(read(2))), IMAGE)
    assert units(found, "a") == 1


# -- shared weights ---------------------------------------------------------------------------


def test_a_layer_used_twice():
    """One weight, two places: units merge only where both places allow it, and the layer stays one layer."""
    first, shared = linear([[1, 2], [1, 2], [3, 1]], [1, 1, 2]), linear([[1, 2, 3], [1, 2, 3], [4, 5, 7]], [1, 1, 2])
    model = Given(lambda m, x: m.last(torch.relu(m.shared(torch.relu(m.shared(torch.relu(m.first(x))))))), first=first, shared=shared, last=linear(read(3)))
    found = reduced(model, X)
    assert units(found, "first") == 2
    assert found.network.graph.tensors["shared.weight"].shape == (2, 2)
    assert sum(p.numel() for p in found.model.parameters()) == found.network.graph.parameter_count()


def test_a_layer_used_twice_between_other_twins():
    """Twins only before the first use: the second use reads them apart, so they stay."""
    first, shared = linear([[1, 2], [1, 2]], [1, 1]), linear([[1, 2], [4, 5]], [1, 1])
    model = Given(lambda m, x: m.last(torch.relu(m.shared(torch.relu(m.shared(torch.relu(m.first(x))))))), first=first, shared=shared, last=linear(read(2)))
    found = reduced(model, X)
    assert found.network.graph.tensors["shared.weight"].shape == (2, 2)


def tied():
    a, b = linear([[1, 2, 3], [1, 2, 3], [4, 5, 7]], [1, 1, 2]), linear(np.zeros((3, 3)), [1, 1, 2])
    b.weight = a.weight
    first = linear([[1, 2], [1, 2], [3, 1]], [1, 1, 2])
    return Given(lambda m, x: m.last(torch.relu(m.b(torch.relu(m.a(torch.relu(m.first(x))))))), first=first, a=a, b=b, last=linear(read(3)))


def test_a_shared_parameter_stays_shared():
    """Two layers with one Parameter: in the reduced module they share one again."""
    found = reduced(tied(), X)
    assert (units(found, "first"), units(found, "a"), units(found, "b")) == (2, 2, 2)
    model = found.model
    assert model.a.weight is model.b.weight
    assert model.a.weight.shape == (2, 2)


def test_shared_weights_with_other_biases():
    """Equal rows of the shared weight, unequal biases in the second layer: nothing merges behind either."""
    model = tied()
    with torch.no_grad():
        model.b.bias.copy_(torch.tensor([1.0, 2.0, 2.0]))
    found = reduced(model, X)
    assert (units(found, "a"), units(found, "b")) == (3, 3)
    assert found.model.a.weight is found.model.b.weight


# -- inputs and outputs -----------------------------------------------------------------------


def test_equal_outputs_are_not_merged():
    found = reduced(net(linear([[1, 2], [3, 1]]), nn.ReLU(), linear([[1, 2], [1, 2], [0, 0]], [1, 1, 0])), X)
    assert found.network.graph.value("2").shape == (None, 3)
    refused(found.original.graph, {"2": {1: (0, 1, 0)}})


def test_a_hidden_value_that_is_an_output_is_whole():
    """Returned and read on: its twins stay."""
    found = reduced(Given(lambda m, x: (lambda h: (h, m.last(h)))(torch.relu(m.a(x))), a=linear([[1, 2], [1, 2]], [1, 1]), last=linear(read(2))), X)
    assert units(found, "a") == 2


def test_an_input_that_is_an_output():
    found = reduced(Given(lambda m, x: (x, m.last(torch.relu(m.a(x)))), a=linear([[1, 2], [1, 2]], [1, 1]), last=linear(read(2))), X)
    assert units(found, "a") == 1
    assert found.network.graph.outputs[0] == found.network.graph.inputs[0].name


def test_the_input_added_to_the_output():
    """x + f(x): the stream is input and output at once and stays whole; f's hidden twins leave."""
    found = reduced(Given(lambda m, x: x + m.last(torch.relu(m.a(x))), a=linear([[1, 2], [1, 2]], [1, 1]), last=linear([[1, 2], [1, 2]])), X)
    assert (units(found, "a"), units(found, "last")) == (1, 2)


def test_a_network_without_hidden_units():
    found = reduced(net(linear([[1, 2], [1, 2]], [1, 1])), X)
    assert units(found, "0") == 2
    assert found.totals() == {}


def test_two_inputs():
    """Units of several inputs stay; hidden twins over their sum leave."""
    found = reduced(TwoInputs(), X, torch.zeros(2, 3))
    assert units(found, "a") == 1
    assert [v.shape for v in found.network.graph.inputs] == [(None, 2), (None, 3)]


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.last = linear([[1, 2], [2, 4]]), linear([[1, 2, 3], [2, 4, 6]]), linear(read(2))

    def forward(self, x, y):
        return self.last(torch.relu(self.a(x) + self.b(y)))


class TwoConcatenated(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.last = linear([[1, 2], [2, 4]]), linear([[1, 2, 0, 0, 0], [3, 5, 0, 0, 0]])

    def forward(self, x, y):
        return self.last(torch.cat([torch.relu(self.a(x)), y], 1))


def test_equal_columns_of_the_input_prove_nothing():
    """Two inputs that happen to be equal in the data are different inputs."""
    found = reduced(net(linear([[1, 1], [2, 2.5]]), nn.ReLU(), linear(read(2))), X)
    assert units(found, "0") == 2
    accepted(found.original.graph, {})
    refused(found.original.graph, {"0": {1: (0, 2, 0)}, "1": {1: (0, 2, 0)}})


# -- layers left with nothing to read -----------------------------------------------------------


def test_a_gate_that_ignores_its_input_is_a_stored_number():
    """The gate's rows cancel over the twins of the stem; its sigmoid is irrational, so it stays, but reads nothing."""
    stem, gate = linear([[1, 2], [1, 2]], [1, 1]), linear([[1, -1], [2, -2]], [1, 3])
    model = Given(lambda m, x: m.last(torch.relu(m.stem(x)) * torch.sigmoid(m.gate(torch.relu(m.stem(x))))), stem=stem, gate=gate, last=linear(read(2)))
    found = reduced(model, X)
    assert kinds(found)["gate"] == "constant"
    assert found.network.graph.value("gate").shape == (None, 2)
    assert units(found, "stem") == 2


def test_a_network_that_ignores_its_input_is_its_output():
    """relu(-1 - relu(x)) is 0 only where relu is known; here the rows cancel, and one stored row is left."""
    model = Given(lambda m, x: m.last(torch.relu(m.stem(x))), stem=linear([[1, 2], [1, 2]], [1, 1]), last=linear([[3, -3], [1, -1]], [5, 7]))
    found = reduced(model, X)
    assert list(kinds(found).values()) == ["constant"]
