"""What particular models become."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import prune

import lumpnet
from lumpnet.ir import Module
from lumpnet.lift.torch import lift_module


class Given(nn.Module):
    """A forward written as a function of (module, *inputs), with submodules, parameters and buffers."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            if isinstance(part, torch.Tensor) and not isinstance(part, nn.Parameter):
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


def lift(function, shape=(2, 4), **parts):
    return lift_module(Given(function, **parts), (torch.randn(shape),))


def kinds(graph):
    return [n.kind for n in graph.nodes]


def test_names_modules_and_parameters_of_a_residual_block(lifted):
    graph = lifted("resnet").graph
    assert [n.name for n in graph.nodes][:9] == [
        "stem",
        "layer1.0.conv1",
        "layer1.0.bn1",
        "layer1.0.relu",
        "layer1.0.conv2",
        "layer1.0.bn2",
        "layer1.0.add",
        "layer1.0.relu@1",
        "layer1.1.conv1",
    ]
    node = {n.name: n for n in graph.nodes}["layer1.0.bn1"]
    assert node.module == Module("layer1.0.bn1", "BatchNorm2d")
    assert set(node.params) == {"weight", "bias", "mean", "var", "num_batches_tracked"}
    assert node.params["num_batches_tracked"] in graph.buffers
    assert [v.name for v in graph.inputs] == ["image"]
    assert graph.inputs[0].shape == (None, 3, 8, 8)


def test_scalars_are_the_kernels_own(lifted):
    node = {n.name: n for n in lifted("cnn").graph.nodes}["1"]
    assert node.attrs["eps"] == float(np.float32(1e-5)) != 1e-5
    node = {n.name: n for n in lifted("double").graph.nodes}["1"]
    assert node.attrs["eps"] == 1e-5


def test_batch_norm_rounds_eps_to_its_dtype():
    """An experiment: with variance 0 the double 0.8e-45 and its float32 neighbour 1.4e-45 give outputs 30% apart."""
    eps = 0.8e-45
    bn = nn.BatchNorm1d(1, eps=eps).eval()
    nn.init.zeros_(bn.running_var)
    attribute = lift_module(bn, (torch.ones(2, 1),)).nodes[0].attrs["eps"]
    measured = bn(torch.ones(2, 1))[0].item()
    assert measured == pytest.approx(attribute**-0.5, rel=1e-6)
    assert measured != pytest.approx(eps**-0.5, rel=0.1)


def test_other_scalars_are_rounded_too():
    big = torch.randn(10000) * 100
    tenth = float(np.float32(0.1))
    assert torch.equal(F.leaky_relu(big, 0.1), F.leaky_relu(big, tenth))
    assert torch.equal(F.hardtanh(big, -0.1, 0.1), F.hardtanh(big, -tenth, tenth))
    graph = lift(lambda m, x: F.leaky_relu(x * 0.1 + 0.7, 0.1))
    assert graph.nodes[-1].attrs["slope"] == tenth
    assert graph.tensors["mul_constant.factor"] == np.float32(0.1)
    assert graph.tensors["add_constant.term"] == np.float32(0.7)


def test_tied_tensors_are_stored_once(lifted):
    graph = lifted("tied").graph
    weights = {n.name: n.params["weight"] for n in graph.nodes if n.kind == "linear"}
    assert weights == {"first": "first.weight", "last": "first.weight"}
    assert "last.weight" not in graph.tensors
    assert lifted("tied").lowered.first.weight is lifted("tied").lowered.last.weight


def test_masks_are_folded_with_a_note(lifted):
    graph = lifted("pruned").graph
    assert "folded: 0.weight = 0.weight_mask * 0.weight_orig" in graph.notes
    assert set(graph.tensors) == {"0.weight", "0.bias", "3.weight", "3.bias"}
    assert not graph.buffers


def test_inexact_products_are_not_folded():
    third = nn.Parameter(torch.full((3, 4), 1 / 3))
    assert kinds(lift(lambda m, x: F.linear(x, m.w * m.w), w=third)) == ["opaque", "opaque"]
    assert kinds(lift(lambda m, x: F.linear(x, m.w * 2), w=third)) == ["linear"]
    assert kinds(lift(lambda m, x: F.linear(x, -m.w.t()), w=nn.Parameter(torch.randn(4, 3)))) == ["linear"]
    assert kinds(lift(lambda m, x: F.linear(x, m.w + m.w), w=third)) == ["linear"]
    assert kinds(lift(lambda m, x: F.linear(x, m.w + 1e-9 * m.w), w=third)) == ["opaque"] * 3


def test_double_products_are_decided_exactly():
    w = torch.tensor([[1 / 3, 3.0], [0.1, 5.0]], dtype=torch.float64)
    for other, folded in (([[0.0, 1.0], [1.0, 0.0]], True), ([[0.5, 7.0], [-1.0, 9.0]], True), ([[0.3, 0.0], [0.0, 0.0]], False)):
        module = Given(lambda m, x: F.linear(x, m.w * m.v), w=nn.Parameter(w), v=nn.Parameter(torch.tensor(other, dtype=torch.float64)))
        assert (kinds(lift_module(module, (torch.randn(2, 2, dtype=torch.float64),))) == ["linear"]) is folded


def test_inexact_parametrizations_stay_with_advice(lifted):
    graph = lifted("inexact").graph
    static = graph.nodes[0]
    assert static.kind == "opaque"
    assert static.shape == (3, 4)
    assert "remove_parametrizations" in graph.notes[0]


def test_exact_parametrizations_become_plain_weights():
    layer = nn.Linear(4, 3)
    prune.random_unstructured(layer, "weight", 0.5)
    graph = lift_module(nn.Sequential(layer), (torch.randn(2, 4),))
    assert np.array_equal(graph.tensors["0.weight"], layer.weight.detach().numpy())


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (lambda m, x: torch.add(x, x, alpha=2), "opaque"),
        (lambda m, x: x - 1, "add_constant"),
        (lambda m, x: 1 - x, "add_constant"),
        (lambda m, x: -x, "mul_constant"),
        (lambda m, x: x / 2, "div_constant"),
        (lambda m, x: x / 0, "opaque"),
        (lambda m, x: x - x.mean(2, keepdim=True), "add"),
        (lambda m, x: x - torch.ones(1, 3, 4), "opaque"),
        (lambda m, x: x * torch.ones(1, 3, 4), "opaque"),
        (lambda m, x: x + x.mean(1, keepdim=True), "opaque"),
        (lambda m, x: x.clamp(min=0), "opaque"),
        (lambda m, x: F.log_softmax(x, -1), "opaque"),
        (lambda m, x: x + torch.arange(4.0), "opaque"),
        (lambda m, x: x + x.mean(2, keepdim=True), "add"),
        (lambda m, x: x.clamp(-1, 2), "hardtanh"),
        (lambda m, x: F.relu6(x), "hardtanh"),
        (lambda m, x: F.softsign(x), "softsign"),
        (lambda m, x: x / (2 + x.abs()), "div"),
        (lambda m, x: (x + 1) / (1 + x.abs()), "div"),
        (lambda m, x: (1 + x.abs()) / x, "div"),
        (lambda m, x: x.div(1 + x.abs(), rounding_mode="floor"), "opaque"),
        (lambda m, x: x / (1 + x.abs().relu()), "div"),
        (lambda m, x: F.softplus(x, 2, 3), "softplus"),
        (lambda m, x: F.logsigmoid(x), "logsigmoid"),
        (lambda m, x: x**2 + 1 / x, "add"),
        (lambda m, x: x**0.5, "pow"),
        (lambda m, x: x.round(decimals=1), "opaque"),
        (lambda m, x: x.view(x.shape[0], 3, 2, 2).transpose(1, 2).reshape(x.shape), "reshape"),
        (lambda m, x: x.unflatten(2, (2, 2)).transpose(2, 3).flatten(2), "index_select"),
        (lambda m, x: x.flatten(1), "reshape"),
        (lambda m, x: x.squeeze(1).unsqueeze(1).mT, "permute"),
        (lambda m, x: x.mean(dim=(-1,)), "mean"),
        (lambda m, x: x.softmax(-1), "softmax"),
        (lambda m, x: F.max_pool1d(x, 2), "max_pool"),
        (lambda m, x: F.adaptive_max_pool1d(x, 2, return_indices=True)[0], "adaptive_max_pool"),
        (lambda m, x: F.adaptive_max_pool1d(x, 2, return_indices=True)[1], "opaque"),
        (lambda m, x: F.conv_transpose1d(x, m.w), "conv_transpose"),
        (lambda m, x: F.conv_transpose1d(x, m.w, stride=2, output_padding=1), "conv_transpose"),
        (lambda m, x: F.conv_transpose1d(x, m.w * x.mean()), "opaque"),
        (lambda m, x: F.conv1d(x, m.w[..., :2], padding="same"), "opaque"),
        (lambda m, x: F.conv1d(x, m.w, padding="same"), "conv"),
    ],
)
def test_the_last_node_is(function, kind):
    assert lift(function, (2, 3, 4), w=torch.randn(3, 3, 3)).nodes[-1].kind == kind


def test_copies_and_shapes_that_change_nothing_are_no_nodes():
    graph = lift(lambda m, x: F.dropout(x.clone().contiguous().view(x.shape[0], 4).float()[:].permute(0, 1), 0.5, m.training))
    assert graph.nodes == ()
    assert graph.outputs == ("x",)


def test_a_stored_vector_is_a_constant_along_its_axis():
    graph = lift(lambda m, x: x * m.g + m.b, (2, 3, 4, 4), g=nn.Parameter(torch.randn(3, 1, 1)), b=nn.Parameter(torch.randn(4)))
    gain, shift = graph.nodes
    assert (gain.kind, gain.attrs["axis"], gain.params["factor"]) == ("mul_constant", 1, "g_folded")
    assert (shift.kind, shift.attrs["axis"], shift.params["term"]) == ("add_constant", 3, "b")
    assert graph.tensors["g_folded"].shape == (3,)
    assert not graph.buffers


def test_a_batch_of_one_is_no_obstacle():
    assert lift(lambda m, x: m.fc(x), (1, 4), fc=nn.Linear(4, 2)).nodes[0].shape == (None, 2)


def test_values_with_the_batch_elsewhere_become_one_sequence():
    """Asked for its weights, `MultiheadAttention` multiplies batches of matrices, for which there is no rule."""
    graph = lift(lambda m, x: m.attn(x, x, x)[0], (2, 4, 8), attn=nn.MultiheadAttention(8, 2, batch_first=True))
    (node,) = graph.nodes
    assert (node.kind, node.attrs["target"], node.module) == ("opaque", "sequence", Module("attn", "MultiheadAttention"))
    assert node.attrs["args"][0]["target"] == "aten.transpose.int"
    assert "{'batch': 2}" in str(node.attrs["args"])
    assert len(node.params) == 4


def test_batch_sizes_and_infinities_in_opaque_arguments(lifted):
    nodes = {n.name: n for n in lifted("mixing").graph.nodes}
    assert nodes["masked_fill"].attrs["args"][2] == {"float": "-inf"}
    assert nodes["zeros"].attrs["args"] == [[{"batch": 1}, 1, 1]]
    assert nodes["zeros"].inputs == ("x",)
    assert nodes["amax"].kind == "amax", "the values of a maximum have a kind"
    assert (nodes["max"].attrs["output"], nodes["max"].value.dtype) == (1, "int64")


def test_long_regions_do_not_exhaust_the_stack():
    def forward(m, x):
        h = x.transpose(0, 1)
        for _ in range(400):
            h = h.sin()
        return h.transpose(0, 1)

    (node,) = lift(forward, (2, 3, 4)).nodes
    assert len(node.attrs["args"]) == 402


def test_subclasses_carry_the_nearest_type_of_torch():
    class Mine(nn.Linear):
        pass

    class Twice(nn.Linear):
        def forward(self, x):
            return super().forward(x).relu()

    class Act(nn.Module):
        def forward(self, x):
            return x.relu()

    graph = lift_module(nn.Sequential(Mine(4, 4), Twice(4, 4), Act()), (torch.randn(2, 4),))
    assert [(n.name, n.module and n.module.type) for n in graph.nodes] == [("0", "Linear"), ("1.linear", None), ("1.relu", None), ("2", None)]


def test_names_never_collide():
    graph = lift(lambda m, x: m.x(x) + m.add(x) + x, x=nn.Linear(4, 4), add=nn.ReLU())
    assert [n.name for n in graph.nodes] == ["x@1", "add", "add_1", "add_2"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_lifted_without_loss(dtype):
    """Every stored number is the same number in float32, a note says so, and the module is compared with what was lifted."""
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).to(dtype).eval()
    x = torch.randn(2, 2, 4, 4).to(dtype)
    graph = lift_module(model, (x,))
    for name, tensor in model.state_dict().items():
        assert (graph.tensors[name] == tensor.double().numpy()).all()
        assert graph.tensors[name].dtype == (np.float32 if tensor.is_floating_point() else np.int64)
    assert any(str(dtype).removeprefix("torch.") in note for note in graph.notes)
    assert next(model.parameters()).dtype == dtype
    found = lumpnet.reduce(model, x)
    assert "compared on 64 inputs" in str(lumpnet.check(model, found.network, found.certificate, example_inputs=x))
