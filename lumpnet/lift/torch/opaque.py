"""Calls without a rule, written down as data.

An opaque node's `args` and `kwargs` are JSON. Beside plain scalars and lists
they hold the markers

    {"input": k}            the k-th input value of the node
    {"param": "0"}          the tensor with role "0"
    {"batch": m}            m times the batch size (axis 0 of the node's first input)
    {"step": k}             the result of the k-th call of a sequence; with "output": i, item i of a tuple result
    {"dtype": "input"}      the dtype of the node's first floating input, else of its first floating tensor
    {"dtype": "int64"}      any other dtype
    {"device": "input"}     the device on which the network runs
    {"memory_format": "contiguous_format"}
    {"float": "-inf"}       a number that JSON lacks

A node whose target is "sequence" makes several calls, because the values between
them have no place in a graph (the batch is not axis 0): its `args` are the calls
{"target", "args", "kwargs"} in order, and the last one's result is the node's.
`output` is the item that is taken from a tuple result, else `None`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.fx import Node as FxNode

from lumpnet.errors import LiftError
from lumpnet.ir import Value
from lumpnet.lift.torch.operands import Deferred, Param, Size, Val, is_batched
from lumpnet.lift.torch.state import identity

RESHAPES = ("aten.view.default", "aten._unsafe_view.default", "aten.reshape.default")
SEQUENCE = "sequence"
LAYOUT = ("layout", "pin_memory")


@dataclass
class Encoding:
    """An opaque node in the making. `batch` is the symbol of the batch size, `where` names the layer for errors."""

    batch: Any
    where: Callable[[FxNode], str]
    inputs: list[Val] = field(default_factory=list)
    params: list[Param] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    done: dict[Deferred, int] = field(default_factory=dict)
    uses_batch: bool = False
    dtype: torch.dtype | None = None

    def floating(self) -> torch.dtype | None:
        """What {"dtype": "input"} stands for, once everything that the node reads is known."""
        values = [getattr(torch, v.dtype) for v in self.inputs] + [p.tensor.dtype for p in self.params]
        return next((d for d in values if d.is_floating_point), None)

    def root(self, call: Deferred) -> dict[str, Any]:
        """The attributes of the node for `call`. Raises `LiftError` for an argument that cannot be written down."""
        output, source = _item(call)
        for step in _waiting(source):
            self.steps.append(self._call(step))
            self.done[step] = len(self.done)
        last = self._call(source)
        whole = {"target": SEQUENCE, "args": [*self.steps, last], "kwargs": {}} if self.steps else last
        return whole | {"output": output}

    def _call(self, call: Deferred) -> dict[str, Any]:
        target, node = str(call.node.target), call.node
        if target in RESHAPES:
            shape = [self._dim(d, node) for d in node.meta["val"].shape]
            return {"target": "aten.reshape.default", "args": [self._value(node.args[0], call), shape], "kwargs": {}}
        kwargs = {k: self._value(v, call) for k, v in sorted(node.kwargs.items()) if k not in LAYOUT and v is not None}
        return {"target": target, "args": [self._value(a, call) for a in node.args], "kwargs": kwargs}

    def _value(self, value: Any, call: Deferred) -> Any:
        if isinstance(value, FxNode):
            return self._operand(call.operands[value], call.node)
        if isinstance(value, list | tuple):
            return [self._value(v, call) for v in value]
        if isinstance(value, torch.dtype) and value == self.dtype:
            return {"dtype": "input"}
        return plain(value, self.where(call.node))

    def _operand(self, operand: Any, node: FxNode) -> Any:
        if isinstance(operand, Val):
            return {"input": _index(self.inputs, operand, lambda v: v.ref)}
        if isinstance(operand, Param):
            return {"param": str(_index(self.params, operand, lambda p: identity(p.tensor)))}
        if isinstance(operand, Deferred):
            return self._step(operand)
        return self._number(operand.expr if isinstance(operand, Size) else operand, node)

    def _step(self, call: Deferred) -> dict[str, int]:
        output, source = _item(call)
        marker = {"step": self.done[source]}
        return marker if output is None else marker | {"output": output}

    def _dim(self, size: Any, node: FxNode) -> Any:
        return size if isinstance(size, int) else self._number(size.node.expr, node)

    def _number(self, expr: Any, node: FxNode) -> Any:
        multiple = batch_multiple(expr, self.batch)
        if multiple is None:
            raise LiftError(
                self.where(node),
                f"a number is computed as {expr}, from the batch size or the data",
                "fixed numbers, or a whole multiple of the batch size",
                "compute with tensors instead of numbers (no .item()), and each sample by itself",
            )
        if isinstance(multiple, tuple):
            self.uses_batch = True
            return {"batch": multiple[0]}
        return multiple


@dataclass(frozen=True)
class Opaque:
    """What an opaque node consists of; `calls` are the exported calls that went into it, `operation` is the last one's name."""

    attrs: dict[str, Any]
    inputs: list[Val]
    params: list[Param]
    calls: list[FxNode]
    operation: str


def encode(call: Deferred, batch: Any, first: Value, where: Callable[[FxNode], str]) -> Opaque:
    """The opaque node for `call`; it reads the network's `first` input where nothing else tells the batch size.

    Raises `LiftError` for an argument that cannot be written down.
    """
    trial = Encoding(batch, where)
    trial.root(call)
    lost = trial.uses_batch and not (trial.inputs and is_batched(trial.inputs[0]))
    seed = [Val(first.name, first.shape, first.dtype)] if lost else []
    code = Encoding(batch, where, inputs=list(seed), dtype=Encoding(batch, where, seed + trial.inputs, trial.params).floating())
    attrs, source = code.root(call), _item(call)[1].node
    return Opaque(attrs, code.inputs, code.params, [source, *(d.node for d in code.done)], str(source.target).split(".")[1])


def batch_multiple(expr: Any, batch: Any) -> int | float | tuple[int] | None:
    """A plain number as itself, `m * batch` as `(m,)`, anything else as `None`."""
    if isinstance(expr, int | float):
        return expr
    if getattr(expr, "is_Integer", False):
        return int(expr)
    if batch is None or getattr(expr, "free_symbols", set()) != {batch}:
        return None
    factor = expr / batch
    return (int(factor),) if factor.is_Integer else None


def _item(call: Deferred) -> tuple[int | None, Deferred]:
    """The item that is taken from the call's result, and the call itself."""
    if call.node.target is not operator.getitem:
        return None, call
    source = call.operands[call.node.args[0]]  # type: ignore[index]
    assert isinstance(source, Deferred)
    return int(call.node.args[1]), source  # type: ignore[arg-type]


def _waiting(call: Deferred) -> list[Deferred]:
    """The calls that must be made before this one, in the program's order."""
    found: set[Deferred] = set()
    open_ = [call]
    while open_:
        new = {_item(o)[1] for o in open_.pop().operands.values() if isinstance(o, Deferred)} - found
        found |= new
        open_ += new
    return sorted(found, key=lambda c: c.order)


def _index(items: list[Any], item: Any, key: Callable[[Any], Any]) -> int:
    for i, known in enumerate(items):
        if key(known) == key(item):
            return i
    items.append(item)
    return len(items) - 1


def plain(value: Any, where: str) -> Any:
    """A constant argument as JSON. Raises `LiftError` for what has no such form."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, torch.dtype):
        return {"dtype": str(value).removeprefix("torch.")}
    if isinstance(value, torch.memory_format):
        return {"memory_format": str(value).removeprefix("torch.")}
    if isinstance(value, torch.device):
        return {"device": "input"}
    raise LiftError(
        where,
        f"an argument is {value!r}, a {type(value).__name__}",
        "numbers, strings, dtypes and lists of them",
        "express the layer with real tensors and plain arguments",
    )


def check_function(node: FxNode, where: str) -> None:
    """Raises `LiftError` unless the operator is a function: it changes nothing and draws nothing at random."""
    target: Any = node.target
    if target._schema.is_mutable or str(target) in ("aten.as_strided.default", "aten.view.dtype"):
        raise LiftError(
            where,
            f"the operator {target} changes or reinterprets memory",
            "operators that are functions of their inputs",
            "write the layer without in-place operations on views",
        )
    if torch.Tag.nondeterministic_seeded in target.tags and not _draws_nothing(node):
        raise LiftError(
            where, f"the operator {target} draws random numbers", "a network that is a function of its inputs", "make the layer deterministic in eval mode"
        )


def _draws_nothing(node: FxNode) -> bool:
    """Attention with dropout probability 0, a recurrent layer outside training, ...: random only elsewhere."""
    target: Any = node.target
    given = dict(zip((a.name for a in target._schema.arguments), node.args, strict=False)) | node.kwargs
    values = {a.name: given.get(a.name, a.default_value) for a in target._schema.arguments}
    return values.get("train") is False or values.get("training") is False or values.get("dropout_p") == 0
