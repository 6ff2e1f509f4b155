"""The checker's own reader of network files: safetensors by memory map, every byte accounted for.

Raises `FileError` for anything that is not a well-formed file of finite numbers.
"""

from __future__ import annotations

import hashlib
import math
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lumpnet.certificate import strict_json
from lumpnet.check.numbers import Array
from lumpnet.errors import FileError, LumpnetError

DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|u1",
}  # fmt: skip
MAX_HEADER = 100_000_000
MAX_SIZE = 1 << 40
MAX_EMPTY = 1 << 12
"""Sizes of a tensor without entries: it costs no bytes."""
_CHUNK = 1 << 22
_HINT = "write the file again with lumpnet"


@dataclass(frozen=True)
class Tensor:
    """One stored tensor: its dtype as the file names it, and a read-only view of its entries."""

    dtype: str
    data: Array


@dataclass(frozen=True)
class NetworkFile:
    """A file that was read: its bytes (mapped), their hash, and what they say."""

    where: str
    data: Array
    sha256: str
    metadata: dict[str, Any]
    tensors: dict[str, Tensor]


def read_bytes(path: str | Path, limit: int, error: type[LumpnetError]) -> bytes:
    """A whole regular file of at most `limit` bytes."""
    size = _regular_size(path, error)
    if size > limit:
        raise error(str(path), f"{size} bytes", f"at most {limit}")
    try:
        return Path(path).read_bytes()
    except OSError as problem:
        raise error(str(path), f"cannot be read ({problem.strerror})", "a readable file", "check the path") from problem


def _regular_size(path: str | Path, error: type[LumpnetError]) -> int:
    try:
        info = os.stat(path)
    except (OSError, ValueError) as problem:
        raise error(str(path), f"cannot be opened ({getattr(problem, 'strerror', problem)})", "an existing file", "check the path") from problem
    if not stat.S_ISREG(info.st_mode):
        raise error(str(path), "not a regular file", "a file", "check the path")
    return info.st_size


def read_network_file(path: str | Path) -> NetworkFile:
    """Map a safetensors file; its tensors must tile the data exactly and hold finite numbers."""
    where = str(path)
    size = _regular_size(path, FileError)
    if size < 10:
        _refuse(where, f"{size} bytes", "a safetensors file, which has a header")
    try:
        whole: Array = np.memmap(path, np.uint8, "r").view(np.ndarray)
        digest = hashlib.sha256(whole.data).hexdigest()
    except (OSError, ValueError) as problem:
        raise FileError(where, f"cannot be mapped ({problem})", "a readable file", "check the path") from problem
    length = int.from_bytes(whole[:8].tobytes(), "little")
    if not 2 <= length <= min(len(whole) - 8, MAX_HEADER):
        _refuse(where, f"a header of {length} bytes in a file of {len(whole)}", f"a header inside the file, at most {MAX_HEADER} bytes")
    header = strict_json(whole[8 : 8 + length].tobytes(), where, FileError, MAX_HEADER)
    if not isinstance(header, dict):
        _refuse(where, "a header that is no object", "a JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        _refuse(where, "metadata that are not texts", "an object of texts")
    data = whole[8 + length :]
    spans = {name: _span(f"{where}: tensor {name!r}", entry) for name, entry in header.items()}
    _tile(where, [(begin, end) for _, _, begin, end in spans.values()], len(data))
    tensors = {name: Tensor(kind, data[begin:end].view(DTYPES[kind]).reshape(shape)) for name, (kind, shape, begin, end) in spans.items()}
    for name, tensor in tensors.items():
        _finite(f"{where}: tensor {name!r}", tensor)
    return NetworkFile(where, whole, digest, metadata, tensors)


def _refuse(where: str, found: str, expected: str) -> None:
    raise FileError(where, found, expected, _HINT)


def _span(where: str, entry: object) -> tuple[str, tuple[int, ...], int, int]:
    """dtype, shape, begin and end of one header entry, sizes consistent."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise FileError(where, "an unusual header entry", "exactly dtype, shape and data_offsets", _HINT)
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise FileError(where, f"dtype {ascii(dtype)[:40]}", f"one of {', '.join(DTYPES)}", "store the tensor in a supported dtype")
    if not isinstance(shape, list) or len(shape) > 32 or not all(type(n) is int and 0 <= n <= MAX_SIZE for n in shape):
        raise FileError(where, f"shape {ascii(shape)[:80]}", f"a list of at most 32 sizes from 0 to {MAX_SIZE}", _HINT)
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(type(n) is int and 0 <= n <= 1 << 60 for n in offsets):
        raise FileError(where, f"data_offsets {ascii(offsets)[:80]}", "[begin, end]", _HINT)
    count = math.prod([np.dtype(DTYPES[dtype]).itemsize, *shape])
    if not math.prod(shape) and max(shape) > MAX_EMPTY:
        raise FileError(where, f"no entries in the shape {shape}", f"sizes up to {MAX_EMPTY} where one is 0", _HINT)
    if math.prod(n for n in shape if n) > MAX_SIZE:
        raise FileError(where, f"shape {shape}", f"at most {MAX_SIZE} entries", _HINT)
    if offsets[1] - offsets[0] != count:
        raise FileError(where, f"{offsets[1] - offsets[0]} bytes", f"{count} bytes for {dtype} of shape {shape}", _HINT)
    return dtype, tuple(shape), offsets[0], offsets[1]


def _tile(where: str, spans: list[tuple[int, int]], size: int) -> None:
    """The spans cover [0, size) without gap or overlap."""
    at = 0
    for begin, end in sorted(spans):
        if begin != at:
            _refuse(where, f"a tensor that begins at byte {begin}", f"byte {at}, so that tensors neither overlap nor leave gaps")
        at = end
    if at != size:
        _refuse(where, f"tensors that end at byte {at}", f"byte {size}, the end of the file")


def _finite(where: str, tensor: Tensor) -> None:
    flat = tensor.data.reshape(tensor.data.size)
    for start in range(0, flat.size, _CHUNK):
        part = flat[start : start + _CHUNK]
        if tensor.dtype == "BF16":
            good = (part & 0x7F80) != 0x7F80
        elif tensor.dtype.startswith("F"):
            good = np.isfinite(part)
        else:
            return
        if not good.all():
            found = f"a NaN or infinite entry at position {start + int(np.argmin(good))}"
            raise FileError(where, found, "finite numbers", "find the layer that diverged and repair it")
