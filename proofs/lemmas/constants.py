"""Constant units: they fold into biases, pass functions as numbers, and surds are decided exactly."""

from __future__ import annotations

from proofs.operators import dot
from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import World

COVERS: tuple[str, ...] = ()


def fold(world: World) -> Claim:
    """W x + b with a constant third unit d; H has neither its column nor its unit."""
    weight, bias, y, x, d = world.reals("W", 3), world.real("b"), world.reals("y", 2), world.real("x"), world.real("d")
    small_bias = world.real("b'")
    return Claim(
        conditions={"the unit is constant": x == d, "the bias takes its share": small_bias == bias + weight[2] * d},
        equal=((dot(weight, [*y, x]) + bias, dot(weight[:2], y) + small_bias),),
    )


def function(world: World) -> Claim:
    """Any elementwise function of a constant, and two units with equal constants."""
    f, c, x = world.function("f"), world.reals("c", 2), world.reals("x", 2)
    return Claim(
        conditions={
            "first unit is constant": x[0] == c[0],
            "second unit is constant": x[1] == c[1],
            "the constants are equal": c[0] == c[1],
        },
        equal=((f(x[0]), f(x[1])),),
    )


def surd_sign(world: World) -> Claim:
    """The sign of a + b sqrt(r) from rational comparisons: signs of a and b, then a^2 against b^2 r."""
    a, b, r, root = (world.real(name) for name in ("a", "b", "r", "root"))
    value = a + b * root
    positive = world.some(
        [
            world.every([a >= 0, b >= 0, world.some([a > 0, b > 0])]),
            world.every([a > 0, b < 0, a * a > b * b * r]),
            world.every([a < 0, b > 0, b * b * r > a * a]),
        ]
    )
    one, zero = world.constant(1), world.constant(0)
    return Claim(
        given=(r > 0,),
        conditions={"the root is positive": root > 0, "the root is exact": root * root == r},
        equal=((world.choose(value > 0, one, zero), world.choose(positive, one, zero)),),
    )


def surd_equality(world: World) -> Claim:
    """Whether a + b sqrt(r) = c + d sqrt(s), by rational comparisons: one squaring removes sqrt(s), and then says what sqrt(r) must be."""
    a, b, r, root_r = (world.real(name) for name in ("a", "b", "r", "root r"))
    c, d, s, root_s = (world.real(name) for name in ("c", "d", "s", "root s"))
    gap = a - c
    needed = (d * d * s - gap * gap - b * b * r) / world.choose(gap * b == 0, world.constant(1), 2 * gap * b)
    decided = world.some(
        [
            world.every([gap == 0, b * b * r == d * d * s, b * d >= 0]),
            world.every([b == 0, gap * gap == d * d * s, gap * d >= 0]),
            world.every([gap * b != 0, needed > 0, needed * needed == r, (gap + b * needed) * d >= 0, (gap + b * needed) * (gap + b * needed) == d * d * s]),
        ]
    )
    one, zero = world.constant(1), world.constant(0)
    return Claim(
        given=(r > 0, s > 0),
        conditions={
            "roots are positive": world.every([root_r > 0, root_s > 0]),
            "roots are exact": world.every([root_r * root_r == r, root_s * root_s == s]),
        },
        equal=((world.choose(a + b * root_r == c + d * root_s, one, zero), world.choose(decided, one, zero)),),
    )


ROW = "constant rows, any elementwise f"
BN = "BatchNorm(eval), a constant channel"
LEMMAS = (
    SmtLemma(
        "constants.fold",
        "Linear Wx+b",
        "A constant unit folds into the bias.",
        fold,
        (
            Converse("the unit is constant", "a live unit", {"W[2]": 1}),
            Converse("the bias takes its share", "the share is forgotten", {"W[2]": 1, "d": 1, "b": 0, "b'": 0}),
        ),
    ),
    SmtLemma(
        "constants.function",
        ROW,
        "c gives f(c), and equal constants are one class.",
        function,
        (
            Converse("first unit is constant", "a live unit", {"c[0]": 0}),
            Converse("second unit is constant", "a live unit", {"c[1]": 0}),
            Converse("the constants are equal", "constants 0 and 1", {"c[0]": 0, "c[1]": 1}),
        ),
    ),
    SmtLemma(
        "constants.surd-sign",
        BN,
        "The sign of a + b sqrt(r) is decided by rational comparisons, without rounding.",
        surd_sign,
        (
            Converse("the root is positive", "the other root of 4", {"r": 4, "root": -2, "b": 1, "a": 0}),
            Converse("the root is exact", "sqrt(2) rounded to 99/70", {"r": 2, "root": "99/70", "b": -1}),
        ),
    ),
    SmtLemma(
        "constants.surd-equality",
        BN,
        "Whether two surds are one constant is decided by rational comparisons.",
        surd_equality,
        (
            Converse("roots are positive", "the other root of 4", {"r": 4, "root r": -2, "s": 4, "root s": 2, "a": 0, "c": 0, "b": 1}),
            Converse("roots are exact", "sqrt(2) rounded to 99/70", {"r": 2, "root r": "99/70", "s": 1, "root s": 1, "a": 0, "b": 70, "c": 0, "d": 99}),
        ),
    ),
)
