"""Softmax over positions: unit by unit; an offset cancels, a constant becomes equal shares. (Over units it pins: see `opaque`.)"""

from __future__ import annotations

import sympy

from proofs.enclosure import Box, box, iv
from proofs.symbolic import Point, Probe, SymbolicLemma

COVERS = ("softmax",)
rho, c, u, v = sympy.symbols("rho c u v", real=True)


def _share(first: Box, second: Box) -> Box:
    return iv.exp(first) / (iv.exp(first) + iv.exp(second))


def _row(p: Point) -> Box:
    moved = [box(p["rho"] * p[name] + p["c"]) for name in "uv"]
    return _share(*moved) - _share(box(p["u"]), box(p["v"]))


def _apart(p: Point) -> Box:
    return _share(box(p["u"]), box(p["v"])) - box(1) / 2


def _softmax(one: sympy.Expr, two: sympy.Expr) -> sympy.Expr:
    return sympy.exp(one) / (sympy.exp(one) + sympy.exp(two))


ROW = "Softmax over positions"
GRID = {"c": (0, 1), "u": (0,), "v": (1,)}
LEMMAS = (
    SymbolicLemma(
        "softmax.shift",
        ROW,
        "rho = 1, any offset: softmax(u + c) = softmax(u) at every position.",
        _softmax(rho * u + c, rho * v + c) - _softmax(u, v),
        {"scale is 1": ({rho: 1},)},
        (
            Probe("scale is 1", "scale 2", {"rho": (2,), **GRID}, _row),
            Probe("scale is 1", "scale -1", {"rho": (-1,), **GRID}, _row),
        ),
    ),
    SymbolicLemma(
        "softmax.constant",
        ROW,
        "A unit that is one number at all positions has equal shares.",
        _softmax(u, v) - sympy.Rational(1, 2),
        {"the positions are equal": ({v: u},)},
        (Probe("the positions are equal", "two numbers", {"u": (0,), "v": (1,)}, _apart),),
    ),
)
