"""Common architectures, convolutional, residual and depthwise: every layer loses what was asked, and what a mask means is what a user would do by hand."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import lumpnet
from lumpnet.verdict import Proved
from tests.architectures import MobileNetV2, ResNet34
from tests.architectures.test_whole_way import SMALL
from tests.architectures.widening import Read
from tests.pruners.pruner_cases import NARROW, SEED, prune, units, units_asked

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
