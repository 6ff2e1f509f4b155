"""Each part of the theorem is needed: without it, an execution that IEEE arithmetic allows is beyond the bound.

Every case is one layer on one input with an evaluation in float32, an operation at a time, and the exact
value in rationals. The bound as it is holds in all of them; one weakened formula, at least, does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from lumpnet import Box
from lumpnet.bounds import executed
from lumpnet.bounds.outward import Array, mul_up
from lumpnet.bounds.rounding import ARITHMETIC, THEOREM, Arithmetic, Formula, growth, raised
from tests.bounds.cases import chain, linear
from tests.bounds.executions import by_torch, fused

U = 2.0**-24
ONE = np.float32(1)


# -- weakened formulas --------------------------------------------------------------------------


class LogarithmOfN(Formula):
    """log2 n for n, as if sums were always trees."""

    def roundings(self, products: Array, biased: bool) -> Array:
        return np.ceil(np.log2(np.maximum(super().roundings(products, biased), 2)))


class OneLess(Formula):
    """n - 1."""

    def roundings(self, products: Array, biased: bool) -> Array:
        return np.maximum(super().roundings(products, biased) - 1, 0)


class TwoLess(Formula):
    """n - 2."""

    def roundings(self, products: Array, biased: bool) -> Array:
        return np.maximum(super().roundings(products, biased) - 2, 0)


class NoUnderflow(Formula):
    """No eta."""

    def underflow(self, products: Array, n: Array, a: Arithmetic) -> Array:
        return np.zeros(np.shape(products))


class NoBias(Formula):
    """|W||x| alone."""

    def magnitude(self, absolute: Array, bias: Array) -> Array:
        return absolute


class HalfU(Formula):
    """u / 2 for u."""

    def relative(self, n: Array, a: Arithmetic) -> Array:
        return growth(n, a.u / 2)


class ExactProducts(Formula):
    """No rounding of products: k + 1 terms are added, with k roundings and no underflow."""

    def roundings(self, products: Array, biased: bool) -> Array:
        return products if biased else products - 1

    def underflow(self, products: Array, n: Array, a: Arithmetic) -> Array:
        return np.zeros(np.shape(products))


@dataclass(frozen=True)
class AbsoluteOfSum(Formula):
    """|sum| for sum | |. The value is that of the case."""

    value: float = 0.0

    def magnitude(self, absolute: Array, bias: Array) -> Array:
        return np.asarray(abs(self.value))


# -- cases ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layer:
    """w x + b as `evaluate` computes it, which is an execution in float32."""

    w: tuple[float, ...]
    x: tuple[float, ...]
    b: float | None
    evaluate: Callable[[Array, Array, np.float32], np.float32]

    def computed(self) -> Fraction:
        w, x = np.array(self.w, np.float32), np.array(self.x, np.float32)
        assert [*w.tolist(), *x.tolist()] == [*self.w, *self.x], "the case is not one of float32"
        with np.errstate(under="ignore"):
            return Fraction(float(self.evaluate(w, x, np.float32(self.b or 0.0))))

    def exact(self) -> Fraction:
        return sum((Fraction(a) * Fraction(c) for a, c in zip(self.w, self.x, strict=True)), Fraction(self.b or 0.0))

    def bound(self, formula: Formula = THEOREM) -> Fraction:
        graph = chain([len(self.w)], linear([self.w], None if self.b is None else [self.b]))
        found = executed(graph, Box(self.x, self.x), "float32", formula)
        assert found.reason is None, found.reason
        return Fraction(found.bound or 0.0)

    def error(self) -> Fraction:
        return abs(self.computed() - self.exact())


def in_order(w: Array, x: Array, b: np.float32) -> np.float32:
    """Products first to last, then the bias."""
    total = w[0] * x[0]
    for a, c in zip(w[1:], x[1:], strict=True):
        total = total + a * c
    return np.float32(total + b)


def without_bias(w: Array, x: Array, b: np.float32) -> np.float32:
    total = w[0] * x[0]
    for a, c in zip(w[1:], x[1:], strict=True):
        total = total + a * c
    return np.float32(total)


def by_fma(w: Array, x: Array, b: np.float32) -> np.float32:
    """From the bias, a fused multiply-add at a time."""
    total = np.array([b])
    for a, c in zip(w, x, strict=True):
        total = fused(np.array([a]), np.array([c]), total)
    return np.float32(total[0])


def lost(k: int) -> Layer:
    """(1 + 2^-23) (1 - 2^-24) is rounded by almost u; then k - 1 products and the bias, u each, are ties that even 1 wins."""
    w = (1 + 2.0**-23, *[U] * (k - 1))
    return Layer(w, (1 - U, *[1.0] * (k - 1)), U, in_order)


CASES: dict[str, Layer] = {
    "sixty-four terms, each lost": lost(64),
    "two products and a bias, each lost": lost(2),
    "a product that underflows": Layer((2.0**-75,), (2.0**-75,), None, without_bias),
    "a bias that is all there is": Layer((U,), (1.0,), 1.0, in_order),
    "a sum that cancels": Layer((2.0**25, 1.0, -(2.0**25)), (1000.0, 1000.0, 1000.0), None, without_bias),
    "one product": Layer((1 + 2.0**-23,), (1 + 2.0**-23,), None, without_bias),
    "fused, underflowing into a subnormal bias": Layer((2.0**-100, 2.0**-100), (2.0**-51, 2.0**-51), 2.0**-149, by_fma),
    "fused, each lost": Layer((U, U, U), (1.0, 1.0, 1.0), 1.0, by_fma),
}
WEAKENED: dict[str, tuple[Callable[[Layer], Formula], str]] = {
    "log2 n": (lambda case: LogarithmOfN(), "sixty-four terms, each lost"),
    "n - 1": (lambda case: OneLess(), "sixty-four terms, each lost"),
    "n - 2": (lambda case: TwoLess(), "sixty-four terms, each lost"),
    "no eta": (lambda case: NoUnderflow(), "a product that underflows"),
    "no bias": (lambda case: NoBias(), "a bias that is all there is"),
    "|sum| for sum | |": (lambda case: AbsoluteOfSum(float(case.exact())), "a sum that cancels"),
    "u / 2": (lambda case: HalfU(), "sixty-four terms, each lost"),
    "no product rounding": (lambda case: ExactProducts(), "one product"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_theorem_holds(name: str) -> None:
    case = CASES[name]
    assert 0 < case.error() <= case.bound()


@pytest.mark.parametrize("weakening", WEAKENED)
def test_a_weakened_formula_is_violated(weakening: str) -> None:
    weaken, name = WEAKENED[weakening]
    case = CASES[name]
    assert case.error() > case.bound(weaken(case)), f"{weakening} is not caught by {name!r}"


def test_n_is_sharp_for_every_length() -> None:
    """The error of `lost(k)` is above the bound for n - 1 = k, and above 0.9999 of the bound itself."""
    for k in (1, 2, 3, 10, 100, 500):
        case = lost(k)
        assert case.error() > case.bound(OneLess())
        assert case.error() > Fraction(9999, 10000) * case.bound()


def test_no_bias_needs_no_more_roundings_than_products() -> None:
    """Without a bias n = k: k products pass k roundings, and k - 1 are too few."""
    case = Layer((1 + 2.0**-23, U, U), (1 - U, 1.0, 1.0), None, without_bias)
    assert case.error() <= case.bound()
    assert case.error() > case.bound(OneLess())


def test_zero_weights_count_for_nothing() -> None:
    """Products with a weight 0 are exact: the bound is that of the others."""
    few, many = Layer((0.3125, 0.75), (1.0, 1.0), 1.0, in_order), Layer((0.3125, 0.0, 0.75, 0.0, 0.0), (1.0,) * 5, 1.0, in_order)
    assert many.bound() == few.bound()


def test_torch_reaches_a_part_of_the_bound() -> None:
    """Not only orders that nobody uses: torch itself loses more than u / 64 n of what the theorem allows it."""
    n = 4096
    graph = chain([n], linear(np.ones((1, n)), [0.0]))
    x = np.full((1, n), 1 + 2.0**-22 / 3, np.float32)
    (y,) = by_torch(graph)({"x": x})
    exact = sum(Fraction(float(v)) for v in x[0])
    assert abs(Fraction(float(y[0, 0])) - exact) <= Fraction(executed(graph, Box(x[0], x[0]), "float32").bound or 0.0)


def test_raised_is_above_the_exact_sum(rng: np.random.Generator) -> None:
    """Where numpy's sum is below it, and in general."""
    below = 0
    for k in (1, 2, 3, 50, 400):
        for _ in range(20):
            w, x = rng.random((1, k)), rng.random(k)
            exact = sum(Fraction(a) * Fraction(b) for a, b in zip(w[0].tolist(), x.tolist(), strict=True))
            computed, count = w @ x, np.array([k])
            assert exact <= Fraction(float(raised(computed, count, count)[0])) <= exact * (1 + Fraction(k + 4, 2**51))
            below += Fraction(float(computed[0])) < exact
    assert below
    assert Fraction(float(raised(np.zeros(1), np.array([3]), np.array([3]))[0])) >= 3 * Fraction(1, 2**1075)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_growth_is_above_the_power(dtype: str) -> None:
    u = ARITHMETIC[dtype].u
    for n in (0, 1, 2, 3, 7, 100, 5000, 20000):
        exact = (1 + Fraction(u)) ** n - 1
        assert exact <= Fraction(float(growth(n, u))) <= exact * (1 + (n * Fraction(u)) ** 2 + Fraction(1, 2**45))


def test_the_formats_are_what_numpy_says() -> None:
    for dtype, a in ARITHMETIC.items():
        info = np.finfo(dtype)
        assert a.u == info.eps / 2
        assert a.largest == info.max
        assert a.normal == info.smallest_normal
        assert Fraction(float(a.eta)) >= Fraction(float(info.smallest_subnormal)) / 2
        assert float(mul_up(a.eta, 1.0)) >= a.eta


def test_fused_is_one_rounding(rng: np.random.Generator) -> None:
    """Against rationals, also where the result is subnormal or cancels."""

    def nearest(q: Fraction) -> np.float32:
        near = np.float32(float(q))
        around = [np.nextafter(near, np.float32(-np.inf)), near, np.nextafter(near, np.float32(np.inf))]
        return min(around, key=lambda f: (abs(Fraction(float(f)) - q), int(f.view(np.int32)) & 1))

    for scale in (0, -40, -70, -74):
        a, b = (rng.normal(size=300).astype(np.float32) * np.float32(2.0**scale) for _ in range(2))
        c = np.where(rng.random(300) < 0.5, -(a * b), rng.normal(size=300).astype(np.float32) * np.float32(2.0 ** max(2 * scale, -149))).astype(np.float32)
        for x, y, z, got in zip(a, b, c, fused(a, b, c), strict=True):
            assert got == nearest(Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z)))


def test_formulas_are_weaker(rng: np.random.Generator) -> None:
    """Each weakened formula is below the theorem on all cases: it is the theorem, less something."""
    checked: list[Any] = [(case, weaken(case)) for case in CASES.values() for weaken, _ in WEAKENED.values()]
    for case, formula in checked:
        assert case.bound(formula) <= case.bound()
