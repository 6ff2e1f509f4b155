"""How a convolution reads its operand: its weight as rows of taps, and where constants behind them are not constant.

A plain convolution reads some taps in its zero padding. A transposed one reads
other taps at other positions, inside too, and none at some: what counts are the
sums over the taps that each output position reads.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from lumpnet.exact import Collapsed, integers
from lumpnet.ops import windows
from lumpnet.ops.base import ParamAxes, Site
from lumpnet.ops.rows import ALL, Taps, Uneven


class Kernel:
    """Weights stored as (out, in / groups, *taps), zero padding."""

    def by_rows(self, site: Site, stored: np.ndarray) -> np.ndarray:
        """An array stored like the weight, as (out, in / groups, taps)."""
        return stored.reshape(*stored.shape[:2], -1)

    def as_stored(self, site: Site, weight: np.ndarray | Collapsed, groups: int) -> np.ndarray | Collapsed:
        """The way back, for any number of rows and groups; a `Collapsed` has one group."""
        return weight.reshape(*weight.shape[:2], *site.params["weight"].shape[2:])

    def seen(self, site: Site) -> Taps:
        """Taps that add up to what constants give: all, as those that meet the padding add nothing."""
        return ALL

    def uneven(self, site: Site) -> Uneven | None:
        """A tap that some output position reads in the padding."""
        a, kernel = site.attrs, site.params["weight"].shape[2:]
        border = windows.border_taps(_sizes(site.in_shapes[0]), kernel, a["stride"], a["padding"], a["dilation"], _sizes(site.shape))
        return (lambda weight: (weight[..., border] != 0).any(axis=-1)) if border.any() else None

    def positions(self, site: Site) -> int:
        """How often every weight is used."""
        return int(np.prod(_sizes(site.shape), dtype=np.int64))

    def param_axes(self, site: Site) -> ParamAxes | None:
        """In groups, the second axis counts within a group."""
        return {"weight": (0, 1 if site.attrs["groups"] == 1 else None), "bias": (0, None)}


class Transposed(Kernel):
    """Weights stored as (in, out / groups, *taps)."""

    def by_rows(self, site: Site, stored: np.ndarray) -> np.ndarray:
        groups = site.attrs["groups"]
        whole = stored.reshape(groups, len(stored) // groups, stored.shape[1], -1)
        return whole.swapaxes(1, 2).reshape(groups * stored.shape[1], len(stored) // groups, -1)

    def as_stored(self, site: Site, weight: np.ndarray | Collapsed, groups: int) -> np.ndarray | Collapsed:
        taps = site.params["weight"].shape[2:]
        if isinstance(weight, Collapsed):
            return weight.reshape(*weight.shape[:2], *taps).swapped()
        whole = weight.reshape(groups, len(weight) // groups, *weight.shape[1:])
        return whole.swapaxes(1, 2).reshape(groups * weight.shape[1], len(weight) // groups, *taps)

    def seen(self, site: Site) -> Taps:
        """The taps that the first output position reads: where nothing is uneven, every position gives their sum."""
        taps = np.ones((), dtype=bool)
        for table in self._tables(site):
            taps = np.logical_and.outer(taps, table[0])
        return taps.reshape(-1)

    def uneven(self, site: Site) -> Uneven | None:
        """Sums over the taps read that differ between two output positions."""
        tables, kernel = self._tables(site), site.params["weight"].shape[2:]
        if all(len(table) == 1 for table in tables):
            return None

        def differs(weight: np.ndarray) -> np.ndarray:
            lead = weight.shape[:-1]
            exact = weight if weight.dtype == object else integers(weight, weight.shape[-1].bit_length()).ints
            sums = exact.reshape(*lead, *kernel)
            for table in tables:  # one axis of taps becomes one of positions, at the end
                sums = np.tensordot(sums, table.T.astype(sums.dtype), axes=([len(lead)], [0]))
            flat = sums.reshape(*lead, math.prod(sums.shape[len(lead) :]))
            return np.asarray((flat != flat[..., :1]).any(axis=-1), dtype=bool)

        return differs

    def positions(self, site: Site) -> int:
        return int(np.prod(_sizes(site.in_shapes[0]), dtype=np.int64))

    def param_axes(self, site: Site) -> ParamAxes | None:
        if site.attrs["groups"] == 1:
            return {"weight": (1, 0), "bias": (0, None)}
        return {"weight": (0, None), "bias": (0, None)} if site.params["weight"].shape[:2] == (site.units, 1) else None

    def _tables(self, site: Site) -> list[np.ndarray]:
        """Per spatial axis the distinct sets of taps that output positions read, the first position's first."""
        a, kernel = site.attrs, site.params["weight"].shape[2:]
        axes = zip(_sizes(site.in_shapes[0]), kernel, a["stride"], a["padding"], a["dilation"], _sizes(site.shape), strict=True)
        return [_table(*axis) for axis in axes]


@lru_cache(maxsize=256)
def _table(size: int, kernel: int, stride: int, padding: int, dilation: int, count: int) -> np.ndarray:
    reads = windows.reached(size, kernel, stride, padding, dilation, count)
    _, first = np.unique(reads, axis=0, return_index=True)
    return reads[np.sort(first)]


def _sizes(shape: tuple[int | None, ...]) -> list[int]:
    return [int(n or 0) for n in shape[2:]]
