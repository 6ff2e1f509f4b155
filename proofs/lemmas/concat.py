"""Concat: block-diagonal along the unit axis, one lumping along positions."""

from __future__ import annotations

from proofs.operators import dot
from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import World

COVERS = ("concat",)


def units(world: World) -> Claim:
    """Two units from a (one column and offsets), two from b. H's second operand may be gone: then b is constant."""
    left, right, offset = world.reals("E_a", 2), world.reals("E_b", 2), world.reals("c", 4)
    a, b = world.real("a"), world.real("b")
    original = [left[0] * a + offset[0], left[1] * a + offset[1], right[0] * b + offset[2], right[1] * b + offset[3]]
    expansion = world.matrix("E", 4, 2)
    reduced = [a, b]
    return Claim(
        conditions={
            "blocks on the diagonal": world.every(fact for i in range(2) for fact in (expansion[i][0] == left[i], expansion[2 + i][1] == right[i])),
            "zero off the diagonal": world.every(fact for i in range(2) for fact in (expansion[i][1] == 0, expansion[2 + i][0] == 0)),
        },
        equal=tuple((x, dot(row, reduced) + c) for x, row, c in zip(original, expansion, offset, strict=True)),
    )


def lost_operand(world: World) -> Claim:
    """An operand of constants has no column: H's concat goes without it, and its units stay constants."""
    scale, offset, a, d, b = world.real("E_b"), world.real("c_b"), world.real("a"), world.real("d"), world.real("b")
    original = [a, scale * b + offset]
    return Claim(conditions={"the lost operand is constant": scale == 0, "the constant is kept": d == offset}, equal=((original[0], a), (original[1], d)))


def positions(world: World) -> Claim:
    """One unit, a at position 0 and b at position 1: scale and offset belong to the unit, not to the position."""
    scale, offset, y = world.reals("rho", 2), world.reals("c", 2), world.reals("y", 2)
    return Claim(
        conditions={"one scale": scale[0] == scale[1], "one offset": offset[0] == offset[1]},
        equal=tuple((scale[p] * y[p] + offset[p], scale[0] * y[p] + offset[0]) for p in range(2)),
    )


def classes(world: World) -> Claim:
    """Along positions the operands also share the class: the column of the unit in b must be the one in a."""
    e, y = world.reals("e", 2), world.reals("y", 2)
    return Claim(conditions={"one class": world.every([e[0] == 1, e[1] == 0])}, equal=((dot(e, y), y[0]),))


ROW = "Concat"
LEMMAS = (
    SmtLemma(
        "concat.units",
        ROW,
        "On the unit axis E is block-diagonal and the offsets are stacked.",
        units,
        (
            Converse("blocks on the diagonal", "a scale is lost", {"E_a[1]": 2, "E[1,0]": 1}),
            Converse("zero off the diagonal", "a unit of a points at b's column", {"E[0,1]": 1}),
        ),
    ),
    SmtLemma(
        "concat.lost-operand",
        ROW,
        "An operand without columns is left out; its units remain the constants they were.",
        lost_operand,
        (
            Converse("the lost operand is constant", "a live operand is left out", {"E_b": 1}),
            Converse("the constant is kept", "another constant", {"c_b": 1, "d": 0}),
        ),
    ),
    SmtLemma(
        "concat.positions",
        ROW,
        "On positions one common scale and offset.",
        positions,
        (
            Converse("one scale", "scales 1 and 2 at the two positions", {"rho[0]": 1, "rho[1]": 2}),
            Converse("one offset", "offsets 0 and 1 at the two positions", {"c[0]": 0, "c[1]": 1}),
        ),
    ),
    SmtLemma(
        "concat.classes",
        ROW,
        "On positions one common class.",
        classes,
        (Converse("one class", "the operands are lumped differently", {"e[0]": 0, "e[1]": 1}),),
    ),
)
