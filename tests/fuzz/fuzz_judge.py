"""What counts as a crash of a reader, and where it is written down."""

from __future__ import annotations

import hashlib
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

SECONDS = 10.0
BYTES = 1 << 30
"""More memory than this, beside what the libraries take, is a crash: `limit` makes it a `MemoryError`."""


class Judge:
    """Reads inputs and keeps the first one of every crash."""

    def __init__(self, read: Callable[[bytes], object], folder: Path):
        from lumpnet.errors import LumpnetError

        self.read, self.folder, self.own = read, folder, LumpnetError
        self.known = {f.read_text().splitlines()[0]: f.stem for f in folder.glob("crash-*.txt")}
        self.count = self.good = 0

    def __call__(self, data: bytes) -> None:
        self.count += 1
        began = time.process_time()
        try:
            self.read(data)
            self.good += 1
        except self.own:
            pass
        except BaseException as problem:  # a panic of a library in Rust is no Exception
            if isinstance(problem, KeyboardInterrupt | SystemExit):
                raise
            self.keep(data, f"{type(problem).__name__} at {_place(problem)}", traceback.format_exc())
        taken = time.process_time() - began
        if taken > SECONDS:
            self.keep(data, "slow", f"{taken:.1f} s of processor time")

    def keep(self, data: bytes, what: str, story: str) -> None:
        if what in self.known:
            return
        self.known[what] = hashlib.sha256(data).hexdigest()[:12]
        (self.folder / f"crash-{self.known[what]}").write_bytes(data)
        (self.folder / f"crash-{self.known[what]}.txt").write_text(f"{what}\n{story}")
        print(f"CRASH {what}: crash-{self.known[what]}", file=sys.stderr, flush=True)


def _place(problem: BaseException) -> str:
    """The innermost line of the package's own."""
    frames = traceback.extract_tb(problem.__traceback__)
    mine = [f for f in frames if "/lumpnet/" in f.filename and "/tests/" not in f.filename] or list(frames)
    return f"{Path(mine[-1].filename).name}:{mine[-1].lineno}"


def limit() -> None:
    """Memory beyond `BYTES` more than now is refused by the system."""
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[5])
    amount = pages * resource.getpagesize() + BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (amount, amount))
