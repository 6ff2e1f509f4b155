"""Transcendental functions in float64 with an error that is proved, not trusted: +, *, / and comparisons only.

Margins are absolute and far wider than the errors derived beside them; the tests
compare with 50 digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from lumpnet.bounds.outward import Array

MARGIN = 2.0**-32
"""|sigmoid - s|, |tanh - t|, |erf - e| for the functions below; of `decay` it is the relative error, where it is no underflow."""
_SQUARINGS, _TERMS, _FAR = 11, 13, 700.0
_FLOOR = 2.0**-1000
_ERF_TERMS, _ERF_END = 200, 6.0


def decay(t: Array) -> Array:
    """exp(-t) for t >= 0: at most `MARGIN` exp(-t) + `_FLOOR` off.

    s = t / 2^11 <= 0.342 for t <= 700; 13 terms of the series leave 0.342^13 / 13! < 2e-16, Horner's rule errs by 27 u e^s, so
    the relative error is below 60 u; eleven squarings double it and add u each time: 2^11 * 61 u < 2^-36. Beyond 700 both are below 2^-1000.
    """
    s = np.minimum(t, _FAR) / 2.0**_SQUARINGS
    out = np.zeros_like(s)
    for k in range(_TERMS - 1, -1, -1):
        out = out * -s + 1 / math.factorial(k)
    for _ in range(_SQUARINGS):
        out = out * out
    return out


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x): the derivative in e^-|x| is at most 1, so 2^-36 there and three roundings stay below `MARGIN`."""
    e = decay(np.abs(x))
    return np.asarray(np.where(x >= 0, 1.0, e) / (1 + e))


def tanh(x: Array) -> Array:
    """(1 - e) / (1 + e) with e = e^-2|x|: the derivative in e is at most 2, so 2^-35 and four roundings stay below `MARGIN`."""
    with np.errstate(over="ignore"):
        e = decay(2 * np.abs(x))
    return np.asarray(np.sign(x) * ((1 - e) / (1 + e)))


def erf(x: Array) -> Array:
    """2 / sqrt(pi) e^(-x^2) sum of 2^n x^(2n+1) / (2n+1)!!, terms of one sign (Abramowitz and Stegun 7.1.6).

    For |x| <= 6 the 200 terms have 600 roundings (7e-14 relative) and leave less than 1e-60; x^2 is off by 36 u, e^(-x^2) by 2^-36. Beyond 6, 1 - erf < 3e-17.
    """
    near = np.minimum(np.abs(x), _ERF_END)
    square = near * near
    term, total = near, near.copy()
    for n in range(1, _ERF_TERMS):
        term = term * (2 * square) / (2 * n + 1)
        total = total + term
    return np.asarray(np.sign(x) * np.minimum(2 / math.sqrt(math.pi) * decay(square) * total, 1.0))


def silu(x: Array) -> Array:
    return np.asarray(x * sigmoid(x))


def gelu(x: Array) -> Array:
    """x/2 (1 + erf(x / sqrt 2)): the argument's two roundings change erf by less than 2 u."""
    return np.asarray(0.5 * x * (1 + erf(x / math.sqrt(2))))


def gelu_tanh(x: Array) -> Array:
    """x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))): the argument's relative error 8 u changes tanh by less than 8 u."""
    with np.errstate(over="ignore"):
        z = math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))
    return np.asarray(0.5 * x * (1 + tanh(z)))


GATED: dict[str, tuple[Callable[[Array], Array], float, float, float, float]] = {
    "silu": (silu, -1.279, -1.278, -0.2785, 1.1),
    "gelu": (gelu, -0.752, -0.751, -0.17, 1.13),
    "gelu_tanh": (gelu_tanh, -0.753, -0.752, -0.1701, 1.13),
}
"""x times something between 0 and 1: the function, two numbers around its only minimum, a number below the minimum, a Lipschitz constant.

Each falls up to its minimum and rises after it; `MARGIN` |x| bounds the error."""
