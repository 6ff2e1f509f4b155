"""`x * factor`, `x + term` and `x / divisor` with a constant that is one number or one number a unit."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lumpnet.errors import GraphError
from lumpnet.exact import ZERO, Number, Surd
from lumpnet.ir import Shape
from lumpnet.ops.base import Kept, ParamAxes, Piece, Site
from lumpnet.ops.registry import register
from lumpnet.ops.unary import Elementwise, Image


class _WithConstant(Elementwise):
    role = ""

    def unit_axis(self, site: Site) -> int | None:
        axis = site.in_axes[0]
        return axis if site.params[self.role].ndim == 0 or axis == site.attrs["axis"] else None

    def why_pinned(self, site: Site) -> str:
        return f"its constant varies along axis {site.attrs['axis']}, the operand's units lie on axis {site.in_axes[0]}"

    def number(self, site: Site, unit: int) -> Fraction:
        tensor = site.params[self.role]
        return Fraction(float(tensor if tensor.ndim == 0 else tensor[unit]))

    def aligned(self, site: Site) -> Any:
        tensor = site.params[self.role]
        shape = [1] * len(site.shape)
        if tensor.ndim:
            shape[site.attrs["axis"]] = -1
        return tensor.reshape(shape)

    def param_axes(self, site: Site) -> ParamAxes | None:
        return {self.role: (0 if site.params[self.role].ndim else None, None)}

    def quotient(self, site: Site, ins: Sequence[Kept], out: Kept) -> Piece:
        tensor = site.params[self.role]
        return Piece(self.kind, (0,), dict(site.attrs), {self.role: tensor if tensor.ndim == 0 or site.axis is None else tensor[out.units]})


@register
class MulConstant(_WithConstant):
    """A zero factor makes the constant 0; otherwise scales and offsets are multiplied."""

    kind, role = "mul_constant", "factor"

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        return np.asarray(xs[0] * self.aligned(site))

    def row(self, site: Site, unit: int, scale: Fraction, offset: Fraction) -> Image:
        k = self.number(site, unit) or Fraction(1)
        return None, k * scale, k * offset

    def constant(self, site: Site, unit: int, c: Number) -> Number | None:
        k = self.number(site, unit)
        return c.times(k) if isinstance(c, Surd) else c * k

    def always(self, site: Site, unit: int) -> Number | None:
        return None if self.number(site, unit) else ZERO

    def moves_all(self, site: Site) -> bool:
        return bool(site.params[self.role].all())

    def rescale(self, site: Site, unit: int, scale: Fraction) -> Fraction:
        return scale / (self.number(site, unit) or Fraction(1))


@register
class AddConstant(_WithConstant):
    kind, role = "add_constant", "term"

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        return np.asarray(xs[0] + self.aligned(site))

    def row(self, site: Site, unit: int, scale: Fraction, offset: Fraction) -> Image:
        return None, scale, offset + self.number(site, unit)

    def constant(self, site: Site, unit: int, c: Number) -> Number | None:
        k = self.number(site, unit)
        return c.plus(k) if isinstance(c, Surd) else c + k


@register
class DivConstant(_WithConstant):
    """Multiplication by the exact inverse; a zero divisor is no network."""

    kind, role = "div_constant", "divisor"

    def infer(self, shapes: Sequence[Shape], attrs: Any, params: Any) -> Shape:
        if not np.all(params[self.role]):
            raise GraphError("div_constant", "a divisor that is zero", "divisors other than 0")
        return tuple(shapes[0])

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        return np.asarray(xs[0] / self.aligned(site))

    def row(self, site: Site, unit: int, scale: Fraction, offset: Fraction) -> Image:
        k = self.number(site, unit)
        return None, scale / k, offset / k

    def constant(self, site: Site, unit: int, c: Number) -> Number | None:
        k = self.number(site, unit)
        return c.times(1 / k) if isinstance(c, Surd) else c / k

    def rescale(self, site: Site, unit: int, scale: Fraction) -> Fraction:
        return scale * self.number(site, unit)
