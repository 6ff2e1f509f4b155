"""`python -m lumpnet.check`: exit codes, one JSON object, one paragraph, and only numpy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from catalog import CASES
from forge import set_entry

from lumpnet.certificate import dumps, loads
from lumpnet.check.__main__ import main

KEYS = ["verdict", "rounding", "reason", "claims", "vouched_by"]


def _run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_proved_is_zero(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = CASES["linear_nearest"]().write(tmp_path)
    code, out, err = _run(capsys, *paths, "--json")
    report = json.loads(out)
    assert (code, err, list(report)) == (0, "", KEYS)
    assert (report["verdict"], report["rounding"]) == ("exact", "nearest")
    assert "quotient" in report["claims"][0]
    code, out, err = _run(capsys, *paths)
    assert out.startswith("exact (rounding: nearest): the exact quotient")


def test_an_opaque_operator_is_named_among_what_is_trusted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = _run(capsys, *CASES["pinned"]().write(tmp_path), "--json")
    assert any("aten.layer_norm.default" in line for line in json.loads(out)["vouched_by"])


def test_refuted_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = _run(capsys, *CASES["relu"]().broken(set_entry("h", "y", "bias", 0, 0)).write(tmp_path), "--json")
    report = json.loads(out)
    assert (code, err, report["verdict"], report["rounding"], report["claims"]) == (1, "", "refuted", None, [])
    assert "node 'y'" in report["reason"]


def test_unknown_is_three(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = CASES["relu"]().write(tmp_path)
    certificate = loads(paths[2].read_bytes())
    paths[2].write_bytes(dumps(certificate).replace(b'"schema_version":"1.0"', b'"schema_version":"9.0"'))
    code, out, err = _run(capsys, *paths, "--json")
    assert (code, err, json.loads(out)["verdict"]) == (3, "", "unknown")


def test_unreadable_is_two_in_one_paragraph(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = CASES["relu"]().write(tmp_path)
    for at in range(3):
        broken = list(paths)
        broken[at] = tmp_path / "broken"
        broken[at].write_bytes(b"{" * 1000)
        code, out, err = _run(capsys, *broken, "--json")
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        assert "Traceback" not in err
        assert str(broken[at]) in err


def test_misuse_is_two(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["only-one"])
    assert caught.value.code == 2


def test_an_unexpected_exception_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lumpnet.check import check_files, run

    for problem in (MemoryError(), RecursionError(), ZeroDivisionError("x")):

        def fail(case: object, problem: BaseException = problem) -> str:
            raise problem

        monkeypatch.setattr(run, "_discharge", fail)
        assert type(check_files(*CASES["relu"]().write(tmp_path))).__name__ == "Unknown"


def test_an_obligation_that_says_nothing_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lumpnet.check import check_files, run

    monkeypatch.setattr(run, "_discharge", lambda case: None)
    assert type(check_files(*CASES["relu"]().write(tmp_path))).__name__ == "Unknown"


def test_the_checker_needs_only_numpy(tmp_path: Path) -> None:
    paths = [str(p) for p in CASES["relu"]().write(tmp_path)]
    program = f"""
import sys
import lumpnet.check.__main__ as checker
code = checker.main({paths!r})
known = set(sys.stdlib_module_names) | {{"numpy"}}
foreign = sorted({{name.split(".")[0] for name in sys.modules}} - known - {{"lumpnet", "__main__", "__mp_main__"}})
own = sorted(name for name in sys.modules if name.startswith("lumpnet.") and not name.startswith("lumpnet.check"))
print([n for n in foreign if not n.startswith("_") and "site" not in n and "distutils" not in n], own, code)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert run.stdout.splitlines()[-1] == "[] ['lumpnet.certificate', 'lumpnet.errors', 'lumpnet.verdict'] 0"


def test_no_assertion_guards_a_proof() -> None:
    root = Path(__file__).parents[2] / "lumpnet"
    for path in (root / "certificate.py", *(root / "check").rglob("*.py")):
        assert not any(line.strip().startswith("assert ") for line in path.read_text().splitlines()), path
