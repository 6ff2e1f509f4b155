"""Laws that hold for every model: lowering computes the same floats, and lifting it again gives the same file."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
import torch

from lumpnet.ir import graph_json, network_bytes
from lumpnet.lift.torch import lift_module
from lumpnet.lower.torch import LoweredNetwork, lower_graph


def outputs(module, inputs):
    out = module(*inputs)  # with gradients: torch's encoder layers have a fused path without
    return out if isinstance(out, tuple) else (out,)


def same(one, two, inputs):
    return all(torch.equal(a, b) for a, b in zip(outputs(one, inputs), outputs(two, inputs), strict=True))


def other_batch(inputs, size=5):
    return tuple(torch.randint(0, 11, (size, *x.shape[1:])) if not x.is_floating_point() else torch.randn(size, *x.shape[1:], dtype=x.dtype) for x in inputs)


def test_the_lowered_network_computes_the_same_floats(sample):
    """Around an attention, tokens and batch change places: matrices are multiplied in other blocks."""
    moved = any(node.kind == "attention" for node in sample.graph.nodes)
    for inputs in (sample.inputs, other_batch(sample.inputs), other_batch(sample.inputs, 1)):
        assert moved or same(sample.module, sample.lowered, inputs)
        for a, b in zip(outputs(sample.module, inputs), outputs(sample.lowered, inputs), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_lifting_the_lowered_network_gives_the_same_file(sample):
    assert network_bytes(lift_module(sample.lowered, sample.inputs)) == network_bytes(sample.graph)


@pytest.mark.parametrize("name", ["mlp", "tied", "functional"])
def test_lifting_twice_gives_the_same_file(lifted, name):
    sample = lifted(name)
    assert network_bytes(lift_module(sample.module, sample.inputs)) == network_bytes(sample.graph)


def test_declared_shapes_are_the_computed_ones(sample):
    for name, value in zip(sample.graph.outputs, outputs(sample.lowered, other_batch(sample.inputs)), strict=True):
        declared = sample.graph.value(name)
        assert (5, *declared.shape[1:]) == tuple(value.shape)
        assert f"torch.{declared.dtype}" == str(value.dtype)


def test_the_graph_is_plain_json(sample):
    data = graph_json(sample.graph)
    assert json.loads(json.dumps(data, allow_nan=False)) == data


def test_the_state_keeps_its_names_where_layers_stay(sample):
    names = set(sample.lowered.state_dict())
    assert set(sample.graph.tensors) <= names
    kept = {k for k in names if k in sample.module.state_dict()}
    assert all(torch.equal(sample.lowered.state_dict()[k], sample.module.state_dict()[k]) for k in kept)


def test_state_dicts_load_strictly_between_copies(sample):
    other = lower_graph(sample.graph)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1)
    other.load_state_dict(sample.lowered.state_dict(), strict=True)
    assert same(sample.lowered, other, sample.inputs)


def test_pickle_and_deepcopy(sample):
    for twin in (pickle.loads(pickle.dumps(sample.lowered)), copy.deepcopy(sample.lowered)):
        assert isinstance(twin, LoweredNetwork)
        assert same(sample.lowered, twin, sample.inputs)
        assert all(p is not q for p, q in zip(twin.parameters(), sample.lowered.parameters(), strict=True))


def test_it_can_be_moved_and_converted(sample):
    twin = copy.deepcopy(sample.lowered).double()
    inputs = tuple(x.double() if x.is_floating_point() else x for x in sample.inputs)
    assert all(out.dtype in (torch.float64, torch.int64) for out in outputs(twin, inputs))
    meta = copy.deepcopy(sample.lowered).to("meta")
    shapes = [out.shape for out in outputs(meta, tuple(x.to("meta") for x in sample.inputs))]
    assert shapes == [out.shape for out in outputs(sample.lowered, sample.inputs)]


@pytest.mark.parametrize("name", ["cnn", "tied"])
def test_lifting_leaves_the_module_alone(lifted, name):
    sample = lifted(name)
    module = copy.deepcopy(sample.lowered).train()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    lift_module(module, sample.inputs)
    assert module.training
    assert all(torch.equal(before[k], v) for k, v in module.state_dict().items())
