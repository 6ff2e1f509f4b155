"""The tensors of a `.pt2` file from their raw bytes. Nothing is unpickled."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from lumpnet.errors import FileError, LiftError
from lumpnet.lift.pt2.archive import Archive
from lumpnet.lift.pt2.document import DTYPES, MAX_AXES, MAX_SIZE, Document
from lumpnet.lift.pt2.fields import Fields, brief

BYTES = {"uint8": 1, "int8": 1, "bool": 1, "int16": 2, "float16": 2, "bfloat16": 2, "int32": 4, "float32": 4, "int64": 8, "float64": 8}
STRIDED = 7
_RECORD = re.compile(r"[A-Za-z0-9_]{1,64}")


@dataclass(frozen=True)
class Stored:
    """A tensor as a view of a record: `shape`, `strides` and `offset` count elements. Tied tensors share the record."""

    record: str
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    parameter: bool
    trainable: bool


@dataclass(frozen=True)
class Weights:
    """`tensors` by their names in the module, in the order of the file; `records` has the bytes."""

    tensors: dict[str, Stored]
    records: dict[str, bytes]


def read_weights(archive: Archive, document: Document) -> Weights:
    """All weights, buffers and constants. Raises `FileError`: a pickled or missing one, a view that leaves its record, NaN in what the program reads."""
    tensors: dict[str, Stored] = {}
    records: dict[str, bytes] = {}
    for folder, what in (("data/weights", "weights"), ("data/constants", "constants")):
        member = f"{folder}/{document.model}_{what}_config.json"
        if f"{folder}/{document.model}.pt" in archive:
            _pickled(archive.where, f"{folder}/{document.model}.pt")
        entries = Fields(f"{archive.where}: {member}", archive.json(member)).below("config")
        for name in entries.data:
            if name in tensors:
                entries.refuse(f"a second tensor called {brief(name)}", "distinct names")
            stored = _stored(entries.below(name), f"{folder}/")
            tensors[name] = stored
            if stored.record not in records:
                records[stored.record] = archive.read(stored.record)
            _inside(entries.below(name), stored, len(records[stored.record]))
    weights = Weights(tensors, records)
    _read(archive.where, document, weights)
    return weights


def _pickled(where: str, name: str) -> None:
    raise FileError(
        where,
        f"{name!r} is pickled, and pickles are not opened",
        "raw bytes, as torch.export.save of torch 2.9 or newer writes for plain tensors",
        "make the tensor plain (no subclass, no sparse layout) and save the program again, or lift the module in Python",
    )


def _stored(entry: Fields, folder: str) -> Stored:
    name = entry.get("path_name", str)
    if entry.get("use_pickle", bool):
        _pickled(entry.where, folder + name[:80])
    if not _RECORD.fullmatch(name):
        entry.refuse(f"a record called {brief(name)}", "a plain name")
    meta = entry.below("tensor_meta")
    dtype = meta.get("dtype", int)
    if dtype not in DTYPES or meta.get("layout", int) != STRIDED:
        meta.refuse(f"dtype {dtype} in layout {brief(meta.data.get('layout'))}", f"a dtype among {sorted(DTYPES)}, layout {STRIDED}")
    shape, strides = (tuple(_number(item) for item in meta.each(key)) for key in ("sizes", "strides"))
    if len(shape) > MAX_AXES or len(shape) != len(strides):
        meta.refuse(f"{len(shape)} sizes and {len(strides)} strides", f"as many, at most {MAX_AXES}")
    offset = _number(meta.below("storage_offset"))
    return Stored(folder + name, DTYPES[dtype], shape, strides, offset, entry.get("is_param", bool), meta.get("requires_grad", bool))


def _number(item: Fields) -> int:
    value = item.get("as_int", int)
    if not 0 <= value <= MAX_SIZE:
        item.refuse(brief(value), f"a number from 0 to {MAX_SIZE}")
    return value


def _inside(entry: Fields, stored: Stored, size: int) -> None:
    """Every element lies in the record, and no more elements than it holds."""
    room = size // BYTES[stored.dtype]
    count = math.prod(stored.shape)
    last = stored.offset + sum((n - 1) * step for n, step in zip(stored.shape, stored.strides, strict=True)) if count else 0
    if count > room or (count and last >= room):
        entry.refuse(f"{count} elements up to number {last} in a record of {room}", "a view inside its record, each element once")


def _read(where: str, document: Document, weights: Weights) -> None:
    """What the program reads is there and finite."""
    for given in document.inputs:
        if given.kind == "user_input":
            continue
        if given.stored not in weights.tensors:
            raise FileError(where, f"the program reads {brief(given.stored)}, which is not stored", "every tensor that it reads", "save the program again")
        stored = weights.tensors[given.stored]
        if not _finite(stored, weights.records[stored.record]):
            raise LiftError(f"{where}: tensor {given.stored!r}", "a NaN or infinite entry", "finite numbers", "find the layer that diverged and repair it")


def _finite(stored: Stored, record: bytes) -> bool:
    if stored.dtype not in ("float16", "bfloat16", "float32", "float64") or not math.prod(stored.shape):
        return True
    kind = "uint16" if stored.dtype == "bfloat16" else stored.dtype
    flat = np.frombuffer(record, kind, count=len(record) // BYTES[stored.dtype])[stored.offset :]
    steps = [step * flat.itemsize for step in stored.strides]
    view = np.lib.stride_tricks.as_strided(flat, stored.shape, steps, writeable=False)
    good = (view & 0x7F80) != 0x7F80 if kind == "uint16" else np.isfinite(view)
    return bool(good.all())
