"""linear, conv, conv_transpose: `W x + b`. The theorem of `rounding`, as it stands, for numpy and for the execution alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lumpnet.bounds.outward import Array, Range, add_down, add_up
from lumpnet.bounds.registry import Computed, Execution, Rule, bounds
from lumpnet.bounds.rounding import HERE, THEOREM, largest_partial, raised
from lumpnet.ops import Site, get


class Affine(Rule):
    """Centre c and radius r: `|W x - fl(W c)| <= |W| r + error of fl(W c)`, both raised."""

    def range(self, site: Site, xs: Sequence[Range]) -> Range:
        (x,), k = xs, self.products(site)
        centre = np.clip(x.lo / 2 + x.hi / 2, x.lo, x.hi)
        radius = np.maximum(add_up(x.hi, -centre), add_up(centre, -x.lo))
        spread, weight = raised(self.absolute(site, radius, np.abs(centre)), k, k)
        off = add_up(spread, THEOREM.error(HERE, k, k, weight))
        (middle,), b = self.apply(site, site.params["weight"], centre), self.bias(site)
        return Range(add_down(add_down(middle, -off), b), add_up(add_up(middle, off), b))

    def error(self, site: Site, xs: Sequence[Computed], out: Range, run: Execution) -> Array:
        (x,), k, a = xs, self.products(site), run.arithmetic
        passed, absolute = raised(self.absolute(site, x.off, x.most), k, k)
        n, magnitude = run.formula.roundings(k, "bias" in site.params), run.formula.magnitude(absolute, self.bias(site))
        run.within(site, largest_partial(a, k, k + 1, add_up(absolute, np.abs(self.bias(site)))))
        return add_up(passed, run.formula.error(a, k, n, magnitude))

    def apply(self, site: Site, weight: Array, *xs: Array) -> Array:
        """W x for each x, in float64: a direct sum of products."""
        bare = replace(site, params={"weight": weight.astype(np.float64)})
        return np.asarray(get(site.node.kind).run(bare, [np.stack(xs)]))

    def absolute(self, site: Site, *xs: Array) -> Array:
        return self.apply(site, np.abs(site.params["weight"]), *xs)

    def bias(self, site: Site) -> Array:
        bias = site.params.get("bias")
        return np.zeros(()) if bias is None else self.along(site, bias.astype(np.float64))

    def products(self, site: Site) -> Array:
        """Per unit, the most products that are not exactly zero, shaped like `bias`."""
        raise NotImplementedError

    def along(self, site: Site, by_unit: Array) -> Array:
        """One number a unit, to be broadcast against the value."""
        return np.asarray(by_unit.reshape(-1, *[1] * (len(site.shape) - 2)))


@bounds("linear")
class Linear(Affine):
    def products(self, site: Site) -> Array:
        return np.asarray(np.count_nonzero(site.params["weight"], axis=1))

    def along(self, site: Site, by_unit: Array) -> Array:
        return by_unit


@bounds("conv")
class Conv(Affine):
    def products(self, site: Site) -> Array:
        weight = site.params["weight"]
        return self.along(site, np.count_nonzero(weight.reshape(len(weight), -1), axis=1))


@bounds("conv_transpose")
class ConvTranspose(Affine):
    """weight (in, out / groups, *kernel): an output reads a tap of its group at most once."""

    def products(self, site: Site) -> Array:
        weight, groups = site.params["weight"], site.attrs["groups"]
        by_group = weight.reshape(groups, len(weight) // groups, weight.shape[1], -1)
        return self.along(site, np.count_nonzero(by_group, axis=(1, 3)).reshape(-1))
