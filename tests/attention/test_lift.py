"""Attention in all its spellings becomes linear layers and one attention; what only looks like it does not."""

from __future__ import annotations

import math
from collections import Counter
from functools import cache

import pytest
import torch

from lumpnet.lift.torch import lift_module
from lumpnet.lower.torch import lower_graph
from lumpnet.network import lift
from tests.attention.forms import FORMS, HEADS, OTHERS, TOKENS, WIDTH, build


@cache
def outputs(name):
    module = build((FORMS | OTHERS)[name])
    x = torch.randn(2, TOKENS, WIDTH)
    network = lift(module, x)
    lowered = lower_graph(network.graph)
    return module, network, lowered


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_lifted(name):
    _, network, _ = outputs(name)
    count = Counter(n.kind for n in network.graph.nodes)
    assert count["attention"] == 1
    opaque = {n.attrs["target"] for n in network.graph.nodes if n.kind == "opaque"}
    assert opaque <= {"aten.layer_norm.default"}
    assert not count["reshape"] + count["permute"] or name == "over features instead of tokens"


@pytest.mark.parametrize("name", FORMS)
def test_it_computes_the_same_for_every_batch(name):
    module, _, lowered = outputs(name)
    for batch in (1, 2, 3, 5):
        x = torch.randn(batch, TOKENS, WIDTH)
        torch.testing.assert_close(lowered(x), module(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [*FORMS, *OTHERS])
def test_lifting_the_lowered_network_gives_the_same_file(name):
    _, network, lowered = outputs(name)
    assert lift(lowered, torch.randn(2, TOKENS, WIDTH)).data == network.data


@pytest.mark.parametrize("name", OTHERS)
def test_what_only_looks_like_attention_is_none(name):
    module, network, lowered = outputs(name)
    assert "attention" not in {n.kind for n in network.graph.nodes}
    x = torch.randn(3, TOKENS, WIDTH)
    torch.testing.assert_close(lowered(x), module(x), rtol=1e-5, atol=1e-6)


def node(name):
    return next(n for n in outputs(name)[1].graph.nodes if n.kind == "attention")


def test_attributes_are_those_of_the_call():
    assert node("torch").attrs == {"heads": HEADS, "kv_heads": HEADS, "scale": 0.5, "causal": False}
    assert node("chunk").attrs["causal"]
    assert node("masked by a buffer").attrs == {"heads": HEADS, "kv_heads": HEADS, "scale": 0.5, "causal": True}
    assert node("masked by a sum").attrs == {"heads": HEADS, "kv_heads": HEADS, "scale": 1.0, "causal": True}
    assert node("grouped").attrs == {"heads": 4, "kv_heads": 2, "scale": 0.25, "causal": True}
    assert node("single").attrs == {"heads": 1, "kv_heads": 1, "scale": 0.5, "causal": False}


def test_the_default_scale_is_rounded_as_the_kernel_does():
    class Net(torch.nn.Module):
        def forward(self, x):
            return torch.nn.functional.scaled_dot_product_attention(x, x, x)

    for dtype in (torch.float32, torch.float64):
        (found,) = lift_module(Net(), (torch.randn(2, 4, 3, dtype=dtype),)).nodes
        assert found.attrs["scale"] == float(torch.tensor(1 / math.sqrt(3), dtype=dtype))


def test_the_state_keeps_its_names():
    module, network, lowered = outputs("torch")
    assert set(network.graph.tensors) == set(module.state_dict())
    assert set(lowered.state_dict()) == set(module.state_dict())


def test_a_value_that_is_also_read_elsewhere_keeps_its_node():
    """The heads side by side and the heads apart: the layout is a node for its other reader."""

    class Net(torch.nn.Module):
        def forward(self, x):
            q = x.view(x.shape[0], TOKENS, HEADS, -1).transpose(1, 2)
            y = torch.nn.functional.scaled_dot_product_attention(q, q, q)
            return y.transpose(1, 2).reshape(x.shape[0], TOKENS, WIDTH), q.relu()

    graph = lift_module(Net(), (torch.randn(2, TOKENS, WIDTH),))
    assert [n.kind for n in graph.nodes] == ["reshape", "permute", "attention", "relu"]
    assert graph.outputs == ("attention", "relu")
    assert [n.inputs for n in graph.nodes][2] == ("x", "x", "x")


def test_an_output_that_is_an_arrangement_is_made():
    class Net(torch.nn.Module):
        def forward(self, x):
            return torch.nn.functional.scaled_dot_product_attention(x, x, x)

    graph = lift_module(Net(), (torch.randn(2, HEADS, TOKENS, 3),))
    assert [n.kind for n in graph.nodes] == ["permute", "reshape", "attention", "reshape", "permute"]


def test_regions_that_do_not_come_back_are_one_call_as_before():
    """A sine between the transpositions: nothing is an arrangement any more, and the linear layer in it is part of the call."""

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = torch.nn.Linear(4, 4)

        def forward(self, x):
            return self.fc(x.transpose(0, 1)).sin().transpose(0, 1)

    (only,) = lift_module(Net(), (torch.randn(2, 3, 4),)).nodes
    assert [c["target"] for c in only.attrs["args"]] == ["aten.transpose.int", "aten.linear.default", "aten.sin.default", "aten.transpose.int"]
