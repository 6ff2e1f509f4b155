"""The checker's own reader of the graph inside a network file, with every shape computed again.

What each operator kind may look like (`Kind`) is given by the rules; this file
decides only whether a graph is one. Raises `FileError` for a malformed graph
and `Unsure` for a well-formed one that the rules do not know.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from lumpnet.certificate import strict_json
from lumpnet.check.files import NetworkFile, Tensor
from lumpnet.check.numbers import Array
from lumpnet.check.outcome import Unsure
from lumpnet.check.relation import Relation, Shape
from lumpnet.errors import FileError

if TYPE_CHECKING:
    from lumpnet.check.effect import Rule

KEY = "lumpnet"
FORMAT = 1
FLOATS = {"float32": "F32", "float64": "F64"}
DTYPES = ("float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool")
MAX_AXIS = 1 << 31
MAX_ELEMENTS = 1 << 40


@dataclass(frozen=True)
class Value:
    name: str
    shape: Shape
    dtype: str


@dataclass(frozen=True)
class Node(Value):
    """One operator and its output value; `params` holds the tensors themselves, by role."""

    kind: str
    inputs: tuple[str, ...]
    attrs: Mapping[str, Any]
    params: Mapping[str, Tensor]

    def param(self, role: str) -> Array | None:
        return self.params[role].data if role in self.params else None


@dataclass(frozen=True)
class Network:
    """A well-formed graph. `dtype` is the one dtype of its float values (None: it has none)."""

    inputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    values: Mapping[str, Value]
    dtype: str | None


@dataclass(frozen=True)
class Case:
    """One obligation: a node of the original under the relations of its inputs and output, and its counterpart (None where it has gone).

    `dtypes` are the float dtypes of the original and the reduced network. `exact` is what the obligation finds on its way where rounding
    is allowed: by role, which numbers of the counterpart are the quotient's own. What it does not name may be rounded.
    """

    node: Node
    reduced: Node | None
    ins: tuple[Relation, ...]
    out: Relation
    rounding: str
    dtypes: tuple[str | None, str | None]
    exact: dict[str, Array] = field(default_factory=dict, compare=False)

    @property
    def where(self) -> str:
        return f"node {self.node.name!r} ({self.node.kind})"

    @property
    def counterpart(self) -> Node:
        if self.reduced is None:
            raise Unsure(self.where, "a rule asked for a node that the reduced network does not have")
        return self.reduced


Counterpart = tuple[tuple[str, ...], tuple[str, ...] | None]


def kept_inputs(case: Case) -> Counterpart:
    """The usual counterpart: the same kind on the same inputs."""
    return (case.node.kind,), case.node.inputs


def nowhere(node: Node, ins: list[Shape]) -> bool:
    return False


def somewhere(node: Node, ins: list[Shape]) -> bool:
    return True


@dataclass(frozen=True)
class Kind:
    """What the checker knows of an operator kind.

    `shape(node, input shapes)` computes the output shape or raises `ValueError`; `oblige(case)` checks the obligation, raising `Refusal`
    or `Unsure`, and returns in words what it checked; `counterpart(case)` says which kinds and inputs the reduced node may have,
    with the same attributes except those in `free`; inputs None are any. Attributes in `training` may be absent: they mean nothing in evaluation.
    The inputs have the output's dtype, or one of `operands` where that is given.
    `partial(node, input shapes)`: it may be undefined somewhere. `effect`: what rounded weights before or in it do behind it (None: not known).
    """

    shape: Callable[[Node, list[Shape]], Shape]
    oblige: Callable[[Case], str]
    inputs: int | None = 1
    roles: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    attrs: Mapping[str, Callable[[Any], bool]] = field(default_factory=dict)
    free: tuple[str, ...] = ()
    training: tuple[str, ...] = ()
    counterpart: Callable[[Case], Counterpart] = kept_inputs
    opaque: bool = False
    partial: Callable[[Node, list[Shape]], bool] = nowhere
    operands: tuple[str, ...] = ()
    effect: Rule | None = None


def read_graph(file: NetworkFile, kinds: Mapping[str, Kind]) -> Network:
    """The graph of a network file."""
    text = file.metadata.get(KEY)
    if text is None:
        raise FileError(file.where, "weights without a lumpnet graph", f"the metadata key {KEY!r}", "lumpnet.lift(module, example_inputs).save(path) in Python")
    root = strict_json(text.encode("utf-8", "surrogatepass"), f"{file.where}: graph", FileError)
    return _Reader(file, kinds).network(root)


class _Reader:
    def __init__(self, file: NetworkFile, kinds: Mapping[str, Kind]):
        self.file, self.kinds = file, kinds
        self.values: dict[str, Value] = {}

    def network(self, root: object) -> Network:
        data = self.record("graph", root, ("format", "inputs", "nodes", "outputs"), ("buffers", "notes"))
        if type(data["format"]) is not int or data["format"] != FORMAT:
            self.refuse("graph", f"format {ascii(data['format'])[:40]}", f"format {FORMAT}")
        for key in ("outputs", "buffers", "notes"):
            if key in data:
                self.texts(key, data[key])
        inputs = tuple(self.declare(self.value(entry)) for entry in self.entries("inputs", data["inputs"]))
        entries = (*data["inputs"], *self.entries("nodes", data["nodes"]))
        floats = {dtype for dtype in DTYPES[:4] if any(isinstance(entry, dict) and entry.get("dtype") == dtype for entry in entries)}
        if len(floats) > 1 or not floats <= set(FLOATS):
            raise Unsure(self.file.where, f"its values have the float dtypes {', '.join(sorted(floats))}; one of float32 and float64 is supported")
        self.dtype = next(iter(floats), None)
        nodes = tuple(self.node(entry) for entry in data["nodes"])
        outputs = tuple(data["outputs"])
        for name in outputs:
            if name not in self.values:
                self.refuse("outputs", f"{name!r}", "the name of an input or a node")
        return Network(inputs, nodes, outputs, MappingProxyType(self.values), self.dtype)

    def node(self, entry: object) -> Node:
        data = self.record("a node", entry, ("name", "shape", "dtype", "kind", "inputs", "attrs", "params"), ("module",))
        value = self.value({key: data[key] for key in ("name", "shape", "dtype")})
        where = f"node {value.name!r}"
        inputs = self.texts(f"{where}: inputs", data["inputs"])
        for name in inputs:
            if name not in self.values:
                self.refuse(where, f"the input {name!r}, which no earlier node defines", "nodes in topological order")
        if not isinstance(data["kind"], str) or not isinstance(data["attrs"], dict) or not isinstance(data["params"], dict):
            self.refuse(where, "a kind, attrs or params of the wrong type", "a text and two objects")
        params = {role: self.tensor(where, role, key) for role, key in data["params"].items()}
        node = Node(value.name, value.shape, value.dtype, data["kind"], inputs, MappingProxyType(data["attrs"]), MappingProxyType(params))
        kind = self.kinds.get(node.kind)
        if kind is None:
            raise Unsure(f"{self.file.where}: {where}", f"no rule for operators of kind {node.kind[:80]!r}")
        self.examine(f"{where} ({node.kind})", node, kind)
        self.declare(node)
        return node

    def tensor(self, where: str, role: str, key: object) -> Tensor:
        if not isinstance(key, str) or key not in self.file.tensors:
            self.refuse(where, f"the tensor {ascii(key)[:80]} ({role})", "a stored tensor")
        return self.file.tensors[key]

    def examine(self, where: str, node: Node, kind: Kind) -> None:
        """Arity, roles, attributes, dtypes, and the output shape computed again."""
        if len(node.inputs) != kind.inputs if kind.inputs is not None else not node.inputs and not kind.opaque:
            self.refuse(where, f"{len(node.inputs)} inputs", f"{kind.inputs or 'at least one'}")
        if not set(kind.attrs) <= set(node.attrs) <= {*kind.attrs, *kind.training}:
            self.refuse(where, f"the attributes {sorted(node.attrs)}", f"exactly {sorted(kind.attrs)}")
        for key, good in kind.attrs.items():
            if not good(node.attrs[key]):
                self.refuse(where, f"{key} = {ascii(node.attrs[key])[:80]}", "an attribute of the documented type and range")
        if not kind.opaque:
            if not set(kind.roles) <= set(node.params) <= {*kind.roles, *kind.optional}:
                self.refuse(where, f"the parameters {sorted(node.params)}", f"{sorted(kind.roles)} and possibly {sorted(kind.optional)}")
            if any(self.values[name].dtype not in (kind.operands or (node.dtype,)) for name in node.inputs):
                raise Unsure(f"{self.file.where}: {where}", "it changes the dtype, for which there is no rule")
            for role, tensor in node.params.items():
                if tensor.dtype != ("I64" if role == "num_batches_tracked" else FLOATS.get(node.dtype)):
                    raise Unsure(f"{self.file.where}: {where}", f"its {role} is stored as {tensor.dtype} in a network of {node.dtype}")
        try:
            shape = kind.shape(node, [self.values[name].shape for name in node.inputs])
        except (ValueError, IndexError, TypeError) as problem:
            expected = "inputs, attributes and parameters that fit together"
            raise FileError(f"{self.file.where}: {where}", str(problem), expected, "write the file again with lumpnet") from problem
        if shape != node.shape:
            self.refuse(where, f"the shape {node.shape}", f"{shape}, which its inputs give")

    def value(self, entry: object) -> Value:
        data = self.record("a value", entry, ("name", "shape", "dtype"))
        name, shape, dtype = data["name"], data["shape"], data["dtype"]
        if not isinstance(name, str) or not 0 < len(name) <= 1000:
            self.refuse("a value", f"the name {ascii(name)[:80]}", "a text of 1 to 1000 characters")
        if not isinstance(dtype, str) or dtype not in DTYPES:
            self.refuse(f"value {name!r}", f"dtype {ascii(dtype)[:40]}", f"one of {', '.join(DTYPES)}")
        sizes = [1 if n is None and k == 0 else n for k, n in enumerate(self.entries(f"value {name!r}: shape", shape))]
        if len(sizes) > 32 or not all(type(n) is int and 0 <= n < MAX_AXIS for n in sizes) or math.prod(n for n in sizes if n) > MAX_ELEMENTS:
            self.refuse(f"value {name!r}", f"shape {ascii(shape)[:80]}", f"non-negative sizes below {MAX_AXIS}, the batch (null) on axis 0 only")
        return Value(name, tuple(shape), dtype)

    def declare(self, value: Value) -> Value:
        if value.name in self.values:
            self.refuse(f"value {value.name!r}", "two values of this name", "distinct names")
        self.values[value.name] = value
        return value

    def record(self, where: str, entry: object, keys: tuple[str, ...], more: tuple[str, ...] = ()) -> dict[str, Any]:
        if not isinstance(entry, dict) or not set(keys) <= set(entry) <= {*keys, *more}:
            self.refuse(where, ascii(sorted(entry) if isinstance(entry, dict) else entry)[:120], f"an object with the keys {', '.join(keys)}")
        return entry

    def entries(self, where: str, entry: object) -> list[Any]:
        if not isinstance(entry, list):
            self.refuse(where, ascii(entry)[:80], "a list")
        return entry

    def texts(self, where: str, entry: object) -> tuple[str, ...]:
        if not all(isinstance(text, str) for text in self.entries(where, entry)):
            self.refuse(where, ascii(entry)[:80], "a list of texts")
        return tuple(self.entries(where, entry))

    def refuse(self, where: str, found: str, expected: str) -> NoReturn:
        raise FileError(f"{self.file.where}: {where}", found, expected, "write the file again with lumpnet")


def integer(least: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and least <= value < MAX_AXIS


def integers(least: int) -> Callable[[Any], bool]:
    good = integer(least)
    return lambda value: isinstance(value, list) and all(map(good, value))


def number(value: Any) -> bool:
    """A JSON number that a double holds exactly."""
    return type(value) is float or (type(value) is int and abs(value) <= 1 << 53)


def boolean(value: Any) -> bool:
    return type(value) is bool
