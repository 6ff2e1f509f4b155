"""Addition of two values: one common expansion, so the operands are coupled (THEORY section 2).

Where one operand is constant and the other is not, the constant stays as a unit
and takes the other's scale. An operand that is constant throughout leaves
entirely: the sum becomes the other operand plus a constant.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from lumpnet.exact import ONE, ZERO, Number, Surd, constant_array
from lumpnet.ops.affine import stack
from lumpnet.ops.base import Kept, Piece, Site, claimed
from lumpnet.ops.pairwise import Pairwise
from lumpnet.ops.registry import register
from lumpnet.ops.unary import default_keep
from lumpnet.partition import Demand, Lumping, discrete, normal_form


@register
class Add(Pairwise):
    kind = "add"

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        return np.asarray(xs[0] + xs[1])

    def forward(self, site: Site, ins: Sequence[Lumping]) -> Lumping:
        a, b = ins
        n = len(a)
        if a.is_plain and b.is_plain:
            return discrete(n)
        keys: list[Hashable] = [None] * n
        scale, offset, value = constant_array(n, ONE), constant_array(n, ZERO), constant_array(n, None)
        for i in range(n):
            value[i] = _sum(a.value[i], b.value[i])
            if not a.present[i] and not b.present[i] and value[i] is not None:
                continue
            x, y = (a, b) if a.present[i] else (b, a)
            scale[i] = x.scale[i] if x.present[i] else ONE
            if x.present[i] and y.present[i]:
                keys[i] = (int(a.classes[i]), int(b.classes[i]), a.scale[i] / b.scale[i])
                offset[i] = a.offset[i] + b.offset[i]
            elif x.present[i]:
                c = y.value[i]
                irrational = c.times(1 / x.scale[i]) if isinstance(c, Surd) else None
                keys[i] = (x is a, int(x.classes[i]), irrational)
                offset[i] = x.offset[i] + (ZERO if isinstance(c, Surd) else c)
            else:
                keys[i] = ("constants", a.value[i], b.value[i])
        return normal_form(keys, scale, offset, value)

    def passing(self, site: Site, ins: Sequence[Lumping], free: Sequence[np.ndarray], free_out: np.ndarray) -> int | None:
        """The operand that passes alone because the other is constant wherever it is observed (None: neither)."""
        observed = [x.present & ~f for x, f in zip(ins, free, strict=True)]
        for k in (0, 1):
            other = ins[1 - k]
            rational = not (other.irrational & ~other.present & ~free_out).any()
            if not observed[1 - k].any() and observed[k].any() and rational and site.in_shapes[k] == site.shape:
                return k
        return None

    def demands(
        self, site: Site, ins: Sequence[Lumping], out: Lumping, free: Sequence[np.ndarray], free_out: np.ndarray
    ) -> tuple[list[Demand | None], Demand | None]:
        k = self.passing(site, ins, free, free_out)
        if k is None:
            return super().demands(site, ins, out, free, free_out)
        if not claimed(out, free_out).any():
            return [None, None], None
        up, down = self.coupled([ins[k], out], [free[k], free_out])
        both: list[Demand | None] = [None, None]
        both[k] = up
        return both, down

    def declined(self, site: Site, ins: Sequence[Kept], out: Kept, role: str, mask: np.ndarray) -> list[Demand | None]:
        return [default_keep(x.lumping, ~x.lumping.present) if not len(x.units) else None for x in ins]

    def quotient(self, site: Site, ins: Sequence[Kept], out: Kept) -> Piece:
        gone = [k for k in (0, 1) if not len(ins[k].units)]
        if not gone:
            return Piece(self.kind, (0, 1), {}, {})
        terms = ins[gone[0]].lumping.offset[out.units]
        if not any(terms):
            return Piece("identity", (1 - gone[0],), {}, {})
        return Piece("add_constant", (1 - gone[0],), {"axis": site.axis}, {"term": stack(list(terms))})


def _sum(a: Number | None, b: Number | None) -> Number | None:
    if a is None or b is None:
        return None
    if isinstance(a, Surd):
        return None if isinstance(b, Surd) else a.plus(b)
    return b.plus(a) if isinstance(b, Surd) else a + b
