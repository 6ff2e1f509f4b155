"""Every reader of files survives what is changed at random: a quick share without guidance, a longer one guided by coverage."""

from __future__ import annotations

import os
import random
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import fuzz_readers
from fuzz_judge import Judge
from fuzz_readers import READERS, bent

from lumpnet.errors import FileError

QUICK = {"certificate": 2000, "network": 1500, "onnx": 1500, "pt2": 12}
NAMES = tuple(QUICK)


@pytest.mark.parametrize("name", NAMES)
def test_a_reader_survives_changed_files(name: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_readers, "EXPORTED", ("mlp",))
    reader, rng = READERS[name], random.Random(f"{seed} {name}")
    seeds = reader.seeds(rng)
    judge = Judge(reader.read, tmp_path)
    for data in seeds:
        judge(data)
    assert judge.good == judge.count or name == "onnx", "a file to begin with is refused"  # some forged ONNX models say what no kind says
    for _ in range(QUICK[name]):
        data = rng.choice(seeds)
        for _ in range(rng.choice([1, 1, 2])):
            data = bent(reader, data, rng) or data[: rng.randrange(len(data) + 1)]
        judge(data)
    assert not judge.known, judge.known


def test_a_crash_is_noticed(tmp_path: Path) -> None:
    """Whatever is no error of the package, and whatever takes its time; each once."""

    def read(data: bytes) -> None:
        if data == b"refused":
            raise FileError("x", "bad")
        if data.startswith(b"crash"):
            raise KeyError(data)
        if data == b"panic":
            raise BaseException("a library's")

    judge = Judge(read, tmp_path)
    for data in (b"good", b"refused", b"crash", b"crash again", b"panic"):
        judge(data)
    assert (judge.count, judge.good) == (5, 1)
    assert sorted(what.split(" at ")[0] for what in judge.known) == ["BaseException", "KeyError"]
    assert len(list(tmp_path.glob("crash-*.txt"))) == 2


def test_slowness_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 11.0])
    monkeypatch.setattr(time, "process_time", lambda: next(times))
    judge = Judge(lambda data: None, tmp_path)
    judge(b"")
    assert list(judge.known) == ["slow"]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("atheris") is None, reason="fuzzing guided by coverage needs atheris: pip install 'lumpnet[fuzz]'")
@pytest.mark.parametrize("name", NAMES)
def test_a_reader_survives_a_fuzzer(name: str, seed: int, tmp_path: Path) -> None:
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("fuzz_main", Path(__file__).parent / "__main__.py")
    assert spec is not None
    assert spec.loader is not None
    main = module_from_spec(spec)
    sys.modules["fuzz_main"] = main
    spec.loader.exec_module(main)
    found = main.fuzz(name, int(os.environ.get("LUMPNET_FUZZ", 20)), seed, tmp_path)
    print(f"\n{name}, seed {seed}: {found}")
    assert found.executions > 0
    assert not found.crashes
