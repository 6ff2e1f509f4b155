"""The command line as users meet it: verdict lines, exit codes, JSON alone on standard output, errors in one paragraph."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import lumpnet
from lumpnet.cli.app import app
from lumpnet.cli.console import failing_politely
from lumpnet.ir import Graph, Node, Value

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "lumpnet" / "cli" / "demo.safetensors"
REDUCE_KEYS = {"verdict", "rounding", "units_before", "units_after", "parameters_before", "parameters_after", "bound", "rules", "pinned", "seconds"}
CHECK_KEYS = {"verdict", "rounding", "reason", "claims", "vouched_by"}


def call(*args: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(a) for a in args])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    """The demo network, reduced."""
    out, certificate = tmp_path / "reduced.safetensors", tmp_path / "certificate.json"
    code, _, err = call("reduce", DEMO, "-o", out, "--certificate", certificate, "--json")
    assert code == 0, err
    return DEMO, out, certificate


def test_demo_tells_the_story_and_proves_it() -> None:
    code, out, _ = call("demo")
    assert code == 0
    assert "exact: the reduced network computes the same real function, for every input (checked)" in " ".join(out.split())
    code, out, _ = call("demo", "--json")
    data = json.loads(out)
    assert code == 0
    assert data["verdict"] == "exact"
    assert data["rounding"] == "none"
    assert (data["units_before"] - data["units_after"]) / data["units_before"] >= 0.2
    assert data["measured"]["accuracy_before"] == data["measured"]["accuracy_after"] >= 0.95
    assert data["measured"]["largest_deviation"] < 1e-4


def test_demo_is_that_of_the_script() -> None:
    """The shipped network has the sparsity the story tells."""
    tensors = [t for name, t in lumpnet.Network.load(DEMO).graph.tensors.items() if t.ndim > 1]
    assert sum((t == 0).sum() for t in tensors) / sum(t.size for t in tensors) > 0.95


def test_show_names_operators_groups_and_folds() -> None:
    code, out, _ = call("show", DEMO)
    assert code == 0
    assert "block.conv1" in out
    assert "folded: conv1.weight" in out
    code, out, _ = call("show", DEMO, "--json")
    data = json.loads(out)
    group = {op["name"]: op["group"] for op in data["operators"]}
    assert group["conv2"] == group["block.conv2"] == group["block.add"] != group["conv1"]


def test_reduce_json_has_every_promised_key(tmp_path: Path) -> None:
    code, out, err = call("reduce", DEMO, "-o", tmp_path / "r.safetensors", "--json")
    assert code == 0
    assert err == ""
    data = json.loads(out)
    assert set(data) >= REDUCE_KEYS
    assert data["units_before"] - data["units_after"] == sum(data["rules"].values())
    assert (tmp_path / "r.safetensors.cert.json").exists()


def test_check_json_has_every_promised_key(files: tuple[Path, Path, Path]) -> None:
    code, out, err = call("check", *files, "--json")
    assert (code, err) == (0, "")
    assert set(json.loads(out)) >= CHECK_KEYS


def test_the_certificate_follows_its_published_schema(files: tuple[Path, Path, Path]) -> None:
    schema = json.loads((ROOT / "lumpnet" / "certificate.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(json.loads(files[2].read_text()))


def test_the_independent_checker_agrees(files: tuple[Path, Path, Path]) -> None:
    done = subprocess.run([sys.executable, "-m", "lumpnet.check", *map(str, files)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_swapped_files_are_refuted_with_exit_code_1(files: tuple[Path, Path, Path]) -> None:
    original, reduced, certificate = files
    for args in ((reduced, original, certificate), (original, original, certificate)):
        code, out, _ = call("check", *args)
        assert code == 1
        assert "SHA-256" in out


def test_reduction_is_deterministic(tmp_path: Path) -> None:
    for name in ("a", "b"):
        call("reduce", DEMO, "-o", tmp_path / f"{name}.safetensors", "--json")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert (tmp_path / "a.safetensors.cert.json").read_bytes() == (tmp_path / "b.safetensors.cert.json").read_bytes()


@pytest.mark.parametrize(
    ("args", "place", "hint"),
    [
        (["show", "nowhere.safetensors"], "nowhere.safetensors", "Try"),
        (["show", "model.onnx"], "model.onnx", "Try"),
        (["reduce", "nowhere.safetensors", "-o", "out.safetensors"], "nowhere.safetensors", "Try"),
        (["reduce", str(DEMO), "-o", "out.pt2"], "out.pt2", "Try"),
        (["reduce", str(DEMO), "-o", str(DEMO)], "three different files", "Try"),
        (["reduce", str(DEMO), "-o", "/nonexistent/out.safetensors"], "/nonexistent", "Try"),
        (["check", str(DEMO), str(DEMO), "nowhere.json"], "nowhere.json", "Try"),
        (["check", str(DEMO), str(DEMO), str(DEMO)], "demo.safetensors", "Try"),
    ],
)
def test_unreadable_input_is_one_paragraph_and_exit_code_2(args: list[str], place: str, hint: str, tmp_path: Path) -> None:
    code, out, err = call(*args)
    assert code == 2
    assert out == ""
    assert place in err
    assert hint in err
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err


def test_weights_without_a_graph_say_what_to_do(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"w": np.zeros(3, dtype=np.float32)}, str(tmp_path / "w.safetensors"))
    code, _, err = call("show", tmp_path / "w.safetensors")
    assert code == 2
    assert "lumpnet.reduce" in err
    assert "--weights" in err


def test_hostile_names_are_shown_not_obeyed(tmp_path: Path) -> None:
    name = "a\x1b[31m[bold]\nb"
    x, y = Value("x", (None, 2)), Value(name, (None, 2))
    graph = Graph((x,), (Node(y, "linear", ("x",), {}, {"weight": "w"}),), (name,), {"w": np.eye(2, dtype=np.float32)})
    lumpnet.Network(graph).save(tmp_path / "n.safetensors")
    code, out, _ = call("show", tmp_path / "n.safetensors")
    assert code == 0
    assert "\x1b" not in out
    assert "[bold]" in out


def test_version_and_help() -> None:
    assert lumpnet.__version__ in call("--version")[1]
    assert re.search(r"reduce", call("--help")[1])


def test_a_network_in_which_everything_is_needed_says_so(tmp_path: Path, rng: np.random.Generator) -> None:
    shapes = {"w1": (5, 4), "w2": (3, 5)}
    tensors = {k: rng.normal(size=s).astype(np.float32) for k, s in shapes.items()}
    nodes = (
        Node(Value("h", (None, 5)), "linear", ("x",), {}, {"weight": "w1"}),
        Node(Value("r", (None, 5)), "relu", ("h",)),
        Node(Value("y", (None, 3)), "linear", ("r",), {}, {"weight": "w2"}),
    )
    lumpnet.Network(Graph((Value("x", (None, 4)),), nodes, ("y",), tensors)).save(tmp_path / "n.safetensors")
    code, out, _ = call("reduce", tmp_path / "n.safetensors", "-o", tmp_path / "r.safetensors")
    assert code == 0
    assert "every unit is needed" in out


def test_no_half_written_output_when_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        lumpnet.Network.load(DEMO).save(tmp_path / "n.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_is_one_word_whatever_threads_go_down_with_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    told: list[object] = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    handler = signal.getsignal(signal.SIGINT)

    def interrupted() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            pool = threading.Thread(target=lambda: {}["work"])
            pool.start()
            pool.join()

    with pytest.raises(typer.Exit) as caught, failing_politely():
        interrupted()
    assert caught.value.exit_code == 130
    assert capsys.readouterr().err == "interrupted\n"
    assert not told
    assert signal.getsignal(signal.SIGINT) is handler


def test_z3_gives_a_second_opinion_on_a_tiny_network(tmp_path: Path) -> None:
    """Equal twins leave; Z3 proves the whole networks equal. A forged pair of files is refuted with a replayed witness, printed and saved."""
    nodes = (
        Node(Value("h", (None, 3)), "linear", ("x",), {}, {"weight": "w1", "bias": "b1"}),
        Node(Value("r", (None, 3)), "relu", ("h",)),
        Node(Value("y", (None, 1)), "linear", ("r",), {}, {"weight": "w2"}),
    )
    tensors = {"w1": np.array([[1, 2], [2, 4], [1, -1]]), "b1": np.array([1, 2, 0]), "w2": np.array([[1, 1, 3]])}
    graph = Graph((Value("x", (None, 2)),), nodes, ("y",), {k: t.astype(np.float32) for k, t in tensors.items()})
    original, reduced, certificate = tmp_path / "o.safetensors", tmp_path / "r.safetensors", tmp_path / "c.json"
    lumpnet.Network(graph).save(original)
    call("reduce", original, "-o", reduced, "--certificate", certificate)
    code, out, err = call("check", original, reduced, certificate, "--smt")
    assert code == 0, err
    assert "Z3" in out
    other = Graph(graph.inputs, graph.nodes, graph.outputs, {**graph.tensors, "w2": np.array([[1, 1, 4]], dtype=np.float32)})
    lumpnet.Network(other).save(original)
    code, out, err = call("check", original, reduced, certificate, "--smt", "--json")
    assert code == 1
    assert json.loads(out)["witness"]
    assert (tmp_path / "c.json.witness.json").exists()


def test_a_module_is_lifted_again_and_compared(tmp_path: Path) -> None:
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    result = lumpnet.reduce(model, torch.zeros(2, 3))
    verdict = lumpnet.check(model, result.model, result.certificate, example_inputs=torch.zeros(2, 3))
    assert isinstance(verdict, lumpnet.Proved)
    assert sum("trusted, compared on" in who for who in verdict.vouched_by) == 2
    with torch.no_grad():
        model[0].weight[0, 0] += 1
    verdict = lumpnet.check(model, result.model, result.certificate, example_inputs=torch.zeros(2, 3))
    assert isinstance(verdict, lumpnet.Refuted)
    assert verdict.what == "files"


@pytest.mark.parametrize("goal", [("--size", 0.5), ("--tolerance", 0.2), ("--budget", 2000.0)])
def test_what_is_nearly_redundant_goes_with_a_bound(goal: tuple[str, float], tmp_path: Path) -> None:
    out, certificate = tmp_path / "small.safetensors", tmp_path / "small.safetensors.cert.json"
    code, text, err = call("reduce", DEMO, "-o", out, "--domain", "0:1", *goal, "--report", tmp_path / "report.html")
    assert code == 0, err
    assert re.search(r"bounded: on every input in the certificate's box, no output entry of the reduced network", " ".join(text.split()))
    assert "merges and rounded weights move an output" in " ".join(text.split())
    assert "exact:" not in text
    report = (tmp_path / "report.html").read_text()
    assert "bounded" in report
    assert "same real function" not in report
    code, text, _ = call("check", DEMO, out, certificate, "--json")
    said = json.loads(text)
    assert (code, said["verdict"]) == (0, "bounded")
    schema = json.loads((ROOT / "lumpnet" / "certificate.schema.json").read_text())
    jsonschema.validate(json.loads(certificate.read_text()), schema)
    done = subprocess.run([sys.executable, "-m", "lumpnet.check", DEMO, out, certificate], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "bounded" in done.stdout


def test_a_bounded_reduction_in_json(tmp_path: Path) -> None:
    code, text, _ = call("reduce", DEMO, "-o", tmp_path / "small.safetensors", "--domain", "0:1", "--size", "0.5", "--json")
    data = json.loads(text)
    assert code == 0
    assert data["verdict"] == "bounded"
    assert data["bound"] > 0
    assert data["units_after"] <= 0.5 * data["units_before"]
    assert data["executed"]["bound"] is None or data["executed"]["bound"] >= data["bound"]


def test_z3_is_not_asked_about_a_bound(tmp_path: Path) -> None:
    out = tmp_path / "small.safetensors"
    call("reduce", DEMO, "-o", out, "--domain", "0:1", "--size", "0.5")
    code, text, _ = call("check", DEMO, out, f"{out}.cert.json", "--smt", "--json")
    assert code == 0
    assert "Z3 was not asked about a bound" in json.loads(text)["vouched_by"]


@pytest.mark.parametrize("goal", [("--size", 0.5, "--tolerance", 0.1), ("--size", 1.5), ("--budget", -1)])
def test_one_goal_at_a_time(goal: tuple[object, ...], tmp_path: Path) -> None:
    code, out, err = call("reduce", DEMO, "-o", tmp_path / "small.safetensors", *goal)
    assert (code, out) == (2, "")
    assert "one of tolerance" in " ".join(err.split())
    assert not list(tmp_path.iterdir())


def test_an_exact_requirement_and_a_goal_exclude_each_other(tmp_path: Path) -> None:
    code, out, err = call("reduce", DEMO, "-o", tmp_path / "small.safetensors", "--require", "exact", "--size", 0.5)
    assert (code, out) == (2, "")
    assert "leave one of them out" in " ".join(err.split())
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="leave one of them out"):
        lumpnet.reduce(DEMO, require="exact", size=0.5)
