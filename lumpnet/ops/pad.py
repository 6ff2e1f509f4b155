"""Padding (THEORY section 2, Pad).

At positions, copies of entries pass any row, and a stored value must keep its own
row. Along the unit axis a stored value is a number of constant units more.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lumpnet.errors import GraphError
from lumpnet.exact import ONE, ZERO, Number, constant_array
from lumpnet.ir import Shape
from lumpnet.ops.base import Kept, Params, Piece, Site, claimed, stay_together
from lumpnet.ops.registry import register
from lumpnet.ops.unary import Image, Unary, default_keep
from lumpnet.partition import GONE, Demand, Lumping, normal_form

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
        if axis is None or not any(site.attrs["pads"][axis - 1]):
            return axis
        elsewhere = any(n for k, pair in enumerate(site.attrs["pads"]) if k != axis - 1 for n in pair)
        return axis if site.attrs["mode"] == "constant" and not elsewhere else None

    def why_pinned(self, site: Site) -> str:
        return f"pads the unit axis {site.in_axes[0]} with copies, or positions with it"

    def value(self, site: Site) -> Fraction | None:
        """The stored value that enters at positions, or None where only copies do."""
        return Fraction(site.attrs["value"]) if site.attrs["mode"] == "constant" and not self.over_units(site) else None

    def over_units(self, site: Site) -> bool:
        return site.axis is not None and any(site.attrs["pads"][site.axis - 1])

    def own(self, site: Site) -> slice:
        """The operand's units among the output's."""
        before, after = site.attrs["pads"][(site.axis or 1) - 1]
        return slice(before, site.units - after)

    def forward(self, site: Site, ins: Sequence[Lumping]) -> Lumping:
        if not self.over_units(site):
            return super().forward(site, ins)
        (x,), own = ins, self.own(site)
        keys: list[Hashable] = [None] * site.units
        keys[own] = [None if c == GONE else c for c in x.classes.tolist()]
        scale, offset, value = (constant_array(site.units, v) for v in (ONE, ZERO, Fraction(site.attrs["value"])))
        scale[own], offset[own], value[own] = x.scale, x.offset, x.value
        return normal_form(keys, scale, offset, value)

    def demands(
        self, site: Site, ins: Sequence[Lumping], out: Lumping, free: Sequence[np.ndarray], free_out: np.ndarray
    ) -> tuple[list[Demand | None], Demand | None]:
        if not self.over_units(site):
            return super().demands(site, ins, out, free, free_out)
        (x,), own = ins, self.own(site)
        if not claimed(out, free_out).any():
            return [None], None
        if not x.present.any():  # the batch has to come from somewhere
            return [default_keep(x, np.arange(len(x)) == 0)], None
        seen = Lumping(out.classes[own], out.scale[own], out.offset[own], out.value[own])
        inner_free = np.ones(site.units, dtype=bool)
        inner_free[own] = free[0]
        return [stay_together(x, seen, free_out[own])], stay_together(out, self.forward(site, ins), inner_free)

    def alive(self, site: Site, ins: Sequence[Lumping], out: Lumping, alive_out: np.ndarray) -> list[np.ndarray]:
        if not self.over_units(site):
            return super().alive(site, ins, out, alive_out)
        mask = alive_out[self.own(site)] & ins[0].present
        if alive_out.any() and not mask.any():
            mask = np.arange(len(mask)) == (ins[0].first[0] if ins[0].count else -1)
        return [mask]

    def links(self, site: Site) -> list[tuple[np.ndarray, np.ndarray]]:
        if not self.over_units(site):
            return super().links(site)
        own = np.arange(site.units)[self.own(site)]
        return [(np.arange(len(own)), own)]

    def quotient(self, site: Site, ins: Sequence[Kept], out: Kept) -> Piece:
        """As many units before and after as there are columns of constants: the first units of columns are in order."""
        pads = [list(pair) for pair in site.attrs["pads"]]
        if self.over_units(site) and site.axis is not None:
            own, kept = self.own(site), len(out.units)
            before = {c for c in out.column[: own.start].tolist() if 0 <= c < kept}
            after = {c for c in out.column[own.stop :].tolist() if 0 <= c < kept} - before
            pads[site.axis - 1] = [len(before), len(after)]
        return Piece(self.kind, (0,), dict(site.attrs) | {"pads": pads}, {})

    def row(self, site: Site, unit: int, scale: Fraction, offset: Fraction) -> Image:
        value = self.value(site)
        return None if value is None else (value - offset) / scale, scale, offset

    def constant(self, site: Site, unit: int, c: Number) -> Number | None:
        value = self.value(site)
        return c if value is None or c == value else None
