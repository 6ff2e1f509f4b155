"""Attention: softmax sees differences of scores only, and its weights sum to one."""

from __future__ import annotations

import sympy

from proofs.enclosure import Box, box, iv
from proofs.operators import dot
from proofs.smt import Claim, Converse, SmtLemma
from proofs.symbolic import Point, Probe, SymbolicLemma
from proofs.worlds import Number, World

COVERS = ("attention",)
WIDTH, KEYS = 2, 2


def _head(world: World, name: str) -> tuple[list[Number], list[list[Number]], dict[str, list[Number]]]:
    """q (units) at one query position and k (keys, units), read from columns y and z; with their rows."""
    rows = {letter: world.reals(f"{letter}_{name}", WIDTH) for letter in ("a", "b", "r", "o")}
    y, z = world.reals("y", WIDTH), [world.reals(f"z{s}", WIDTH) for s in range(KEYS)]
    q = [a * c + b for a, b, c in zip(rows["a"], rows["b"], y, strict=True)]
    k = [[r * c + o for r, o, c in zip(rows["r"], rows["o"], at, strict=True)] for at in z]
    return q, k, rows


def scores(world: World) -> Claim:
    """Two heads over the same columns: the differences of their scores between keys are one."""
    (q, k, one), (p, m, two) = _head(world, "1"), _head(world, "2")
    pairs = [(one["a"][i] * one["r"][i], two["a"][i] * two["r"][i]) for i in range(WIDTH)]
    lone = [(one["b"][i] * one["r"][i], two["b"][i] * two["r"][i]) for i in range(WIDTH)]
    scale = world.real("scale")
    return Claim(
        conditions={
            "coefficients of query times key agree": world.every(a == b for a, b in pairs),
            "coefficients of the keys alone agree": world.every(a == b for a, b in lone),
        },
        equal=((scale * (dot(q, k[0]) - dot(q, k[1])), scale * (dot(p, m[0]) - dot(p, m[1]))),),
    )


def merged(world: World) -> Claim:
    """Two units of a head whose queries and keys are one class count twice: a reduced head has each product once."""
    a, r, y, z = world.reals("a", 2), world.reals("r", 2), world.real("y"), world.reals("z", KEYS)
    difference = [sum((a[i] * y * r[i] * at for i in range(2)), start=0) for at in z]
    return Claim(conditions={"the coefficients add up to one": a[0] * r[0] + a[1] * r[1] == 1}, equal=((difference[0] - difference[1], y * (z[0] - z[1])),))


def scaled(world: World) -> Claim:
    """The scale is the original's, however wide the head is."""
    q, k, one, other = world.real("q"), world.reals("k", KEYS), world.real("scale"), world.real("scale'")
    return Claim(conditions={"the scale is kept": one == other}, equal=((one * q * (k[0] - k[1]), other * q * (k[0] - k[1])),))


def values(world: World) -> Claim:
    """Weights that sum to one carry a row of the value."""
    w, x, rho, c = world.reals("w", KEYS), world.reals("x", KEYS), world.real("rho"), world.real("c")
    return Claim(
        conditions={"the weights sum to one": w[0] + w[1] == 1},
        equal=((dot(w, [rho * at + c for at in x]), rho * dot(w, x) + c),),
    )


def one_head(world: World) -> Claim:
    """Two heads with the same weights on values of one class; with other weights nothing follows."""
    w, u, x, rho = world.reals("w", KEYS), world.reals("u", KEYS), world.reals("x", KEYS), world.real("rho")
    weights_are_weights = (w[0] + w[1] == 1, u[0] + u[1] == 1)
    return Claim(
        given=weights_are_weights,
        conditions={"the heads attend alike": world.every(a == b for a, b in zip(w, u, strict=True))},
        equal=((dot(w, [rho * at for at in x]), rho * dot(u, x)),),
    )


u, v, t, zero = sympy.symbols("u v t zero", real=True)
"""`zero` is 1 where a key with score 0 was appended behind the projection: it does not shift with the others."""
SHIFT = sympy.exp(u + t) / (sympy.exp(u + t) + sympy.exp(v + t) + zero) - sympy.exp(u) / (sympy.exp(u) + sympy.exp(v) + zero)
WEIGHTS = (sympy.exp(u) + sympy.exp(v)) / (sympy.exp(u) + sympy.exp(v) + zero) - 1


def _shifted(p: Point) -> Box:
    def weight(shift: Box) -> Box:
        first, second = iv.exp(box(p["u"]) + shift), iv.exp(box(p["v"]) + shift)
        return first / (first + second + box(p["zero"]))

    return weight(box(p["t"])) - weight(box(0))


def _summed(p: Point) -> Box:
    total = iv.exp(box(p["u"])) + iv.exp(box(p["v"]))
    return total / (total + box(p["zero"])) - box(1)


ROW = "attention"
SAME: dict[str, int | str] = {f"{letter}_{head}[{i}]": 1 for letter in "ar" for head in "12" for i in range(WIDTH)}
NO_OFFSET: dict[str, int | str] = {f"{letter}_{head}[{i}]": 0 for letter in "bo" for head in "12" for i in range(WIDTH)}
LEMMAS = (
    SmtLemma(
        "attention.scores",
        ROW,
        "Equal coefficients give equal differences of scores between keys; offsets of the keys appear nowhere.",
        scores,
        (
            Converse("coefficients of query times key agree", "a query scaled by two", {**SAME, **NO_OFFSET, "a_2[0]": 2}),
            Converse("coefficients of query times key agree", "two units that changed places", {**NO_OFFSET, **SAME, "a_1[0]": 2, "a_2[1]": 2}),
            Converse("coefficients of the keys alone agree", "a query offset", {**SAME, **NO_OFFSET, "b_2[0]": 1}),
        ),
    ),
    SmtLemma(
        "attention.merged",
        ROW,
        "A product of columns stands in a reduced head once.",
        merged,
        (Converse("the coefficients add up to one", "two equal units in one head", {"a[0]": 1, "a[1]": 1, "r[0]": 1, "r[1]": 1}),),
    ),
    SmtLemma(
        "attention.scale", ROW, "A narrower head keeps the scale of the wide one.", scaled, (Converse("the scale is kept", "the scale of half the width"),)
    ),
    SmtLemma(
        "attention.values",
        ROW,
        "Weights that sum to one pass any row of the values.",
        values,
        (Converse("the weights sum to one", "an appended zero key takes half of the weight", {"w[0]": "1/4", "w[1]": "1/4", "c": 1}),),
    ),
    SmtLemma(
        "attention.heads",
        ROW,
        "Heads with the same weights on one class of values are one class.",
        one_head,
        (Converse("the heads attend alike", "a causal head beside one that looks ahead", {"w[0]": 1, "u[0]": "1/2", "rho": 1}),),
    ),
    SymbolicLemma(
        "attention.shift",
        ROW,
        "Softmax does not see what is added to the scores of all keys.",
        SHIFT,
        {"no key was appended": ({zero: 0},)},
        (Probe("no key was appended", "a zero key, scores shifted by one", {"u": (0,), "v": (0,), "t": (1,), "zero": (1,)}, _shifted),),
    ),
    SymbolicLemma(
        "attention.one",
        ROW,
        "Softmax weights sum to one.",
        WEIGHTS,
        {"no key was appended": ({zero: 0},)},
        (Probe("no key was appended", "a zero key, that no value stands for", {"u": (0,), "v": (0,), "zero": (1,)}, _summed),),
    ),
)
