"""Random ONNX graphs: every operator the reader knows, its attributes and both ways of giving them, opsets 13 to 21."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Step = Callable[["Forge"], None]
STEPS: list[Step] = []
BATCH = "N"


class Misfit(Exception):
    """The step does not go with the values at hand."""


def step(function: Step) -> Step:
    STEPS.append(function)
    return function


class Forge:
    """A graph that grows by steps. `values` maps names of values (batch, ...) to the sizes behind the batch."""

    def __init__(self, seed: int, opset: int | None = None, one: bool | None = None):
        self.rng = np.random.default_rng(seed)
        self.opset = opset or int(self.rng.integers(13, 22))
        self.one = bool(self.rng.random() < 0.25) if one is None else one
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[TensorProto] = []
        self.values: dict[str, list[int]] = {}
        rank = int(self.rng.integers(1, 5))
        self.shape = [int(n) for n in self.rng.integers(1 if rank > 2 else 2, 7, size=rank)]
        if rank >= 3:
            self.shape[0] = int(self.rng.choice([1, 2, 4, 4]))
        self.values["input"] = self.shape
        self.tokens = 0

    def pick(self, *ranks: int) -> tuple[str, list[int]]:
        """A value of one of these ranks (with the batch), the newest first."""
        names = [n for n, s in self.values.items() if not ranks or len(s) + 1 in ranks]
        if not names:
            raise Misfit
        name = names[-1] if self.rng.random() < 0.75 else str(self.rng.choice(names))
        return name, self.values[name]

    def maybe(self, share: float = 0.5) -> bool:
        return bool(self.rng.random() < share)

    def int(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def const(self, array: Any, dtype: Any = np.float32) -> str:
        """As an initializer, a Constant node, or a half that is cast."""
        array = np.asarray(array, dtype=dtype)
        name, way = f"c{len(self.tensors) + len(self.nodes)}", self.rng.random()
        if way < 0.7 or array.size > 4096:
            self.tensors.append(numpy_helper.from_array(array, name))
        else:
            self.nodes.append(helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array, name)))
        return name

    def weight(self, *shape: int) -> str:
        return self.const(self.rng.normal(size=shape) / max(1.0, np.sqrt(np.prod(shape[1:]))))

    def ints(self, values: Any) -> str:
        return self.const(values, np.int64)

    def add(self, operator: str, inputs: list[str], outputs: int = 1, **attrs: Any) -> list[str]:
        names = [f"v{len(self.nodes)}_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(operator, inputs, names, **{k: v for k, v in attrs.items() if v is not None}))
        return names

    def axes(self, operator: str, x: str, axes: list[int] | None, since: int, **attrs: Any) -> None:
        """Axes as an input from opset `since` on, as an attribute before."""
        if self.opset >= since:
            self.add(operator, [x, *([self.ints(axes)] if axes is not None else [])], **attrs)
        else:
            self.add(operator, [x], axes=axes, **attrs)

    def grow(self, function: Step) -> bool:
        """One step; undone where its operands do not fit."""
        nodes, tensors = len(self.nodes), len(self.tensors)
        try:
            function(self)
            known = self._shapes()
        except (Misfit, onnx.shape_inference.InferenceError, ValueError, IndexError, ZeroDivisionError):
            del self.nodes[nodes:], self.tensors[tensors:]
            return False
        for node in self.nodes[nodes:]:
            for name in node.output:
                sizes = known.get(name)
                if sizes is not None and 0 < np.prod(sizes[1:] or [1]) < 20000 and 0 not in sizes[1:]:
                    if (sizes[0] == 1 if self.one else isinstance(sizes[0], str)) and node.op_type != "Constant":
                        self.values[name] = sizes[1:]
                elif sizes is not None and node.op_type not in ("Shape", "Constant"):
                    del self.nodes[nodes:], self.tensors[tensors:]
                    return False
        return True

    def _shapes(self) -> dict[str, list[Any] | None]:
        inferred = onnx.shape_inference.infer_shapes(self.model([]), check_type=True, strict_mode=True, data_prop=True)
        found: dict[str, list[Any] | None] = {}
        for v in inferred.graph.value_info:
            kind = v.type.tensor_type
            dims = [d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in kind.shape.dim]
            plain = kind.elem_type == TensorProto.FLOAT and dims and all(isinstance(d, int) for d in dims[1:])
            found[v.name] = dims if plain else None
        return found

    def model(self, outputs: list[str]) -> onnx.ModelProto:
        first = 1 if self.one else BATCH
        infos = [helper.make_tensor_value_info("input", TensorProto.FLOAT, [first, *self.shape])]
        if self.tokens:
            infos.append(helper.make_tensor_value_info("tokens", TensorProto.INT64, [first, self.tokens]))
        outs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["M", *self.values[n]]) for n in outputs]
        graph = helper.make_graph(self.nodes, "forged", infos, outs, self.tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)

    def data(self) -> bytes:
        """The model with its last values as outputs."""
        last = list(self.values)[-1]
        others = [n for n in list(self.values)[1:-1] if self.maybe(0.15)]
        return self.model([last, *others]).SerializeToString()


def forged(seed: int, steps: int) -> bytes:
    """A model of at most `steps` steps."""
    forge = Forge(seed)
    grown = tries = 0
    while grown < steps and tries < 30:
        grown += forge.grow(STEPS[int(forge.rng.integers(len(STEPS)))])
        tries += 1
    return forge.data()


def single(function: Step, seed: int) -> bytes | None:
    """A model of one step of this kind; `None` where it does not fit."""
    forge = Forge(seed)
    return forge.data() if forge.grow(function) else None
