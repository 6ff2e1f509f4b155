"""constant: stored numbers that ignore the operand; and what is left of a linear layer that reads nothing."""

from __future__ import annotations

from proofs.operators import column, dot
from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import World

COVERS = ("constant",)


def left(world: World) -> Claim:
    """An observed row that collapses to zero over two classes: H stores its value."""
    weight, bias, expansion = world.reals("W", 3), world.real("b"), world.matrix("E", 3, 2)
    offset, y, value = world.reals("c", 3), world.reals("y", 2), world.real("v")
    x = [dot(row, y) + c for row, c in zip(expansion, offset, strict=True)]
    return Claim(
        conditions={
            "the row collapses to zero": world.every(dot(weight, column(expansion, k)) == 0 for k in range(2)),
            "offsets fold into the value": value == dot(weight, offset) + bias,
        },
        equal=((dot(weight, x) + bias, value),),
    )


def member(world: World) -> Claim:
    """A stored number is any scale of another one, with the offset that makes up the difference."""
    value, scale, offset = world.reals("v", 2), world.real("rho"), world.real("c")
    return Claim(conditions={"the numbers agree": value[1] == scale * value[0] + offset}, equal=((value[1], scale * value[0] + offset),))


PLAIN: dict[str, int | str] = {**{f"E[{i},{k}]": int(i == k) for i in range(3) for k in range(2)}, **{f"c[{i}]": 0 for i in range(3)}}
LEMMAS = (
    SmtLemma(
        "constant.left",
        "Linear Wx+b",
        "W E = 0 and v = W c + b: the row is the number v, and H needs no operand for it.",
        left,
        (
            Converse("the row collapses to zero", "one weight is left over", {**PLAIN, "W[0]": 1, "W[1]": 0, "W[2]": 0, "b": 0, "v": 0}),
            Converse("offsets fold into the value", "the constant unit's share is forgotten", {**PLAIN, "c[2]": 1, "W[0]": 0, "W[1]": 0, "W[2]": 1, "b": 0}),
        ),
    ),
    SmtLemma(
        "constant.member",
        "constant rows, any elementwise f",
        "v_m = rho v_R + c: a stored number as a multiple of another.",
        member,
        (Converse("the numbers agree", "one ulp off", {"v[0]": 1, "rho": 1, "c": 0, "v[1]": "8388609/8388608"}),),
    ),
)
