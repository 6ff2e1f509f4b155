"""tanh and the sigmoid on arrays; on rationals they have a value at zero only."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from lumpnet.errors import NoExactValue


def tanh(x: np.ndarray, where: str) -> np.ndarray:
    """Raises `NoExactValue` for a non-zero rational."""
    return _at_zero(x, "tanh", where, Fraction(0)) if x.dtype == object else np.asarray(np.tanh(x))


def sigmoid(x: np.ndarray, where: str) -> np.ndarray:
    """Raises `NoExactValue` for a non-zero rational."""
    return _at_zero(x, "sigmoid", where, Fraction(1, 2)) if x.dtype == object else np.asarray(1 / (1 + np.exp(-x)))


def _at_zero(x: np.ndarray, name: str, where: str, value: Fraction) -> np.ndarray:
    if (x != 0).any():
        raise NoExactValue(where, f"{name} of a non-zero rational is irrational")
    return np.full(x.shape, value, dtype=object)
