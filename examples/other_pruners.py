"""Neuron merging, blocks behind pivoting, and EigenDamage, each beside its control, at equal sizes.

    python examples/other_pruners.py [--seeds 5] [--keeps 0.1 0.25 0.5] [--seconds 3]

Perceptrons 64-256-128-10 on scikit-learn's bundled digits. Units: neuron merging beside removing the same units (magnitude). Weights: squares of
4 x 4 weights in the order of their norms, beside squares without any order, and beside single weights. Eigenbases: EigenDamage beside a plain
low rank (the same outer sizes by singular values) and magnitude of single weights at the same number of weights. Test accuracies, medians over
the seeds. At the end, the audits.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace

import numpy as np
import torch
from digits import accuracy, digits, trained

import lumpnet
from lumpnet.pruners.pivoting import in_blocks

WIDTHS = (64, 256, 128, 10)


def unordered(original: lumpnet.Network, keep: float) -> torch.nn.Module:
    """The heaviest 4 x 4 blocks of every matrix as it is."""
    tensors = {
        n: in_blocks(t.astype(np.float64), int(np.ceil(keep * t.size)), 4).astype(t.dtype) if t.ndim == 2 else t for n, t in original.graph.tensors.items()
    }
    return lumpnet.lower(lumpnet.Network(replace(original.graph, tensors=tensors)))


def low_rank(original: lumpnet.Network, other: lumpnet.Network) -> torch.nn.Module:
    """Every matrix that `other` has as three, of the rank of the middle one, by singular values."""
    tensors = dict(original.graph.tensors)
    for name, core in other.graph.tensors.items():
        if name.endswith(".core.weight"):
            key = name.replace(".core", "")
            left, values, right = np.linalg.svd(tensors[key].astype(np.float64), full_matrices=False)
            rank = min(core.shape)
            tensors[key] = ((left[:, :rank] * values[:rank]) @ right[:rank]).astype(np.float32)
    return lumpnet.lower(lumpnet.Network(replace(original.graph, tensors=tensors)))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--keeps", type=float, nargs="+", default=[0.1, 0.25, 0.5])
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    x, y, test, truth = digits()
    found: dict[tuple[float, str], list[float]] = {}
    sizes: dict[float, list[float]] = {}
    audits: dict[str, tuple[lumpnet.Network, lumpnet.Network]] = {}
    whole = []
    for seed in range(options.seeds):
        model = trained(WIDTHS, seed, x, y, by="sgd")
        original = lumpnet.lift(model, x[:2])
        whole.append(accuracy(model, test, truth))
        for keep in options.keeps:

            def asked(method: str, share: float = keep, original: lumpnet.Network = original, seed: int = seed, **more: object) -> lumpnet.Pruning:
                result = lumpnet.prune(original, method=method, keep=share, seed=seed, data=x, **more)
                assert result.verdict.exit_code == 0, result.verdict
                return result

            merged, blocks, eigen = asked("neuron_merging"), asked("pivoting"), asked("eigendamage")
            share = eigen.network.size.parameters / original.size.parameters
            models = {
                "neuron_merging": merged.model,
                "its units removed": asked("magnitude").model,
                "pivoting": blocks.model,
                "blocks, no order": unordered(original, keep),
                "single weights": asked("magnitude", of="weights").model,
                "eigendamage": eigen.model,
                "low rank": low_rank(original, eigen.masked),
                "as many weights": asked("magnitude", min(1.0, share), of="weights").model,
            }
            sizes.setdefault(keep, []).append(share)
            for name, pruned in models.items():
                found.setdefault((keep, name), []).append(accuracy(pruned, test, truth))
            if seed == 0 and keep == options.keeps[0]:
                audits = {"neuron_merging": (original, merged.network), "pivoting": (original, blocks.network), "eigendamage": (original, eigen.network)}
    print(f"test accuracy, medians of {options.seeds} seeds; unpruned {statistics.median(whole):.1%}")
    print(f"{'keep':<20}" + "".join(f"{keep:>9.0%}" for keep in options.keeps))
    for name in dict.fromkeys(name for _, name in found):
        print(f"{name:<20}" + "".join(f"{statistics.median(found[keep, name]):>9.1%}" for keep in options.keeps), flush=True)
    print(f"{'eigendamage, size':<20}" + "".join(f"{statistics.median(sizes[keep]):>9.1%}" for keep in options.keeps))
    for name, pair in audits.items():
        print(f"\naudit of {name}, keep {options.keeps[0]:g}, over all images:")
        print(lumpnet.audit(*pair, domain=lumpnet.Box(0, 1), timeout=options.seconds).summary())


if __name__ == "__main__":
    main()
