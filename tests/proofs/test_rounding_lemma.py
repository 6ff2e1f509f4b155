"""The midpoint criterion of the rounding lemma, held against the machine's own float32 and float64."""

import random
import struct
from fractions import Fraction

import numpy as np
import pytest


def criterion(q: Fraction, w: np.float32) -> bool:
    """The lemma's words: between the midpoints to both neighbours, and even on them."""
    low, high = neighbour(w, -np.inf), neighbour(w, np.inf)
    twice, even = 2 * q, struct.unpack("<I", struct.pack("<f", w))[0] % 2 == 0
    below, above = low + Fraction(float(w)), Fraction(float(w)) + high
    return below <= twice <= above and (even or twice not in (below, above))


def neighbour(w: np.float32, direction: float) -> Fraction:
    """As the lemma has it: beyond the largest number, the one an unbounded exponent would give."""
    with np.errstate(over="ignore"):
        following = np.nextafter(w, np.float32(direction), dtype=np.float32)
    return Fraction(float(following)) if np.isfinite(following) else Fraction(2) ** 128 * (1 if direction > 0 else -1)


def samples():
    generator = random.Random(1)
    for _ in range(300):
        w = np.float32(generator.uniform(-2, 2)) * np.float32(2.0) ** generator.randint(-140, 120)
        for part in (Fraction(0), Fraction(1, 4), Fraction(1, 2), Fraction(3, 4), Fraction(generator.randint(0, 99), 100)):
            yield Fraction(float(w)) + part * (neighbour(w, np.inf) - Fraction(float(w)))


def test_exactly_one_float_satisfies_the_criterion_and_the_machine_finds_it():
    for q in samples():
        through = np.float32(float(q))
        candidates = {float(through), float(np.nextafter(through, np.float32(np.inf))), float(np.nextafter(through, np.float32(-np.inf)))}
        chosen = [w for w in candidates if np.isfinite(w) and criterion(q, np.float32(w))]
        assert len(chosen) == 1
        if Fraction(float(q)) == q:
            assert chosen == [float(through)]


def test_rounding_twice_is_not_rounding():
    q = 1 + Fraction(1, 2**24) + Fraction(1, 2**60)
    twice = np.float32(float(q))
    assert twice == np.float32(1)
    assert not criterion(q, twice)
    assert criterion(q, np.nextafter(np.float32(1), np.float32(2)))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_float_ends_before_its_upper_midpoint(sign):
    largest, midpoint = np.float32(sign) * np.finfo(np.float32).max, sign * (2**128 - Fraction(2**103))
    assert criterion(midpoint - sign, largest)
    assert not criterion(midpoint, largest)
