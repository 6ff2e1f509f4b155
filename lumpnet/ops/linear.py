"""Linear: `W x + b` on the last axis. `W[i] E_in` proportional within a class (THEORY section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lumpnet.errors import GraphError
from lumpnet.ir import Shape
from lumpnet.ops.affine import Affine
from lumpnet.ops.base import ParamAxes, Params, Site
from lumpnet.ops.registry import register


@register
class Linear(Affine):
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

    def features(self, site: Site, x: np.ndarray) -> np.ndarray | None:
        return x.reshape(-1, x.shape[-1])

    def unit_axis(self, site: Site) -> int | None:
        last = len(site.shape) - 1
        return last if site.in_axes[0] in (None, last) else None

    def why_pinned(self, site: Site) -> str:
        return f"acts on the last axis while the operand's units lie on axis {site.in_axes[0]}"

    def param_axes(self, site: Site) -> ParamAxes | None:
        return {"weight": (0, 1), "bias": (0, None)}
