"""Two operands unit by unit: the columns of both operands and of the output are shared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lumpnet.errors import GraphError
from lumpnet.exact import ONE, constant_array
from lumpnet.ir import Shape
from lumpnet.ops.base import Op, Params, Site, claimed
from lumpnet.partition import Demand, Lumping


class Pairwise(Op):
    """`add` and `mul`. Operands may be broadcast along positions (axes of size 1), never along units."""

    def infer(self, shapes: Sequence[Shape], attrs: Any, params: Params) -> Shape:
        a, b = shapes
        if len(a) != len(b) or any(m != n and 1 not in (m, n) for m, n in zip(a, b, strict=True)):
            raise GraphError(self.kind, f"operands of shapes {a} and {b}", "equal shapes, or size 1 along positions")
        return tuple(n if m == 1 else m for m, n in zip(a, b, strict=True))

    def unit_axis(self, site: Site) -> int | None:
        axes = {axis for axis in site.in_axes if axis is not None}
        if len(axes) != 1:
            return None
        (axis,) = axes
        return axis if all(s[axis] == site.shape[axis] for s in site.in_shapes) else None

    def why_pinned(self, site: Site) -> str:
        return f"its operands' units lie on axes {site.in_axes}, of shapes {site.in_shapes}"

    def demands(
        self, site: Site, ins: Sequence[Lumping], out: Lumping, free: Sequence[np.ndarray], free_out: np.ndarray
    ) -> tuple[list[Demand | None], Demand | None]:
        if not claimed(out, free_out).any():
            return [None, None], None
        one, two, down = self.coupled([*ins, out], [*free, free_out])
        return [one, two], down

    def coupled(self, values: Sequence[Lumping], free: Sequence[np.ndarray]) -> list[Demand]:
        """Values that share columns: apart in one is apart in all, and an observed unit that stays in one stays in all."""
        stays = np.any([v.present & ~f for v, f in zip(values, free, strict=True)], axis=0) | claimed(values[-1], free[-1])
        label = np.where(values[-1].present, values[-1].classes, 0)  # the output's classes refine both operands'
        scale = constant_array(len(stays), ONE)
        for v in values:  # the last value is the output: its scale wins
            scale[v.present] = v.scale[v.present]
        return [Demand(label, stays & ~v.present, self.kept_scale(v, scale)) for v in values]

    def kept_scale(self, x: Lumping, shared: np.ndarray) -> np.ndarray:
        """Scales for constants of `x` that stay beside units with the scales `shared`."""
        return shared

    def alive(self, site: Site, ins: Sequence[Lumping], out: Lumping, alive_out: np.ndarray) -> list[np.ndarray]:
        return [alive_out & x.present for x in ins]

    def links(self, site: Site) -> list[tuple[np.ndarray, np.ndarray]]:
        units = np.arange(site.units)
        return [(units, units), (units, units)]
