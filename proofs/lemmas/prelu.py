"""PReLU: a slope a channel."""

from __future__ import annotations

from proofs.operators import leaky_relu
from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import World

COVERS = ("prelu",)


def row(world: World) -> Claim:
    """Slope a[0] on the representative, a[1] on the member; H has the slope a' on the column."""
    rho, c, y, slope, small = world.real("rho"), world.real("c"), world.real("y"), world.reals("a", 2), world.real("a'")
    kept = leaky_relu(world, small, y)
    return Claim(
        conditions={
            "scale is positive": rho > 0,
            "offset is zero": c == 0,
            "one slope in a class": slope[1] == slope[0],
            "H has the representative's slope": small == slope[0],
        },
        equal=((leaky_relu(world, slope[0], y), kept), (leaky_relu(world, slope[1], rho * y + c), rho * kept)),
    )


def constant(world: World) -> Claim:
    rho, c, y, slope, out = (world.real(name) for name in ("rho", "c", "y", "a", "c_out"))
    return Claim(
        conditions={"the unit is constant": rho == 0, "the constant is bent by its own slope": out == leaky_relu(world, slope, c)},
        equal=((leaky_relu(world, slope, rho * y + c), out),),
    )


ROW = "LeakyReLU / PReLU"
LEMMAS = (
    SmtLemma(
        "prelu.row",
        ROW,
        "Positive scales pass among units of one slope.",
        row,
        (
            Converse("scale is positive", "scale -1", {"rho": -1, "c": 0, "a[0]": 0, "a[1]": 0, "a'": 0}),
            Converse("offset is zero", "offset 1", {"rho": 1, "c": 1, "a[0]": 0, "a[1]": 0, "a'": 0}),
            Converse("one slope in a class", "slopes 1/4 and 1/2", {"rho": 1, "c": 0, "a[0]": "1/4", "a[1]": "1/2", "a'": "1/4"}),
            Converse("H has the representative's slope", "the slope of another channel", {"a[0]": "1/4", "a[1]": "1/4", "a'": "1/2"}),
        ),
    ),
    SmtLemma(
        "prelu.constant",
        ROW,
        "A constant c gives c, or slope * c below zero.",
        constant,
        (
            Converse("the unit is constant", "scale 1 is no constant", {"rho": 1, "c": 0}),
            Converse("the constant is bent by its own slope", "another channel's slope", {"c": -1, "a": "1/4", "c_out": "-1/2"}),
        ),
    ),
)
