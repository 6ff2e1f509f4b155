"""Traps about activations: which scales and signs pass, and which constants leave."""

from __future__ import annotations

from fractions import Fraction as F

import pytest
import torch
from torch import nn
from trap import accepted, linear, mlp, net, pointwise, read, reduced, refused, units

import lumpnet

X = torch.zeros(2, 2)

ACTIVATIONS: dict[str, tuple[nn.Module, dict[float, tuple[float, float]]]] = {
    "relu": (nn.ReLU(), {2.0: (2, 0), 0.25: (0.25, 0)}),
    "leaky_relu": (nn.LeakyReLU(0.125), {2.0: (2, 0), 0.25: (0.25, 0)}),
    "tanh": (nn.Tanh(), {-1.0: (-1, 0)}),
    "sigmoid": (nn.Sigmoid(), {-1.0: (-1, 1)}),
    "hardtanh": (nn.Hardtanh(), {-1.0: (-1, 0)}),
    "hardtanh from -1 to 2": (nn.Hardtanh(-1, 2), {}),
    "relu6": (nn.ReLU6(), {}),
    "gelu": (nn.GELU(), {}),
    "gelu by tanh": (nn.GELU("tanh"), {}),
    "silu": (nn.SiLU(), {}),
    "softsign": (nn.Softsign(), {-1.0: (-1, 0)}),
    "hard sigmoid": (nn.Hardsigmoid(), {-1.0: (-1, 1)}),
    "hard swish": (nn.Hardswish(), {}),
    "elu": (nn.ELU(), {}),
    "selu": (nn.SELU(), {}),
    "celu": (nn.CELU(), {}),
    "softplus": (nn.Softplus(), {}),
    "mish": (nn.Mish(), {}),
    "logsigmoid": (nn.LogSigmoid(), {}),
    "identity": (nn.Identity(), {2.0: (2, 0), 0.25: (0.25, 0), -1.0: (-1, 0), -2.0: (-2, 0)}),
}
"""For each scale of the operand the (scale, offset) behind the activation; scales not listed do not pass."""


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_only_the_scales_of_the_rule_pass(name):
    """Operand scales 2, 1/4, -1, -2: what passes merges, what does not is refused when forged."""
    activation, passes = ACTIVATIONS[name]
    row, bias = [0.5, -1.25], 0.75
    graph = lumpnet.network.lift(mlp([row, row], [bias, bias], activation), X)
    for rho in (2.0, 0.25, -1.0, -2.0):
        tensors = dict(graph.graph.tensors)
        tensors["0.weight"], tensors["0.bias"] = tensors["0.weight"].copy(), tensors["0.bias"].copy()
        tensors["0.weight"][1] *= rho
        tensors["0.bias"][1] *= rho
        g = graph.graph
        given = lumpnet.Network(type(g)(g.inputs, g.nodes, g.outputs, tensors, g.buffers, g.notes))
        found = reduced(given)
        assert units(found, "0") == (1 if rho in passes else 2), rho
        scale, offset = passes.get(rho, (rho, 0))
        (accepted if rho in passes else refused)(given.graph, {"0": {1: (0, F(rho), 0)}, "1": {1: (0, F(scale), F(offset))}})


@pytest.mark.parametrize("name", [name for name, (_, passes) in ACTIVATIONS.items() if name != "identity"])
def test_no_offset_passes_a_nonlinear_activation(name):
    activation, _ = ACTIVATIONS[name]
    found = reduced(mlp([[0.5, -1.25], [0.5, -1.25]], [0.75, 1.75], activation), X)
    assert units(found, "0") == 2
    refused(found.original.graph, {"0": {1: (0, 1, 1)}, "1": {1: (0, 1, 1)}})


def test_offsets_pass_the_identity():
    """Between two linear layers an offset goes into the bias."""
    found = reduced(mlp([[0.5, -1.25], [1.0, -2.5]], [0.75, 1.75], nn.Identity()), X)
    assert units(found, "0") == 1
    assert found.totals() == {"affine": 1}


def test_a_sigmoid_and_its_mirror():
    """sigmoid(-u) = 1 - sigmoid(u): the offset 1 goes into the bias of the next layer; counted where the units are."""
    model = mlp([[0.5, 2.0], [-0.5, -2.0]], [1, -1], nn.Sigmoid())
    found = reduced(model, X)
    assert units(found, "0") == 1
    folded = found.network.graph.tensors["2.bias"].tolist()
    assert folded == [1 + read(2)[0, 1], 2 + read(2)[1, 1]]
    refused(found.original.graph, {"0": {1: (0, -1, 0)}, "1": {1: (0, -1, 0)}})
    refused(found.original.graph, {"0": {1: (0, -1, 0)}, "1": {1: (0, 1, 0)}})


CONSTANTS = [
    (nn.ReLU(), 3.0, 3.0),
    (nn.ReLU(), -3.0, 0.0),
    (nn.LeakyReLU(0.125), -2.0, -0.25),
    (nn.Tanh(), 0.0, 0.0),
    (nn.Tanh(), 1.0, None),
    (nn.Sigmoid(), 0.0, 0.5),
    (nn.Sigmoid(), 1.0, None),
    (nn.GELU(), 0.0, 0.0),
    (nn.GELU(), 1.0, None),
    (nn.SiLU(), 0.0, 0.0),
    (nn.SiLU(), -1.0, None),
    (nn.ReLU6(), 7.0, 6.0),
    (nn.ReLU6(), -1.0, 0.0),
    (nn.Hardtanh(), -5.0, -1.0),
    (nn.Hardtanh(-1, 2), 1.5, 1.5),
    (nn.Softsign(), -3.0, -0.75),
    (nn.ELU(), 2.0, 2.0),
    (nn.ELU(), -2.0, None),
    (nn.CELU(), 2.0, 2.0),
    (nn.SELU(), 2.0, None),
    (nn.SELU(), 0.0, 0.0),
    (nn.Softplus(threshold=2), 3.0, 3.0),
    (nn.Softplus(threshold=2), 2.0, None),
    (nn.Hardswish(), 5.0, 5.0),
    (nn.Hardswish(), -1.5, -0.375),
    (nn.Hardsigmoid(), 0.0, 0.5),
    (nn.Hardsigmoid(), 1.0, None),
    (nn.Mish(), 0.0, 0.0),
    (nn.LogSigmoid(), 0.0, None),
]


@pytest.mark.parametrize(("activation", "before", "after"), CONSTANTS, ids=lambda v: type(v).__name__ if isinstance(v, nn.Module) else str(v))
def test_constants_leave_where_their_image_is_rational(activation, before, after):
    """c becomes f(c); where f(c) is no rational the unit stays."""
    found = reduced(mlp([[0, 0], [1, 2]], [before, 1], activation), X)
    assert units(found, "0") == (2 if after is None else 1)
    graph = found.original.graph
    if after is not None:
        accepted(graph, {"0": {0: F(before)}, "1": {0: F(after)}})
        refused(graph, {"0": {0: F(before)}, "1": {0: F(after) + 1}})
    else:
        refused(graph, {"0": {0: F(before)}, "1": {0: F(float(activation(torch.tensor(before, dtype=torch.float64))))}})


def test_the_slope_is_the_kernels():
    """0.01 in the code is float32(0.01) in the kernel: a constant -1 becomes exactly that."""
    found = reduced(mlp([[0, 0], [1, 2]], [-1, 1], nn.LeakyReLU(0.01)), X, dtype="float64")
    assert units(found, "0") == 1
    refused(found.original.graph, {"0": {0: -1}, "1": {0: -F(0.01)}})


def test_two_activations_in_a_row():
    """Scale 2 passes the ReLU but not the tanh behind it; scale -1 the other way round."""
    for activation in (nn.Sequential(nn.ReLU(), nn.Tanh()), nn.Sequential(nn.Tanh(), nn.ReLU())):
        for rho in (2.0, -1.0):
            model = net(linear([[1, 2], [rho, 2 * rho]], [3, 3 * rho]), *activation, linear(read(2)))
            assert units(reduced(model, X), "0") == 2


def test_dropout_stays_for_training():
    """Dropout is the identity in evaluation, so units merge through it; the reduced module still drops while training."""
    found = reduced(mlp([[1, 2], [2, 4], [3, 1]], [1, 2, 1], nn.Sequential(nn.ReLU(), nn.Dropout(0.5))), X)
    assert units(found, "0") == 2
    model = found.model
    drops = [m for m in model.modules() if isinstance(m, nn.Dropout)]
    assert [m.p for m in drops] == [0.5]
    x = torch.randn(1, 2).abs() + 1
    assert torch.equal(model.eval()(x), model(x))
    model.train()
    torch.manual_seed(0)
    assert len({tuple(model(x).detach().flatten().tolist()) for _ in range(20)}) > 1


def test_softmax_of_positions_forgets_what_is_added():
    """Unit by unit: offsets cancel, constants become equal shares, scales stay apart; over the units nothing merges."""
    rows, bias = [[1, 2], [1, 2], [2, 4], [0, 0], [0, 0]], [1, 4, 2, 7, -3]
    for axis, left in ((2, 2), (3, 2), (1, 5)):
        found = reduced(net(pointwise(rows, bias), nn.Softmax(axis), pointwise(read(5), [1, 2])), torch.zeros(2, 2, 3, 4))
        assert units(found, "0") == left
        if axis > 1:
            accepted(found.original.graph, {"0": {1: (0, 1, 3)}, "1": {1: (0, 1, 0)}})
            refused(found.original.graph, {"0": {1: (0, 1, 3)}, "1": {1: (0, 1, 3)}})
            refused(found.original.graph, {"0": {2: (0, 2, 0)}, "1": {2: (0, 2, 0)}})


def test_units_around_normalisations_stay():
    """Copies in front of them are read by the normalisation itself; every one is named."""
    for layer in (nn.GroupNorm(1, 2), nn.InstanceNorm2d(2, affine=True), nn.LayerNorm((2, 3, 4))):
        found = reduced(net(pointwise([[1, 2], [1, 2]], [1, 1]), layer, pointwise(read(2), [1, 2])), torch.zeros(2, 2, 3, 4))
        assert units(found, "0") == 2
        assert [reason.split()[0] for _, reason in found.pinned] == [type(layer).__name__.removesuffix("Norm2d").removesuffix("Norm").lower()]
