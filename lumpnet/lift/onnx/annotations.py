"""What lumpnet's own ONNX files say of the graph they were written from.

Nothing said here is believed: a node is taken from the annotations only where
writing it again gives exactly the operators that stand in the file. Names, the
modules that nodes came from, buffers and notes mean nothing to the function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from lumpnet.certificate import strict_json
from lumpnet.errors import FileError, LumpnetError
from lumpnet.ir import Module, Node, Value
from lumpnet.lift.onnx.operands import Const, Val
from lumpnet.lower.onnx.writing import KEY, Written, write
from lumpnet.ops import get, kinds

if TYPE_CHECKING:
    from lumpnet.lift.onnx.driver import Lifting

PROBLEMS = (LumpnetError, KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, ZeroDivisionError)


class Annotations:
    """The annotations of a model; `present` where there are readable ones."""

    def __init__(self, model: onnx.ModelProto):
        data = _data(model)
        self.present = data is not None
        data = data or {}
        self.nodes: Mapping[str, Any] = data.get("nodes", {})
        self.marker: str = data.get("marker", "")
        self.values = set(self.nodes) | {v.name for v in model.graph.input}
        self.buffers = frozenset(data.get("buffers", ()))
        self.notes: tuple[str, ...] | None = tuple(data["notes"]) if "notes" in data else None
        self.named: Sequence[str] = data.get("outputs", ())
        self.stored = {t.name for t in model.graph.initializer}

    def tensor_name(self, name: str) -> str:
        """The graph's name of a tensor that the file had to call otherwise."""
        plain = name.removesuffix(self.marker) if self.marker else name
        return plain if plain in self.values and plain not in self.stored else name

    def outputs(self, names: Sequence[str]) -> list[str]:
        """The values behind the file's outputs: those that were written under another name are said to be identities of them."""
        return [
            want if self.marker and name == f"{want}{self.marker}out{k}" else name
            for k, (name, want) in enumerate(zip(names, self._wanted(names), strict=True))
        ]

    def _wanted(self, names: Sequence[str]) -> Sequence[str]:
        return self.named if len(self.named) == len(names) else names

    def is_alias(self, node: onnx.NodeProto, names: Sequence[str]) -> bool:
        """Whether the operator only gives an output a name of its own, as the writer does."""
        plain = node.op_type == "Identity" and not node.attribute and len(node.input) == len(node.output) == 1
        return plain and node.output[0] in names and self.outputs(names)[list(names).index(node.output[0])] == node.input[0] != node.output[0]

    def with_module(self, node: Node) -> Node:
        known = self.nodes.get(node.name)
        return replace(node, module=_module(known)) if known else node

    def node(self, nodes: Sequence[onnx.NodeProto], at: int, lifting: Lifting) -> tuple[Node, int] | None:
        """The annotated node that the operators from `at` on are, and how many they are; `None` where the annotation is wrong or absent."""
        name = _node_name(nodes[at].name, self.marker)
        known = self.nodes.get(name)
        if known is None or name in lifting.env:
            return None
        try:
            node, written = self._again(name, known, lifting)
            count = len(written.nodes)
            if not count or _bytes(written.nodes) != _bytes(nodes[at : at + count]) or not _stored(written, lifting):
                return None
            _module(known)
        except PROBLEMS:
            return None
        return replace(node, module=_module(known)), count

    def _again(self, name: str, known: Mapping[str, Any], lifting: Lifting) -> tuple[Node, Written]:
        """The node as annotated, and as it would be written."""
        operands = [lifting.env[x] for x in known["inputs"]]
        kind, attrs = known["kind"], known["attrs"]
        if kind not in kinds() or kind == "opaque" or any(not isinstance(x, Val) or x.name != n for x, n in zip(operands, known["inputs"], strict=True)):
            raise ValueError("not a known kind on known values")
        tensors = {role: _array(lifting, self.stored_name(key)) for role, key in known["params"].items()}
        for role, key in known["params"].items():
            if lifting.state.key(Const(tensors[role], key), key, lifting.dtype, name) != key:
                raise ValueError("two tensors of one name")
        shapes = [x.shape for x in operands if isinstance(x, Val)]
        shape = get(kind).infer(shapes, attrs, tensors)
        node = Node(Value(name, shape, lifting.dtype), kind, tuple(known["inputs"]), attrs, known["params"])
        inputs = [Value(x.name, x.shape, x.dtype) for x in operands if isinstance(x, Val)]
        return node, write(node, inputs, tensors, self.marker, self.stored_name)

    def stored_name(self, key: str) -> str:
        """The file's name of the graph's tensor `key`."""
        return key + self.marker if key in self.values else key


def _data(model: onnx.ModelProto) -> dict[str, Any] | None:
    found = [p.value for p in model.metadata_props if p.key == KEY]
    if len(found) != 1:
        return None
    try:
        data = strict_json(found[0].encode("utf-8", "surrogatepass"), "annotations", FileError)
        texts = [*data["buffers"], *data["notes"], *data["outputs"], data["marker"]]
        good = data["format"] == 1 and isinstance(data["nodes"], dict) and all(isinstance(n, dict) for n in data["nodes"].values())
        return data if good and all(isinstance(t, str) for t in texts) and data["marker"] else None
    except PROBLEMS:
        return None


def _node_name(name: str, marker: str) -> str:
    """The graph's node whose first operator is called so."""
    return name.removesuffix(f"{marker}0") if marker else name


def _module(known: Mapping[str, Any]) -> Module | None:
    found = known.get("module")
    return Module(str(found["path"]), str(found["type"])) if found else None


def _array(lifting: Lifting, name: str) -> np.ndarray:
    const = lifting.env[name]
    if not isinstance(const, Const):
        raise ValueError("no tensor")
    return const.array


def _stored(written: Written, lifting: Lifting) -> bool:
    """Whether the constants that the node was written with are those of the file."""
    for name, array in written.constants.items():
        held = _array(lifting, name)
        if held.dtype != array.dtype or held.shape != array.shape or held.tobytes() != array.tobytes():
            return False
    return True


def _bytes(nodes: Sequence[onnx.NodeProto]) -> list[bytes]:
    return [n.SerializeToString(deterministic=True) for n in nodes]
