"""Large arrays lie in temporary files, so that what is computed of a network need not fit in memory with it."""

from __future__ import annotations

import math
import tempfile

import numpy as np

LARGE = 1 << 26
"""Bytes from which an array lies in a file."""
_BLOCK = 1 << 22


def zeros(shape: tuple[int, ...], dtype: str | np.dtype) -> np.ndarray:
    """Zeros of this shape. A large array is a mapped temporary file without a name, gone with the array."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size < LARGE:
        return np.zeros(shape, dtype=dtype)
    with tempfile.TemporaryFile(prefix="lumpnet-") as file:
        file.truncate(size)
        return np.memmap(file, dtype=dtype, mode="r+", shape=shape).view(np.ndarray)


def selected(array: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """`array[rows][:, columns]`."""
    out = zeros((len(rows), len(columns), *array.shape[2:]), array.dtype)
    step = max(1, _BLOCK // max(1, math.prod(out.shape[1:])))
    plain = len(columns) == array.shape[1] and bool((np.diff(columns) == 1).all())
    for at in range(0, len(rows), step):
        block = array[rows[at : at + step]]
        out[at : at + step] = block if plain else block[:, columns]
    return out
