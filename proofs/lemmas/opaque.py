"""Opaque operators and those that mix units: an unknown function, so equal inputs and nothing less (pin)."""

from __future__ import annotations

import sympy

from proofs.enclosure import Box, box, iv
from proofs.smt import Claim, Converse, SmtLemma
from proofs.symbolic import Point, Probe, SymbolicLemma
from proofs.worlds import World

COVERS = ("opaque", "layer_norm", "rms_norm", "group_norm", "instance_norm", "matmul", "div")


def pinned(world: World) -> Claim:
    """f of two input units and one stored tensor entry."""
    f, x, y, stored = world.function("f", 3), world.reals("x", 2), world.reals("y", 2), world.reals("t", 2)
    return Claim(
        conditions={
            "inputs are equal": world.every(a == b for a, b in zip(x, y, strict=True)),
            "tensors are equal": stored[0] == stored[1],
        },
        equal=((f(*x, stored[0]), f(*y, stored[1])),),
    )


def attributes(world: World) -> Claim:
    """Other attributes, or another target, are another function."""
    f, g, x = world.function("f", 1), world.function("g", 1), world.real("x")
    one, other = world.real("attribute"), world.real("attribute'")
    return Claim(
        conditions={"attributes are equal": one == other},
        equal=((f(x), world.choose(one == other, f(x), g(x))),),
    )


def centred(world: World) -> Claim:
    """A concrete pinned operator, x - mean(x) over three units, of which the second was merged into the first."""
    y, rho = world.reals("y", 2), world.real("rho")
    merged = world.truth("merged")
    second = world.real("second")
    x = [y[0], world.choose(merged, rho * y[0], second), y[1]]
    mean = world.choose(merged, (y[0] + y[1]) / 2, (y[0] + second + y[1]) / 3)
    return Claim(conditions={"the input is pinned": world.negate(merged)}, equal=((x[0] - sum(x, start=0) / 3, y[0] - mean),))


u, v, extra = sympy.symbols("u v extra", real=True)
SOFTMAX = sympy.exp(u) / (sympy.exp(u) + sympy.exp(v) + extra * sympy.exp(u)) - sympy.exp(u) / (sympy.exp(u) + sympy.exp(v))


def _softmax(p: Point) -> Box:
    first, second, merged = iv.exp(box(p["u"])), iv.exp(box(p["v"])), box(p["extra"]) * iv.exp(box(p["u"]))
    return first / (first + second + merged) - first / (first + second)


ROW = "unknown"
LEMMAS = (
    SmtLemma(
        "opaque.pinned",
        ROW,
        "Equal inputs and equal tensors give equal outputs, whatever the function is.",
        pinned,
        (
            Converse("inputs are equal", "the inputs are permuted", {"x[0]": 0, "x[1]": 1, "y[0]": 1, "y[1]": 0}),
            Converse("inputs are equal", "an input is scaled", {"x[0]": 1, "y[0]": 2}),
            Converse("tensors are equal", "a stored tensor one ulp off", {"t[0]": 1, "t[1]": "8388609/8388608"}),
        ),
    ),
    SmtLemma(
        "opaque.attributes", ROW, "The same target and attributes are the same function.", attributes, (Converse("attributes are equal", "another axis"),)
    ),
    SmtLemma(
        "opaque.centred",
        "LayerNorm / RMSNorm / Softmax over the unit axis",
        "x - mean(x): a unit merged before it changes the mean.",
        centred,
        (Converse("the input is pinned", "two equal units count once in H", {"rho": 1}),),
    ),
    SymbolicLemma(
        "opaque.softmax",
        "LayerNorm / RMSNorm / Softmax over the unit axis",
        "Softmax over units: a copy of the first unit changes the denominator, so the input is pinned.",
        SOFTMAX,
        {"no unit was merged": ({extra: 0},)},
        (Probe("no unit was merged", "(0, 0, 0) has thirds, (0, 0) has halves", {"u": (0,), "v": (0,), "extra": (1,)}, _softmax),),
    ),
)
