"""What holds for every elementwise function, known or not: Z3 sees an uninterpreted `f`."""

from __future__ import annotations

from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import World


def _row(world: World) -> Claim:
    f, rho, c, y = world.function("f"), world.real("rho"), world.real("c"), world.real("y")
    return Claim(conditions={"scale is one": rho == 1, "offset is zero": c == 0}, equal=((f(rho * y + c), f(y)),))


def _constant(world: World) -> Claim:
    f, rho, c, y = world.function("f"), world.real("rho"), world.real("c"), world.real("y")
    return Claim(conditions={"the unit is constant": rho == 0}, equal=((f(rho * y + c), f(c)),))


def any_function(kind: str, row: str) -> tuple[SmtLemma, SmtLemma]:
    """The two rules that need to know nothing about the function of operator `kind`."""
    return (
        SmtLemma(
            f"{kind}.any-function",
            row,
            "For any elementwise f: scale 1 and offset 0 pass.",
            _row,
            (
                Converse("scale is one", "some f is not odd", {"rho": -1}),
                Converse("scale is one", "some f is not homogeneous", {"rho": 2}),
                Converse("offset is zero", "some f does not pass a shift", {"c": 1}),
            ),
        ),
        SmtLemma(
            f"{kind}.any-constant",
            "constant rows, any elementwise f",
            "For any elementwise f: the constant c gives the constant f(c), so equal constants stay equal.",
            _constant,
            (Converse("the unit is constant", "scale 1 is no constant", {"rho": 1, "c": 0}),),
        ),
    )
