"""Common architectures go the whole way: nothing is lost as trained, and everything planted is found."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from lumpnet.api import Reduction
from lumpnet.network import lift
from tests.architectures import DenseBlock, Gated, MobileNetV2, ResNet34, ResNet50, SqueezeNet, UNet, WideResNet, alexnet, vgg16, widen
from tests.architectures.whole_way import FULL, report, whole_way

SMALL: dict[str, tuple[Callable[[], Any], int]] = {
    "resnet34": (lambda: ResNet34(width=8, classes=10, blocks=(2, 2, 1, 1)), 32),
    "mobilenet_v2": (lambda: MobileNetV2(width=0.25, classes=10, blocks=((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 2, 2), (6, 64, 1, 1))), 32),
    "alexnet": (lambda: alexnet(1 / 16, classes=10), 64),
    "vgg16": (lambda: vgg16(1 / 16, classes=10), 32),
    "vgg16_bn": (lambda: vgg16(1 / 16, classes=10, norms=True), 32),
    "squeezenet": (lambda: SqueezeNet(1 / 8, classes=10), 32),
    "resnet18": (lambda: ResNet34(width=8, classes=10, blocks=(2, 2, 2, 2)), 32),
    "resnet50": (lambda: ResNet50(width=4, classes=10, blocks=(2, 2, 1)), 32),
    "wide_resnet": (lambda: WideResNet(count=1, factor=2, base=8, classes=10), 16),
    "dense_block": (lambda: DenseBlock(width=12, growth=8, count=3), 16),
    "unet": (lambda: UNet(width=8, depth=2), 16),
    "gated": (lambda: Gated(width=16, squeezed=8), 16),
}


def widths(found: Reduction) -> dict[str, tuple[int | None, ...]]:
    return {value.name: value.shape for value in found.network.graph.values()}


@pytest.mark.parametrize("name", SMALL)
def test_nothing_is_lost_as_trained(name):
    """A network with random weights and statistics is its own reduction, tensor by tensor."""
    build, size = SMALL[name]
    found, _ = whole_way(build(), size)
    assert found.totals() == {}
    assert found.network.data == found.original.data


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("factor", [1.25, 2.0])
def test_everything_planted_is_found(name, factor):
    """Copies with scales, unread channels and shuffles, in every stream and block: all widths return to the original's."""
    build, size = SMALL[name]
    base = build()
    found, _ = whole_way(widen(base, factor, seed=3), size)
    assert widths(found) == {value.name: value.shape for value in lift(base, torch.zeros(2, 3, size, size)).graph.values()}


@pytest.mark.parametrize("name", SMALL)
def test_widening_changes_no_function(name):
    """The control of the tests above."""
    build, size = SMALL[name]
    base = build()
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0)).double()
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
