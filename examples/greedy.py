"""Greedy forward selection: does the loss fall like `1/n^2` in the number of picks, and random selection's like `1/n`?

    python examples/greedy.py [--seeds 5] [--width 1024] [--figure FILE.svg]

Networks of one hidden layer and one output: random (weights normal, outputs averaged) on 5, 20 and 200 random inputs of ten entries, and
trained on scikit-learn's bundled digits to tell odd from even. The loss is the mean squared difference of the average of the picks and the
whole network, on the data, relative; slopes of its logarithm over 4 to 128 picks, medians over the seeds. The theory of `1/n^2`
wants the whole network well inside of what averages of units can be on the data, which many examples make a matter of very many picks.
 At the end `lumpnet.prune` and the audit of one result.
"""

from __future__ import annotations

import argparse
import statistics

import numpy as np
import torch
from digits import digits, figure, perceptron, slope
from torch import nn

import lumpnet
from lumpnet.pruners.greedy import selection

PICKS = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)


def random_network(width: int, seed: int, examples: int) -> tuple[nn.Sequential, torch.Tensor]:
    torch.manual_seed(seed)
    model = perceptron(10, width, 1)
    with torch.no_grad():
        model[0].weight.normal_()
        model[2].weight.normal_(std=1 / width)
    return model, torch.randn(examples, 10)


def odd_or_even(width: int, seed: int) -> tuple[nn.Sequential, torch.Tensor]:
    x, y, *_ = digits()
    torch.manual_seed(seed)
    model, target = perceptron(64, width, 1), (y % 2 * 2.0 - 1)[:, None]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(20):
        for part in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x[part]), target[part]).backward()
            optimizer.step()
    return model, x


def losses(model: nn.Sequential, x: torch.Tensor, seed: int) -> tuple[list[float], list[float], int]:
    """Of greedy and of random picks (a median of 21 draws), at `PICKS`; and how many different units greedy picked."""
    with torch.no_grad():
        added = (model[:2](x).double() * model[2].weight.double()).numpy().T
    products, n = added @ added.T, len(added)
    picks, left = selection(products, n, 10**9, max(PICKS))
    whole, total, rng = added.sum(axis=0), products.sum(), np.random.default_rng(seed)
    draws = [rng.choice(n, max(PICKS), replace=False) for _ in range(21)]
    drawn = [statistics.median(float(((whole - n * added[d[:k]].mean(axis=0)) ** 2).sum() / total) for d in draws) for k in PICKS]
    return [left[k - 1] for k in PICKS], drawn, len(set(picks))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--figure")
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = {}
    print(f"one output, {options.width} units, {options.seeds} seeds; medians")
    print(f"{'network':<14}{'picked by':<10}{'slope':>7}{'expected':>15}{'':>5}" + "".join(f"{k:>10}" for k in PICKS[::2]))
    networks = {f"random, {n}": lambda seed, n=n: random_network(options.width, seed, n) for n in (5, 20, 200)}
    for name, make in (networks | {"odd or even": lambda seed: odd_or_even(options.width, seed)}).items():
        runs = [losses(*make(seed), seed) for seed in range(options.seeds)]
        expected = {"greedy": ("at most -1.8", lambda s: s <= -1.8), "random": ("-1.2 to -0.8", lambda s: -1.2 <= s <= -0.8)}
        for k, way in enumerate(expected):
            middle = [statistics.median(column) for column in zip(*(run[k] for run in runs), strict=True)]
            found, (words, holds) = statistics.median(slope(PICKS, run[k]) for run in runs), expected[way]
            print(f"{name:<14}{way:<10}{found:>7.2f}{words:>15}{'yes' if holds(found) else 'NO':>5}" + "".join(f"{v:>10.2g}" for v in middle[::2]))
            lines[f"{name}, {way}"] = (PICKS, middle)
        print(f"{'':<14}different units among {max(PICKS)} greedy picks: {statistics.median(run[2] for run in runs):g}", flush=True)
    if options.figure:
        figure(options.figure, "Greedy forward selection", "picks", "loss, relative", lines)
    model, x = odd_or_even(options.width, 0)
    original = lumpnet.lift(model, x[:2])
    result = lumpnet.prune(
        original, method="greedy", keep=16 / options.width, data=x, progress=lambda text: print(text) if text.startswith("greedy ") else None
    )
    assert result.verdict.exit_code == 0, result.verdict
    with torch.no_grad():
        worst = float((result.model(x) - model(x)).abs().max())
    print(f"\naudit of {result.network.size.units} of {original.size.units} units, over all images (largest difference on the data {worst:.3g}):")
    print(lumpnet.audit(original, result.network, domain=lumpnet.Box(0, 1), timeout=options.seconds).summary())


if __name__ == "__main__":
    main()
