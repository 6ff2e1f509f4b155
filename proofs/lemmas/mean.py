"""Mean over positions: any row. Mean over the unit axis mixes units and pins."""

from __future__ import annotations

from proofs.operators import dot
from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import World

COVERS = ("mean",)


def over_positions(world: World) -> Claim:
    expansion, c = world.reals("E", 2), world.real("c")
    y, counts = [world.reals(f"y{k}", 3) for k in range(2)], world.reals("n", 2)
    x = [dot(expansion, [y[0][p], y[1][p]]) + c for p in range(3)]
    means = [sum(unit, start=0) / counts[1] for unit in y]
    return Claim(
        given=tuple(n >= 1 for n in counts),
        conditions={"the original divides by the count": counts[0] == 3, "H divides by the count": counts[1] == 3},
        equal=((sum(x, start=0) / counts[0], dot(expansion, means) + c),),
    )


def over_units(world: World) -> Claim:
    """Three units; the second is rho * the first + c, so H has two. Their mean agrees only when nothing was merged, as THEORY pins it."""
    rho, c, y = world.real("rho"), world.real("c"), world.reals("y", 3)
    merged = world.truth("merged")
    x = [y[0], world.choose(merged, rho * y[0] + c, y[1]), y[2]]
    reduced = world.choose(merged, (y[0] + y[2]) / 2, sum(y, start=0) / 3)
    return Claim(conditions={"the input is pinned": world.negate(merged)}, equal=((sum(x, start=0) / 3, reduced),))


LEMMAS = (
    SmtLemma(
        "mean.positions",
        "AvgPool, global average",
        "A mean over position axes passes any row.",
        over_positions,
        (
            Converse("the original divides by the count", "an offset divided by two instead of three", {"n[0]": 2, "n[1]": 3}),
            Converse("H divides by the count", "H divides by two", {"n[1]": 2}),
        ),
    ),
    SmtLemma(
        "mean.units",
        "LayerNorm / RMSNorm / Softmax over the unit axis",
        "A mean over the unit axis counts every unit: its input is pinned.",
        over_units,
        (Converse("the input is pinned", "two equal units count once in H", {"rho": 1, "c": 0}),),
    ),
)
