"""No silent mismatch: whatever graph is read means what a runtime makes of the file, or is refused."""

from __future__ import annotations

import os
from collections import Counter

import onnx_forge_steps  # noqa: F401  (fills the forge)
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx_forge import STEPS, forged, single
from oracle import verdict_on

from lumpnet.ops import kinds

GOOD = {"agrees", "agrees (opaque)", "refused", "no oracle"}
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)


@settings(QUICK)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_whatever_is_read_means_what_a_runtime_makes_of_it(seed: int, steps: int) -> None:
    assert verdict_on(forged(seed, steps), seed) in GOOD


@pytest.mark.parametrize("function", STEPS, ids=lambda f: f.__name__)
def test_every_operator_agrees_on_its_own(function, seed: int) -> None:
    """Fresh seeds; at least one model of each kind is read."""
    found: Counter[str] = Counter()
    for k in range(200):
        data = single(function, seed + k)
        if data is not None:
            found[verdict_on(data, seed + k)] += 1
        if sum(found.values()) == 8 and found["agrees"] + found["agrees (opaque)"]:
            break
    assert set(found) <= GOOD, found
    if {"resize": "upsample", "recurrent": "lstm"}.get(function.__name__, "relu") in kinds():
        assert found["agrees"] + found["agrees (opaque)"], found


@pytest.mark.slow
def test_two_thousand_graphs_and_no_mismatch(seed: int) -> None:
    count = int(os.environ.get("LUMPNET_GRAPHS", "2500"))
    found = Counter(verdict_on(forged(seed + k, 1 + k % 6), seed + k) for k in range(count))
    assert set(found) <= GOOD, found
    assert found["agrees"] + found["agrees (opaque)"] > count / 2, found
    assert found["no oracle"] < count / 10, found
