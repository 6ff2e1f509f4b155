"""Does an energy of the weights choose better units than a coin? Ising pruning and EDropout beside a random half and the unpruned twin.

    python examples/ising.py [--seeds 5] [--epochs 60] [--widths 128,64 256,128] [--figure ising.html]

Trains perceptrons on scikit-learn's bundled 8x8 digits (needs scikit-learn) in four ways that differ in the mask only: all units (the twin), a
fixed random half (the control that says whether the search matters), Ising energy pruning, EDropout. Prints what is left, the accuracy on
the test images beside the twin's, and at the end what an audit certifies.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from plots import figure
from relaxed_sizes import digits
from torch import Tensor, nn

import lumpnet
from lumpnet.pruners.evolution import Energy, Searched
from lumpnet.pruners.registry import register


@register
@dataclass(frozen=True)
class FixedMask(Searched):
    """The control: where all masks have the same energy nothing replaces the first one, which is a coin for every unit (above `keep`)."""

    name: ClassVar[str] = "fixed_mask"

    def energy(self, trainee: object, batch: object) -> Energy:
        return lambda states: np.zeros(len(states))


RUNS = {"twin": ("fixed_mask", 1.0), "random half": ("fixed_mask", 0.1), "ising": ("ising", 0.1), "edropout": ("edropout", 0.1)}


def perceptron(widths: tuple[int, ...], seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    sizes = [64, *widths, 10]
    layers = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return float((model(x).argmax(1) == y).double().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--widths", nargs="+", default=["128,64", "256,128"])
    parser.add_argument("--seconds", type=float, default=5.0, help="of the audit")
    parser.add_argument("--figure", type=Path, default=Path(tempfile.gettempdir()) / "ising.html")
    options = parser.parse_args()
    torch.set_num_threads(1)
    x, y, test, truth = digits()
    x, test = x.flatten(1), test.flatten(1)
    points: dict[str, list[tuple[float, float]]] = {name: [] for name in RUNS}
    print(f"{'network':<16}{'method':<13}{'units':>8}{'removed':>9}{'accuracy':>10}{'drop':>8}{'worst drop':>12}   means of {options.seeds} seeds")
    for widths in (tuple(int(n) for n in text.split(",")) for text in options.widths):
        found: dict[str, list[tuple[lumpnet.Pruning, float]]] = {name: [] for name in RUNS}
        for seed in range(options.seeds):
            for name, (method, keep) in RUNS.items():
                model = perceptron(widths, seed)
                result = lumpnet.prune(model, x[:2], method=method, keep=keep, data=(x, y), seed=seed, epochs=options.epochs, freeze=options.epochs // 3)
                assert result.verdict.exit_code == 0, result.verdict
                found[name].append((result, 100 * accuracy(result.model, test, truth)))
        for name, runs in found.items():
            kept = [result.network.size.parameters / result.original.size.parameters for result, _ in runs]
            drops = [twin - right for (_, twin), (_, right) in zip(found["twin"], runs, strict=True)]
            points[name] += [(100 * share, right) for share, (_, right) in zip(kept, runs, strict=True)]
            units = statistics.mean(result.network.size.units for result, _ in runs)
            right = statistics.mean(one for _, one in runs)
            print(
                f"{'-'.join(map(str, (64, *widths, 10))):<16}{name:<13}{units:>8.1f}{1 - statistics.mean(kept):>9.1%}{right:>9.2f}%"
                f"{statistics.mean(drops):>8.2f}{max(drops):>12.2f}",
                flush=True,
            )
    print("expected of ising: 50 % of the parameters removed or more, a mean drop of 1.5 points at most")
    note = "A random half is trained alike: where its points lie among those of the search, the search chose no better than a coin."
    figure(options.figure, "Kept share and accuracy", "parameters kept, %", "accuracy, %", points, note)
    print(f"wrote {options.figure}")

    twin, pruned = found["twin"][0][0], found["ising"][0][0]
    print(pruned.summary().splitlines()[-1])
    for name in ("random half", "ising"):
        audit = lumpnet.audit(twin.network, found[name][0][0].network, domain=lumpnet.Box(0, 1), data=test.numpy(), timeout=options.seconds)
        print(f"twin -> {name:<12} {audit.line()}")


if __name__ == "__main__":
    main()
