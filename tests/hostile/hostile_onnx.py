"""ONNX files that nobody should trust: a valid one, and every way to spoil it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Spoil = Callable[[onnx.ModelProto], Any]

W, B, V = np.arange(12, dtype=np.float32).reshape(3, 4), np.arange(4, dtype=np.float32), np.arange(8, dtype=np.float32).reshape(4, 2)


def model() -> onnx.ModelProto:
    """x (N, 3) -> Gemm (4) -> Relu -> MatMul (2)."""
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["a"], name="first"),
        helper.make_node("Relu", ["a"], ["r"], name="middle"),
        helper.make_node("MatMul", ["r", "v"], ["y"], name="last"),
    ]
    stored = [numpy_helper.from_array(array, name) for name, array in (("w", W), ("b", B), ("v", V))]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", n]) for name, n in (("x", 3), ("y", 2)))
    return helper.make_model(helper.make_graph(nodes, "g", [x], [y], stored), opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def valid() -> bytes:
    data: bytes = model().SerializeToString()
    return data


def graph(change: Callable[[onnx.GraphProto], Any]) -> Spoil:
    return lambda m: change(m.graph)


def weight(change: Callable[[TensorProto], Any]) -> Spoil:
    return lambda m: change(m.graph.initializer[0])


def middle(kind: str, inputs: tuple[str, ...] = ("a",), outputs: tuple[str, ...] = ("r",), domain: str = "", **attributes: Any) -> Spoil:
    """The Relu as another operator."""
    return lambda m: m.graph.node[1].CopyFrom(helper.make_node(kind, inputs, outputs, name="middle", domain=domain, **attributes))


def external(**entries: str) -> Spoil:
    def change(tensor: TensorProto) -> None:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in entries.items():
            tensor.external_data.add(key=key, value=value)

    return weight(change)


def dims(*sizes: int) -> Spoil:
    return weight(lambda t: (t.ClearField("dims"), t.dims.extend(sizes)))


def x_is(*sizes: Any, kind: int = TensorProto.FLOAT) -> Spoil:
    return graph(lambda g: g.input[0].CopyFrom(helper.make_tensor_value_info("x", kind, list(sizes))))


def constant(name: str, array: Any) -> Spoil:
    return graph(lambda g: g.initializer.append(numpy_helper.from_array(np.asarray(array), name)))


def both(*changes: Spoil) -> Spoil:
    def spoil(m: onnx.ModelProto) -> None:
        for change in changes:
            change(m)

    return spoil


def function(name: str, calls: str) -> Any:
    body = [helper.make_node(calls, ["p"], ["q"], domain="local")]
    return helper.make_function("local", name, ["p"], ["q"], body, [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)])


def branch(depth: int) -> onnx.NodeProto:
    """An If in an If in an If."""
    node = helper.make_node("Relu", ["a"], ["r0"])
    for k in range(depth):
        inner = helper.make_graph([node], f"g{k}", [], [helper.make_tensor_value_info(f"r{k}", TensorProto.FLOAT, ["N", 4])])
        node = helper.make_node("If", ["c"], [f"r{k + 1}"], then_branch=inner, else_branch=inner) if k < 8 else _wrapped(inner, k)
    return node


def _wrapped(inner: onnx.GraphProto, k: int) -> onnx.NodeProto:
    return helper.make_node("If", ["c"], [f"r{k + 1}"], then_branch=inner)


def nested(depth: int) -> bytes:
    """A graph in an attribute of a node of a graph in an attribute, and so on, as raw bytes: lengths are those of what follows."""
    data = b""
    for _ in range(depth):
        attribute = b"\x32" + varint(len(data)) + data  # AttributeProto.g
        node = b"\x2a" + varint(len(attribute)) + attribute  # NodeProto.attribute
        data = b"\x0a" + varint(len(node)) + node  # GraphProto.node
    return b"\x08\x0a" + b"\x3a" + varint(len(data)) + data  # ModelProto.ir_version, graph


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


SPOILED: dict[str, Spoil] = {
    # data elsewhere
    "external data at an absolute path": external(location="/etc/passwd"),
    "external data above the folder": external(location="../../../../etc/passwd"),
    "external data above a folder below": external(location="a/../../../etc/passwd"),
    "external data with backslashes": external(location="..\\..\\secret"),
    "external data on a drive": external(location="C:\\secret"),
    "external data in a folder called .": external(location="./model.onnx"),
    "external data behind a link": external(location="link"),
    "external data in a linked folder": external(location="linked/passwd"),
    "external data that are a folder": external(location="folder"),
    "external data that are not there": external(location="nowhere.bin"),
    "external data at no place": external(offset="0"),
    "external data with a NUL": external(location="model.onnx\0.bin"),
    "external data at a negative offset": external(location="model.onnx", offset="-8"),
    "external data of 2^60 bytes": external(location="model.onnx", offset="0", length=str(1 << 60)),
    "external data from 2^50 on": external(location="model.onnx", offset=str(1 << 50)),
    "external data at an offset of a million digits": external(location="model.onnx", offset="9" * 1_000_000),
    "external data at an address": external(location="http://example.com/w"),
    # tensors
    "a negative size": dims(-3, -4),
    "a size of 2^62": dims(1 << 62, 4),
    "sizes whose product overflows": dims(1 << 32, 1 << 32),
    "sizes of 2^31 by 2^31": dims((1 << 31) - 1, (1 << 31) - 1),
    "a thousand axes": dims(*[1] * 1000, 3, 4),
    "a size too large for the data": dims(3, 5),
    "no data": weight(lambda t: t.ClearField("raw_data")),
    "too much data": weight(lambda t: setattr(t, "raw_data", t.raw_data * 2)),
    "a byte too few": weight(lambda t: setattr(t, "raw_data", t.raw_data[:-1])),
    "an unknown type": weight(lambda t: setattr(t, "data_type", 99)),
    "a type of zero": weight(lambda t: setattr(t, "data_type", 0)),
    "texts for weights": weight(lambda t: (t.ClearField("raw_data"), setattr(t, "data_type", TensorProto.STRING), t.string_data.extend([b"x"] * 12))),
    "complex weights": weight(lambda t: setattr(t, "data_type", TensorProto.COMPLEX64)),
    "float8 weights": weight(lambda t: setattr(t, "data_type", TensorProto.FLOAT8E4M3FN)),
    "a NaN weight": weight(lambda t: setattr(t, "raw_data", np.full(12, np.nan, np.float32).tobytes())),
    "an infinite weight": weight(lambda t: setattr(t, "raw_data", np.full(12, np.inf, np.float32).tobytes())),
    "a tensor in segments": weight(lambda t: setattr(t.segment, "begin", 1)),
    "a sparse tensor": graph(lambda g: g.sparse_initializer.add().dims.extend([1 << 40, 1 << 40])),
    # the graph
    "a cycle": graph(lambda g: g.node[0].input.__setitem__(0, "y")),
    "a node that reads itself": graph(lambda g: g.node[1].input.__setitem__(0, "r")),
    "nodes in the wrong order": graph(lambda g: g.node.reverse() if hasattr(g.node, "reverse") else None),
    "a name given twice": graph(lambda g: g.node[1].output.__setitem__(0, "a")),
    "an initializer twice": graph(lambda g: g.initializer.append(g.initializer[0])),
    "a node that gives an input": graph(lambda g: g.node[1].output.__setitem__(0, "x")),
    "an input twice": graph(lambda g: g.input.append(g.input[0])),
    "a name of a million letters": graph(lambda g: (g.node[1].output.__setitem__(0, "r" * 1_000_000), g.node[2].input.__setitem__(0, "r" * 1_000_000))),
    "a name that is a header's": graph(lambda g: (g.node[1].output.__setitem__(0, "__metadata__"), g.node[2].input.__setitem__(0, "__metadata__"))),
    "an output that is computed nowhere": graph(lambda g: g.output[0].CopyFrom(helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", 2]))),
    "no outputs": graph(lambda g: g.ClearField("output")),
    "no inputs": graph(lambda g: g.ClearField("input")),
    "no graph": lambda m: m.ClearField("graph"),
    "no opset": lambda m: m.ClearField("opset_import"),
    "two opsets": lambda m: m.opset_import.append(helper.make_opsetid("", 13)),
    "opset 1": lambda m: setattr(m.opset_import[0], "version", 1),
    "opset 2^60": lambda m: setattr(m.opset_import[0], "version", 1 << 60),
    "a negative opset": lambda m: setattr(m.opset_import[0], "version", -18),
    "an input of texts": x_is("N", 3, kind=TensorProto.STRING),
    "an input of an unknown type": x_is("N", 3, kind=77),
    "an input that is a sequence": graph(lambda g: g.input[0].CopyFrom(helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, ["N", 3]))),
    "an input without a shape": graph(lambda g: g.input[0].type.tensor_type.ClearField("shape")),
    "an input of a fixed batch": x_is(7, 3),
    "an input with a negative size": x_is("N", -3),
    "an input of 2^62": x_is("N", 1 << 62),
    "an input of 2^40 by 2^40": x_is("N", 1 << 40, 1 << 40),
    "an input of two symbols": x_is("N", "M"),
    "an input of another size": x_is("N", 5),
    # operators
    "a Relu of another domain": middle("Relu", domain="evil.example"),
    "a Relu of another domain that is imported": both(middle("Relu", domain="evil"), lambda m: m.opset_import.append(helper.make_opsetid("evil", 1))),
    "a Relu of ai.onnx.ml": middle("Relu", domain="ai.onnx.ml"),
    "a Relu of a domain in other letters": middle("Relu", domain="ai.\u043ennx"),
    "a function that is recursive": both(middle("f", domain="local"), lambda m: m.functions.append(function("f", "f"))),
    "functions that call each other": both(middle("f", domain="local"), lambda m: m.functions.extend([function("f", "g"), function("g", "f")])),
    "a function that hides Relu": lambda m: m.functions.append(function("Relu", "Relu")),
    "a loop": middle("Loop", ("", "", "a"), body=helper.make_graph([], "b", [], [])),
    "a branch": middle("If", ("a",), then_branch=helper.make_graph([], "t", [], []), else_branch=helper.make_graph([], "e", [], [])),
    "branches in branches": lambda m: m.graph.node[1].CopyFrom(branch(6)),
    "an attribute of a function": graph(lambda g: setattr(g.node[1].attribute.add(name="alpha", type=1), "ref_attr_name", "alpha")),
    "an operator that draws": middle("RandomNormalLike"),
    "an operator that draws for a start": middle("Bernoulli"),
    "a softmax on axis 9": middle("Softmax", axis=9),
    "a transposition that is none": middle("Transpose", perm=[0, 0]),
    "a transposition of the batch": middle("Transpose", perm=[1, 0]),
    "a mean over the batch": both(constant("axes", np.array([0])), middle("ReduceMean", ("a", "axes"))),
    "a reshape into 2^40": both(constant("s", np.array([-1, 1 << 40])), middle("Reshape", ("a", "s"))),
    "a reshape of two unknowns": both(constant("s", np.array([-1, -1])), middle("Reshape", ("a", "s"))),
    "an expansion to 2^40": both(constant("s", np.array([1, 1 << 40, 4])), middle("Expand", ("a", "s"))),
    "a tiling of 2^40": both(constant("s", np.array([1, 1 << 40])), middle("Tile", ("a", "s"))),
    "a padding of 2^40": both(constant("s", np.array([0, 0, 0, 1 << 40])), middle("Pad", ("a", "s"))),
    "a constant of 2^40 numbers": both(
        constant("s", np.array([1 << 40])),
        lambda m: m.graph.node.insert(0, helper.make_node("ConstantOfShape", ["s"], ["k"])),
        middle("Add", ("a", "k")),
    ),
    "a range of 2^40 numbers": both(
        constant("lo", np.array(0)), constant("hi", np.array(1 << 40)), constant("by", np.array(1)),
        lambda m: m.graph.node.insert(0, helper.make_node("Range", ["lo", "hi", "by"], ["k"])),
        middle("Add", ("k",)),
    ),
    "constants that double thirty times": lambda m: [
        m.graph.node.insert(k, helper.make_node("Concat", [f"k{k - 1}" if k else "v"] * 2, [f"k{k}"], axis=0)) for k in range(40)
    ] and m.graph.node[41].CopyFrom(helper.make_node("MatMul", ["a", "k39"], ["r"])),
    "a slice by steps of zero": both(
        *(constant(name, np.array([number])) for name, number in (("s", 3), ("e", 1 << 62), ("ax", 1), ("t", 0))),
        middle("Slice", ("a", "s", "e", "ax", "t")),
    ),
    "a pick of what is not there": both(constant("i", np.array([99])), middle("Gather", ("a", "i"), axis=1)),
    "an attribute of the wrong type": middle("LeakyRelu", alpha="large"),
    "a weight that is the input": middle("MatMul", ("a", "nowhere")),
    "an operator of 2^63 groups": middle("Conv", ("a", "v"), group=(1 << 63) - 1),
}  # fmt: skip

RAW: dict[str, Callable[[bytes], bytes]] = {
    "nothing at all": lambda d: b"",
    "one byte": lambda d: b"\x08",
    "zeros": lambda d: bytes(1000),
    "ones": lambda d: b"\xff" * 1000,
    "a text": lambda d: b"this is no model\n" * 10,
    "a zip archive": lambda d: b"PK\3\4" + d,
    "half of it": lambda d: d[: len(d) // 2],
    "all but the end": lambda d: d[:-1],
    "a byte too many": lambda d: d + b"\x08",
    "a length of 2^31": lambda d: b"\x3a" + varint((1 << 31) - 1) + d,
    "a length of 2^63": lambda d: b"\x3a" + varint((1 << 63) - 1) + d,
    "a length of ten bytes": lambda d: b"\x3a" + b"\xff" * 10 + d,
    "a field of an endless varint": lambda d: b"\x08" + b"\x80" * 1000,
    "groups in groups": lambda d: b"\x0b" * 100_000,
    "graphs nested ten times": lambda d: nested(10),
    "graphs nested a hundred times": lambda d: nested(100),
    "graphs nested ten thousand times": lambda d: nested(10_000),
    "unknown fields of ten megabytes": lambda d: b"\x08\x0a" + (b"\xa2\x1f\x05hello" * 1_500_000),
    "a million empty nodes": lambda d: b"\x08\x0a\x3a" + varint(2_000_000) + b"\x0a\x00" * 1_000_000,
    "a million empty nodes and an output": lambda d: b"\x08\x0a\x3a" + varint(2_000_002) + b"\x0a\x00" * 1_000_000 + b"\x62\x00",
    "a million empty tensors": lambda d: b"\x08\x0a\x3a" + varint(2_000_000) + b"\x2a\x00" * 1_000_000,
    "a value that is no text": lambda d: d.replace(b"\x0a\x01a", b"\x0a\x01\xff"),
}


def files() -> dict[str, bytes]:
    """Every file that must be refused."""
    found = {name: make(valid()) for name, make in RAW.items()}
    for name, spoil in SPOILED.items():
        spoiled = model()
        spoil(spoiled)
        found[name] = spoiled.SerializeToString()
    return found
