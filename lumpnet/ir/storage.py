"""The network file: one safetensors file, weights plus the graph as JSON in its metadata.

The JSON stands under the metadata key `lumpnet`; `FORMAT` is its version. Files are
read by the checker's strict reader; what the graph means to the checker is read there, by other code.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lumpnet.certificate import strict_json
from lumpnet.check.files import DTYPES, NetworkFile, read_network_file
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


def network_chunks(graph: Graph) -> Iterator[bytes | memoryview]:
    """The network file piece by piece, nothing copied that lies in memory in order; the same graph always gives the same bytes."""
    text = json.dumps(graph_json(graph), sort_keys=True, separators=(",", ":"), allow_nan=False)
    tensors = sorted(graph.tensors.items(), key=lambda item: (-_ORDER.index(item[1].dtype.newbyteorder("<").str), item[0].encode()))
    header: dict[str, Any] = {"__metadata__": {KEY: text}}
    end = 0
    for name, tensor in tensors:
        begin, end = end, end + tensor.nbytes
        header[name] = {"dtype": _NAMES[tensor.dtype.newbyteorder("<").str], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    written = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    written += b" " * (-len(written) % 8)
    yield len(written).to_bytes(8, "little")
    yield written
    for _, tensor in tensors:
        flat = np.asarray(tensor, dtype=tensor.dtype.newbyteorder("<"), order="C").reshape(tensor.size)
        yield flat.view(np.uint8).data


_NAMES = {stored: name for name, stored in DTYPES.items() if name not in ("BF16", "BOOL")} | {"|b1": "BOOL"}
_ORDER = ["|b1", "|u1", "|i1", "<i2", "<u2", "<f2", "<i4", "<u4", "<f4", "<f8", "<i8", "<u8"]
"""The safetensors format puts wide dtypes first."""


def network_bytes(graph: Graph) -> bytes:
    """The network file's bytes."""
    return b"".join(network_chunks(graph))


def save_network(graph: Graph, path: str | Path) -> str:
    """Write the network file in one step (never half of one); returns its SHA-256."""
    digest = hashlib.sha256()

    def hashed() -> Iterator[bytes | memoryview]:
        for chunk in network_chunks(graph):
            digest.update(chunk)
            yield chunk

    write_whole(path, hashed())
    return digest.hexdigest()


def write_whole(path: str | Path, data: bytes | Iterable[bytes | memoryview]) -> None:
    """Write `data` beside `path` and move it into place, so that no half-written file is ever seen."""
    path = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent or ".", prefix=f".{path.name}.")
    except OSError as error:
        raise FileError(str(path), f"cannot write here ({error.strerror})", "a writable folder", "another output path") from error
    try:
        with os.fdopen(handle, "wb") as file:
            for chunk in [data] if isinstance(data, bytes) else data:
                file.write(chunk)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise FileError(str(path), f"cannot be written ({error.strerror})", "a file name that is free or a file", "another output path") from error
        raise


def link_whole(source: str | Path, path: str | Path) -> bool:
    """Let `path` be another name of the file `source`, in one step; False where the file system cannot."""
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        os.link(source, beside)
        os.replace(beside, path)
    except OSError:
        beside.unlink(missing_ok=True)
        return False
    return True


def load_network(path: str | Path) -> Graph:
    """Read a network file, its tensors mapped, not copied. Raises `FileError` or `GraphError`; executes nothing."""
    return graph_of(read_network_file(path))


def graph_of(file: NetworkFile) -> Graph:
    """The graph in a network file that was read. Raises `FileError` or `GraphError`."""
    text = file.metadata.get(KEY)
    if text is None:
        raise FileError(
            file.where,
            "this safetensors file holds weights but no lumpnet graph",
            "a network file written by lumpnet",
            "lift the model in Python: lumpnet.lift(module, example_inputs).save(path)",
        )
    odd = next((name for name, tensor in file.tensors.items() if tensor.dtype not in _NAMES.values()), None)
    if odd is not None:
        raise FileError(
            file.where, f"tensor {odd!r} of dtype {file.tensors[odd].dtype}", f"one of {', '.join(_NAMES.values())}", "write the network file again"
        )
    tensors = {name: tensor.data for name, tensor in file.tensors.items()}
    try:
        return _graph_from_json(strict_json(text.encode("utf-8", "surrogatepass"), "graph", FileError), tensors)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        found = f"its graph is malformed ({type(error).__name__}: {error})"
        raise FileError(file.where, found, f"graph format {FORMAT}", "write the network file again") from error
    except LumpnetError as error:
        raise type(error)(f"{file.where}: {error.where}", error.found, error.expected, error.hint or "write the network file again") from error


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
