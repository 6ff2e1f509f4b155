"""add, mul, and arithmetic with stored constants: one rounded operation (a division may be a product with the rounded inverse)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lumpnet.bounds.outward import Array, Range, add_up, div_up, mul_up, over, plus, point, times, total_up
from lumpnet.bounds.registry import Computed, Execution, Rule, bounds
from lumpnet.ops import Site, get


@bounds("add")
class Add(Rule):
    """`|fl(s) - s| <= u |s|` with s the sum of the computed operands; an addition does not underflow."""

    def range(self, site: Site, xs: Sequence[Range]) -> Range:
        return plus(*xs)

    def error(self, site: Site, xs: Sequence[Computed], out: Range, run: Execution) -> Array:
        passed = add_up(xs[0].off, xs[1].off)
        return add_up(passed, mul_up(run.arithmetic.u, add_up(out.most, passed)))


@bounds("mul")
class Mul(Rule):
    """`x' y' - x y = x' (y' - y) + y (x' - x)`."""

    def range(self, site: Site, xs: Sequence[Range]) -> Range:
        return times(*xs)

    def error(self, site: Site, xs: Sequence[Computed], out: Range, run: Execution) -> Array:
        (x, y), a = xs, run.arithmetic
        product = mul_up(x.most, y.most)
        run.within(site, mul_up(product, 2.0))
        return total_up(mul_up(x.most, y.off), mul_up(y.exact.most, x.off), mul_up(a.u, product), a.eta)


class WithConstant(Rule):
    role = ""

    def constant(self, site: Site) -> Array:
        """The stored numbers, to be broadcast against the value without batch."""
        op: Any = get(site.node.kind)
        aligned = op.aligned(site).astype(np.float64)
        return np.asarray(aligned.reshape(aligned.shape[1:]))


@bounds("add_constant")
class AddConstant(WithConstant):
    def range(self, site: Site, xs: Sequence[Range]) -> Range:
        return plus(xs[0], point(self.constant(site)))

    def error(self, site: Site, xs: Sequence[Computed], out: Range, run: Execution) -> Array:
        return add_up(xs[0].off, mul_up(run.arithmetic.u, add_up(out.most, xs[0].off)))


@bounds("mul_constant")
class MulConstant(WithConstant):
    def range(self, site: Site, xs: Sequence[Range]) -> Range:
        return times(xs[0], point(self.constant(site)))

    def error(self, site: Site, xs: Sequence[Computed], out: Range, run: Execution) -> Array:
        (x,), factor, a = xs, np.abs(self.constant(site)), run.arithmetic
        product = mul_up(factor, x.most)
        run.within(site, mul_up(product, 2.0))
        return total_up(mul_up(factor, x.off), mul_up(a.u, product), np.where(product == 0, 0.0, a.eta))


@bounds("div_constant")
class DivConstant(WithConstant):
    """Two roundings if the inverse is stored, which may underflow, and then the product may."""

    def range(self, site: Site, xs: Sequence[Range]) -> Range:
        return over(xs[0], self.constant(site))

    def error(self, site: Site, xs: Sequence[Computed], out: Range, run: Execution) -> Array:
        (x,), divisor, a = xs, np.abs(self.constant(site)), run.arithmetic
        run.within(site, mul_up(np.maximum(div_up(x.most, divisor), div_up(1.0, divisor)), 2.0))
        underflow = mul_up(a.eta, add_up(mul_up(2.0, x.most), 2.0))
        return total_up(div_up(x.off, divisor), mul_up(3 * a.u, div_up(x.most, divisor)), underflow)
