"""A few bytes must not cost gigabytes or hours, and a claim says where it ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from catalog import CASES
from forge import F, N, Net, Triple, lump

from lumpnet.check.rules import affine
from lumpnet.verdict import Proved, Unknown


def test_a_claim_names_the_operators_that_may_be_undefined(tmp_path: Path) -> None:
    verdict = CASES["log"]().verdict(tmp_path)
    assert isinstance(verdict, Proved)
    assert "undefined (log)" in verdict.statements[1]
    verdict = CASES["exp"]().verdict(tmp_path)
    assert isinstance(verdict, Proved)
    assert len(verdict.statements) == 1


def test_units_that_cost_no_byte_are_bounded(tmp_path: Path) -> None:
    """A convolution without input channels stores nothing, whatever number of units it has."""

    def net(groups: int) -> Net:
        conv = {"stride": [1], "padding": [0], "dilation": [1], "groups": groups}
        return Net({"x": (None, 0, 1)}, {"y": N("conv", (None, 1 << 23, 1), ["x"], conv, {"weight": np.zeros((1 << 23, 0, 1), "float32")})}, ["y"])

    verdict = Triple(net(1), net(2), {}).verdict(tmp_path)
    assert isinstance(verdict, Unknown)
    assert "more than 4194304 units" in verdict.reason


def test_long_scales_on_many_weights_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(affine, "_MAX_WORDS", 40)
    zero, read = np.zeros((2, 1), "float32"), np.ones((1, 2), "float32")
    g = Net({"x": (None, 1)}, {"h": N("linear", (None, 2), ["x"], {}, {"weight": zero}), "y": N("linear", (None, 1), ["h"], {}, {"weight": read})}, ["y"])
    h = Net({"x": (None, 1)}, {"h": N("linear", (None, 1), ["x"], {}, {"weight": [[0]]}), "y": N("linear", (None, 1), ["h"], {}, {"weight": [[0]]})}, ["y"])
    verdict = Triple(g, h, {"h": lump([0, 0], 1, [0], {1: F(1, 3**1500)})}).verdict(tmp_path)
    assert isinstance(verdict, Unknown)
    assert "words" in verdict.reason


def test_the_taps_that_positions_read_are_found_once_a_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    real = affine.taps_read
    monkeypatch.setattr(affine, "taps_read", lambda *axis: calls.append(1) or real(*axis))
    conv = {"stride": [1], "padding": [0], "dilation": [1], "groups": 1}
    turned = {"stride": [4], "padding": [0], "output_padding": [0], "dilation": [1], "groups": 3}
    g = Net(
        {"x": (None, 1, 2)},
        {
            "h": N("conv", (None, 3, 2), ["x"], conv, {"weight": np.zeros((3, 1, 1), "float32"), "bias": [5, 5, 5]}),
            "y": N("conv_transpose", (None, 3, 5), ["h"], turned, {"weight": np.zeros((3, 1, 1), "float32")}),
        },
        ["y"],
    )
    h = Net({"x": (None, 1, 2)}, {"y": N("constant", (None, 3, 5), ["x"], {"shape": [3, 5], "axis": 1}, {"value": [0, 0, 0]})}, ["y"])
    assert isinstance(Triple(g, h, {"h": lump([-1] * 3, 0, [], {}, dict.fromkeys(range(3), 5))}).verdict(tmp_path), Proved)
    assert len(calls) == 1


@pytest.mark.parametrize("axis", [(3, 4, 2, 1, 3, 12), (5, 2, 7, 0, 1, 30), (2, 70, 1, 3, 1, 65)])
def test_rows_of_taps_are_the_distinct_ones(axis: tuple[int, ...]) -> None:
    n, kernel, stride, padding, dilation, count = axis
    rows = {tuple(any(q * stride + t * dilation == p + padding for q in range(n)) for t in range(kernel)) for p in range(count)}
    found = [tuple(row) for row in affine.taps_read(*axis).tolist()]
    assert len(found) == len(rows)
    assert set(found) == rows
