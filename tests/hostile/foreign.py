"""One run of the real command on one file, in an empty folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Outcome:
    """`seconds` are those of the wall, `processor` those of computing.

    `memory` is the largest resident set of the process and its children, in MiB
    beyond the file's size; `left` is what appeared in the folder.
    """

    code: int
    out: str
    err: str
    seconds: float
    processor: float
    memory: float
    left: list[str]


LAUNCHER = """
import os, subprocess, sys
child = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(child.pid, 0)
with open(int(sys.argv[1]), "w") as report:
    print(status, usage.ru_maxrss, usage.ru_utime + usage.ru_stime, file=report)
"""
"""A small process between: a process counts the memory of the one that forked it as its own."""


def show(suffix: str, data: bytes) -> Outcome:
    """`lumpnet show model.SUFFIX`, as a user types it beside the file."""
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        tempfile.TemporaryFile() as report,
    ):
        path = Path(folder) / f"model{suffix}"
        path.write_bytes(data)
        for link, target in (("link", "/etc/passwd"), ("linked", "/etc")):
            (Path(folder) / link).symlink_to(target)
        (Path(folder) / "folder").mkdir()
        before = set(Path(folder).iterdir())
        home = str(Path(__file__).resolve().parents[2])
        start = time.perf_counter()
        launcher = [sys.executable, "-S", "-c", LAUNCHER, str(report.fileno())]
        command = [*launcher, sys.executable, "-m", "lumpnet", "show", path.name]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([home, os.environ.get("PYTHONPATH", "")])}
        subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment, pass_fds=[report.fileno()], check=True)
        seconds = time.perf_counter() - start
        report.seek(0)
        status, memory, processor = report.read().split()
        left = sorted(p.name for p in Path(folder).iterdir() if p not in before)
        if path.read_bytes() != data:
            left.append("another file in the file's place")
        texts = [(f.seek(0), f.read().decode())[1] for f in (out, err)]
    code = os.waitstatus_to_exitcode(int(status))
    return Outcome(code, *texts, seconds, float(processor), int(memory) / 1024 - len(data) / 2**20, left)
