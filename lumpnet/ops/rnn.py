"""RNN: `h' = f(W x + b + W' h + b')` with tanh (odd: multiples 1 and -1) or ReLU (positive multiples)."""

from __future__ import annotations

import numpy as np

from lumpnet.ops import hidden
from lumpnet.ops.base import Site
from lumpnet.ops.hidden import Form
from lumpnet.ops.nonlinear import tanh
from lumpnet.ops.recurrent import Blocks, Recurrent, split
from lumpnet.ops.registry import register


@register
class Rnn(Recurrent):
    kind = "rnn"
    gates = 1

    def forms(self, site: Site, blocks: Blocks) -> list[Form]:
        return [blocks.whole(0, turns=True)]

    def direction(self, site: Site) -> hidden.Direction:
        return hidden.up_to_size if site.attrs["nonlinearity"] == "relu" else hidden.up_to_sign

    def step(self, site: Site, x: np.ndarray, state: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        (u,) = (a + b for a, b in zip(split(site, "ih", x, 1), split(site, "hh", state[0], 1), strict=True))
        return (np.asarray(np.where(u > 0, u, u * 0) if site.attrs["nonlinearity"] == "relu" else tanh(u, site.node.name)),)
