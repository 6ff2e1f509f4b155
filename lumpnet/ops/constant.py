"""A value that ignores its operand: one number a unit, at every position.

What is left of a linear layer or a convolution whose observed rows are all
constant; the operand gives the batch its size and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lumpnet.errors import GraphError
from lumpnet.exact import ZERO, constant_array
from lumpnet.ir import Shape
from lumpnet.ops.base import Kept, Op, ParamAxes, Params, Piece, Site
from lumpnet.ops.registry import register
from lumpnet.partition import Demand, Lumping, normal_form


@register
class Constant(Op):
    kind = "constant"
    needs_operand = False

    def infer(self, shapes: Sequence[Shape], attrs: Any, params: Params) -> Shape:
        shape, axis = attrs["shape"], attrs["axis"]
        if not 1 <= axis <= len(shape) or params["value"].shape != (shape[axis - 1],):
            raise GraphError("constant", f"a value of shape {params['value'].shape} on axis {axis} of {shape}", "one number a unit")
        return (shapes[0][0], *shape)

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        aligned = site.params["value"].reshape([-1 if k == site.attrs["axis"] else 1 for k in range(len(site.shape))])
        return np.broadcast_to(aligned, (len(xs[0]), *site.attrs["shape"]))

    def unit_axis(self, site: Site) -> int | None:
        return int(site.attrs["axis"])

    def forward(self, site: Site, ins: Sequence[Lumping]) -> Lumping:
        n = site.units
        value = constant_array(n, None)
        value[:] = [Fraction(float(v)) for v in site.params["value"]]
        return normal_form([None] * n, constant_array(n, ZERO), constant_array(n, ZERO), value)

    def demands(
        self, site: Site, ins: Sequence[Lumping], out: Lumping, free: Sequence[np.ndarray], free_out: np.ndarray
    ) -> tuple[list[Demand | None], Demand | None]:
        return [None], None

    def alive(self, site: Site, ins: Sequence[Lumping], out: Lumping, alive_out: np.ndarray) -> list[np.ndarray]:
        return [np.zeros(len(ins[0]), dtype=bool)]

    def param_axes(self, site: Site) -> ParamAxes | None:
        return {"value": (0, None)}

    def quotient(self, site: Site, ins: Sequence[Kept], out: Kept) -> Piece:
        return constant_piece(site, len(out.units), site.params["value"][out.units])


def constant_piece(site: Site, units: int, value: Any) -> Piece:
    """The node that holds `value` (units,) where `site` stands."""
    axis = int(site.axis or 0)
    shape = [int(d or 0) for d in site.shape[1:]]
    shape[axis - 1] = units
    return Piece("constant", (), {"shape": shape, "axis": axis}, {"value": value})
