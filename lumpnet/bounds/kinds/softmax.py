"""softmax, executed as exp(x - max) over its sum.

The exponents are off by D = (error of x) + u (spread of x), the same shift for all cancels; so each quotient is off by
a factor in exp(+-(D + max D)). exp is assumed within 8 u relatively and the smallest normal number (`LIBRARY` as for the other
functions); its two uses, k - 1 additions and a division (or a product with the inverse) are at most N = 2 k + 40 roundings, lower side included.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lumpnet.bounds.functions import MARGIN, decay
from lumpnet.bounds.outward import Array, Range, add_down, add_up, div_down, div_up, mul_up, total_up
from lumpnet.bounds.registry import Computed, Execution, Rule, bounds
from lumpnet.bounds.rounding import HERE, growth
from lumpnet.ops import Site


@bounds("softmax")
class Softmax(Rule):
    def range(self, site: Site, xs: Sequence[Range]) -> Range:
        """Largest where the entry is largest and all others are least."""
        (x,), axis = xs, site.attrs["axis"] - 1
        top = x.hi.max(axis=axis, keepdims=True)
        low, high = (_exp(x.lo, top), _exp(x.hi, top))
        others_low, others_high = _others(low[0], axis, down=True), _others(high[1], axis, down=False)
        below = div_down(low[0], np.maximum(add_up(low[0], others_high), 2.0**-1000))
        above = div_up(high[1], add_down(high[1], others_low))
        return Range(np.clip(below, 0, 1), np.clip(above, 0, 1))

    def error(self, site: Site, xs: Sequence[Computed], out: Range, run: Execution) -> Array:
        (x,), axis, a = xs, site.attrs["axis"] - 1, run.arithmetic
        spread = add_up(np.max(add_up(x.exact.hi, x.off), axis=axis, keepdims=True), add_up(-x.exact.lo, x.off))
        run.within(site, mul_up(spread, 2.0))
        d = add_up(x.off, mul_up(a.u, spread))
        e = add_up(d, d.max(axis=axis, keepdims=True))
        g = growth(2 * x.off.shape[axis] + 40, a.u)
        grown = add_up(e, mul_up(e, e))  # e^e - 1 for e <= 1
        relative = total_up(grown, g, mul_up(grown, g))
        tiny = mul_up(4.0, a.normal)
        return np.where(e <= 1, add_up(mul_up(out.most, relative), tiny), total_up(1.0, g, tiny))


def _exp(x: Array, top: Array) -> tuple[Array, Array]:
    """Below and above exp(x - top), for x <= top."""
    distance = np.maximum(-np.subtract(x, top), 0)
    low, high = decay(np.nextafter(distance, np.inf)), decay(np.maximum(np.nextafter(distance, -np.inf), 0))
    return np.maximum(low * (1 - 2 * MARGIN) - 2.0**-999, 0), high * (1 + 2 * MARGIN) + 2.0**-999  # which is above 0


def _others(e: Array, axis: int, down: bool) -> Array:
    """A bound on the sum of all entries but this one (all are >= 0)."""
    total = e.sum(axis=axis, keepdims=True)
    margin = mul_up(growth(2 * e.shape[axis], HERE.u), total)
    if down:
        return np.maximum(add_down(add_down(total, -margin), -e), 0)
    return add_up(add_up(total, margin), -e)
