"""mul_constant: a factor per unit, one for all, or one per position."""

from __future__ import annotations

from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import World

COVERS = ("mul_constant",)


def per_unit(world: World) -> Claim:
    """Factor phi[0] on the representative, phi[1] on the member (equal ones: a scalar factor). H has phi[0]."""
    rho, c, y, phi, small = world.real("rho"), world.real("c"), world.real("y"), world.reals("phi", 2), world.real("phi'")
    scale, out = world.real("rho'"), world.real("c_out")
    return Claim(
        conditions={
            "H has the representative's factor": small == phi[0],
            "scales are in the factors' ratio": scale * phi[0] == phi[1] * rho,
            "the offset is multiplied": out == phi[1] * c,
        },
        equal=((phi[0] * y, small * y), (phi[1] * (rho * y + c), scale * (small * y) + out)),
    )


def per_position(world: World) -> Claim:
    """Factor phi[p] at position p: scales pass, the offset must be the same at both positions."""
    rho, c, y, phi, out = world.real("rho"), world.real("c"), world.reals("y", 2), world.reals("phi", 2), world.real("c_out")
    return Claim(
        conditions={"one offset for all positions": world.every(phi[p] * c == out for p in range(2))},
        equal=tuple((phi[p] * (rho * y[p] + c), rho * (phi[p] * y[p]) + out) for p in range(2)),
    )


ROW = "Mul, one side constant"
LEMMAS = (
    SmtLemma(
        "mul_constant.per-unit",
        ROW,
        "rho' phi_R = phi_i rho and c' = phi_i c; a zero phi_R leaves only constants in its class.",
        per_unit,
        (
            Converse("H has the representative's factor", "H multiplies by the member's factor", {"phi[0]": 1, "phi[1]": 2, "phi'": 2}),
            Converse("scales are in the factors' ratio", "factors 1 and 2 under scale 1", {"phi[0]": 1, "phi[1]": 2, "rho": 1, "rho'": 1}),
            Converse("scales are in the factors' ratio", "the representative's factor is zero", {"phi[0]": 0, "phi[1]": 1, "rho": 1}),
            Converse("the offset is multiplied", "the offset is passed on", {"phi[0]": 2, "phi[1]": 2, "c": 1, "c_out": 1}),
        ),
    ),
    SmtLemma(
        "mul_constant.per-position",
        ROW,
        "Along a position axis scales pass and phi_p c must not depend on p.",
        per_position,
        (Converse("one offset for all positions", "an offset under factors 1 and 2", {"c": 1, "phi[0]": 1, "phi[1]": 2, "c_out": 1}),),
    ),
)
