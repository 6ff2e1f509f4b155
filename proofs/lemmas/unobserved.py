"""Unobserved units: ghost classes whose collapsed coefficients are zero."""

from __future__ import annotations

from proofs.operators import dot
from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import World

COVERS: tuple[str, ...] = ()


def ghost_class(world: World) -> Claim:
    """A consumer of a kept unit and a ghost class of two: two network inputs with the same kept and other ghost columns."""
    weight, bias, kept, ghost = world.reals("W", 3), world.real("b"), world.real("y"), world.reals("g", 2)
    scale, offset, stray = world.reals("rho", 2), world.reals("c", 2), world.reals("stray", 2)

    def output(k: int) -> object:
        x = [kept, scale[0] * ghost[k] + offset[0], scale[1] * ghost[k] + offset[1] + stray[k]]
        return dot(weight, x) + bias

    return Claim(
        conditions={
            "collapsed coefficient is zero": weight[1] * scale[0] + weight[2] * scale[1] == 0,
            "the ghosts are one class": world.every(s == 0 for s in stray),
        },
        equal=((output(0), output(1)),),
    )


def one_unit(world: World) -> Claim:
    """A ghost class of one unit is always true: its column is the unit itself."""
    x, column = world.real("x"), world.real("g")
    return Claim(conditions={"the column is the unit": column == x}, equal=((x, 1 * column + 0),))


def behind_a_function(world: World) -> Claim:
    """Merging before unobserving: f(x) - f(x') vanishes for equal units, whatever f is."""
    f, x, weight = world.function("f"), world.reals("x", 2), world.reals("W", 2)
    return Claim(
        conditions={"the units were merged": x[0] == x[1], "the coefficients cancel": weight[0] + weight[1] == 0},
        equal=((weight[0] * f(x[0]) + weight[1] * f(x[1]), world.constant(0)),),
    )


ROW = "section 1, observability and ghost columns"
LEMMAS = (
    SmtLemma(
        "unobserved.class",
        ROW,
        "If the collapsed coefficient of a ghost class is zero, the consumer does not see its column.",
        ghost_class,
        (
            Converse("collapsed coefficient is zero", "a unit observed with coefficient one", {"W[1]": 1, "W[2]": 0, "rho[0]": 1}),
            Converse("the ghosts are one class", "coefficients 1 and -1 on unequal units", {"W[1]": 1, "W[2]": -1, "rho[0]": 1, "rho[1]": 1}),
        ),
    ),
    SmtLemma(
        "unobserved.one-unit",
        ROW,
        "A ghost class of one unit claims nothing.",
        one_unit,
        (Converse("the column is the unit", "some other column"),),
    ),
    SmtLemma(
        "unobserved.cancelled",
        ROW,
        "W f(x) - W f(x) = 0: observability grows after a merge.",
        behind_a_function,
        (
            Converse("the units were merged", "unequal units do not cancel", {"W[0]": 1}),
            Converse("the coefficients cancel", "coefficients 1 and 1", {"W[0]": 1, "W[1]": 1}),
        ),
    ),
)
