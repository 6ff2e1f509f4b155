"""Broken and hostile files through the command lines: one paragraph on standard error, the right exit code, nothing written, no crash."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_files import CERTIFICATE, NETWORK, certificate, graph, join, network, node, number, rebound, split, triple
from typer.testing import CliRunner

from lumpnet.check.__main__ import main as checker
from lumpnet.cli.app import app

ORIGINAL, REDUCED, CLAIM = triple()
SLOW = 5.0


@dataclass
class Run:
    code: int
    out: str
    err: str
    seconds: float


def timed(call: Callable[[], tuple[int, str, str]]) -> Run:
    start = time.perf_counter()
    return Run(*call(), time.perf_counter() - start)


def check_module(*arguments: Any) -> Run:
    """`python -m lumpnet.check ...`, in this process."""

    def call() -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = checker([str(a) for a in arguments])
        return code, out.getvalue(), err.getvalue()

    return timed(call)


def lumpnet(*arguments: Any) -> Run:
    """`lumpnet ...`, in this process. An exception fails the test."""

    def call() -> tuple[int, str, str]:
        done = CliRunner().invoke(app, [str(a) for a in arguments])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise AssertionError(f"lumpnet {arguments} crashed") from done.exception
        return done.exit_code, done.stdout, done.stderr

    return timed(call)


def is_one_paragraph(run: Run) -> None:
    """Exit code 2 with place, what was found, what was expected and what to try, in one line, and nothing on standard output."""
    assert run.code == 2, run
    assert run.out == "", run
    assert run.err.count("\n") == 1, run
    assert run.err.endswith("\n"), run
    assert re.fullmatch(r"(error: )?\S.*: .+\. Expected .+\. Try: .+\.", run.err.strip(), re.DOTALL), run
    assert "Traceback" not in run.err
    assert all(c.isprintable() for c in run.err.strip()), run
    assert run.seconds < SLOW, run


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path, Path]:
    return write(tmp_path, ORIGINAL, REDUCED, CLAIM)


def write(folder: Path, *files: bytes) -> tuple[Path, Path, Path]:
    found = folder / "g.safetensors", folder / "h.safetensors", folder / "c.json"
    for path, data in zip(found, files, strict=True):
        path.unlink(missing_ok=True)
        path.write_bytes(data)
    return found


def reads(model: Path, folder: Path) -> list[Run]:
    """`show` and `reduce` of a model that cannot be read; no output appears."""
    before = sorted(folder.iterdir())
    runs = [lumpnet("show", model), lumpnet("show", model, "--json"), lumpnet("reduce", model, "-o", folder / "out.safetensors")]
    assert sorted(folder.iterdir()) == before, "a file was written"
    return runs


def test_the_files_are_good_before_they_are_spoiled(paths: tuple[Path, Path, Path]) -> None:
    assert check_module(*paths).code == 0
    assert lumpnet("check", *paths).code == 0
    assert lumpnet("show", paths[0]).code == 0


@pytest.mark.parametrize("what", NETWORK)
def test_a_spoiled_network_file(what: str, tmp_path: Path) -> None:
    spoiled = NETWORK[what](ORIGINAL)
    assert spoiled != ORIGINAL
    paths = write(tmp_path, spoiled, REDUCED, rebound(spoiled, REDUCED, CLAIM))
    for run in (check_module(*paths), check_module(*paths, "--json"), lumpnet("check", *paths), *reads(paths[0], tmp_path)):
        is_one_paragraph(run)
        assert "g.safetensors" in run.err
    with contextlib.suppress(KeyError, IndexError, AttributeError):  # the reduced network has no such place
        spoiled = NETWORK[what](REDUCED)
        assert check_module(*write(tmp_path, ORIGINAL, spoiled, rebound(ORIGINAL, spoiled, CLAIM))).code in (1, 2, 3)


@pytest.mark.parametrize("what", CERTIFICATE)
def test_a_spoiled_certificate(what: str, tmp_path: Path) -> None:
    spoiled = CERTIFICATE[what](CLAIM)
    assert spoiled != CLAIM
    paths = write(tmp_path, ORIGINAL, REDUCED, spoiled)
    for run in (check_module(*paths), check_module(*paths, "--json"), lumpnet("check", *paths), lumpnet("check", *paths, "--json")):
        is_one_paragraph(run)
        assert "c.json" in run.err


# --- files in the wrong place --------------------------------------------------------------------


def missing(folder: Path) -> Path:
    return folder / "missing.safetensors"


def directory(folder: Path) -> Path:
    (folder / "folder.safetensors").mkdir()
    return folder / "folder.safetensors"


def loop(folder: Path) -> Path:
    (folder / "loop.safetensors").symlink_to("loop.safetensors")
    return folder / "loop.safetensors"


def dangling(folder: Path) -> Path:
    (folder / "dangling.safetensors").symlink_to("nowhere")
    return folder / "dangling.safetensors"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.safetensors")
    return folder / "pipe.safetensors"


def below_a_file(folder: Path) -> Path:
    return folder / "g.safetensors" / "below.safetensors"


def too_long(folder: Path) -> Path:
    return folder / ("n" * 5000 + ".safetensors")


def loudly_named(folder: Path) -> Path:
    return folder / "\x1b[31m\u202e[bold].safetensors"


def in_no_encoding(folder: Path) -> Path:
    return folder / os.fsdecode(b"\xff\xfe.safetensors")


PLACES = (missing, directory, loop, dangling, pipe, below_a_file, too_long, loudly_named, in_no_encoding)


@pytest.mark.parametrize("place", PLACES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("at", range(3))
def test_a_path_that_is_no_file(place: Callable[[Path], Path], at: int, paths: tuple[Path, Path, Path], tmp_path: Path) -> None:
    arguments = list(paths)
    arguments[at] = place(tmp_path)
    is_one_paragraph(check_module(*arguments))
    is_one_paragraph(lumpnet("check", *arguments))
    if at == 0:
        for run in reads(arguments[0], tmp_path):
            is_one_paragraph(run)


def test_an_output_that_cannot_be_written(paths: tuple[Path, Path, Path], tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    for place in (tmp_path / "nowhere" / "out.safetensors", paths[1] / "out.safetensors"):
        is_one_paragraph(lumpnet("reduce", paths[0], "-o", place))
        is_one_paragraph(lumpnet("reduce", paths[0], "-o", tmp_path / "out.safetensors", "--certificate", place))
    assert sorted(tmp_path.iterdir()) == before, "half an answer was written"
    assert lumpnet("reduce", paths[0], "-o", paths[0]).code == 2
    assert paths[0].read_bytes() == ORIGINAL


def test_an_output_that_is_a_folder(paths: tuple[Path, Path, Path], tmp_path: Path) -> None:
    is_one_paragraph(lumpnet("reduce", paths[0], "-o", directory(tmp_path)))
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")], "a temporary file stayed"


# --- files in each other's place -----------------------------------------------------------------


def test_exchanged_networks_are_refuted(tmp_path: Path) -> None:
    paths = write(tmp_path, REDUCED, ORIGINAL, CLAIM)
    for run in (check_module(*paths, "--json"), lumpnet("check", *paths, "--json")):
        assert run.code == 1
        assert json.loads(run.out)["verdict"] == "refuted"
        assert "SHA-256" in json.loads(run.out)["reason"]
        assert run.err == ""


def test_exchanged_and_bound_networks_are_refuted(tmp_path: Path) -> None:
    assert check_module(*write(tmp_path, REDUCED, ORIGINAL, rebound(REDUCED, ORIGINAL, CLAIM))).code == 1


def test_a_network_in_the_certificates_place(tmp_path: Path) -> None:
    paths = write(tmp_path, ORIGINAL, REDUCED, ORIGINAL)
    is_one_paragraph(check_module(*paths))
    is_one_paragraph(lumpnet("check", *paths))


def test_a_certificate_in_a_networks_place(tmp_path: Path) -> None:
    for files in ((CLAIM, REDUCED, CLAIM), (ORIGINAL, CLAIM, CLAIM)):
        paths = write(tmp_path, *files)
        is_one_paragraph(check_module(*paths))
        is_one_paragraph(lumpnet("check", *paths))
    for run in reads(write(tmp_path, CLAIM, REDUCED, CLAIM)[0], tmp_path):
        is_one_paragraph(run)


@pytest.mark.parametrize("bit", range(8))
def test_one_bit_of_a_bound_file_is_refuted(bit: int, tmp_path: Path) -> None:
    spoiled = bytearray(REDUCED)
    spoiled[-5] ^= 1 << bit
    run = check_module(*write(tmp_path, ORIGINAL, bytes(spoiled), CLAIM))
    assert run.code == 1 or "NaN" in run.err


# --- what a later lumpnet may write --------------------------------------------------------------


def test_a_certificate_of_another_major_version_is_unknown(tmp_path: Path) -> None:
    data = certificate(lambda c: c.update(schema_version="2.0", surprise=[1]))(CLAIM)
    paths = write(tmp_path, ORIGINAL, REDUCED, data)
    for run in (check_module(*paths), lumpnet("check", *paths)):
        assert run.code == 3
        assert "schema 2.0" in " ".join(run.out.split())
    for run in (check_module(*paths, "--json"), lumpnet("check", *paths, "--json")):
        assert run.code == 3
        assert json.loads(run.out)["verdict"] == "unknown"


def test_a_certificate_of_a_later_minor_version_is_read(tmp_path: Path) -> None:
    data = certificate(lambda c: c.update(schema_version="1.7"))(CLAIM)
    assert check_module(*write(tmp_path, ORIGINAL, REDUCED, data)).code == 0


@pytest.mark.parametrize("kind", ["flash", "", "Linear", "\u202ereversed", "__init__", "k" * 100_000])
def test_an_operator_unheard_of(kind: str, tmp_path: Path) -> None:
    spoiled = node(1, kind=kind)(ORIGINAL)
    paths = write(tmp_path, spoiled, REDUCED, rebound(spoiled, REDUCED, CLAIM))
    for run in (check_module(*paths), lumpnet("check", *paths)):
        assert run.code == 3
        assert run.err == ""
    for run in reads(paths[0], tmp_path):
        is_one_paragraph(run)


# --- a few bytes that ask for everything ---------------------------------------------------------

BIG = (1 << 31) - 1


def value(name: str, shape: list[Any], **more: Any) -> Any:
    return {"name": name, "shape": shape, "dtype": "float32"} | more


def step(name: str, shape: list[Any], kind: str, inputs: list[str], attrs: Any = None, **params: str) -> Any:
    return value(name, shape, kind=kind, inputs=inputs, attrs=attrs or {}, params=params)


def file(inputs: list[Any], nodes: list[Any], **tensors: np.ndarray) -> bytes:
    text = json.dumps({"format": 1, "inputs": inputs, "nodes": nodes, "outputs": [nodes[-1]["name"]]})
    header, body = {"__metadata__": {"lumpnet": text}}, b""
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [len(body), len(body) + tensor.nbytes]}  # type: ignore[dict-item]
        body += tensor.astype(np.float32).tobytes()
    return join(header, body)


def conv(axes: int) -> Any:
    return {"stride": [1] * axes, "padding": [0] * axes, "dilation": [1] * axes, "groups": 1}


def scalar_term(which: int) -> bytes:
    return file([value("x", [None, BIG])], [step("y", [None, BIG], "add_constant", ["x"], {"axis": None}, term="t")], t=np.float32(which + 1).reshape(()))


def tall_pool(which: int) -> bytes:
    k, window = 2 - which, {"kernel": [1], "stride": [1], "padding": [0], "dilation": [1], "ceil_mode": False}
    nodes = [
        step("a", [None, k, BIG], "conv", ["x"], conv(1), weight="w"),
        step("p", [None, k, BIG], "max_pool", ["a"], window),
        step("y", [None, 1, BIG], "conv", ["p"], conv(1), weight="v"),
    ]
    return file([value("x", [None, 1, BIG])], nodes, w=np.ones((k, 1, 1)), v=np.full((1, k, 1), 2 / k))


def endless_kernel(which: int) -> bytes:
    n = 1 << 20
    bias = {"bias": "b"} if which == 0 else {}
    nodes = [step("y", [None, 0, 1, 1], "conv", ["x"], conv(2), weight="w", **bias)]
    empty = np.zeros((0, 1, n, n), np.float32)
    return file([value("x", [None, 1, n, n])], nodes, w=empty, **({"b": np.zeros(0)} if bias else {}))


def wide_norm(which: int) -> bytes:
    n = np.zeros(1, np.float32)
    return file([value("x", [None, BIG])], [step("y", [None, BIG], "batch_norm", ["x"], {"eps": 1.0}, mean="m", var="m")], m=n)


def long_reshape(which: int) -> bytes:
    n, k = 1 << 29, 2 - which
    nodes = [
        step("a", [None, k, n], "conv", ["x"], conv(1), weight="w"),
        step("p", [None, k, n, 1], "reshape", ["a"], {"shape": [k, n, 1]}),
        step("y", [None, 1, n, 1], "conv", ["p"], conv(2), weight="v"),
    ]
    return file([value("x", [None, 1, n])], nodes, w=np.ones((k, 1, 1)), v=np.full((1, k, 1, 1), 2 / k))


GREEDY = (scalar_term, tall_pool, endless_kernel, wide_norm, long_reshape)
LUMPED = {"axis": 1, "columns": 1, "class": [0, 0], "representative": [0], "scale": {}, "offset": {}}


@pytest.mark.parametrize("make", GREEDY, ids=lambda f: f.__name__)
def test_a_small_file_that_declares_a_large_network(make: Callable[[int], bytes], tmp_path: Path) -> None:
    """In a process that may not have four gigabytes, in seconds; never proved."""
    g, h = make(0), make(1)
    names = [n["name"] for n in json.loads(split(g)[0]["__metadata__"]["lumpnet"])["nodes"]]
    lumpings = {"x": "identity", "y": "identity"} | {name: LUMPED for name in names if name != "y"}
    data = certificate(lambda c: c.update(lumpings=lumpings))(CLAIM)
    paths = write(tmp_path, g, h, rebound(g, h, data))
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)); import runpy; runpy.run_module('lumpnet.check', run_name='__main__')"
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", limit, *map(str, paths)], capture_output=True, text=True, timeout=60)
    assert done.returncode in (2, 3), done
    assert "Traceback" not in done.stderr
    assert "MemoryError" not in done.stdout
    assert time.perf_counter() - start < 20


# --- words from files ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["\x1b[31mred\x1b[0m", "[bold]loud[/bold]", "\\[red]", "back\\", "new\nline", "\u202eright to left", "\x00", "n" * 900])
def test_names_from_files_are_shown_not_obeyed(name: str, tmp_path: Path) -> None:
    def rename(data: Any) -> None:
        data["nodes"][1]["name"] = name
        data["nodes"][2]["inputs"] = [name]

    spoiled = graph(rename)(ORIGINAL)
    model = write(tmp_path, spoiled, REDUCED, rebound(spoiled, REDUCED, CLAIM))[0]
    shown = lumpnet("show", model)
    assert shown.code == 0
    assert "\x1b" not in shown.out
    assert "\u202e" not in shown.out
    if "[" in name and name.isprintable():
        assert name in shown.out
    run = check_module(model, tmp_path / "h.safetensors", tmp_path / "c.json")
    assert run.code == 1
    assert run.out.count("\n") == 1
    assert run.out.isascii()


# --- chance --------------------------------------------------------------------------------------


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Cut, flipped, repeated, filled or exchanged somewhere."""
    at, length = rng.randrange(len(data)), rng.choice([1, 1, 1, 4, 16, 200])
    what = rng.randrange(6)
    if what == 0:
        return data[:at]
    if what == 1:
        return data[:at] + data[at + length :]
    if what == 2:
        return data[:at] + data[at : at + length] * 2 + data[at + length :]
    if what == 3:
        return data[:at] + bytes(rng.randrange(256) for _ in range(length)) + data[at + length :]
    if what == 4:
        return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    other = rng.randrange(len(data))
    return data[:at] + data[other : other + length] + data[at + length :]


def chance(count: int, seed: int, folder: Path) -> None:
    rng = random.Random(seed)
    for k in range(count):
        files = [ORIGINAL, REDUCED, CLAIM]
        at = rng.randrange(3)
        files[at] = damaged(files[at], rng)
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            files[2] = rebound(*files) if rng.random() < 0.7 else files[2]
        paths = write(folder, *files)
        runs = [check_module(*paths), lumpnet("check", *paths)]
        assert runs[0].code == runs[1].code, (seed, k)
        if at == 0:
            runs += [lumpnet("show", paths[0]), lumpnet("reduce", paths[0], "-o", folder / "out.safetensors")]
        for run in runs:
            assert run.code in (0, 1, 2, 3), (seed, k, run)
            assert run.seconds < SLOW, (seed, k, run)
            if run.code == 2:
                is_one_paragraph(run)


def test_random_damage(seed: int, tmp_path: Path) -> None:
    chance(250, seed, tmp_path)


@pytest.mark.slow
def test_much_random_damage(seed: int, tmp_path: Path) -> None:
    chance(10_000, seed, tmp_path)


# --- real processes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["-m", "lumpnet.check", "g.safetensors", "h.safetensors", "c.json"], 2),
        (["-m", "lumpnet", "check", "g.safetensors", "h.safetensors", "c.json"], 2),
        (["-m", "lumpnet", "show", "g.safetensors"], 2),
        (["-m", "lumpnet", "reduce", "g.safetensors", "-o", "out.safetensors", "--json"], 2),
        (["-m", "lumpnet.check", "h.safetensors", "good.safetensors", "c.json", "--json"], 1),
        (["-m", "lumpnet.check", "good.safetensors", "h.safetensors", "later.json"], 3),
    ],
)
def test_the_real_commands(command: list[str], code: int, tmp_path: Path) -> None:
    write(tmp_path, number(np.nan)(ORIGINAL), REDUCED, CLAIM)
    (tmp_path / "good.safetensors").write_bytes(ORIGINAL)
    (tmp_path / "later.json").write_bytes(certificate(lambda c: c.update(schema_version="2.0"))(CLAIM))
    before = sorted(tmp_path.iterdir())
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done
    if code == 2:
        is_one_paragraph(Run(done.returncode, done.stdout, done.stderr, 0.0))
    else:
        assert done.stderr == ""
        assert len(done.stdout.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


def test_the_network_of_these_tests_is_reducible() -> None:
    assert len(split(REDUCED)[1]) < len(split(ORIGINAL)[1])
    assert network().outputs == ("y",)
