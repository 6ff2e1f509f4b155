"""Does it pay to let units fade before they leave? Incremental regularisation and probabilistic pruning beside one-shot pruning, at equal sizes.

    python examples/incremental.py [--seeds 3] [--keep 0.25] [--epochs 90] [--retrain 30] [--network mlp cnn] [--figure incremental.html]

Trains a perceptron and a CNN on scikit-learn's bundled 8x8 digits (needs scikit-learn) and prunes each layer to a quarter: in one shot by the L1 norm
of the units, the same with the retraining that the others get (the control that says what the slow part is worth), by incremental
regularisation (IncReg), and by structured probabilistic pruning (SPP). Prints the accuracy on the test images, and for IncReg the largest norm at which a
unit was removed, as a share of its original norm.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch
from ising import accuracy
from plots import figure
from relaxed_sizes import NETWORKS, digits, trained

import lumpnet


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--keep", type=float, default=0.25)
    parser.add_argument("--epochs", type=int, default=90)
    parser.add_argument("--retrain", type=int, default=30)
    parser.add_argument("--network", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--seconds", type=float, default=5.0, help="of the audit")
    parser.add_argument("--figure", type=Path, default=Path(tempfile.gettempdir()) / "incremental.html")
    options = parser.parse_args()
    torch.set_num_threads(1)
    x, y, test, truth = digits()
    training = {"epochs": options.epochs, "retrain": options.retrain}
    runs: dict[str, tuple[str, dict[str, Any]]] = {
        "one-shot L1": ("magnitude", {"norm": "l1"}),
        "one-shot, retrained": ("incremental", training | {"epochs": 0}),
        "incremental": ("incremental", training),
        "probabilistic": ("probabilistic", training),
    }
    points: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    print(f"{'network':<9}{'method':<21}{'removed':>9}{'accuracy':>10}{'least':>9}{'norm at removal':>17}   medians over {options.seeds} seeds")
    for network in options.network:
        dense, found = [], {name: [] for name in runs}  # type: ignore[var-annotated]
        for seed in range(options.seeds):
            model = trained(network, seed, x, y)
            original = lumpnet.lift(model, test[:2])
            dense.append(100 * accuracy(model, test, truth))
            for name, (method, given) in runs.items():
                result = lumpnet.prune(original, method=method, keep=options.keep, data=(x, y), seed=seed, **given)
                assert result.verdict.exit_code == 0, result.verdict
                found[name].append((result, 100 * accuracy(result.model, test, truth)))
                points[name].append((dense[-1], found[name][-1][1]))
        print(f"{network:<9}{'dense':<21}{0:>9.1%}{statistics.median(dense):>9.2f}%{min(dense):>8.2f}%")
        for name, results in found.items():
            gone = 1 - statistics.mean(r.network.size.parameters / r.original.size.parameters for r, _ in results)
            right = [one for _, one in results]
            norm = max(float(c.scores[c.into < 0].max()) for r, _ in results for c in r.changes)
            told = f"{norm:>16.2%}" if name == "incremental" else ""
            print(f"{network:<9}{name:<21}{gone:>9.1%}{statistics.median(right):>9.2f}%{min(right):>8.2f}%{told}", flush=True)
    print("expected of incremental: norms at removal of 1 % or less, accuracy at least 5 points above one-shot L1")
    note = "One point a network and seed. Pruned in one shot and retrained as long as the others is the control."
    figure(options.figure, f"Accuracy with {options.keep:.0%} of the units", "accuracy before, %", "after, %", points, note)
    print(f"wrote {options.figure}")

    result = found["incremental"][0][0]
    print(result.summary().splitlines()[-1])
    audit = lumpnet.audit(result.original, result.network, domain=lumpnet.Box(0, 1), data=test.numpy(), timeout=options.seconds)
    print(f"dense -> incremental: {audit.line()}")


if __name__ == "__main__":
    main()
