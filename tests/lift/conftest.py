"""Every model is built, lifted and lowered once for the whole session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pytest
import torch
from lift_models import MODELS, build
from torch import nn

from lumpnet.ir import Graph
from lumpnet.lift.torch import lift_module
from lumpnet.lower.torch import lower_graph


@dataclass(frozen=True)
class Sample:
    module: nn.Module
    inputs: tuple[torch.Tensor, ...]
    graph: Graph
    lowered: nn.Module


@cache
def _sample(name: str) -> Sample:
    module, inputs = build(name)
    graph = lift_module(module, inputs)
    return Sample(module, inputs, graph, lower_graph(graph))


@pytest.fixture(params=list(MODELS))
def sample(request: pytest.FixtureRequest) -> Sample:
    return _sample(request.param)


@pytest.fixture(scope="session")
def lifted() -> Callable[[str], Sample]:
    return _sample
