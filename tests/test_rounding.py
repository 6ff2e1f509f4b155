"""Where weights are rounded, `reduce` says what that does at the outputs, or why it cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import lumpnet
from lumpnet.cli.app import app

X = torch.zeros(2, 3)


def model(layers: int = 1, tail: nn.Module | None = None, gain: float = 1.0) -> nn.Sequential:
    """Hidden layers in which three units are one: thrice a weight has no float32."""
    torch.manual_seed(0)
    hidden = [nn.Linear(3 if k == 0 else 5, 5) for k in range(layers)]
    with torch.no_grad():
        for layer in hidden:
            layer.weight[:] = gain * layer.weight.abs()
            for unit in (1, 2):
                layer.weight[unit], layer.bias[unit] = layer.weight[0], layer.bias[0]
    return nn.Sequential(*(part for layer in hidden for part in (layer, nn.ReLU())), nn.Linear(5, 2), *([tail] if tail else [])).eval()


def test_the_bound_is_on_the_domain_or_by_the_size_of_the_input() -> None:
    everywhere, there = lumpnet.reduce(model(), X), lumpnet.reduce(model(), X, domain=lumpnet.Box(-1, 1))
    one, two = everywhere.as_dict(), there.as_dict()
    assert (one["rounding"], one["bound"], one["effect"]["on"], one["effect"]["informative"]) == ("bounded", None, "every input", True)
    assert one["effect"]["alpha"] > 0 < one["effect"]["beta"] < 1e-5
    assert (two["rounding"], two["bound"], two["effect"]["on"], two["effect"]["beta"]) == ("bounded", two["effect"]["alpha"], "domain", 0.0)
    assert two["bound"] == pytest.approx(one["effect"]["alpha"] + one["effect"]["beta"], rel=0.02)
    assert "rounded weights move an output by at most" in there.summary()


def test_the_bound_holds_as_executed_too() -> None:
    found = lumpnet.reduce(model(), X, domain=lumpnet.Box(0, 1))
    executed = found.executed(lumpnet.Box(0, 1))
    parts = executed.original.bound + executed.reduced.bound + found.certificate.effect.alpha  # type: ignore[operator,union-attr]
    assert executed.bound == pytest.approx(parts, rel=0.3)
    assert executed.bound > found.certificate.effect.alpha  # type: ignore[operator,union-attr]
    elsewhere = found.executed(lumpnet.Box(0, 2))
    assert elsewhere.bound is None
    assert "not bounded on this domain" in str(elsewhere.reason)


def test_exact_weights_have_no_effect_to_tell() -> None:
    for found in (lumpnet.reduce(model(), X, require="exact"), lumpnet.reduce(model(), X, require="exact", domain=lumpnet.Box(0, 1))):
        assert (found.rounding, found.moved, found.certificate.effect) == ("none", None, None)
        assert (found.as_dict()["effect"], found.as_dict()["bound"]) == (None, None)


def test_an_operator_without_a_rule_is_named_and_the_equality_stays() -> None:
    found = lumpnet.reduce(model(tail=nn.LayerNorm(2)), X)
    assert (found.rounding, found.certificate.effect) == ("nearest", None)
    assert isinstance(found.verdict, lumpnet.Proved)
    assert "layer_norm" in found.as_dict()["effect"]["reason"]
    assert "layer_norm" in found.summary()


def test_a_bound_that_says_nothing_is_said_to_say_nothing(tmp_path: Path) -> None:
    found = lumpnet.reduce(model(12, gain=60.0), X)
    assert found.rounding == "bounded"
    assert found.as_dict()["effect"]["informative"] is False
    assert found.as_dict()["effect"]["beta"] > 1e3
    assert "uninformative" in found.summary()
    assert "e+" not in found.summary()


def test_the_command_line_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lumpnet.lift(model(), X).save(tmp_path / "m.safetensors")

    def run(*options: str) -> Any:
        found = CliRunner().invoke(app, ["reduce", str(tmp_path / "m.safetensors"), "-o", str(tmp_path / "r.safetensors"), *options])
        assert found.exit_code == 0, found.output
        return found.output

    text = " ".join(run("--domain", "0:1").split())
    assert "rounded weights move an output by at most" in text
    assert "on the domain" in text
    data = json.loads(run("--domain", "0:1", "--json"))
    assert (data["verdict"], data["rounding"]) == ("exact", "bounded")
    assert data["bound"] == data["effect"]["alpha"] > 0
    checked = CliRunner().invoke(app, ["check", *(str(tmp_path / name) for name in ("m.safetensors", "r.safetensors", "r.safetensors.cert.json")), "--json"])
    assert json.loads(checked.output)["rounding"] == "bounded"
    assert any(repr(data["bound"]) in claim for claim in json.loads(checked.output)["claims"])


def test_a_domain_of_one_interval_an_entry(tmp_path: Path) -> None:
    low, high = np.array([-1.0, 0.0, 0.5]), np.array([0.0, 0.25, 0.75])
    found = lumpnet.reduce(model(), X, domain=lumpnet.Box(low, high))
    assert found.certificate.effect.box == {"input": (tuple(low), tuple(high))}  # type: ignore[union-attr]
    assert found.rounding == "bounded"
    assert found.certificate.effect.alpha < lumpnet.reduce(model(), X, domain=lumpnet.Box(-1, 1)).certificate.effect.alpha  # type: ignore[union-attr]
