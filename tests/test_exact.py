"""Laws of the rational room: what it says of floats is what `Fraction` says."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from lumpnet.exact import (
    Collapsed,
    Merge,
    SquareClasses,
    Surd,
    constant_array,
    directions,
    integers,
    linear_forms,
    multiples,
    round_to,
    sign,
    square_root,
    surd,
)
from lumpnet.exact.fingerprint import P, residue, residues
from lumpnet.exact.integers import Scaled
from lumpnet.ops.rows import _all_apart, confirmed

floats32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
floats64 = st.floats(allow_nan=False, allow_infinity=False)
rationals = st.fractions(min_value=-1000, max_value=1000, max_denominator=1000)
nonzero = rationals.filter(bool)


def arrays(dtype: str, elements: st.SearchStrategy[float]) -> st.SearchStrategy[np.ndarray]:
    return npst.arrays(dtype, npst.array_shapes(min_dims=3, max_dims=3, max_side=4), elements=elements)


any_array = st.one_of(arrays("float32", floats32), arrays("float64", floats64))


@given(any_array)
def test_integers_are_lossless(a: np.ndarray) -> None:
    scaled = integers(a)
    assert [int(i) * scaled.factor for i in scaled.ints.reshape(-1)] == [Fraction(float(x)) for x in a.reshape(-1)]


@given(any_array, st.data())
def test_collapse_is_the_rational_sum(a: np.ndarray, data: st.DataObject) -> None:
    n = a.shape[1]
    count = data.draw(st.integers(1, n))
    classes = np.array(data.draw(st.lists(st.integers(-1, count - 1), min_size=n, max_size=n)))
    scales = np.array([*data.draw(st.lists(nonzero, min_size=n, max_size=n)), None], dtype=object)[:n]
    got = Merge(classes, scales, count).apply(a)
    for i in range(a.shape[0]):
        for k in range(count):
            for t in range(a.shape[2]):
                want = sum((scales[j] * Fraction(float(a[i, j, t])) for j in range(n) if classes[j] == k), Fraction(0))
                assert got.value(i, k, t) == want


@given(st.one_of(floats32, floats64))
def test_residues_are_those_of_the_rational(x: float) -> None:
    assert int(residues(np.array([x], dtype=np.float64))[0]) == residue(Fraction(x)) % P


@given(arrays("float32", st.floats(-8, 8, width=32)), st.data())
def test_proportional_rows_always_share_a_fingerprint(a: np.ndarray, data: st.DataObject) -> None:
    k = data.draw(st.integers(-20, 20))
    both = np.concatenate([a[:1], np.ldexp(a[:1], k)])
    keys = directions(linear_forms(both, Merge(np.arange(a.shape[1]), np.array([Fraction(1)] * a.shape[1], dtype=object), a.shape[1])))
    exact = (np.ldexp(np.ldexp(a[:1], k), -k) == a[:1]).all()
    assert not exact or keys[0] == keys[1]


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=4), nonzero)
def test_multiples_does_not_overflow(base: list[int], ratio: Fraction) -> None:
    base_array = np.array(base, dtype=np.int64)
    true = [b * ratio for b in base]
    rows = np.empty((2, len(base)), dtype=object)
    rows[0] = [int(t * ratio.denominator) for t in true]
    rows[1] = [r + 1 for r in rows[0]]
    assert multiples(rows, base_array, ratio * ratio.denominator).tolist() == [True, False]


@given(rationals, st.integers(-160, 130))
def test_round_to_float32_is_nearest_even(q: Fraction, k: int) -> None:
    q *= Fraction(2) ** k
    got = round_to(q, "float32")
    with np.errstate(over="ignore"):
        candidates = [np.float32(float(q))]
    candidates += [np.nextafter(candidates[0], np.float32(s)) for s in (np.inf, -np.inf)]
    finite = [c for c in candidates if np.isfinite(c)]
    if got is None:
        assert abs(q) >= (2 - Fraction(1, 2**24)) * Fraction(2) ** 127
        return
    best = min(abs(Fraction(float(c)) - q) for c in finite)
    assert abs(Fraction(got) - q) == best
    ties = [c for c in finite if abs(Fraction(float(c)) - q) == best]
    if len(ties) == 2:
        assert int(np.float32(got).view(np.int32)) % 2 == 0


@given(st.lists(st.integers(-(2**60), 2**60), min_size=1, max_size=5), nonzero, st.sampled_from(["float32", "float64"]))
def test_rounded_agrees_with_round_to(ints: list[int], factor: Fraction, dtype: str) -> None:
    tensor, inexact, overflow = Scaled(np.array(ints, dtype=np.int64), factor).rounded(dtype)
    for got, bad, over, whole in zip(tensor, inexact, overflow, ints, strict=True):
        want = round_to(whole * factor, dtype)
        assert over == (want is None)
        assert float(got) == (want or 0.0)
        assert bad == (Fraction(float(got)) != whole * factor)


@given(nonzero, nonzero, st.fractions(min_value=Fraction(1, 50), max_value=50, max_denominator=50))
def test_the_sign_of_a_surd_is_that_of_the_real_number(a: Fraction, b: Fraction, r: Fraction) -> None:
    x = surd(a, b, r)
    if isinstance(x, Surd):
        # a + b sqrt(r) = (a^2 - b^2 r) / (a - b sqrt(r)): compare through a wide rational enclosure of the root
        low = Fraction(np.sqrt(float(r))) * (1 - Fraction(1, 2**40))
        high = Fraction(np.sqrt(float(r))) * (1 + Fraction(1, 2**40))
        ends = sorted((a + b * low, a + b * high))
        if ends[0] > 0 or ends[1] < 0:
            assert sign(x) == (1 if ends[0] > 0 else -1)
    else:
        assert square_root(r) is not None


@given(st.lists(st.fractions(min_value=Fraction(1, 100), max_value=100, max_denominator=100), min_size=2, max_size=6))
def test_equal_cores_mean_a_rational_ratio_of_roots(values: list[Fraction]) -> None:
    squares = SquareClasses()
    split = [squares.split(v) for v in values]
    for v, (outer, core) in zip(values, split, strict=True):
        assert outer * outer * core == v
    for v, (_, one) in zip(values, split, strict=True):
        for w, (_, two) in zip(values, split, strict=True):
            assert (one == two) == (square_root(v / w) is not None)


scales = st.sampled_from([*(Fraction(q) for q in (1, -1, 2, 3, "-1/4", "5/8", "1/3")), Fraction(2) ** 60, Fraction(2**29 - 1)])
factors = st.sampled_from([1.0, -1.0, 2.0, 0.125, 3.0, -0.75, 1e-30, 2.0**-140, 2.0**100])


@given(arrays("float32", floats32), st.data())
def test_sums_in_floats_are_exact_where_they_say_so(a: np.ndarray, data: st.DataObject) -> None:
    n = a.shape[1]
    count = data.draw(st.integers(1, n))
    classes = np.array(data.draw(st.lists(st.integers(-1, count - 1), min_size=n, max_size=n)))
    drawn = np.array([*data.draw(st.lists(scales, min_size=n, max_size=n)), None], dtype=object)[:n]
    merge = Merge(classes, drawn, count)
    sums, exact = merge.floats(a)
    true = merge.apply(a)
    for i in np.flatnonzero(exact):
        assert [Fraction(x) for x in sums[i].reshape(-1)] == [true.value(i, *at) for at in np.ndindex(sums.shape[1:])]


@given(arrays("float32", floats32), st.sampled_from(["float32", "float64"]), st.data())
def test_collapsed_rounds_as_the_rational_does(a: np.ndarray, dtype: str, data: st.DataObject) -> None:
    n = a.shape[1]
    classes = np.array(data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    drawn = np.array([*data.draw(st.lists(scales, min_size=n, max_size=n)), None], dtype=object)[:n]
    rows = np.array(data.draw(st.lists(st.integers(0, len(a) - 1), max_size=4)), dtype=np.int64)
    merge = Merge(classes, drawn, 2)
    got = Collapsed(a, rows, merge, (len(rows), 2, a.shape[2])).rounded(dtype)
    want = merge.apply(a[rows]).rounded(dtype) if len(rows) else got
    for one, two in zip(got, want, strict=True):
        np.testing.assert_array_equal(one, two)


@given(st.one_of(arrays("float32", floats32), arrays("float64", floats64)), factors)
def test_rows_confirmed_in_floats_are_multiples(a: np.ndarray, factor: float) -> None:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        b = (a * a.dtype.type(factor)).astype(a.dtype)
    if not np.isfinite(b).all() or not a.any():
        return
    both, n = np.concatenate([a, b]), len(a)
    merge = Merge(np.arange(a.shape[1]), constant_array(a.shape[1], Fraction(1)), a.shape[1])
    rows = np.array([i for i in range(n) if a[i].any()], dtype=np.int64)
    same, ratios = confirmed(both, merge, rows + n, rows)
    for i, ratio in zip(rows[same], ratios, strict=True):
        assert all(Fraction(float(y)) == ratio * Fraction(float(x)) for x, y in zip(a[i].reshape(-1), b[i].reshape(-1), strict=True))
    if factor in (1.0, -1.0):
        assert same.all()


@given(st.one_of(arrays("float32", floats32), arrays("float64", floats64)), factors)
def test_rows_that_two_entries_tell_apart_are_no_multiples(a: np.ndarray, factor: float) -> None:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        b = (a * a.dtype.type(factor)).astype(a.dtype)
    for i, (one, two) in enumerate(zip(a, b, strict=True)):
        multiple = one.any() and all(
            Fraction(float(y)) == Fraction(factor) * Fraction(float(x)) for x, y in zip(one.flat, two.flat, strict=True) if np.isfinite(y)
        )
        if multiple and np.isfinite(two).all():
            assert not _all_apart(np.concatenate([a, b[i : i + 1]]))
