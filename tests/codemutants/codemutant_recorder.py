"""A pytest plugin that keeps every triple of files which the tests give to the checker: `-p codemutant_recorder`, the folder in LUMPNET_RECORD."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import lumpnet.check
import lumpnet.check.__main__
import lumpnet.check.run

LARGEST = 1 << 20
SLOWEST = 0.2
_real = lumpnet.check.run.check_files


def recording(*paths: Any) -> Any:
    began = time.process_time()
    try:
        return _real(*paths)
    finally:
        if time.process_time() - began < SLOWEST:
            with suppress(OSError, ValueError):  # a path that is none
                _keep([Path(path) for path in paths])


def _keep(paths: list[Path]) -> None:
    folder = Path(os.environ["LUMPNET_RECORD"])
    if not all(p.suffix in (".safetensors", ".json") and p.is_file() and p.stat().st_size <= LARGEST for p in paths):
        return
    files = [p.read_bytes() for p in paths]
    target = folder / hashlib.sha256(b"".join(len(f).to_bytes(8, "little") + f for f in files)).hexdigest()[:20]
    if not target.exists():
        target.mkdir()
        for name, data in zip(("g.safetensors", "h.safetensors", "c.json"), files, strict=True):
            (target / name).write_bytes(data)


for _module in (lumpnet.check, lumpnet.check.run, lumpnet.check.__main__):
    _module.check_files = recording  # type: ignore[assignment]
