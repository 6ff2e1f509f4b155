"""PReLU: a slope a channel, or one for all. Positive scales pass among units of one slope; a constant c becomes c or slope * c."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from lumpnet.errors import GraphError
from lumpnet.exact import ZERO, Number, Surd, sign
from lumpnet.ir import Shape
from lumpnet.ops.base import Kept, ParamAxes, Params, Piece, Site
from lumpnet.ops.registry import register
from lumpnet.ops.unary import Elementwise, Image


@register
class PRelu(Elementwise):
    kind = "prelu"

    def infer(self, shapes: Sequence[Shape], attrs: object, params: Params) -> Shape:
        (x,), slope = shapes, params["slope"]
        if len(x) < 2 or slope.shape not in ((1,), (x[1],)):
            raise GraphError("prelu", f"slopes of shape {slope.shape} for shape {x}", "one slope, or one a channel of axis 1")
        return tuple(x)

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        slope = site.params["slope"].reshape(-1, *[1] * (xs[0].ndim - 2))
        return np.where(xs[0] > 0, xs[0], xs[0] * slope)

    def unit_axis(self, site: Site) -> int | None:
        axis = site.in_axes[0]
        return axis if axis == 1 or len(site.params["slope"]) == 1 else None

    def why_pinned(self, site: Site) -> str:
        return f"its slopes vary along axis 1, the operand's units lie on axis {site.in_axes[0]}"

    def slope(self, site: Site, unit: int) -> Fraction:
        stored = site.params["slope"]
        return Fraction(float(stored[unit if len(stored) > 1 else 0]))

    def row(self, site: Site, unit: int, scale: Fraction, offset: Fraction) -> Image:
        return (scale > 0, offset / scale, self.slope(site, unit)), scale, ZERO

    def constant(self, site: Site, unit: int, c: Number) -> Number | None:
        if sign(c) >= 0:
            return c
        slope = self.slope(site, unit)
        return c.times(slope) if isinstance(c, Surd) else c * slope

    def param_axes(self, site: Site) -> ParamAxes | None:
        return {"slope": (0 if len(site.params["slope"]) > 1 else None, None)}

    def quotient(self, site: Site, ins: Sequence[Kept], out: Kept) -> Piece:
        stored = site.params["slope"]
        return Piece(self.kind, (0,), {}, {"slope": stored if len(stored) == 1 or site.axis is None else stored[out.units]})
