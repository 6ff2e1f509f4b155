"""Common architectures, convolutional, residual and depthwise: every layer loses what was asked, and what a mask means is what a user would do by hand."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lumpnet
from lumpnet.ops.sites import run
from lumpnet.verdict import Proved
from tests.architectures import MobileNetV2, ResNet34, WideResNet, vgg16
from tests.architectures.test_whole_way import SMALL
from tests.architectures.widening import Read
from tests.pruners.pruner_cases import NARROW, SEED, prune, units, units_asked, wide

BY_HAND = ("resnet34", "mobilenet_v2", "alexnet", "vgg16_bn", "squeezenet", "unet")
"""Those that tell which layers read which channels, with nothing else between."""
RESIDUAL, DEPTHWISE = "resnet34", "mobilenet_v2"


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("case", ["magnitude", "merge_similar", "folding", "ispasp", "neuron_merging", "greedy"])
def test_every_layer_loses_its_share(case, name):
    build, size = SMALL[name]
    found = prune(build(), case, 0.5, SEED, torch.zeros(2, 3, size, size))
    assert isinstance(found.verdict, Proved)
    assert found.changes
    assert all(2 * c.after == c.before + c.before % 2 for c in found.changes)
    assert units(found.network) == units_asked(found)
    assert len(found.skipped) == 1 or case in NARROW, "the output layer, and no other"
    assert found.model(torch.zeros(1, 3, size, size)).shape == build()(torch.zeros(1, 3, size, size)).shape


def test_a_residual_stream_is_one_layer():
    build, size = SMALL[RESIDUAL]
    found = lumpnet.prune(build(), torch.zeros(2, 3, size, size), method="magnitude", keep=0.5)
    streams = [c for c in found.changes if len(c.operators) > 1]
    assert streams[0].operators == ("conv1", "layer1.0.conv2", "layer1.1.conv2")
    for change in streams:
        assert len({tuple(units) for units in change.removed.values()}) == 1


def test_depthwise_layers_follow_their_producers():
    build, size = SMALL[DEPTHWISE]
    found = lumpnet.prune(build(), torch.zeros(2, 3, size, size), method="magnitude", keep=0.5)
    deep = [n for n in found.network.graph.nodes if n.kind == "conv" and n.attrs["groups"] > 1]
    assert len(deep) == 6
    assert not {n.name for n in deep} & {name for c in found.changes for name in c.operators}
    before = {n.name: n.attrs["groups"] for n in found.original.graph.nodes if n.kind == "conv"}
    assert all(2 * n.attrs["groups"] == before[n.name] for n in deep)


@pytest.mark.parametrize("name", BY_HAND)
@pytest.mark.parametrize("method", ["magnitude", "random"])
def test_what_leaves_counts_as_zero_wherever_it_is_read(method, name):
    """Against the original module with hooks that clear the removed channels in front of the layers which the architecture says read them."""
    build, size = SMALL[name]
    model = build()
    found = lumpnet.prune(model, torch.zeros(2, 3, size, size), method=method, keep=0.5, seed=SEED)
    silenced = copy.deepcopy(model).double()
    names = {id(module): path for path, module in silenced.named_modules()}
    left = {c.operators: c.removed for c in found.changes}
    for channels in silenced.channels():
        makers = {names[id(layer)] for layer, _ in channels.writers}
        (removed,) = [r for operators, r in left.items() if set(operators) == makers]
        units = next(iter(removed.values()))
        for reader in channels.readers:
            clear(reader, units)
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(2)).double()
    with torch.no_grad():
        one, two, whole = silenced(x), found.model.double()(x), copy.deepcopy(model).double()(x)
    torch.testing.assert_close(two, one, rtol=1e-5, atol=1e-5 * float(one.abs().max()))
    assert not torch.allclose(one, whole, rtol=1e-2), "a network that half of the units do not matter to shows nothing"


def clear(reader: Read | nn.Module, units: list[int]) -> None:
    """Let a layer see zeros for these channels."""
    layer, start, positions = reader, 0, 1
    if isinstance(reader, Read):
        layer, start, positions = reader.layer, sum(reader.join[: reader.part]), reader.positions
    features = [start * positions + u * positions + p for u in units for p in range(positions)]

    def hook(module, args):
        x = args[0].clone()
        x[:, features] = 0
        return (x,)

    layer.register_forward_pre_hook(hook)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("case", ["spectral", "pivoting", "eigendamage"])
def test_methods_that_keep_all_units_go_the_whole_way(case, name):
    build, size = SMALL[name]
    found = prune(build(), case, 0.3, SEED, torch.zeros(2, 3, size, size))
    assert isinstance(found.verdict, Proved)
    assert found.changes
    weights = [c for c in found.changes if c.what == "weights"]
    assert sum(c.after for c in weights) < 0.8 * sum(c.before for c in weights)
    assert found.model(torch.zeros(1, 3, size, size)).shape == build()(torch.zeros(1, 3, size, size)).shape


def test_ispasp_prunes_the_inner_channels_of_residual_blocks():
    build, size = SMALL[RESIDUAL]
    found = prune(build(), "ispasp", 0.4, SEED, torch.zeros(2, 3, size, size))
    assert {c.operators for c in found.changes} == {(name,) for name, m in build().named_modules() if name.startswith("layer") and name.endswith("conv1")}
    assert all("make it together" in reason for operators, reason in found.skipped if operators != ("fc",))


def test_ispasp_prunes_the_width_of_expansions():
    """With the depthwise convolutions behind them; not the bottlenecks, which no rectifier follows."""
    build, size = SMALL[DEPTHWISE]
    found = prune(build(), "ispasp", 0.4, SEED, torch.zeros(2, 3, size, size))
    names = [c.operators for c in found.changes]
    assert names == [("features.0.0",), *((f"features.{k}.conv.0.0",) for k in range(2, 7)), ("features.7.0",)]
    widths = {n.name: n.attrs["groups"] for n in found.network.graph.nodes if n.kind == "conv" and n.attrs["groups"] > 1}
    for change in found.changes[1:-1]:
        block = change.operators[0].rsplit(".", 3)[0]
        assert widths[f"{block}.conv.1.0"] == change.after


FULL = {
    "resnet34": (lambda: ResNet34(width=4, classes=5), 16, 16),
    "mobilenet_v2": (lambda: MobileNetV2(width=0.125, classes=5), 17, 16),
}
"""The published depth, a fraction of the width: module, prunable blocks, size of the images."""


@pytest.mark.parametrize("name", FULL)
def test_ispasp_on_the_papers_networks_ends_in_an_audit(name):
    build, blocks, size = FULL[name]
    model = build()
    x = torch.rand(6, 3, size, size, generator=torch.Generator().manual_seed(0))
    found = lumpnet.prune(model, x[:2], method="ispasp", keep=0.4, data=x)
    inner = [c for c in found.changes if c.operators[0].startswith(("layer", "features"))]
    assert len(inner) >= blocks
    assert isinstance(found.verdict, Proved)
    audit = lumpnet.audit(model, found.network, domain=lumpnet.Box(0, 1), example_inputs=x[:2], timeout=1, lossless=False, data=x)
    with torch.no_grad():
        seen = float((found.model.double()(x.double()) - copy.deepcopy(model).double()(x.double())).abs().max())
    assert audit.verdict == "bounded"
    assert 0 < seen <= audit.upper_bound
    assert audit.observed.largest == pytest.approx(seen, rel=1e-4)


TRAINING = [
    ("ising", "resnet18"), ("ising", "alexnet"), ("ising", "squeezenet"), ("edropout", "mobilenet_v2"), ("directional", "vgg16_bn"),
    ("directional", "wide_resnet"), ("directional", "resnet34"), ("incremental", "resnet34"), ("probabilistic", "mobilenet_v2"),
]  # fmt: skip
"""What the sources train, and what is convolutional, residual or depthwise besides; a few steps on synthetic images."""
FEW: dict[str, dict[str, Any]] = {
    "ising": {"epochs": 2, "freeze": 1},
    "edropout": {"epochs": 2, "freeze": 1},
    "directional": {"epochs": 3, "c": 0.7, "lr": 0.05},
    "incremental": {"epochs": 3, "retrain": 1, "most": 100.0, "every": 1, "lr": 0.01},
    "probabilistic": {"epochs": 3, "retrain": 1, "most": 0.5, "every": 1, "lr": 0.01},
}


HARDER = {"directional": {"c": 2.0}}
"""Narrow networks have few numbers a group."""


def few_images(size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(SEED)
    return rng.normal(size=(16, 3, size, size)).astype(np.float32), rng.integers(0, 10, 16)


@pytest.mark.parametrize(("method", "name"), TRAINING)
def test_methods_that_train_go_the_whole_way(method, name):
    """Trained, pruned, compacted with a certificate: every layer but the output's, and no channel of a stream without the others."""
    build, size = SMALL[name]
    images, labels = few_images(size)
    found = lumpnet.prune(build(), torch.from_numpy(images[:2]), method=method, keep=0.25, data=(images, labels), seed=SEED, batch=8, **FEW[method])
    assert isinstance(found.verdict, Proved)
    assert len(found.skipped) == 1, "the output layer, and no other"
    assert units(found.network) == units_asked(found)
    assert found.network.size.units < found.original.size.units
    assert all(4 * c.after >= c.before for c in found.changes)
    if method in ("incremental", "probabilistic"):
        assert all(c.after == -(-c.before // 4) for c in found.changes)
    assert found.network.data != found.masked.data
    values = [
        run(graph, {graph.inputs[0].name: images[:2].astype(np.float64)})[graph.outputs[0]] for graph in (wide(found.masked.graph), wide(found.network.graph))
    ]
    np.testing.assert_allclose(values[1], values[0], rtol=1e-6, atol=1e-8 * (1 + abs(values[0]).max()))


def test_wide_residual_networks_of_the_published_depth_lose_units():
    """WRN-28-10 with an eighth of its base width."""
    images, labels = few_images(16)
    found = lumpnet.prune(
        WideResNet(count=4, factor=10, base=2, classes=10), torch.from_numpy(images[:2]), method="directional", keep=0.25, data=(images, labels), seed=SEED,
        batch=8, epochs=3, c=2.0, lr=0.05,
    )  # fmt: skip
    assert isinstance(found.verdict, Proved)
    assert 0.25 * found.original.size.units <= found.network.size.units < 0.75 * found.original.size.units
    assert found.network.size.parameters < 0.5 * found.original.size.parameters


AUDITED = [
    ("directional", "wide_resnet", lambda: WideResNet(count=1, factor=1, base=4, classes=10), 8),
    pytest.param("directional", "vgg16_bn", lambda: vgg16(1 / 64, classes=10, norms=True), 32, marks=pytest.mark.slow),
    pytest.param("ising", "squeezenet", *SMALL["squeezenet"], marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("method", "name", "build", "size"), AUDITED)
def test_what_training_has_changed_is_audited(method, name, build, size):
    """Narrow networks, near one image: an interval with a witness below and a certificate above."""
    images, labels = few_images(size)
    found = lumpnet.prune(
        build(), torch.from_numpy(images[:2]), method=method, keep=0.25, data=(images, labels), seed=SEED, batch=8, **(FEW[method] | HARDER.get(method, {}))
    )
    assert found.network.size.units < found.original.size.units
    near = lumpnet.Box(images[0] - 0.01, images[0] + 0.01)
    audit = lumpnet.audit(found.original, found.network, domain=near, data=images[:1], timeout=0.1, lossless=False)
    assert 0 < audit.lower_bound <= audit.upper_bound
