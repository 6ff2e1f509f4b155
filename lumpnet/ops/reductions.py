"""Sums and extremes over positions: a sum counts an offset as often as there are positions; an extreme passes positive scales and any offset."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from lumpnet.exact import Number, Surd
from lumpnet.ops.base import Site
from lumpnet.ops.mean import Mean
from lumpnet.ops.registry import register
from lumpnet.ops.unary import Image


@register
class Sum(Mean):
    kind, verb = "sum", "adds up"

    def count(self, site: Site) -> int:
        return math.prod(int(site.in_shapes[0][a] or 0) for a in site.attrs["axes"])

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        return np.asarray(xs[0].sum(axis=tuple(site.attrs["axes"]), keepdims=site.attrs["keepdim"]))

    def row(self, site: Site, unit: int, scale: Fraction, offset: Fraction) -> Image:
        return None, scale, offset * self.count(site)

    def constant(self, site: Site, unit: int, c: Number) -> Number | None:
        count = Fraction(self.count(site))
        return c.times(count) if isinstance(c, Surd) else c * count


class _Extreme(Mean):
    verb = "compares"

    def row(self, site: Site, unit: int, scale: Fraction, offset: Fraction) -> Image:
        return scale > 0, scale, offset

    def constant(self, site: Site, unit: int, c: Number) -> Number | None:
        return c


@register
class Amax(_Extreme):
    kind = "amax"

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        return np.asarray(xs[0].max(axis=tuple(site.attrs["axes"]), keepdims=site.attrs["keepdim"]))


@register
class Amin(_Extreme):
    kind = "amin"

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        return np.asarray(xs[0].min(axis=tuple(site.attrs["axes"]), keepdims=site.attrs["keepdim"]))
