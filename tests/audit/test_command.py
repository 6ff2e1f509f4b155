"""`lumpnet audit`: exit codes, JSON alone on standard output, the witness saved beside, and the pytest plugin in a project of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import lumpnet
from lumpnet.cli.app import app
from lumpnet.cli.audit import npz
from tests.bounds.cases import RELU, chain, linear

ROOT = Path(__file__).resolve().parents[2]
KEYS = {"verdict", "upper_bound", "lower_bound", "witness", "top1", "residuals", "seconds"}


def call(*args: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["audit", *map(str, args)])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Scores x0, x1 through a ReLU, and scores x0 + 1/2, x1."""
    for name, bias in (("one", 0.0), ("two", 0.5)):
        graph = chain([2], linear(np.eye(2)), RELU, linear(np.eye(2), [bias, 0.0]))
        lumpnet.Network(graph).save(tmp_path / f"{name}.safetensors")
    return tmp_path / "one.safetensors", tmp_path / "two.safetensors"


def test_exit_codes(files: tuple[Path, Path], tmp_path: Path) -> None:
    one, two = files
    assert call(one, one, "--domain", "0:1")[0] == 0
    code, out, err = call(one, two, "--domain", "0:1")
    assert (code, err) == (0, "")
    assert "bounded: no output differs by more than 0.5" in out
    assert "by lumping 2 of 2 units are enough for a difference of 0 (the other network has 2)" in " ".join(out.split())
    assert call(one, two, "--domain", "0:1", "--epsilon", "0.501")[0] == 0
    assert call(one, two, "--domain", "0:1", "--epsilon", "0.4")[0] == 1
    assert call(one, two, "--domain", "2:3", "--top1")[0] == 1
    np.save(tmp_path / "x.npy", np.array([[3.0, 0.0]], dtype=np.float32))
    assert call(one, two, "--domain", f"ball:{tmp_path / 'x.npy'}:0.1", "--top1")[0] == 0
    assert call(one, two, "--domain", "0:1", "--epsilon", "-1")[0] == 2
    assert call(one, two, "--domain", "1:0")[0] == 2
    assert call(one, tmp_path / "none.safetensors", "--domain", "0:1")[0] == 2
    assert call(one, two)[0] == 2
    assert call(one, two, "--domain", "0:1", "--timeout", "0")[0] == 2


def test_what_is_not_certified_ends_with_3(tmp_path: Path) -> None:
    """A tie on all of the domain: strictly, no class wins."""
    for name, bias in (("one", 0.0), ("two", 0.5)):
        lumpnet.Network(chain([2], linear(np.ones((2, 2)), [bias, bias]))).save(tmp_path / f"{name}.safetensors")
    code, out, _ = call(tmp_path / "one.safetensors", tmp_path / "two.safetensors", "--domain", "0:1", "--top1", "--timeout", "1")
    assert code == 3
    assert "unknown: top-1:" in out


def test_json_has_the_keys_and_stands_alone(files: tuple[Path, Path], tmp_path: Path) -> None:
    code, out, err = call(*files, "--domain", "0:1", "--json", "--epsilon", "0.25")
    data = json.loads(out)
    assert (code, err) == (1, "")
    assert set(data) >= KEYS
    assert (data["verdict"], data["top1"]) == ("refuted", None)
    assert data["lower_bound"] <= 0.5 <= data["upper_bound"]
    assert data["witness_file"] == str(tmp_path / "two.safetensors.witness.npz")
    with np.load(data["witness_file"]) as saved:
        assert saved["x"].dtype == np.float32
        assert saved["x"].tolist() == data["witness"]["inputs"]["x"]


def test_a_refutation_tells_and_saves_its_witness(files: tuple[Path, Path], tmp_path: Path) -> None:
    code, out, _ = call(*files, "--domain", "0:1", "--top1")
    text = " ".join(out.split())
    assert code == 1
    assert "refuted: class 1 becomes 0 at x = [" in text
    assert "witness saved as" in text
    with np.load(tmp_path / "two.safetensors.witness.npz") as saved:
        x0, x1 = saved["x"].tolist()
    assert x0 < x1 < x0 + 0.5


def test_nothing_is_saved_without_a_refutation(files: tuple[Path, Path], tmp_path: Path) -> None:
    call(*files, "--domain", "0:1")
    assert not list(tmp_path.glob("*.npz"))


def test_examples_are_observed(files: tuple[Path, Path], tmp_path: Path) -> None:
    np.save(tmp_path / "data.npy", np.array([[0.25, 0.5], [1.0, 0.0]], dtype=np.float32))
    code, out, _ = call(*files, "--domain", "0:1", "--data", tmp_path / "data.npy")
    assert code == 0
    assert "largest difference 0.5 on 2 examples (2 of them in the domain), 1 top-1 flips" in " ".join(out.split())
    (tmp_path / "bad.npy").write_bytes(b"no array")
    assert call(*files, "--domain", "0:1", "--data", tmp_path / "bad.npy")[0] == 2
    assert json.loads(call(*files, "--domain", "0:1", "--data", tmp_path / "data.npy", "--json")[1])["observed"]["flips"] == 1


def test_quiet_is_one_line(files: tuple[Path, Path]) -> None:
    assert len(call(*files, "--domain", "0:1", "-q")[1].splitlines()) == 1


def test_any_name_can_be_saved(tmp_path: Path) -> None:
    (tmp_path / "w.npz").write_bytes(npz({"file": np.arange(3.0), "a/b": np.zeros(())}))
    with np.load(tmp_path / "w.npz") as saved:
        assert saved["file"].tolist() == [0, 1, 2]
        assert saved["a/b"].shape == ()


# -- the plugin, in the example's project -------------------------------------------------------


def project(folder: Path) -> subprocess.CompletedProcess[str]:
    """pytest as that project's CI runs it; the plugin is named where this checkout is not installed."""
    installed = any(e.name == "lumpnet" for e in entry_points(group="pytest11"))
    plugin = [] if installed else ["-p", "lumpnet.testing.plugin"]
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(folder), "-p", "no:cacheprovider", *plugin, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)


def test_the_example_project_passes_its_own_tests() -> None:
    done = project(ROOT / "examples" / "ci")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_the_example_project_fails_when_too_much_is_pruned(tmp_path: Path) -> None:
    for file in (ROOT / "examples" / "ci").glob("*.py"):
        (tmp_path / file.name).write_text(file.read_text().replace("threshold: float = 0.002", "threshold: float = 0.1"))
    done = project(tmp_path)
    assert done.returncode == 1
    assert "refuted: the networks differ by at least" in done.stdout


def test_the_plugin_is_announced() -> None:
    import tomllib

    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert declared["entry-points"]["pytest11"] == {"lumpnet": "lumpnet.testing.plugin"}
    assert any(name.startswith("joblib") for name in declared["dependencies"])
