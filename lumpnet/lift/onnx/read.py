"""The file: parsed as data, and refused where it could do more than describe a network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from lumpnet.errors import FileError, LiftError

MAX_BYTES = 1 << 31
MAX_NODES = 1 << 17
OLDEST, NEWEST = 7, 24
DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True)
class Source:
    """A model, the name to call it by, and the folder of its external data (`None`: it may have none)."""

    model: onnx.ModelProto
    where: str
    folder: Path | None
    opset: int


def read_model(source: str | Path | bytes) -> Source:
    """Raises `FileError` for what is no ONNX file, `LiftError` for what is more than operators on tensors."""
    where = "ONNX model" if isinstance(source, bytes) else str(source)
    data = source if isinstance(source, bytes) else _bytes(Path(source))
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
        if not model.HasField("graph") or not model.graph.output:
            raise FileError(where, "it holds no graph with outputs", "an ONNX model", "export the model again")
        if len(model.graph.node) > MAX_NODES:
            raise FileError(where, f"{len(model.graph.node)} nodes", f"at most {MAX_NODES}", "simplify the model before it is exported")
        _texts(model)
    except (DecodeError, UnicodeDecodeError, RuntimeError, ValueError) as error:
        raise FileError(where, f"not a readable ONNX file ({error})", "a serialised ModelProto", "export the model again") from error
    opset = _opset(model, where)
    _plain(model, where)
    _distinct(model.graph, where)
    return Source(model, where, None if isinstance(source, bytes) else Path(source).parent, opset)


def _bytes(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise FileError(str(path), "no such file" if not path.exists() else "not a regular file", "an ONNX file", "check the path")
        if path.stat().st_size > MAX_BYTES:
            raise FileError(str(path), f"{path.stat().st_size} bytes", f"at most {MAX_BYTES}", "store the weights as external data beside the model")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise FileError(str(path), f"cannot be read ({getattr(error, 'strerror', None) or error})", "a readable file", "check the path") from error


def _texts(model: onnx.ModelProto) -> None:
    """Every name decodes; some builds of protobuf find out only when asked, others then answer with bytes. Raises `ValueError`."""
    names = [name for node in model.graph.node for name in (node.op_type, node.domain, node.name, *node.input, *node.output)]
    names += [attribute.name for node in model.graph.node for attribute in node.attribute]
    names += [entry.name for entries in (model.graph.initializer, model.graph.input, model.graph.output) for entry in entries]
    names += [dim.dim_param for entry in model.graph.input for dim in entry.type.tensor_type.shape.dim]
    if not all(isinstance(name, str) for name in names):
        raise ValueError("a name that is no text")


def _opset(model: onnx.ModelProto, where: str) -> int:
    versions = {entry.version for entry in model.opset_import if entry.domain in DOMAINS}
    if len(versions) != 1:
        raise LiftError(where, f"it imports {len(versions)} versions of the ONNX operators", "one opset", "export the model again")
    version = int(next(iter(versions)))
    if not OLDEST <= version <= min(NEWEST, onnx.defs.onnx_opset_version()):
        hint = "convert it with onnx.version_converter.convert_version(model, 21)"
        raise LiftError(where, f"opset {version}", f"opset {OLDEST} to {NEWEST} (13 and up are tested in full)", hint)
    return version


def _plain(model: onnx.ModelProto, where: str) -> None:
    """No functions, no sparse tensors, no foreign operators, no control flow."""
    if model.functions:
        raise LiftError(where, f"it defines functions of its own ({model.functions[0].name!r})", "operators of ONNX only", "inline them: onnx.inliner")
    if model.graph.sparse_initializer:
        raise LiftError(where, "it holds sparse tensors", "dense tensors", "store the weights dense")
    for node in model.graph.node:
        what = f"node {node.name or (node.output[0] if node.output else '')!r} ({node.op_type})"
        if node.domain not in DOMAINS:
            hint = "export with standard operators only"
            raise LiftError(what, f"its operator is of the domain {node.domain!r}, whatever its name", "operators of ONNX itself", hint)
        if any(a.HasField("g") or a.graphs for a in node.attribute):
            hint = "export without control flow: fixed sizes, no loops or branches on data"
            raise LiftError(what, "it holds a graph of its own", "operators on tensors", hint)
        if any(a.ref_attr_name for a in node.attribute):
            raise LiftError(what, "an attribute refers to a function's", "plain attributes", "inline functions: onnx.inliner")


def _distinct(graph: onnx.GraphProto, where: str) -> None:
    """Every name is given once; an initializer may repeat an input of its name (as files of IR version 3 do)."""
    stored = [t.name for t in graph.initializer]
    made = [*(v.name for v in graph.input if v.name not in set(stored)), *stored, *_outputs(graph)]
    seen: set[str] = set()
    for name in made:
        if name in seen:
            raise LiftError(where, f"the name {name!r} is given twice", "one definition a name", "export the model again")
        if not name or len(name) > 900 or name == "__metadata__":
            raise LiftError(where, f"a value is called {name[:40]!r}", "names of 1 to 900 characters", "rename it")
        seen.add(name)


def _outputs(graph: onnx.GraphProto) -> Iterator[str]:
    for node in graph.node:
        yield from (name for name in node.output if name)
