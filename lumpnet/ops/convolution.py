"""What convolutions share, transposed or not: with one group an affine map with taps, with more see `grouped`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lumpnet.exact import Collapsed
from lumpnet.ops import rows
from lumpnet.ops.affine import Affine
from lumpnet.ops.base import Kept, Op, ParamAxes, Piece, Site
from lumpnet.ops.grouped import Depthwise, Wide
from lumpnet.ops.kernels import Kernel
from lumpnet.partition import Demand, Lumping


class Dense(Affine):
    """One group: an affine map with taps."""

    def __init__(self, kernel: Kernel):
        self.kernel = kernel

    def by_rows(self, site: Site, stored: np.ndarray) -> np.ndarray:
        return self.kernel.by_rows(site, stored)

    def as_stored(self, site: Site, weight: np.ndarray | Collapsed) -> np.ndarray | Collapsed:
        return self.kernel.as_stored(site, weight, 1)

    def seen(self, site: Site) -> rows.Taps:
        return self.kernel.seen(site)

    def uneven(self, site: Site) -> rows.Uneven | None:
        return self.kernel.uneven(site)


class Convolution(Op):
    """Unit axis 1. The rules are those of the number of groups."""

    kernel: Kernel
    counts_units = True
    needs_operand = False

    def rules(self, site: Site) -> Op:
        """The rules for this number of groups."""
        if site.attrs["groups"] == 1:
            return Dense(self.kernel)
        return Depthwise(self.kernel) if site.attrs["groups"] == site.in_shapes[0][1] else Wide(self.kernel)

    def unit_axis(self, site: Site) -> int | None:
        return 1 if site.in_axes[0] in (None, 1) else None

    def why_pinned(self, site: Site) -> str:
        return f"acts on axis 1 while the operand's units lie on axis {site.in_axes[0]}"

    def forward(self, site: Site, ins: Sequence[Lumping]) -> Lumping:
        return self.rules(site).forward(site, ins)

    def demands(
        self, site: Site, ins: Sequence[Lumping], out: Lumping, free: Sequence[np.ndarray], free_out: np.ndarray
    ) -> tuple[list[Demand | None], Demand | None]:
        return self.rules(site).demands(site, ins, out, free, free_out)

    def alive(self, site: Site, ins: Sequence[Lumping], out: Lumping, alive_out: np.ndarray) -> list[np.ndarray]:
        return self.rules(site).alive(site, ins, out, alive_out)

    def links(self, site: Site) -> list[tuple[np.ndarray, np.ndarray]]:
        return self.rules(site).links(site)

    def declined(self, site: Site, ins: Sequence[Kept], out: Kept, role: str, mask: np.ndarray) -> list[Demand | None]:
        return self.rules(site).declined(site, ins, out, role, mask)

    def rounding_cost(self, site: Site, members: np.ndarray, scales: np.ndarray, out: Kept, dtype: str) -> int:
        return self.rules(site).rounding_cost(site, members, scales, out, dtype)

    def quotient(self, site: Site, ins: Sequence[Kept], out: Kept) -> Piece:
        return self.rules(site).quotient(site, ins, out)

    def rounded(self, site: Site, mask: np.ndarray) -> np.ndarray:
        return self.rules(site).rounded(site, mask)

    def param_axes(self, site: Site) -> ParamAxes | None:
        return self.kernel.param_axes(site)

    def multiply_adds(self, site: Site) -> int:
        return int(site.params["weight"].size) * self.kernel.positions(site)
