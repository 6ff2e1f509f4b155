"""Operators without a kind of their own: carried along as they are, on whole operands.

`target` is `onnx::<operator>`; `args` says where each input comes from, an operand
(`{"input": k}`), a tensor (`{"param": role}`) or nowhere (`None`); `kwargs` holds the
operator's version, how many outputs it has, and the attributes; `output` is the number of the output.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from lumpnet.ir import Node, Value
from lumpnet.lift.onnx.call import Call
from lumpnet.lift.onnx.operands import Const, Val
from lumpnet.lift.onnx.tensors import NAMES, NUMBERS
from lumpnet.lower.onnx.writing import version_of

RANDOM = ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Dropout")
BATCH = "batch"
SMALL = 1 << 16


def opaque(call: Call) -> list[Val | None]:
    """One opaque node for every output that something reads. Raises `LiftError` where the output has no place in a graph."""
    if call.kind in RANDOM:
        call.refuse("it draws random numbers", "an operator that is a function", "export for inference")
    if not any(isinstance(x, Val) for x in call.inputs):
        hint = "fold it beforehand: onnxsim, or onnxruntime's graph optimisation, offline"
        call.refuse("it computes a constant, which cannot be evaluated here without rounding", "constants that are stored or fold exactly", hint)
    if any(isinstance(x, Const) and (x.spread or x.array.dtype == object) for x in call.inputs):
        call.refuse("it takes a constant whose size is the batch's", "values for whatever depends on the batch", "export with a dynamic batch on axis 0 only")
    shapes = _shapes(call)
    return [_node(call, k, *shapes[k]) if call.used(k) else None for k in range(len(call.proto.output))]


def _node(call: Call, k: int, shape: tuple[int | None, ...] | None, dtype: str | None) -> Val:
    if shape is None or dtype is None or shape[:1] != (None,) or None in shape[1:]:
        found = f"its output of shape {_words(shape)} does not keep the batch on axis 0" if shape else "its output's shape is not known beforehand"
        call.refuse(found, "outputs (batch, ...) of fixed sizes", "move the batch back to axis 0, or export with fixed sizes")
    lifting, name = call.lifting, str(call.proto.output[k])
    inputs = [x for x in call.inputs if isinstance(x, Val)]
    params = {str(i): x for i, x in enumerate(call.inputs) if isinstance(x, Const)}
    keys = {role: lifting.state.key(c, f"{name}.{role}", lifting.dtype, call.where) for role, c in params.items()}
    attrs = {
        "target": f"onnx::{call.kind}",
        "args": _arguments(call),
        "kwargs": {"version": version_of(call.kind, lifting.source.opset), "outputs": len(call.proto.output), "attributes": _plain(call)},
        "output": k,
    }
    node = Node(Value(name, shape, dtype), "opaque", tuple(x.name for x in inputs), attrs, keys)
    return lifting._add(node, call.where)


def _arguments(call: Call) -> list[dict[str, Any] | None]:
    found: list[dict[str, Any] | None] = []
    for i, x in enumerate(call.inputs):
        found.append({"param": str(i)} if isinstance(x, Const) else None if x is None else {"input": sum(isinstance(y, Val) for y in call.inputs[:i])})
    return found


def _plain(call: Call) -> dict[str, Any]:
    """The attributes as the file gives them, defaults left out."""
    given = {a.name: call.attrs[a.name] for a in call.proto.attribute}
    for name, value in given.items():
        numbers = value if isinstance(value, list) else [value]
        if isinstance(value, TensorProto) or any(isinstance(v, float) and not math.isfinite(v) for v in numbers):
            call.refuse(f"the attribute {name!r} is no plain number or text", "finite numbers and texts", "export with standard operators")
    return given


def _words(shape: tuple[Any, ...]) -> str:
    return "(" + ", ".join("?" if d is None else str(d) for d in shape) + ")"


def _shapes(call: Call) -> list[tuple[tuple[int | None, ...] | None, str | None]]:
    """(shape, dtype) of every output by ONNX's own inference, the batch as a symbol."""
    names, infos, tensors = [], [], []
    for i, x in enumerate(call.inputs):
        names.append(f"x{i}" if x is not None else "")
        if isinstance(x, Val):
            infos.append(helper.make_tensor_value_info(f"x{i}", NUMBERS[x.dtype], [BATCH, *x.sizes]))
        elif isinstance(x, Const) and x.array.size <= SMALL:
            tensors.append(onnx.numpy_helper.from_array(_in_network_type(x.array, call.lifting.dtype), f"x{i}"))
        elif isinstance(x, Const):
            number = NUMBERS[call.lifting.dtype] if x.floating else NUMBERS[x.array.dtype.name]
            infos.append(helper.make_tensor_value_info(f"x{i}", number, list(x.array.shape)))
    node = onnx.NodeProto()
    node.CopyFrom(call.proto)
    del node.input[:], node.output[:]
    node.input.extend(names)
    node.output.extend(f"y{k}" if name else "" for k, name in enumerate(call.proto.output))
    outs = [onnx.ValueInfoProto(name=f"y{k}") for k, name in enumerate(call.proto.output) if name]
    graph = helper.make_graph([node], "one", infos, outs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", call.lifting.source.opset)])
    try:
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
        call.refuse(f"its operands do not fit together ({str(error).strip().splitlines()[0][:200]})", "shapes as ONNX defines them", "check the model")
    found = {v.name: v.type.tensor_type for v in inferred.graph.output}
    return [_shape(found.get(f"y{k}")) for k in range(len(call.proto.output))]


def _in_network_type(array: np.ndarray, dtype: str) -> np.ndarray:
    return array.astype(dtype) if array.dtype.kind == "f" else array


def _shape(kind: Any) -> tuple[tuple[int | None, ...] | None, str | None]:
    if kind is None or not kind.HasField("shape") or kind.elem_type not in NAMES:
        return None, None
    dims = [None if d.dim_param == BATCH else d.dim_value if d.HasField("dim_value") else -1 for d in kind.shape.dim]
    return (None, None) if -1 in dims else (tuple(dims), NAMES[kind.elem_type])
