"""Graph to ModelProto."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from lumpnet.errors import LiftError
from lumpnet.ir import Graph, Node, Value, write_whole
from lumpnet.lower.onnx.writing import KEY, OPSET, Written, write

IR_VERSION = 10
BATCH = "batch"
LIMIT = (1 << 31) - (1 << 20)


def model_of(graph: Graph) -> onnx.ModelProto:
    """The ONNX model that computes `graph`, every node as operators of its own, nothing folded.

    Values and tensors keep their names; annotations (metadata) let a later lift
    give the identical graph. Raises `LiftError` for what ONNX cannot say.
    """
    if sum(t.nbytes for t in graph.tensors.values()) > LIMIT:
        raise LiftError("network", "its weights are more than 2 GiB", "what one ONNX file can hold", "save it as a lumpnet network file (.safetensors)")
    marker = _marker(graph)
    values = {v.name for v in graph.values()}

    def stored(key: str) -> str:
        return key + marker if key in values else key

    steps = [write(n, [graph.value(x) for x in n.inputs], graph.params_of(n), marker, stored) for n in graph.nodes]
    outputs, aliases = _outputs(graph, marker)
    constants = {stored(key): np.asarray(t) for key, t in graph.tensors.items()} | {k: v for s in steps for k, v in s.constants.items()}
    proto = helper.make_graph(
        [n for s in steps for n in s.nodes] + aliases,
        "lumpnet",
        [_info(v, v.name) for v in graph.inputs],
        [_info(graph.value(value), name) for value, name in zip(graph.outputs, outputs, strict=True)],
        [numpy_helper.from_array(array, name) for name, array in sorted(constants.items())],
    )
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="lumpnet")
    helper.set_model_props(model, {KEY: json.dumps(_annotations(graph, marker, steps), sort_keys=True, separators=(",", ":"))})
    onnx.checker.check_model(model)
    return model


def model_bytes(graph: Graph) -> bytes:
    return bytes(model_of(graph).SerializeToString(deterministic=True))


def save_onnx(graph: Graph, path: str | Path) -> str:
    """Write the model in one step; returns its SHA-256."""
    data = model_bytes(graph)
    write_whole(path, data)
    return hashlib.sha256(data).hexdigest()


def _marker(graph: Graph) -> str:
    """A mark that no name of the graph holds."""
    names, marker = [*(v.name for v in graph.values()), *graph.tensors], "#"
    while any(marker in name for name in names):
        marker += "#"
    return marker


def _info(value: Value, name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(value.dtype)), [BATCH, *value.shape[1:]])


def _outputs(graph: Graph, marker: str) -> tuple[list[str], list[onnx.NodeProto]]:
    """Names of the outputs: an input, or a value that is an output already, gets a name of its own."""
    names, aliases, seen = [], [], {v.name for v in graph.inputs}
    for k, name in enumerate(graph.outputs):
        if name in seen:
            names.append(f"{name}{marker}out{k}")
            aliases.append(helper.make_node("Identity", [name], [names[-1]]))
        else:
            names.append(name)
            seen.add(name)
    return names, aliases


def _annotations(graph: Graph, marker: str, steps: Sequence[Written]) -> dict[str, Any]:
    return {
        "format": 1,
        "marker": marker,
        "nodes": {n.name: _node(n) for n in graph.nodes},
        "outputs": list(graph.outputs),
        "buffers": sorted(graph.buffers),
        "notes": list(graph.notes),
    }


def _node(node: Node) -> dict[str, Any]:
    out: dict[str, Any] = {"kind": node.kind, "inputs": list(node.inputs), "attrs": dict(node.attrs), "params": dict(node.params)}
    if node.module is not None:
        out["module"] = {"path": node.module.path, "type": node.module.type}
    return out
