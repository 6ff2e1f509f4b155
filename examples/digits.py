"""What the examples of pruning methods share: scikit-learn's bundled 8x8 digits, small networks trained on them, medians, and a figure of lines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from lumpnet.report.markup import tag

COLOURS = ("#1b6ca8", "#c23b22", "#2e7d32", "#8e6c00", "#6a3d9a", "#555555")


def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images (n, 64) between 0 and 1 and labels: three quarters to train on, the rest to test."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    data = load_digits()
    x, y = torch.tensor(data.data, dtype=torch.float32) / 16, torch.tensor(data.target)
    parts = train_test_split(x, y, test_size=0.25, random_state=0, stratify=y)
    return parts[0], parts[2], parts[1], parts[3]


def perceptron(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for into, out in pairwise(widths):
        layers += [nn.Linear(into, out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def trained(widths: Sequence[int], seed: int, x: Tensor, y: Tensor, epochs: int = 30, by: str = "adam") -> nn.Sequential:
    torch.manual_seed(seed)
    model = perceptron(*widths)
    optimizers = {"adam": torch.optim.Adam(model.parameters(), lr=2e-3), "sgd": torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)}
    optimizer = optimizers[by]
    for _ in range(epochs):
        for part in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[part]), y[part]).backward()
            optimizer.step()
    return model.eval()


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return float((model(x).argmax(1) == y).float().mean())


def slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Of the least-squares line through the logarithms."""
    a, b = [math.log(x) for x in xs], [math.log(y) for y in ys]
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    return sum((p - mean_a) * (q - mean_b) for p, q in zip(a, b, strict=True)) / sum((p - mean_a) ** 2 for p in a)


def figure(path: str | Path, title: str, across: str, up: str, lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> None:
    """Write lines (name -> numbers across, numbers up), both axes by powers of ten, as SVG."""
    wide, high, left, top, right, low = 640, 420, 70, 40, 170, 50
    points = [(x, y) for xs, ys in lines.values() for x, y in zip(xs, ys, strict=True) if x > 0 and y > 0]
    ends = [(math.log10(min(c)), math.log10(max(c))) for c in zip(*points, strict=True)]
    spans = [(a, max(b, a + 1e-9)) for a, b in ends]

    def at(x: float, y: float) -> tuple[float, float]:
        shares = [(math.log10(v) - a) / (b - a) for v, (a, b) in zip((x, y), spans, strict=True)]
        return left + shares[0] * (wide - left - right), high - low - shares[1] * (high - top - low)

    text = {"font_family": "sans-serif", "font_size": 13, "fill": "#222"}
    parts = [tag("rect", x=0, y=0, width=wide, height=high, fill="white"), tag("text", title, x=left, y=22, **text)]
    parts += [tag("path", d=f"M{left} {top}V{high - low}H{wide - right}", fill="none", stroke="#222")]
    for axis, (a, b) in enumerate(spans):
        decades = range(math.ceil(a - 1e-9), math.floor(b + 1e-9) + 1)
        ticks = [10.0**p for p in decades[:: max(1, len(decades) // 6)]] if len(decades) > 1 else [10.0**a, 10.0**b]
        for value in ticks:
            x, y = at(value if axis == 0 else 10 ** spans[0][0], value if axis == 1 else 10 ** spans[1][0])
            where = {"x": x, "y": high - low + 18, "text_anchor": "middle"} if axis == 0 else {"x": left - 6, "y": y + 4, "text_anchor": "end"}
            parts.append(tag("text", f"{value:.3g}", **where, **text))
    parts += [tag("text", across, x=(left + wide - right) / 2, y=high - 10, text_anchor="middle", **text), tag("text", up, x=6, y=top - 6, **text)]
    for k, (name, (xs, ys)) in enumerate(lines.items()):
        places = [at(x, y) for x, y in zip(xs, ys, strict=True) if x > 0 and y > 0]
        colour = COLOURS[k % len(COLOURS)]
        parts.append(tag("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in places), fill="none", stroke=colour, stroke_width=2))
        parts += [tag("circle", cx=x, cy=y, r=3, fill=colour) for x, y in places]
        parts.append(tag("text", name, x=wide - right + 14, y=top + 20 * (k + 1), **(text | {"fill": colour})))
    Path(path).write_text(str(tag("svg", *parts, xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {wide} {high}")))
