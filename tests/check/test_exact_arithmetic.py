"""Exact arithmetic of the checker against `Fraction`, one law a test."""

from __future__ import annotations

import math
from fractions import Fraction as F

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumpnet.certificate import Surd
from lumpnet.check.numbers import add_reals, compare, dyadic, misfits, order, same, scale_real, segment_sums, times

finite = {w: st.floats(width=w, allow_nan=False, allow_infinity=False) for w in (32, 64)}
usual = {w: st.floats(-8, 8, width=w) for w in (32, 64)}
widths = st.sampled_from([32, 64])
small = st.fractions(-20, 20, max_denominator=12)
DTYPE = {32: np.float32, 64: np.float64}


def exact(whole: np.ndarray, exponent: int) -> list[F]:
    return [F(int(n)) * F(2) ** exponent for n in whole.reshape(-1)]


def test_zeros_take_factors_of_any_length() -> None:
    sums, exponent = segment_sums(np.zeros((2, 1, 1)), np.zeros(1, np.int64), np.array([1 << 200, -1], object))
    assert exact(sums, exponent) == [0]


@given(st.data(), widths, st.integers(0, 70))
def test_dyadic_integers_are_the_floats(data: st.DataObject, width: int, room: int) -> None:
    values = np.array(data.draw(st.lists(finite[width] | usual[width], max_size=6)), DTYPE[width])
    whole, exponent = dyadic(values, room)
    assert exact(whole, exponent) == [F(float(v)) for v in values]
    if whole.dtype != object and len(values):
        assert int(np.abs(whole).max()).bit_length() + room <= 62 or not whole.any()


@given(st.data(), widths)
def test_segment_sums_are_exact(data: st.DataObject, width: int) -> None:
    units = data.draw(st.integers(1, 6))
    x = np.array([[[data.draw(finite[width] | usual[width])] for _ in range(2)] for _ in range(units)], DTYPE[width])
    starts = np.array(sorted({0, *data.draw(st.sets(st.integers(0, units - 1)))}))
    factors = np.array(data.draw(st.lists(st.integers(-(2**70), 2**70) | st.integers(-9, 9), min_size=units, max_size=units)), object)
    sums, exponent = segment_sums(x, starts, factors)
    ends = [*starts[1:], units]
    expected = [sum(F(float(x[u, r, 0])) * factors[u] for u in range(a, b)) for a, b in zip(starts, ends, strict=True) for r in range(2)]
    assert exact(sums, exponent) == expected


@given(st.lists(st.integers(-(2**61), 2**61), min_size=1, max_size=5), st.integers(-(2**80), 2**80))
def test_products_are_exact(values: list[int], factor: int) -> None:
    out = times(np.array(values, np.int64), np.array([factor], object))
    assert [int(v) for v in out] == [v * factor for v in values]


@given(st.integers(-(2**62), 2**62), st.integers(-1100, 1100), st.integers(-(2**55), 2**55), st.integers(-1100, 1100), st.booleans())
def test_order_is_the_order_of_rationals(x: int, e: int, y: int, f: int, objects: bool) -> None:
    kind = object if objects else np.int64
    out = order(np.array([x], kind), e, np.array([y], np.int64), np.array([f]))
    difference = F(x) * F(2) ** e - F(y) * F(2) ** f
    assert out[0] == (difference > 0) - (difference < 0)


def nearest(value: F, dtype: type) -> float:
    """Correct rounding, ties to even, by the neighbours of an approximation; infinity beyond the upper midpoint of the largest number."""
    top = F(float(np.finfo(dtype).max))
    half = (top - F(float(np.nextafter(dtype(float(top)), dtype(0))))) / 2
    if abs(value) >= top + half:
        return math.inf
    middle = dtype(float(max(min(value, top), -top)))
    around = [middle, np.nextafter(middle, dtype(np.inf)), np.nextafter(middle, dtype(-np.inf))]
    mantissa = {np.float32: np.int32, np.float64: np.int64}[dtype]
    return float(min((n for n in around if np.isfinite(n)), key=lambda n: (abs(F(float(n)) - value), int(n.view(mantissa)) & 1)))


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
@settings(max_examples=400)
@given(st.data(), widths, st.sampled_from([1, 1, 3, 2**70 + 1]))
def test_nearest_accepts_the_nearest_number_and_no_neighbour(data: st.DataObject, width: int, denominator: int) -> None:
    dtype = DTYPE[width]
    base = data.draw(finite[width] | usual[width])
    step = np.nextafter(dtype(base), dtype(np.inf))
    value = F(float(base))
    if np.isfinite(step):
        value += (F(float(step)) - value) * data.draw(st.sampled_from([F(0), F(1, 2), F(1, 3), F(3, 4)]))
    value /= denominator
    bottom = value.denominator
    e = -(((bottom & -bottom).bit_length()) - 1)
    x = np.array([value.numerator], object)
    rest = np.array([bottom >> -e], object)
    best = nearest(value, dtype)
    for candidate in {float(best), float(np.nextafter(dtype(best), dtype(np.inf))), float(np.nextafter(dtype(best), dtype(-np.inf)))}:
        if math.isfinite(candidate):
            bad = misfits(x, e, rest, np.array([candidate], dtype), "nearest")[0]
            assert bad == (candidate != best)
            assert misfits(x, e, rest, np.array([candidate], dtype), "none")[0] == (F(candidate) != value)


def test_overflow_has_no_nearest_number() -> None:
    top = np.array([np.finfo(np.float32).max])
    for numerator, fits in ((2**128 - 2**103 - 1, True), (2**128 - 2**103, False), (2**128, False)):
        assert bool(misfits(np.array([numerator], object), 0, None, top, "nearest")[0]) is not fits


def test_minus_zero_is_zero() -> None:
    assert not misfits(np.array([0]), 0, None, np.array([-0.0], "float32"), "none")[0]


def value(x: F | Surd) -> float:
    return float(x.a) + float(x.b) * math.sqrt(x.r) if isinstance(x, Surd) else float(x)


surds = st.builds(Surd, small, small.filter(bool), st.fractions(F(1, 12), 20, max_denominator=12))
reals = small | surds


@given(reals, small)
def test_comparison_of_surds_is_that_of_their_values(x: F | Surd, bound: F) -> None:
    gap = value(x) - float(bound)
    if abs(gap) > 1e-9:
        assert compare(x, bound) == (1 if gap > 0 else -1)


@given(reals, reals)
def test_equal_surds_have_equal_values(x: F | Surd, y: F | Surd) -> None:
    assert same(x, x)
    assert same(x, y) == same(y, x)
    if abs(value(x) - value(y)) > 1e-9:
        assert not same(x, y)


@given(small, small.filter(bool), small.filter(lambda q: q > 0), small.filter(bool))
def test_a_surd_is_the_same_in_every_way_of_writing_it(a: F, b: F, r: F, q: F) -> None:
    assert same(Surd(a, b, r), Surd(a, b / abs(q), r * q * q))
    assert same(Surd(a, b, q * q), a + b * abs(q))
    assert same(Surd(a, b, q * q), Surd(a + b * abs(q) - 2 * abs(q) * 3, F(6), q * q))
    assert not same(Surd(a, b, F(2)), a + b)


@given(reals, reals, small)
def test_sums_and_multiples_of_surds_are_exact(x: F | Surd, y: F | Surd, factor: F) -> None:
    total = add_reals(x, y)
    if total is not None:
        assert math.isclose(value(total), value(x) + value(y), abs_tol=1e-9)
    assert math.isclose(value(scale_real(factor, x)), float(factor) * value(x), abs_tol=1e-9)
