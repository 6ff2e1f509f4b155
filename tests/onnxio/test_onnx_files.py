"""ONNX files on the command line and in Python, and every real file at hand."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from oracle import evaluated
from typer.testing import CliRunner

import lumpnet
from lumpnet.cli.app import app
from lumpnet.ir import Graph, Node, Value
from lumpnet.lift.onnx import lift_onnx
from lumpnet.lower.onnx import save_onnx
from lumpnet.network import onnx_bytes
from tests.sweep import main as sweep_main
from tests.sweep import sweep

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("LUMPNET_DATA", ROOT.parent / "shared" / "data"))
FILES = sorted(DATA.rglob("*.onnx")) if DATA.is_dir() else []


def call(*args: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(a) for a in args])
    return done.exit_code, done.stdout, done.stderr


def twins(scale: float = 2.0) -> Graph:
    """Unit 1 is a multiple of unit 0."""
    weight = np.array([[1, 2], [scale, 2 * scale], [1, -1]], np.float32)
    nodes = (
        Node(Value("h", (None, 3)), "linear", ("x",), {}, {"weight": "a"}),
        Node(Value("r", (None, 3)), "relu", ("h",)),
        Node(Value("y", (None, 1)), "linear", ("r",), {}, {"weight": "b"}),
    )
    return Graph((Value("x", (None, 2)),), nodes, ("y",), {"a": weight, "b": np.array([[1, 1, 1]], np.float32)})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    save_onnx(twins(), path)
    return path


def test_reduce_writes_a_model_its_networks_and_a_certificate_that_checks(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "small.onnx"
    code, text, err = call("reduce", model, "-o", out, "--json")
    assert code == 0, err
    assert json.loads(text)["units_after"] == 2
    original, reduced, certificate = tmp_path / "small.original.safetensors", tmp_path / "small.safetensors", tmp_path / "small.onnx.cert.json"
    for first in (model, original):
        for second in (out, reduced):
            code, text, _ = call("check", first, second, certificate)
            assert code == 0, text
    assert "lift of the original from model.onnx: trusted" in call("check", model, out, certificate)[1]
    alone = [sys.executable, "-m", "lumpnet.check"]
    done = subprocess.run([*alone, str(original), str(reduced), str(certificate)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    done = subprocess.run([*alone, str(model), str(out), str(certificate)], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert 'needs "lumpnet check"' in done.stdout
    x = {"x": np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)}
    before, after = (evaluated(p.read_bytes(), x) for p in (model, out))
    np.testing.assert_allclose(before, after, rtol=1e-5)


def test_the_certificate_says_which_file_it_was(model: Path, tmp_path: Path) -> None:
    call("reduce", model, "-o", tmp_path / "r.safetensors", "--certificate", tmp_path / "c.json")
    annotations = json.loads((tmp_path / "c.json").read_text())["annotations"]
    assert annotations["source"] == {"format": "onnx", "sha256": hashlib.sha256(model.read_bytes()).hexdigest()}
    assert (tmp_path / "r.original.safetensors").exists()


def test_another_model_is_refuted_and_another_lift_unknown(model: Path, tmp_path: Path) -> None:
    out, certificate = tmp_path / "small.onnx", tmp_path / "c.json"
    call("reduce", model, "-o", out, "--certificate", certificate)
    other = tmp_path / "other.onnx"
    save_onnx(twins(4.0), other)
    for first, second in ((other, out), (model, other)):
        code, text, _ = call("check", first, second, certificate)
        assert code == 1, text
        assert "lifts to another network" in text
    data = json.loads(certificate.read_text())
    data["annotations"]["lift_onnx"] = "onnx-0"
    certificate.write_text(json.dumps(data))
    code, text, _ = call("check", other, out, certificate)
    assert code == 3
    assert "onnx-0" in text


def test_show_and_lift_take_a_path(model: Path) -> None:
    code, text, _ = call("show", model)
    assert code == 0
    assert "linear" in text
    assert lumpnet.lift(model).graph.outputs == ("y",)
    assert lumpnet.reduce(model, require="exact").network.size.units == 2


def test_files_that_would_overwrite_each_other_are_refused(model: Path) -> None:
    code, _, err = call("reduce", model, "-o", model)
    assert code == 2
    assert "different files" in err
    code, _, err = call("reduce", model, "-o", model.with_name("a.onnx"), "--certificate", model.with_name("a.safetensors"))
    assert code == 2
    assert not model.with_name("a.safetensors").exists()


def test_an_unreadable_model_is_one_paragraph(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"\xff\xff")
    code, out, err = call("reduce", path, "-o", tmp_path / "r.onnx")
    assert code == 2
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken.onnx"]


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.startswith(("lumpnet.lift.onnx", "lumpnet.lower.onnx"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(lumpnet.LumpnetError, match=r"lumpnet\[onnx\]"):
        onnx_bytes(lumpnet.Network(twins()))


@pytest.mark.skipif(not FILES, reason="no folder of real files")
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_real_files_go_the_whole_way_or_say_why_not(path: Path, tmp_path: Path) -> None:
    row = sweep(path)
    assert not row.bad, row.lines()
    if row.nodes is None:
        assert "Try:" in row.reason
        return
    assert row.reason == ""
    code, _text, err = call("reduce", path, "-o", tmp_path / "r.onnx")
    assert code == 0, err
    assert call("check", path, tmp_path / "r.onnx", tmp_path / "r.onnx.cert.json")[0] == 0
    assert lift_onnx(tmp_path / "r.onnx") is not None


def test_the_sweep_prints_a_table_that_fits(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a name that is much longer than its column.onnx").write_bytes(b"\xff")
    assert sweep_main([str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[-1] == "2 files: 1 lifted, 1 refused, 0 disagree with onnxruntime"
    assert any("3 -> 2" in line for line in lines)
    assert sweep_main([str(tmp_path / "none")]) == 2


def test_the_sweep_finds_a_model_that_is_not_what_was_lifted(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.sweep.onnx_bytes", lambda network: onnx_bytes(lumpnet.Network(twins(3.0))))
    assert sweep(model).bad


def acas(first: list[int]) -> onnx.ModelProto:
    """Normalised input of shape (1, 1, 1, 5), flattened, as the VNN-COMP files have it."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(1)
    tensors = [
        numpy_helper.from_array(rng.normal(size=s).astype(np.float32), n) for s, n in (((1, 1, 1, 5), "mean"), ((5, 4), "w"), ((4,), "b"), ((4, 2), "v"))
    ]
    nodes = [
        helper.make_node("Sub", ["input", "mean"], ["centred"]),
        helper.make_node("Flatten", ["centred"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "w"], ["product"]),
        helper.make_node("Add", ["product", "b"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "v"], ["y"]),
    ]
    infos = [helper.make_tensor_value_info("input", TensorProto.FLOAT, first), helper.make_tensor_value_info("y", TensorProto.FLOAT, [first[0], 2])]
    return helper.make_model(helper.make_graph(nodes, "acas", infos[:1], infos[1:], tensors), opset_imports=[helper.make_opsetid("", 13)])


def test_a_fixed_batch_of_one_is_noted_and_a_product_with_its_sum_is_one_layer() -> None:
    graph = lift_onnx(acas([1, 1, 1, 5]).SerializeToString())
    assert [n.kind for n in graph.nodes] == ["add_constant", "reshape", "linear", "relu", "linear"]
    assert graph.nodes[2].name == "h"
    assert set(graph.nodes[2].params) == {"weight", "bias"}
    assert any("fixes the batch of 'input' to 1" in note for note in graph.notes)
    assert graph.inputs[0].shape == (None, 1, 1, 5)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_halves_are_held_exactly(kind: str) -> None:
    from onnx import TensorProto, helper

    bits = np.arange(0x3C00, 0x3C10, dtype=np.uint16).reshape(4, 4)
    number = {"float16": TensorProto.FLOAT16, "bfloat16": TensorProto.BFLOAT16}[kind]
    weight = TensorProto(name="w", dims=[4, 4], data_type=number, raw_data=bits.tobytes())
    infos = [helper.make_tensor_value_info(n, number, ["N", 4]) for n in "xy"]
    graph = helper.make_graph([helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)], "g", infos[:1], infos[1:], [weight])
    lifted = lift_onnx(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]).SerializeToString())
    expected = bits.view(np.float16).astype(np.float64) if kind == "float16" else (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    np.testing.assert_array_equal(lifted.tensors["w"].astype(np.float64), expected)
    assert lifted.tensors["w"].dtype == np.float32
    assert any("held as float32" in note for note in lifted.notes)
