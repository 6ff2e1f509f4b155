"""tanh, sigmoid, silu, gelu: ranges from functions whose error is proved; execution by an assumption on the libraries.

The assumption (part of every claim over such an operator): the library's answer to a float x is within `LIBRARY` u of tanh x or
sigmoid x, and within `LIBRARY` u |x| of silu x or gelu x, plus the smallest normal number. The tests measure it
on torch and onnxruntime (the most seen is 7.2 u, for tanh in float64). It is not made for the tanh form of gelu in float64: onnxruntime 1.31 computes
that with constants in float32, 4e7 u off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lumpnet.bounds.functions import GATED, MARGIN, sigmoid, tanh
from lumpnet.bounds.outward import Array, Range, add_down, add_up, mul_up, total_up
from lumpnet.bounds.registry import Computed, Execution, Rule, bounds
from lumpnet.errors import NoBound
from lumpnet.ops import Site

LIBRARY = 16


class Bounded(Rule):
    """A rising function with values between `least` and `most` and a Lipschitz constant."""

    function: Callable[[Array], Array]
    least, most, slope = 0.0, 1.0, 1.0

    def range(self, site: Site, xs: Sequence[Range]) -> Range:
        lo, hi = (type(self).function(x) for x in (xs[0].lo, xs[0].hi))
        return Range(np.maximum(add_down(lo, -MARGIN), self.least), np.minimum(add_up(hi, MARGIN), self.most))

    def error(self, site: Site, xs: Sequence[Computed], out: Range, run: Execution) -> Array:
        return total_up(mul_up(self.slope, xs[0].off), LIBRARY * run.arithmetic.u, run.arithmetic.normal)


@bounds("sigmoid")
class Sigmoid(Bounded):
    function, slope = staticmethod(sigmoid), 0.25


@bounds("tanh")
class Tanh(Bounded):
    """|tanh x| <= |x|, which keeps 0 at 0."""

    function, least = staticmethod(tanh), -1.0

    def range(self, site: Site, xs: Sequence[Range]) -> Range:
        near = super().range(site, xs)
        return Range(np.maximum(near.lo, np.minimum(xs[0].lo, 0)), np.minimum(near.hi, np.maximum(xs[0].hi, 0)))


@bounds("silu", "gelu")
class Gated(Rule):
    """Falls to its only minimum and rises: the ends hold the maximum, and the minimum unless it lies between."""

    def range(self, site: Site, xs: Sequence[Range]) -> Range:
        (x,), (function, left, right, least, _) = xs, self.table(site)
        low, high = ((function(end), mul_up(np.abs(end), MARGIN)) for end in (x.lo, x.hi))
        below = np.minimum(add_down(low[0], -low[1]), add_down(high[0], -high[1]))
        inside = (x.lo < right) & (x.hi > left)
        above = np.maximum(add_up(*low), add_up(*high))
        return Range(np.maximum(np.where(inside, least, below), least), np.maximum(above, least))

    def error(self, site: Site, xs: Sequence[Computed], out: Range, run: Execution) -> Array:
        (x,), a = xs, run.arithmetic
        if site.attrs.get("approximate") == "tanh":
            if a.dtype == "float64":
                raise NoBound(site.node.name, "the tanh form of gelu in float64 is not accurate in all libraries", "the erf form, or float32")
            run.within(site, mul_up(mul_up(x.most, x.most), x.most))
        return total_up(mul_up(self.table(site)[4], x.off), mul_up(LIBRARY * a.u, x.most), a.normal)

    def table(self, site: Site) -> tuple[Callable[[Array], Array], float, float, float, float]:
        return GATED["gelu_tanh" if site.attrs.get("approximate") == "tanh" else site.node.kind]
