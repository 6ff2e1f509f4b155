"""i-SpaSP: does the residual fall as its theory says, does the loop help, and how far is what it leaves from the original, certified?

    python examples/ispasp.py [--seeds 5] [--units 256] [--keeps 8 16 32 64 128] [--race 16] [--figure FILE.svg]

Synthetic: hidden values whose row norms fall like `i^(-1/p)`; the squared residual should fall like `s^(1 - 2/p)`.
Digits (needs scikit-learn): a perceptron 64-256-10, units chosen by i-SpaSP, at random, by the L1 norm of their weights, by the
largest summed activation alone, and by greedy forward selection; residuals at the output, medians over the seeds. At the end, the audit.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping, Sequence

import numpy as np
from digits import accuracy, digits, figure, slope, trained

import lumpnet
from lumpnet.pruners.greedy import selection
from lumpnet.pruners.ispasp import iterates

SIZES = (5, 8, 12, 18, 27, 40, 60, 90)
POWERS = (0.3, 0.5, 0.7, 0.9)


def compressible(p: float, seed: int, units: int = 1000, outputs: int = 500, examples: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Hidden values (units, examples), not negative, the i-th largest row of norm `i^(-1/p)`, and weights (outputs, units)."""
    rng = np.random.default_rng(seed)
    hidden = np.abs(rng.normal(size=(units, examples)))
    hidden *= (np.arange(1, units + 1) ** (-1 / p) / hidden.sum(axis=1))[:, None]
    return rng.permutation(hidden), rng.normal(size=(outputs, units)) / np.sqrt(outputs)


def chosen(hidden: np.ndarray, weight: np.ndarray, count: int) -> list[np.ndarray]:
    """The sets of i-SpaSP round by round, masks (units,)."""
    return [stays for stays, _ in iterates(hidden.sum(axis=1), lambda left: weight.T @ (weight @ (hidden.sum(axis=1) * left)), count, 20)]


def residual(hidden: np.ndarray, weight: np.ndarray, stays: np.ndarray) -> float:
    return float(((weight[:, ~stays] @ hidden[~stays]) ** 2).sum())


def largest(scores: np.ndarray, count: int) -> np.ndarray:
    mask = np.zeros(len(scores), dtype=bool)
    mask[np.argsort(-scores, kind="stable")[:count]] = True
    return mask


def passes(hidden: np.ndarray, weight: np.ndarray, count: int) -> tuple[list[int], int]:
    """Greedy forward selection as it is told: one forward pass for every candidate of every step. Returns picks and the number of passes."""
    whole, n, picks, times = weight @ hidden, len(hidden), [], np.zeros(len(hidden))
    done = 0
    while len(set(picks)) < count:
        left = []
        for k in range(n):
            times[k] += 1
            left.append(float(((whole - (weight * (times * n / (len(picks) + 1))) @ hidden) ** 2).sum()))
            times[k] -= 1
            done += 1
        picks.append(int(np.argmin(left)))
        times[picks[-1]] += 1
    return picks, done


def synthetic(seeds: int) -> dict[str, tuple[Sequence[float], Sequence[float]]]:
    print(f"synthetic, 1000 units, 500 outputs, 20 examples; medians of {seeds} seeds over {SIZES[0]} to {SIZES[-1]} units")
    print(f"{'p':>4}{'slope':>9}{'expected':>10}{'off':>7}{'largest H1 alone':>19}{'rounds':>8}")
    lines: dict[str, tuple[Sequence[float], Sequence[float]]] = {}
    for p in POWERS:
        runs, alone, rounds = [], [], 0
        for seed in range(seeds):
            hidden, weight = compressible(p, seed)
            sets = [chosen(hidden, weight, s) for s in SIZES]
            rounds = max(rounds, *(len(found) for found in sets))
            runs.append([residual(hidden, weight, found[-1]) for found in sets])
            alone.append([residual(hidden, weight, largest(hidden.sum(axis=1), s)) for s in SIZES])
        middle, other = ([statistics.median(column) for column in zip(*table, strict=True)] for table in (runs, alone))
        expected, found = 1 - 2 / p, slope(SIZES, middle)
        print(f"{p:>4}{found:>9.3f}{expected:>10.3f}{abs(found / expected - 1):>7.1%}{slope(SIZES, other):>19.3f}{rounds:>8}", flush=True)
        lines[f"p = {p}"] = (SIZES, middle)
    return lines


def on_digits(options: argparse.Namespace) -> tuple[lumpnet.Network, lumpnet.Network]:
    x, y, test, truth = digits()
    names = ("ispasp", "first round", "largest H1", "L1 norm", "random", "greedy")
    found: dict[int, list[Mapping[str, float]]] = {s: [] for s in options.keeps}
    scores: dict[int, list[float]] = {s: [] for s in options.keeps}
    race: list[tuple[float, float, int, int]] = []
    audited: tuple[lumpnet.Network, lumpnet.Network] | None = None
    for seed in range(options.seeds):
        model = trained((64, options.units, 10), seed, x, y)
        original = lumpnet.lift(model, x[:2])
        hidden, weight = model[:2](x).detach().double().numpy().T, model[2].weight.detach().double().numpy()
        whole, gram = ((weight @ hidden) ** 2).sum(), (weight.T @ weight) * (hidden @ hidden.T)
        rng = np.random.default_rng(seed)
        for s in options.keeps:
            result = lumpnet.prune(original, method="ispasp", keep=s / options.units, data=x)
            assert result.verdict.exit_code == 0, result.verdict
            sets = chosen(hidden, weight, s)
            stays = result.changes[0].into >= 0
            assert (stays == sets[-1]).all(), "the method on the network, and the loop on its matrices"
            rows = np.abs(model[0].weight.detach().numpy()).sum(axis=1)
            by = {"ispasp": stays, "first round": sets[0], "largest H1": largest(hidden.sum(axis=1), s), "L1 norm": largest(rows, s)}
            left = {name: residual(hidden, weight, mask) / whole for name, mask in by.items()}
            left["random"] = statistics.median(residual(hidden, weight, largest(rng.random(options.units), s)) / whole for _ in range(9))
            found[s].append(left | {"greedy": selection(gram, s, 10**9, 40 * s)[1][-1]})
            scores[s].append(accuracy(result.model, test, truth))
            audited = audited or (original, result.network)
        race.append(raced(hidden, weight, options.race))
    print(f"\ndigits, 64-{options.units}-10, {len(x)} images: squared residual of the output, relative; medians of {options.seeds} seeds")
    print(f"{'units':>6}" + "".join(f"{name:>13}" for name in names) + f"{'accuracy':>10}")
    middle = {s: {name: statistics.median(run[name] for run in found[s]) for name in names} for s in options.keeps}
    for s in options.keeps:
        print(f"{s:>6}" + "".join(f"{middle[s][name]:>13.3g}" for name in names) + f"{statistics.median(scores[s]):>10.1%}")
    worse = [f"{run['ispasp']:.3f} after {run['first round']:.3f}" for s in options.keeps for run in found[s] if run["ispasp"] > run["first round"]]
    told = {
        "last round <= first round, medians": all(middle[s]["ispasp"] <= middle[s]["first round"] for s in options.keeps),
        f"last round <= first round in every run{': worse in ' + ', '.join(worse) if worse else ''}": not worse,
        "medians fall with the units": all(middle[a]["ispasp"] >= middle[b]["ispasp"] for a, b in zip(options.keeps, options.keeps[1:], strict=False)),
        "median below random at every size": all(middle[s]["ispasp"] < middle[s]["random"] for s in options.keeps),
        "median below the L1 norm at every size": all(middle[s]["ispasp"] < middle[s]["L1 norm"] for s in options.keeps),
        "greedy below i-SpaSP at every size": all(middle[s]["greedy"] < middle[s]["ispasp"] for s in options.keeps),
    }
    for what, holds in told.items():
        print(f"  {'yes' if holds else 'NO ':<4}{what}")
    ours, theirs, rounds, evaluations = (statistics.median(column) for column in zip(*race, strict=True))
    print(f"  {options.race} of {options.units} units: i-SpaSP {ours * 1e3:.2f} ms, {rounds:g} rounds; greedy, one pass a candidate,", end=" ")
    print(f"{theirs:.2f} s, {evaluations:,.0f} passes: {theirs / ours:,.0f} times as long (expected: at least 100)")
    assert audited is not None
    return audited


def raced(hidden: np.ndarray, weight: np.ndarray, count: int) -> tuple[float, float, int, int]:
    """Seconds of both, rounds of the one and passes of the other; greedy with new units only, so that it ends after `count` steps at the latest."""
    start = time.perf_counter()
    rounds = len(chosen(hidden, weight, count))
    middle = time.perf_counter()
    _, evaluations = passes(hidden, weight, count)
    return middle - start, time.perf_counter() - middle, rounds, evaluations


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--units", type=int, default=256)
    parser.add_argument("--keeps", type=int, nargs="+", default=[8, 16, 32, 64, 128])
    parser.add_argument("--race", type=int, default=16)
    parser.add_argument("--figure")
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    lines = synthetic(options.seeds)
    original, network = on_digits(options)
    if options.figure:
        figure(options.figure, "i-SpaSP: squared residual against units kept", "units kept", "squared residual", lines)
    print(f"\naudit of {network.size.units} of {original.size.units} units, over all images:")
    print(lumpnet.audit(original, network, domain=lumpnet.Box(0, 1), timeout=options.seconds).summary())


if __name__ == "__main__":
    main()
