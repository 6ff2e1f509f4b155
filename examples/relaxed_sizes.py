"""How far off is a network that is made smaller than exactness allows? Relaxed lumping beside two data-free pruners, at equal sizes.

    python examples/relaxed_sizes.py [--seeds 5] [--sizes 0.9 0.75 0.6 0.45 0.3] [--network mlp cnn]

Trains a perceptron and a CNN on scikit-learn's bundled 8x8 digits (needs scikit-learn), makes each smaller
without looking at a single image, and prints the median over the seeds of the largest difference
of any output on the test images. For relaxed lumping, too: what its certificate, accepted by the independent
checker, says for *every* image with pixels between 0 and 1, and the difference that random inputs attain.
"""

from __future__ import annotations

import argparse
import statistics

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

import lumpnet

CONTROLS = ("folding", "merge_similar")


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def convolutional() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 32, 3), nn.ReLU(), nn.Flatten(), nn.Linear(128, 10)),
    )


NETWORKS = {"mlp": perceptron, "cnn": convolutional}


def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    data = load_digits()
    x, y = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16, torch.tensor(data.target)
    parts = train_test_split(x, y, test_size=0.25, random_state=0, stratify=y)
    return parts[0], parts[2], parts[1], parts[3]


def trained(name: str, seed: int, x: Tensor, y: Tensor, epochs: int = 60) -> nn.Module:
    torch.manual_seed(seed)
    model = NETWORKS[name]()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
    for _ in range(epochs):
        for part in torch.randperm(len(x)).split(128):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[part]), y[part]).backward()
            optimizer.step()
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sizes", type=float, nargs="+", default=[0.9, 0.75, 0.6, 0.45, 0.3])
    parser.add_argument("--network", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    x, y, test, truth = digits()
    domain = lumpnet.Box(0, 1)
    print(f"{'network':<8}{'size':>6}{'relaxed':>10}" + "".join(f"{name:>15}" for name in CONTROLS) + f"{'certified':>12}{'attained':>10}{'accuracy':>10}")
    for name in options.network:
        found: dict[float, list[dict[str, float]]] = {size: [] for size in options.sizes}
        for seed in range(options.seeds):
            model = trained(name, seed, x, y)
            original = lumpnet.lift(model, test[:2])
            anywhere = torch.rand(2000, *test.shape[1:], generator=torch.Generator().manual_seed(seed))
            with torch.no_grad():
                for size in options.sizes:
                    result = lumpnet.reduce(original, domain=domain, size=size)
                    assert result.verdict.exit_code == 0, result.verdict
                    apart = {"relaxed": float((result.model(test) - model(test)).abs().max())}
                    for method in CONTROLS:
                        pruned = lumpnet.prune(original, method=method, keep=size, seed=seed).model
                        apart[method] = float((pruned(test) - model(test)).abs().max())
                    apart["certified"] = result.certificate.effect.alpha
                    apart["attained"] = max(apart["relaxed"], float((result.model(anywhere) - model(anywhere)).abs().max()))
                    apart["accuracy"] = float((result.model(test).argmax(1) == truth).float().mean())
                    found[size].append(apart)
        for size, runs in found.items():
            middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            controls = "".join(f"{middle[method]:>15.3g}" for method in CONTROLS)
            print(
                f"{name:<8}{size:>6.0%}{middle['relaxed']:>10.3g}{controls}{middle['certified']:>12.3g}{middle['attained']:>10.3g}{middle['accuracy']:>10.1%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
