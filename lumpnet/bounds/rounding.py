"""The theorem about direct sums in floating point, said once.

`fl(a) = a (1 + d) + e` with |d| <= u, |e| <= eta (rounding to nearest, gradual
underflow, no overflow); e = 0 for additions. A sum of k products and a bias, in
any order, with or without FMA, multiplies every product with at most n = k + 1
factors (1 + d) and the bias with at most k; without a bias n = k. Each product
or FMA adds one e, which the operations after it multiply likewise. So

    |fl - exact| <= ((1 + u)^n - 1) (|W||x| + |b|) + k eta (1 + u)^n

and no partial result exceeds `(1 + u)^n (|W||x| + |b|) + k eta (1 + u)^n`. Products with a
weight that is zero are exact and count for nothing. (Higham, Accuracy and
Stability of Numerical Algorithms, 2nd ed., section 3.1, with underflow as in its equation 2.8.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lumpnet.bounds.outward import Array, Numbers, add_up, div_up, mul_up
from lumpnet.errors import NoBound


@dataclass(frozen=True)
class Arithmetic:
    """A float format: unit roundoff, a bound on the error of an underflow, the largest number and the smallest normal one."""

    dtype: str
    u: float
    eta: float
    largest: float
    normal: float


ARITHMETIC = {
    "float32": Arithmetic("float32", 2.0**-24, 2.0**-150, float(np.finfo(np.float32).max), 2.0**-126),
    "float64": Arithmetic("float64", 2.0**-53, 5e-324, float(np.finfo(np.float64).max), 2.0**-1022),  # eta = 2**-1075, rounded up
}
HERE = ARITHMETIC["float64"]
"""What this package computes in."""


def growth(n: Numbers, u: float) -> Array:
    """A bound above (1 + u)^n - 1 for n u <= 1: its terms n u and n (n-1) u^2 / 2, and a quarter of n (n-1) (n-2) u^3 for all others.

    The term of u^j is at most n (n-1) (n-2) u^3 / j!, and 1/3! + 1/4! + ... = e - 5/2 < 1/4.
    """
    t = np.multiply(n, u)  # exact: u is a power of two
    if np.max(t, initial=0) > 1:
        raise NoBound("rounding", f"a sum of {int(np.max(n))} terms, too many for u = {u}", "shorter sums, or float64")
    square = mul_up(t, t - u)
    return add_up(t, add_up(mul_up(square, 0.5), mul_up(mul_up(square, t - 2 * u), 0.25)))


class Formula:
    """The theorem's bound in its parts. Tests weaken them one at a time and show that each is needed."""

    def roundings(self, products: Array, biased: bool) -> Array:
        """n: how many roundings a product passes, its own among them."""
        return products + 1 if biased else products

    def magnitude(self, absolute: Array, bias: Array) -> Array:
        """|W||x| + |b|."""
        return add_up(absolute, np.abs(bias))

    def relative(self, n: Array, a: Arithmetic) -> Array:
        return growth(n, a.u)

    def underflow(self, products: Array, n: Array, a: Arithmetic) -> Array:
        return mul_up(mul_up(products, a.eta), add_up(1.0, growth(n, a.u)))

    def error(self, a: Arithmetic, products: Array, n: Array, magnitude: Array) -> Array:
        """The bound on |fl - exact|."""
        return add_up(mul_up(self.relative(n, a), magnitude), self.underflow(products, n, a))


THEOREM = Formula()


def largest_partial(a: Arithmetic, products: Array, n: Array, magnitude: Array) -> Array:
    """A bound on every partial result of the sum."""
    return add_up(magnitude, THEOREM.error(a, products, n, magnitude))


def raised(computed: Array, products: Array, n: Array) -> Array:
    """A bound above the exact sum of products >= 0 that numpy answered `computed` for.

    By the theorem `exact - computed <= g exact + e`, so `exact <= (computed + e) / (1 - g)`.
    """
    g = growth(n, HERE.u)
    return div_up(add_up(computed, THEOREM.underflow(products, n, HERE)), -add_up(-1.0, g))
