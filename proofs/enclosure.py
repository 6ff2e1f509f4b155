"""Rigorous enclosures of the transcendental functions, for the replays.

mpmath's interval context rounds outwards. `erf` has no interval version there:
for 0 <= u <= 2 it is enclosed by two consecutive partial sums of its series,
once its alternating terms decrease.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from mpmath import iv  # type: ignore[import-untyped]

from proofs.lemma import NotShown

__all__ = ["Box", "Enclosure", "box", "erf", "excludes_zero", "gelu", "gelu_tanh", "iv", "sigmoid", "silu", "tanh"]

Box = Any
"""An mpmath interval."""
Enclosure = Callable[[Box], Box]
TERMS = 60


def box(value: Fraction | int) -> Box:
    """The smallest machine interval around an exact rational."""
    exact = Fraction(value)
    return iv.mpf(exact.numerator) / iv.mpf(exact.denominator)


def excludes_zero(value: Box) -> bool:
    return bool(value.a > 0) or bool(value.b < 0)


def tanh(u: Box) -> Box:
    return 1 - 2 / (iv.exp(2 * u) + 1)


def sigmoid(u: Box) -> Box:
    return 1 / (1 + iv.exp(-u))


def silu(u: Box) -> Box:
    return u * sigmoid(u)


def erf(u: Box) -> Box:
    """Raises `NotShown` outside [-2, 2], where the terms need not have begun to decrease."""
    if u.b < 0:
        return -erf(-u)
    if u.a < 0 or u.b > 2:
        raise NotShown(f"erf is not enclosed at {u}")
    total, power, factorial = iv.mpf(0), u, 1
    for n in range(TERMS):
        before = total
        total = total + (-1) ** n * power / (factorial * (2 * n + 1))
        power, factorial = power * u * u, factorial * (n + 1)
    hull = iv.mpf([min(before.a, total.a), max(before.b, total.b)])
    return 2 / iv.sqrt(iv.pi) * hull


def gelu(u: Box) -> Box:
    return u / 2 * (1 + erf(u / iv.sqrt(iv.mpf(2))))


def gelu_tanh(u: Box) -> Box:
    return u / 2 * (1 + tanh(iv.sqrt(2 / iv.pi) * (u + box(Fraction(44715, 1000000)) * u * u * u)))
