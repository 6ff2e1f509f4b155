"""Convolution, 1d to 3d. The linear rule for every tap; zero padding breaks offsets (THEORY section 2).

With one group it is an affine map with taps; with more, see `grouped`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lumpnet.errors import GraphError
from lumpnet.ir import Shape
from lumpnet.ops import windows
from lumpnet.ops.affine import Affine
from lumpnet.ops.base import Kept, Op, Params, Piece, Site
from lumpnet.ops.grouped import Depthwise, Wide, border
from lumpnet.ops.registry import register
from lumpnet.partition import Demand, Lumping


@register
class Conv(Op):
    kind = "conv"
    counts_units = True
    needs_operand = False

    def infer(self, shapes: Sequence[Shape], attrs: Any, params: Params) -> Shape:
        weight, (x,) = params["weight"], shapes
        if len(x) != weight.ndim or x[1] != weight.shape[1] * attrs["groups"] or weight.shape[0] % attrs["groups"]:
            raise GraphError("conv", f"weight {weight.shape} in {attrs['groups']} groups on an operand of shape {x}", "matching channels")
        axes = zip(x[2:], weight.shape[2:], attrs["stride"], attrs["padding"], attrs["dilation"], strict=True)
        return (x[0], weight.shape[0], *(windows.positions(int(n or 0), *rest) for n, *rest in axes))

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        weight, attrs, counts = site.params["weight"], site.attrs, [int(n or 0) for n in site.shape[2:]]
        x = windows.pad(xs[0], attrs["padding"], attrs["padding"], 0)
        groups = attrs["groups"]
        outs = []
        for w, part in zip(np.split(weight, groups), np.split(x, groups, axis=1), strict=True):
            views = windows.taps(part, w.shape[2:], attrs["stride"], attrs["dilation"], counts)
            flat = w.reshape(*w.shape[:2], -1)
            terms = [np.moveaxis(np.tensordot(view, flat[:, :, t], axes=(1, 1)), -1, 1) for t, (_, view) in enumerate(views)]
            outs.append(np.add.reduce(terms))
        y = np.concatenate(outs, axis=1)
        if "bias" in site.params:
            y = y + site.params["bias"].reshape(-1, *[1] * len(counts))
        return y

    def unit_axis(self, site: Site) -> int | None:
        return 1 if site.in_axes[0] in (None, 1) else None

    def why_pinned(self, site: Site) -> str:
        return f"acts on axis 1 while the operand's units lie on axis {site.in_axes[0]}"

    def forward(self, site: Site, ins: Sequence[Lumping]) -> Lumping:
        return _rules(site).forward(site, ins)

    def demands(
        self, site: Site, ins: Sequence[Lumping], out: Lumping, free: Sequence[np.ndarray], free_out: np.ndarray
    ) -> tuple[list[Demand | None], Demand | None]:
        return _rules(site).demands(site, ins, out, free, free_out)

    def alive(self, site: Site, ins: Sequence[Lumping], out: Lumping, alive_out: np.ndarray) -> list[np.ndarray]:
        return _rules(site).alive(site, ins, out, alive_out)

    def links(self, site: Site) -> list[tuple[np.ndarray, np.ndarray]]:
        return _rules(site).links(site)

    def declined(self, site: Site, ins: Sequence[Kept], out: Kept, role: str, mask: np.ndarray) -> list[Demand | None]:
        return _rules(site).declined(site, ins, out, role, mask)

    def rounding_cost(self, site: Site, members: np.ndarray, scales: np.ndarray, out: Kept, dtype: str) -> int:
        return _rules(site).rounding_cost(site, members, scales, out, dtype)

    def quotient(self, site: Site, ins: Sequence[Kept], out: Kept) -> Piece:
        return _rules(site).quotient(site, ins, out)


class _Dense(Affine):
    """One group: an affine map with taps."""

    def border(self, site: Site) -> np.ndarray:
        return border(site)


_DENSE, _DEPTHWISE, _WIDE = _Dense(), Depthwise(), Wide()


def _rules(site: Site) -> Op:
    """The rules for this number of groups."""
    if site.attrs["groups"] == 1:
        return _DENSE
    return _DEPTHWISE if site.params["weight"].shape[1] == 1 else _WIDE
