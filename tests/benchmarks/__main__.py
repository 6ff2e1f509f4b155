"""From a network file to a written network file and certificate, and through the checker, against SHA-256 over the same bytes.

    python -m tests.benchmarks [WORKLOAD ...] [--repeat N] [--json]

Every workload runs in a process of its own, one after the other. Times are
medians of N, given as ratios to SHA-256 over the original's bytes in the same
process; memory is the peak above what is resident after the imports, as a ratio to
those bytes. `reduce` is `lumpnet.reduce` (which checks its own result) and saving it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import lumpnet
from lumpnet.check import check_files
from lumpnet.network import Network
from lumpnet.verdict import Proved
from tests.architectures.memory import forget, peak, resident
from tests.benchmarks.networks import WORKLOADS, perceptron, write


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    out = work()
    return time.perf_counter() - start, out


def measure(original: Path, repeat: int) -> dict[str, float]:
    """One workload, in this process: medians of seconds, and of MiB above the start."""
    reduced, written = original.with_name("reduced.safetensors"), original.with_name("certificate.json")
    found: dict[str, list[float]] = {}

    def note(**figures: float) -> None:
        for name, figure in figures.items():
            found.setdefault(name, []).append(figure)

    def reduce() -> dict[str, float]:
        result = lumpnet.reduce(original, folder=original.parent)
        assert isinstance(result.verdict, Proved), result.verdict
        saving, _ = timed(lambda: result.save(reduced, written))
        return {**result.seconds, "save": saving, "units": result.original.size.units, "units_left": result.network.size.units}

    lumpnet.reduce(Network(perceptron((4, 8, 2))))  # what is imported at the first use
    start = resident()
    for _ in range(repeat):
        reduced.unlink(missing_ok=True)  # freeing the pages of the last one takes time too
        forget()
        seconds, phases = timed(reduce)
        note(reduce=seconds, reduce_peak=peak() - start, **{f"reduce: {phase}": part for phase, part in phases.items()})
        forget()
        seconds, verdict = timed(lambda: check_files(original, reduced, written))
        assert isinstance(verdict, Proved), verdict
        note(check=seconds, check_peak=peak() - start)
        data = np.fromfile(original, np.float32, count=original.stat().st_size // 4)
        note(sha256=timed(lambda data=data: hashlib.sha256(data.view(np.uint8).data))[0], numpy_pass=timed(data.sum)[0])
        del data
    return {name: median(figures) for name, figures in found.items()} | {"bytes": original.stat().st_size}


def in_a_process(name: str, repeat: int, folder: str) -> dict[str, float]:
    """The network is made in another process than the one that is measured."""
    for what in ("--write", "--measure"):
        command = [sys.executable, "-m", "tests.benchmarks", what, folder, name, "--repeat", str(repeat)]
        out = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}).stdout
    result: dict[str, float] = json.loads(out)
    return result


def row(name: str, m: dict[str, float]) -> str:
    ratios = [m[what] / m["sha256"] for what in ("reduce", "check")]
    passes = [m[what] / m["numpy_pass"] for what in ("reduce", "check")]
    memory = [m[f"{what}_peak"] * 2**20 / m["bytes"] for what in ("reduce", "check")]
    cells = [f"{m['bytes'] / 1e6:6.0f}", *(f"{x:7.1f}" for x in ratios), *(f"{x:7.0f}" for x in passes), *(f"{x:7.1f}" for x in memory)]
    phases = ", ".join(f"{k.removeprefix('reduce: ')} {v / m['sha256']:.1f}" for k, v in m.items() if k.startswith("reduce: ") and "units" not in k)
    units = f"{m['reduce: units']:.0f} -> {m['reduce: units_left']:.0f} units"
    return f"{name:<20}{''.join(cells)}\n    {units}; of reduce: {phases}; SHA-256 {m['sha256']:.3f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("workloads", nargs="*", default=list(WORKLOADS))
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.write:
        write(given.workloads[0], given.write)
    elif given.measure:
        print(json.dumps(measure(given.measure / f"{given.workloads[0]}.safetensors", given.repeat)))
    else:
        found = {}
        if not given.json:
            print(f"{'':<20}{'MB':>6}{'in SHA-256 of the file':^14}{'in numpy sums':^14}{'peak / file':^14}\n{'':<26}{'reduce  check' * 1:>14}")
        for name in given.workloads:
            with tempfile.TemporaryDirectory() as folder:
                found[name] = in_a_process(name, given.repeat, folder)
            if not given.json:
                print(row(name, found[name]), flush=True)
        if given.json:
            print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
