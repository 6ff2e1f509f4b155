"""What a network is: a frozen DAG of operators over named values.

Every node has one output value, and the value carries the node's name. Shapes
are full shapes; the batch axis is axis 0 and is written `None`. A value whose
axis 0 is not `None` does not depend on the batch (an expression of parameters).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from lumpnet.errors import GraphError

Shape = tuple[int | None, ...]
FLOATS = ("float32", "float64")


@dataclass(frozen=True)
class Value:
    """A tensor flowing through the network: name, full shape (`None` = batch), dtype name."""

    name: str
    shape: Shape
    dtype: str = "float32"


@dataclass(frozen=True)
class Module:
    """Where a node came from: path and type of the leaf `nn.Module` (an annotation)."""

    path: str
    type: str


@dataclass(frozen=True)
class Node:
    """One operator. `params` maps the operator's roles (`weight`, ...) to tensor names."""

    value: Value
    kind: str
    inputs: tuple[str, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    module: Module | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "attrs", MappingProxyType(dict(self.attrs)))
        object.__setattr__(self, "params", MappingProxyType(dict(self.params)))

    @property
    def name(self) -> str:
        return self.value.name

    @property
    def shape(self) -> Shape:
        return self.value.shape


@dataclass(frozen=True)
class Graph:
    """Inputs, nodes in topological order, names of the output values, and tensors.

    `buffers` names the tensors that are state rather than parameters; `notes`
    are annotations of the lift (folded expressions, ...) without meaning.
    """

    inputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    tensors: Mapping[str, np.ndarray]
    buffers: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "tensors", MappingProxyType(dict(self.tensors)))
        _well_formed(self)
        table = {v.name: v for v in self.values()}
        object.__setattr__(self, "_values", MappingProxyType(table))

    def values(self) -> Iterator[Value]:
        yield from self.inputs
        yield from (node.value for node in self.nodes)

    def value(self, name: str) -> Value:
        return self._values[name]  # type: ignore[attr-defined,no-any-return]

    def params_of(self, node: Node) -> dict[str, np.ndarray]:
        return {role: self.tensors[key] for role, key in node.params.items()}

    def parameter_count(self) -> int:
        """Distinct stored numbers that are parameters (tied tensors count once, buffers do not)."""
        return sum(t.size for name, t in self.tensors.items() if name not in self.buffers)


def _well_formed(graph: Graph) -> None:
    known: set[str] = set()
    for value in graph.inputs:
        _declare(value, known)
    for node in graph.nodes:
        for name in node.inputs:
            if name not in known:
                raise GraphError(
                    f"node {node.name!r}",
                    f"it reads {name!r}, which no earlier node defines",
                    "nodes in topological order",
                    "report the model: this graph was built wrongly",
                )
        for role, key in node.params.items():
            if key not in graph.tensors:
                raise GraphError(f"node {node.name!r}", f"tensor {key!r} ({role}) is missing", "a stored tensor", "write the network file again")
        _declare(node.value, known)
    for name in graph.outputs:
        if name not in known:
            raise GraphError("graph outputs", f"{name!r} is not a value of the graph", "the name of an input or node")
    for name, tensor in graph.tensors.items():
        if tensor.dtype.kind == "f" and not _finite(tensor):
            raise GraphError(
                f"tensor {name!r}", "it holds NaN or infinite entries", "finite parameters", "find the layer that diverged and retrain or repair it"
            )


def _finite(tensor: np.ndarray) -> bool:
    """Whether no entry is NaN or infinite, a block at a time."""
    flat = tensor.reshape(tensor.size)
    return all(bool(np.isfinite(flat[at : at + _BLOCK]).all()) for at in range(0, flat.size, _BLOCK))


_BLOCK = 1 << 20


def _declare(value: Value, known: set[str]) -> None:
    if value.name in known:
        raise GraphError(f"value {value.name!r}", "two values carry this name", "distinct names")
    if any(d is not None and (not isinstance(d, int) or d < 0) for d in value.shape) or None in value.shape[1:]:
        raise GraphError(f"value {value.name!r}", f"shape {value.shape}", "non-negative sizes, the batch (None) on axis 0 only")
    known.add(value.name)
