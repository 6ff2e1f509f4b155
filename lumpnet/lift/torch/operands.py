"""What an argument of an exported operator can stand for while a model is lifted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.fx import Node as FxNode

from lumpnet.ir import Shape


@dataclass(frozen=True, eq=False)
class Val:
    """A value of the graph: an input (by name) or a drafted node (by position)."""

    ref: str | int
    shape: Shape
    dtype: str


@dataclass(frozen=True, eq=False)
class Param:
    """An expression of parameters alone, folded exactly; `text` says how, `sources` from which tensors.

    `local` marks a constant written in the code (the 0.5 of `x * 0.5`): its
    tensor belongs to the node that uses it.
    """

    tensor: torch.Tensor
    text: str = ""
    sources: tuple[str, ...] = ()
    local: bool = False


@dataclass(frozen=True, eq=False)
class Deferred:
    """An operator call not (yet) a node of its own.

    A value whose batch is not axis 0 has no place in a graph, so its call waits
    and becomes a step of the opaque node that leads back to such a place.
    `shape` is `None` exactly where the value has no place. `operands` are what
    the call read, fixed when it was met; `order` is its position in the program.
    """

    order: int
    node: FxNode
    shape: Shape | None
    dtype: str
    operands: Mapping[FxNode, Operand]


End = tuple[Val, int]
"""A value (batch, T, n) and one of its positions on axis 1."""


@dataclass(frozen=True, eq=False)
class Stacked(Deferred):
    """A deferred value of shape (k, batch, n) whose slices along axis 0 are known."""

    ends: tuple[End, ...]


@dataclass(frozen=True, eq=False)
class Size:
    """A number that export kept symbolic, as its SymPy expression (or a plain number)."""

    expr: Any


@dataclass(frozen=True, eq=False)
class Items:
    """The outputs of an operator with several: the first is a node of a kind, others come from the call itself.

    `ends` says of some of these that they are positions of values, stacked along a new axis 0.
    """

    first: Val | Deferred
    rest: Deferred | None = None
    ends: Mapping[int, tuple[End, ...]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Parts:
    """The outputs of an operator with several, each of which is a node of its own once it is asked for."""

    items: tuple[Operand | Form, ...]


Operand = Val | Param | Deferred | Size | Items | Parts


@dataclass(frozen=True)
class Form:
    """A converter's answer: the kind of node, its operands in order, its attributes and tensors by role.

    An operand may be a form itself, with the `shape` of its value: a node before the node.
    The operands have the output's dtype, or all one of `dtypes` where that is given.
    """

    kind: str
    inputs: tuple[Val | Deferred | Form, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Param] = field(default_factory=dict)
    shape: Shape | None = None
    dtypes: tuple[str, ...] = ()


def is_batched(operand: object) -> bool:
    """Whether the operand has a place in a graph as a value with the batch on axis 0."""
    return isinstance(operand, Val | Deferred) and bool(operand.shape) and operand.shape is not None and operand.shape[0] is None
