"""index_select: chosen units bring their rows along; chosen positions leave rows alone."""

from __future__ import annotations

from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import World

COVERS = ("index_select",)


def units(world: World) -> Claim:
    """Units y, rho y + c and z; the last two and the second again are chosen. H has the columns y and z and chooses by an index of its own.

    The chosen second unit represents the column of H's first entry, so it must be equal to the column and not only follow it.
    """
    rho, c, y, z = world.real("rho"), world.real("c"), world.real("y"), world.real("z")
    before = [y, rho * y + c, z]
    chosen = [before[1], before[2], before[1]]
    first, second = world.reals("h", 2)
    scale, offset = world.real("rho'"), world.real("c'")
    return Claim(
        conditions={
            "the representative is the column": world.every([rho == 1, c == 0]),
            "H chooses the representative's columns": world.every([first == y, second == z]),
            "a unit chosen twice is one unit": world.every([scale == 1, offset == 0]),
        },
        equal=((chosen[0], first), (chosen[1], second), (chosen[2], scale * first + offset)),
    )


def members(world: World) -> Claim:
    """Two chosen units of one class keep the row that the second has over the first."""
    rho, c, scale, offset = world.reals("rho", 2), world.reals("c", 2), world.real("rho'"), world.real("c'")
    y = world.real("y")
    x = [rho[k] * y + c[k] for k in range(2)]
    return Claim(
        given=(rho[0] != 0,),
        conditions={"the scale is the ratio": scale * rho[0] == rho[1], "the offset is the difference": offset == c[1] - scale * c[0]},
        equal=((x[1], scale * x[0] + offset),),
    )


def positions(world: World) -> Claim:
    """A unit at three positions, of which both networks choose the third and the first."""
    rho, c, y, h = world.real("rho"), world.real("c"), world.reals("y", 3), world.reals("h", 2)
    return Claim(
        conditions={"H chooses the same positions": world.every([h[0] == y[2], h[1] == y[0]])},
        equal=((rho * y[2] + c, rho * h[0] + c), (rho * y[0] + c, rho * h[1] + c)),
    )


ROW = "Flatten / Reshape / Permute / Slice"
LEMMAS = (
    SmtLemma(
        "index_select.units",
        ROW,
        "H's selection gives the units that represent the columns; a unit chosen twice is one class.",
        units,
        (
            Converse("the representative is the column", "only the double of the column is chosen", {"rho": 2, "c": 0}),
            Converse("the representative is the column", "only the shifted column is chosen", {"rho": 1, "c": 1}),
            Converse("H chooses the representative's columns", "H chooses in another order", {"y": 0, "z": 1, "h[0]": 1, "h[1]": 0}),
            Converse("a unit chosen twice is one unit", "the second choice is doubled", {"rho'": 2, "c'": 0}),
        ),
    ),
    SmtLemma(
        "index_select.members",
        ROW,
        "Chosen units of one class are related as before.",
        members,
        (
            Converse("the scale is the ratio", "scale 1 between a unit and its double", {"rho[0]": 1, "rho[1]": 2, "rho'": 1}),
            Converse("the offset is the difference", "the offset is lost", {"rho[0]": 1, "rho[1]": 1, "c[0]": 0, "c[1]": 1, "c'": 0}),
        ),
    ),
    SmtLemma(
        "index_select.positions",
        ROW,
        "Positions are chosen alike in both networks, and rows stay.",
        positions,
        (Converse("H chooses the same positions", "H chooses another position", {"rho": 1, "c": 0, "y[2]": 0, "h[0]": 1}),),
    ),
)
