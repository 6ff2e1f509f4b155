"""An LSTM and a GRU classifier go the whole way: nothing is lost as trained, and everything planted is found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import lumpnet
from lumpnet.verdict import Proved
from tests.architectures.recurrent import Classifier, widened

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("lstm", {"into": 12, "read": "states", "words": 40, "num_layers": 2, "bidirectional": True}),
    "gru": ("gru", {"into": 8, "read": "last", "num_layers": 2}),
}


def built(name: str) -> tuple[str, Classifier, torch.Tensor]:
    kind, options = MODELS[name]
    model = Classifier(kind, 16, np.random.default_rng(5), **options).eval()
    words = options.get("words")
    example = torch.randint(0, words, (2, 7)) if words else torch.randn(2, 7, options["into"], dtype=torch.float64)
    return kind, model, example


@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_lost_as_trained(name: str) -> None:
    _, model, x = built(name)
    for p in model.parameters():
        torch.nn.init.normal_(p)
    found = lumpnet.reduce(model, x)
    assert isinstance(found.verdict, Proved)
    assert found.totals() == {}
    assert found.network.data == found.original.data


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", MODELS)
def test_everything_planted_is_found(name: str, dtype: torch.dtype) -> None:
    """And the reduced module lifts to the reduced network."""
    kind, small, x = built(name)
    big = widened(kind, small, 6, np.random.default_rng(3)).eval()
    with torch.no_grad():
        torch.testing.assert_close(big(x), small(x), rtol=1e-9, atol=1e-9)
    x = x.to(dtype) if x.is_floating_point() else x
    found = lumpnet.reduce(big.to(dtype), x, require="exact")
    assert isinstance(found.verdict, Proved)
    layers = [node.shape[2] for node in found.network.graph.nodes if node.kind == kind]
    assert layers == [16] * len(layers)
    assert {"constant", "equal", "cancelled" if name == "gru" else "unobserved"} <= found.totals().keys()
    assert lumpnet.lift(found.model, x).data == found.network.data
    with torch.no_grad():
        torch.testing.assert_close(found.model(x), small.to(dtype)(x), rtol=1e-4, atol=1e-4)
