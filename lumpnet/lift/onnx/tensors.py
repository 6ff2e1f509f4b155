"""Tensors of an ONNX file as numpy arrays: sizes are checked before memory is used, external files stay in the model's folder."""

from __future__ import annotations

import math
import os
import stat
from pathlib import Path

import numpy as np
from onnx import TensorProto

from lumpnet.errors import LiftError

MAX_ELEMENTS = 1 << 31
STORED = {
    TensorProto.FLOAT: ("<f4", "float_data"),
    TensorProto.DOUBLE: ("<f8", "double_data"),
    TensorProto.FLOAT16: ("<f2", "int32_data"),
    TensorProto.BFLOAT16: ("<u2", "int32_data"),
    TensorProto.INT64: ("<i8", "int64_data"),
    TensorProto.INT32: ("<i4", "int32_data"),
    TensorProto.INT16: ("<i2", "int32_data"),
    TensorProto.INT8: ("|i1", "int32_data"),
    TensorProto.UINT8: ("|u1", "int32_data"),
    TensorProto.BOOL: ("|b1", "int32_data"),
}
NAMES = {
    TensorProto.FLOAT: "float32", TensorProto.DOUBLE: "float64", TensorProto.FLOAT16: "float32", TensorProto.BFLOAT16: "float32",
    TensorProto.INT64: "int64", TensorProto.INT32: "int32", TensorProto.INT16: "int16", TensorProto.INT8: "int8",
    TensorProto.UINT8: "uint8", TensorProto.BOOL: "bool",
}  # fmt: skip
HALVES = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
NUMBERS = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE} | {NAMES[k]: k for k in STORED if k not in HALVES}


def type_name(number: int) -> str:
    """ONNX's own word for an element type."""
    return str(TensorProto.DataType.Name(number)) if number in TensorProto.DataType.values() else str(number)


def array_of(tensor: TensorProto, folder: Path | None, where: str) -> np.ndarray:
    """The tensor's entries; float16 and bfloat16 become float32, which holds them exactly. Raises `LiftError`."""
    dims = list(tensor.dims)
    if tensor.data_type not in STORED:
        hint = "store the weights as float32, float64, float16, bfloat16 or integers"
        raise LiftError(where, f"its element type is {type_name(tensor.data_type)}", "a float, integer or boolean type", hint)
    if len(dims) > 32 or any(d < 0 for d in dims) or math.prod(d for d in dims if d) > MAX_ELEMENTS:
        raise LiftError(where, f"its shape is {dims}"[:200], f"non-negative sizes of at most {MAX_ELEMENTS} entries", "check where the file comes from")
    if tensor.HasField("segment"):
        raise LiftError(where, "it is stored in segments", "a tensor stored whole", "export the model again")
    dtype, field = STORED[tensor.data_type]
    count = math.prod(dims)
    if tensor.data_location == TensorProto.EXTERNAL:
        flat = np.frombuffer(_external(tensor, folder, count * np.dtype(dtype).itemsize, where), dtype)
    elif tensor.HasField("raw_data"):
        _expect(len(tensor.raw_data), count * np.dtype(dtype).itemsize, "bytes", where)
        flat = np.frombuffer(tensor.raw_data, dtype)
    else:
        _expect(len(getattr(tensor, field)), count, "entries", where)
        flat = _narrow(np.array(getattr(tensor, field)), dtype, tensor.data_type, where)
    return np.array(_wide(flat, tensor.data_type).reshape(dims))


def _expect(found: int, wanted: int, unit: str, where: str) -> None:
    if found != wanted:
        raise LiftError(where, f"{found} {unit} are stored", f"{wanted} for its shape and type", "export the model again")


def _narrow(entries: np.ndarray, dtype: str, number: int, where: str) -> np.ndarray:
    """Entries of a typed field in their own type; halves are stored as their bits."""
    if number == TensorProto.FLOAT16:
        return entries.astype(np.uint16).view("<f2")
    out = entries.astype(dtype)
    if entries.size and not (out == entries).all() and out.dtype.kind != "f":
        raise LiftError(where, "an entry does not fit its type", f"entries of {dtype}", "export the model again")
    return out


def _wide(flat: np.ndarray, number: int) -> np.ndarray:
    if number == TensorProto.BFLOAT16:
        return (flat.astype(np.uint32) << 16).view(np.float32)
    return flat.astype(np.float32) if number == TensorProto.FLOAT16 else flat.astype(flat.dtype.newbyteorder("="))


def _external(tensor: TensorProto, folder: Path | None, size: int, where: str) -> bytes:
    """The bytes of an external tensor, from a regular file that lies below the model's own folder and is reached without links."""
    entries = {e.key: e.value for e in tensor.external_data}
    location, hint = entries.get("location", ""), "keep the data file beside the model"
    if folder is None:
        raise LiftError(where, "its data lies in another file", "a model with its data, or the path of the model file", "pass the path")
    parts = location.replace("\\", "/").split("/")
    if not location or location.startswith(("/", "\\")) or ":" in parts[0] or any(p in ("", ".", "..") for p in parts) or "\0" in location:
        raise LiftError(where, f"its data lies at {location[:80]!r}", "a file name below the model's folder", hint)
    offset, length = (_number(entries.get(key, default), where) for key, default in (("offset", "0"), ("length", str(size))))
    _expect(length, size, "bytes", where)
    path = folder
    try:
        for part in parts:
            path = path / part
            if stat.S_ISLNK(os.lstat(path).st_mode):
                raise LiftError(where, f"{location[:80]!r} leads over a symbolic link", "a file inside the model's folder", hint)
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise LiftError(where, f"{location[:80]!r} is no regular file", "a file inside the model's folder", hint)
        if offset + size > os.lstat(path).st_size:
            raise LiftError(where, f"{location[:80]!r} ends before the tensor does", f"{offset + size} bytes", "copy the whole data file")
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(size)
    except OSError as error:
        raise LiftError(where, f"{location[:80]!r} cannot be read ({error.strerror})", "a file inside the model's folder", hint) from error


def _number(text: str, where: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise LiftError(where, f"the external offset or length {text[:40]!r}", "plain digits", "export the model again")
    return int(text)
