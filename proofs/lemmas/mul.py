"""Mul (gates): scales multiply where both operands have the same classes and no offsets."""

from __future__ import annotations

from proofs.operators import dot
from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import World

COVERS = ("mul",)


def gate(world: World) -> Claim:
    """Unit i of both operands; each operand's representative is a[0], b[0]. Another class is a[1], b[1]."""
    left, right = world.reals("E_a", 2), world.reals("E_b", 2)
    offset, a, b = world.reals("c", 2), world.reals("a", 2), world.reals("b", 2)
    original = (dot(left, a) + offset[0]) * (dot(right, b) + offset[1])
    return Claim(
        conditions={
            "left row has the class's column": left[1] == 0,
            "right row has the class's column": right[1] == 0,
            "left offset is zero": offset[0] == 0,
            "right offset is zero": offset[1] == 0,
        },
        equal=((original, (left[0] * right[0]) * (a[0] * b[0])),),
    )


def constant_side(world: World) -> Claim:
    """One side is constant d: H has the factor of the representative, and any offset of the other side passes."""
    rho, c, y, d = world.real("rho"), world.real("c"), world.real("y"), world.reals("d", 2)
    scale, out = world.real("rho'"), world.real("c_out")
    return Claim(
        conditions={"scales are in the factors' ratio": scale * d[0] == d[1] * rho, "the offset is multiplied": out == d[1] * c},
        equal=((d[1] * (rho * y + c), scale * (d[0] * y) + out),),
    )


def zero_side(world: World) -> Claim:
    d, x = world.real("d"), world.real("x")
    return Claim(conditions={"the factor is zero": d == 0}, equal=((d * x, world.constant(0)),))


ONE: dict[str, int | str] = {"E_a[0]": 1, "E_b[0]": 1}
ROW = "Mul (gates)"
LEMMAS = (
    SmtLemma(
        "mul.gate",
        ROW,
        "Single-entry rows with the same columns and zero offsets: the scales multiply.",
        gate,
        (
            Converse("left row has the class's column", "the left row has a second entry", {**ONE, "E_a[1]": 1}),
            Converse("left row has the class's column", "the left unit is in another class", {"E_a[0]": 0, "E_a[1]": 1, "E_b[0]": 1}),
            Converse("right row has the class's column", "the right unit is in another class", {"E_a[0]": 1, "E_b[0]": 0, "E_b[1]": 1}),
            Converse("left offset is zero", "a gate shifted by one", {**ONE, "c[0]": 1}),
            Converse("right offset is zero", "a signal shifted by one", {**ONE, "c[1]": 1}),
        ),
    ),
    SmtLemma(
        "mul.constant-side",
        ROW,
        "One side constant: a factor; scale and offset are multiplied.",
        constant_side,
        (
            Converse("scales are in the factors' ratio", "the factors differ, the scale does not follow", {"d[0]": 1, "d[1]": 2, "rho": 1, "rho'": 1}),
            Converse("scales are in the factors' ratio", "the representative's factor is zero", {"d[0]": 0, "d[1]": 1, "rho": 1}),
            Converse("the offset is multiplied", "the offset is passed on", {"d[0]": 2, "d[1]": 2, "c": 1, "c_out": 1}),
        ),
    ),
    SmtLemma(
        "mul.zero-side",
        ROW,
        "A factor that is constantly zero gives zero, whatever the other side is: it unobserves it.",
        zero_side,
        (Converse("the factor is zero", "a factor one", {"d": 1}),),
    ),
)
