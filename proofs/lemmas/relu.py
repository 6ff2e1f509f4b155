"""ReLU: positive homogeneity, and nothing more."""

from __future__ import annotations

from proofs.operators import relu
from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import World

COVERS = ("relu",)


def homogeneous(world: World) -> Claim:
    rho, c, y = world.real("rho"), world.real("c"), world.real("y")
    return Claim(
        conditions={"scale is positive": rho > 0, "offset is zero": c == 0},
        equal=((relu(world, rho * y + c), rho * relu(world, y)),),
    )


def constant(world: World) -> Claim:
    """A constant row (scale 0) leaves as the constant max(c, 0)."""
    rho, c, y, out = (world.real(name) for name in ("rho", "c", "y", "c_out"))
    return Claim(
        conditions={"the unit is constant": rho == 0, "the constant is clipped": out == relu(world, c)},
        equal=((relu(world, rho * y + c), out),),
    )


def no_other_row(world: World) -> Claim:
    """On a non-constant row nothing else passes: if some row (s, t) fits at three points around the kinks, then rho > 0 and c = 0."""
    rho, c, s, t = (world.real(name) for name in ("rho", "c", "s", "t"))
    kink = -c / rho
    points = [0, 1, -1, 2, -2, kink, 2 * kink, kink + 1, kink - 1, kink / 2]
    fits = world.every(relu(world, rho * p + c) == s * relu(world, p) + t for p in points)
    passes = world.choose(world.every([rho > 0, c == 0]), world.constant(1), world.constant(0))
    return Claim(given=(rho != 0,), conditions={"some row fits at ten points": fits}, equal=((passes, world.constant(1)),))


ROW = "ReLU"
LEMMAS = (
    SmtLemma(
        "relu.row",
        ROW,
        "rho > 0 and c = 0: relu(rho y + c) = rho relu(y).",
        homogeneous,
        (
            Converse("scale is positive", "scale -1", {"rho": -1}),
            Converse("offset is zero", "offset 1", {"rho": 1, "c": 1}),
            Converse("offset is zero", "offset -1 and scale 2", {"rho": 2, "c": -1}),
        ),
    ),
    SmtLemma(
        "relu.constant",
        ROW,
        "A constant c gives the constant max(c, 0).",
        constant,
        (
            Converse("the unit is constant", "scale 1 is no constant", {"rho": 1, "c": 0}),
            Converse("the constant is clipped", "a negative constant passed on", {"c": -1, "c_out": -1}),
        ),
    ),
    SmtLemma(
        "relu.no-other-row",
        ROW,
        "For rho != 0, any scale and offset that fit relu(rho y + c) against relu(y) force rho > 0 and c = 0.",
        no_other_row,
        (Converse("some row fits at ten points", "scale -1 fits no row", {"rho": -1, "c": 0}),),
    ),
)
