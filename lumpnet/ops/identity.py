"""Identity, and dropout in evaluation: any row passes."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from lumpnet.exact import Number
from lumpnet.ops.base import Site
from lumpnet.ops.registry import register
from lumpnet.ops.unary import Elementwise, Image


@register
class Identity(Elementwise):
    kind = "identity"

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        return xs[0]

    def row(self, site: Site, unit: int, scale: Fraction, offset: Fraction) -> Image:
        return None, scale, offset

    def constant(self, site: Site, unit: int, c: Number) -> Number | None:
        return c


@register
class Dropout(Identity):
    """`p` acts only while training."""

    kind = "dropout"
