"""batch_norm in evaluation: `a (x - mean) + beta`, `a = gamma / sqrt(var + eps)`.

Executed as it stands, or folded: `a' x + (beta - mean a')`. Roundings that the terms pass:
eps 1 (2 if it underflows), var + eps 1, so the root's argument is off by 3 factors, the root by half of
them and its own, 5/2; its inverse by twice that and its own, 6; times gamma 7. Folded: times x or mean 8,
minus 9, plus 10. As it stands: minus, times the inverse, times gamma, plus: 10. n = 12 covers both.
Underflows: of the inverse (then times |gamma| (|x| + |mean|)), of a' (times |x| + |mean|), and of the products, the inner one times |gamma|.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lumpnet.bounds.outward import Array, Range, add_up, div_up, mul_up, plus, point, times, total_up
from lumpnet.bounds.registry import Computed, Execution, Rule, bounds
from lumpnet.bounds.rounding import growth
from lumpnet.errors import NoBound
from lumpnet.ops import Site

ROUNDINGS = 12


@bounds("batch_norm")
class BatchNorm(Rule):
    def range(self, site: Site, xs: Sequence[Range]) -> Range:
        mean, bias = self.along(site, "mean", 0), self.along(site, "bias", 0)
        return plus(times(plus(xs[0], point(-mean)), self.factor(site)), point(bias))

    def error(self, site: Site, xs: Sequence[Computed], out: Range, run: Execution) -> Array:
        (x,), a = xs, run.arithmetic
        mean, bias, gamma = (np.abs(self.along(site, role, default)) for role, default in (("mean", 0), ("bias", 0), ("weight", 1)))
        if not (self.variance(site).lo >= a.normal).all():
            raise NoBound(site.node.name, f"var + eps below {a.normal:.3g}", "variances that are normal numbers")
        factor, reach, inverse = self.factor(site).most, add_up(x.most, mean), self.inverse(site).hi
        magnitude, g = add_up(mul_up(factor, reach), bias), growth(ROUNDINGS, a.u)
        underflow = mul_up(a.eta, total_up(mul_up(reach, add_up(gamma, 1.0)), gamma, 4.0))
        run.within(site, mul_up(total_up(magnitude, reach, mul_up(inverse, reach), inverse, factor, self.variance(site).hi, underflow), 2.0))
        return total_up(mul_up(factor, x.off), mul_up(g, magnitude), mul_up(underflow, add_up(1.0, g)))

    def factor(self, site: Site) -> Range:
        """a, enclosed."""
        return times(self.inverse(site), point(self.along(site, "weight", 1)))

    def inverse(self, site: Site) -> Range:
        """1 / sqrt(var + eps), enclosed: IEEE roots are the nearest."""
        v = self.variance(site)
        low, high = np.nextafter(np.sqrt(v.lo), 0), np.nextafter(np.sqrt(v.hi), np.inf)
        if not (v.lo > 0).all():
            raise NoBound(site.node.name, "var + eps is not positive everywhere", "positive variances")
        return Range(-div_up(-1.0, high), div_up(1.0, low))

    def variance(self, site: Site) -> Range:
        if site.attrs["eps"] < 0 or (site.params["var"] < 0).any():
            raise NoBound(site.node.name, "a negative variance or eps", "numbers of 0 or more")
        return plus(point(self.along(site, "var", 0)), point(float(site.attrs["eps"])))

    def along(self, site: Site, role: str, default: float) -> Array:
        """The parameter, to be broadcast against the value without batch."""
        if role not in site.params:
            return np.asarray(float(default))
        return site.params[role].astype(np.float64).reshape(-1, *[1] * (len(site.shape) - 2))
