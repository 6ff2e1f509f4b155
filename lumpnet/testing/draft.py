"""A network under construction: nodes and float64 tensors that may still change, and the columns its values share.

Each unit of a value belongs to a *column*. Operators that work unit by unit
share their operands' columns; linear layers and full convolutions start new
ones. Whatever widens a network does so column by column, in every value at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lumpnet.ir import Graph, Node, Shape, Value
from lumpnet.ops import get

Unit = tuple[int, int]
"""(column, slot): slot tells apart the units that a flatten makes of one column."""


@dataclass
class Step:
    """One node before it is frozen; `params` maps roles to keys of the draft's tensors."""

    name: str
    kind: str
    inputs: list[str]
    attrs: dict[str, Any]
    params: dict[str, str]

    @property
    def mixes(self) -> bool:
        """Whether the output's columns are new (linear, full convolution)."""
        return self.kind == "linear" or (self.kind == "conv" and self.attrs["groups"] == 1)


@dataclass
class Draft:
    """Inputs, steps, outputs and tensors. `owner[step]` lists the columns of a mixing step's rows, in order."""

    inputs: dict[str, Shape]
    steps: list[Step] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    tensors: dict[str, np.ndarray] = field(default_factory=dict)
    owner: dict[str, list[int]] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.shapes.update(self.inputs)

    def add(self, kind: str, inputs: list[str], attrs: dict[str, Any] | None = None, **params: np.ndarray | str) -> str:
        """Append a step; a parameter given as a string is the key of an existing tensor. Returns the value's name."""
        name = f"{kind}_{len(self.steps)}"
        keys = {}
        for role, tensor in params.items():
            keys[role] = tensor if isinstance(tensor, str) else f"{name}.{role}"
            if not isinstance(tensor, str):
                self.tensors[keys[role]] = tensor
        self.steps.append(Step(name, kind, inputs, attrs or {}, keys))
        self.shapes[name] = self._shape(self.steps[-1])
        return name

    def _shape(self, step: Step) -> Shape:
        return get(step.kind).infer([self.shapes[x] for x in step.inputs], step.attrs, self.params(step))

    def params(self, step: Step) -> dict[str, np.ndarray]:
        return {role: self.tensors[key] for role, key in step.params.items()}

    def reshape(self) -> None:
        """Bring groups, flattened sizes and shapes up to date after the tensors changed width."""
        for step in self.steps:
            if step.kind == "conv" and step.attrs["groups"] > 1:
                step.attrs["groups"] = int(self.shapes[step.inputs[0]][1] or 0)
            if step.kind == "reshape":
                step.attrs["shape"] = [math.prod(int(d or 0) for d in self.shapes[step.inputs[0]][1:])]
            self.shapes[step.name] = self._shape(step)

    def units(self) -> dict[str, list[Unit]]:
        """The columns of every hidden value, unit by unit. Values that hold an input's units have none."""
        out: dict[str, list[Unit]] = {}
        for step in self.steps:
            if step.mixes:
                out[step.name] = [(c, 0) for c in self.owner[step.name]]
            elif any(x not in out for x in step.inputs):
                continue
            elif step.kind == "concat":
                out[step.name] = [u for x in step.inputs for u in out[x]]
            elif step.kind == "reshape":
                size = math.prod(int(d or 0) for d in self.shapes[step.inputs[0]][2:])
                out[step.name] = [(c, slot * size + p) for c, slot in out[step.inputs[0]] for p in range(size)]
            else:
                out[step.name] = out[step.inputs[0]]
        return out

    def assign_columns(self) -> None:
        """Give every mixing step its columns: those that meet in an add, a mul or a shared tensor are the same."""
        fresh = 0
        for step in self.steps:
            if step.mixes:
                rows = len(self.params(step)["weight"])
                self.owner[step.name] = list(range(fresh, fresh + rows))
                fresh += rows
        changed = True
        while changed:
            changed = False
            units = self.units()
            meetings = [[units[x] for x in s.inputs if x in units] for s in self.steps if s.kind in ("add", "mul")]
            for one in self.steps:
                for two in self.steps:
                    if one.mixes and one is not two and one.params["weight"] == two.params.get("weight"):
                        meetings += [[units[one.name], units[two.name]], [units[one.inputs[0]], units[two.inputs[0]]]]
            for meeting in meetings:
                for other in meeting[1:]:
                    for (a, _), (b, _) in zip(meeting[0], other, strict=True):
                        if a != b:
                            self._rename(max(a, b), min(a, b))
                            changed = True
                if changed:
                    break

    def _rename(self, old: int, new: int) -> None:
        for name, columns in self.owner.items():
            self.owner[name] = [new if c == old else c for c in columns]

    def freeze(self) -> Graph:
        """The graph, in float32. Raises `ValueError` if a tensor is not exactly representable."""
        tensors = {}
        for key, tensor in self.tensors.items():
            tensors[key] = tensor.astype(np.float32)
            if (tensors[key].astype(np.float64) != tensor).any():
                raise ValueError(f"{key} is not representable in float32")
        nodes = tuple(Node(Value(s.name, self.shapes[s.name]), s.kind, tuple(s.inputs), s.attrs, s.params) for s in self.steps)
        inputs = tuple(Value(name, shape) for name, shape in self.inputs.items())
        return Graph(inputs, nodes, tuple(self.outputs), tensors)
