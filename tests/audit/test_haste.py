"""What is cut short still holds: bounds for which there was no time, or little, enclose what the networks compute, and audits say that it was so."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import lumpnet
from lumpnet import Box
from lumpnet.audit.matching import matched
from lumpnet.audit.searching import Searching
from lumpnet.bounds.relaxed import Allowance, evaluate, program, relaxations
from lumpnet.bounds.relaxed.maps import Function, Gather
from lumpnet.errors import NoBound
from lumpnet.ops.sites import run
from lumpnet.report import audits
from tests.architectures import DenseBlock, Gated, MobileNetV2, ResNet34, ResNet50, SqueezeNet, UNet, WideResNet, alexnet, vgg16
from tests.audit.networks import FAMILIES, HOW, attention, box_of, changed, pair_of
from tests.audit.test_laws import sampler
from tests.audit.test_time import Clock
from tests.audit.truth import Pairing, boxed, violations
from tests.bounds.cases import chain, linear

Array = np.ndarray[Any, Any]
TINY: dict[str, tuple[Callable[[], Any], int]] = {
    "resnet34": (lambda: ResNet34(4, 5, (1, 1)), 16),
    "mobilenet_v2": (lambda: MobileNetV2(0.25, 5, ((1, 16, 1, 1), (6, 24, 2, 2))), 16),
    "alexnet": (lambda: alexnet(1 / 32, 5), 64),
    "vgg16": (lambda: vgg16(1 / 32, 5), 32),
    "squeezenet": (lambda: SqueezeNet(1 / 16, 5), 32),
    "resnet50": (lambda: ResNet50(2, 5, (1, 1)), 16),
    "wide_resnet": (lambda: WideResNet(count=1, factor=1, base=4, classes=5), 8),
    "dense_block": (lambda: DenseBlock(width=6, growth=4, count=2), 8),
    "unet": (lambda: UNet(width=4, depth=1), 8),
    "gated": (lambda: Gated(width=8, squeezed=4), 8),
}


def pruned(name: str) -> tuple[lumpnet.Network, lumpnet.Network]:
    build, size = TINY[name]
    found = lumpnet.prune(build(), torch.zeros(2, 3, size, size), method="magnitude", keep=0.8)
    return found.original, found.network


def outputs(pairing: Pairing, found: Any) -> float:
    """The bound that an audit says."""
    search = Searching(pairing.program, lambda x, steps: (0.0, x[0]))
    return float(search.outputs(found)[0].max())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(time, "monotonic", found)
    return found


@pytest.mark.parametrize("name", TINY)
def test_bounds_without_time_hold_and_are_no_smaller(name: str, rng: np.random.Generator, clock: Clock) -> None:
    """At points drawn from the domain, in float64, with no time, with time for some values, and with all of it."""
    torch.set_num_threads(1)
    one, two = (network.graph for network in pruned(name))
    pairing = Pairing(one, two, matched(one, two))
    assert pairing.program.many
    centre = rng.random([int(d or 0) for d in one.inputs[0].shape[1:]])
    reach = float(rng.choice([1e-3, 1e-2]))
    low, high = centre - reach, centre + reach
    share = sampler(rng, 4)(centre.shape)
    x = np.clip(low + share * (high - low), low, high)
    wide = [replace(graph, tensors={k: t.astype(np.float64) for k, t in graph.tensors.items()}) for graph in (one, two)]
    f, g = ({k: v.reshape(len(x), -1) for k, v in run(graph, {graph.inputs[0].name: x}).items()} for graph in wide)
    pairing._run = lambda _: [f, g]  # type: ignore[method-assign]
    bounds = {}
    with torch.no_grad():
        for seconds in (0.0, float(rng.integers(5, 60)) * 1e-3, None):
            allowance = Allowance() if seconds is None else Allowance(clock.now + seconds)
            found = evaluate(pairing.program, boxed(low[None], high[None]), allowance=allowance)
            assert not violations(pairing, found, 0, x, rng)
            bounds[seconds] = outputs(pairing, found)
            assert bounds[seconds] >= max(float(np.abs(f[k] - g[m]).max()) for k, m in zip(one.outputs, two.outputs, strict=True))
            assert bool(allowance.left) == (seconds is not None) or seconds
    assert bounds[0.0] >= bounds[None] * (1 - 1e-9)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_bounds_hold_where_inputs_are_many(family: str, rng: np.random.Generator, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly: rows substituted through a few layers, copied from other values, and left out as time is up anywhere."""
    torch.set_num_threads(1)
    monkeypatch.setattr(program, "FEW", 0)
    for activation in ("relu", str(rng.choice(["relu6", "leaky_relu", "gelu", "tanh", "silu"]))):
        one, two = pair_of(rng, family, str(rng.choice(HOW)), activation)
        law(one, two, matched(one, two), rng, clock)


def test_bounds_hold_for_gates_where_inputs_are_many(rng: np.random.Generator, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "FEW", 0)
    one = attention(rng)
    law(one, changed(rng, one, "moved"), {n.name: (n.name, None) for n in one.nodes}, rng, clock)


def law(one: Any, two: Any, match: Any, rng: np.random.Generator, clock: Clock) -> None:
    pairing = Pairing(one, two, match)
    assert pairing.program.many
    low, high = (e.astype(np.float64) for e in box_of(rng, one).on(one.inputs[0]))
    share = sampler(rng, 6)(low.shape)
    x = np.clip(low * (1 - share) + high * share, low, high)
    for ticks in (None, 0, int(rng.integers(1, 40))):
        allowance = Allowance() if ticks is None else Allowance(clock.now + ticks * 1e-3)
        found = evaluate(pairing.program, boxed(low[None], high[None]), allowance=allowance)
        wrong = violations(pairing, found, 0, x, rng)
        assert not wrong, "\n".join(wrong)


def test_without_a_deadline_no_clock_is_read(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = pruned("resnet34")
    pairing = Pairing(one.graph, two.graph, matched(one.graph, two.graph))
    low = torch.rand(1, pairing.program.nodes[pairing.program.inputs[0]].size, dtype=torch.float64)

    def unread() -> float:
        raise AssertionError("a clock was read")

    monkeypatch.setattr(time, "monotonic", unread)
    found = evaluate(pairing.program, [(low, low + 1e-3)])
    assert outputs(pairing, found) > 0
    with pytest.raises(AssertionError, match="a clock"):
        evaluate(pairing.program, [(low, low + 1e-3)], allowance=Allowance(5.0))


# -- what audits say --------------------------------------------------------------------------


def slow(monkeypatch: pytest.MonkeyPatch, clock: Clock, seconds: float) -> None:
    """Every block of rows takes so long."""
    substituted = program.upper

    def later(*args: Any, **kwargs: Any) -> Any:
        clock.passes(seconds)
        return substituted(*args, **kwargs)

    monkeypatch.setattr(program, "upper", later)


def audited(name: str, **options: Any) -> Any:
    one, two = pruned(name)
    centre = np.full([int(d or 0) for d in one.graph.inputs[0].shape[1:]], 0.5)
    return lumpnet.audit(one, two, domain=Box(centre - 0.01, centre + 0.01), jobs=1, lossless=False, **options)


def test_a_first_bound_ends_in_time_and_says_so(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = audited("resnet34", boxes=1, timeout=float("inf"))
    assert not whole.cut
    assert whole.as_dict()["cut_short"] is None
    slow(monkeypatch, clock, 0.5)
    found = audited("resnet34", timeout=3.0)
    assert found.seconds < 4.0
    assert found.verdict == "bounded"
    assert whole.upper_bound < found.upper_bound < 1e300
    assert "the first bound was cut short: after 3 s" in found.summary()
    assert found.as_dict()["cut_short"] == found.cut
    pages = [audits.page(audit).html() for audit in (whole, found)]
    assert [f"In haste: {found.cut}." in text for text in pages] == [False, True]
    asked = audited("resnet34", timeout=3.0, epsilon=whole.upper_bound)
    assert asked.verdict == "unknown"
    assert "cut short" in asked.reason


def test_without_time_for_intervals_there_is_no_bound(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    interval = program._interval

    def later(*args: Any) -> Any:
        clock.passes(1.0)
        return interval(*args)

    monkeypatch.setattr(program, "_interval", later)
    found = audited("resnet34", timeout=1.0)
    assert found.upper_bound is None
    assert found.verdict == "unknown"
    assert "time was up" in found.reason
    assert found.seconds < 6.0


def test_an_allowance_ends(clock: Clock) -> None:
    allowance = Allowance(clock.now + 10)
    assert not allowance.late
    clock.passes(8.5)
    assert allowance.late
    assert not allowance.over
    clock.passes(2)
    assert allowance.over
    allowance.check()
    clock.passes(2)
    with pytest.raises(NoBound, match="time was up"):
        allowance.check()


# -- what is quick ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(relaxations.SLOPES))
def test_quick_curves_hold(name: str, rng: np.random.Generator) -> None:
    """Lines and intervals of curves that took no time, at points in high precision as far as float64 goes."""
    f: Any = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "silu": torch.nn.functional.silu, "gelu": torch.nn.functional.gelu}.get(
        name, lambda t: torch.nn.functional.gelu(t, approximate="tanh")
    )
    from lumpnet.bounds import functions

    ours = functions.GATED[name][0] if name in functions.GATED else getattr(functions, name)
    ends = torch.from_numpy(np.sort(rng.normal(size=(2, 1, 200)) * rng.choice([0.01, 1.0, 8.0], size=(1, 1, 200)), axis=0))
    other = torch.from_numpy(np.sort(rng.normal(size=(2, 1, 200)) * 3, axis=0))
    d, z = (ends[0], ends[1]), (other[0], other[1])
    share, second = (torch.from_numpy(rng.choice([0.0, 1.0, rng.random()], size=(50, 1, 200))) for _ in range(2))
    p, q = d[0] * (1 - share) + d[1] * share, z[0] * (1 - second) + z[1] * second
    for value, (bounds, lines) in ((f(p), relaxations.curve(ours, name, d, 1)), (f(q + p) - f(q), relaxations.any_difference(name, d))):
        high, low = (side[0] * p for side in (lines.high, lines.low))
        assert bool((value <= torch.minimum(bounds[1], high + lines.over) + 1e-12).all())
        assert bool((value >= torch.maximum(bounds[0], low + lines.under) - 1e-12).all())


def test_curves_in_parts_are_the_same(rng: np.random.Generator, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the parts; where time is up the others are quick, and wider."""
    w = rng.normal(size=(40, 3))
    one, two = (chain([3], linear(w + m), ("gelu", {"approximate": "none"}, {}), linear(np.ones((2, 40)))) for m in (0.0, 0.01))
    pairing, box = Pairing(one, two, {n.name: (n.name, None) for n in one.nodes}), boxed(-np.full((1, 3), 0.1), np.full((1, 3), 0.1))
    whole = evaluate(pairing.program, box)
    monkeypatch.setattr(program, "POINTS", 7)
    parts, late = evaluate(pairing.program, box), evaluate(pairing.program, box, allowance=Allowance(clock.now))
    wider = 0
    for number, lines in whole.lines.items():
        assert all(torch.equal(a, b) for a, b in zip(whole.bounds[number], parts.bounds[number], strict=True))
        assert torch.equal(lines.over, parts.lines[number].over)
        wider += int((late.bounds[number][1] > whole.bounds[number][1]).sum())
    assert wider > 20


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_convolutions_are_turned(dimensions: int, rng: np.random.Generator) -> None:
    """What is said to be a transpose is the one that torch derives, to the last bit."""
    from lumpnet.bounds.relaxed import tape

    for transposed in (False, True):
        for _ in range(6):
            groups = int(rng.choice([1, 2, 4]))
            kernel, stride, padding, dilation = (tuple(int(n) for n in rng.integers(*span, size=dimensions)) for span in ((1, 4), (1, 4), (0, 2), (1, 3)))
            more = {"output_padding": tuple(int(rng.integers(0, s)) for s in stride)} if transposed else {}
            made: Any = getattr(torch.nn, f"Conv{'Transpose' if transposed else ''}{dimensions}d")
            layer = made(4, 8, kernel, stride, padding, dilation=dilation, groups=groups, **more)
            graph = lumpnet.lift(layer, torch.zeros(2, 4, *rng.integers(6, 9, size=dimensions).tolist())).graph
            operators = [m for step in tape(graph).steps for m in step.maps if isinstance(m, Function)]
            for operator in operators:
                assert operator.turned is not None
                a = torch.from_numpy(rng.normal(size=(3, operator.n_out)))
                turned = operator.back(a)
                operator.turned = None
                assert torch.equal(turned, operator.back(a))
            assert operators


def test_rows_go_through_few_layers_and_through_all() -> None:
    """The law above has something to say: some entries are substituted twice, and none of what is copied from other affine values."""
    one, two = pruned("mobilenet_v2")
    pairing = Pairing(one.graph, two.graph, matched(one.graph, two.graph))
    low = torch.full((1, 768), 0.4, dtype=torch.float64)
    found = evaluate(pairing.program, [(low, low + 0.01)])
    assert {floor > 0 for _, floor in found.done} == {True, False}
    nodes: Any = pairing.program.nodes
    copies = {k for k, n in enumerate(nodes) if isinstance(n, program.Affine) and len(n.maps) == 1 and isinstance(n.maps[0], Gather)}
    assert any(isinstance(nodes[nodes[k].parents[0]], program.Affine) for k in copies)
    assert all(not isinstance(nodes[nodes[k].parents[0]], program.Affine) for k, _ in found.done if k in copies)
