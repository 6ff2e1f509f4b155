"""Composition: local relations along a DAG give equal outputs; chains of relations multiply.

Operators and relations are uninterpreted, so the lemma is about no operator in
particular. A relation is a function that is 1 where it holds. The obligation of
a node ("for all related inputs, related outputs") is used at the one point where
the two networks are: nothing more is needed, so no quantifier appears.
"""

from __future__ import annotations

from collections.abc import Callable

from proofs.operators import dot
from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import Fact, Number, World

COVERS: tuple[str, ...] = ()


def dag(world: World) -> Claim:
    """x -> a = f(x), b = g(x, a), out = h(a, b): a value with two readers, and a node with two inputs."""
    f, g, h = world.function("f"), world.function("g", 2), world.function("h", 2)
    f_, g_, h_ = world.function("f'"), world.function("g'", 2), world.function("h'", 2)
    x, x_ = world.real("x"), world.real("x'")
    a, a_ = f(x), f_(x_)
    b, b_ = g(x, a), g_(x_, a_)
    out, out_ = h(a, b), h_(a_, b_)

    def related(value: str, left: Number, right: Number) -> Fact:
        relation: Callable[..., Number] = world.function(f"R_{value}", 2)
        return relation(left, right) == 1

    at_x, at_a, at_b, at_out = related("x", x, x_), related("a", a, a_), related("b", b, b_), related("out", out, out_)
    return Claim(
        conditions={
            "the same input": x == x_,
            "identity at the input": world.implies(x == x_, at_x),
            "obligation of a": world.implies(at_x, at_a),
            "obligation of b": world.implies(world.every([at_x, at_a]), at_b),
            "obligation of out": world.implies(world.every([at_a, at_b]), at_out),
            "identity at the output": world.implies(at_out, out == out_),
        },
        equal=((out, out_),),
    )


def chain(world: World) -> Claim:
    """G -> G1 -> H: x = E y + c and y = F z + d give x = (E F) z + (E d + c)."""
    first, second, both = world.matrix("E", 2, 2), world.matrix("F", 2, 2), world.matrix("EF", 2, 2)
    c, d, total, z = world.reals("c", 2), world.reals("d", 2), world.reals("t", 2), world.reals("z", 2)
    y = [dot(row, z) + o for row, o in zip(second, d, strict=True)]
    columns = [[row[k] for row in second] for k in range(2)]
    return Claim(
        conditions={
            "expansions multiply": world.every(both[i][k] == dot(first[i], columns[k]) for i in range(2) for k in range(2)),
            "offsets are carried": world.every(total[i] == dot(first[i], d) + c[i] for i in range(2)),
        },
        equal=tuple((dot(first[i], y) + c[i], dot(both[i], z) + total[i]) for i in range(2)),
    )


def laws(world: World) -> Claim:
    """Two units over the same values (one column, or one of each operand of a sum): members need proportional laws.

    The representative may itself be a multiple of the column (in a ghost class nothing makes it the column's unit).
    """
    y, representative, member = world.reals("y", 2), world.reals("s", 2), world.reals("t", 2)
    offset, rho, out = world.reals("c", 2), world.real("rho"), world.real("c_out")
    return Claim(
        conditions={
            "scales are proportional": world.every(t == rho * s for s, t in zip(representative, member, strict=True)),
            "offsets follow": offset[1] == rho * offset[0] + out,
        },
        equal=((dot(member, y) + offset[1], rho * (dot(representative, y) + offset[0]) + out),),
    )


ROW = "section 1, the relation; section 6, a chain of small proofs"
LEMMAS = (
    SmtLemma(
        "composition.dag",
        ROW,
        "Identity at inputs, an obligation per node, identity at outputs: the outputs are equal.",
        dag,
        (
            Converse("the same input", "two inputs"),
            Converse("identity at the input", "the inputs were lumped"),
            Converse("obligation of a", "a node with one reader unchecked"),
            Converse("obligation of b", "a node with two inputs unchecked"),
            Converse("obligation of out", "the last node unchecked"),
            Converse("identity at the output", "outputs related, but not by equality"),
        ),
    ),
    SmtLemma(
        "composition.chain",
        ROW,
        "Two links are one relation: E F and E d + c.",
        chain,
        (
            Converse("expansions multiply", "F E instead of E F", {"E[0,0]": 0, "E[0,1]": 1, "F[1,0]": 1, "EF[0,0]": 0}),
            Converse("offsets are carried", "the inner offset is not expanded", {"E[0,0]": 2, "E[0,1]": 0, "d[0]": 1, "c[0]": 0, "t[0]": 1}),
        ),
    ),
    SmtLemma(
        "composition.laws",
        ROW,
        "t = rho s and c_i = rho c_R + c': the member is rho times the representative plus c'.",
        laws,
        (
            Converse("scales are proportional", "one operand is doubled, the other is not", {"s[0]": 1, "s[1]": 1, "t[0]": 2, "t[1]": 1, "rho": 2}),
            Converse("offsets follow", "the representative's offset is not scaled", {"rho": 2, "c[0]": 1, "c[1]": 1, "c_out": 0}),
        ),
    ),
)
