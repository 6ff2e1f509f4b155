"""Multiplication of two values (a gate): scales multiply, offsets must vanish, a zero factor kills the other (THEORY section 2)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from fractions import Fraction

import numpy as np

from lumpnet.exact import ONE, ZERO, Surd, constant_array
from lumpnet.ops.base import Kept, Piece, Site
from lumpnet.ops.pairwise import Pairwise
from lumpnet.ops.registry import register
from lumpnet.partition import Lumping, discrete, normal_form


@register
class Mul(Pairwise):
    kind = "mul"

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        return np.asarray(xs[0] * xs[1])

    def forward(self, site: Site, ins: Sequence[Lumping]) -> Lumping:
        a, b = ins
        n = len(a)
        if a.is_plain and b.is_plain:
            return discrete(n)
        keys: list[Hashable] = [None] * n
        scale, offset, value = constant_array(n, ONE), constant_array(n, ZERO), constant_array(n, None)
        for i in range(n):
            p, q = a.value[i], b.value[i]
            if p == 0 or q == 0:
                value[i] = ZERO
            elif p is not None and q is not None and not (isinstance(p, Surd) and isinstance(q, Surd)):
                value[i] = p.times(q) if isinstance(p, Surd) else q.times(p) if isinstance(q, Surd) else p * q
            vanishes = (p == 0 and not a.present[i]) or (q == 0 and not b.present[i])
            if value[i] is not None and (vanishes or not (a.present[i] or b.present[i])):
                continue
            keys[i] = ("alone", i)
            if a.present[i] and b.present[i]:
                keys[i] = (int(a.classes[i]), int(b.classes[i]), a.offset[i] / a.scale[i], b.offset[i] / b.scale[i])
                scale[i] = a.scale[i] * b.scale[i]
            elif a.present[i] or b.present[i]:
                x, c = (a, q) if a.present[i] else (b, p)
                if not isinstance(c, Surd):
                    keys[i] = (x is a, int(x.classes[i]), x.offset[i] / x.scale[i])
                    scale[i] = x.scale[i] * c
        return normal_form(keys, scale, offset, value)

    def kept_scale(self, x: Lumping, shared: np.ndarray) -> np.ndarray:
        """A constant factor passes without offset only as a multiple of itself."""
        return np.array([v if isinstance(v, Fraction) and v else s for v, s in zip(x.value, shared, strict=True)] + [None], dtype=object)[:-1]

    def quotient(self, site: Site, ins: Sequence[Kept], out: Kept) -> Piece:
        return Piece(self.kind, (0, 1), {}, {})
