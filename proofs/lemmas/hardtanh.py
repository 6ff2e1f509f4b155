"""Hardtanh (and ReLU6, with limits 0 and 6): a clip is odd only between symmetric limits."""

from __future__ import annotations

from proofs.operators import hardtanh, is_one_of
from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import World

COVERS = ("hardtanh",)


def row(world: World) -> Claim:
    rho, c, y, low, high = (world.real(name) for name in ("rho", "c", "y", "low", "high"))
    return Claim(
        given=(low <= high,),
        conditions={
            "scale is 1 or -1": is_one_of(world, rho, (1, -1)),
            "limits are symmetric under scale -1": world.implies(rho < 0, low == -high),
            "offset is zero": c == 0,
        },
        equal=((hardtanh(world, low, high, rho * y + c), rho * hardtanh(world, low, high, y)),),
    )


def constant(world: World) -> Claim:
    rho, c, y, low, high, out = (world.real(name) for name in ("rho", "c", "y", "low", "high", "c_out"))
    return Claim(
        given=(low <= high,),
        conditions={"the unit is constant": rho == 0, "the constant is clipped": out == hardtanh(world, low, high, c)},
        equal=((hardtanh(world, low, high, rho * y + c), out),),
    )


ROW = "odd functions (hardtanh with symmetric limits); anything elementwise (ReLU6)"
LEMMAS = (
    SmtLemma(
        "hardtanh.row",
        ROW,
        "c = 0 and rho = 1, or rho = -1 between limits -m and m: the scale passes.",
        row,
        (
            Converse("scale is 1 or -1", "scale 2", {"rho": 2, "low": -1, "high": 1}),
            Converse("scale is 1 or -1", "ReLU6 under scale 2", {"rho": 2, "low": 0, "high": 6}),
            Converse("limits are symmetric under scale -1", "ReLU6 under scale -1", {"rho": -1, "low": 0, "high": 6}),
            Converse("offset is zero", "offset 1", {"rho": 1, "c": 1, "low": -1, "high": 1}),
        ),
    ),
    SmtLemma(
        "hardtanh.constant",
        ROW,
        "A constant c gives the clipped constant.",
        constant,
        (
            Converse("the unit is constant", "scale 1 is no constant", {"rho": 1, "c": 0, "low": -1, "high": 1}),
            Converse("the constant is clipped", "7 through ReLU6 unclipped", {"c": 7, "c_out": 7, "low": 0, "high": 6}),
        ),
    ),
)
