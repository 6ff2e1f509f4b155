"""tanh: odd, not homogeneous, rational only at zero."""

from __future__ import annotations

import sympy

from proofs import enclosure
from proofs.elementwise import any_function
from proofs.enclosure import Box, box
from proofs.symbolic import Point, Probe, SymbolicLemma, no_row

COVERS = ("tanh",)
rho, c, y = sympy.symbols("rho c y", real=True)


def _enclosed(p: Point) -> Box:
    return enclosure.tanh(box(p["rho"] * p["y"] + p["c"])) - box(p["rho"]) * enclosure.tanh(box(p["y"]))


ROW = "odd functions (tanh, ...)"
LINE = no_row(enclosure.tanh, (0, 1, 2))
LEMMAS = (
    *any_function("tanh", ROW),
    SymbolicLemma(
        "tanh.odd",
        ROW,
        "rho in {1, -1} and c = 0: tanh(rho y) = rho tanh(y).",
        sympy.tanh(rho * y + c) - rho * sympy.tanh(y),
        {"scale is 1 or -1": ({rho: 1}, {rho: -1}), "offset is zero": ({c: 0},)},
        (
            Probe("scale is 1 or -1", "scale 2", {"rho": (2,), "y": (0, 1)}, _enclosed, LINE),
            Probe("scale is 1 or -1", "scale -1/2", {"rho": ("-1/2",), "y": (0, 1)}, _enclosed, LINE),
            Probe("offset is zero", "offset 1", {"c": (1,), "y": (0, 1)}, _enclosed, LINE),
        ),
    ),
    SymbolicLemma(
        "tanh.zero",
        "constant rows, any elementwise f",
        "tanh(0) = 0, the only constant that stays rational.",
        sympy.tanh(c),
        {"the constant is zero": ({c: 0},)},
        (Probe("the constant is zero", "constant 1", {"c": (1,)}, lambda p: enclosure.tanh(box(p["c"]))),),
    ),
)
