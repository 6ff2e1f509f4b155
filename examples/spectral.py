"""Pruning as preservation of the spectrum: does keeping the leading singular values keep more than magnitude does?

    python examples/spectral.py [--seeds 5] [--density 0.1] [--densities 0.05 0.1 0.2 0.4] [--training sgd] [--figure FILE.svg]

Perceptrons 64-256-128-10 on scikit-learn's bundled digits; every weight matrix keeps this share of its entries, by each way of choosing
them. Distances of the ten leading singular values (mean over the matrices), norms of what was removed, and test accuracy: medians
over the seeds. At the end, the audit of one pair.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

import torch
from digits import accuracy, digits, figure, trained

import lumpnet

WIDTHS = (64, 256, 128, 10)
WAYS: dict[str, dict[str, Any]] = {
    "lead": {"by": "lead"},
    "threshold": {"by": "threshold"},
    "dz": {"by": "dz"},
    "random": {},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--density", type=float, default=0.1)
    parser.add_argument("--densities", type=float, nargs="+", default=[0.05, 0.1, 0.2, 0.4])
    parser.add_argument("--training", choices=("adam", "sgd"), default="sgd")
    parser.add_argument("--figure")
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    x, y, test, truth = digits()
    densities = sorted({*options.densities, options.density})
    found: dict[tuple[float, str], list[dict[str, float]]] = {(d, way): [] for d in densities for way in WAYS}
    audited: tuple[lumpnet.Network, lumpnet.Network] | None = None
    pruned: dict[tuple[int, float, str], lumpnet.Network] = {}
    for seed in range(options.seeds):
        model = trained(WIDTHS, seed, x, y, by=options.training)
        original, whole = lumpnet.lift(model, x[:2]), accuracy(model, test, truth)
        for (density, way), runs in found.items():
            asked: dict[str, Any] = {"method": "spectral", **WAYS[way]} if way != "random" else {"method": "random", "of": "weights"}
            result = lumpnet.prune(original, keep=density, seed=seed, **asked)
            assert result.verdict.exit_code == 0, result.verdict
            kept = sum(c.after for c in result.changes) / sum(c.before for c in result.changes)
            figures = spectra(original, result.masked)
            pruned[seed, density, way] = result.masked
            runs.append(figures | {"drop": accuracy(result.model, test, truth) - whole, "kept": kept})
            if way == "lead" and density == options.density and audited is None:
                audited = original, result.network
    print(f"trained by {options.training}, medians of {options.seeds} seeds")
    print(f"{'density':>7} {'chosen by':<10}{'kept':>7}{'spectrum':>10}{'|W - W~|/|W|':>14}{'accuracy':>10}")
    middle = {key: {name: statistics.median(run[name] for run in runs) for name in runs[0]} for key, runs in found.items()}
    for (density, way), m in middle.items():
        print(f"{density:>7.0%} {way:<10}{m['kept']:>7.1%}{m['spectrum']:>10.3f}{m['norm']:>14.3f}{m['drop']:>+10.3f}", flush=True)
    lead, threshold = (middle[options.density, way] for way in ("lead", "threshold"))
    common = statistics.median(overlap(pruned[seed, options.density, "lead"], pruned[seed, options.density, "threshold"]) for seed in range(options.seeds))
    share = lead["spectrum"] / threshold["spectrum"]
    print(f"\nat {options.density:.0%}: spectrum distance of lead / of threshold = {share:.2f} (expected: at most 0.8): {'yes' if share <= 0.8 else 'NO'}")
    print(f"accuracy drop of lead no larger than of threshold: {'yes' if lead['drop'] >= threshold['drop'] else 'NO'}")
    print(f"of the entries that lead keeps, threshold keeps {common:.0%}")
    if options.figure:
        lines = {way: (densities, [middle[d, way]["spectrum"] for d in densities]) for way in WAYS}
        figure(options.figure, "Distance of the ten leading singular values", "share of entries kept", "distance", lines)
    assert audited is not None
    print("\naudit of lead, over all images:")
    print(lumpnet.audit(*audited, domain=lumpnet.Box(0, 1), timeout=options.seconds).summary())


def overlap(one: lumpnet.Network, two: lumpnet.Network) -> float:
    """The share of the non-zero weights of one that are not zero in the other."""
    pairs = [(t != 0, two.graph.tensors[name] != 0) for name, t in one.graph.tensors.items() if t.ndim == 2]
    return float(sum((a & b).sum() for a, b in pairs) / sum(a.sum() for a, _ in pairs))


def spectra(original: lumpnet.Network, other: lumpnet.Network) -> dict[str, float]:
    """Means over the matrices: the distance of the ten leading singular values, and the spectral norm of the difference, both relative."""
    pairs = [(t, other.graph.tensors[name]) for name, t in original.graph.tensors.items() if t.ndim == 2]
    norms = [torch.linalg.matrix_norm(torch.tensor(a - b), 2) / torch.linalg.matrix_norm(torch.tensor(a), 2) for a, b in pairs]
    return {"spectrum": statistics.mean(lumpnet.pruners.spectral.apart(a, b) for a, b in pairs), "norm": float(torch.stack(norms).mean())}


if __name__ == "__main__":
    main()
