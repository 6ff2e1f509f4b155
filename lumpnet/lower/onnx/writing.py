"""One node as ONNX operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import onnx
from onnx import helper

from lumpnet.errors import LiftError
from lumpnet.ir import Node, Value

KEY = "lumpnet"
OPSET = 21
STEADY = {
    "Abs", "Acos", "Acosh", "Add", "And", "ArgMax", "ArgMin", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Celu", "Clip", "Concat", "Cos", "Cosh", "CumSum",
    "DepthToSpace", "Div", "Einsum", "Elu", "Equal", "Erf", "Exp", "Expand", "Flatten", "Floor", "Gather", "GatherElements", "GatherND", "Gemm",
    "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "Greater", "GreaterOrEqual", "HardSigmoid", "Hardmax", "HardSwish", "Identity",
    "InstanceNormalization", "IsInf", "IsNaN", "LRN", "LeakyRelu", "Less", "LessOrEqual", "Log", "LogSoftmax", "LpNormalization", "MatMul", "Max", "Mean",
    "Min", "Mod", "Mul", "Neg", "Not", "Or", "PRelu", "Pow", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Sinh", "Softmax",
    "Softplus", "Softsign", "SpaceToDepth", "Sqrt", "Sub", "Sum", "Tan", "Tanh", "ThresholdedRelu", "Tile", "TopK", "Transpose", "Trilu", "Where", "Xor",
}  # fmt: skip
"""Operators whose later versions, from opset 13 to 21, only take more types: what they compute has not changed."""


def version_of(operator: str, opset: int) -> int:
    """The version of an operator that opset `opset` has; of steady ones the latest, as what is written will have."""
    steady = operator in STEADY and 13 <= opset <= OPSET
    return int(onnx.defs.get_schema(operator, OPSET if steady else opset, "").since_version)


@dataclass
class Written:
    """Operators in order, and the constants they need beside the graph's tensors."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass
class Step:
    """A node being written. Values in between are called after it, with the marker: `name#1`."""

    node: Node
    inputs: Sequence[Value]
    tensors: Mapping[str, np.ndarray]
    marker: str
    stored: Callable[[str], str]
    out: Written = field(default_factory=Written)

    @property
    def attrs(self) -> Mapping[str, Any]:
        return self.node.attrs

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self.node.value.dtype)

    def x(self, k: int = 0) -> str:
        return self.inputs[k].name

    def param(self, role: str) -> str:
        """The file's name of a tensor; an empty one where the node has none."""
        return self.stored(self.node.params[role]) if role in self.node.params else ""

    def op(self, operator: str, inputs: Sequence[str], **attrs: Any) -> str:
        """An operator in between; returns the name of its output."""
        return self.ops(operator, inputs, 1, **attrs)[0]

    def ops(self, operator: str, inputs: Sequence[str], count: int, **attrs: Any) -> list[str]:
        names = [f"{self.node.name}{self.marker}{len(self.out.nodes)}{'abc'[k] if k else ''}" for k in range(count)]
        self._add(operator, inputs, names, attrs)
        return names

    def last(self, operator: str, inputs: Sequence[str], **attrs: Any) -> None:
        """The operator that gives the node's value."""
        self._add(operator, inputs, [self.node.name], attrs)

    def _add(self, operator: str, inputs: Sequence[str], outputs: Sequence[str], attrs: Mapping[str, Any]) -> None:
        while inputs and not inputs[-1]:
            inputs = inputs[:-1]
        proto = helper.make_node(operator, list(inputs), list(outputs), name=outputs[0])
        for name in sorted(attrs):
            if attrs[name] is not None:
                proto.attribute.append(helper.make_attribute(name, attrs[name]))
        self.out.nodes.append(proto)

    def const(self, label: str, value: Any, dtype: Any = None) -> str:
        """A constant of the node's own; returns its name."""
        name = f"{self.node.name}{self.marker}{label}"
        self.out.constants[name] = np.array(value, dtype=dtype or self.dtype)
        return name

    def ints(self, label: str, values: Sequence[int]) -> str:
        return self.const(label, list(values), np.int64)

    def single(self, name: str) -> float | None:
        """An attribute as ONNX stores floats, in single precision; `None` where it has more digits."""
        value = float(self.attrs[name])
        return value if float(np.float32(value)) == value else None

    def refuse(self, found: str, hint: str = "save it as a lumpnet network file (.safetensors)") -> NoReturn:
        raise LiftError(f"node {self.node.name!r} ({self.node.kind})", found, "operators that ONNX has", hint)


Writer = Callable[[Step], None]
WRITERS: dict[str, Writer] = {}


def writes(*kinds: str) -> Callable[[Writer], Writer]:
    """Register how nodes of these kinds are written."""

    def register(writer: Writer) -> Writer:
        WRITERS.update(dict.fromkeys(kinds, writer))
        return writer

    return register


def write(node: Node, inputs: Sequence[Value], tensors: Mapping[str, np.ndarray], marker: str, stored: Callable[[str], str]) -> Written:
    """The node's operators. Raises `LiftError` for a kind that ONNX cannot say."""
    from lumpnet.lower.onnx import kinds as _kinds  # noqa: F401  (fills the registry)

    step = Step(node, inputs, tensors, marker, stored)
    if node.kind not in WRITERS:
        step.refuse("nothing writes this kind as ONNX")
    WRITERS[node.kind](step)
    return step.out
