"""Reshape and permute: entries move, values do not. The unit axis is followed by entry indices."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lumpnet.errors import GraphError
from lumpnet.exact import Number
from lumpnet.ir import Shape
from lumpnet.ops.base import Kept, Params, Piece, Site, size
from lumpnet.ops.registry import register
from lumpnet.ops.unary import Image, Unary


class Layout(Unary):
    """An operator that only moves entries. Output units each come from one operand unit, or the node pins."""

    def target_axis(self, site: Site) -> int | None:
        """The axis where the operand's unit axis ends up."""
        raise NotImplementedError

    def unit_axis(self, site: Site) -> int | None:
        if site.in_axes[0] is None:
            return None
        axis = self.target_axis(site)
        return axis if axis is not None and _sources(self, site, axis) is not None else None

    def why_pinned(self, site: Site) -> str:
        return f"turns shape {site.in_shapes[0]} into {site.shape}, which spreads units of axis {site.in_axes[0]} over positions"

    def source(self, site: Site) -> np.ndarray:
        found = _sources(self, site, site.axis)
        if found is None:
            raise GraphError(site.node.name, "its units do not come from single units", "a followed unit axis")
        return found[0]

    def slots(self, site: Site) -> Sequence[Hashable]:
        found = _sources(self, site, site.axis)
        return found[1].tolist() if found is not None else []

    def row(self, site: Site, unit: int, scale: Fraction, offset: Fraction) -> Image:
        return None, scale, offset

    def constant(self, site: Site, unit: int, c: Number) -> Number | None:
        return c


def _sources(op: Layout, site: Site, axis: int | None) -> tuple[np.ndarray, np.ndarray] | None:
    """Per output unit: the operand unit it comes from and a number for the positions it takes; None if it mixes units."""
    in_axis, in_shape = site.in_axes[0], tuple(int(d or 0) for d in site.in_shapes[0][1:])
    if in_axis is None or axis is None:
        return None
    n = size(site.shape, axis)
    if axis == in_axis and site.shape == site.in_shapes[0] and op.kind == "reshape":
        return np.arange(n), np.zeros(n, dtype=np.int64)
    entries = np.arange(math.prod(in_shape)).reshape(1, *in_shape)
    moved = np.moveaxis(op.run(site, [entries]), axis, 0).reshape(n, -1)
    if not moved.size:
        return None
    # not np.unravel_index, whose answer is wrong beyond 8,192 rows of one column (numpy 2.4.6)
    index = [moved // math.prod(in_shape[k + 1 :]) % d for k, d in enumerate(in_shape)]
    units = index[in_axis - 1]
    if (units != units[:, :1]).any():
        return None
    rest = [ix for k, ix in enumerate(index) if k != in_axis - 1]
    where = np.stack(rest, axis=-1).reshape(n, -1) if rest else np.zeros((n, 1), dtype=np.int64)
    _, slots = np.unique(where, axis=0, return_inverse=True)
    return units[:, 0], slots.reshape(-1)


@register
class Reshape(Layout):
    kind = "reshape"

    def infer(self, shapes: Sequence[Shape], attrs: Any, params: Params) -> Shape:
        before, after = [int(d or 0) for d in shapes[0][1:]], attrs["shape"]
        if math.prod(before) != math.prod(after):
            raise GraphError("reshape", f"shape {shapes[0]} into {after}", "the same number of entries")
        return (shapes[0][0], *after)

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        return xs[0].reshape(len(xs[0]), *site.attrs["shape"])

    def target_axis(self, site: Site) -> int | None:
        """The output axis that begins where the unit axis began, or holds it within a merged run of axes."""
        before, after = site.in_shapes[0], site.shape
        axis = site.in_axes[0] or 0
        start = math.prod(int(d or 0) for d in before[1:axis])
        stop = start * int(before[axis] or 0)
        for k in range(1, len(after)):
            begin = math.prod(int(d or 0) for d in after[1:k])
            if begin <= start and stop <= begin * int(after[k] or 0):
                return k
        return None

    def quotient(self, site: Site, ins: Sequence[Kept], out: Kept) -> Piece:
        shape = list(site.attrs["shape"])
        if site.axis is not None:
            shape[site.axis - 1] = len(out.units)
        return Piece(self.kind, (0,), {"shape": shape}, {})


@register
class Permute(Layout):
    kind = "permute"

    def infer(self, shapes: Sequence[Shape], attrs: Any, params: Params) -> Shape:
        if sorted(attrs["dims"]) != list(range(len(shapes[0]))) or attrs["dims"][0] != 0:
            raise GraphError("permute", f"dims {attrs['dims']} on shape {shapes[0]}", "a permutation that keeps the batch first")
        return tuple(shapes[0][d] for d in attrs["dims"])

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        return xs[0].transpose(site.attrs["dims"])

    def target_axis(self, site: Site) -> int | None:
        return list(site.attrs["dims"]).index(site.in_axes[0])
