"""A saved program gives the graph that its module gives, byte for byte, or is refused with what to do."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from lift_models import MODELS, build
from torch import nn
from torch.export import Dim, ExportedProgram, export, save

import lumpnet
from lumpnet.errors import FileError, LiftError
from lumpnet.ir import network_bytes
from lumpnet.lift.pt2 import lift_pt2
from lumpnet.lift.pt2.operators import ARITHMETIC, FUNCTIONS
from lumpnet.lift.torch.registry import CONVERTERS, FOLDERS
from lumpnet.lower.torch import lower_graph


def exported(module: nn.Module, inputs: tuple[torch.Tensor, ...], dynamic: bool = True) -> ExportedProgram:
    inputs = tuple(torch.cat([x, x]) for x in inputs) if inputs[0].shape[0] == 1 else inputs
    names = inspect.signature(module.forward).bind(*inputs).arguments
    batch = Dim("batch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return export(module, inputs, dynamic_shapes={name: {0: batch} for name in names} if dynamic else None, strict=False)


def saved(program: ExportedProgram, folder: Path) -> Path:
    save(program, folder / "model.pt2")
    return folder / "model.pt2"


@pytest.mark.parametrize("name", list(MODELS))
def test_the_file_and_the_module_give_the_same_graph(name: str, lifted: Any, tmp_path: Path) -> None:
    module, inputs = build(name)
    assert network_bytes(lift_pt2(saved(exported(module, inputs), tmp_path))) == network_bytes(lifted(name).graph)


@pytest.mark.parametrize("name", ["cnn", "resnet", "tied", "two_inputs", "shuffle", "lone_layer", "concat"])
def test_a_program_without_in_place_calls_gives_it_too(name: str, lifted: Any, tmp_path: Path) -> None:
    module, inputs = build(name)
    program = exported(module, inputs).run_decompositions({})
    assert network_bytes(lift_pt2(saved(program, tmp_path))) == network_bytes(lifted(name).graph)


@pytest.mark.parametrize("name", ["mlp", "cnn", "resnet", "mobilenet", "tied", "transformer", "pruned", "recurrent"])
def test_a_decomposed_program_computes_the_same(name: str, tmp_path: Path) -> None:
    """Torch's own decompositions leave products for linear layers, and no probability of a dropout."""
    module, inputs = build(name)
    graph = lift_pt2(saved(exported(module, inputs).run_decompositions(), tmp_path))
    assert torch.allclose(lower_graph(graph)(*inputs), module(*inputs), rtol=1e-5, atol=1e-5)
    if name in ("mlp", "cnn", "tied"):
        assert {node.kind for node in graph.nodes} >= {"linear"}
        assert not [node for node in graph.nodes if node.kind == "opaque"]


def test_files_are_models_of_the_api(tmp_path: Path) -> None:
    layer = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        layer[0].weight[1], layer[0].bias[1] = 2 * layer[0].weight[0], 2 * layer[0].bias[0]
    path = saved(exported(layer, (torch.zeros(2, 3),)), tmp_path)
    result = lumpnet.reduce(path, dtype="float64")
    assert result.network.size.units == 3
    assert result.original.data == lumpnet.lift(layer, torch.zeros(2, 3)).data
    result.save(tmp_path / "small.safetensors", tmp_path / "c.json")
    verdict = lumpnet.check(path, tmp_path / "small.safetensors", tmp_path / "c.json")
    assert isinstance(verdict, lumpnet.Proved)
    assert any("model.pt2" in who for who in verdict.vouched_by)
    other = saved(exported(nn.Linear(3, 2), (torch.zeros(2, 3),)), tmp_path)
    assert isinstance(lumpnet.check(other, tmp_path / "small.safetensors", tmp_path / "c.json"), lumpnet.Refuted)


class Noisy(nn.Module):
    def __init__(self, function: Any):
        super().__init__()
        self.function = function
        self.register_buffer("n", torch.zeros(4))

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(self, x)


def counts(m: Any, x: torch.Tensor) -> torch.Tensor:
    m.n.add_(1)
    return x * 1.5


REFUSED = {
    "random": (lambda m, x: x + torch.rand_like(x), "rand_like.*not on the list"),
    "counter": (counts, "forward changes 'n'.*Try: do not write to buffers"),
    "dict": (lambda m, x: {"a": x + 1}, "forward returns 'builtins.dict'.*Try: wrap the module"),
    "no batch": (lambda m, x: x.mean(0), "does not keep the batch on axis 0"),
    "cond": (lambda m, x: torch.cond(x.sum() > 0, lambda y: y + 1, lambda y: y - 1, (x,)), "higher_order.cond.*not on the list"),
    "training": (lambda m, x: nn.functional.dropout(x, 0.5, True), "draws random numbers"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str, tmp_path: Path) -> None:
    function, words = REFUSED[name]
    program = exported(Noisy(function), (torch.randn(3, 4),))
    with pytest.raises((LiftError, FileError), match=f"(?s){words}"):
        lift_pt2(saved(program, tmp_path))


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_fixed_batch_is_refused_with_advice(size: int, tmp_path: Path) -> None:
    program = export(nn.Linear(4, 3), (torch.zeros(size, 4),))
    with pytest.raises(LiftError, match=r"input 'input': its batch size is fixed.*dynamic_shapes="):
        lift_pt2(saved(program, tmp_path))


def test_a_second_dynamic_axis_is_refused(tmp_path: Path) -> None:
    program = export(nn.ReLU(), (torch.zeros(3, 4, 5),), dynamic_shapes=({0: Dim("batch"), 2: Dim("time")},))
    with pytest.raises(LiftError, match="an axis beside the batch is dynamic"):
        lift_pt2(saved(program, tmp_path))


def test_every_listed_operator_is_a_function_and_every_converter_is_listed() -> None:
    listed = {name: getattr(torch.ops.aten, name) for name in FUNCTIONS}
    reading = {"dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "lstm", "gru", "rnn_tanh", "rnn_relu", "scaled_dot_product_attention"}
    random = {
        name
        for name, packet in listed.items()
        for overload in packet.overloads()
        if torch.Tag.nondeterministic_seeded in getattr(packet, overload).tags and not name.startswith("_scaled")
    }
    assert random <= reading, "draws random numbers outside training too"
    assert not {"from_file", "item", "set", "set_", "as_strided", "empty", "rand", "resize", "_local_scalar_dense"} & set(FUNCTIONS)
    assert {name for key in (*CONVERTERS, *FOLDERS) if hasattr(torch.ops.aten, name := key.split(".")[1])} <= FUNCTIONS
    assert not ARITHMETIC & {"methodcaller", "attrgetter", "call", "pow", "lshift"}
