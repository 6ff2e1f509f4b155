"""Nearest neighbours by whole factors: every position is repeated, so any row passes."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lumpnet.errors import GraphError
from lumpnet.exact import Number
from lumpnet.ir import Shape
from lumpnet.ops.base import Params, Site
from lumpnet.ops.pools import Pool
from lumpnet.ops.registry import register
from lumpnet.ops.unary import Image


@register
class Upsample(Pool):
    kind = "upsample"

    def infer(self, shapes: Sequence[Shape], attrs: Any, params: Params) -> Shape:
        (x,), scales = shapes, attrs["scales"]
        if len(x) != len(scales) + 2 or not all(s >= 1 for s in scales) or attrs["mode"] != "nearest":
            raise GraphError("upsample", f"factors {scales} ({attrs['mode']}) on shape {x}", "(batch, channels, one axis a whole factor), mode nearest")
        return (*x[:2], *(int(n or 0) * s for n, s in zip(x[2:], scales, strict=True)))

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        out = xs[0]
        for axis, scale in enumerate(site.attrs["scales"]):
            out = np.repeat(out, scale, axis + 2)
        return out

    def row(self, site: Site, unit: int, scale: Fraction, offset: Fraction) -> Image:
        return None, scale, offset

    def constant(self, site: Site, unit: int, c: Number) -> Number | None:
        return c
