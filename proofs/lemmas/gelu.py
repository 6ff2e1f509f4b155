"""GELU, in its erf and its tanh form: neither odd nor homogeneous, zero at zero."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy

from proofs import enclosure
from proofs.elementwise import any_function
from proofs.enclosure import Box, Enclosure, box
from proofs.symbolic import Point, Probe, SymbolicLemma, no_row

COVERS = ("gelu",)
rho, c, y, k = sympy.symbols("rho c y k", real=True)


def gelu(u: Any) -> Any:
    return u / 2 * (1 + sympy.erf(u / sympy.sqrt(2)))


def gelu_tanh(u: Any) -> Any:
    return u / 2 * (1 + sympy.tanh(sympy.sqrt(2 / sympy.pi) * (u + sympy.Rational(44715, 1000000) * u**3)))


ROW = "GELU, SiLU, ..., anything elementwise not listed"


def lemmas_of(name: str, formula: Callable[[Any], Any], enclosed: Enclosure) -> tuple[SymbolicLemma, ...]:
    """Row, mirror identity and value at zero of a function u -> u g(u) with g(u) + g(-u) = 1."""

    def row(p: Point) -> Box:
        return enclosed(box(p["rho"] * p["y"] + p["c"])) - box(p["rho"]) * enclosed(box(p["y"]))

    line = no_row(enclosed, (0, 1, -1))
    return (
        SymbolicLemma(
            f"{name}.row",
            ROW,
            "rho = 1 and c = 0 pass; no other row does at the probed scales and offsets.",
            formula(rho * y + c) - rho * formula(y),
            {"scale is one": ({rho: 1},), "offset is zero": ({c: 0},)},
            (
                Probe("scale is one", "scale -1: not odd", {"rho": (-1,), "y": (0, 1)}, row, line),
                Probe("scale is one", "scale 2: not homogeneous", {"rho": (2,), "y": (0, 1)}, row, line),
                Probe("offset is zero", "offset 1", {"c": (1,), "y": (0, 1)}, row, line),
            ),
        ),
        SymbolicLemma(
            f"{name}.mirror",
            ROW,
            "f(u) - f(-u) = u: a linear dependency with the pre-activation, not a row of one class.",
            formula(y) - formula(-y) - k * y,
            {"the coefficient is one": ({k: 1},)},
            (
                Probe(
                    "the coefficient is one",
                    "coefficient 0 would make f even",
                    {"k": (0,), "y": (1,)},
                    lambda p: enclosed(box(p["y"])) - enclosed(box(-p["y"])) - box(p["k"] * p["y"]),
                ),
            ),
        ),
        SymbolicLemma(
            f"{name}.zero",
            "constant rows, any elementwise f",
            "f(0) = 0.",
            formula(c),
            {"the constant is zero": ({c: 0},)},
            (Probe("the constant is zero", "constant 1", {"c": (1,)}, lambda p: enclosed(box(p["c"]))),),
        ),
    )


LEMMAS = (
    *any_function("gelu", ROW),
    *lemmas_of("gelu.erf", gelu, enclosure.gelu),
    *lemmas_of("gelu.tanh", gelu_tanh, enclosure.gelu_tanh),
)
