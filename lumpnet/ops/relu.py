"""ReLU: rows with positive scale and no offset pass; a constant c becomes max(c, 0)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lumpnet.exact import ZERO, Number, sign
from lumpnet.ops.base import Site
from lumpnet.ops.registry import register
from lumpnet.ops.unary import Homogeneous


@register
class Relu(Homogeneous):
    kind = "relu"

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        return np.asarray(np.maximum(xs[0], 0))

    def constant(self, site: Site, unit: int, c: Number) -> Number | None:
        return c if sign(c) > 0 else ZERO
