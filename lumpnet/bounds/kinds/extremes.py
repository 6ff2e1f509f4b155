"""Exact comparisons: relu, maxima and minima, hardtanh. Rising functions, and an error of the operands passes at most as it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lumpnet.bounds.kinds.layout import moved
from lumpnet.bounds.outward import Array, Range, add_up, mul_up
from lumpnet.bounds.registry import Computed, Execution, Rule, bounds
from lumpnet.ops import Site, get


class Rising(Rule):
    def range(self, site: Site, xs: Sequence[Range]) -> Range:
        lo, hi = moved(site, (xs[0].lo, xs[0].hi))
        return Range(lo, hi)


@bounds("relu")
class Relu(Rising):
    """Where operand and computed operand are both at most h, their images lie in [0, max(h, 0)]."""

    def error(self, site: Site, xs: Sequence[Computed], out: Range, run: Execution) -> Array:
        return np.minimum(xs[0].off, np.maximum(add_up(xs[0].exact.hi, xs[0].off), 0))


@bounds("max_pool", "adaptive_max_pool", "amax")
class Maximum(Rising):
    """|max x - max y| <= max |x - y|."""

    def error(self, site: Site, xs: Sequence[Computed], out: Range, run: Execution) -> Array:
        return moved(site, (xs[0].off,))[0]


@bounds("amin")
class Minimum(Rising):
    """|min x - min y| <= max |x - y|."""

    def error(self, site: Site, xs: Sequence[Computed], out: Range, run: Execution) -> Array:
        return np.asarray(np.asarray(get("amax").run(site, [xs[0].off[None]]))[0])


@bounds("hardtanh")
class Hardtanh(Rising):
    """The limits are rounded once to the execution's format."""

    def error(self, site: Site, xs: Sequence[Computed], out: Range, run: Execution) -> Array:
        a, limits = run.arithmetic, (site.attrs["min"], site.attrs["max"])
        if all(float(np.dtype(a.dtype).type(limit)) == limit for limit in limits):
            return xs[0].off
        return add_up(xs[0].off, add_up(mul_up(max(map(abs, limits)), a.u), a.eta))


@bounds("leaky_relu", "prelu")
class Leaky(Rule):
    """Straight on both sides of 0. Executed with a slope that is rounded (an attribute is) and one product: two roundings, and the slope may underflow."""

    def range(self, site: Site, xs: Sequence[Range]) -> Range:
        (x,), slope = xs, _slope(site)
        (low, some), (other, high) = _leaky_ends(x.lo, slope), _leaky_ends(x.hi, slope)
        kink = np.where((x.lo < 0) & (x.hi > 0), 0.0, low)
        return Range(np.minimum.reduce([low, other, kink]), np.maximum.reduce([some, high, kink]))

    def error(self, site: Site, xs: Sequence[Computed], out: Range, run: Execution) -> Array:
        (x,), slope, a = xs, np.abs(_slope(site)), run.arithmetic
        below = np.maximum(add_up(x.off, -x.exact.lo), 0)  # how far below 0 the computed operand may be
        own = add_up(mul_up(mul_up(slope, below), 3 * a.u), mul_up(a.eta, add_up(mul_up(below, 2.0), 2.0)))
        run.within(site, mul_up(mul_up(slope, x.most), 2.0))
        return add_up(mul_up(np.maximum(slope, 1), x.off), np.where(below > 0, own, 0.0))


def _slope(site: Site) -> Array:
    if site.node.kind == "leaky_relu":
        return np.asarray(float(site.attrs["slope"]))
    return site.params["slope"].astype(np.float64).reshape(-1, *[1] * (len(site.shape) - 2))


def _leaky_ends(x: Array, slope: Array) -> tuple[Array, Array]:
    """Below and above the image of x."""
    product = np.multiply(x, slope)
    exact = (x == 0) | (slope == 0)
    low, high = (np.where(exact, 0.0, np.nextafter(product, end)) for end in (-np.inf, np.inf))
    return np.where(x > 0, x, low), np.where(x > 0, x, high)
