"""Mean over positions: linear with weights that sum to one, so any row passes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lumpnet.errors import GraphError
from lumpnet.ir import Shape
from lumpnet.ops.base import Params, Site
from lumpnet.ops.registry import register
from lumpnet.ops.unary import Linear1


@register
class Mean(Linear1):
    kind, verb = "mean", "averages"

    def infer(self, shapes: Sequence[Shape], attrs: Any, params: Params) -> Shape:
        axes = attrs["axes"]
        if not axes or any(not 1 <= a < len(shapes[0]) for a in axes):
            raise GraphError(self.kind, f"axes {axes} of shape {shapes[0]}", "axes after the batch")
        if attrs["keepdim"]:
            return tuple(1 if k in axes else d for k, d in enumerate(shapes[0]))
        return tuple(d for k, d in enumerate(shapes[0]) if k not in axes)

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        axes = tuple(site.attrs["axes"])
        count = math.prod(xs[0].shape[a] for a in axes)
        total = xs[0].sum(axis=axes, keepdims=site.attrs["keepdim"])
        return np.asarray(total * Fraction(1, count) if xs[0].dtype == object else total / count)

    def unit_axis(self, site: Site) -> int | None:
        axis, axes = site.in_axes[0], site.attrs["axes"]
        if axis is None or axis in axes:
            return None
        return axis if site.attrs["keepdim"] else axis - sum(a < axis for a in axes)

    def why_pinned(self, site: Site) -> str:
        return f"{self.verb} over axes {site.attrs['axes']}, among them the unit axis {site.in_axes[0]}"
