"""Embedding: rows of a table, looked up by integers; a linear layer over inputs of which exactly one is one (THEORY section 2).

Unit j of the output is column j of the table. As exactly one row is looked up,
a constant added to a column is an offset: `t_j = rho t_i + c` on every row.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from lumpnet.errors import GraphError
from lumpnet.exact import ONE, Merge, Scaled, constant_array, fractions, integers, linear_forms
from lumpnet.exact.fingerprint import P, residues
from lumpnet.ir import Shape
from lumpnet.ops import rows
from lumpnet.ops.base import Kept, Op, ParamAxes, Params, Piece, Site
from lumpnet.ops.registry import register
from lumpnet.partition import Demand, Lumping, normal_form


@register
class Embedding(Op):
    """weight (table size, units); the operand holds int32 or int64."""

    kind = "embedding"
    counts_units = True

    def infer(self, shapes: Sequence[Shape], attrs: Any, params: Params) -> Shape:
        weight = params["weight"]
        if weight.ndim != 2 or not len(weight):
            raise GraphError("embedding", f"a table of shape {weight.shape}", "(entries, units)")
        return (*shapes[0], weight.shape[1])

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        index, weight = xs[0].astype(np.int64), site.params["weight"]
        if (index < 0).any() or (index >= len(weight)).any():
            raise GraphError(site.node.name, "it is asked for an entry that its table does not have", f"integers from 0 to {len(weight) - 1}")
        return np.asarray(weight[index])

    def unit_axis(self, site: Site) -> int | None:
        return len(site.shape) - 1

    def param_axes(self, site: Site) -> ParamAxes | None:
        return {"weight": (1, None)}

    def choices(self, site: Site) -> int | None:
        return len(site.params["weight"])

    def forward(self, site: Site, ins: Sequence[Lumping]) -> Lumping:
        columns = site.params["weight"].T
        n = len(columns)
        keys: list[Hashable] = list(range(n))
        scale, offset, value = constant_array(n, ONE), fractions(columns[:, 0]), constant_array(n, None)
        for members in _candidates(columns):
            moved = _moved(columns[members])
            for base, units, ratios in rows.proportional(moved.ints, members):
                for i in units if base is None else ():
                    keys[i], value[i] = None, offset[i]
                for i, ratio in zip(units, ratios, strict=False):
                    keys[i], scale[i] = base, ratio
        return normal_form(keys, scale, offset, value)

    def demands(
        self, site: Site, ins: Sequence[Lumping], out: Lumping, free: Sequence[np.ndarray], free_out: np.ndarray
    ) -> tuple[list[Demand | None], Demand | None]:
        return [None], None

    def alive(self, site: Site, ins: Sequence[Lumping], out: Lumping, alive_out: np.ndarray) -> list[np.ndarray]:
        return [np.full(len(ins[0]), bool(alive_out.any()))]

    def quotient(self, site: Site, ins: Sequence[Kept], out: Kept) -> Piece:
        return Piece(self.kind, (0,), dict(site.attrs), {"weight": site.params["weight"][:, out.units]})


def _candidates(columns: np.ndarray) -> list[list[int]]:
    """Groups of columns (units, entries) that may agree up to scale and offset: fingerprints of their distances to their first entry."""
    whole = Merge(np.arange(columns.shape[1]), constant_array(columns.shape[1], ONE), columns.shape[1])
    ones = linear_forms(np.ones((1, columns.shape[1], 1)), whole)
    forms = (linear_forms(columns[:, :, None], whole) - residues(columns[:, :1]) * ones) % P
    return [members.tolist() for members in rows.alike(forms, np.arange(len(columns))).values()]


def _moved(columns: np.ndarray) -> Scaled:
    """The columns minus their first entries, exactly."""
    scaled = integers(columns, 1)
    return Scaled(scaled.ints - scaled.ints[:, :1], scaled.factor)
