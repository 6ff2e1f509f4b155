"""Sigmoid: sigmoid(-u) = 1 - sigmoid(u), so scale -1 gives the row -y + 1; sigmoid(0) = 1/2."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from lumpnet.errors import NoExactValue
from lumpnet.exact import ONE, ZERO, Number
from lumpnet.ops.base import Site
from lumpnet.ops.registry import register
from lumpnet.ops.unary import Elementwise, Image


@register
class Sigmoid(Elementwise):
    kind = "sigmoid"

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        x = xs[0]
        if x.dtype == object:
            if (x != 0).any():
                raise NoExactValue(site.node.name, "sigmoid of a non-zero rational is irrational")
            return np.full(x.shape, Fraction(1, 2), dtype=object)
        return np.asarray(1 / (1 + np.exp(-x)))

    def row(self, site: Site, unit: int, scale: Fraction, offset: Fraction) -> Image:
        key = (abs(scale), offset / scale)
        return (key, ONE, ZERO) if scale > 0 else (key, -ONE, ONE)

    def constant(self, site: Site, unit: int, c: Number) -> Number | None:
        return Fraction(1, 2) if c == 0 else None
