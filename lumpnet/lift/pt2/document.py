"""The program of a `.pt2` file as data: inputs, calls in order, outputs. Nothing here can run.

Symbolic sizes are texts in the file that torch would evaluate. Only the sizes of
the network's inputs are read, and of their texts only the form `Symbol('s0')`;
every other size is computed anew when the calls are recorded again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from lumpnet.errors import FileError, LiftError
from lumpnet.lift.pt2.archive import HINT, Archive
from lumpnet.lift.pt2.calls import Call, read_calls
from lumpnet.lift.pt2.fields import Fields, brief

MAX_SIZE = 1 << 40
MAX_AXES = 16
MAX_DEPTH = 64
DTYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64", 12: "bool", 13: "bfloat16",
}  # fmt: skip
"""The numbers by which the format names element types."""

_SYMBOL = re.compile(r"(?:Symbol\('(\w{1,64})'(?:, (?:positive|integer)=True)*\)|(\w{1,64}))")
_STATIC = "export with a dynamic batch: torch.export.export(module, (x,), dynamic_shapes=({0: torch.export.Dim('batch')},))"


@dataclass(frozen=True)
class Input:
    """A placeholder. `kind` is user_input, parameter, buffer or tensor_constant; `stored` names the tensor of the last three."""

    name: str
    kind: str
    stored: str = ""
    persistent: bool = True
    sizes: tuple[int | None, ...] = ()
    dtype: str = ""


@dataclass(frozen=True)
class Document:
    """`modules` maps module paths to the texts of their types (empty: unknown); `single` tells one output from a tuple of one."""

    where: str
    model: str
    inputs: tuple[Input, ...]
    calls: tuple[Call, ...]
    outputs: tuple[str, ...]
    modules: Mapping[str, str]


def read_document(archive: Archive) -> Document:
    """Raises `FileError` where the file is not of the format, `LiftError` where its program has no place in a graph."""
    name = _one_model(archive)
    member = f"models/{name}.json"
    root = Fields(f"{archive.where}: {member}", archive.json(member))
    version = root.below("schema_version").get("major", int)
    if version != 8:
        root.refuse(f"schema version {version}", "version 8")
    module = root.below("graph_module")
    graph, signature = module.below("graph"), module.below("signature")
    inputs = tuple(_input(spec, graph) for spec in signature.each("input_specs"))
    _placeholders(graph, inputs)
    _batch(archive.where, graph, inputs)
    calls = read_calls(graph, {i.name for i in inputs})
    outputs = tuple(_output(spec, archive.where) for spec in signature.each("output_specs"))
    _known(signature, outputs, inputs, calls)
    _structure(module, archive.where, len(outputs))
    return Document(archive.where, name, inputs, calls, outputs, _modules(module, calls))


def _one_model(archive: Archive) -> str:
    """The program's name. An archive with none or several is refused, and so are the layouts that need pickle."""
    if "archive_format" not in archive:
        _refuse_older(archive)
    if archive.read("archive_format") != b"pt2":
        raise FileError(archive.where, "an archive of another format", "the format pt2", HINT)
    if "byteorder" in archive and archive.read("byteorder") != b"little":
        raise FileError(archive.where, "its weights are big-endian", "little-endian weights", "save the program on a little-endian machine")
    models = [name for name in archive.names("models") if name.endswith(".json")]
    if len(models) != 1:
        raise FileError(archive.where, f"the archive holds {len(models)} programs", "one program", "save one program to a file")
    return models[0].removeprefix("models/").removesuffix(".json")


def _refuse_older(archive: Archive) -> None:
    if "serialized_exported_program.json" in archive or archive.names(""):
        raise FileError(
            archive.where,
            "no pt2 archive with raw weights (torch before 2.9 pickled the weights, and pickles are not opened)",
            "the layout of torch 2.9 or newer",
            "load the program with the torch that wrote it and save it again with torch 2.9 or newer",
        )
    raise FileError(archive.where, "no pt2 archive", "a .pt2 file", HINT)


def _input(spec: Fields, graph: Fields) -> Input:
    kind, _ = spec.union()
    fields = spec.below(kind)
    if kind == "user_input":
        what, _ = fields.below("arg").union()
        if what != "as_tensor":
            found = f"an input of forward is no tensor ({what})"
            raise LiftError(spec.where, found, "one tensor per argument of forward", "export a module whose forward takes tensors only")
        name = fields.below("arg").below("as_tensor").get("name", str)
        sizes, dtype = _meta(graph.below("tensor_values").below(name))
        return Input(name, kind, sizes=sizes, dtype=dtype)
    if kind not in ("parameter", "buffer", "tensor_constant"):
        raise LiftError(spec.where, f"export added an input of kind {kind}", "tensors and parameters", "remove what is neither from the network")
    name = fields.below("arg").get("name", str)
    return Input(name, kind, fields.get(f"{kind}_name", str), kind != "buffer" or fields.get("persistent", bool))


def _meta(meta: Fields) -> tuple[tuple[int | None, ...], str]:
    """Sizes (`None`: symbolic) and dtype of a user input."""
    number = meta.get("dtype", int)
    if number not in DTYPES:
        meta.refuse(f"dtype {number}", f"one of {sorted(DTYPES)}")
    sizes = meta.each("sizes")
    if len(sizes) > MAX_AXES:
        meta.refuse(f"{len(sizes)} axes", f"at most {MAX_AXES}")
    return tuple(_size(size) for size in sizes), DTYPES[number]


def _size(size: Fields) -> int | None:
    kind, _ = size.union()
    if kind == "as_expr":
        return None
    value = size.get("as_int", int)
    if not 0 <= value <= MAX_SIZE:
        size.refuse(f"a size of {brief(value)}", f"0 to {MAX_SIZE}")
    return value


def _placeholders(graph: Fields, inputs: tuple[Input, ...]) -> None:
    """The graph's inputs are those of the signature, in its order, each once."""
    names = [item.below("as_tensor").get("name", str) for item in graph.each("inputs")]
    if names != [i.name for i in inputs] or len(set(names)) < len(names):
        graph.refuse("its inputs are not those of the signature", "each input once, in the signature's order")


def _batch(where: str, graph: Fields, inputs: tuple[Input, ...]) -> None:
    """One symbol on axis 0 of every input, plain numbers elsewhere. Raises `LiftError`."""
    symbols = set()
    for given in inputs:
        if given.kind != "user_input":
            continue
        place = f"{where}: input {given.name!r}"
        if not given.sizes or given.sizes[0] is not None:
            found = f"its batch size is fixed, its shape is {given.sizes}"
            raise LiftError(place, found, "a dynamic batch on axis 0, so that the network is known for every batch", _STATIC)
        if None in given.sizes[1:]:
            raise LiftError(place, "an axis beside the batch is dynamic", "fixed sizes behind the batch", "export with a dynamic axis 0 only")
        symbols.add(_symbol(graph.below("tensor_values").below(given.name).each("sizes")[0]))
    if len(symbols) != 1:
        found = f"the inputs have {len(symbols)} batch sizes"
        raise LiftError(where, found, "at least one input, and one batch size for all of them", "use the same torch.export.Dim for axis 0 of every input")


def _symbol(size: Fields) -> str:
    text = size.below("as_expr").get("expr_str", str)
    found = _SYMBOL.fullmatch(text)
    if not found:
        raise LiftError(size.where, f"the batch size is {brief(text)}", "a plain symbol", "export with torch.export.Dim('batch') on axis 0")
    return found[1] or found[2]


def _output(spec: Fields, where: str) -> str:
    kind, _ = spec.union()
    if kind in ("buffer_mutation", "parameter_mutation"):
        target = spec.below(kind).get(kind.replace("mutation", "name"), str)
        raise LiftError(where, f"forward changes {target!r}", "a function of the inputs", "do not write to buffers in eval mode")
    what = spec.below(kind).below("arg").union()[0] if kind == "user_output" else kind
    if what != "as_tensor":
        raise LiftError(spec.where, f"an output is no tensor ({what})", "tensors that depend on the input", "wrap the module in one that returns tensors only")
    return spec.below(kind).below("arg").below("as_tensor").get("name", str)


def _known(signature: Fields, outputs: tuple[str, ...], inputs: tuple[Input, ...], calls: tuple[Call, ...]) -> None:
    known = {i.name for i in inputs} | {name for call in calls for name in call.results if name}
    for name in outputs:
        if name not in known:
            signature.refuse(f"the output {brief(name)} is computed nowhere", "results of calls")


def _structure(module: Fields, where: str, count: int) -> None:
    """forward returns one tensor, or a tuple of two or more."""
    calls = module.each("module_call_graph")
    signature = calls[0].data.get("signature") if calls else None
    if signature is None:
        return
    text = calls[0].below("signature").get("out_spec", str)
    try:
        spec = json.loads(text)[1]
        children = [child["type"] for child in spec["children_spec"]]
        kind = spec["type"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise FileError(f"{calls[0].where}: out_spec", f"not a structure of outputs ({type(error).__name__})", "JSON", HINT) from error
    one = kind is None and count == 1
    if one or (kind == "builtins.tuple" and count == len(children) >= 2 and not any(children)):
        return
    found = f"forward returns {brief(kind)} with {count} tensors"
    raise LiftError(where, found, "one tensor, or a tuple of two or more tensors", "wrap the module in one that returns the tensors you need")


def _modules(module: Fields, calls: tuple[Call, ...]) -> dict[str, str]:
    """Every module path, in the order of the file, with the text of its type where a call tells it."""
    found = {entry.get("fqn", str): "" for entry in module.each("module_call_graph")}
    for call in calls:
        for _, path, kind in call.stack:
            found[path] = kind
    for path in found:
        if path.count(".") > MAX_DEPTH:
            module.refuse(f"a module {path.count('.')} levels deep", f"at most {MAX_DEPTH}")
    return found
