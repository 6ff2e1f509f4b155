"""What cannot be lifted says where, what was found and what to try."""

from __future__ import annotations

import pytest
import torch
from test_lift import Given
from torch import nn
from torch.nn import functional as F

from lumpnet.errors import GraphError, LiftError
from lumpnet.ir import Graph, Node, Value
from lumpnet.lift.torch import lift_module
from lumpnet.lower.torch import lower_graph


def count(m, x):
    m.n.add_(1)
    return x * 1.5


CASES = {
    "control flow": (lambda m, x: x if x.sum() > 0 else -x, "torch.export stopped .*data-dependent.*Try: replace control flow"),
    "cond": (lambda m, x: torch.cond(x.sum() > 0, lambda y: y + 1, lambda y: y - 1, (x,)), "export kept cond.*Try: replace torch.cond"),
    "item": (lambda m, x: x * x.max().item(), "a number is computed.*Try: compute with tensors"),
    "fixed batch": (lambda m, x: x.view(2, 2, 2), "torch.export stopped .*every batch size on axis 0"),
    "random": (lambda m, x: x + torch.rand_like(x), "rand_like.* draws random numbers.*Try: make the layer deterministic"),
    "dropout": (lambda m, x: F.dropout(x, 0.5, True), "draws random numbers"),
    "counter": (count, "forward changes 'n'.*Try: do not write to buffers"),
    "dict": (lambda m, x: {"a": x + 1}, "forward returns dict.*Try: wrap the module"),
    "list": (lambda m, x: [x + 1, x], "forward returns list"),
    "no batch": (lambda m, x: x.mean(), r"shape \(\) does not keep the batch on axis 0"),
    "flat batch": (lambda m, x: x.flatten(), "does not keep the batch on axis 0.*Try: move the batch back"),
    "parameter": (lambda m, x: m.n * 1.0, "the output .* is no value with the batch"),
    "two dtypes": (lambda m, x: x.double() + 1, r"dtype is float64.*one dtype throughout, float32.*Try: .*\.double\(\)"),
    "half": (lambda m, x: x.half(), "dtype is float16"),
}


@pytest.mark.parametrize("name", CASES)
def test_refusal(name):
    function, words = CASES[name]
    with pytest.raises(LiftError, match=f"(?s){words}"):
        lift_module(Given(function, n=torch.zeros(())), (torch.randn(2, 4),))


def test_layers_are_named():
    net = nn.Sequential(nn.Linear(4, 3), Given(lambda m, x: x + torch.rand_like(x)))
    with pytest.raises(LiftError, match=r"^layer '1' \(Given\): the operator"):
        lift_module(net, (torch.randn(2, 4),))


def test_batch_norm_without_statistics():
    net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3, track_running_stats=False))
    with pytest.raises(LiftError, match=r"layer '1': .*statistics of the batch.*Try: train with track_running_stats=True"):
        lift_module(net, (torch.randn(2, 4),))


def test_batch_norm_with_negative_variance():
    bn = nn.BatchNorm1d(3)
    nn.init.constant_(bn.running_var, -1e-5)
    with pytest.raises(LiftError, match=r"var \+ eps is not positive"):
        lift_module(nn.Sequential(bn), (torch.randn(2, 3),))


def test_parameters_that_are_no_numbers():
    layer = nn.Linear(2, 2)
    nn.init.constant_(layer.weight, float("nan"))
    with pytest.raises(GraphError, match="'weight': it holds NaN"):
        lift_module(layer, (torch.randn(2, 2),))


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ((), "not a tuple of tensors"),
        (([1.0],), "not a tuple of tensors"),
        ((torch.tensor(1.0),), "no axes"),
        ((torch.randn(2, 4).half(), torch.randn(2, 4).double()), "float16 beside float64"),
        ((torch.randn(2, 4).to(torch.float8_e5m2),), r"float8.*lift module\.float\(\)"),
        ((torch.randn(2, 4), torch.randn(3, 4)), r"batch sizes \[2, 3\]"),
        ((torch.randn(2, 4), torch.randn(2, 4)), "forward does not accept 2 tensors"),
    ],
)
def test_bad_examples(inputs, words):
    with pytest.raises(LiftError, match=words):
        lift_module(nn.Linear(4, 2), inputs)


def test_modules_that_cannot_be_copied():
    net = nn.Linear(2, 2)
    net.handle = open(__file__)  # noqa: SIM115
    with net.handle, pytest.raises(LiftError, match=r"cannot be copied.*Try: remove"):
        lift_module(net, (torch.randn(2, 2),))


def test_a_network_file_cannot_make_torch_open_files(tmp_path):
    """`aten.from_file` can create and resize files; no lift writes it."""
    x = Value("x", (None, 2))
    attrs = {"target": "aten.from_file.default", "args": [str(tmp_path / "made"), True, 4], "kwargs": {}, "output": None}
    graph = Graph((x,), (Node(Value("y", (None, 2)), "opaque", ("x",), attrs),), ("y",), {})
    with pytest.raises(GraphError, match="opens a file"):
        lower_graph(graph)(torch.zeros(1, 2))
    assert list(tmp_path.iterdir()) == []
