"""Add: coupled operands have one expansion; a constant operand turns into a term."""

from __future__ import annotations

from proofs.operators import dot
from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import World

COVERS = ("add",)


def coupled(world: World) -> Claim:
    """One unit, operands a and b over two columns each, at one position of each (broadcast or not)."""
    left, right = world.reals("E_a", 2), world.reals("E_b", 2)
    offset, a, b, out = world.reals("c", 2), world.reals("a", 2), world.reals("b", 2), world.real("c_out")
    total = [p + q for p, q in zip(a, b, strict=True)]
    return Claim(
        conditions={
            "one expansion": world.every(p == q for p, q in zip(left, right, strict=True)),
            "offsets add": out == offset[0] + offset[1],
        },
        equal=((dot(left, a) + offset[0] + dot(right, b) + offset[1], dot(left, total) + out),),
    )


def constant_operand(world: World) -> Claim:
    """All units of the other operand are constants d: H adds the constant of each representative, unit i keeps its scale."""
    rho, c, y, d, term, out = world.real("rho"), world.real("c"), world.real("y"), world.reals("d", 2), world.real("term"), world.real("c_out")
    return Claim(
        conditions={
            "term is the representative's constant": term == d[0],
            "the offset takes the difference": out == c + d[1] - rho * d[0],
        },
        equal=((y + d[0], y + term), ((rho * y + c) + d[1], rho * (y + term) + out)),
    )


def zero_operand(world: World) -> Claim:
    rho, c, y, d = world.real("rho"), world.real("c"), world.real("y"), world.real("d")
    return Claim(conditions={"the constants are zero": d == 0}, equal=(((rho * y + c) + d, rho * y + c),))


ROW = "Add / Sub"
LEMMAS = (
    SmtLemma(
        "add.coupled",
        ROW,
        "Operands with one E: E (a + b) and the sum of the offsets.",
        coupled,
        (
            Converse("one expansion", "two partitions", {"E_a[0]": 1, "E_a[1]": 0, "E_b[0]": 0, "E_b[1]": 1}),
            Converse("one expansion", "one partition, scales 1 and 2", {"E_a[0]": 1, "E_a[1]": 0, "E_b[0]": 2, "E_b[1]": 0}),
            Converse("offsets add", "one offset forgotten", {"c[0]": 1, "c[1]": 1, "c_out": 1}),
        ),
    ),
    SmtLemma(
        "add.constant-operand",
        ROW,
        "An operand of constants becomes add_constant with the representatives' constants.",
        constant_operand,
        (
            Converse("term is the representative's constant", "the member's constant is added", {"d[0]": 0, "d[1]": 1, "term": 1}),
            Converse("the offset takes the difference", "scale 2: the constant is counted twice", {"rho": 2, "c": 0, "d[0]": 1, "d[1]": 1, "c_out": 0}),
        ),
    ),
    SmtLemma(
        "add.zero-operand",
        ROW,
        "An operand of zeros becomes the identity.",
        zero_operand,
        (Converse("the constants are zero", "a constant one is no zero", {"d": 1}),),
    ),
)
