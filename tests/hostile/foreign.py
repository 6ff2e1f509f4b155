"""One run of the real command on one file, in an empty folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

FIGURES = ".figures"
MEASURE = f"""
import json, os, sys, time
start = time.perf_counter()
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
seconds, code = time.perf_counter() - start, os.waitstatus_to_exitcode(status)
figures = dict(code=code, seconds=seconds, processor=usage.ru_utime + usage.ru_stime, kilobytes=usage.ru_maxrss)
open({FIGURES!r}, "w").write(json.dumps(figures))
"""
"""A small process in between: a child's largest resident set counts that of the process that started it."""


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


def show(suffix: str, data: bytes) -> Outcome:
    """`lumpnet show model.SUFFIX`, as a user types it beside the file."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        path = Path(folder) / f"model{suffix}"
        path.write_bytes(data)
        for link, target in (("link", "/etc/passwd"), ("linked", "/etc")):
            (Path(folder) / link).symlink_to(target)
        (Path(folder) / "folder").mkdir()
        before = set(Path(folder).iterdir())
        home = str(Path(__file__).resolve().parents[2])
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([home, os.environ.get("PYTHONPATH", "")])}
        command = [sys.executable, "-S", "-c", MEASURE, sys.executable, "-m", "lumpnet", "show", path.name]
        subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment, check=True)
        figures = json.loads((Path(folder) / FIGURES).read_text())
        (Path(folder) / FIGURES).unlink()
        left = sorted(p.name for p in Path(folder).iterdir() if p not in before)
        if path.read_bytes() != data:
            left.append("another file in the file's place")
        texts = [(f.seek(0), f.read().decode())[1] for f in (out, err)]
    return Outcome(figures["code"], *texts, figures["seconds"], figures["processor"], figures["kilobytes"] / 1024 - len(data) / 2**20, left)
