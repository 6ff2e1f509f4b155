"""Foreign files are read in a child process that may not take long, take much or write anything.

The child answers through a pipe, with the bytes of a network file or with the
four fields of an error; what it cannot answer any more (it crashed, was killed,
ran out of memory or time) is an error about the file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lumpnet
from lumpnet import errors
from lumpnet.errors import FileError, LumpnetError

CHILD = "lumpnet.lift.child"
MARK = b"lumpnet-child-1\n"
"""The answer's first line: whatever a library prints goes elsewhere."""


@dataclass(frozen=True)
class Limits:
    """What a child may use: `data` bytes beside `per_byte` times the file's size, and `seconds` beside one for every `bytes_per_second`."""

    data: int
    per_byte: int = 6
    seconds: int = 60
    bytes_per_second: int = 1 << 21

    def memory(self, size: int) -> int:
        return self.data + self.per_byte * size

    def time(self, size: int) -> int:
        return self.seconds + size // self.bytes_per_second


FOREIGN = {".pt2": Limits(data=448 << 20), ".onnx": Limits(data=320 << 20)}
"""The formats by suffix."""

EXTERNAL = (".data", ".onnx_data", ".bin", ".weights")
"""How exporters call the files of external weights, which count as part of the model."""


class Reader:
    """A child process that reads a file from now on. Raises `LumpnetError`; never anything of another library."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        size = _size(self.path)
        limits = FOREIGN[self.path.suffix.lower()]
        self.seconds, self.memory = limits.time(size), limits.memory(size)
        command = [sys.executable, "-P", "-m", CHILD, self.path.suffix.lower(), str(path), str(self.seconds), str(self.memory)]
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        try:
            self.process = subprocess.Popen(command, env=_environment(), **pipes)
        except OSError as error:
            raise _gave_up(self.path, f"the process that reads it could not be started ({error.strerror})") from error

    def answer(self) -> bytes:
        """The network file, once it is read. Raises `LumpnetError`."""
        with self.process:
            try:
                output, _ = self.process.communicate(timeout=self.seconds + 5)
            except subprocess.TimeoutExpired as late:
                raise _gave_up(self.path, f"reading it took more than {self.seconds} seconds") from late
            finally:
                self.process.kill()
        kind, mark, answer = bytes(output).partition(MARK)
        if self.process.returncode != 0 or not mark or kind:
            raise _gave_up(self.path, _cause(self.process.returncode, self.memory))
        if answer[:1] == b"{":
            _raise(self.path, answer)
        return answer[1:]


_begun: dict[str, Reader] = {}


def begin(path: str | Path) -> None:
    """Start to read a foreign file that is asked for later. Raises `LumpnetError`."""
    _begun[str(path)] = Reader(path)


def network_file_of(path: str | Path) -> bytes:
    """The network file of a foreign file. Raises `LumpnetError`; never anything of another library."""
    return (_begun.pop(str(path), None) or Reader(path)).answer()


def _size(path: Path) -> int:
    """The size of the file, with the weights that an ONNX exporter puts beside it."""
    try:
        if not path.is_file():
            raise FileError(str(path), "no file of this name", "an existing file", "check the path")
        beside = path.parent.iterdir() if path.suffix.lower() == ".onnx" else ()
        return path.stat().st_size + sum(p.stat().st_size for p in beside if p.suffix.lower() in EXTERNAL and p.is_file())
    except (OSError, ValueError) as error:
        raise FileError(str(path), f"cannot be opened ({getattr(error, 'strerror', None) or error})", "an existing file", "check the path") from error


def _cause(code: int, memory: int) -> str:
    words = {-9: "was killed", -11: "crashed", -6: "crashed", -24: "used all of its time", 3: f"needed more than {memory >> 20} MiB"}
    return f"the process that reads it {words.get(code, f'ended with code {code}')}"


def _gave_up(path: Path, found: str) -> FileError:
    return FileError(str(path), found, "a file that is read within its limits", "check where the file comes from; a model of your own can be lifted in Python")


def _raise(path: Path, answer: bytes) -> None:
    """The child's error, as its class."""
    try:
        data = json.loads(answer)
        kind, fields = data["error"], [str(data[name]) for name in ("where", "found", "expected", "hint")]
    except (ValueError, LookupError, TypeError) as error:
        raise _gave_up(path, "the process that reads it gave an unreadable answer") from error
    found = getattr(errors, str(kind), FileError)
    where = fields[0] if str(path) in fields[0] else f"{path}: {fields[0]}"
    kind_of = found if isinstance(found, type) and issubclass(found, LumpnetError) else FileError
    raise kind_of(where, fields[1], fields[2] or "a network that lumpnet reads", fields[3] or "check where the file comes from")


def _environment() -> dict[str, str]:
    """One thread a library (each would reserve memory), and this very package."""
    home = str(Path(lumpnet.__file__).parent.parent)
    path = os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])])
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "MALLOC_ARENA_MAX"), "1")
    return {**os.environ, **single, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
