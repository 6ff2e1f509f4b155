"""The law of recovery through PyTorch: what is planted in a small module is found again, unit by unit.

Random modules (perceptrons, convolutional, residual, depthwise, concatenating)
are widened by exact steps; lifting, reducing and lowering must lead back to the
widths of the module that was widened, with the same function. Some networks are
new in every run; a failure names the seed, and `LUMPNET_SEED=<number>` repeats it.
"""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lumpnet
from lumpnet.verdict import Proved

SEED = int(os.environ.get("LUMPNET_SEED") or int.from_bytes(os.urandom(3), "big"))
QUICK, LONG = 4, 40
"""Rounds of 25 networks: five of each family."""
ACTIVATIONS = {
    "relu": (nn.ReLU, (0.25, 0.5, 1.0, 2.0, 4.0)),
    "leaky_relu": (lambda: nn.LeakyReLU(0.125), (0.5, 1.0, 2.0)),
    "tanh": (nn.Tanh, (1.0, -1.0)),
    "silu": (nn.SiLU, (1.0,)),
    "gelu": (nn.GELU, (1.0,)),
    "relu6": (nn.ReLU6, (1.0,)),
}
"""Each with the scales that pass it."""


@dataclass
class Group:
    """One set of channels: layers that write it, depthwise layers it passes, (layer, first column) that read it, scales that may be planted."""

    writers: list[nn.Module]
    readers: list[tuple[nn.Module, int]]
    scales: tuple[float, ...]
    passing: list[nn.Module] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.writers[0].weight)


class Family(nn.Module):
    """A module with its groups; `dice` draws the architecture and the weights."""

    example: tuple[int, ...] = (2, 3, 5, 5)

    def __init__(self, dice: torch.Generator):
        super().__init__()
        self.dice = dice
        self.groups: list[Group] = []
        self.act, self.scales = self.pick(list(ACTIVATIONS.values()))
        self.act = self.act()
        self.build()
        with torch.no_grad():
            for p in self.parameters():
                p.copy_(self.numbers(*p.shape))
        del self.dice

    def build(self) -> None:
        raise NotImplementedError

    def draw(self, low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=self.dice))

    def pick(self, options: Any) -> Any:
        return options[self.draw(0, len(options) - 1)]

    def numbers(self, *shape: int) -> Tensor:
        """Sixteenths, none zero: short, so that splitting them is exact, and generic."""
        return numbers(shape, self.dice)

    def conv(self, into: int, out: int, kernel: int = 3, bias: bool = True, **options: Any) -> nn.Conv2d:
        return nn.Conv2d(into, out, kernel, padding=kernel // 2, bias=bias, **options)


def numbers(shape: tuple[int, ...], dice: torch.Generator) -> Tensor:
    return (torch.randint(1, 200, shape, generator=dice) * (2 * torch.randint(0, 2, shape, generator=dice) - 1)) / 16


class Perceptron(Family):
    example = (2, 3)

    def build(self) -> None:
        widths = [3, *(self.draw(2, 5) for _ in range(self.draw(1, 3))), 2]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.groups = [Group([a], [(b, 0)], self.scales) for a, b in pairwise(self.layers)]

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = self.act(layer(x))
        return self.layers[-1](x)


class Convolutional(Family):
    def build(self) -> None:
        n, m = self.draw(2, 4), self.draw(2, 4)
        self.one, self.two = self.conv(3, n), self.conv(n, m, self.pick([1, 3]), stride=self.pick([1, 2]))
        self.pool = self.pick([nn.MaxPool2d(2), nn.AvgPool2d(2), nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(3, 2, 1), nn.Identity()])
        self.last = nn.Linear(m, 2)
        scales = tuple(s for s in self.scales if s > 0)
        self.groups = [Group([self.one], [(self.two, 0)], scales), Group([self.two], [(self.last, 0)], self.scales)]

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.two(self.pool(self.act(self.one(x)))))
        return self.last(x.mean((2, 3)))


class Residual(Family):
    def build(self) -> None:
        n, m, k = self.draw(2, 4), self.draw(2, 4), self.draw(2, 4)
        self.stem, self.a, self.b = self.conv(3, n), self.conv(n, m), self.conv(m, n)
        self.c, self.d = self.conv(n, k, 1), self.conv(k, n)
        self.last = nn.Linear(n, 2)
        self.groups = [
            Group([self.a], [(self.b, 0)], self.scales),
            Group([self.c], [(self.d, 0)], self.scales),
            Group([self.stem, self.b, self.d], [(self.a, 0), (self.c, 0), (self.last, 0)], self.scales),
        ]

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.stem(x))
        x = self.act(x + self.b(self.act(self.a(x))))
        x = x + self.d(self.act(self.c(x)))
        return self.last(x.mean((2, 3)))


class Depthwise(Family):
    def build(self) -> None:
        n, m = self.draw(2, 4), self.draw(2, 4)
        self.stem, self.expand = self.conv(3, n), self.conv(n, m, 1)
        self.deep = self.conv(m, m, groups=m)
        self.project, self.last = self.conv(m, n, 1), nn.Linear(n, 2)
        self.groups = [
            Group([self.expand], [(self.project, 0)], (1.0,), [self.deep]),
            Group([self.stem, self.project], [(self.expand, 0), (self.last, 0)], (1.0, 2.0, -1.0, 0.5)),
        ]

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.project(self.act(self.deep(self.act(self.expand(x)))))
        return self.last(x.mean((2, 3)))


class Concatenating(Family):
    def build(self) -> None:
        n, m, k = self.draw(2, 4), self.draw(2, 4), self.draw(2, 4)
        self.squeeze, self.a, self.b = self.conv(3, n, 1), self.conv(n, m, 1), self.conv(n, k)
        self.last = self.conv(m + k, 2)
        self.groups = [
            Group([self.squeeze], [(self.a, 0), (self.b, 0)], self.scales),
            Group([self.b], [(self.last, m)], self.scales),
            Group([self.a], [(self.last, 0)], self.scales),
        ]
        """Later columns are widened first: they do not move earlier ones."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.squeeze(x))
        return self.last(torch.cat([self.act(self.a(x)), self.act(self.b(x))], 1))


FAMILIES = (Perceptron, Convolutional, Residual, Depthwise, Concatenating)


# -- planting -----------------------------------------------------------------------------------


def plant(module: Family, dice: torch.Generator) -> Family:
    """A widened copy: twins with split readers, twins that cancel, units that nobody reads; every step exact in float32."""
    wide = copy.deepcopy(module)
    with torch.no_grad():
        for group in wide.groups:
            for _ in range(int(torch.randint(0, 4, (), generator=dice))):
                [twin, twin, unread, cancelling][int(torch.randint(0, 4, (), generator=dice))](group, dice)
    return wide


def twin(group: Group, dice: torch.Generator) -> None:
    """A copy of a unit with a scale s, read with v / s; the unit keeps w - v."""
    i = int(torch.randint(group.size, (), generator=dice))
    s = group.scales[int(torch.randint(len(group.scales), (), generator=dice))]
    columns = []
    for layer, first in group.readers:
        w = layer.weight[:, first + i]
        v = numbers(tuple(w.shape), dice)
        layer.weight[:, first + i] = w - v
        columns.append(v / s)
    append(group, [copied(layer, i, s) for layer in group.writers], columns, i)


def unread(group: Group, dice: torch.Generator) -> None:
    append(group, [fresh(layer, dice) for layer in group.writers], [torch.zeros_like(layer.weight[:, 0]) for layer, _ in group.readers], 0)


def cancelling(group: Group, dice: torch.Generator) -> None:
    """Two equal new units, read with opposite weights."""
    rows = [fresh(layer, dice) for layer in group.writers]
    columns = [numbers(tuple(layer.weight[:, 0].shape), dice) for layer, _ in group.readers]
    append(group, rows, columns, 0)
    append(group, rows, [-c for c in columns], 0)


def copied(layer: Any, i: int, s: float) -> tuple[Tensor, Tensor]:
    return layer.weight[i] * s, layer.bias[i] * s


def fresh(layer: Any, dice: torch.Generator) -> tuple[Tensor, Tensor]:
    return numbers(tuple(layer.weight[0].shape), dice), numbers((), dice)


def append(group: Group, rows: list[tuple[Tensor, Tensor]], columns: list[Tensor], like: int) -> None:
    """One unit more: a row for every writer, a column for every reader behind the group's own; depthwise layers treat it like unit `like`."""
    size = group.size
    for layer, (weight, bias) in zip(group.writers, rows, strict=True):
        grow(layer, weight, bias)
    for layer in group.passing:
        grow(layer, layer.weight[like], layer.bias[like])
        layer.groups = layer.in_channels = size + 1
    for (layer, first), column in zip(group.readers, columns, strict=True):
        at, w = first + size, layer.weight
        layer.weight = nn.Parameter(torch.cat([w[:, :at], column[:, None], w[:, at:]], 1))
        setattr(layer, "in_features" if isinstance(layer, nn.Linear) else "in_channels", layer.weight.shape[1])


def grow(layer: Any, weight: Tensor, bias: Tensor) -> None:
    layer.weight = nn.Parameter(torch.cat([layer.weight, weight[None]]))
    layer.bias = nn.Parameter(torch.cat([layer.bias, bias[None]]))
    setattr(layer, "out_features" if isinstance(layer, nn.Linear) else "out_channels", len(layer.weight))


# -- the law ------------------------------------------------------------------------------------


def recovered(family: type[Family], seed: int) -> None:
    """Reduce base and widened module: proved, with the same widths, and the same function."""
    dice = torch.Generator().manual_seed(seed)
    base = family(dice).eval()
    wide = plant(base, dice).eval()
    label = f"{family.__name__}, seed {seed}"
    x = torch.randn(base.example, generator=dice)
    found = lumpnet.reduce(wide, x)
    assert isinstance(found.verdict, Proved), f"{label}: {found.verdict}"
    assert found.rounding == "none", label
    want = {name: tuple(p.shape) for name, p in base.named_parameters()}
    assert {name: tuple(p.shape) for name, p in found.model.named_parameters()} == want, f"{label}: {found}"
    with torch.no_grad():
        outputs = [m.double()(x.double()) for m in (base, wide, found.model)]
    for out in outputs[1:]:
        torch.testing.assert_close(out, outputs[0], rtol=1e-9, atol=1e-9 * float(outputs[0].abs().max()), msg=lambda m: f"{label}: {m}")


@pytest.mark.parametrize("round_", range(QUICK))
@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__)
def test_what_is_planted_in_a_module_is_found(family, round_):
    """Half of the rounds are the same in every run, half are new."""
    start = 1000 * round_ if round_ % 2 else SEED + 1000 * round_
    print(f"seeds {start} to {start + 4}")
    for seed in range(start, start + 5):
        recovered(family, seed)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__)
def test_what_is_planted_in_many_modules_is_found(family):
    for seed in range(SEED + 100_000, SEED + 100_000 + 5 * LONG):
        recovered(family, seed)
