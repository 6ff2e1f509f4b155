"""Sums and extremes over positions. Over the unit axis they mix units and pin, as a mean does."""

from __future__ import annotations

from proofs.operators import maximum
from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import World

COVERS = ("sum", "amax", "amin")


def total(world: World) -> Claim:
    rho, c, y, out = world.real("rho"), world.real("c"), world.reals("y", 3), world.real("c_out")
    x = [rho * v + c for v in y]
    return Claim(conditions={"the offset counts once a position": out == 3 * c}, equal=((sum(x, start=0), rho * sum(y, start=0) + out),))


def extreme(world: World) -> Claim:
    rho, c, y, out = world.real("rho"), world.real("c"), world.reals("y", 2), world.real("c_out")
    x = [rho * v + c for v in y]
    low, small = -maximum(world, [-v for v in x]), -maximum(world, [-v for v in y])
    return Claim(
        conditions={"scale is positive": rho > 0, "the offset is passed on": out == c},
        equal=((maximum(world, x), rho * maximum(world, y) + out), (low, rho * small + out)),
    )


def units(world: World) -> Claim:
    """Three units, the second merged into the first: H adds two."""
    rho, c, y, merged = world.real("rho"), world.real("c"), world.reals("y", 3), world.truth("merged")
    x = [y[0], world.choose(merged, rho * y[0] + c, y[1]), y[2]]
    return Claim(conditions={"the input is pinned": world.negate(merged)}, equal=((sum(x, start=0), world.choose(merged, y[0] + y[2], sum(y, start=0))),))


LEMMAS = (
    SmtLemma(
        "reductions.sum",
        "AvgPool, global average",
        "A sum over n positions passes any scale; offsets and constants are multiplied by n.",
        total,
        (Converse("the offset counts once a position", "the offset is passed on as a mean does", {"rho": 1, "c": 1, "c_out": 1}),),
    ),
    SmtLemma(
        "reductions.extreme",
        "MaxPool",
        "The largest and the smallest over positions pass positive scales and any offset.",
        extreme,
        (
            Converse("scale is positive", "scale -1 turns the largest into the smallest", {"rho": -1, "c": 0, "c_out": 0}),
            Converse("the offset is passed on", "the offset is lost", {"rho": 1, "c": 1, "c_out": 0}),
        ),
    ),
    SmtLemma(
        "reductions.units",
        "LayerNorm / RMSNorm / Softmax over the unit axis",
        "A sum over the unit axis counts every unit: its input is pinned.",
        units,
        (Converse("the input is pinned", "two equal units count once in H", {"rho": 1, "c": 0, "y[0]": 1}),),
    ),
)
