"""Audits on another device: nothing of them meets what is on the processor, and the answers are the same.

There is a law for a pretended device (`elsewhere`) and, where CUDA is, the campaign on it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

import lumpnet
from lumpnet.audit.top1 import classifier
from lumpnet.bounds.relaxed import devices
from lumpnet.errors import LumpnetError
from lumpnet.ir import Graph
from lumpnet.network import Network
from tests.audit.campaign import KINDS, campaign, operator, pair
from tests.audit.elsewhere import elsewhere
from tests.benchmarks.pairs import drawn
from tests.bounds.cases import RELU, chain, linear

ENDLESS = float("inf")


def told(audit: lumpnet.Audit) -> dict[str, Any]:
    """What an audit says, but for its time."""
    found = {key: value for key, value in audit.as_dict().items() if key not in ("seconds", "phases")}
    return found | {"reason": None} if found["verdict"] == "unknown" else found


def both(one: Graph, two: Graph, domain: Any, **options: Any) -> list[lumpnet.Audit]:
    given: dict[str, Any] = {"domain": domain, "timeout": ENDLESS, "jobs": 1, "lossless": False} | options
    try:
        here = lumpnet.audit(Network(one), Network(two), **given)
    except LumpnetError as refused:  # here already
        pytest.skip(str(refused))
    with elsewhere():
        return [here, lumpnet.audit(Network(one), Network(two), device="cuda", **given)]


@pytest.fixture(autouse=True)
def alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """As much at once as on a processor, so that searches go the same way."""
    monkeypatch.setattr(devices, "ROOM", 1)


@pytest.mark.parametrize("k", range(10))
def test_audits_elsewhere_say_the_same(k: int, rng: np.random.Generator) -> None:
    _, one, two, domain = pair(rng, k)
    here, there = both(one, two, domain, boxes=7)
    assert told(here) == told(there)


@pytest.mark.parametrize("kind", KINDS)
def test_every_operator_is_bounded_elsewhere(kind: str, rng: np.random.Generator) -> None:
    _, one, two, domain = operator(rng, kind)
    here, there = both(one, two, domain, boxes=1)
    assert told(here) == told(there)


def test_the_predicted_class_is_certified_elsewhere() -> None:
    one, two = (chain([2], linear([[first, 0], [0, 1]]), RELU, linear([[1, 0], [0, 1]])) for first in (4, 5))
    here, there = both(one, two, lumpnet.Box(0.5, 1), boxes=1, top1=True)
    assert here.top1 is not None
    assert here.top1.verdict == "same"
    assert told(here) == told(there)


@pytest.mark.parametrize("options", [{"boxes": 50}, {"epsilon": 1e-4, "boxes": 50}, {"top1": True, "boxes": 3}], ids=["interval", "epsilon", "top-1"])
@pytest.mark.parametrize("inputs", [3, 8, 80], ids=["corners", "inputs are halved", "regions"])
def test_searches_elsewhere_go_the_same_way(inputs: int, options: dict[str, Any]) -> None:
    one, two = drawn(inputs, 8, 0, "moved")
    assert classifier(one) == 2
    here, there = both(one, two, lumpnet.Box(-0.5, 0.5), **options)
    assert told(here) == told(there)
    assert there.boxes > 1 or set(options) != {"boxes"}


def test_more_is_bounded_at_once_where_there_is_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "ROOM", 4)
    one, two = drawn(4, 8, 0, "moved")
    here, there = both(one, two, lumpnet.Box(-1, 1), boxes=300)
    assert here.upper_bound is not None
    assert there.upper_bound is not None
    assert max(here.lower_bound, there.lower_bound) <= min(here.upper_bound, there.upper_bound)


def test_a_default_device_of_the_caller_changes_nothing() -> None:
    one, two = drawn(3, 8, 0, "moved")
    given: dict[str, Any] = {"domain": lumpnet.Box(-1, 1), "boxes": 20, "timeout": ENDLESS, "jobs": 1, "lossless": False}
    here = lumpnet.audit(Network(one), Network(two), **given)
    with elsewhere(), torch.device("cuda:0"):
        assert told(lumpnet.audit(Network(one), Network(two), **given)) == told(here)


def test_the_pretended_device_is_apart() -> None:
    with elsewhere():
        there, here = torch.zeros(2, device="cuda:0"), torch.zeros(2)
        assert there.device != here.device
        assert (there + 1).device == there.device != there.cpu().device
        assert here.to(there.device).device == there.device
        for call in (lambda: there + here, lambda: torch.cat([there, here]), lambda: there.gather(0, torch.zeros(1, dtype=torch.int64)), there.numpy):
            with pytest.raises((RuntimeError, TypeError)):
                call()
        assert float((there + torch.tensor(1.0)).sum()) == 2


def test_devices_that_are_none_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, why in (("tpu", "use 'cpu' or 'cuda'"), ("meta", "use 'cpu' or 'cuda'"), ("cuda:99", "no such device")):
        with pytest.raises(ValueError, match=why):
            devices.usable(name)
    assert devices.usable("cpu") == torch.device("cpu")
    with elsewhere():
        assert devices.usable("cuda") == torch.device("cuda", 0)
        monkeypatch.setenv("CUBLAS_EMULATE_DOUBLE_PRECISION", "1")
        with pytest.raises(ValueError, match="CUBLAS_EMULATE_DOUBLE_PRECISION"):
            devices.usable("cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_audits_on_cuda_hold(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "ROOM", 32)
    tally = campaign(seed, 5000, audited=partial(lumpnet.audit, device="cuda"))
    assert not tally.violations, "\n".join(tally.violations)
    assert tally.pairs
