"""The examples run from top to bottom and say what their text promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.report.browser import CHROMIUM

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def test_prune_and_reduce(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(EXAMPLES / "prune_and_reduce.py"), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "exact: the reduced network computes the same real function" in done.stdout
    assert "hidden units            112 -> 56" in done.stdout
    assert "checked again from the files: Proved" in done.stdout
    assert "(16, 3, 3, 3) -> (8, 3, 3, 3)" in done.stdout
    assert {p.name for p in tmp_path.iterdir()} == {"original.safetensors", "reduced.safetensors", "certificate.json"}


def test_the_demo_script_offers_its_help() -> None:
    done = subprocess.run([sys.executable, str(EXAMPLES / "train_demo.py"), "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_audit_pruners(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "audit_pruners.py"), "--seconds", "0.5"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = {line[:16].strip(): line[16:].split() for line in done.stdout.splitlines()[1:]}
    assert {"magnitude", "random", "merge_similar", "folding", "exact lumping"} <= set(rows)
    for units, seen, certified, *_ in rows.values():
        assert 0 < int(units) < 152
        assert 0 <= float(seen) <= float(certified)
    assert float(rows["exact lumping"][2]) < 1e-6
    assert float(rows["random"][1]) > 1


def test_relaxed_sizes() -> None:
    command = [sys.executable, str(EXAMPLES / "relaxed_sizes.py"), "--seeds", "1", "--sizes", "0.75", "0.5", "--network", "mlp"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines()[1:]:
        _, _, relaxed, folding, similar, certified, attained, accuracy = line.split()
        assert 0 < float(relaxed) <= float(attained) <= float(certified)
        assert float(relaxed) < min(float(folding), float(similar))
        assert float(accuracy.rstrip("%")) > 90


def test_report(tmp_path: Path) -> None:
    picture = ["--picture", str(tmp_path / "report.png")] if (CHROMIUM or "").endswith("/chromium") else []
    command = [sys.executable, str(EXAMPLES / "report.py"), "--seconds", "0.5", "--out", str(tmp_path / "report.html"), *picture]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "bounded: no output differs by more than" in done.stdout
    assert "Seen on the data" in (tmp_path / "report.html").read_text()
    for path in (EXAMPLES / "report.png", *([tmp_path / "report.png"] if picture else [])):
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert path.stat().st_size < 150_000


def run(name: str, *options: str) -> str:
    done = subprocess.run([sys.executable, str(EXAMPLES / name), *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "audit of" in done.stdout
    assert "<= largest difference" in done.stdout
    return done.stdout


def test_ispasp(tmp_path: Path) -> None:
    out = run("ispasp.py", "--seeds", "1", "--units", "48", "--keeps", "4", "12", "--race", "3", "--seconds", "0.5", "--figure", str(tmp_path / "f.svg"))
    slopes = [line.split()[:3] for line in out.splitlines()[2:6]]
    assert [p for p, *_ in slopes] == ["0.3", "0.5", "0.7", "0.9"]
    assert all(abs(float(found) / float(expected) - 1) < 0.15 for _, found, expected in slopes)
    assert [float(found) for _, found, _ in slopes] == sorted(float(found) for _, found, _ in slopes), "steeper for smaller p"
    rows = [line.split() for line in out.splitlines() if line.split()[:1] in (["4"], ["12"])]
    assert all(float(greedy) < float(ours) < float(random) for _, ours, _, _, _, random, greedy, _ in rows)
    assert "yes greedy below i-SpaSP at every size" in out
    assert (tmp_path / "f.svg").read_text().count("<polyline") == 4


def test_spectral() -> None:
    out = run("spectral.py", "--seeds", "1", "--densities", "0.1", "--seconds", "0.5")
    rows = {line.split()[1]: [float(x.rstrip("%")) for x in line.split()[2:]] for line in out.splitlines() if line.split()[:1] == ["10%"]}
    assert set(rows) == {"lead", "threshold", "dz", "random"}
    assert rows["lead"][1] < rows["threshold"][1] < rows["random"][1] < rows["dz"][1]


def test_greedy() -> None:
    out = run("greedy.py", "--seeds", "1", "--width", "256", "--seconds", "0.5")
    slopes = {line[:24].strip(): float(line[24:31]) for line in out.splitlines() if line[14:24].strip() in ("greedy", "random")}
    assert len(slopes) == 8
    assert slopes["random, 5     greedy"] < slopes["random, 200   greedy"] < 0
    assert "picks among 256 units" in out


def test_other_pruners() -> None:
    out = run("other_pruners.py", "--seeds", "1", "--keeps", "0.25", "--seconds", "0.5")
    rows = {line[:20].strip(): float(line[20:].rstrip("%")) for line in out.splitlines()[2:11]}
    assert rows["pivoting"] > rows["blocks, no order"]
    assert rows["eigendamage"] > 90
    assert rows["eigendamage, size"] < 100


def test_comparison(tmp_path: Path) -> None:
    options = ["--network", "mlp", "--sizes", "0.5", "--methods", "folding", "magnitude", "--epochs", "5", "--out", str(tmp_path)]
    done = subprocess.run([sys.executable, str(EXAMPLES / "comparison.py"), *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if line.startswith("| ")][1:]
    table = {row[0]: row for row in cells}
    assert list(table) == ["relaxed lumping", "folding", "magnitude"]
    for name, (_, data, kept, units, _, certified, attained, measured, _, _, relation) in table.items():
        assert (data, kept, units) == ("none", "50%", "64")
        assert 0 < float(measured) <= float(certified)
        assert 0 < float(attained) <= float(certified)
        assert ("follow others" in relation) == (name != "magnitude")
    assert "64 to 0 (worth up to" in table["magnitude"][-1]
    assert {path.name for path in tmp_path.iterdir()} == {"mlp.json", "mlp.html"}


def table(name: str, tmp_path: Path, *options: str) -> str:
    """What an example prints; its figure is drawn."""
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *options, "--seeds", "1", "--seconds", "0.5", "--figure", str(tmp_path / "figure.html")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "figure.html").read_text().count("<circle") > 4
    assert "masked -> pruned: exact: the reduced network computes the same real function" in done.stdout
    return done.stdout


def test_ising(tmp_path: Path) -> None:
    rows = [line.split() for line in table("ising", tmp_path, "--epochs", "6", "--widths", "32,16").splitlines() if line.startswith("64-32-16-10")]
    removed = {row[1]: float(row[-4].rstrip("%")) for row in rows}
    assert removed["twin"] == 0
    for method in ("random", "ising", "edropout"):
        assert 30 < removed[method] < 90


def test_directional(tmp_path: Path) -> None:
    told = table("directional", tmp_path, "--steps", "600", "--hidden", "16", "--c", "0.3")
    rows = {line[8:22].strip(): [float(text.rstrip("%")) for text in line[22:].split()] for line in told.splitlines() if line.startswith("median")}
    assert rows["directional"][0] == rows["one-shot L2"][0] == rows["random"][0] > 20
    assert rows["directional"][1] < rows["one-shot L2"][1]
    assert rows["twin"][-1] == 0 < rows["directional"][-1] < 1
    assert "masked -> compacted      equivalent: the two networks compute the same real function" in told


def test_incremental(tmp_path: Path) -> None:
    told = table("incremental", tmp_path, "--network", "mlp", "--epochs", "60", "--retrain", "5")
    rows = {line[9:30].strip(): line[30:].split() for line in told.splitlines() if line.startswith("mlp")}
    right = {name: float(row[1].rstrip("%")) for name, row in rows.items()}
    assert rows["incremental"][0] == rows["one-shot L1"][0]
    assert right["incremental"] > right["one-shot L1"] + 5
    assert right["probabilistic"] > right["one-shot L1"] + 5
    assert float(rows["incremental"][-1].rstrip("%")) <= 1
