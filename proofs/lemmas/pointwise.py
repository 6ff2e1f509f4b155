"""The table of functions of one number: what an odd, even or mirrored function passes, that these functions are such, and their rational values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy

from proofs import enclosure
from proofs.elementwise import any_function
from proofs.enclosure import Box, box, iv
from proofs.operators import is_one_of
from proofs.smt import Claim, Converse, SmtLemma
from proofs.symbolic import Point, Probe, SymbolicLemma
from proofs.worlds import Number, World

COVERS = (
    *("abs", "sign", "exp", "log", "sqrt", "reciprocal", "erf", "sin", "cos", "softsign", "elu", "selu", "celu", "softplus"),
    *("hardswish", "hardsigmoid", "mish", "logsigmoid", "floor", "ceil", "round", "pow"),
)
ROW = "odd functions; abs / square; anything elementwise not listed"
VALUE = "constant rows, any elementwise f"
FLIPPED = {"rho": -1, "c": 0}


def symmetric(image: Callable[[Number], Number], mirror: Callable[[Number, Number], Number]) -> Callable[[World], Claim]:
    """`f(-u)` is `image(f(u))`; then row (rho, 0) with rho = 1 or -1 gives `mirror(rho, f(y))`."""

    def claim(world: World) -> Claim:
        f, rho, c, y = world.function("f"), world.real("rho"), world.real("c"), world.real("y")
        return Claim(
            given=(is_one_of(world, rho, (1, -1, 2)),),
            conditions={"the symmetry": f(-y) == image(f(y)), "scale is 1 or -1": is_one_of(world, rho, (1, -1)), "offset is zero": c == 0},
            equal=((f(rho * y + c), mirror(rho, f(y))),),
        )

    return claim


def symmetry(name: str, statement: str, image: Callable[[Number], Number], mirror: Callable[[Number, Number], Number]) -> SmtLemma:
    return SmtLemma(
        f"pointwise.{name}-rule",
        ROW,
        statement,
        symmetric(image, mirror),
        (
            Converse("the symmetry", "another function", FLIPPED),
            Converse("scale is 1 or -1", "scale 2", {"rho": 2}),
            Converse("offset is zero", "offset 1", {"rho": 1, "c": 1}),
        ),
    )


def absolute(world: World, u: Number) -> Number:
    return world.choose(u < 0, -u, u)


def sign(world: World, u: Number) -> Number:
    return world.choose(u > 0, world.constant(1), world.choose(u < 0, world.constant(-1), world.constant(0)))


def scaled(function: Callable[[World, Number], Number], factor: Callable[[World, Number], Number]) -> Callable[[World], Claim]:
    """`f(rho y + c)` is `factor(rho) f(y)` where c = 0."""

    def claim(world: World) -> Claim:
        rho, c, y, out = world.real("rho"), world.real("c"), world.real("y"), world.real("rho'")
        return Claim(
            given=(rho != 0, y != 0, rho * y + c != 0),
            conditions={"the scale goes through": out == factor(world, rho), "offset is zero": c == 0},
            equal=((function(world, rho * y + c), out * function(world, y)),),
        )

    return claim


def scaling(name: str, statement: str, function: Callable[[World, Number], Number], factor: Callable[[World, Number], Number]) -> SmtLemma:
    return SmtLemma(
        f"pointwise.{name}",
        ROW,
        statement,
        scaled(function, factor),
        (
            Converse("the scale goes through", "the scale is passed on as it is, or not at all", {"rho": -3, "rho'": 7}),
            Converse("offset is zero", "an offset changes the ratio", {"rho": 1, "c": 2, "y": 1 if name != "sign" else -1}),
        ),
    )


def nearest_even(world: World) -> Claim:
    """n is u rounded, m is -u rounded: a half goes to the even neighbour on both sides."""
    u, n, m, k, j = world.real("u"), world.integer("n"), world.integer("m"), world.integer("k"), world.integer("j")
    half = world.constant(1) / 2

    def rounds(value: Number, whole: Number) -> Any:
        return world.every([value - whole <= half, whole - value <= half])

    def tie(value: Number, whole: Number) -> Any:
        return world.some([value - whole == half, whole - value == half])

    return Claim(
        given=(rounds(u, n), rounds(-u, m)),
        conditions={"halves go to even": world.every([world.implies(tie(u, n), n == 2 * k), world.implies(tie(-u, m), m == 2 * j)])},
        equal=((m, -n),),
    )


def softsign_odd(world: World) -> Claim:
    rho, c, y = world.real("rho"), world.real("c"), world.real("y")

    def f(u: Number) -> Number:
        return u / (1 + absolute(world, u))

    return Claim(conditions={"scale is 1 or -1": is_one_of(world, rho, (1, -1)), "offset is zero": c == 0}, equal=((f(rho * y + c), rho * f(y)),))


def ramp(world: World) -> Claim:
    """clip(alpha u + beta, 0, 1) in the mirror."""
    rho, c, y, alpha, beta = (world.real(name) for name in ("rho", "c", "y", "alpha", "beta"))

    def f(u: Number) -> Number:
        v = alpha * u + beta
        return world.choose(v < 0, world.constant(0), world.choose(v > 1, world.constant(1), v))

    return Claim(
        given=(is_one_of(world, rho, (-1, -2)),),
        conditions={"the ramp is one half at zero": beta == world.constant(1) / 2, "scale is -1": rho == -1, "offset is zero": c == 0},
        equal=((f(rho * y + c), 1 - f(y)),),
    )


def thresholds(world: World) -> Claim:
    """Beyond the threshold softplus is the operand; hard swish in three pieces is the product with the ramp."""
    c, beta, limit, f = world.real("c"), world.real("beta"), world.real("threshold"), world.function("f")
    plus = world.choose(beta * c > limit, c, f(c))
    return Claim(conditions={"beyond the threshold": beta * c > limit}, equal=((plus, c),))


def vanishing(world: World) -> Claim:
    c, g = world.real("c"), world.function("g")
    return Claim(conditions={"the constant is zero": c == 0}, equal=((c * g(c), world.constant(0)),))


def hardswish(world: World) -> Claim:
    c, d = world.real("c"), world.real("d")
    raised = world.choose(d + 3 < 0, world.constant(0), world.choose(d + 3 > 6, world.constant(6), d + 3))
    pieces = world.choose(c >= 3, c, world.choose(c <= -3, world.constant(0), c * (c + 3) / 6))
    return Claim(conditions={"the same constant": c == d}, equal=((d * raised / 6, pieces),))


rho, c, y = sympy.symbols("rho c y", real=True)


def _row(name: str, function: Callable[[Any], Any], enclosed: Callable[[Box], Box], odd: bool) -> SymbolicLemma:
    def residual(p: Point) -> Box:
        return enclosed(box(p["rho"] * p["y"] + p["c"])) - (box(p["rho"]) if odd else 1) * enclosed(box(p["y"]))

    return SymbolicLemma(
        f"pointwise.{name}",
        ROW,
        f"rho in {{1, -1}} and c = 0: {name}(rho y) = {'rho ' if odd else ''}{name}(y).",
        function(rho * y + c) - (rho if odd else 1) * function(y),
        {"scale is 1 or -1": ({rho: 1}, {rho: -1}), "offset is zero": ({c: 0},)},
        (
            Probe("scale is 1 or -1", "scale 2", {"rho": (2,), "y": (1,)}, residual),
            Probe("offset is zero", "offset 1", {"c": (1,), "y": ("1/2",)}, residual),
        ),
    )


def _value(name: str, function: Callable[[Any], Any], enclosed: Callable[[Box], Box], point: int, result: int) -> SymbolicLemma:
    return SymbolicLemma(
        f"pointwise.{name}-value",
        VALUE,
        f"{name}({point}) = {result}.",
        function(c) - result,
        {"the constant is that one": ({c: point},)},
        (Probe("the constant is that one", "another constant", {"c": (2,)}, lambda p: enclosed(box(p["c"])) - result),),
    )


LEMMAS = (
    *any_function("pointwise", ROW),
    symmetry("odd", "An odd function passes rho = 1 and -1 without offset.", lambda v: -v, lambda r, v: r * v),
    symmetry("even", "An even function is blind to the sign.", lambda v: v, lambda r, v: v),
    _row("sin", sympy.sin, iv.sin, True),
    _row("erf", sympy.erf, enclosure.erf, True),
    _row("cos", sympy.cos, iv.cos, False),
    SmtLemma(
        "pointwise.softsign",
        ROW,
        "u / (1 + |u|) is odd.",
        softsign_odd,
        (Converse("scale is 1 or -1", "scale 2", {"rho": 2, "c": 0}), Converse("offset is zero", "offset 1", {"rho": 1, "c": 1})),
    ),
    SmtLemma(
        "pointwise.round",
        ROW,
        "Rounding with halves to even is odd.",
        nearest_even,
        (Converse("halves go to even", "halves go up", {"u": "1/2"}),),
    ),
    scaling("abs", "|rho y| = |rho| |y|.", absolute, absolute),
    scaling("sign", "The sign of rho y is the product of the signs.", sign, sign),
    scaling("reciprocal", "1 / (rho y) = (1 / rho) (1 / y), and both are undefined at 0 alone.", lambda w, u: 1 / u, lambda w, u: 1 / u),
    scaling("pow-2", "(rho y)^2 = rho^2 y^2.", lambda w, u: u * u, lambda w, u: u * u),
    scaling("pow-3", "(rho y)^3 = rho^3 y^3.", lambda w, u: u * u * u, lambda w, u: u * u * u),
    scaling("pow-minus-2", "(rho y)^-2 = rho^-2 y^-2.", lambda w, u: 1 / (u * u), lambda w, u: 1 / (u * u)),
    SmtLemma(
        "pointwise.hardsigmoid",
        "sigmoid; hardsigmoid with beta 1/2",
        "A ramp that is 1/2 at 0: f(-u) = 1 - f(u), whatever its slope.",
        ramp,
        (
            Converse("the ramp is one half at zero", "ONNX allows any height", {"alpha": "1/5", "beta": "1/4", "rho": -1, "c": 0}),
            Converse("scale is -1", "scale -2", {"alpha": "1/5", "rho": -2, "c": 0}),
            Converse("offset is zero", "offset 1", {"alpha": "1/5", "rho": -1, "c": 1}),
        ),
    ),
    SmtLemma(
        "pointwise.softplus",
        VALUE,
        "beta c above the threshold: the constant itself.",
        thresholds,
        (Converse("beyond the threshold", "below it the function is another one", {"c": 1, "beta": 1, "threshold": 20}),),
    ),
    SmtLemma(
        "pointwise.hardswish",
        VALUE,
        "c, 0, or c (c + 3) / 6 between -3 and 3.",
        hardswish,
        (Converse("the same constant", "another constant", {"c": 4, "d": 1}),),
    ),
    SmtLemma(
        "pointwise.mish",
        VALUE,
        "A product of the operand with anything, as mish is, is 0 at 0.",
        vanishing,
        (Converse("the constant is zero", "constant 1", {"c": 1}),),
    ),
    _value("exp", sympy.exp, iv.exp, 0, 1),
    _value("log", sympy.log, iv.log, 1, 0),
    _value("sin", sympy.sin, iv.sin, 0, 0),
    _value("cos", sympy.cos, iv.cos, 0, 1),
    _value("erf", sympy.erf, enclosure.erf, 0, 0),
)
