"""The child process that runs Z3: `python -m lumpnet.evidence.smt_worker QUESTION SECONDS MEGABYTES ORIGINAL REDUCED [CERTIFICATE|BOX]`.

It limits its own memory and processor time before anything large is imported,
and prints one JSON object a line; the last line says that it came to its end.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DONE = {"done": True}


def main(arguments: list[str]) -> None:
    """Answer one question on standard output."""
    question, seconds, megabytes, *files = arguments
    deadline = time.monotonic() + 0.85 * float(seconds)
    _limit("RLIMIT_CORE", 0)
    _limit("RLIMIT_CPU", int(float(seconds)) + 2)
    _limit("RLIMIT_AS", int(megabytes) << 20)
    for finding in _findings(question, deadline, int(megabytes), files):
        print(json.dumps(finding), flush=True)
    print(json.dumps(DONE), flush=True)


def _limit(name: str, amount: int) -> None:
    import resource  # POSIX only, while the parent reads this file everywhere

    which = getattr(resource, name)
    _, hard = resource.getrlimit(which)
    amount = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
    resource.setrlimit(which, (amount, amount))


def _findings(question: str, deadline: float, megabytes: int, files: list[str]) -> Iterator[dict[str, Any]]:
    import z3

    from lumpnet.certificate import loads
    from lumpnet.evidence import smt_apart, smt_local, smt_whole
    from lumpnet.ir import load_network
    from lumpnet.ops.sites import sites

    z3.set_param("memory_max_size", max(1, megabytes * 3 // 4))
    original, reduced = (load_network(path) for path in files[:2])
    for graph in (original, reduced):
        sites(graph)  # stored shapes are the computed ones
    if question == "whole":
        yield smt_whole.ask(original, reduced, deadline - time.monotonic())
    elif question == "apart":
        yield from smt_apart.ask(original, reduced, json.loads(Path(files[2]).read_bytes()), deadline - time.monotonic())
    else:
        yield from smt_local.ask(original, reduced, loads(Path(files[2]).read_bytes()), deadline - time.monotonic())


if __name__ == "__main__":
    main(sys.argv[1:])
