"""Sums in floating point: how an error grows by one operation, so that `((1+u)^n - 1) (|W||x| + |b|) + k eta (1+u)^n` holds by induction over any tree of sums.

A partial result `a'` stands for the exact `a`, a sum of terms whose absolute values
add up to `A`, and is off by at most `E`. An operation answers the exact result of its
operands, off by at most u times it, and eta where it may underflow (additions do
not). With `E = (power - 1) A + lost`, power = (1+u)^m, the new error is `(power (1+u) - 1) A + lost (1+u)`:
one factor more for every term, and for what underflows have lost.
"""

from __future__ import annotations

from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import Fact, Number, World

COVERS: tuple[str, ...] = ()


def _within(world: World, difference: Number, bound: Number) -> Fact:
    return world.every([difference <= bound, -difference <= bound])


def _indicator(world: World, fact: Fact) -> Number:
    return world.choose(fact, world.constant(1), world.constant(0))


def _one_factor_more(world: World, total: Number, u: Number) -> tuple[Number, Number]:
    """The error of an operation on operands whose errors add up to (power - 1) total + lost."""
    power, lost = world.real("power"), world.real("lost")
    return (1 + u) * ((power - 1) * total + lost) + u * total, (power * (1 + u) - 1) * total + lost * (1 + u)


def addition(world: World) -> Claim:
    """s' = a' + b', rounded."""
    a, a_, A, E, b, b_, B, F = (world.real(n) for n in ("a", "a'", "A", "E", "b", "b'", "B", "F"))
    u, answer = world.real("u"), world.real("s'")
    bound = (1 + u) * (E + F) + u * (A + B)
    return Claim(
        given=(u >= 0,),
        conditions={
            "a is at most its terms": _within(world, a, A),
            "b is at most its terms": _within(world, b, B),
            "a' is near a": _within(world, a_ - a, E),
            "b' is near b": _within(world, b_ - b, F),
            "one rounding": _rounded(world, answer, a_ + b_, u),
        },
        equal=((_indicator(world, _within(world, answer - (a + b), bound)), world.constant(1)), _one_factor_more(world, A + B, u)),
    )


def fused(world: World) -> Claim:
    """s' = a' + p for an exact product p, rounded once, where it may underflow. With a = 0 it is a product alone."""
    a, a_, A, E, p, size = (world.real(n) for n in ("a", "a'", "A", "E", "p", "|p|"))
    u, eta, near, answer = world.real("u"), world.real("eta"), world.real("s' without underflow"), world.real("s'")
    bound = (1 + u) * E + u * (A + size) + eta
    return Claim(
        given=(u >= 0,),
        conditions={
            "a is at most its terms": _within(world, a, A),
            "|p| is above p": _within(world, p, size),
            "a' is near a": _within(world, a_ - a, E),
            "one rounding": _rounded(world, near, a_ + p, u),
            "one underflow": _within(world, answer - near, eta),
        },
        equal=((_indicator(world, _within(world, answer - (a + p), bound)), world.constant(1)), _one_factor_more(world, A + size, u)),
    )


def _rounded(world: World, answer: Number, exact: Number, u: Number) -> Fact:
    """|answer - exact| <= u |exact|."""
    return world.every([_within(world, answer - exact, u * world.choose(exact >= 0, exact, -exact))])


ROW = "section 5, execution"
_HALF: dict[str, int | str] = {"u": "1/2"}
_A: dict[str, int | str] = {"a": 0, "a'": 0, "A": 0, "E": 0}
_B: dict[str, int | str] = {"b": 0, "b'": 0, "B": 0, "F": 0}
LEMMAS = (
    SmtLemma(
        "executed.addition",
        ROW,
        "An addition takes every term, and what underflows lost, through one rounding more.",
        addition,
        (
            Converse("a is at most its terms", "|sum| for sum | |", {**_HALF, **_B, "A": 0, "E": 0}),
            Converse("b is at most its terms", "|sum| for sum | |", {**_HALF, **_A, "B": 0, "F": 0}),
            Converse("a' is near a", "an operand that is off by more", {**_B, "u": 0, "a": 0, "A": 0, "E": 0}),
            Converse("b' is near b", "an operand that is off by more", {**_A, "u": 0, "b": 0, "B": 0, "F": 0}),
            Converse("one rounding", "an addition that rounds twice", {"u": "1/2", "a": 1, "a'": 1, "A": 1, "E": 0, "b": 1, "b'": 1, "B": 1, "F": 0}),
        ),
    ),
    SmtLemma(
        "executed.fused",
        ROW,
        "A fused multiply-add likewise, and it may underflow once; so does a product alone.",
        fused,
        (
            Converse("a is at most its terms", "|sum| for sum | |", {**_HALF, "A": 0, "E": 0, "p": 0, "|p|": 0, "eta": 0}),
            Converse("|p| is above p", "|sum| for sum | |", {**_HALF, **_A, "|p|": 0, "eta": 0}),
            Converse("a' is near a", "an operand that is off by more", {"u": 0, "a": 0, "A": 0, "E": 0, "p": 0, "|p|": 0, "eta": 0}),
            Converse("one rounding", "no rounding of products", {**_A, "u": 0, "p": 1, "|p|": 1, "eta": 0}),
            Converse("one underflow", "no eta", {**_A, "u": 0, "p": 0, "|p|": 0, "eta": 0}),
        ),
    ),
)
