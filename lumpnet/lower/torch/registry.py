"""What runs a kind of node, and what rebuilds a type of module."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lumpnet.ir import Node

Tensors = Mapping[str, Tensor]
Attrs = Mapping[str, Any]
Runner = Callable[[Sequence[Tensor], Tensors, Attrs], Tensor]
Maker = Callable[[Attrs], nn.Module]
Rebuilder = Callable[[Node, Tensors], nn.Module | None]

RUNNERS: dict[str, Runner] = {}
MAKERS: dict[str, Maker] = {}
REBUILDERS: dict[tuple[str, str], Rebuilder] = {}
SLOTS: dict[str, Mapping[str, str]] = {}


def runs(kind: str) -> Callable[[Runner], Runner]:
    """Register the function of a kind: (input values, tensors by role, attributes) to the value."""

    def register(runner: Runner) -> Runner:
        RUNNERS[kind] = runner
        return runner

    return register


def makes(kind: str) -> Callable[[Maker], Maker]:
    """Register a kind that is always a module of its own, because only its type tells what it is."""

    def register(maker: Maker) -> Maker:
        MAKERS[kind] = maker
        return maker

    return register


def rebuilds(kind: str, *types: str, slots: Mapping[str, str] | None = None) -> Callable[[Rebuilder], Rebuilder]:
    """Register how `torch.nn` modules of these types come from a node of `kind`; `None` where the node does not fit.

    The module comes without tensors; `slots` names its attribute for each role.
    """

    def register(rebuilder: Rebuilder) -> Rebuilder:
        REBUILDERS.update(dict.fromkeys(((kind, t) for t in types), rebuilder))
        SLOTS[kind] = slots or {}
        return rebuilder

    return register


def dimensions(name: str) -> int:
    """Conv2d has 2 spatial axes."""
    return int(next(c for c in name if c.isdigit()))


def empty(kind: type[nn.Module], *args: Any, **options: Any) -> nn.Module:
    """A module whose tensors are placeholders without memory."""
    return kind(*args, device=torch.device("meta"), **options)
