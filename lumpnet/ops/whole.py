"""Operators that need their operands whole: softmax mixes units, opaque is unknown. Both pin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lumpnet.errors import NoExactValue
from lumpnet.ir import Shape
from lumpnet.ops.base import Params, Pin, Site
from lumpnet.ops.registry import register


@register
class Softmax(Pin):
    kind = "softmax"

    def infer(self, shapes: Sequence[Shape], attrs: Any, params: Params) -> Shape:
        return tuple(shapes[0])

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        if xs[0].dtype == object:
            raise NoExactValue(site.node.name, "softmax is irrational")
        e = np.exp(xs[0] - xs[0].max(axis=site.attrs["axis"], keepdims=True))
        return np.asarray(e / e.sum(axis=site.attrs["axis"], keepdims=True))

    def why_pinned(self, site: Site) -> str:
        return "softmax mixes its units"


@register
class Opaque(Pin):
    """An operator lumpnet has no rule for; it is carried along as it is, on whole operands."""

    kind = "opaque"

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        raise NoExactValue(site.node.name, f"{site.attrs['target']} is not evaluated here")

    def why_pinned(self, site: Site) -> str:
        return f"no rule for {site.attrs['target']}"
