"""Hardtanh (ReLU6 is hardtanh from 0 to 6): odd when the limits are symmetric, else only equal rows pass."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from lumpnet.exact import Number, compare
from lumpnet.ops.base import Site
from lumpnet.ops.registry import register
from lumpnet.ops.unary import Elementwise, Image, Odd, Opaque1

_ODD, _PLAIN = Odd(), Opaque1()


@register
class Hardtanh(Elementwise):
    kind = "hardtanh"

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        low, high = site.attrs["min"], site.attrs["max"]
        if xs[0].dtype == object:
            low, high = Fraction(low), Fraction(high)
        return np.asarray(np.minimum(np.maximum(xs[0], low), high))

    def row(self, site: Site, unit: int, scale: Fraction, offset: Fraction) -> Image:
        rule = _ODD if site.attrs["min"] == -site.attrs["max"] else _PLAIN
        return rule.row(site, unit, scale, offset)

    def constant(self, site: Site, unit: int, c: Number) -> Number | None:
        low, high = Fraction(site.attrs["min"]), Fraction(site.attrs["max"])
        if compare(c, high) >= 0 or low > high:  # PyTorch clamps from below first, then from above
            return high
        return low if compare(c, low) <= 0 else c
