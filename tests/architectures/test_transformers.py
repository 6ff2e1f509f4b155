"""Transformers go the whole way: nothing is lost as trained, planted heads and hidden units are found."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import lumpnet
from lumpnet.api import Reduction
from lumpnet.network import lift
from lumpnet.verdict import Proved
from tests.architectures.transformers import GPT, HEADS, HIDDEN, TOKENS, VOCABULARY, WIDTH, Encoder, plant, trained

MODELS: dict[str, tuple[Callable[[], Encoder | GPT], torch.Tensor]] = {
    "encoder": (Encoder, torch.randn(2, TOKENS, 5)),
    "gpt": (GPT, torch.randint(0, VOCABULARY, (2, TOKENS))),
    "gpt by hand": (lambda: GPT(by_hand=True), torch.randint(0, VOCABULARY, (2, TOKENS))),
}


def whole_way(model: torch.nn.Module, example: torch.Tensor) -> Reduction:
    """Proved, the same floats up to rounding, and the lowered network lifts to the network that was checked."""
    wide = example.double() if example.is_floating_point() else example
    found = lumpnet.reduce(model.double(), wide)
    assert isinstance(found.verdict, Proved), found.verdict
    with torch.enable_grad():  # torch's encoder layers have another path without
        torch.testing.assert_close(found.model(wide), model(wide), rtol=1e-9, atol=1e-9)
    assert lift(found.model, wide).data == found.network.data
    return found


def heads(found: Reduction) -> list[tuple[int, int]]:
    graph = found.network.graph
    return [(n.attrs["heads"], graph.value(n.inputs[0]).shape[2]) for n in graph.nodes if n.kind == "attention"]


def hidden(found: Reduction) -> list[int]:
    return [n.shape[2] for n in found.network.graph.nodes if n.kind == "gelu"]


@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_lost_as_trained(name):
    build, example = MODELS[name]
    torch.manual_seed(1)
    found = lumpnet.reduce(trained(build(), 2), example)
    assert isinstance(found.verdict, Proved), found.verdict
    assert found.totals() == {}
    assert found.network.data == found.original.data
    assert heads(found) == [(HEADS, WIDTH)] * 2


@pytest.mark.parametrize("name", MODELS)
def test_everything_planted_is_found(name):
    build, example = MODELS[name]
    torch.manual_seed(3)
    model = trained(build(), 4)
    plant(model)
    found = whole_way(model, example)
    assert heads(found) == [(HEADS - 2, WIDTH // 2)] * 2
    assert hidden(found) == [HIDDEN - 3] * 2


def test_what_is_pinned_is_said():
    """The stream is read by layer norms and stays."""
    build, example = MODELS["encoder"]
    found = whole_way(trained(build(), 5), example)
    assert [n.kind for n in found.network.graph.nodes if n.kind == "opaque"] in ([], ["opaque"] * 5)
    assert found.network.graph.value("embed").shape == (None, TOKENS, WIDTH)
