"""The networks that are timed: a 4096 x 4096 perceptron and weights of ResNet-50's size, untouched and with half of their units redundant."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np

from lumpnet.ir import Graph, Node, Value, save_network


def perceptron(widths: tuple[int, ...], redundant: bool = False, seed: int = 0) -> Graph:
    """Linear layers with ReLU between. With `redundant`, half of the hidden units are copies, scaled and shuffled, and their readers are split."""
    rng = np.random.default_rng(seed)
    nodes: list[Node] = []
    tensors: dict[str, np.ndarray] = {}
    before, order = "x", np.arange(widths[0])
    for k, (n, m) in enumerate(pairwise(widths)):
        last = k == len(widths) - 2
        copies, split = redundant and not last, redundant and k > 0
        rows = m // 2 if copies else m
        weight, bias = rng.standard_normal((rows, n // 2 if split else n), np.float32), rng.standard_normal(rows, np.float32)
        if split:  # what the copies' readers weigh, w = 2 w - (2 w) / 2, once each copy is half of its original
            weight = np.concatenate([weight * 2, -weight / 2], axis=1)[:, order]
        if copies:
            order = rng.permutation(m)
            weight, bias = np.concatenate([weight, weight * 2])[order], np.concatenate([bias, bias * 2])[order]
        name = f"linear_{k}"
        tensors |= {f"{name}.weight": weight, f"{name}.bias": bias}
        nodes.append(Node(Value(name, (None, m), "float32"), "linear", (before,), {}, {"weight": f"{name}.weight", "bias": f"{name}.bias"}))
        before = name
        if not last:
            nodes.append(Node(Value(f"relu_{k}", (None, m), "float32"), "relu", (name,), {}, {}))
            before = f"relu_{k}"
    return Graph((Value("x", (None, widths[0]), "float32"),), tuple(nodes), (before,), tensors)


def residual(redundant: bool) -> Graph:
    """ResNet-50, or one of half its width widened to twice that."""
    import torch

    from lumpnet.network import lift
    from tests.architectures import ResNet50, widen

    model = widen(ResNet50(width=32), 2.0) if redundant else ResNet50()
    return lift(model.eval(), torch.zeros(2, 3, 64, 64)).graph


WORKLOADS: dict[str, Callable[[], Graph]] = {
    "mlp-untouched": lambda: perceptron((4096,) * 4),
    "mlp-redundant": lambda: perceptron((4096,) * 4, redundant=True),
    "resnet50-untouched": lambda: residual(False),
    "resnet50-redundant": lambda: residual(True),
}


def write(name: str, folder: Path) -> Path:
    path = folder / f"{name}.safetensors"
    save_network(WORKLOADS[name](), path)
    return path
