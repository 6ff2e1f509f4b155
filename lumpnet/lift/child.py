"""The child process that reads a foreign file: `python -m lumpnet.lift.child SUFFIX PATH SECONDS BYTES`.

It limits itself before anything large is imported, and answers on standard
output. It writes no file: the limit on their size is 0.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from typing import Any, NoReturn

from lumpnet.errors import FileError, LumpnetError

OUT_OF_MEMORY = 3


def main(arguments: list[str]) -> None:
    """Answer with a network file, or with an error; end without an answer where memory does not suffice."""
    suffix, path, seconds, memory = arguments
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    tempfile.tempdir = "/nowhere"  # libraries look for a folder to write to
    for name, amount in (("RLIMIT_CORE", 0), ("RLIMIT_FSIZE", 0), ("RLIMIT_CPU", int(seconds)), ("RLIMIT_DATA", int(memory))):
        _limit(name, amount)
    try:
        data = b"\n" + _read(suffix, path)
    except LumpnetError as error:
        data = _error(error)
    except MemoryError:
        _stop()
    except RecursionError:
        data = _error(FileError(path, "it is nested too deeply", "a flat file", "check where the file comes from"))
    except Exception as error:  # whatever a reader did not foresee is about the file
        _stop() if "alloc" in str(error).lower() else None
        found = f"it cannot be read ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
        data = _error(FileError(path, found, "a file that torch.export.save or an ONNX exporter wrote", "check where the file comes from"))
    from lumpnet.lift.sandbox import MARK

    answer.write(MARK + data)
    answer.flush()
    os._exit(0)


def _read(suffix: str, path: str) -> bytes:
    from lumpnet.ir import network_bytes

    graph: Any
    if suffix == ".pt2":
        from lumpnet.lift.pt2 import lift_pt2

        graph = lift_pt2(path)
    else:
        try:
            from lumpnet.lift.onnx import lift_onnx
        except ImportError as error:
            raise FileError(path, f"ONNX files need the package onnx ({error})", "an installation with it", "pip install 'lumpnet[onnx]'") from error
        graph = lift_onnx(path)
    return network_bytes(graph)


def _error(error: LumpnetError) -> bytes:
    fields = {"where": error.where, "found": error.found, "expected": error.expected, "hint": error.hint}
    return json.dumps({"error": type(error).__name__} | fields).encode()


def _stop() -> NoReturn:
    os._exit(OUT_OF_MEMORY)


def _limit(name: str, amount: int) -> None:
    import resource  # POSIX only, while the parent reads this file everywhere

    which = getattr(resource, name)
    _, hard = resource.getrlimit(which)
    amount = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
    resource.setrlimit(which, (amount, amount))


if __name__ == "__main__":
    main(sys.argv[1:])
