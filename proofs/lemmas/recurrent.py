"""RNN, LSTM, GRU: the relation is carried from step to step, and holds of the zero state.

Unit m is `rho` times its representative R before a step; so it is after. That the
pre-activations of m and R are equal, or in the ratio rho, is lemma `linear.member`
over the operand's and the state's columns (and `linear.kept-row` for the reduced
layer). The sigmoid is any function, tanh any odd one: oddness is stated at the
points where it is used.
"""

from __future__ import annotations

from collections.abc import Callable

from proofs.operators import dot, gru_cell, gru_cell_reset_first, is_one_of, lstm_cell, relu
from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import Fact, Number, World

COVERS = ("rnn", "lstm", "gru")
SIGN = "the multiple is 1 or -1"


def _odd(tau: Callable[[Number], Number], *points: Number) -> tuple[Fact, ...]:
    return tuple(tau(-u) == -tau(u) for u in points)


def _rnn(function: Callable[[World], Callable[[Number], Number]], odd: bool) -> Callable[[World], Claim]:
    """Two units R, m of the state before, and the rows of R and m over one operand column and both units."""

    def claim(world: World) -> Claim:
        f, rho, x, state = function(world), world.real("rho"), world.real("x"), world.real("h")
        into, own, bias = world.reals("W", 2), world.matrix("U", 2, 2), world.reals("b", 2)
        before = world.reals("h_before", 2)
        first, second = (into[k] * x + dot(own[k], before) + bias[k] for k in range(2))
        collapsed = [own[k][0] + rho * own[k][1] for k in range(2)]
        carried = is_one_of(world, rho, (1, -1)) if odd else rho > 0
        return Claim(
            conditions={
                SIGN if odd else "the multiple is positive": carried,
                "the state before obeys": world.every([before[0] == state, before[1] == rho * state]),
                "operand rows are in the ratio": into[1] == rho * into[0],
                "collapsed state rows are in the ratio": collapsed[1] == rho * collapsed[0],
                "summed biases are in the ratio": bias[1] == rho * bias[0],
            },
            equal=((f(second), rho * f(first)),),
            given=_odd(f, first) if odd else (),
        )

    return claim


def _tau(world: World) -> Callable[[Number], Number]:
    tau: Callable[[Number], Number] = world.function("tau")
    return tau


def _relu(world: World) -> Callable[[Number], Number]:
    return lambda u: relu(world, u)


def lstm(world: World) -> Claim:
    sigma, tau, rho = world.function("sigma"), world.function("tau"), world.real("rho")
    one, two, cells = world.reals("gate_R", 4), world.reals("gate_m", 4), world.reals("c", 2)
    (h, c), (h_, c_) = lstm_cell(sigma, tau, one, cells[0]), lstm_cell(sigma, tau, two, cells[1])
    return Claim(
        conditions={
            SIGN: is_one_of(world, rho, (1, -1)),
            "the cell before obeys": cells[1] == rho * cells[0],
            "input gates are equal": two[0] == one[0],
            "forget gates are equal": two[1] == one[1],
            "cell gates are in the ratio": two[2] == rho * one[2],
            "output gates are equal": two[3] == one[3],
        },
        equal=((h_, rho * h), (c_, rho * c)),
        given=_odd(tau, one[2], c),
    )


def gru(world: World) -> Claim:
    """The reset gate multiplies the state side: both sides of the candidate are judged apart."""
    sigma, tau, rho = world.function("sigma"), world.function("tau"), world.real("rho")
    one, two, states = world.reals("gate_R", 2), world.reals("gate_m", 2), world.reals("h", 2)
    sides, sides_ = world.reals("side_R", 2), world.reals("side_m", 2)
    return Claim(
        conditions={
            SIGN: is_one_of(world, rho, (1, -1)),
            "the unit before obeys": states[1] == rho * states[0],
            "reset gates are equal": two[0] == one[0],
            "update gates are equal": two[1] == one[1],
            "input sides are in the ratio": sides_[0] == rho * sides[0],
            "state sides are in the ratio": sides_[1] == rho * sides[1],
        },
        equal=((gru_cell(sigma, tau, two, sides_, states[1]), rho * gru_cell(sigma, tau, one, sides, states[0])),),
        given=_odd(tau, sides[0] + sigma(one[0]) * sides[1]),
    )


def gru_reset_first(world: World) -> Claim:
    """The reset gate multiplies the units: the candidate reads both, and its biases are one number."""
    sigma, tau, rho = world.function("sigma"), world.function("tau"), world.real("rho")
    resets, updates, into, states = world.reals("r", 2), world.reals("z", 2), world.reals("into", 2), world.reals("h", 2)
    own = world.matrix("U", 2, 2)
    collapsed = [own[k][0] + rho * own[k][1] for k in range(2)]
    after = [gru_cell_reset_first(sigma, tau, updates[k], into[k], own[k], resets, states, states[k]) for k in range(2)]
    return Claim(
        conditions={
            SIGN: is_one_of(world, rho, (1, -1)),
            "the unit before obeys": states[1] == rho * states[0],
            "reset gates are equal": resets[1] == resets[0],
            "update gates are equal": updates[1] == updates[0],
            "input sides with both biases are in the ratio": into[1] == rho * into[0],
            "collapsed state rows are in the ratio": collapsed[1] == rho * collapsed[0],
        },
        equal=((after[1], rho * after[0]),),
        given=_odd(tau, into[0] + dot(own[0], [sigma(r) * h for r, h in zip(resets, states, strict=True)])),
    )


def _silent(world: World) -> tuple[Callable[[Number], Number], Callable[[Number], Number], tuple[Fact, ...]]:
    sigma, tau = world.function("sigma"), world.function("tau")
    return sigma, tau, (tau(world.constant(0)) == 0,)


def lstm_zero(world: World) -> Claim:
    (sigma, tau, given), gates, cell = _silent(world), world.reals("gate", 4), world.real("c")
    return Claim(
        conditions={"the cell gate is zero": gates[2] == 0, "the cell before is zero": cell == 0},
        equal=tuple((after, world.constant(0)) for after in lstm_cell(sigma, tau, gates, cell)),
        given=given,
    )


def gru_zero(world: World) -> Claim:
    (sigma, tau, given), gates, sides, state = _silent(world), world.reals("gate", 2), world.reals("side", 2), world.real("h")
    return Claim(
        conditions={"the input side is zero": sides[0] == 0, "the state side is zero": sides[1] == 0, "the unit before is zero": state == 0},
        equal=((gru_cell(sigma, tau, gates, sides, state), world.constant(0)),),
        given=given,
    )


def gru_reset_first_zero(world: World) -> Claim:
    """The only column that the candidate reads is the unit itself, or it reads none."""
    (sigma, tau, given), reset, update, total, own = _silent(world), world.real("r"), world.real("z"), world.real("into"), world.real("U")
    state, other = world.real("h"), world.real("h_other")
    after = gru_cell_reset_first(sigma, tau, update, total, [own], [reset], [other], state)
    return Claim(
        conditions={
            "input side and biases add up to zero": total == 0,
            "no column of the state is read": own == 0,
            "the unit before is zero": state == 0,
        },
        equal=((after, world.constant(0)),),
        given=given,
    )


def rnn_zero(world: World) -> Claim:
    (_, tau, given), u = _silent(world), world.real("u")
    return Claim(conditions={"the pre-activation is zero": u == 0}, equal=((tau(u), world.constant(0)),), given=given)


def rnn_relu_zero(world: World) -> Claim:
    u = world.real("u")
    return Claim(conditions={"the pre-activation is not positive": u <= 0}, equal=((relu(world, u), world.constant(0)),))


def base(world: World) -> Claim:
    """Before the first step every state is zero."""
    rho, offset, state = world.real("rho"), world.real("c"), world.reals("h", 2)
    return Claim(
        conditions={"the initial state is zero": world.every(h == 0 for h in state), "the claim has no offset": offset == 0},
        equal=((state[1], rho * state[0] + offset),),
    )


def induction(world: World) -> Claim:
    """The hypothesis about the state before a step is used only where it was shown."""
    relation = world.function("R")
    at: list[Fact] = [relation(world.constant(t)) == 1 for t in range(4)]
    steps = {f"step {t + 1}": world.implies(at[t], at[t + 1]) for t in range(3)}
    return Claim(conditions={"the zero state obeys": at[0], **steps}, equal=((relation(world.constant(3)), world.constant(1)),))


ROW = "RNN / LSTM / GRU"
RATIOS = (
    Converse("the state before obeys", "the multiple does not hold before the step", {"rho": 1, "h": 1}),
    Converse("operand rows are in the ratio", "one operand weight is another", {"rho": 1, "W[0]": 1, "W[1]": 2}),
    Converse("collapsed state rows are in the ratio", "equal operand rows, another recurrence", {"rho": 1, "U[0,0]": 1, "U[0,1]": 0, "U[1,0]": 0, "U[1,1]": 0}),
    Converse("summed biases are in the ratio", "another bias", {"rho": 1, "b[0]": 0, "b[1]": 1}),
)
LEMMAS = (
    SmtLemma(
        "recurrent.rnn-tanh",
        ROW,
        "RNN with tanh: a row that is rho = 1 or -1 times the representative's keeps the unit at rho times it.",
        _rnn(_tau, odd=True),
        (Converse(SIGN, "twice the row", {"rho": 2}), *RATIOS),
    ),
    SmtLemma(
        "recurrent.rnn-relu",
        ROW,
        "RNN with ReLU: the same for rho > 0.",
        _rnn(_relu, odd=False),
        (Converse("the multiple is positive", "the negated row", {"rho": -1}), *RATIOS),
    ),
    SmtLemma(
        "recurrent.lstm",
        ROW,
        "LSTM: i, f, o equal, g and the cell rho = 1 or -1 times the representative's: so are cell and unit after the step.",
        lstm,
        (
            Converse(SIGN, "tanh is not homogeneous", {"rho": 2}),
            Converse("the cell before obeys", "two cells of one sign", {"rho": -1}),
            Converse("input gates are equal", "another input gate", {"rho": 1}),
            Converse("forget gates are equal", "another forget gate", {"rho": 1}),
            Converse("cell gates are in the ratio", "a cell gate that does not turn with the unit", {"rho": -1}),
            Converse("output gates are equal", "another output gate", {"rho": 1}),
        ),
    ),
    SmtLemma(
        "recurrent.gru",
        ROW,
        "GRU: r, z equal, each side of the candidate and the unit rho = 1 or -1 times the representative's: so is the unit after the step.",
        gru,
        (
            Converse(SIGN, "tanh is not homogeneous", {"rho": 2}),
            Converse("the unit before obeys", "units of one sign", {"rho": -1}),
            Converse("reset gates are equal", "another reset gate", {"rho": 1}),
            Converse("update gates are equal", "another update gate", {"rho": 1}),
            Converse("input sides are in the ratio", "sides that agree only in their sum", {"rho": 1, "side_R[0]": 1, "side_R[1]": 0, "side_m[0]": 0}),
            Converse("state sides are in the ratio", "sides that agree only in their sum", {"rho": 1, "side_R[0]": 0, "side_R[1]": 1, "side_m[1]": 0}),
        ),
    ),
    SmtLemma(
        "recurrent.gru-reset-first",
        ROW,
        "GRU that resets before the linear map: r, z equal; the state's weights collapse, as members of a class have one reset gate; biases add up.",
        gru_reset_first,
        (
            Converse(SIGN, "tanh is not homogeneous", {"rho": 2}),
            Converse("the unit before obeys", "units of one sign", {"rho": -1}),
            Converse("reset gates are equal", "a class with two reset gates", {"rho": 1}),
            Converse("update gates are equal", "another update gate", {"rho": 1}),
            Converse("input sides with both biases are in the ratio", "another bias", {"rho": 1}),
            Converse("collapsed state rows are in the ratio", "equal operand rows, another recurrence", {"rho": 1}),
        ),
    ),
    SmtLemma(
        "recurrent.rnn-zero", ROW, "tanh(0) = 0: a zero row without bias stays zero.", rnn_zero, (Converse("the pre-activation is zero", "a bias", {"u": 1}),)
    ),
    SmtLemma(
        "recurrent.rnn-relu-zero",
        ROW,
        "ReLU: a zero row with a bias that is not positive stays zero.",
        rnn_relu_zero,
        (Converse("the pre-activation is not positive", "a constant that holds only after the first step", {"u": 1}),),
    ),
    SmtLemma(
        "recurrent.lstm-zero",
        ROW,
        "LSTM: a cell gate of zero keeps the cell, and so the unit, at zero, whatever the other gates are.",
        lstm_zero,
        (Converse("the cell gate is zero", "a live cell gate"), Converse("the cell before is zero", "a cell that remembers")),
    ),
    SmtLemma(
        "recurrent.gru-zero",
        ROW,
        "GRU: a candidate that is zero on both sides keeps the unit at zero.",
        gru_zero,
        (
            Converse("the input side is zero", "a live input side", {"side[0]": 1}),
            Converse("the state side is zero", "sides that cancel without the reset gate", {"side[1]": 1}),
            Converse("the unit before is zero", "a unit that remembers", {"h": 1}),
        ),
    ),
    SmtLemma(
        "recurrent.gru-reset-first-zero",
        ROW,
        "GRU that resets first: the same, the biases added up.",
        gru_reset_first_zero,
        (
            Converse("input side and biases add up to zero", "a bias", {"into": 1}),
            Converse("no column of the state is read", "a live column", {"U": 1}),
            Converse("the unit before is zero", "a unit that remembers", {"h": 1}),
        ),
    ),
    SmtLemma(
        "recurrent.base",
        ROW,
        "The zero state obeys every multiple, and no offset: constants are zero.",
        base,
        (
            Converse("the initial state is zero", "a state that somebody gave", {"rho": 1, "c": 0, "h[0]": 0}),
            Converse("the claim has no offset", "an offset", {"rho": 1, "c": 1}),
        ),
    ),
    SmtLemma(
        "recurrent.induction",
        "section 1, the relation; a value on a cycle",
        "The zero state obeys, and each step carries the relation: it holds after every step.",
        induction,
        (
            Converse("the zero state obeys", "a relation that only reproduces itself"),
            *(Converse(f"step {t}", f"a relation that breaks at step {t}") for t in (1, 2, 3)),
        ),
    ),
)
