"""div_constant: a divisor per unit, one for all, or one per position."""

from __future__ import annotations

from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import World

COVERS = ("div_constant",)


def per_unit(world: World) -> Claim:
    """Divisor d[0] on the representative, d[1] on the member (equal ones: a scalar divisor). H has d[0]."""
    rho, c, y, d, small = world.real("rho"), world.real("c"), world.real("y"), world.reals("d", 2), world.real("d'")
    scale, out = world.real("rho'"), world.real("c_out")
    return Claim(
        given=(d[0] != 0, d[1] != 0, small != 0),
        conditions={
            "H has the representative's divisor": small == d[0],
            "scales are in the divisors' inverse ratio": scale * d[1] == d[0] * rho,
            "the offset is divided": out * d[1] == c,
        },
        equal=((y / d[0], y / small), ((rho * y + c) / d[1], scale * (y / small) + out)),
    )


def per_position(world: World) -> Claim:
    """Divisor d[p] at position p: scales pass, the offset must be the same at both positions."""
    rho, c, y, d, out = world.real("rho"), world.real("c"), world.reals("y", 2), world.reals("d", 2), world.real("c_out")
    return Claim(
        given=tuple(k != 0 for k in d),
        conditions={"one offset for all positions": world.every(d[p] * out == c for p in range(2))},
        equal=tuple(((rho * y[p] + c) / d[p], rho * (y[p] / d[p]) + out) for p in range(2)),
    )


ROW = "Mul, one side constant"
LEMMAS = (
    SmtLemma(
        "div_constant.per-unit",
        ROW,
        "rho' = rho d_R / d_i and c' = c / d_i.",
        per_unit,
        (
            Converse("H has the representative's divisor", "H divides by the member's divisor", {"d[0]": 1, "d[1]": 2, "d'": 2}),
            Converse("scales are in the divisors' inverse ratio", "divisors 1 and 2 under scale 1", {"d[0]": 1, "d[1]": 2, "rho": 1, "rho'": 1}),
            Converse("the offset is divided", "the offset is passed on", {"d[0]": 2, "d[1]": 2, "c": 1, "c_out": 1}),
        ),
    ),
    SmtLemma(
        "div_constant.per-position",
        ROW,
        "Along a position axis scales pass and c / d_p must not depend on p.",
        per_position,
        (Converse("one offset for all positions", "an offset under divisors 1 and 2", {"c": 1, "d[0]": 1, "d[1]": 2, "c_out": 1}),),
    ),
)
