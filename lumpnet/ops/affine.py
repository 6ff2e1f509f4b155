"""What linear layers and convolutions share: rows collapsed over the operand's classes, tap by tap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lumpnet.exact import Collapsed, Scaled
from lumpnet.ir import Shape
from lumpnet.ops import rows
from lumpnet.ops.base import Kept, Op, Piece, Site
from lumpnet.ops.constant import constant_piece
from lumpnet.partition import Demand, Lumping


class Affine(Op):
    """New columns from old ones: `W x + b`, W as (out, in, taps). With no operand unit left it is a constant."""

    needs_operand = False

    def by_rows(self, site: Site, stored: np.ndarray) -> np.ndarray:
        """An array stored like the weight, as (out, in, taps)."""
        return stored.reshape(*stored.shape[:2], -1)

    def as_stored(self, site: Site, weight: np.ndarray | Collapsed) -> np.ndarray | Collapsed:
        """The way back, for a weight (out, in, taps) of any size."""
        return weight.reshape(*weight.shape[:2], *site.params["weight"].shape[2:])

    def seen(self, site: Site) -> rows.Taps:
        """The taps that one output position reads."""
        return rows.ALL

    def uneven(self, site: Site) -> rows.Uneven | None:
        """Where constants are another number at another position."""
        return None

    def weight(self, site: Site) -> np.ndarray:
        return self.by_rows(site, site.params["weight"])

    def forward(self, site: Site, ins: Sequence[Lumping]) -> Lumping:
        return rows.forward(self.weight(site), site.params.get("bias"), ins[0], self.seen(site))

    def demands(
        self, site: Site, ins: Sequence[Lumping], out: Lumping, free: Sequence[np.ndarray], free_out: np.ndarray
    ) -> tuple[list[Demand | None], Demand | None]:
        return [rows.demands(self.weight(site), self.uneven(site), ins[0], out, free_out)], None

    def alive(self, site: Site, ins: Sequence[Lumping], out: Lumping, alive_out: np.ndarray) -> list[np.ndarray]:
        (x,), read = ins, rows.observed(out, alive_out)
        known = site.once("alive", lambda: list[tuple[Lumping, np.ndarray, np.ndarray]]())
        for before, its, mask in known:
            if before is x and np.array_equal(its, read):
                return [mask]
        mask = rows.alive(self.weight(site), x, read)
        known[:] = [*known[-3:], (x, read, mask)]
        return [mask]

    def declined(self, site: Site, ins: Sequence[Kept], out: Kept, role: str, mask: np.ndarray) -> list[Demand | None]:
        return [rows.declined(self.weight(site), ins[0], out.units, self.by_rows(site, mask) if role == "weight" else mask)]

    def rounded(self, site: Site, mask: np.ndarray) -> np.ndarray:
        return np.flatnonzero(self.by_rows(site, mask).any(axis=(0, 2)))

    def rounding_cost(self, site: Site, members: np.ndarray, scales: np.ndarray, out: Kept, dtype: str) -> int:
        return rows.rounding_cost(self.weight(site), members, scales, out.units, dtype)

    def multiply_adds(self, site: Site) -> int:
        return int(site.params["weight"].size) * positions(site.shape, site.axis)

    def quotient(self, site: Site, ins: Sequence[Kept], out: Kept) -> Piece:
        """Rows at the representatives, collapsed to the columns that stay; a bias appears where constants fold into one."""
        (x,), weight, bias = ins, self.weight(site), site.params.get("bias")
        if not len(x.units):
            return constant_piece(site, len(out.units), stack(rows.shifts(weight, bias, x.lumping, out.units, self.seen(site))))
        params: dict[str, np.ndarray | Scaled | Collapsed] = dict(site.params)
        params["weight"] = self.as_stored(site, rows.quotient(weight, x.column, x.lumping.scale, len(x.units), out.units))
        if x.lumping.moved.any():
            values = rows.shifts(weight, bias, x.lumping, out.units, self.seen(site))
            if bias is not None or any(values):
                params["bias"] = stack(values)
        elif bias is not None:
            params["bias"] = bias[out.units]
        return Piece(site.node.kind, (0,), dict(site.attrs), params)


def positions(shape: Shape, axis: int | None) -> int:
    """Entries of one unit of a value."""
    return math.prod(int(d or 1) for k, d in enumerate(shape[1:], 1) if k != axis)


def stack(values: Sequence[Any]) -> Scaled:
    """Rationals as one exact array."""
    denominator = math.lcm(*(v.denominator for v in values)) if values else 1
    ints = np.empty(len(values), dtype=object)
    ints[:] = [int(v * denominator) for v in values]
    return Scaled(ints, Fraction(1, denominator))
