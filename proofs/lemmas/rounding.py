"""Correct rounding: nearest, ties to even, decided by the two neighbours' midpoints.

`w` is a number of the format, `low < w < high` its neighbours, `v` any other
number of it. Neighbours have opposite parity. Above the largest finite number,
`high` is the number that an unbounded exponent would give; as the largest finite
number is odd, its upper midpoint already overflows.
"""

from __future__ import annotations

from proofs.operators import is_one_of
from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import Fact, Number, World

COVERS: tuple[str, ...] = ()


def _distance(world: World, a: Number, b: Number) -> Number:
    return world.choose(a > b, a - b, b - a)


def _beats(world: World, q: Number, w: Number, v: Number, even: Fact) -> Fact:
    """w is strictly nearer to q than v, or as near and even."""
    mine, its = _distance(world, q, w), _distance(world, q, v)
    return world.some([mine < its, world.every([mine == its, even])])


def _indicator(world: World, fact: Fact) -> Number:
    return world.choose(fact, world.constant(1), world.constant(0))


def sufficient(world: World) -> Claim:
    """Between the midpoints, and even on them: w beats every other number of the format."""
    q, w, low, high, v = (world.real(name) for name in ("q", "w", "low", "high", "v"))
    even = world.truth("w is even")
    on_midpoint = world.some([2 * q == low + w, 2 * q == w + high])
    return Claim(
        given=(low < w, w < high, world.some([v <= low, v >= high])),
        conditions={
            "not below the lower midpoint": low + w <= 2 * q,
            "not above the upper midpoint": 2 * q <= w + high,
            "ties go to even": world.implies(on_midpoint, even),
        },
        equal=((_indicator(world, _beats(world, q, w, v, even)), world.constant(1)),),
    )


def necessary(world: World) -> Claim:
    """Whoever beats both neighbours lies between the midpoints, and is even on them."""
    q, w, low, high = (world.real(name) for name in ("q", "w", "low", "high"))
    even = world.truth("w is even")
    on_midpoint = world.some([2 * q == low + w, 2 * q == w + high])
    between = world.every([low + w <= 2 * q, 2 * q <= w + high, world.implies(on_midpoint, even)])
    return Claim(
        given=(low < w, w < high),
        conditions={
            "it beats the lower neighbour": _beats(world, q, w, low, even),
            "it beats the upper neighbour": _beats(world, q, w, high, even),
        },
        equal=((_indicator(world, between), world.constant(1)),),
    )


def unique(world: World) -> Claim:
    """Two numbers of the format that both beat the other are one: ties are between neighbours of opposite parity."""
    q, w, v = (world.real(name) for name in ("q", "w", "v"))
    even_w, even_v = world.truth("w is even"), world.truth("v is even")
    return Claim(
        conditions={
            "w beats v": world.some([w == v, _beats(world, q, w, v, even_w)]),
            "v beats w": world.some([w == v, _beats(world, q, v, w, even_v)]),
            "neighbours have opposite parity": world.some([w == v, world.negate(world.every([even_w, even_v]))]),
        },
        equal=((w, v),),
    )


def twice(world: World) -> Claim:
    """Through a finer format (the integers) to a coarser one (multiples of 4), against directly.

    A shift by 8 changes no parity, so `via` is taken to be 0 or 4; then `direct`
    is one of its neighbours or itself.
    """
    q = world.real("q")
    middle, via, direct = (world.integer(name) for name in ("middle", "via/4", "direct/4"))
    odd_middle = is_one_of(world, middle, (-1, 1, 3, 5))
    odd_via, odd_direct = via == 1, is_one_of(world, direct, (-1, 1))
    return Claim(
        given=(
            is_one_of(world, middle, range(-2, 7)),
            is_one_of(world, via, (0, 1)),
            is_one_of(world, direct, (-1, 0, 1, 2)),
            *_rounded(world, 2 * q, 2 * middle, 1, odd_middle),
            *_rounded(world, middle, 4 * via, 2, odd_via),
            *_rounded(world, q, 4 * direct, 2, odd_direct),
        ),
        conditions={"the middle value is exact, or no tie": world.some([q == middle, world.negate(_at(world, middle, 4 * via, 2))])},
        equal=((via, direct),),
    )


def _at(world: World, a: Number, b: Number, distance: int) -> Fact:
    return world.some([a - b == distance, b - a == distance])


def _rounded(world: World, q: Number, w: Number, half: int, odd: Fact) -> tuple[Fact, ...]:
    """w is within half a step of q, and not odd when it is half a step away."""
    return (q - w <= half, w - q <= half, world.negate(world.every([_at(world, q, w, half), odd])))


BELOW_ONE: dict[str, int | str] = {"w": 1, "low": "16777215/16777216", "high": "8388609/8388608"}
"""1 in float32: the gap below it is half the gap above."""
LARGEST: dict[str, int | str] = {"w": 2**128 - 2**104, "low": 2**128 - 2**105, "high": 2**128}
"""The largest float32, and the number above it that does not exist."""
ROW = "section 5, rounding `nearest`"
LEMMAS = (
    SmtLemma(
        "rounding.sufficient",
        ROW,
        "q between the midpoints of w and its neighbours, w even on a midpoint: w is q correctly rounded.",
        sufficient,
        (
            Converse(
                "not below the lower midpoint",
                "below 1 half the upper gap is too far",
                {**BELOW_ONE, "v": "16777215/16777216", "q": "67108861/67108864"},
            ),
            Converse("not above the upper midpoint", "above 1", {**BELOW_ONE, "v": "8388609/8388608"}),
            Converse("ties go to even", "an odd number on its midpoint", {"w": 1, "low": 0, "high": 2}),
            Converse("ties go to even", "the largest float32 on its upper midpoint: overflow", {**LARGEST, "q": 2**128 - 2**103}),
        ),
    ),
    SmtLemma(
        "rounding.necessary",
        ROW,
        "Correctly rounded implies: between the midpoints, and even on them.",
        necessary,
        (
            Converse("it beats the lower neighbour", "the lower neighbour is nearer", BELOW_ONE),
            Converse("it beats the upper neighbour", "the upper neighbour is nearer", BELOW_ONE),
        ),
    ),
    SmtLemma(
        "rounding.unique",
        ROW,
        "There is only one correctly rounded value.",
        unique,
        (
            Converse("w beats v", "v is nearer", {"w": 0, "v": 1}),
            Converse("v beats w", "w is nearer", {"w": 0, "v": 1}),
            Converse("neighbours have opposite parity", "two even numbers at a tie", {"w": 0, "v": 1}),
        ),
    ),
    SmtLemma(
        "rounding.twice",
        ROW,
        "Rounding through a finer format is correct if the middle value is exact or no tie of the coarser one.",
        twice,
        (Converse("the middle value is exact, or no tie", "9/4 to 2 to 0, but 9/4 is nearer to 4", {"q": "9/4"}),),
    ),
)
