"""Softmax. Over units it mixes them and pins; over positions it acts unit by unit, and offsets cancel."""

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
class Softmax(Elementwise):
    """`softmax(u + c) = softmax(u)`, and of a constant it is one over the number of positions."""

    kind = "softmax"

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        if xs[0].dtype == object:
            raise NoExactValue(site.node.name, "softmax is irrational")
        e = np.exp(xs[0] - xs[0].max(axis=site.attrs["axis"], keepdims=True))
        return np.asarray(e / e.sum(axis=site.attrs["axis"], keepdims=True))

    def unit_axis(self, site: Site) -> int | None:
        return site.in_axes[0] if site.in_axes[0] != site.attrs["axis"] else None

    def why_pinned(self, site: Site) -> str:
        return "softmax mixes its units"

    def row(self, site: Site, unit: int, scale: Fraction, offset: Fraction) -> Image:
        return scale, ONE, ZERO

    def constant(self, site: Site, unit: int, c: Number) -> Number | None:
        return Fraction(1, int(site.shape[site.attrs["axis"]] or 1))
