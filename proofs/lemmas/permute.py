"""Permute: moving the unit axis carries the lumping along."""

from __future__ import annotations

from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import World

COVERS = ("permute",)


def carried(world: World) -> Claim:
    """Two units (a representative and a member) at two positions, transposed; the output's row is asked at unit axis 2."""
    rho, c, y = world.real("rho"), world.real("c"), world.reals("y", 2)
    scale, offset = world.reals("rho'", 2), world.reals("c'", 2)
    before = [[y[0], y[1]], [rho * y[0] + c, rho * y[1] + c]]
    after = [[before[i][p] for i in range(2)] for p in range(2)]
    return Claim(
        conditions={
            "the unit axis carries the scales": world.every([scale[0] == 1, scale[1] == rho]),
            "the unit axis carries the offsets": world.every([offset[0] == 0, offset[1] == c]),
        },
        equal=tuple((after[p][i], scale[i] * y[p] + offset[i]) for p in range(2) for i in range(2)),
    )


def followed(world: World) -> Claim:
    """H permutes by the same dims: column k at position (p, q) of the input lands at (q, p) in both networks."""
    rho, c = world.real("rho"), world.real("c")
    y = world.matrix("y", 2, 2)
    other = world.matrix("h", 2, 2)
    return Claim(
        conditions={"H has the same dims": world.every(other[q][p] == y[p][q] for p in range(2) for q in range(2))},
        equal=tuple((rho * y[p][q] + c, rho * other[q][p] + c) for p in range(2) for q in range(2)),
    )


ROW = "Flatten / Reshape / Permute / Slice"
LEMMAS = (
    SmtLemma(
        "permute.unit-axis",
        ROW,
        "Wherever the unit axis goes, scales and offsets go with it.",
        carried,
        (
            Converse("the unit axis carries the scales", "the lumping stays on the old axis", {"rho": 2, "c": 0, "rho'[0]": 1, "rho'[1]": 1}),
            Converse("the unit axis carries the offsets", "the offsets stay on the old axis", {"rho": 1, "c": 1, "c'[0]": 0, "c'[1]": 0}),
        ),
    ),
    SmtLemma(
        "permute.positions",
        ROW,
        "Positions are renamed alike in both networks.",
        followed,
        (Converse("H has the same dims", "H does not transpose", {"rho": 1, "c": 0, "y[0,1]": 1, "h[1,0]": 0}),),
    ),
)
