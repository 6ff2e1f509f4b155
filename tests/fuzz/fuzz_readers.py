"""What is fuzzed: every reader of files, with files to begin with and changes that keep their form."""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
for _folder in ("check", "hostile", "onnxio", "lift"):
    sys.path.insert(0, str(HERE.parent / _folder))

import fuzz_bend  # noqa: E402

SCRATCH = tempfile.TemporaryDirectory(prefix="lumpnet-fuzz-")


@dataclass(frozen=True)
class Reader:
    """`read` raises what the reader raises; `seeds` are files that are read; `bend` changes one (`ValueError`, ...: it has no form any more)."""

    read: Callable[[bytes], object]
    seeds: Callable[[random.Random], list[bytes]]
    bend: Callable[[bytes, random.Random], bytes]


def _file(data: bytes, name: str) -> Path:
    path = Path(SCRATCH.name) / name
    path.unlink(missing_ok=True)  # the reader before may have mapped it
    path.write_bytes(data)
    return path


# --- the checker's two ---------------------------------------------------------------------------


def _read_certificate(data: bytes) -> None:
    from lumpnet.certificate import dumps, loads

    certificate = loads(data)
    assert loads(dumps(certificate)) == certificate


def _read_network(data: bytes) -> None:
    """By the package and by the checker, which answers for itself also where the other one refuses."""
    from lumpnet.check.files import read_network_file
    from lumpnet.check.graph import read_graph
    from lumpnet.check.outcome import Unsure
    from lumpnet.check.rules import KINDS
    from lumpnet.errors import LumpnetError
    from lumpnet.ir import load_network

    path = _file(data, "net.safetensors")
    for read in (load_network, lambda p: read_graph(read_network_file(p), KINDS)):
        with suppress(LumpnetError, Unsure):
            read(path)


@cache
def _catalog() -> list[tuple[bytes, bytes, bytes]]:
    from catalog import CASES

    out = []
    for make in CASES.values():
        paths = make().write(Path(SCRATCH.name))
        out.append((paths[0].read_bytes(), paths[1].read_bytes(), paths[2].read_bytes()))
    return out


@cache
def _words() -> list[str]:
    from lumpnet.check.graph import DTYPES
    from lumpnet.check.rules import KINDS

    keys = {key for kind in KINDS.values() for key in (*kind.attrs, *kind.roles, *kind.optional)}
    return [*KINDS, *DTYPES, *sorted(keys), "x", "h", "y", "F32", "F64", "I64", "BF16", "BOOL", "shape", "inputs", "scale", "offset", "class"]


# --- ONNX ----------------------------------------------------------------------------------------


def _read_onnx(data: bytes) -> None:
    from lumpnet.lift.onnx import lift_onnx

    lift_onnx(data)


def _onnx_seeds(rng: random.Random) -> list[bytes]:
    import onnx_forge
    import onnx_forge_steps  # noqa: F401  (fills the list)
    from hostile_onnx import valid

    found = [valid()]
    for function in onnx_forge.STEPS:
        found += [data for data in (onnx_forge.single(function, rng.randrange(1 << 30)) for _ in range(3)) if data is not None]
    return found + [onnx_forge.forged(rng.randrange(1 << 30), 6) for _ in range(40)]


def _bend_onnx(data: bytes, rng: random.Random) -> bytes:
    import onnx

    from lumpnet.lift.onnx.registry import CONVERTERS, FOLDERS

    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # whatever protobuf raises for bytes that are none
        raise ValueError(str(error)) from error
    names = [name for node in model.graph.node for name in (*node.input, *node.output)]
    for _ in range(rng.choice([1, 1, 2, 3])):
        fuzz_bend.message(model.graph if rng.random() < 0.9 else model, rng, [*names, *rng.choice([CONVERTERS, FOLDERS]), "x", "axis", "pads", "N"])
    return bytes(model.SerializeToString())


# --- saved programs ------------------------------------------------------------------------------


def _read_pt2(data: bytes) -> None:
    from lumpnet.lift.pt2 import lift_pt2

    lift_pt2(_file(data, "model.pt2"))


EXPORTED = ("mlp", "cnn", "conv1d", "normalised", "lookup", "concat", "functional", "recurrent", "selections", "functions", "two_inputs", "mixing")


def _pt2_seeds(rng: random.Random) -> list[bytes]:
    import io
    import warnings

    import torch
    from hostile_pt2 import pack, valid
    from lift_models import build
    from torch.export import Dim, export, save

    found = [pack(valid())] * 3
    for name in EXPORTED:
        module, inputs = build(name)
        inputs = tuple(torch.cat([x, x]) for x in inputs) if inputs[0].shape[0] == 1 else inputs
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            out = io.BytesIO()
            save(export(module, inputs, dynamic_shapes=tuple({0: Dim("batch")} for _ in inputs), strict=False), out)
        found.append(out.getvalue())
    return found


@cache
def _targets() -> list[str]:
    from lumpnet.lift.pt2.operators import ARITHMETIC, FUNCTIONS

    return [*map(str, ARITHMETIC), *map(str, FUNCTIONS), "as_tensor", "as_int", "as_ints", "as_sym_int", "as_none", "as_expr", "s77", "x", "a", "p_w"]


def _torch_targets(data: bytes) -> list[str]:
    """The operators that this very file calls, beside those of the list."""
    return [*_targets(), *{node for node in _strings(data) if node.startswith("torch.ops.")}]


def _strings(data: bytes) -> list[str]:
    return [piece.decode("ascii", "ignore") for piece in data.split(b'"')[:20_000] if len(piece) < 80]


READERS: dict[str, Reader] = {
    "certificate": Reader(_read_certificate, lambda rng: [c for _, _, c in _catalog()], lambda data, rng: fuzz_bend.text(data, rng, _words())),
    "network": Reader(_read_network, lambda rng: [f for g, h, _ in _catalog() for f in (g, h)], lambda data, rng: fuzz_bend.network(data, rng, _words())),
    "onnx": Reader(_read_onnx, _onnx_seeds, _bend_onnx),
    "pt2": Reader(_read_pt2, _pt2_seeds, lambda data, rng: fuzz_bend.archive(data, rng, _torch_targets(data))),
}
BENDING = (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, RecursionError, json.JSONDecodeError, NotImplementedError)


def bent(reader: Reader, data: bytes, rng: random.Random) -> bytes | None:
    """`None` where the data has lost its form."""
    import struct
    import zipfile

    try:
        return reader.bend(data, rng)
    except (*BENDING, struct.error, zipfile.BadZipFile, UnicodeError):
        return None
