"""Sweeps: the same numbers wherever they are made, resumed as if never interrupted, and true."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import lumpnet
from lumpnet import sweeping
from lumpnet.cli.app import app
from lumpnet.errors import FileError, LumpnetError
from lumpnet.parallel import BACKENDS, spread
from lumpnet.sweeping import Candidate, Sweep

BOX = lumpnet.Box(-1, 1)
SIZES = (1.0, 0.75, 0.5)


@cache
def network() -> lumpnet.Network:
    torch.manual_seed(5)
    return lumpnet.lift(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)), torch.zeros(2, 4))


def examples() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.uniform(-1, 1, size=(40, 4)).astype(np.float32), rng.integers(0, 3, size=40)


def swept(**more: Any) -> Sweep:
    options: dict[str, Any] = {"domain": BOX, "sizes": SIZES, "methods": ("relaxed", "magnitude"), "layers": True, "data": examples(), "boxes": 20}
    return lumpnet.sweep(network(), **(options | more))


@cache
def whole() -> Sweep:
    return swept()


def test_what_is_said_of_a_candidate_is_true() -> None:
    x, labels = examples()
    model = lumpnet.lower(network()).double()
    with torch.no_grad():
        before = model(torch.from_numpy(x).double())
    for c in whole().candidates:
        if c.method == "relaxed":
            result: Any = lumpnet.reduce(network(), domain=BOX, size=c.size, layer=c.layer)
        else:
            result = lumpnet.prune(network(), method=c.method, keep=c.size, seed=0)
        with torch.no_grad():
            after = result.model.double()(torch.from_numpy(x).double())
        largest = float((before - after).abs().max())
        assert c.units == result.network.size.units
        assert c.certified is not None
        assert c.measured is not None
        assert c.measured == pytest.approx(largest, rel=1e-9, abs=1e-12)
        assert c.measured <= c.certified * (1 + 1e-9) + 1e-12
        assert c.attained <= c.certified
        assert c.flips == int((before.argmax(1) != after.argmax(1)).sum())
        assert c.accuracy == pytest.approx(float((after.argmax(1).numpy() == labels).mean()), abs=1 / 40)
    assert whole().accuracy == float((before.argmax(1).numpy() == labels).mean())


def test_pruners_get_what_is_to_train_on() -> None:
    x, _ = examples()
    few: dict[str, Any] = {"methods": ("ispasp",), "sizes": (0.5,), "layers": False, "boxes": 0}
    answers = [swept(**few, **more).candidates[0] for more in ({}, {"train": x}, {"train": np.abs(x) * [1, 0, 0, 0]})]
    assert answers[0] == answers[1]
    assert answers[0].attained != answers[2].attained


def test_candidates_come_in_the_order_of_the_question() -> None:
    keys = [c.key for c in whole().candidates]
    assert keys[:6] == [(method, None, size) for method in ("relaxed", "magnitude") for size in SIZES]
    layers = dict.fromkeys(c.layer for c in whole().candidates[6:])
    assert keys[6:] == [("relaxed", layer, size) for layer in layers for size in SIZES[1:]]
    assert list(layers) == ["0", "2"]
    units = [c.units for c in whole().candidates]
    assert units == [16, 12, 8, 16, 12, 8, 14, 12, 14, 12]


@pytest.mark.parametrize(("jobs", "backend"), [(2, "loky"), (2, "dask"), (2, "ray")])
def test_the_numbers_do_not_depend_on_where_they_are_made(jobs: int, backend: str) -> None:
    if backend != "loky":
        pytest.importorskip({"dask": "distributed", "ray": "ray"}[backend])
    assert swept(jobs=jobs, backend=backend).candidates == whole().candidates


def test_an_interrupted_sweep_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, made = tmp_path / "curve.json", list[Any]()
    every, make = whole().candidates, sweeping.candidate_of

    def counted(task: sweeping.Task) -> Candidate:
        made.append(task.key)
        if len(made) == 4:
            raise KeyboardInterrupt
        return make(task)

    monkeypatch.setattr(sweeping, "candidate_of", counted)
    with pytest.raises(KeyboardInterrupt):
        swept(out=out)
    assert len(json.loads(out.read_text())["candidates"]) == 3
    found = swept(out=out)
    assert found.candidates == every
    assert sorted(map(str, made[:3] + made[4:])) == sorted(str(c.key) for c in every)
    assert json.loads(out.read_text()) == json.loads(json.dumps(found.as_dict()))
    assert [path.name for path in tmp_path.iterdir()] == ["curve.json"]
    made.clear()
    assert swept(out=out).candidates == found.candidates
    assert swept(out=out, sizes=(0.5,), layers=False, methods=("relaxed",)).candidates == every[2:3]
    assert not made


OTHERS = {
    "domain": {"domain": lumpnet.Box(-1, 2)},
    "data": {"data": examples()[0], "train": examples()},
    "train": {"train": examples()[0]},
    "boxes": {"boxes": 1},
    "seed": {"seed": 1},
}


def test_a_file_of_another_sweep_is_refused_and_left(tmp_path: Path) -> None:
    out = tmp_path / "curve.json"
    few: dict[str, Any] = {"sizes": (1.0,), "methods": ("relaxed",), "layers": False, "out": out}
    swept(**few)
    before = out.read_bytes()
    for what, change in OTHERS.items():
        with pytest.raises(FileError, match=f"another sweep .other: {what}"):
            swept(**(few | change))
    with pytest.raises(FileError, match="other: model"):
        lumpnet.sweep(lumpnet.prune(network(), method="random", keep=0.5).network, domain=BOX, data=examples(), boxes=20, out=out)
    assert out.read_bytes() == before


def hostile() -> dict[str, bytes]:
    good = {"format": "lumpnet-sweep", "schema_version": "1.0", "of": dict(whole().of), "candidates": json.loads(json.dumps(whole().as_dict()))["candidates"]}

    def other(**changes: Any) -> bytes:
        return json.dumps(good | {"candidates": [good["candidates"][0] | changes]}).encode()

    fewer = {key: value for key, value in good["candidates"][0].items() if key != "units"}
    return {
        "empty": b"",
        "not JSON": b"\x00\xff",
        "a network file": b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ",
        "a list": b"[]",
        "another format": json.dumps(good | {"format": "x"}).encode(),
        "another version": json.dumps(good | {"schema_version": "2.0"}).encode(),
        "no question": json.dumps(good | {"of": None}).encode(),
        "no candidates": json.dumps({key: value for key, value in good.items() if key != "candidates"}).encode(),
        "candidates that are none": json.dumps(good | {"candidates": [3]}).encode(),
        "a candidate without units": json.dumps(good | {"candidates": [fewer]}).encode(),
        "a text for a number": other(units="3"),
        "a number for a text": other(method=3),
        "a truth value for a number": other(units=True),
        "more keys": other(more=1),
        "deep": b"[" * 100_000,
        "not a number": json.dumps(good | {"candidates": [good["candidates"][0] | {"certified": math.nan}]}).encode(),
    }


def test_a_file_that_is_no_sweep_is_refused_and_left(tmp_path: Path) -> None:
    out = tmp_path / "curve.json"
    for what, data in hostile().items():
        out.write_bytes(data)
        with pytest.raises(FileError):
            swept(out=out)
        assert out.read_bytes() == data, what
    with pytest.raises(FileError):
        swept(out=tmp_path / "no" / "curve.json")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sizes": ()}, "none"),
        ({"sizes": (0.5, 1.5)}, "1.5"),
        ({"sizes": (0.0,)}, "at most 1"),
        ({"methods": ("magic",)}, "magic"),
        ({"boxes": -1}, "boxes=-1"),
        ({"jobs": 0}, "jobs=0"),
        ({"backend": "threads"}, "threads"),
        ({"data": np.zeros((3, 5), np.float32)}, "shape"),
    ],
)
def test_what_cannot_be_asked_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(LumpnetError, match=says):
        swept(**options)


def square(x: int) -> int:
    return x * x


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_a_task_raises_is_raised(jobs: int) -> None:
    assert sorted(spread(square, [3, 1, 2], jobs)) == [(0, 9), (1, 1), (2, 4)]
    assert not list(spread(square, [], jobs))
    with pytest.raises(TypeError):
        list(spread(square, [1, "a"], jobs))  # type: ignore[list-item]


def test_a_backend_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert BACKENDS == ("loky", "dask", "ray")
    for package, backend in (("distributed", "dask"), ("ray", "ray")):
        monkeypatch.setitem(__import__("sys").modules, package, None)
        with pytest.raises(LumpnetError, match=rf"pip install 'lumpnet\[{backend}\]'"):
            list(spread(square, [1], 2, backend))


def call(*args: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [*map(str, args)])
    return done.exit_code, done.stdout, done.stderr


def test_the_command_prints_what_it_writes(tmp_path: Path) -> None:
    model, out, report, data = (tmp_path / name for name in ("net.safetensors", "curve.json", "r.html", "x.npz"))
    network().save(model)
    x, labels = examples()
    np.savez(data, **{network().graph.inputs[0].name: x, "labels": labels})
    asked = ("sweep", model, "--domain", "-1:1", "--sizes", "1,0.5", "--layers", "--data", data, "-o", out)
    code, printed, err = call(*asked, "--report", report, "--json")
    assert (code, err) == (0, "")
    assert json.loads(printed) == json.loads(out.read_text())
    code, printed, err = call(*asked)
    assert (code, err) == (0, "")
    for word in ("layer", "certified", "attained", "measured", "flips", "accuracy", "100%", "50%"):
        assert word in printed
    assert max(len(line) for line in printed.splitlines() if not line.startswith("curve: ")) <= 80, "only a path may be longer"
    assert printed.splitlines()[-1] == "bounded: 4 of 4 candidates have a certified bound"
    page = report.read_text()
    assert str(tmp_path) not in page
    assert "Layer by layer" in page
    code, printed, _ = call(*asked[:6], "--boxes", 0, "--method", "magnitude", "--quiet")
    assert code == 3
    assert printed.startswith("unknown: ")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--sizes", "a,b"), "shares of the hidden units"),
        (("--sizes", "2"), "at most 1"),
        (("-o", "net.safetensors"), "overwrite another file"),
        (("--report", "curve.txt"), "its name ends in .html"),
        (("--method", "magic"), "one of relaxed"),
        (("-o", "no/curve.json"), "existing folder"),
    ],
)
def test_usage_that_cannot_be_meant_is_refused(more: tuple[str, str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    network().save("net.safetensors")
    before = Path("net.safetensors").read_bytes()
    code, printed, err = call("sweep", "net.safetensors", "--domain", "-1:1", *more)
    assert (code, printed) == (2, "")
    assert says in err
    assert Path("net.safetensors").read_bytes() == before


def test_a_layer_that_cannot_be_merged_is_named() -> None:
    with pytest.raises(LumpnetError, match="one of 0, 2"):
        lumpnet.reduce(network(), domain=BOX, size=0.5, layer="4")
    with pytest.raises(ValueError, match="one of tolerance"):
        lumpnet.reduce(network(), layer="0")


def test_points_are_those_of_one_curve() -> None:
    assert [(p.size, p.label) for p in whole().points("magnitude")] == [(1.0, "magnitude 1"), (0.75, "magnitude 0.75"), (0.5, "magnitude 0.5")]
    assert [p.size for p in whole().points(layer="0")] == [14 / 16, 12 / 16]
    unknown = replace(whole(), candidates=tuple(replace(c, certified=None, by=None) for c in whole().candidates))
    assert "unknown" in str(unknown)
    assert "not all bounded" in unknown._repr_html_()
    assert "bounded: proved" in whole()._repr_html_()
