"""How the time of reducing and checking grows with the number of parameters: the slope on logarithmic axes.

    python -m tests.benchmarks.scaling [--repeat 3]

Perceptrons of three square layers, from one million parameters to a hundred million, untouched and with half
of the hidden units redundant. A slope of 1 is linear.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median

import numpy as np

import lumpnet
from lumpnet.check import check_files
from lumpnet.ir import save_network
from lumpnet.network import Network
from lumpnet.verdict import Proved
from tests.benchmarks.__main__ import timed
from tests.benchmarks.networks import perceptron

WIDTHS = (578, 1000, 1826, 3162, 5774)


def measure(width: int, redundant: bool, repeat: int, folder: Path) -> tuple[float, float]:
    """Medians of seconds: from the file to the written file and certificate, with its own check; and the checker alone."""
    original, reduced, written = (folder / name for name in ("original.safetensors", "reduced.safetensors", "certificate.json"))
    save_network(perceptron((width,) * 4, redundant), original)
    reducing, checking = [], []
    for _ in range(repeat):
        reduced.unlink(missing_ok=True)
        reducing.append(timed(lambda: lumpnet.reduce(original, folder=folder).save(reduced, written))[0])
        seconds, verdict = timed(lambda: check_files(original, reduced, written))
        assert isinstance(verdict, Proved), verdict
        checking.append(seconds)
    return median(reducing), median(checking)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    lumpnet.reduce(Network(perceptron((4, 8, 2))))  # what is imported at the first use
    for redundant in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            times = np.array([measure(width, redundant, given.repeat, Path(folder)) for width in WIDTHS])
        sizes = np.array([3.0 * width * width for width in WIDTHS])
        slopes = [float(np.polyfit(np.log(sizes), np.log(column), 1)[0]) for column in times.T]
        print("redundant" if redundant else "untouched")
        for size, (reducing, checking) in zip(sizes, times, strict=True):
            print(f"  {size / 1e6:7.1f} M parameters: reduce {reducing:7.3f} s, check {checking:7.3f} s")
        print(f"  slope: reduce {slopes[0]:.2f}, check {slopes[1]:.2f}", flush=True)


if __name__ == "__main__":
    main()
