"""Padding of positions: copies of entries pass any row, a stored value must keep its own row (THEORY section 2, Pad)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lumpnet.errors import GraphError
from lumpnet.exact import Number
from lumpnet.ir import Shape
from lumpnet.ops.base import Params, Site
from lumpnet.ops.registry import register
from lumpnet.ops.unary import Image, Unary

MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
"""Names of the modes, and numpy's."""


@register
class Pad(Unary):
    kind = "pad"

    def infer(self, shapes: Sequence[Shape], attrs: Any, params: Params) -> Shape:
        (x,), pads = shapes, attrs["pads"]
        if len(pads) != len(x) - 1 or attrs["mode"] not in MODES or any(n < 0 for pair in pads for n in pair):
            raise GraphError("pad", f"{attrs['mode']} {pads} on shape {x}", "a pair for each axis after the batch, and a known mode")
        for n, pair in zip(x[1:], pads, strict=True):
            most = {"reflect": int(n or 0) - 1, "circular": int(n or 0), "replicate": 1 << 31 if n else 0}.get(attrs["mode"])
            if most is not None and max(pair) > most:
                raise GraphError("pad", f"{attrs['mode']} {pair} on an axis of size {n}", f"at most {most}")
        return (x[0], *(int(n or 0) + before + after for n, (before, after) in zip(x[1:], pads, strict=True)))

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        widths = [(0, 0), *map(tuple, site.attrs["pads"])]
        if site.attrs["mode"] != "constant":
            return np.asarray(np.pad(xs[0], widths, mode=MODES[site.attrs["mode"]]))  # type: ignore[call-overload]
        value = Fraction(site.attrs["value"]) if xs[0].dtype == object else site.attrs["value"]
        return np.asarray(np.pad(xs[0], widths, constant_values=value))  # type: ignore[arg-type]

    def unit_axis(self, site: Site) -> int | None:
        axis = site.in_axes[0]
        return axis if axis is not None and not any(site.attrs["pads"][axis - 1]) else None

    def why_pinned(self, site: Site) -> str:
        return f"pads the unit axis {site.in_axes[0]}"

    def value(self, site: Site) -> Fraction | None:
        """The stored value that enters, or None where only copies do."""
        return Fraction(site.attrs["value"]) if site.attrs["mode"] == "constant" else None

    def row(self, site: Site, unit: int, scale: Fraction, offset: Fraction) -> Image:
        value = self.value(site)
        return None if value is None else (value - offset) / scale, scale, offset

    def constant(self, site: Site, unit: int, c: Number) -> Number | None:
        value = self.value(site)
        return c if value is None or c == value else None
