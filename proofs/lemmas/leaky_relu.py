"""LeakyReLU: positively homogeneous for any slope, one slope a class."""

from __future__ import annotations

from proofs.operators import leaky_relu
from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import World

COVERS = ("leaky_relu",)


def homogeneous(world: World) -> Claim:
    rho, c, y, slopes = world.real("rho"), world.real("c"), world.real("y"), world.reals("a", 2)
    return Claim(
        conditions={"scale is positive": rho > 0, "offset is zero": c == 0, "one slope": slopes[0] == slopes[1]},
        equal=((leaky_relu(world, slopes[0], rho * y + c), rho * leaky_relu(world, slopes[1], y)),),
    )


def constant(world: World) -> Claim:
    rho, c, y, a, out = (world.real(name) for name in ("rho", "c", "y", "a", "c_out"))
    return Claim(
        conditions={"the unit is constant": rho == 0, "the constant is c or a c": out == leaky_relu(world, a, c)},
        equal=((leaky_relu(world, a, rho * y + c), out),),
    )


STORED = "10737418/1073741824"
"""A dyadic slope near 0.01, as a kernel stores it."""
ROW = "LeakyReLU / PReLU"
LEMMAS = (
    SmtLemma(
        "leaky_relu.row",
        ROW,
        "rho > 0, c = 0 and one slope a: f(rho y) = rho f(y).",
        homogeneous,
        (
            Converse("scale is positive", "scale -1", {"rho": -1, "a[0]": STORED}),
            Converse("offset is zero", "offset 1", {"rho": 1, "c": 1, "a[0]": STORED}),
            Converse("one slope", "1/100 against its stored value", {"rho": 1, "a[0]": "1/100", "a[1]": STORED}),
        ),
    ),
    SmtLemma(
        "leaky_relu.constant",
        ROW,
        "A constant c gives the constant c or a c.",
        constant,
        (
            Converse("the unit is constant", "scale 1 is no constant", {"rho": 1, "c": 0, "a": STORED}),
            Converse("the constant is c or a c", "a negative constant passed on", {"c": -1, "c_out": -1, "a": STORED}),
        ),
    ),
)
