"""`lumpnet prune`: files, exit codes, JSON, words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from typer.testing import CliRunner

import lumpnet
from lumpnet.cli.app import app
from lumpnet.pruners import available

DEMO = Path(lumpnet.__file__).parent / "cli" / "demo.safetensors"
KEYS = {
    "method", "keep", "keeps_at_least", "seed", "options", "verdict", "rounding", "units_before", "units_after",
    "parameters_before", "parameters_after", "changes", "skipped", "seconds",
}  # fmt: skip
UNITS = {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "integer"}}}
CHANGE = {
    "type": "object",
    "required": ["operators", "what", "before", "after", "removed", "merged", "scores"],
    "properties": {"operators": {"type": "array", "items": {"type": "string"}}, "what": {"enum": ["units", "weights"]}, "removed": UNITS},
}


def call(*args: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(a) for a in args])
    return done.exit_code, done.stdout, done.stderr


def test_it_writes_what_the_checker_needs(tmp_path):
    code, out, _ = call("prune", DEMO, "--method", "magnitude", "--keep", "0.5", "-o", tmp_path / "small.safetensors")
    assert code == 0
    assert "conv2, block.conv2" in out
    assert "The function has changed" in out
    assert out.splitlines()[-1] == "masked -> pruned: exact: the reduced network computes the same real function, for every input (checked)"
    names = ("small.masked.safetensors", "small.safetensors", "small.safetensors.cert.json")
    assert {p.name for p in tmp_path.iterdir()} == set(names)
    assert call("check", *(tmp_path / name for name in names), "--quiet")[0] == 0


def test_json_stands_alone(tmp_path):
    code, out, err = call(
        "prune", DEMO, "--method", "folding", "--keep", "0.5", "--seed", "3", "--option", "tries=1", "-o", tmp_path / "s.safetensors", "--json"
    )
    assert code == 0
    assert err == ""
    data = json.loads(out)
    assert set(data) >= KEYS
    assert (data["method"], data["keep"], data["seed"], data["options"]) == ("folding", 0.5, 3, {"tries": 1})
    for change in data["changes"]:
        jsonschema.validate(change, CHANGE)
    assert sum(c["before"] for c in data["changes"]) > sum(c["after"] for c in data["changes"])
    assert data["units_after"] < data["units_before"]
    assert data["skipped"] == [{"operators": ["fc2"], "reason": "fc2 is an output of the network"}]


@pytest.mark.parametrize("method", ["merge_similar", "folding"])
def test_every_process_answers_the_same(method, tmp_path):
    """Nothing depends on the order of a set of names."""
    for hashing in ("1", "2"):
        asked = ("prune", DEMO, "--method", method, "--keep", "0.4", "-o", tmp_path / f"{hashing}.safetensors", "-q")
        subprocess.run([sys.executable, "-m", "lumpnet", *map(str, asked)], env=os.environ | {"PYTHONHASHSEED": hashing}, check=True, capture_output=True)
    assert (tmp_path / "1.safetensors").read_bytes() == (tmp_path / "2.safetensors").read_bytes()


def test_quiet_is_one_line(tmp_path):
    code, out, _ = call("prune", DEMO, "--method", "random", "--keep", "0.9", "--option", "of=weights", "-o", tmp_path / "s.safetensors", "-q")
    assert code == 0
    assert len(out.splitlines()) == 1


def test_data_are_read_and_fitted(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((5, 1, 8, 8)))
    np.save(tmp_path / "y.npy", np.zeros((5, 3)))
    asked = ("prune", DEMO, "--method", "random", "--keep", "0.5", "-o", tmp_path / "s.safetensors", "--data")
    assert call(*asked, tmp_path / "x.npy")[0] == 0
    code, _, err = call(*asked, tmp_path / "y.npy")
    assert code == 2
    assert "an array of shape (5, 3)" in err


@pytest.mark.parametrize("method", ["ising", "incremental"])
def test_methods_that_train_take_a_file_of_examples_and_labels(method, tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "xy.npz", x=rng.random((12, 1, 8, 8)), labels=np.arange(12) % 10)
    given = ("prune", DEMO, "--method", method, "--keep", "0.5", "--option", "epochs=1", "--option", "lr=1e-4", "-o", tmp_path / "s.safetensors")
    code, out, err = call(*given, "--data", tmp_path / "xy.npz", "--json")
    assert (code, err) == (0, "")
    data = json.loads(out)
    assert data["options"] == {"epochs": 1, "lr": 1e-4}
    assert data["units_after"] < data["units_before"]
    assert all(change["after"] >= change["before"] / 2 for change in data["changes"])
    np.save(tmp_path / "x.npy", rng.random((12, 1, 8, 8)))
    code, _, err = call(*given, "--data", tmp_path / "x.npy")
    assert code == 2
    assert f"pruner '{method}': no labels" in err


def test_onnx_goes_in_and_out(tmp_path):
    pytest.importorskip("onnx")
    assert call("reduce", DEMO, "-o", tmp_path / "m.onnx")[0] == 0
    code, _, err = call("prune", tmp_path / "m.onnx", "--method", "magnitude", "--keep", "0.5", "-o", tmp_path / "s.onnx")
    assert code == 0, err
    assert call("check", tmp_path / "s.masked.safetensors", tmp_path / "s.onnx", tmp_path / "s.onnx.cert.json", "--quiet")[0] == 0
    assert lumpnet.Network.load(tmp_path / "s.onnx").data == lumpnet.Network.load(tmp_path / "s.safetensors").data


WRONG = {
    "no such method": (["--method", "nope", "--keep", "0.5"], f"error: pruner 'nope': no method of this name. Expected one of {', '.join(available())}"),
    "keep out of range": (["--method", "random", "--keep", "1.01"], "error: keep: 1.01. Expected a share of what stays"),
    "keep zero": (["--method", "random", "--keep", "0"], "error: keep: 0.0."),
    "a wrong option": (["--method", "random", "--keep", "0.5", "--option", "norm=l1"], "it has no option 'norm'"),
    "half an option": (["--method", "random", "--keep", "0.5", "--option", "of"], "option 'of': no value. Expected NAME=VALUE"),
    "an option of another type": (["--method", "folding", "--keep", "0.5", "--option", "tries=many"], "tries is 'many'. Expected a value of type int"),
    "no data": (["--method", "random", "--keep", "0.5", "--data", "absent.npy"], "absent.npy: cannot be read as arrays"),
    "a wrong seed": (["--method", "random", "--keep", "0.5", "--seed", "-1"], "seed: -1. Expected an integer"),
}


@pytest.mark.parametrize("what", WRONG)
def test_usage_errors_are_one_paragraph(what, tmp_path):
    args, words = WRONG[what]
    code, out, err = call("prune", DEMO, "-o", tmp_path / "s.safetensors", *args)
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path):
    model = tmp_path / "m.masked.safetensors"
    model.write_bytes(DEMO.read_bytes())
    code, _, err = call("prune", model, "--method", "random", "--keep", "0.5", "-o", tmp_path / "m.safetensors")
    assert code == 2
    assert "would be overwritten" in err
    assert call("prune", DEMO, "--method", "random", "--keep", "0.5", "-o", tmp_path / "m.pt")[0] == 2
    assert call("prune", DEMO, "--method", "random", "--keep", "0.5", "-o", tmp_path / "no" / "m.safetensors")[0] == 2
