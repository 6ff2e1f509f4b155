"""The network file: one safetensors file, weights plus the graph as JSON in its metadata.

The JSON stands under the metadata key `lumpnet`; `FORMAT` is its version. The
checker has a reader of its own for the same layout and shares no code with this one.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from lumpnet.certificate import strict_json
from lumpnet.errors import FileError, LumpnetError
from lumpnet.ir.graph import Graph, Module, Node, Value

KEY = "lumpnet"
FORMAT = 1


def graph_json(graph: Graph) -> dict[str, Any]:
    """The graph as plain data, without the tensors' contents."""
    return {
        "format": FORMAT,
        "inputs": [_value_json(v) for v in graph.inputs],
        "nodes": [_node_json(n) for n in graph.nodes],
        "outputs": list(graph.outputs),
        "buffers": sorted(graph.buffers),
        "notes": list(graph.notes),
    }


def _value_json(value: Value) -> dict[str, Any]:
    return {"name": value.name, "shape": list(value.shape), "dtype": value.dtype}


def _node_json(node: Node) -> dict[str, Any]:
    out = _value_json(node.value) | {"kind": node.kind, "inputs": list(node.inputs), "attrs": dict(node.attrs), "params": dict(node.params)}
    if node.module is not None:
        out["module"] = {"path": node.module.path, "type": node.module.type}
    return out


def network_bytes(graph: Graph) -> bytes:
    """The network file's bytes; the same graph always gives the same bytes."""
    text = json.dumps(graph_json(graph), sort_keys=True, separators=(",", ":"), allow_nan=False)
    tensors = {name: np.asarray(t, order="C") for name, t in graph.tensors.items()}
    return bytes(save(tensors, metadata={KEY: text}))


def save_network(graph: Graph, path: str | Path) -> str:
    """Write the network file in one step (never half of one); returns its SHA-256."""
    data = network_bytes(graph)
    write_whole(path, data)
    return hashlib.sha256(data).hexdigest()


def write_whole(path: str | Path, data: bytes) -> None:
    """Write `data` beside `path` and move it into place, so that no half-written file is ever seen."""
    path = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent or ".", prefix=f".{path.name}.")
    except OSError as error:
        raise FileError(str(path), f"cannot write here ({error.strerror})", "a writable folder", "another output path") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise FileError(str(path), f"cannot be written ({error.strerror})", "a file name that is free or a file", "another output path") from error
        raise


def load_network(path: str | Path) -> Graph:
    """Read a network file. Raises `FileError` or `GraphError`; executes nothing."""
    where = str(path)
    try:
        with safe_open(where, framework="numpy") as file:
            text = (file.metadata() or {}).get(KEY)
            if text is None:
                raise FileError(
                    where,
                    "this safetensors file holds weights but no lumpnet graph",
                    "a network file written by lumpnet",
                    "lift the model in Python: lumpnet.lift(module, example_inputs).save(path)",
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (safe_open is not a dict)
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise FileError(
            where, f"not a readable safetensors file ({error})", "a lumpnet network file (.safetensors)", "check the path, or write the file again"
        ) from error
    try:
        return _graph_from_json(strict_json(text.encode("utf-8", "surrogatepass"), "graph", FileError), tensors)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise FileError(where, f"its graph is malformed ({type(error).__name__}: {error})", f"graph format {FORMAT}", "write the network file again") from error
    except LumpnetError as error:
        raise type(error)(f"{where}: {error.where}", error.found, error.expected, error.hint or "write the network file again") from error


def _graph_from_json(data: dict[str, Any], tensors: dict[str, np.ndarray]) -> Graph:
    if data["format"] != FORMAT:
        raise ValueError(f"graph format {data['format']!r}, not {FORMAT}")
    return Graph(
        inputs=tuple(_value(v) for v in data["inputs"]),
        nodes=tuple(_node(n) for n in data["nodes"]),
        outputs=tuple(str(o) for o in data["outputs"]),
        tensors=tensors,
        buffers=frozenset(data.get("buffers", ())),
        notes=tuple(data.get("notes", ())),
    )


def _value(data: dict[str, Any]) -> Value:
    return Value(str(data["name"]), tuple(data["shape"]), str(data["dtype"]))


def _node(data: dict[str, Any]) -> Node:
    module = data.get("module")
    return Node(
        value=_value(data),
        kind=str(data["kind"]),
        inputs=tuple(data["inputs"]),
        attrs=dict(data["attrs"]),
        params=dict(data["params"]),
        module=Module(str(module["path"]), str(module["type"])) if module else None,
    )
