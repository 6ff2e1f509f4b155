"""add_constant: a term per unit, one for all, or one per position."""

from __future__ import annotations

from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import World

COVERS = ("add_constant",)


def per_unit(world: World) -> Claim:
    """Term t[0] on the representative, t[1] on the member (equal ones: a scalar term). Any row passes."""
    rho, c, y, t, small, out = world.real("rho"), world.real("c"), world.real("y"), world.reals("t", 2), world.real("t'"), world.real("c_out")
    return Claim(
        conditions={
            "H has the representative's term": small == t[0],
            "the offset takes the difference": out == c + t[1] - rho * t[0],
        },
        equal=((y + t[0], y + small), (rho * y + c + t[1], rho * (y + small) + out)),
    )


def per_position(world: World) -> Claim:
    """Term t[p] at position p: a row passes if its scale is one, or the term is the same everywhere."""
    rho, c, y, t, out = world.real("rho"), world.real("c"), world.reals("y", 2), world.reals("t", 2), world.real("c_out")
    return Claim(
        conditions={"one offset for all positions": world.every(out == c + (1 - rho) * t[p] for p in range(2))},
        equal=tuple((rho * y[p] + c + t[p], rho * (y[p] + t[p]) + out) for p in range(2)),
    )


ROW = "Add, one side constant"
LEMMAS = (
    SmtLemma(
        "add_constant.per-unit",
        ROW,
        "c' = c + t_i - rho t_R; the scale passes.",
        per_unit,
        (
            Converse("H has the representative's term", "H adds the member's term", {"t[0]": 0, "t[1]": 1, "t'": 1}),
            Converse("the offset takes the difference", "scale 2: the term is counted twice", {"rho": 2, "c": 0, "t[0]": 1, "t[1]": 1, "c_out": 0}),
        ),
    ),
    SmtLemma(
        "add_constant.per-position",
        ROW,
        "Along a position axis c + (1 - rho) t_p must not depend on p.",
        per_position,
        (
            Converse("one offset for all positions", "scale 2 under terms 0 and 1", {"rho": 2, "c": 0, "t[0]": 0, "t[1]": 1}),
            Converse("one offset for all positions", "a constant unit is none behind it", {"rho": 0, "c": 0, "t[0]": 0, "t[1]": 1}),
        ),
    ),
)
