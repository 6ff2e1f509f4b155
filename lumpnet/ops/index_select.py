"""Selection of entries along one axis (THEORY section 2, Slice): slices, pieces, constant indices, shuffles.

Along positions the units stay. Along the unit axis every output unit is one
operand unit, but columns are not shared: a column of the operand may be read
once, several times or not at all, so operand and output are lumped each by its
own needs. Only what represents an output class must be equal to what represents
the operand's, since a selection cannot scale.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lumpnet.errors import GraphError
from lumpnet.exact import ONE, constant_array
from lumpnet.ir import Shape
from lumpnet.ops.base import Kept, Params, Piece, Site, claimed, keep_where
from lumpnet.ops.layout import Layout
from lumpnet.ops.registry import register
from lumpnet.partition import Demand, Lumping, labels


@register
class IndexSelect(Layout):
    kind = "index_select"

    def infer(self, shapes: Sequence[Shape], attrs: Any, params: Params) -> Shape:
        (x,), axis, index = shapes, attrs["axis"], attrs["index"]
        if not 1 <= axis < len(x) or not index or not all(0 <= i < int(x[axis] or 0) for i in index):
            raise GraphError("index_select", f"entries {index[:8]} of axis {axis} of shape {x}", "at least one entry, each within an axis after the batch")
        return (*x[:axis], len(index), *x[axis + 1 :])

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        return np.asarray(np.take(xs[0], site.attrs["index"], site.attrs["axis"]))

    def target_axis(self, site: Site) -> int | None:
        return site.in_axes[0]

    def unit_axis(self, site: Site) -> int | None:
        return site.in_axes[0]

    def why_pinned(self, site: Site) -> str:
        return f"its operand is whole: no units are followed on any axis of shape {site.in_shapes[0]}"

    def over_units(self, site: Site) -> bool:
        return bool(site.axis == site.attrs["axis"])

    def source(self, site: Site) -> np.ndarray:
        return np.array(site.attrs["index"], dtype=np.int64) if self.over_units(site) else np.arange(site.units)

    def slots(self, site: Site) -> Sequence[Hashable]:
        return [0] * site.units

    def demands(
        self, site: Site, ins: Sequence[Lumping], out: Lumping, free: Sequence[np.ndarray], free_out: np.ndarray
    ) -> tuple[list[Demand | None], Demand | None]:
        if not self.over_units(site):
            return super().demands(site, ins, out, free, free_out)
        return [demand_of_choice(ins[0], out, self.source(site), claimed(out, free_out), free_out)], None

    def links(self, site: Site) -> list[tuple[np.ndarray, np.ndarray]]:
        return [] if self.over_units(site) else super().links(site)

    def same_units(self, site: Site) -> list[tuple[np.ndarray, np.ndarray]]:
        return super().links(site)

    def quotient(self, site: Site, ins: Sequence[Kept], out: Kept) -> Piece:
        if not self.over_units(site):
            return Piece(self.kind, (0,), dict(site.attrs), {})
        chosen = ins[0].column[self.source(site)[out.units]]
        return Piece(self.kind, (0,), {"axis": site.attrs["axis"], "index": chosen.tolist()}, {})


def demand_of_choice(x: Lumping, out: Lumping, source: np.ndarray, needed: np.ndarray, free_out: np.ndarray) -> Demand | None:
    """What `out`, whose unit j is unit `source[j]` of `x`, asks of `x`.

    A constant stays if an output unit that is no constant comes from it. Where
    an observed output class is represented by a unit that is another multiple
    than the one that represents its class in `x`, only equal units may share that class.
    """
    kept = np.zeros(len(x), dtype=bool)
    scale = constant_array(len(x), ONE)
    for j in np.flatnonzero(needed & ~x.present[source]):
        kept[source[j]], scale[source[j]] = True, out.scale[j]
    unequal = {int(x.classes[i]) for i in source[[r for r in out.first if not free_out[r]]] if x.present[i] and (x.scale[i] != 1 or x.offset[i] != 0)}
    if not unequal:
        return keep_where(kept, scale) if kept.any() else None
    apart = [(x.scale[i], x.offset[i]) if c in unequal else None for i, c in enumerate(x.classes.tolist())]
    return replace(keep_where(kept, scale), label=labels(apart))
