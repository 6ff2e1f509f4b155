"""`python -m tests.fuzz READER --seconds N`: fuzz one reader of files, guided by coverage; ends with 1 if anything crashed it.

A crash is an exception that is not the package's own, more than 10 s of processor time, more than 1 GiB beyond what the libraries take, or the
end of the process. Inputs and traces of crashes stay in `--folder`.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMES = ("certificate", "network", "onnx", "pt2")


@dataclass(frozen=True)
class Campaign:
    executions: int
    seconds: float
    corpus: int
    covered: int
    crashes: tuple[str, ...]

    def __str__(self) -> str:
        found = f"{self.executions} executions in {self.seconds:.0f} s, coverage {self.covered}, corpus {self.corpus}, crashes {len(self.crashes)}"
        return "\n".join([found, *(f"  {line}" for line in self.crashes)])


def fuzz(name: str, seconds: int, seed: int, folder: Path) -> Campaign:
    """Fuzz for so long, begin again where the process died. Raises `RuntimeError` where it does not even begin."""
    began, executions, covered = time.monotonic(), 0, 0
    while (left := seconds - (time.monotonic() - began)) > 1 or not executions:
        command = [sys.executable, str(HERE / "fuzz_run.py"), name, str(folder), str(max(int(left), 1)), str(seed)]
        with (folder / "log").open("ab") as log:
            at = log.tell()
            code = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | {"PYTHONPATH": str(HERE.parents[1])}, check=False
            ).returncode
        text = (folder / "log").read_bytes()[at:].decode(errors="replace")
        done = [int(n) for n in re.findall(r"^#(\d+)\t", text, re.MULTILINE)]
        if not done:
            raise RuntimeError(text[-2000:])
        executions += max(done)
        covered = max([covered, *(int(n) for n in re.findall(r" cov: (\d+)", text))])
        seed += 1
        if code == 0 and left - 1 <= time.monotonic() - began:
            break
    crashes = [f.read_text().splitlines()[0] for f in sorted(folder.glob("crash-*.txt"))] + [f.name for f in sorted(folder.glob("died-*"))]
    return Campaign(executions, time.monotonic() - began, len(list((folder / "corpus").iterdir())), covered, tuple(crashes))


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("reader", choices=NAMES)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--folder", type=Path, help="where corpus, log and crashes stay (a new one)")
    options = parser.parse_args()
    if find_spec("atheris") is None:
        print("fuzzing needs atheris: pip install 'lumpnet[fuzz]'", file=sys.stderr)
        return 2
    folder = options.folder or Path(tempfile.mkdtemp(prefix=f"lumpnet-fuzz-{options.reader}-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"fuzzing the reader {options.reader!r} for {options.seconds} s from seed {options.seed} in {folder}", flush=True)
    found = fuzz(options.reader, options.seconds, options.seed, folder)
    print(found)
    return bool(found.crashes)


if __name__ == "__main__":
    sys.exit(main())
