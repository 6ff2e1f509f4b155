"""A network of four billion bytes, reduced and checked by processes that may use 2 GiB of memory.

    python -m tests.benchmarks.large [--width 16384] [--limit-gib 2] [--folder DIR]

Four linear layers, half of their hidden units copies. The limit is one of a control group, page cache included, where
one can be made (root on Linux), else a limit on private memory (RLIMIT_DATA).
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from lumpnet.ir import Graph, Node, Value, save_network

LAYERS = 4
_GROUP = Path("/sys/fs/cgroup/memory/lumpnet-benchmark"), Path("/sys/fs/cgroup/lumpnet-benchmark")


def write(width: int, path: Path) -> None:
    """The network, drawn a few rows at a time into files: no layer has to fit in memory."""
    rng = np.random.default_rng(0)
    half, order = width // 2, [rng.permutation(width) for _ in range(LAYERS)]
    nodes: list[Node] = []
    tensors: dict[str, np.ndarray] = {}
    before = "x"
    for k in range(LAYERS):
        weight = np.memmap(path.with_suffix(f".{k}"), np.float32, "w+", shape=(width, width))
        copies, split = k < LAYERS - 1, k > 0
        for start in range(0, half if copies else width, 256):
            rows = rng.standard_normal((256, half if split else width), np.float32)
            if split:  # w = 2 w - (2 w) / 2, once each copy is half of its original
                rows = np.concatenate([rows * 2, -rows / 2], axis=1)[:, order[k - 1]]
            for factor, shift in ((1, 0), (2, half)) if copies else ((1, 0),):
                places = np.argsort(order[k])[start + shift : start + shift + 256] if copies else np.arange(start, start + 256)
                weight[places] = rows * np.float32(factor)
        tensors[f"linear_{k}.weight"] = weight
        nodes.append(Node(Value(f"linear_{k}", (None, width), "float32"), "linear", (before,), {}, {"weight": f"linear_{k}.weight"}))
        before = f"linear_{k}"
        if copies:
            nodes.append(Node(Value(f"relu_{k}", (None, width), "float32"), "relu", (before,)))
            before = f"relu_{k}"
    save_network(Graph((Value("x", (None, width), "float32"),), tuple(nodes), (before,), tensors), path)
    for k in range(LAYERS):
        path.with_suffix(f".{k}").unlink()


def limited(command: list[str], limit: int) -> tuple[float, str]:
    """Run the command under the limit; seconds, and what the limit was. Raises `CalledProcessError` where it fails."""
    group = next((g for g in _GROUP if _made(g, limit)), None)

    def enter() -> None:
        if group is None:
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        else:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    start = time.perf_counter()
    subprocess.run(command, check=True, preexec_fn=enter)
    seconds = time.perf_counter() - start
    if group is None:
        return seconds, "private memory (RLIMIT_DATA)"
    group.rmdir()
    return seconds, "a control group, page cache included"


def _made(group: Path, limit: int) -> bool:
    with suppress(OSError):
        group.mkdir(exist_ok=True)
        for name in ("memory.limit_in_bytes", "memory.max"):
            if (group / name).exists():
                (group / name).write_text(str(limit))
                with suppress(OSError):
                    (group / "memory.swap.max").write_text("0")
                return True
        group.rmdir()
    return False


def timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--width", type=int, default=16384)
    parser.add_argument("--limit-gib", type=float, default=2)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        big, small, written = (Path(folder) / name for name in ("big.safetensors", "small.safetensors", "certificate.json"))
        print(f"written in {timed(lambda: write(given.width, big)):.1f} s", flush=True)
        hashing = timed(lambda: subprocess.run(["sha256sum", str(big)], check=True, stdout=subprocess.DEVNULL))
        print(f"{big.stat().st_size:,} bytes; sha256sum takes {hashing:.1f} s", flush=True)
        for name, command in {
            "reduce": ["-m", "lumpnet", "reduce", str(big), "-o", str(small), "--certificate", str(written)],
            "check": ["-m", "lumpnet.check", str(big), str(small), str(written)],
        }.items():
            seconds, how = limited([sys.executable, *command], int(given.limit_gib * 2**30))
            print(f"{name} in {seconds:.1f} s, {seconds / hashing:.1f} times that, within {given.limit_gib} GiB of {how}", flush=True)


if __name__ == "__main__":
    main()
