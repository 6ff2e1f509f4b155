"""SiLU, x * sigmoid(x): only equal rows pass, silu(0) = 0."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from lumpnet.errors import NoExactValue
from lumpnet.exact import Number
from lumpnet.ops.base import Site
from lumpnet.ops.registry import register
from lumpnet.ops.unary import Opaque1


@register
class Silu(Opaque1):
    kind = "silu"

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        x = xs[0]
        if x.dtype == object:
            if (x != 0).any():
                raise NoExactValue(site.node.name, "silu of a non-zero rational is irrational")
            return np.full(x.shape, Fraction(0), dtype=object)
        return np.asarray(x / (1 + np.exp(-x)))

    def constant(self, site: Site, unit: int, c: Number) -> Number | None:
        return Fraction(0) if c == 0 else None
