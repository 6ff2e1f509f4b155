"""LeakyReLU with one slope: positive scales pass; a constant c becomes c or slope * c."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from lumpnet.exact import Number, Surd, sign
from lumpnet.ops.base import Site
from lumpnet.ops.registry import register
from lumpnet.ops.unary import Homogeneous


@register
class LeakyRelu(Homogeneous):
    kind = "leaky_relu"

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        slope = Fraction(site.attrs["slope"]) if xs[0].dtype == object else site.attrs["slope"]
        return np.where(xs[0] > 0, xs[0], xs[0] * slope)

    def constant(self, site: Site, unit: int, c: Number) -> Number | None:
        slope = Fraction(site.attrs["slope"])
        if sign(c) >= 0:
            return c
        return c.times(slope) if isinstance(c, Surd) else c * slope
