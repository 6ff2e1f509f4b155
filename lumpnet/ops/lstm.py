"""LSTM: `c' = s(f) c + s(i) tanh(g)`, `h' = s(o) tanh(c')`, all gates affine in x and h (torch's order i, f, g, o).

A unit is 1 or -1 times another where i, f, o are equal and g is that multiple:
then so is c at every step, as tanh is odd. Where g is zero so is c, and so is h.
"""

from __future__ import annotations

import numpy as np

from lumpnet.ops.base import Site
from lumpnet.ops.hidden import Form
from lumpnet.ops.nonlinear import sigmoid, tanh
from lumpnet.ops.recurrent import Blocks, Recurrent, split
from lumpnet.ops.registry import register


@register
class Lstm(Recurrent):
    kind = "lstm"
    gates = 4

    def forms(self, site: Site, blocks: Blocks) -> list[Form]:
        return [blocks.whole(gate, turns=gate == 2) for gate in range(4)]

    def start(self, zero: np.ndarray) -> tuple[np.ndarray, ...]:
        return zero, zero

    def step(self, site: Site, x: np.ndarray, state: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        (h, c), where = state, site.node.name
        i, f, g, o = (a + b for a, b in zip(split(site, "ih", x, 4), split(site, "hh", h, 4), strict=True))
        c = sigmoid(f, where) * c + sigmoid(i, where) * tanh(g, where)
        return sigmoid(o, where) * tanh(c, where), c
