"""GELU, exact (erf) or by tanh: only equal rows pass, gelu(0) = 0."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from lumpnet.errors import NoExactValue
from lumpnet.exact import Number
from lumpnet.ops.base import Site
from lumpnet.ops.registry import register
from lumpnet.ops.unary import Opaque1


@register
class Gelu(Opaque1):
    kind = "gelu"

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        x = xs[0]
        if x.dtype == object:
            if (x != 0).any():
                raise NoExactValue(site.node.name, "gelu of a non-zero rational is irrational")
            return np.full(x.shape, Fraction(0), dtype=object)
        return _gelu(x, site.attrs["approximate"])

    def constant(self, site: Site, unit: int, c: Number) -> Number | None:
        return Fraction(0) if c == 0 else None


def _gelu(x: np.ndarray, approximate: str) -> np.ndarray:
    if approximate == "tanh":
        return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))
    return np.asarray(0.5 * x * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2))))
