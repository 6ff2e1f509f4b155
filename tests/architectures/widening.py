"""Widen a module without changing its function: copies of channels with split readers, channels nobody reads, zeros, constants, and a shuffle.

Everything is exact in float32: scales are powers of two, and a weight w becomes
w/2 + w/2 or 2w - w, row by row as the dice fall, so that rows which were equal
are equal again only once the copies are one class. Two channels of the same
constant are read with opposite weights.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Read:
    """`layer` (or batch norm) reads the channels as part `part` of a concatenation with the widths `join`, each at `positions` columns."""

    layer: Any
    join: list[int]
    part: int
    positions: int = 1


@dataclass
class Channels:
    """One set of channels: layers (and batch norms or None) that write it, depthwise ones that pass it on, layers that read it.

    `scales`: whether a positive scale passes all activations on the way (ReLU and none do, ReLU6 does not).
    `norms` stand between the channels and their readers; `gates` are multiplied with them, behind a sigmoid.
    """

    writers: list[tuple[Any, Any]]
    passing: list[tuple[nn.Conv2d, nn.BatchNorm2d]]
    readers: list[Any]
    scales: bool
    norms: list[Read] = field(default_factory=list)
    gates: list[Any] = field(default_factory=list)


COPY, DEAD, ZERO, PLUS, MINUS = range(5)


@dataclass(frozen=True)
class Plan:
    """What the channels become: which one each is a copy of, its scale, what else it is, and where it goes."""

    source: Tensor
    scale: Tensor
    role: Tensor
    order: Tensor
    old: int

    def is_(self, *roles: int) -> Tensor:
        return torch.isin(self.role, torch.tensor(roles))


def widen(model: Any, factor: float = 1.25, seed: int = 0) -> Any:
    """A copy of `model` (which has `channels()`) with about `factor` times the channels; a third of the new ones are not read."""
    out = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for channels in out.channels():
            _widen(channels, factor, generator)
    return out.eval()


def _widen(channels: Channels, factor: float, generator: torch.Generator) -> None:
    n = len(_rows(channels.writers[0][0]))
    plan = _plan(channels, n, max(1, round(n * (factor - 1))), generator)
    for layer, norm in channels.writers:
        _write(layer, norm, plan, generator)
    for layer, norm in channels.passing:
        _write(layer, norm, Plan(plan.source, torch.ones_like(plan.scale), plan.role, plan.order, n), generator)
        layer.groups = layer.in_channels = len(plan.order)
    for gate in channels.gates:
        _write(gate, None, Plan(plan.source, torch.ones_like(plan.scale), plan.role.clamp(max=DEAD), plan.order, n), generator)
    for read in channels.norms:
        _pass(read, plan)
    reads = [r if isinstance(r, Read) else Read(r, [n], 0) for r in channels.readers]
    for read in reads:
        _read(read, plan, generator)
    for join, part in {id(r.join): (r.join, r.part) for r in (*reads, *channels.norms)}.values():
        join[part] = len(plan.order)


def _plan(channels: Channels, n: int, extra: int, generator: torch.Generator) -> Plan:
    source = torch.cat([torch.arange(n), torch.randint(n, (extra,), generator=generator)])
    scale, role = torch.ones(n + extra), torch.full((n + extra,), COPY)
    if channels.scales:
        scale[n:] = 2.0 ** torch.randint(-2, 3, (extra,), generator=generator)
    role[n + extra - extra // 3 :] = DEAD
    if not channels.passing and not channels.norms and extra >= 4:
        role[n] = ZERO
        if extra >= 6 and not channels.gates and all(norm is not None or layer.bias is not None for layer, norm in channels.writers):
            role[n + 1], role[n + 2] = PLUS, MINUS
    return Plan(source, scale, role, torch.randperm(n + extra, generator=generator), n)


def _turned(layer: Any) -> bool:
    return isinstance(layer, nn.ConvTranspose2d)


def _rows(layer: Any) -> Tensor:
    """The weight by what it writes."""
    return layer.weight.transpose(0, 1) if _turned(layer) else layer.weight


def _store(layer: Any, rows: Tensor) -> None:
    layer.weight = nn.Parameter((rows.transpose(0, 1) if _turned(layer) else rows).contiguous())


def _write(layer: Any, norm: Any, plan: Plan, generator: torch.Generator) -> None:
    """Rows copied, the scale in the batch norm if there is one; rows that nobody will read are random; zeros and ones are constant."""
    weight, constant = _rows(layer)[plan.source].clone(), plan.is_(PLUS, MINUS)
    weight[plan.is_(DEAD)] = torch.randn(weight[plan.is_(DEAD)].shape, generator=generator)
    weight[constant] = 0
    target = layer if norm is None else norm
    if norm is None:
        weight *= plan.scale.reshape(-1, *[1] * (weight.ndim - 1))
        weight[plan.is_(ZERO)] = 0
    else:
        gain = norm.weight[plan.source] * plan.scale
        gain[plan.is_(ZERO, PLUS, MINUS)] = 0
        norm.weight = nn.Parameter(gain[plan.order])
        norm.running_mean, norm.running_var = norm.running_mean[plan.source][plan.order], norm.running_var[plan.source][plan.order]
        norm.num_features = len(plan.order)
        if layer.bias is not None:
            layer.bias = nn.Parameter(layer.bias[plan.source][plan.order])
    if target.bias is not None:
        shift = target.bias[plan.source] * plan.scale
        shift[plan.is_(ZERO)] = 0
        shift[constant] = 1
        target.bias = nn.Parameter(shift[plan.order])
    _store(layer, weight[plan.order])
    setattr(layer, "out_features" if isinstance(layer, nn.Linear) else "out_channels", len(plan.order))


def _pass(read: Read, plan: Plan) -> None:
    """Entries of a batch norm behind the channels, copied."""
    norm, start = read.layer, sum(read.join[: read.part])
    index = torch.cat([torch.arange(start), start + plan.source[plan.order], torch.arange(start + plan.old, norm.num_features)])
    norm.weight, norm.bias = nn.Parameter(norm.weight[index]), nn.Parameter(norm.bias[index])
    norm.running_mean, norm.running_var = norm.running_mean[index], norm.running_var[index]
    norm.num_features = len(index)


def _read(read: Read, plan: Plan, generator: torch.Generator) -> None:
    """Columns split among the copies, each divided by its copy's scale; columns that read nothing are zero; those that read zeros are random."""
    layer, size = read.layer, read.positions
    whole = layer.weight.transpose(0, 1) if _turned(layer) else layer.weight
    start = sum(read.join[: read.part]) * size
    before, old, after = whole[:, :start], whole[:, start : start + plan.old * size], whole[:, start + plan.old * size :]
    weight = old.reshape(len(whole), plan.old, size, *whole.shape[2:])[:, plan.source].clone()
    other = torch.randint(-8, 9, weight[:, 0].shape, generator=generator) / 8.0
    for k in range(plan.old, len(plan.source)):
        role = int(plan.role[k])
        if role != COPY:
            weight[:, k] = {DEAD: 0 * other, ZERO: other, PLUS: other, MINUS: -other}[role]
            continue
        doubled = (torch.rand(len(weight), generator=generator) < 0.3).reshape(-1, *[1] * (weight.ndim - 2))
        kept, moved = torch.where(doubled, 2.0, 0.5), torch.where(doubled, -1.0, 0.5)
        weight[:, k] = weight[:, plan.source[k]] * moved / plan.scale[k]
        weight[:, plan.source[k]] *= kept
    wide = weight[:, plan.order].reshape(len(whole), -1, *whole.shape[2:])
    _store(layer, torch.cat([before, wide, after], 1))
    setattr(layer, "in_features" if isinstance(layer, nn.Linear) else "in_channels", before.shape[1] + wide.shape[1] + after.shape[1])
