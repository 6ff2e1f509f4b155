"""Pooling over positions, channel by channel (THEORY section 2, MaxPool and AvgPool)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lumpnet.errors import GraphError
from lumpnet.exact import Number
from lumpnet.ir import Shape
from lumpnet.ops import windows
from lumpnet.ops.base import Params, Site
from lumpnet.ops.registry import register
from lumpnet.ops.unary import Image, Linear1, Unary


class Pool(Unary):
    def unit_axis(self, site: Site) -> int | None:
        return 1 if site.in_axes[0] == 1 else None

    def why_pinned(self, site: Site) -> str:
        return f"pools per channel (axis 1) while the operand's units lie on axis {site.in_axes[0]}"


class Window(Pool):
    def infer(self, shapes: Sequence[Shape], attrs: Any, params: Params) -> Shape:
        x, kernel = shapes[0], attrs["kernel"]
        if len(x) != len(kernel) + 2:
            raise GraphError(self.kind, f"a window {kernel} on shape {x}", "(batch, channels, one axis a window size)")
        dilation = attrs.get("dilation", [1] * len(kernel))
        axes = zip(x[2:], kernel, attrs["stride"], attrs["padding"], dilation, strict=True)
        return (*x[:2], *(windows.positions(int(n or 0), k, s, p, d, attrs["ceil_mode"]) for n, k, s, p, d in axes))

    def views(self, site: Site, x: np.ndarray, fill: object) -> list[np.ndarray]:
        a, counts = site.attrs, [int(n or 0) for n in site.shape[2:]]
        dilation = a.get("dilation", [1] * len(counts))
        reach = [(c - 1) * s + (k - 1) * d + 1 for c, s, k, d in zip(counts, a["stride"], a["kernel"], dilation, strict=True)]
        after = [max(0, r - n - p) for r, n, p in zip(reach, x.shape[2:], a["padding"], strict=True)]
        padded = windows.pad(x, a["padding"], after, fill)
        return [view for _, view in windows.taps(padded, a["kernel"], a["stride"], dilation, counts)]


@register
class MaxPool(Window):
    """Any offset and any positive scale pass; a constant stays itself while every window holds a real entry."""

    kind = "max_pool"

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        fill = -math.inf
        return np.asarray(np.maximum.reduce(self.views(site, xs[0], fill)))

    def row(self, site: Site, unit: int, scale: Fraction, offset: Fraction) -> Image:
        return scale > 0, scale, offset

    def constant(self, site: Site, unit: int, c: Number) -> Number | None:
        return c if self.always_real(site) else None

    def always_real(self, site: Site) -> bool:
        a = site.attrs
        axes = zip(site.in_shapes[0][2:], a["kernel"], a["stride"], a["padding"], a["dilation"], site.shape[2:], strict=True)
        return not any(windows.outside(*(int(v or 0) for v in axis)).all(axis=1).any() for axis in axes)


@register
class AvgPool(Window, Linear1):
    """Any row passes where no padding is counted and the divisor is the window's; else only offset 0."""

    kind = "avg_pool"

    def sums_to_one(self, site: Site) -> bool:
        a = site.attrs
        return a["divisor_override"] is None and not (a["count_include_pad"] and any(a["padding"]))

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        a, counts = site.attrs, [int(n or 0) for n in site.shape[2:]]
        total = sum(self.views(site, xs[0], 0))
        if a["divisor_override"] is not None:
            return np.asarray(total / _exactly(a["divisor_override"], xs[0]))
        sizes = []
        for n, k, s, p, c in zip(xs[0].shape[2:], a["kernel"], a["stride"], a["padding"], counts, strict=True):
            start = np.arange(c) * s - p
            stop = np.minimum(start + k, n + p)
            if not a["count_include_pad"]:
                start, stop = np.maximum(start, 0), np.minimum(stop, n)
            sizes.append(stop - start)
        divisor = sizes[0]
        for size in sizes[1:]:
            divisor = divisor[..., None] * size
        return np.asarray(total / _exactly(divisor, xs[0]))


def _exactly(divisor: Any, like: np.ndarray) -> Any:
    return np.asarray(divisor).astype(object) * Fraction(1) if like.dtype == object else divisor


class Adaptive(Pool):
    def infer(self, shapes: Sequence[Shape], attrs: Any, params: Params) -> Shape:
        if len(shapes[0]) != len(attrs["output_size"]) + 2:
            raise GraphError(self.kind, f"output size {attrs['output_size']} on shape {shapes[0]}", "(batch, channels, one axis a size)")
        return (*shapes[0][:2], *attrs["output_size"])

    def regions(self, site: Site, x: np.ndarray) -> np.ndarray:
        """Apply `reduce` to each output position's region."""
        out = np.empty((*x.shape[:2], *site.attrs["output_size"]), dtype=x.dtype)
        for at in np.ndindex(*site.attrs["output_size"]):
            region = tuple(slice(i * n // o, -(-(i + 1) * n // o)) for i, n, o in zip(at, x.shape[2:], site.attrs["output_size"], strict=True))
            out[(slice(None), slice(None), *at)] = self.reduce(x[(slice(None), slice(None), *region)].reshape(*x.shape[:2], -1))
        return out

    def reduce(self, region: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        return self.regions(site, xs[0])


@register
class AdaptiveAvgPool(Adaptive, Linear1):
    kind = "adaptive_avg_pool"

    def reduce(self, region: np.ndarray) -> np.ndarray:
        return np.asarray(region.sum(axis=2) / _exactly(region.shape[2], region))


@register
class AdaptiveMaxPool(Adaptive):
    kind = "adaptive_max_pool"

    def reduce(self, region: np.ndarray) -> np.ndarray:
        return np.asarray(region.max(axis=2))

    def row(self, site: Site, unit: int, scale: Fraction, offset: Fraction) -> Image:
        return scale > 0, scale, offset

    def constant(self, site: Site, unit: int, c: Number) -> Number | None:
        return c
