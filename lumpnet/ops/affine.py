"""What linear layers and convolutions share: rows collapsed over the operand's classes, tap by tap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lumpnet.exact import Collapsed, Scaled
from lumpnet.ops import rows
from lumpnet.ops.base import Kept, Op, Piece, Site
from lumpnet.ops.constant import constant_piece
from lumpnet.partition import Demand, Lumping


class Affine(Op):
    """New columns from old ones: `W x + b`, W as (out, in, taps). With no operand unit left it is a constant."""

    needs_operand = False

    def border(self, site: Site) -> np.ndarray:
        """(taps,) bool: taps that some output position reads outside the operand."""
        return np.zeros(1, dtype=bool)

    def forward(self, site: Site, ins: Sequence[Lumping]) -> Lumping:
        return rows.forward(_weight(site), site.params.get("bias"), ins[0])

    def demands(
        self, site: Site, ins: Sequence[Lumping], out: Lumping, free: Sequence[np.ndarray], free_out: np.ndarray
    ) -> tuple[list[Demand | None], Demand | None]:
        return [rows.demands(_weight(site), self.border(site), ins[0], out, free_out)], None

    def alive(self, site: Site, ins: Sequence[Lumping], out: Lumping, alive_out: np.ndarray) -> list[np.ndarray]:
        return [rows.alive(_weight(site), ins[0], out, alive_out)]

    def declined(self, site: Site, ins: Sequence[Kept], out: Kept, role: str, mask: np.ndarray) -> list[Demand | None]:
        return [rows.declined(_weight(site), ins[0], out, role, mask)]

    def rounding_cost(self, site: Site, members: np.ndarray, scales: np.ndarray, out: Kept, dtype: str) -> int:
        return rows.rounding_cost(_weight(site), members, scales, out.units, dtype)

    def quotient(self, site: Site, ins: Sequence[Kept], out: Kept) -> Piece:
        """Rows at the representatives, collapsed to the columns that stay; a bias appears where constants fold into one."""
        (x,), weight, bias = ins, _weight(site), site.params.get("bias")
        if not len(x.units):
            return constant_piece(site, len(out.units), stack(rows.shifts(weight, bias, x.lumping, out.units)))
        params: dict[str, np.ndarray | Scaled | Collapsed] = dict(site.params)
        collapsed = rows.quotient(weight, x.column, x.lumping.scale, len(x.units), out.units)
        params["weight"] = collapsed.reshape(len(out.units), len(x.units), *site.params["weight"].shape[2:])
        if (x.lumping.offset != 0).any():
            values = rows.shifts(weight, bias, x.lumping, out.units)
            if bias is not None or any(values):
                params["bias"] = stack(values)
        elif bias is not None:
            params["bias"] = bias[out.units]
        return Piece(site.node.kind, (0,), dict(site.attrs), params)


def _weight(site: Site) -> np.ndarray:
    weight = site.params["weight"]
    return weight.reshape(*weight.shape[:2], -1)


def stack(values: Sequence[Any]) -> Scaled:
    """Rationals as one exact array."""
    denominator = math.lcm(*(v.denominator for v in values)) if values else 1
    ints = np.empty(len(values), dtype=object)
    ints[:] = [int(v * denominator) for v in values]
    return Scaled(ints, Fraction(1, denominator))
