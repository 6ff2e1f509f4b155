"""Graphs that no module wrote, training, and the tree of modules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from lumpnet.errors import GraphError
from lumpnet.ir import Graph, Module, Node, Value, network_bytes
from lumpnet.lift.torch import lift_module
from lumpnet.lower.torch import lower_graph
from lumpnet.lower.torch.step import Step


def node(name, kind, inputs, shape, attrs=None, params=None, module=None, dtype="float32"):
    return Node(Value(name, (None, *shape), dtype), kind, tuple(inputs), attrs or {}, params or {}, module)


def numbers(*shape, dtype=np.float32):
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(dtype)


def reduced():
    """What a reduction may leave: identities, constants, a lone concat operand, a bias that was not there, a functional batch norm."""
    vector = {"axis": 1}
    conv = {"stride": [1, 1], "padding": [1, 1], "dilation": [1, 1], "groups": 1}
    pool = {"kernel": [2, 2], "stride": [2, 2], "padding": [0, 0], "ceil_mode": False, "count_include_pad": True, "divisor_override": 3}
    nodes = (
        node("a.conv", "conv", ["x"], (3, 4, 4), conv, {"weight": "a.conv.weight", "bias": "a.conv.bias"}, Module("a.conv", "Conv2d")),
        node(
            "a.bn",
            "batch_norm",
            ["a.conv"],
            (3, 4, 4),
            {"eps": 0.5, "momentum": 0.2},
            {"mean": "a.bn.running_mean", "var": "a.bn.running_var", "bias": "a.bn.bias"},
        ),
        node("a.add", "identity", ["a.bn"], (3, 4, 4)),
        node("a.add_1", "add_constant", ["a.add"], (3, 4, 4), vector, {"term": "a.add_1.term"}),
        node("a.mul", "mul_constant", ["a.add_1"], (3, 4, 4), {"axis": 2}, {"factor": "a.mul.factor"}),
        node("a.cat", "concat", ["a.mul"], (3, 4, 4), vector),
        node("drop", "dropout", ["a.cat"], (3, 4, 4), {"p": 0.5}),
        node("pool", "avg_pool", ["drop"], (3, 2, 2), pool, {}, Module("pool", "AvgPool2d")),
        node("flat", "reshape", ["pool"], (12,), {"shape": [12]}, {}, Module("flat", "Flatten")),
        node("fc", "linear", ["flat"], (2,), {}, {"weight": "fc.weight", "bias": "fc.bias"}, Module("fc", "Linear")),
        node("twin", "linear", ["flat"], (2,), {}, {"weight": "fc.weight@twin"}, Module("twin", "Linear")),
        node("tied", "linear", ["flat"], (2,), {}, {"weight": "fc.weight"}, Module("tied", "Linear")),
        node("held", "constant", ["x"], (2,), {"shape": [2], "axis": 1}, {"value": "held.value"}),
        node("gate", "constant", ["x"], (2, 3), {"shape": [2, 3], "axis": 2}, {"value": "gate.value"}),
        node("sum", "add", ["fc", "twin"], (2,)),
        node("all", "add", ["sum", "held"], (2,)),
    )
    tensors = {
        "a.conv.weight": numbers(3, 2, 3, 3),
        "a.conv.bias": numbers(3),
        "a.bn.running_mean": numbers(3),
        "a.bn.running_var": np.ones(3, np.float32),
        "a.bn.bias": numbers(3),
        "a.add_1.term": numbers(3),
        "a.mul.factor": numbers(4),
        "fc.weight": numbers(2, 12),
        "fc.bias": numbers(2),
        "fc.weight@twin": numbers(2, 12),
        "held.value": numbers(2),
        "gate.value": numbers(3),
    }
    buffers = frozenset({"a.bn.running_mean", "a.bn.running_var"})
    return Graph((Value("x", (None, 2, 4, 4)),), nodes, ("sum", "tied", "all", "gate"), tensors, buffers, ("a note",))


def test_a_reduced_graph_survives_lowering_and_lifting():
    graph = reduced()
    net = lower_graph(graph)
    again = lift_module(net, (torch.randn(2, 2, 4, 4),))
    assert type(net.fc) is type(net.tied) is nn.Linear
    assert net.fc.weight is net.tied.weight
    assert again.nodes == graph.nodes
    assert network_bytes(again) == network_bytes(graph)


def test_layers_come_back_as_their_own_type(lifted):
    net = lifted("resnet").lowered
    assert type(net.get_submodule("layer1.0.conv1")) is nn.Conv2d
    assert type(net.get_submodule("layer1.0.bn1")) is nn.BatchNorm2d
    assert type(net.get_submodule("layer1.0.add")) is Step
    assert set(net.state_dict()) == set(lifted("resnet").module.state_dict())


def test_a_double_network():
    weight = numbers(2, 3, dtype=np.float64)
    fc = node("fc", "linear", ["x"], (2,), {}, {"weight": "fc.weight"}, Module("fc", "Linear"), "float64")
    graph = Graph((Value("x", (None, 3), "float64"),), (fc,), ("fc",), {"fc.weight": weight})
    net = lower_graph(graph)
    assert net.fc.weight.dtype == torch.float64
    assert network_bytes(lift_module(net, (torch.randn(2, 3, dtype=torch.float64),))) == network_bytes(graph)


@pytest.mark.parametrize("name", ["cnn", "resnet", "functional", "tied", "transformer"])
def test_training(lifted, name):
    """A step moves every parameter that matters, batch statistics follow, dropout draws, and the original is untouched."""
    sample = lifted(name)
    net = lower_graph(sample.graph).train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    inputs = tuple(torch.randn(8, *x.shape[1:]) for x in sample.inputs)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    out = net(*inputs)
    out.square().sum().backward()
    optimizer.step()
    after = net.state_dict()
    for key, tensor in after.items():
        if key.rpartition(".")[2] in ("running_mean", "running_var", "num_batches_tracked"):
            assert not torch.equal(before[key], tensor)
    assert any(not torch.equal(before[k], v) for k, v in after.items() if k in dict(net.named_parameters()))
    assert all(p.grad is not None for p in net.parameters())
    assert network_bytes(lift_module(sample.module, sample.inputs)) == network_bytes(sample.graph)


def test_dropout_draws_in_training(lifted):
    net = lower_graph(lifted("mlp").graph).train()
    x = torch.randn(64, 6)
    assert not torch.equal(net(x), net(x))


def test_wrong_number_of_inputs(lifted):
    with pytest.raises(GraphError, match=r"called with 0 inputs.*Expected 1: x"):
        lower_graph(reduced())()


def test_unknown_kinds_are_named():
    graph = Graph((Value("x", (None, 3)),), (node("odd", "frobnicate", ["x"], (3,)),), ("odd",), {})
    with pytest.raises(GraphError, match="node 'odd': nothing runs the kind 'frobnicate'"):
        lower_graph(graph)


@pytest.mark.parametrize("target", ["aten.no_such_thing.default", "aten.add_.Tensor"])
def test_opaque_calls_are_functions_that_exist(target):
    call = {"target": target, "args": [{"input": 0}, 1], "kwargs": {}, "output": None}
    net = lower_graph(Graph((Value("x", (None, 3)),), (node("call", "opaque", ["x"], (3,), call),), ("call",), {}))
    with pytest.raises(GraphError, match=f"operator {target}"):
        net(torch.randn(2, 3))
