"""Transposed convolution, 1d to 3d: what each position adds to the output (THEORY section 2).

Which taps an output position reads depends on stride, dilation and padding, in
the interior too, so offsets pass only where their sums over the taps read are
the same at all positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from lumpnet.errors import GraphError
from lumpnet.exact import ZERO
from lumpnet.ir import Shape
from lumpnet.ops.base import Params, Site
from lumpnet.ops.convolution import Convolution
from lumpnet.ops.kernels import Transposed
from lumpnet.ops.registry import register


@register
class ConvTranspose(Convolution):
    """weight (in, out / groups, *kernel)."""

    kind = "conv_transpose"
    kernel = Transposed()

    def infer(self, shapes: Sequence[Shape], attrs: Any, params: Params) -> Shape:
        weight, (x,), groups = params["weight"], shapes, attrs["groups"]
        if len(x) != weight.ndim or x[1] != weight.shape[0] or weight.shape[0] % groups:
            raise GraphError("conv_transpose", f"weight {weight.shape} in {groups} groups on an operand of shape {x}", "matching channels")
        axes = zip(x[2:], weight.shape[2:], attrs["stride"], attrs["padding"], attrs["output_padding"], attrs["dilation"], strict=True)
        return (x[0], weight.shape[1] * groups, *((int(n or 0) - 1) * s - 2 * p + d * (k - 1) + extra + 1 for n, k, s, p, extra, d in axes))

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        (x,), weight, a = xs, site.params["weight"], site.attrs
        kernel, counts = weight.shape[2:], [int(n or 0) for n in site.shape[2:]]
        reach = [
            max((n - 1) * s + d * (k - 1) + 1, p + c)
            for n, k, s, p, d, c in zip(x.shape[2:], kernel, a["stride"], a["padding"], a["dilation"], counts, strict=True)
        ]
        exact = x.dtype == object
        y = np.full((len(x), int(site.shape[1] or 0), *reach), ZERO if exact else 0.0, dtype=object if exact else np.result_type(x, weight))
        width, made = len(weight) // a["groups"], weight.shape[1]
        for g, tap in product(range(a["groups"]), product(*map(range, kernel))):
            w = weight[g * width : (g + 1) * width].reshape(width, made, -1)[..., np.ravel_multi_index(tap, kernel)]
            term = np.moveaxis(np.tensordot(x[:, g * width : (g + 1) * width], w, axes=(1, 0)), -1, 1)
            steps = zip(tap, a["dilation"], a["stride"], x.shape[2:], strict=True)
            at = tuple(slice(t * d, t * d + s * (n - 1) + 1, s) for t, d, s, n in steps)
            y[(slice(None), slice(g * made, (g + 1) * made), *at)] += term
        y = y[(slice(None), slice(None), *(slice(p, p + c) for p, c in zip(a["padding"], counts, strict=True)))]
        return y + site.params["bias"].reshape(-1, *[1] * len(counts)) if "bias" in site.params else y
