"""torch -> graph -> ONNX -> graph is the identity, and what is written computes what torch computes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from oracle import evaluated

sys.path.insert(0, str(Path(__file__).parents[1] / "lift"))
from lift_models import MODELS, build

from lumpnet.errors import GraphError, LiftError
from lumpnet.ir import Graph, Module, Node, Value, graph_json, network_bytes
from lumpnet.lift.onnx import lift_onnx
from lumpnet.lift.torch import lift_module
from lumpnet.lower.onnx import model_bytes, model_of
from lumpnet.lower.torch import lower_graph


def lifted(name: str) -> tuple[torch.nn.Module, tuple[torch.Tensor, ...], Graph]:
    module, inputs = build(name)
    return module, inputs, lift_module(module, inputs)


def writable(graph: Graph) -> bool:
    return not any(n.kind == "opaque" for n in graph.nodes)


@pytest.mark.parametrize("name", MODELS)
def test_the_graph_comes_back_as_it_was(name: str) -> None:
    module, inputs, graph = lifted(name)
    if not writable(graph):
        with pytest.raises(LiftError, match="is an operator of PyTorch"):
            model_bytes(graph)
        return
    data = model_bytes(graph)
    again = lift_onnx(data)
    assert graph_json(again) == graph_json(graph)
    assert network_bytes(again) == network_bytes(graph)
    assert model_bytes(again) == data
    outputs = module(*inputs)
    expected = [t.detach().numpy() for t in (outputs if isinstance(outputs, tuple) else (outputs,))]
    found = evaluated(data, {v.name: t.numpy() for v, t in zip(graph.inputs, inputs, strict=True)})
    assert found is not None
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [n for n in MODELS if n not in ("double", "cnn")])
def test_without_annotations_the_function_is_the_same(name: str) -> None:
    """What the annotations say is only how it is said."""
    _, inputs, graph = lifted(name)
    if not writable(graph):
        pytest.skip("holds operators of PyTorch")
    model = model_of(graph)
    del model.metadata_props[:]
    data = model_bytes(lift_onnx(model.SerializeToString()))
    feeds = {v.name: t.numpy() for v, t in zip(graph.inputs, inputs, strict=True)}
    for a, b in zip(evaluated(data, feeds) or [], evaluated(model_bytes(graph), feeds) or [], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_annotations_that_lie_are_not_believed() -> None:
    """A file that says it is tanh where relu stands is relu."""
    graph = Graph((Value("x", (None, 3)),), (Node(Value("y", (None, 3)), "relu", ("x",), module=Module("a", "ReLU")),), ("y",), {})
    model = model_of(graph)
    model.metadata_props[0].value = model.metadata_props[0].value.replace('"kind":"relu"', '"kind":"tanh"')
    again = lift_onnx(model.SerializeToString())
    assert [n.kind for n in again.nodes] == ["relu"]
    assert again.nodes[0].module == Module("a", "ReLU")


@pytest.mark.parametrize("change", [("0.25", "0.75"), ('"x"', '"z"'), ('"format":1', '"format":2'), ('"nodes":{', '"nodes":{"y":3,"z":')])
def test_annotations_that_are_broken_change_no_function(change: tuple[str, str]) -> None:
    graph = Graph((Value("x", (None, 3)),), (Node(Value("y", (None, 3)), "leaky_relu", ("x",), {"slope": 0.25}),), ("y",), {})
    model = model_of(graph)
    text = model.metadata_props[0].value
    assert change[0] in text
    model.metadata_props[0].value = text.replace(*change)
    (node,) = lift_onnx(model.SerializeToString()).nodes
    assert (node.kind, dict(node.attrs)) == ("leaky_relu", {"slope": 0.25})


def test_names_that_meet_are_told_apart() -> None:
    """A value and a tensor of one name, names with the writer's mark, an input that is an output, an output given twice."""
    x = Value("x", (None, 2))
    nodes = (
        Node(Value("w", (None, 2)), "linear", ("x",), {}, {"weight": "w", "bias": "b#0"}),
        Node(Value("y#1", (None, 2)), "silu", ("w",)),
        Node(Value("dead", (None, 2)), "relu", ("w",)),
    )
    tensors = {"w": np.eye(2, dtype=np.float32), "b#0": np.ones(2, np.float32)}
    graph = Graph((x,), nodes, ("y#1", "x", "y#1"), tensors, frozenset({"b#0"}), ("a note",))
    data = model_bytes(graph)
    assert network_bytes(lift_onnx(data)) == network_bytes(graph)
    (y, same, twice) = evaluated(data, {"x": np.array([[1, -1]], np.float32)}) or [None] * 3
    np.testing.assert_array_equal(same, [[1, -1]])
    np.testing.assert_array_equal(y, twice)


def test_the_model_is_valid_and_its_operators_are_the_nodes() -> None:
    _, _, graph = lifted("resnet")
    model = model_of(graph)
    onnx.checker.check_model(model, full_check=True)
    assert {n.output[0] for n in model.graph.node} >= {n.name for n in graph.nodes}
    assert sum(n.op_type == "BatchNormalization" for n in model.graph.node) == sum(n.kind == "batch_norm" for n in graph.nodes)


def test_operators_of_onnx_have_no_torch_module() -> None:
    node = onnx.helper.make_node("Hardmax", ["x"], ["y"])
    infos = [onnx.helper.make_tensor_value_info(n, 1, ["N", 3]) for n in "xy"]
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", infos[:1], infos[1:]), opset_imports=[onnx.helper.make_opsetid("", 21)])
    graph = lift_onnx(model.SerializeToString())
    with pytest.raises(GraphError, match="onnx::Hardmax"):
        lower_graph(graph)
    assert network_bytes(lift_onnx(model_bytes(graph))) == network_bytes(graph)
