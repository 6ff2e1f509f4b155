"""Do units that a growing threshold sets to zero lie in a flat direction? Directional pruning beside its SGD twin, one-shot pruning and chance.

    python examples/directional.py [--seeds 3] [--steps 12000] [--lr 0.1] [--c 0.06] [--mu 0.51] [--figure directional.html]

Trains a perceptron (64-64-10) on scikit-learn's bundled 8x8 digits (needs scikit-learn) twice from the same start, on the same minibatches: by SGD (the
twin) and by structured directional pruning. The controls remove as many units from the twin in one shot: those of least L2 norm, or at random.
Prints for each the training loss, the accuracy on the test images, the barrier on the straight path from the twin (how far the training
loss rises above its higher end, and above the line between its ends, which is stricter), and how much of the step from the twin lies in the leading
eigenspace of the twin's Hessian (the share of its squared length). Units that are exactly zero are an exact lumping: at the end, its certificate.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
from pathlib import Path

import numpy as np
import torch
from ising import accuracy, perceptron
from plots import figure
from relaxed_sizes import digits
from torch import Tensor, nn

import lumpnet

METHODS = ("twin", "directional", "one-shot L2", "random")
LEADING, ROUNDS, POINTS = 10, 20, 21


def vector(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().ravel() for p in model.parameters()]).double()


def loss_at(model: nn.Module, w: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The training loss with all parameters in one vector."""
    parts = w.split([p.numel() for p in model.parameters()])
    named = {name: part.view_as(p) for (name, p), part in zip(model.named_parameters(), parts, strict=True)}
    return nn.functional.cross_entropy(torch.func.functional_call(model, named, (x,)), y)


def leading(model: nn.Module, x: Tensor, y: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """The largest eigenvalues (k,) of the Hessian of the training loss and their eigenvectors (parameters, k), by subspace iteration with a Ritz step."""
    w = vector(model).requires_grad_(True)
    (gradient,) = torch.autograd.grad(loss_at(model, w, x, y), w, create_graph=True)

    def times(columns: Tensor) -> Tensor:
        return torch.stack([torch.autograd.grad(gradient, w, column, retain_graph=True)[0] for column in columns.T], 1)

    basis = torch.linalg.qr(torch.randn(len(w), 2 * LEADING, dtype=w.dtype, generator=torch.Generator().manual_seed(seed)))[0]
    for _ in range(ROUNDS):
        basis = torch.linalg.qr(times(basis))[0]
    values, turned = torch.linalg.eigh(basis.T @ times(basis))
    order = values.argsort(descending=True)[:LEADING]
    return values[order], (basis @ turned)[:, order]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12000)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--c", type=float, default=0.06)
    parser.add_argument("--mu", type=float, default=0.51)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0, help="of the audit")
    parser.add_argument("--figure", type=Path, default=Path(tempfile.gettempdir()) / "directional.html")
    options = parser.parse_args()
    torch.set_num_threads(1)
    x, y, test, truth = digits()
    x, test = x.flatten(1), test.flatten(1)
    epochs = round(options.steps / -(-len(x) // 64))
    figures: dict[str, list[tuple[float, ...]]] = {name: [] for name in METHODS}
    print(f"{'seed':<8}{'method':<14}{'zero units':>11}{'train loss':>12}{'accuracy':>10}{'barrier':>10}{'above line':>12}{'leading share':>15}")
    for seed in range(options.seeds):
        model, shared = perceptron((options.hidden,), seed), {"data": (x, y), "seed": seed, "epochs": epochs, "batch": 64, "lr": options.lr, "mu": options.mu}
        sgd = lumpnet.prune(model, x[:2], method="directional", keep=1e-9, c=0.0, **shared)
        zeroed = lumpnet.prune(model, x[:2], method="directional", keep=1e-9, c=options.c, **shared)
        left = zeroed.changes[0].after / zeroed.changes[0].before
        controls = [lumpnet.prune(sgd.masked, method=method, keep=left, seed=seed).changes[0].removed["0"] for method in ("magnitude", "random")]
        networks = [plain(model, sgd.masked), plain(model, zeroed.masked), *(plain(model, sgd.masked, zero) for zero in controls)]
        twin = vector(networks[0])
        _, space = leading(networks[0].double(), x.double(), y, seed)
        paths = {}
        for name, network in zip(METHODS, networks, strict=True):
            step = vector(network) - twin
            with torch.no_grad():
                path = [float(loss_at(networks[0], twin + t * step, x.double(), y)) for t in np.linspace(0, 1, POINTS)]
            ends = np.linspace(path[0], path[-1], POINTS)
            paths[name] = [(t, float(np.log10(value))) for t, value in zip(np.linspace(0, 1, POINTS).tolist(), path, strict=True)]
            share = float((space.T @ step).square().sum() / step.square().sum()) if step.any() else 0.0
            zero = 0.0 if name == "twin" else 1 - left
            barriers = max(path) - max(path[0], path[-1]), float((np.array(path) - ends).max())
            figures[name].append((zero, path[-1], 100 * accuracy(network.double(), test.double(), truth), *barriers, share))
            show(seed, name, figures[name][-1])
    for name, rows in figures.items():
        show("median", name, tuple(statistics.median(column) for column in zip(*rows, strict=True)))
    print("expected of directional: 60 % zero or more, accuracy at most 1 point below the twin's, barrier at most 1e-3,")
    print("a smaller leading share than both controls, a training loss of at most a quarter of one-shot's")
    figure(options.figure, "Training loss on the straight path from the SGD twin", "position", "log10 of it", paths, "The last seed.", lines=True)
    print(f"wrote {options.figure}")

    print(zeroed.summary().splitlines()[-1])
    for what, one, two in (("masked -> compacted", zeroed.masked, zeroed.network), ("SGD twin -> directional", sgd.network, zeroed.network)):
        audit = lumpnet.audit(one, two, domain=lumpnet.Box(0, 1), data=test.numpy(), timeout=options.seconds)
        print(f"{what:<25}{audit.line()}")


def show(seed: object, name: str, row: tuple[float, ...]) -> None:
    zero, loss, right, rise, above, share = row
    print(f"{seed:<8}{name:<14}{zero:>11.1%}{loss:>12.4f}{right:>9.2f}%{rise:>10.2g}{above:>12.2g}{share:>15.3g}", flush=True)


def plain(model: nn.Sequential, network: lumpnet.Network, zero: list[int] | None = None) -> nn.Sequential:
    """The network's numbers in a plain module of the same shape, with zero rows and biases of these hidden units."""
    found = copy.deepcopy(model)
    found.load_state_dict({name: torch.from_numpy(network.graph.tensors[name].copy()) for name in found.state_dict()})
    with torch.no_grad():
        found[0].weight[zero or []] = 0
        found[0].bias[zero or []] = 0
    return found


if __name__ == "__main__":
    main()
