"""The walk over an ONNX graph. It asks the registry, and never which operator it is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import onnx
from onnx import TensorProto

from lumpnet.errors import GraphError, LiftError
from lumpnet.ir import Graph, Node, Value
from lumpnet.lift.onnx import kinds as _kinds  # noqa: F401  (fills the registry)
from lumpnet.lift.onnx.annotations import Annotations
from lumpnet.lift.onnx.call import Call, NoRule
from lumpnet.lift.onnx.kinds.activation import PLAIN
from lumpnet.lift.onnx.opaque import opaque
from lumpnet.lift.onnx.operands import Answer, Const, Operand, Val
from lumpnet.lift.onnx.read import Source, read_model
from lumpnet.lift.onnx.registry import CONVERTERS, FOLDERS
from lumpnet.lift.onnx.state import State
from lumpnet.lift.onnx.tensors import HALVES, NAMES, array_of, type_name
from lumpnet.ops import get, kinds

MAX_VALUE = 1 << 28
FLOATS = ("float32", "float64")
BARE = {
    *PLAIN, "LeakyRelu", "Elu", "Celu", "Selu", "Softplus", "HardSigmoid", "Gelu", "Clip", "Softmax", "Identity", "Cast", "Dropout",
    "Add", "Sub", "Mul", "Div", "Neg", "Pow", "Sum", "Gemm", "MatMul", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose",
    "Concat", "Split", "Slice", "Gather", "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "LayerNormalization", "Shape",
}  # fmt: skip
"""Operators that read their axes through `Call.axis`, or have none, and so take values without the batch axis."""
LEADING = {*PLAIN, "LeakyRelu", "Elu", "Celu", "Selu", "Softplus", "HardSigmoid", "Gelu", "Neg", "Add", "Sub", "Mul", "Div", "Pow", "MatMul", "Min", "Max"}
"""Operators without axes of their own, to which one more in front is nothing new."""


SAME = {*PLAIN, "LeakyRelu", "Elu", "Clip", "Identity", "Cast", "Dropout", "Slice", "Concat", "Split"}
MOVED = {*SAME, "Transpose", "Squeeze", "Gather", "Reshape", "Shape", "RNN", "LSTM", "GRU"}
"""Operators that take values whose batch is on another axis than 0, and (`SAME`) leave it where it is."""


def lift_onnx(source: str | Path | bytes) -> Graph:
    """The graph of an ONNX model, given by its path or its bytes; nothing in it is executed.

    Axis 0 of every input is the batch: symbolic, or the fixed number 1 (which a
    note then says). What has no rule becomes an `opaque` node. Raises `FileError`
    for an unreadable file, `LiftError` where the network cannot be written down
    without changing it, and `GraphError` for NaN or infinite parameters.
    """
    lifting = Lifting(read_model(source))
    lifting.walk()
    return lifting.graph()


class Lifting:
    """`one` says that the file fixes the batch to one example; `uses` counts the readers of every name."""

    def __init__(self, source: Source):
        self.source, self.model = source, source.model.graph
        self.dtype = _dtype(self.model)
        self.annotations = Annotations(source.model)
        self.state = State()
        self.notes: list[str] = []
        self.env: dict[str, Operand] = {}
        self.nodes: dict[str, Node] = {}
        self.one = False
        self.outputs = [v.name for v in self.model.output]
        self.uses = Counter(name for node in self.model.node for name in node.input) + Counter(self.outputs)
        stored = {t.name for t in self.model.initializer}
        self.taken = stored | {v.name for v in self.model.input} | {name for node in self.model.node for name in node.output}
        self._tensors()
        self.inputs = tuple(self._input(v) for v in self.model.input if v.name not in stored)
        if not self.inputs:
            raise LiftError(source.where, "it has no inputs", "a network with an input", "export the model, not its constants")

    def _tensors(self) -> None:
        for tensor in self.model.initializer:
            name = self.annotations.tensor_name(tensor.name)
            self.env[tensor.name] = Const(array_of(tensor, self.source.folder, f"tensor {tensor.name!r}"), name)
        if any(t.data_type in HALVES for t in self.model.initializer):
            self.notes.append("float16 and bfloat16 tensors are held as float32, which changes no number")

    def _input(self, info: onnx.ValueInfoProto) -> Value:
        where, kind = f"input {info.name!r}", info.type.tensor_type
        if not info.type.HasField("tensor_type") or kind.elem_type not in NAMES:
            found = type_name(kind.elem_type) if info.type.HasField("tensor_type") else "no tensor"
            raise LiftError(where, f"its type is {found}", "a tensor of floats or integers", "export the model with tensor inputs")
        if not kind.HasField("shape") or not kind.shape.dim:
            raise LiftError(where, "it has no shape with a batch", "(batch, ...)", "export with a shape for every input, batch first")
        first, *rest = kind.shape.dim
        if first.HasField("dim_value") and first.dim_value != 1:
            hint = "export with a dynamic first axis, or with one example"
            raise LiftError(where, f"its first axis has the size {first.dim_value}", "the batch there: symbolic, or 1", hint)
        free = [d.dim_param or "?" for d in rest if not d.HasField("dim_value")]
        if free:
            hint = "fix them: onnx.tools.update_model_dims, or export with fixed sizes"
            raise LiftError(where, f"its sizes {', '.join(free)} are symbolic"[:200], "a symbolic batch on axis 0 and fixed sizes behind", hint)
        if any(d.dim_value < 1 for d in rest) or math.prod(d.dim_value for d in rest) > MAX_VALUE:
            raise LiftError(where, f"its sizes are {[d.dim_value for d in rest]}"[:200], f"positive sizes, at most {MAX_VALUE} entries an example")
        if first.HasField("dim_value"):
            self.fix_batch(f"the file fixes the batch of {info.name!r} to 1; it is taken as any number of examples")
        dtype = self.dtype if NAMES[kind.elem_type] in FLOATS else NAMES[kind.elem_type]
        value = Value(info.name, (None, *(int(d.dim_value) for d in rest)), dtype)
        self.env[info.name] = Val(value.name, value.shape, value.dtype)
        return value

    def fix_batch(self, note: str) -> None:
        """From here on one example and the whole batch are the same to the file."""
        self.one = True
        self.notes.append(note)

    def walk(self) -> None:
        at, nodes = 0, list(self.model.node)
        while at < len(nodes):
            if self.annotations.is_alias(nodes[at], self.outputs):
                same = self._operand(nodes[at].input[0], nodes[at])
                self.env |= {nodes[at].output[0]: same} if same is not None else {}
                at += 1
                continue
            known = self.annotations.node(nodes, at, self)
            if known is not None:
                node, count = known
                self._add(node)
                at += count
                continue
            self._operator(nodes[at])
            at += 1

    def _operator(self, proto: onnx.NodeProto) -> None:
        call = Call(self, proto, [self._operand(name, proto) for name in proto.input])
        answer = self._answer(call)
        results = [answer] if isinstance(answer, Const | Val) else list(answer or ())
        for k, name in enumerate(proto.output):
            result = results[k] if k < len(results) else None
            if name and result is not None:
                self.env[name] = result
            elif call.used(k):
                call.refuse(f"its output {name!r} is used", "its first output only", "export for inference, without auxiliary outputs")

    def _operand(self, name: str, proto: onnx.NodeProto) -> Operand | None:
        if not name:
            return None
        if name not in self.env:
            where = f"node {proto.name or (proto.output[0] if proto.output else '')!r} ({proto.op_type})"
            raise LiftError(where, f"it reads {name!r}, which nothing before it defines", "nodes in order, without cycles", "export the model again")
        return self.env[name]

    def _answer(self, call: Call) -> Answer:
        """The node's outputs: evaluated, converted, or opaque."""
        if call.kind in FOLDERS and all(not isinstance(x, Val) for x in call.inputs):
            folded = _folded(call)
            if folded is not None:
                return folded
        if any(isinstance(x, Val) for x in call.inputs) and call.kind in CONVERTERS:
            answer = self._converted(call)
            if answer is not None:
                return answer
        if any(call.ats) and not self.one:
            self._refuse_moved(call)
        if not call.bare and not any(call.ats):
            return opaque(call)
        if call.kind not in LEADING:
            self._refuse_bare(call)
        call.strip()
        return [x and replace(x, bare=True) for x in opaque(call)]

    def _converted(self, call: Call) -> Answer:
        """The converter's answer; where it has none, nothing is left of its attempt."""
        before, notes, inputs, ats, bare = set(self.nodes), len(self.notes), list(call.inputs), call.ats, call.bare
        try:
            moved = call.ats != {0} and (call.kind not in MOVED or len(call.ats) > 1)
            if call.bare or (moved and self.one):
                if call.kind not in BARE:
                    self._refuse_bare(call)
                call.strip()
            elif moved:
                self._refuse_moved(call)
            answer = CONVERTERS[call.kind](call)
            if answer is not None:
                return _at(answer, max(call.ats)) if call.kind in SAME else answer
        except NoRule:
            pass
        self.nodes = {name: node for name, node in self.nodes.items() if name in before}
        call.inputs, call.ats, call.bare = inputs, ats, bare
        del self.notes[notes:]
        return None

    def _refuse_moved(self, call: Call) -> NoReturn:
        found = f"it takes a value whose batch is on axis {max(call.ats)}"
        call.refuse(found, "values (batch, ...), but in recurrent layers, and transpositions and selections around them", "move the batch back to axis 0")

    def _refuse_bare(self, call: Call) -> NoReturn:
        found = "it takes a value without the batch axis, which the file removed because it is for one example"
        call.refuse(found, "values (batch, ...)", "export with a dynamic batch on axis 0, or keep the axis of size 1")

    def free(self, wanted: str) -> str:
        """A name that nothing in the file has."""
        count, name = 0, wanted
        while name in self.taken:
            count += 1
            name = f"{wanted}_{count}"
        self.taken.add(name)
        return name

    def is_output(self, name: str) -> bool:
        return name in self.outputs

    def emit(self, name: str, kind: str, inputs: Sequence[Val], attrs: Mapping[str, Any], params: Mapping[str, Const], where: str) -> Val:
        """Add a node whose shape its operator computes. Raises `NoRule` for a kind that does not exist or does not take these types."""
        exempt = kind == "embedding"
        if kind not in kinds() or (not exempt and any(x.dtype != self.dtype for x in inputs)):
            raise NoRule
        keys = {role: self.state.key(c, f"{name}.{role}", self.dtype, where) for role, c in params.items()}
        tensors = {role: self.state.tensors[key] for role, key in keys.items()}
        try:
            shape = get(kind).infer([x.shape for x in inputs], attrs, tensors)
        except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError, GraphError) as error:
            found = error.found if isinstance(error, GraphError) else str(error)
            raise LiftError(where, f"its operands do not fit together ({found})", "shapes and attributes as ONNX defines them", "check the model") from error
        return self._add(Node(Value(name, shape, self.dtype), kind, tuple(x.name for x in inputs), attrs, keys), where)

    def _add(self, node: Node, where: str = "") -> Val:
        sizes = [int(d or 0) for d in node.shape[1:]]
        if node.shape[:1] != (None,) or any(d < 1 for d in sizes) or math.prod(sizes) > MAX_VALUE:
            hint = "check the sizes that the file gives"
            raise LiftError(where or f"node {node.name!r}", f"its output has the shape {node.shape}"[:300], "(batch, ...) of positive sizes", hint)
        self.nodes[node.name] = node
        value = Val(node.name, node.shape, node.value.dtype)
        self.env[node.name] = value
        return value

    def env_of(self, name: str) -> Val:
        """The value of this name."""
        value = next(v for v in [*self.inputs, *(n.value for n in self.nodes.values())] if v.name == name)
        return Val(value.name, value.shape, value.dtype)

    def take(self, name: str) -> Node | None:
        """Remove a node that one other alone reads, so that the other can say both; `None` where it must stay."""
        node = self.nodes.get(name)
        if node is None or self.uses[name] != 1 or self.is_output(name) or any(name in other.inputs for other in self.nodes.values()):
            return None
        return self.nodes.pop(name)

    def graph(self) -> Graph:
        """Raises `LiftError` where an output is a constant, `GraphError` for NaN or infinite parameters."""
        results = []
        for name in self.annotations.outputs(self.outputs):
            operand = self.env.get(name)
            if not isinstance(operand, Val):
                what = "depends on no input" if operand is not None else "is defined nowhere"
                raise LiftError(f"output {name!r}", f"it {what}", "values that the network computes", "remove it from the outputs")
            results.append(self._with_batch(operand).name)
        nodes = tuple(self._annotated(n) for n in self._reaching(results))
        keys = dict.fromkeys(key for n in nodes for key in n.params.values())
        tensors = {key: self.state.tensors[key] for key in keys}
        buffers = self.annotations.buffers & set(tensors)
        notes = self.annotations.notes if self.annotations.notes is not None else tuple(dict.fromkeys(self.notes))
        return Graph(self.inputs, nodes, tuple(results), tensors, frozenset(buffers), notes)

    def _with_batch(self, x: Val) -> Val:
        """An output that has the batch on axis 0."""
        if x.at:
            hint = "transpose the output, batch first"
            raise LiftError(f"output {x.name!r}", f"its batch is on axis {x.at}", "outputs (batch, ...)", hint)
        if not x.bare:
            return x
        if x.sizes[:1] != [1]:
            found = f"the file has the shape {x.sizes} for it, without an axis for the batch"
            raise LiftError(f"output {x.name!r}", found, "outputs (batch, ...)", "keep the axis of size 1 at the outputs")
        return self.emit(self.free(f"{x.name}.batch"), "reshape", [x], {"shape": x.sizes[1:]}, {}, f"output {x.name!r}")

    def _annotated(self, node: Node) -> Node:
        return node if node.module is not None else self.annotations.with_module(node)

    def _reaching(self, results: Sequence[str]) -> list[Node]:
        """Nodes that an output depends on; all, where the file was written here."""
        if self.annotations.present:
            return list(self.nodes.values())
        needed = set(results)
        for node in reversed(list(self.nodes.values())):
            if node.name in needed:
                needed |= set(node.inputs)
        return [n for n in self.nodes.values() if n.name in needed]


def _at(answer: Answer, at: int) -> Answer:
    """The answer's values, with the batch where the operands have it."""
    if isinstance(answer, Val):
        return replace(answer, at=at)
    return answer if isinstance(answer, Const) or answer is None else [replace(x, at=at) if isinstance(x, Val) else x for x in answer]


def _folded(call: Call) -> Answer:
    try:
        return FOLDERS[call.kind](call)
    except NoRule:
        return None


def _dtype(graph: onnx.GraphProto) -> str:
    """float64 where an input or a cast is; everything else is held as float32."""
    wide = any(v.type.tensor_type.elem_type == TensorProto.DOUBLE for v in graph.input)
    casts = any(a.name == "to" and a.i == TensorProto.DOUBLE for node in graph.node if node.op_type == "Cast" for a in node.attribute)
    return "float64" if wide or casts else "float32"
