"""Convolution, 1d to 3d. The linear rule for every tap; zero padding breaks offsets (THEORY section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lumpnet.errors import GraphError
from lumpnet.ir import Shape
from lumpnet.ops import windows
from lumpnet.ops.base import Params, Site
from lumpnet.ops.convolution import Convolution
from lumpnet.ops.kernels import Kernel
from lumpnet.ops.registry import register


@register
class Conv(Convolution):
    kind = "conv"
    kernel = Kernel()

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

    def features(self, site: Site, x: np.ndarray) -> np.ndarray | None:
        weight, attrs, counts = site.params["weight"], site.attrs, [int(n or 0) for n in site.shape[2:]]
        if attrs["groups"] != 1:
            return None
        views = windows.taps(windows.pad(x, attrs["padding"], attrs["padding"], 0), weight.shape[2:], attrs["stride"], attrs["dilation"], counts)
        taps = np.stack([np.moveaxis(view, 1, -1) for _, view in views], axis=-1)
        return np.asarray(taps.reshape(-1, weight[0].size))
