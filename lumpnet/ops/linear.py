"""Linear: `W x + b` on the last axis. `W[i] E_in` proportional within a class (THEORY section 2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lumpnet.errors import GraphError
from lumpnet.exact import Collapsed, Scaled
from lumpnet.ir import Shape
from lumpnet.ops import rows
from lumpnet.ops.base import Kept, Op, Params, Piece, Site
from lumpnet.ops.registry import register
from lumpnet.partition import Demand, Lumping

_NO_BORDER = np.zeros(1, dtype=bool)


@register
class Linear(Op):
    kind = "linear"
    counts_units = True

    def infer(self, shapes: Sequence[Shape], attrs: Any, params: Params) -> Shape:
        weight = params["weight"]
        if weight.ndim != 2 or shapes[0][-1] != weight.shape[1]:
            raise GraphError("linear", f"weight {weight.shape} on an operand of shape {shapes[0]}", "weight (out, in) with in = last axis")
        return (*shapes[0][:-1], weight.shape[0])

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        y = xs[0] @ site.params["weight"].T
        return np.asarray(y + site.params["bias"] if "bias" in site.params else y)

    def unit_axis(self, site: Site) -> int | None:
        last = len(site.shape) - 1
        return last if site.in_axes[0] in (None, last) else None

    def why_pinned(self, site: Site) -> str:
        return f"acts on the last axis while the operand's units lie on axis {site.in_axes[0]}"

    def forward(self, site: Site, ins: Sequence[Lumping]) -> Lumping:
        return rows.forward(_weight(site), site.params.get("bias"), ins[0])

    def demands(
        self, site: Site, ins: Sequence[Lumping], out: Lumping, free: Sequence[np.ndarray], free_out: np.ndarray
    ) -> tuple[list[Demand | None], Demand | None]:
        return [rows.demands(_weight(site), _NO_BORDER, ins[0], out, free_out)], None

    def alive(self, site: Site, ins: Sequence[Lumping], out: Lumping, alive_out: np.ndarray) -> list[np.ndarray]:
        return [rows.alive(_weight(site), ins[0], out, alive_out)]

    def declined(self, site: Site, ins: Sequence[Kept], out: Kept, role: str, mask: np.ndarray) -> list[Demand | None]:
        return [rows.declined(_weight(site), ins[0], out, role, mask)]

    def rounding_cost(self, site: Site, members: np.ndarray, scales: np.ndarray, out: Kept, dtype: str) -> int:
        return rows.rounding_cost(_weight(site), members, scales, out.units, dtype)

    def quotient(self, site: Site, ins: Sequence[Kept], out: Kept) -> Piece:
        (x,) = ins
        params = dict(site.params) | affine_params(_weight(site), site.params.get("bias"), x, out)
        params["weight"] = params["weight"].reshape(len(out.units), len(x.units))
        return Piece(self.kind, (0,), {}, params)


def _weight(site: Site) -> np.ndarray:
    return site.params["weight"][:, :, None]


def affine_params(weight: np.ndarray, bias: np.ndarray | None, x: Kept, out: Kept) -> dict[str, np.ndarray | Scaled | Collapsed]:
    """Weight (rows, columns, taps) and bias of the quotient; a bias appears where constants fold into one."""
    new: dict[str, np.ndarray | Scaled | Collapsed] = {"weight": rows.quotient(weight, x.column, x.lumping.scale, len(x.units), out.units)}
    if (x.lumping.offset != 0).any():
        values = rows.shifts(weight, bias, x.lumping, out.units)
        if bias is not None or any(values):
            new["bias"] = stack(values)
    elif bias is not None:
        new["bias"] = bias[out.units]
    return new


def stack(values: Sequence[Any]) -> Scaled:
    """Rationals as one exact array."""
    denominator = math.lcm(*(v.denominator for v in values)) if values else 1
    ints = np.empty(len(values), dtype=object)
    ints[:] = [int(v * denominator) for v in values]
    return Scaled(ints, Fraction(1, denominator))
