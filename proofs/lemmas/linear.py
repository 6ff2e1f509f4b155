"""Linear: collapsed weights W E, and offsets folded into the bias.

Three input units, any expansion E onto two kept columns and one ghost column
(a lumping has one entry a row; the proof needs no such restriction), any
offsets c. Row R is the representative, row m a member of its class.
"""

from __future__ import annotations

from proofs.operators import column, dot
from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import Number, World

COVERS = ("linear",)
KEPT, GHOST = (0, 1), 2
PLAIN: dict[str, int | str] = {
    **{f"E[{i},{k}]": int(i == k) for i in range(3) for k in range(3)},
    **{f"c[{i}]": 0 for i in range(3)},
}
"""No lumping at all: E = I, c = 0."""


def _input(world: World) -> tuple[list[list[Number]], list[Number], list[Number], list[Number]]:
    """E (3 x 3), c, y (kept, kept, ghost) and x = E y + c."""
    expansion, offset, y = world.matrix("E", 3, 3), world.reals("c", 3), world.reals("y", 3)
    return expansion, offset, y, [dot(row, y) + c for row, c in zip(expansion, offset, strict=True)]


def kept_row(world: World) -> Claim:
    """The representative of a kept class: H's row computes it from the kept columns alone."""
    expansion, offset, y, x = _input(world)
    weight, bias = world.reals("W", 3), world.real("b")
    small, small_bias = world.reals("W'", 2), world.real("b'")
    collapsed = [dot(weight, column(expansion, k)) for k in range(3)]
    return Claim(
        conditions={
            "weights collapse": world.every(small[k] == collapsed[k] for k in KEPT),
            "no ghost is read": collapsed[GHOST] == 0,
            "offsets fold into the bias": small_bias == dot(weight, offset) + bias,
        },
        equal=((dot(weight, x) + bias, dot(small, y[:2]) + small_bias),),
    )


def member(world: World) -> Claim:
    """A member of a class, kept or ghost, is scale * representative + offset; scale 0 is a constant unit."""
    expansion, offset, _, x = _input(world)
    weight, bias = world.matrix("W", 2, 3), world.reals("b", 2)
    scale, out_offset = world.real("rho"), world.real("c_out")
    representative = dot(weight[0], x) + bias[0]
    return Claim(
        conditions={
            "rows are proportional": world.every(dot(weight[1], column(expansion, k)) == scale * dot(weight[0], column(expansion, k)) for k in range(3)),
            "biases agree": dot(weight[1], offset) + bias[1] == scale * (dot(weight[0], offset) + bias[0]) + out_offset,
        },
        equal=((dot(weight[1], x) + bias[1], scale * representative + out_offset),),
    )


def zero_coefficient(world: World) -> Claim:
    """An offset that is not rational (a surd) may enter only through a zero coefficient: then it adds nothing, whatever it is."""
    weight, bias, x, surd = world.reals("W", 2), world.real("b"), world.real("x"), world.real("surd")
    return Claim(
        conditions={"its coefficient is zero": weight[1] == 0},
        equal=((weight[0] * x + weight[1] * surd + bias, weight[0] * x + bias),),
    )


ROW = "Linear Wx+b"
LEMMAS = (
    SmtLemma(
        "linear.kept-row",
        ROW,
        "W' = (W E)[R], b' = W[R] c + b[R], and no ghost column: the reduced row computes the representative.",
        kept_row,
        (
            Converse("weights collapse", "one reduced weight is one ulp off", {**PLAIN, "W[0]": 1, "W'[0]": "8388609/8388608", "W'[1]": 0}),
            Converse("no ghost is read", "a ghost column with coefficient one", {**PLAIN, "W[2]": 1}),
            Converse("offsets fold into the bias", "the constant unit's share is forgotten", {**PLAIN, "c[2]": 1, "W[2]": 1, "E[2,2]": 0, "b": 0, "b'": 0}),
        ),
    ),
    SmtLemma(
        "linear.member",
        ROW,
        "(W E)[m] = rho (W E)[R] and W[m] c + b[m] = rho (W[R] c + b[R]) + c_out: the member is rho * representative + c_out.",
        member,
        (
            Converse("rows are proportional", "one original weight is one ulp off", {**PLAIN, "rho": 1, "W[0,0]": 1, "W[1,0]": "8388609/8388608"}),
            Converse("biases agree", "equal rows, unequal biases", {**PLAIN, "rho": 1, "b[0]": 0, "b[1]": 1, "c_out": 0}),
            Converse("rows are proportional", "a constant unit with a live weight", {**PLAIN, "rho": 0, "W[1,0]": 1}),
        ),
    ),
    SmtLemma(
        "linear.zero-coefficient",
        ROW,
        "A unit with coefficient zero contributes nothing, so its offset need not be rational.",
        zero_coefficient,
        (Converse("its coefficient is zero", "the surd is read", {"W[1]": 1, "surd": 1}),),
    ),
)
