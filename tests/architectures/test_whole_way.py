"""Two common architectures go the whole way: nothing is lost as trained, and everything planted is found."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from lumpnet.api import Reduction, lift
from tests.architectures import MobileNetV2, ResNet34, widen
from tests.architectures.whole_way import FULL, report, whole_way

SMALL: dict[str, Callable[[], Any]] = {
    "resnet34": lambda: ResNet34(width=8, classes=10, blocks=(2, 2, 1, 1)),
    "mobilenet_v2": lambda: MobileNetV2(width=0.25, classes=10, blocks=((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 2, 2), (6, 64, 1, 1))),
}


def widths(found: Reduction) -> dict[str, tuple[int | None, ...]]:
    return {value.name: value.shape for value in found.network.graph.values()}


@pytest.mark.parametrize("name", SMALL)
def test_nothing_is_lost_as_trained(name):
    """A network with random weights and statistics is its own reduction, tensor by tensor."""
    found, _ = whole_way(SMALL[name](), 32)
    assert found.totals() == {}
    assert found.network.data == found.original.data


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("factor", [1.25, 2.0])
def test_everything_planted_is_found(name, factor):
    """Copies with scales, unread channels and shuffles, in every stream and block: all widths return to the original's."""
    base = SMALL[name]()
    found, _ = whole_way(widen(base, factor, seed=3), 32)
    assert widths(found) == {value.name: value.shape for value in lift(base, torch.zeros(2, 3, 32, 32)).graph.values()}


@pytest.mark.parametrize("name", SMALL)
def test_widening_changes_no_function(name):
    """The control of the tests above."""
    base = SMALL[name]()
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        one, two = copy.deepcopy(base).double()(x), widen(base, 1.5, seed=5).double()(x)
    torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", FULL)
def test_full_size_as_trained(name):
    build, size = FULL[name]
    found, phases = whole_way(build(), size)
    print(report(name, found, phases))
    assert found.network.data == found.original.data


@pytest.mark.slow
@pytest.mark.parametrize("name", FULL)
def test_full_size_widened(name):
    build, size = FULL[name]
    base = build()
    found, phases = whole_way(widen(base), size)
    print(report(name, found, phases))
    assert widths(found) == {value.name: value.shape for value in lift(base, torch.zeros(2, 3, size, size)).graph.values()}
