"""Sums and averages over positions: direct sums of k entries, then at most three divisions.

An average may be executed as a sum divided at once or axis by axis, divisions
may be products with rounded inverses, and the number of entries may itself be
rounded; or as a sum of k products with 1/k. All pass at most n = k + 6 roundings
and underflow at most k + 3 times. A sum alone has n = k and no underflow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lumpnet.bounds.kinds.layout import moved
from lumpnet.bounds.outward import Array, Range, add_down, add_up, mul_up
from lumpnet.bounds.registry import Computed, Execution, Rule, bounds
from lumpnet.bounds.rounding import HERE, THEOREM, raised
from lumpnet.errors import NoBound
from lumpnet.ops import Site


class Mean(Rule):
    divisions, underflows = 6, 3

    def terms(self, site: Site) -> int:
        """k, or more."""
        raise NotImplementedError

    def read(self, site: Site) -> int:
        """How many averages read one entry, or more."""
        return 1

    def counts(self, site: Site) -> tuple[Array, Array]:
        """Underflows, and roundings n."""
        k = self.terms(site)
        return np.asarray((k + self.underflows) * (self.divisions > 0)), np.asarray(k + self.divisions)

    def range(self, site: Site, xs: Sequence[Range]) -> Range:
        (x,), (e, n) = xs, self.counts(site)
        lo, hi, most = moved(site, (x.lo, x.hi, x.most))
        off = THEOREM.error(HERE, e, n, raised(most, e, n))
        return Range(add_down(lo, -off), add_up(hi, off))

    def error(self, site: Site, xs: Sequence[Computed], out: Range, run: Execution) -> Array:
        (x,), (e, n) = xs, self.counts(site)
        passed, absolute = (raised(a, e, n) for a in moved(site, (x.off, x.most)))
        run.within(site, mul_up(mul_up(x.most.max(initial=0), self.terms(site)), 2.0))
        return add_up(passed, run.formula.error(run.arithmetic, e, n, absolute))


@bounds("mean")
class OverAxes(Mean):
    def terms(self, site: Site) -> int:
        return math.prod(int(site.in_shapes[0][axis] or 0) for axis in site.attrs["axes"])


@bounds("sum")
class Sum(OverAxes):
    divisions = underflows = 0


@bounds("avg_pool")
class AvgPool(Mean):
    def terms(self, site: Site) -> int:
        divisor = site.attrs["divisor_override"]
        if divisor is not None and divisor < 1:
            raise NoBound(site.node.name, f"it divides by {divisor}", "a divisor of 1 or more")
        return math.prod(site.attrs["kernel"])

    def read(self, site: Site) -> int:
        return math.prod(site.attrs["kernel"])


@bounds("adaptive_avg_pool")
class AdaptiveAvgPool(Mean):
    """A region has at most ceil(n / o) + 1 entries along an axis of n entries with o regions, and an entry is in at most ceil(o / n) + 1 regions."""

    def terms(self, site: Site) -> int:
        return math.prod(min(n, -(-n // o) + 1) for n, o in self._sizes(site))

    def read(self, site: Site) -> int:
        return math.prod(min(o, -(-o // n) + 1) for n, o in self._sizes(site))

    def _sizes(self, site: Site) -> list[tuple[int, int]]:
        return [(int(n or 0), o) for n, o in zip(site.in_shapes[0][2:], site.attrs["output_size"], strict=True)]
