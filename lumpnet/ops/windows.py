"""Sliding windows over spatial axes: sizes, which taps leave the input, and patches for `run`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np


def positions(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool = False) -> int:
    """Number of output positions along one axis, as PyTorch counts them."""
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    if room < 0:
        return 0
    count = room // stride + 1
    if ceil_mode and room % stride and count * stride < size + padding:
        count += 1
    return count


def outside(size: int, kernel: int, stride: int, padding: int, dilation: int, count: int) -> np.ndarray:
    """(count, kernel) bool: output position p reads tap t outside the input."""
    at = np.arange(count)[:, None] * stride - padding + np.arange(kernel)[None, :] * dilation
    return np.asarray((at < 0) | (at >= size), dtype=bool)


def border_taps(
    sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], counts: Sequence[int]
) -> np.ndarray:
    """(taps,) bool in row-major order: taps that some output position reads outside the input."""
    per_axis = [np.asarray(outside(*axis).any(axis=0)) for axis in zip(sizes, kernel, stride, padding, dilation, counts, strict=True)]
    return np.array([any(b[t] for b, t in zip(per_axis, tap, strict=True)) for tap in product(*map(range, kernel))], dtype=bool)


def reached(size: int, kernel: int, stride: int, padding: int, dilation: int, count: int) -> np.ndarray:
    """(count, kernel) bool: output position p of a transposed convolution reads the operand through tap t."""
    at = np.arange(count)[:, None] + padding - np.arange(kernel)[None, :] * dilation
    return np.asarray((at % stride == 0) & (at >= 0) & (at // stride < size), dtype=bool)


def taps(
    x: np.ndarray, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int], counts: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """For each kernel tap the strided view of the (already padded) input, shape (N, C, *counts)."""
    for tap in product(*map(range, kernel)):
        slices = tuple(slice(t * d, t * d + s * (c - 1) + 1, s) for t, d, s, c in zip(tap, dilation, stride, counts, strict=True))
        yield tap, x[(slice(None), slice(None), *slices)]


def pad(x: np.ndarray, before: Sequence[int], after: Sequence[int], value: object) -> np.ndarray:
    """Pad the spatial axes of (N, C, ...) with `value`."""
    widths = [(0, 0), (0, 0), *zip(before, after, strict=True)]
    return np.pad(x, widths, constant_values=value)  # type: ignore[call-overload,no-any-return]
