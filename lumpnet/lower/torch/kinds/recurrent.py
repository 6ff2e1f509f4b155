"""rnn, lstm, gru. A layer forward in time is `torch.nn`'s own; one backward runs between two flips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lumpnet.ir import Node
from lumpnet.lower.torch.registry import Attrs, Tensors, empty, rebuilds, runs

ROLES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
SLOTS = {role: f"{role}_l0" for role in ROLES}


@runs("rnn")
def rnn(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    run = torch.rnn_relu if attrs["nonlinearity"] == "relu" else torch.rnn_tanh
    return _forward_in_time(values[0], tensors, attrs, lambda x, zero, *rest: run(x, zero, *rest)[0])


@runs("lstm")
def lstm(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return _forward_in_time(values[0], tensors, attrs, lambda x, zero, *rest: torch.lstm(x, (zero, zero), *rest)[0])


@runs("gru")
def gru(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    if not attrs["linear_before_reset"]:
        return _reset_first(values[0], tensors, attrs["reverse"])
    return _forward_in_time(values[0], tensors, attrs, lambda x, zero, *rest: torch.gru(x, zero, *rest)[0])


def _forward_in_time(x: Tensor, tensors: Tensors, attrs: Attrs, run: Callable[..., Any]) -> Tensor:
    """One layer from the zero state. With one bias of two the other is zeros."""
    if len(tensors) == 3:
        held = next(tensors[role] for role in ROLES[2:] if role in tensors)
        tensors = {role: torch.zeros_like(held) for role in ROLES[2:]} | dict(tensors)
    zero = torch.zeros(1, x.shape[0], tensors["weight_hh"].shape[1], dtype=x.dtype, device=x.device)
    flat = [tensors[role] for role in ROLES if role in tensors]
    y: Tensor = run(x.flip([1]) if attrs["reverse"] else x, zero, flat, len(flat) == 4, 1, 0.0, False, False, True)
    return y.flip([1]) if attrs["reverse"] else y


def _reset_first(x: Tensor, tensors: Tensors, reverse: bool) -> Tensor:
    """The GRU that torch lacks: the reset gate acts before the linear map of the state."""
    own, steps = tensors["weight_hh"], range(x.shape[1])
    h = torch.zeros(x.shape[0], own.shape[1], dtype=x.dtype, device=x.device)
    inputs = nn.functional.linear(x, tensors["weight_ih"], tensors.get("bias_ih")) + tensors.get("bias_hh", torch.zeros((), dtype=x.dtype, device=x.device))
    found: dict[int, Tensor] = {}
    for t in reversed(steps) if reverse else steps:
        one, two, candidate = inputs[:, t].chunk(3, 1)
        three, four, last = own.chunk(3)
        r, z = torch.sigmoid(one + h @ three.T), torch.sigmoid(two + h @ four.T)
        h = found[t] = (1 - z) * torch.tanh(candidate + (r * h) @ last.T) + z * h
    return torch.stack([found[t] for t in steps], 1)


@rebuilds("rnn", "RNN", slots=SLOTS)
@rebuilds("lstm", "LSTM", slots=SLOTS)
@rebuilds("gru", "GRU", slots=SLOTS)
def recurrent_module(node: Node, tensors: Tensors) -> nn.Module | None:
    """Where torch has the layer: forward in time, with both biases or none, its tensors parameters."""
    assert node.module is not None
    biased = "bias_ih" in tensors
    if node.attrs["reverse"] or biased != ("bias_hh" in tensors) or not node.attrs.get("linear_before_reset", True):
        return None
    if not all(isinstance(t, nn.Parameter) for t in tensors.values()):
        return None
    options = {"nonlinearity": node.attrs["nonlinearity"]} if node.kind == "rnn" else {}
    size = tensors["weight_hh"].shape[1]
    return empty(getattr(nn, node.module.type), tensors["weight_ih"].shape[1], size, batch_first=True, bias=biased, **options)
