"""What an exported program reads and returns: inputs, stored tensors, outputs, shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.export.graph_signature import InputKind, OutputKind
from torch.fx import Node as FxNode

from lumpnet.errors import LiftError
from lumpnet.ir import Shape, Value
from lumpnet.lift.torch.export import Exported
from lumpnet.lift.torch.names import stack_of
from lumpnet.lift.torch.opaque import batch_multiple
from lumpnet.lift.torch.operands import Operand, Param, Val
from lumpnet.lift.torch.state import State


@dataclass
class Program:
    """An exported program with its signature read. `batch` is the symbol of the batch size."""

    exported: Exported
    batch: Any = None
    inputs: list[Value] = field(default_factory=list)
    env: dict[FxNode, Operand] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Raises `LiftError` where an input has lost its batch axis, or is neither tensor nor parameter."""
        self.modules: Mapping[str, nn.Module] = self.exported.modules
        self.state = State(self.exported.parameters.items(), self.exported.others.items())
        self._read({**self.exported.parameters, **self.exported.others})
        self.notes += self.exported.notes

    def _read(self, stored: dict[str, torch.Tensor]) -> None:
        names = iter(self.exported.inputs)
        placeholders = {n.name: n for n in self.exported.program.graph.nodes if n.op == "placeholder"}
        for spec in self.exported.program.graph_signature.input_specs:
            node = placeholders.get(getattr(spec.arg, "name", ""))
            target = self._own_name(spec.target)
            if node is not None and spec.kind == InputKind.USER_INPUT:
                self._input(node, next(names))
            elif node is not None and target in stored:
                self.env[node] = Param(stored[target], target, (target,))
            else:
                raise LiftError(
                    self.name, f"export added an input of kind {spec.kind.name}", "tensors and parameters", "remove what is neither from the network"
                )

    def _own_name(self, name: str | None) -> str:
        """The module's name for what the program may call otherwise."""
        return self.exported.aliases.get(name or "", name or "")

    def _input(self, node: FxNode, name: str) -> None:
        value = node.meta["val"]
        if isinstance(value.shape[0], torch.SymInt):
            self.batch = value.shape[0].node.expr
        shape = self.shape(value, depends=True)
        if shape is None:
            expected = "the batch on axis 0 and fixed sizes elsewhere"
            raise LiftError(f"input {name!r}", f"export gave it the shape {tuple(value.shape)}", expected, "remove what fixes the batch size")
        self.inputs.append(Value(name, shape, dtype_name(value)))
        self.env[node] = Val(name, shape, dtype_name(value))

    def returned(self, output: FxNode) -> Iterator[object]:
        """The results of `forward`, in order. Raises `LiftError` for an output structure or a side effect that a graph lacks."""
        _check_structure(self.name, self.exported.program.call_spec.out_spec)
        results: Any = output.args[0]
        for spec, result in zip(self.exported.program.graph_signature.output_specs, results, strict=True):
            if spec.kind == OutputKind.USER_INPUT_MUTATION:
                self.notes.append(f"forward overwrites its input {self._own_name(spec.target)!r}; the lifted network does not")
            elif spec.kind == OutputKind.USER_OUTPUT:
                yield result
            else:
                raise LiftError(
                    self.name, f"forward changes {self._own_name(spec.target)!r}", "a function of the inputs", "do not write to buffers in eval mode"
                )

    def shape(self, value: object, depends: bool) -> Shape | None:
        """The shape with `None` for the batch on axis 0; `None` where the value has no place in a graph.

        That is so where the batch is elsewhere, and where it is nowhere but the value `depends` on it.
        """
        if not isinstance(value, torch.Tensor):
            return None
        sizes = [batch_multiple(d if isinstance(d, int) else d.node.expr, self.batch) for d in value.shape]
        fixed = [d for d in sizes if isinstance(d, int)]
        if len(fixed) == len(sizes):
            return None if depends else tuple(fixed)
        return (None, *fixed) if sizes[0] == (1,) and len(fixed) == len(sizes) - 1 else None

    @property
    def name(self) -> str:
        return self.exported.name

    def layer(self, node: FxNode) -> str:
        """The innermost module of a call, in words."""
        path = stack_of(node).path
        return f"layer {path!r} ({type(self.modules[path]).__name__})" if path and path in self.modules else self.name


def extents(value: object, batch: Any) -> tuple[int | tuple[int], ...] | None:
    """The shape in fixed sizes and multiples of the batch size; None where it has others."""
    if not isinstance(value, torch.Tensor):
        return None
    sizes = [batch_multiple(d if isinstance(d, int) else d.node.expr, batch) for d in value.shape]
    return tuple(size for size in sizes if isinstance(size, int | tuple)) if all(isinstance(size, int | tuple) for size in sizes) else None


def dtype_name(value: object) -> str:
    return str(value.dtype).removeprefix("torch.") if isinstance(value, torch.Tensor) else "none"


def _check_structure(where: str, spec: Any) -> None:
    """One tensor, or a tuple of two or more."""
    flat = spec.type is tuple and spec.num_leaves == spec.num_children >= 2
    if not (spec.type is None or flat):
        found = f"forward returns {getattr(spec.type, '__name__', spec.type)} with {spec.num_leaves} tensors"
        raise LiftError(where, found, "one tensor, or a tuple of two or more tensors", "wrap the module in one that returns the tensors you need")
