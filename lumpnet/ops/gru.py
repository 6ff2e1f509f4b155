"""GRU: `h' = (1 - s(z)) n + s(z) h`, where `n = tanh(W x + b + s(r) (W' h + b'))` (torch's order r, z, n).

Without `linear_before_reset` the candidate is `tanh(W x + b + W' (s(r) h) + b')`, where the
two biases act as one. A unit is 1 or -1 times another where r and z are equal and
the candidate (both its sides) is that multiple; a candidate of zero keeps the unit zero.
"""

from __future__ import annotations

import numpy as np

from lumpnet.ops.base import Site
from lumpnet.ops.hidden import Form
from lumpnet.ops.nonlinear import sigmoid, tanh
from lumpnet.ops.recurrent import Blocks, Recurrent, split
from lumpnet.ops.registry import register


@register
class Gru(Recurrent):
    kind = "gru"
    gates = 3

    def forms(self, site: Site, blocks: Blocks) -> list[Form]:
        candidate = blocks.sides(2) if site.attrs["linear_before_reset"] else [blocks.whole(2, turns=True)]
        return [blocks.whole(0), blocks.whole(1), *candidate]

    def step(self, site: Site, x: np.ndarray, state: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        (h,), where = state, site.node.name
        (one, two, into), (three, four, own) = split(site, "ih", x, 3), split(site, "hh", h, 3)
        r, z = sigmoid(one + three, where), sigmoid(two + four, where)
        n = tanh(into + (r * own if site.attrs["linear_before_reset"] else split(site, "hh", r * h, 3)[2]), where)
        return ((1 - z) * n + z * h,)
