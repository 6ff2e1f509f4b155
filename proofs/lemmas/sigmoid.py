"""sigmoid: odd about one half."""

from __future__ import annotations

import sympy

from proofs import enclosure
from proofs.elementwise import any_function
from proofs.enclosure import Box, box
from proofs.symbolic import Point, Probe, SymbolicLemma, no_row

COVERS = ("sigmoid",)
rho, c, y, out = sympy.symbols("rho c y c_out", real=True)


def sigmoid(u: sympy.Expr) -> sympy.Expr:
    return 1 / (1 + sympy.exp(-u))


def _enclosed(p: Point) -> Box:
    return enclosure.sigmoid(box(p["rho"] * p["y"] + p["c"])) - box(p["rho"]) * enclosure.sigmoid(box(p["y"])) - box(p["c_out"])


ROW = "sigmoid"
LINE = no_row(enclosure.sigmoid, (0, 1, 2))
LEMMAS = (
    *any_function("sigmoid", ROW),
    SymbolicLemma(
        "sigmoid.mirror",
        ROW,
        "c = 0: rho = 1 passes, and rho = -1 gives the row -1 with offset +1.",
        sigmoid(rho * y + c) - rho * sigmoid(y) - out,
        {"scale is 1, or -1 with offset +1 behind": ({rho: 1, out: 0}, {rho: -1, out: 1}), "offset is zero": ({c: 0},)},
        (
            Probe("scale is 1, or -1 with offset +1 behind", "scale -1 without the offset", {"rho": (-1,), "c_out": (0,), "y": (0, 1)}, _enclosed),
            Probe("scale is 1, or -1 with offset +1 behind", "scale 2", {"rho": (2,), "c_out": (0, "1/2"), "y": (0, 1)}, _enclosed, LINE),
            Probe("offset is zero", "offset 1", {"c": (1,), "y": (0, 1)}, _enclosed, LINE),
        ),
    ),
    SymbolicLemma(
        "sigmoid.zero",
        "constant rows, any elementwise f",
        "sigmoid(0) = 1/2.",
        sigmoid(c) - sympy.Rational(1, 2),
        {"the constant is zero": ({c: 0},)},
        (Probe("the constant is zero", "constant 1", {"c": (1,)}, lambda p: enclosure.sigmoid(box(p["c"])) - box(1) / 2),),
    ),
)
