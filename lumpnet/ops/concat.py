"""Concatenation along the unit axis: the columns of the operands, side by side."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from lumpnet.errors import GraphError
from lumpnet.ir import Shape
from lumpnet.ops.base import Kept, Op, Params, Piece, Site, claimed, stay_together
from lumpnet.ops.registry import register
from lumpnet.partition import GONE, Demand, Lumping, normal_form


@register
class Concat(Op):
    kind = "concat"

    def infer(self, shapes: Sequence[Shape], attrs: Any, params: Params) -> Shape:
        axis = attrs["axis"]
        rest = {(*s[:axis], *s[axis + 1 :]) for s in shapes}
        if len(rest) != 1 or axis < 1:
            raise GraphError("concat", f"operands of shapes {list(shapes)}", f"equal shapes but for axis {axis}")
        return (*shapes[0][:axis], sum(int(s[axis] or 0) for s in shapes), *shapes[0][axis + 1 :])

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate(xs, axis=site.attrs["axis"])

    def unit_axis(self, site: Site) -> int | None:
        axis = site.attrs["axis"]
        return axis if all(a in (None, axis) for a in site.in_axes) and any(a == axis for a in site.in_axes) else None

    def why_pinned(self, site: Site) -> str:
        return f"joins along axis {site.attrs['axis']}, the operands' units lie on axes {site.in_axes}"

    def _parts(self, site: Site) -> list[slice]:
        ends = np.cumsum([0] + [int(s[site.attrs["axis"]] or 0) for s in site.in_shapes]).tolist()
        return [slice(a, b) for a, b in pairwise(ends)]

    def forward(self, site: Site, ins: Sequence[Lumping]) -> Lumping:
        keys: list[Hashable] = []
        for k, x in enumerate(ins):
            keys += [None if c == GONE else (k, c) for c in x.classes.tolist()]
        scale, offset, value = (np.concatenate([getattr(x, part) for x in ins]) for part in ("scale", "offset", "value"))
        return normal_form(keys, scale, offset, value)

    def demands(
        self, site: Site, ins: Sequence[Lumping], out: Lumping, free: Sequence[np.ndarray], free_out: np.ndarray
    ) -> tuple[list[Demand | None], Demand | None]:
        if not claimed(out, free_out).any():
            return [None] * len(ins), None
        ups: list[Demand | None] = []
        for part, x in zip(self._parts(site), ins, strict=True):
            seen = Lumping(out.classes[part], out.scale[part], out.offset[part], out.value[part])
            ups.append(stay_together(x, seen, free_out[part]))
        inner = self.forward(site, ins)
        return ups, stay_together(out, inner, np.concatenate(list(free)))

    def alive(self, site: Site, ins: Sequence[Lumping], out: Lumping, alive_out: np.ndarray) -> list[np.ndarray]:
        return [alive_out[part] & x.present for part, x in zip(self._parts(site), ins, strict=True)]

    def links(self, site: Site) -> list[tuple[np.ndarray, np.ndarray]]:
        return [(np.arange(part.stop - part.start), np.arange(part.start, part.stop)) for part in self._parts(site)]

    def quotient(self, site: Site, ins: Sequence[Kept], out: Kept) -> Piece:
        staying = tuple(k for k, x in enumerate(ins) if len(x.units) or site.axis is None)
        return Piece(self.kind, staying, dict(site.attrs), {})
