"""Widen a module without changing its function: copies of channels with split readers, channels nobody reads, and a shuffle.

Everything is exact in float32: scales are powers of two, and a weight w becomes
w/2 + w/2 or 2w - w, row by row as the dice fall, so that rows which were equal
are equal again only once the copies are one class.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass
class Channels:
    """One set of channels: layers (convolution, batch norm) that write it, depthwise ones that pass it on, layers that read it.

    `scales`: whether a positive scale passes all activations on the way (ReLU and none do, ReLU6 does not).
    """

    writers: list[tuple[nn.Conv2d, nn.BatchNorm2d]]
    passing: list[tuple[nn.Conv2d, nn.BatchNorm2d]]
    readers: list[Any]
    scales: bool


def widen(model: Any, factor: float = 1.25, seed: int = 0) -> Any:
    """A copy of `model` (which has `channels()`) with about `factor` times the channels; a third of the new ones are not read."""
    out = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for channels in out.channels():
            _widen(channels, factor, generator)
    return out.eval()


def _widen(channels: Channels, factor: float, generator: torch.Generator) -> None:
    n = channels.writers[0][0].out_channels
    extra = max(1, round(n * (factor - 1)))
    dead = torch.arange(n + extra) >= n + extra - extra // 3
    source = torch.cat([torch.arange(n), torch.randint(n, (extra,), generator=generator)])
    scale = torch.ones(n + extra)
    if channels.scales:
        scale[n:] = 2.0 ** torch.randint(-2, 3, (extra,), generator=generator)
    order = torch.randperm(n + extra, generator=generator)
    for layer, norm in channels.writers:
        _write(layer, norm, source, scale, dead, order, generator)
    for layer, norm in channels.passing:
        _write(layer, norm, source, torch.ones_like(scale), dead, order, generator)
        layer.groups = layer.in_channels = n + extra
    for layer in channels.readers:
        _read(layer, source, scale, dead, order, generator)


def _write(layer: nn.Conv2d, norm: nn.BatchNorm2d, source: Tensor, scale: Tensor, dead: Tensor, order: Tensor, generator: torch.Generator) -> None:
    """Rows copied, the scale in the batch norm; rows that nobody will read are random."""
    weight = layer.weight[source]
    weight[dead] = torch.randn(weight[dead].shape, generator=generator)
    layer.weight = nn.Parameter(weight[order])
    layer.out_channels = norm.num_features = len(order)
    norm.weight = nn.Parameter((norm.weight[source] * scale)[order])
    norm.bias = nn.Parameter((norm.bias[source] * scale)[order])
    norm.running_mean, norm.running_var = norm.running_mean[source][order], norm.running_var[source][order]


def _read(layer: Any, source: Tensor, scale: Tensor, dead: Tensor, order: Tensor, generator: torch.Generator) -> None:
    """Columns split among the copies, each divided by its copy's scale; columns that read nothing are zero."""
    weight = layer.weight[:, source].clone()
    shape = [-1] + [1] * (weight.ndim - 2)
    n = layer.weight.shape[1]
    for k in range(n, len(source)):
        if dead[k]:
            weight[:, k] = 0
            continue
        doubled = (torch.rand(len(weight), generator=generator) < 0.3).reshape(shape)
        kept, moved = torch.where(doubled, 2.0, 0.5), torch.where(doubled, -1.0, 0.5)
        weight[:, k] = weight[:, source[k]] * moved / scale[k]
        weight[:, source[k]] *= kept
    layer.weight = nn.Parameter(weight[:, order])
    setattr(layer, "in_features" if isinstance(layer, nn.Linear) else "in_channels", len(source))
