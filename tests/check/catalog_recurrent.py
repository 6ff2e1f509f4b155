"""Correct triples for recurrent layers, between a linear layer and another.

Both the operand and the hidden state have eight units

    0: A    1: A    2: s*A    3: constant    4: B    5: a ghost    6: P (ghost)    7: t*P (ghost)

and hardly a row is equal to another before the columns collapse: members add what
cancels over their classes, and split their biases in another way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from forge import N, Net, Triple, arr, lump

from lumpnet.certificate import Lumping

CASES: dict[str, Callable[[], Triple]] = {}
CLASSES, REPS, STEPS = [0, 0, 0, -1, 1, 2, 3, 3], [0, 4, 5, 6], 3
GATES = {"rnn": 1, "lstm": 4, "gru": 3}
TURNS = {"rnn": 0, "lstm": 2, "gru": 2}


def lumped(s: int, t: int, c: int = 0) -> Lumping:
    return lump(CLASSES, 2, REPS, {2: s, 7: t} if (s, t) != (1, 1) else {}, {3: c} if c else {}, 2)


def expansion(lumping: Lumping) -> tuple[np.ndarray, np.ndarray]:
    """(8, classes) and the constants (8,)."""
    e, c = np.zeros((8, 4)), np.zeros(8)
    for unit, k in enumerate(lumping.classes):
        c[unit] = float(lumping.offset.get(unit, 0))
        if k >= 0:
            e[unit, k] = float(lumping.scale.get(unit, 1))
    return e, c


def side(rng: np.random.Generator, columns: Lumping, s: int, t: int, turns: bool) -> np.ndarray:
    """(8, 8): one side of one gate over operand or state columns of this lumping."""
    e, _ = expansion(columns)
    unit = np.eye(8)
    still = [unit[1] - unit[0], e[2, 0] * unit[0] - unit[2], e[7, 3] * unit[6] - unit[7]]
    rows = rng.integers(-3, 4, (8, 8)).astype(float)
    for kept in (0, 4):  # no ghost is read
        rows[kept, 5], rows[kept, 6] = 0, -e[7, 3] * rows[kept, 7]
    for member, source, scale in ((1, 0, 1), (2, 0, s), (7, 6, t)):
        rows[member] = (scale if turns else 1) * rows[source] + rng.integers(1, 3) * still[rng.integers(len(still))]
    if turns:
        rows[3] = still[0] + 2 * still[1]
        rows[3, 3] = 1 if columns.offset else rng.integers(1, 3)
    return rows


def recurrent(kind: str, attrs: dict[str, Any], s: int = -1, t: int = -1, bias: bool = True) -> Triple:
    """x (batch, 3, 2) -> h (8 units) -> r (8 units) -> y (2 units), and the same with two units in both."""
    rng, gates = np.random.default_rng(11), GATES[kind]
    before, state = lumped(2, 3, 7 if bias else 0), lumped(s, t)
    first = rng.integers(-3, 4, (8, 2)).astype(float)
    first[1], first[2], first[3], first[7] = first[0], 2 * first[0], 0, 3 * first[6]
    shift = np.array([1, 1, 2, 7, -2, 1, 1, 3]) if bias else np.zeros(8)
    into, own, left, right = [], [], [], []
    for gate in range(gates):
        turns = gate == TURNS[kind]
        into.append(side(rng, before, s, t, turns))
        own.append(side(rng, state, s, t, turns))
        totals, moved = rng.integers(-3, 4, (2, 8)), expansion(before)[1]
        apart = turns and attrs.get("linear_before_reset", False)
        for member, source, scale in ((1, 0, 1), (2, 0, s), (7, 6, t)):
            totals[:, member] = (scale if turns else 1) * totals[:, source]
            totals[:, member] += 0 if apart else np.array([1, -1]) * member
        if turns:
            totals[:, 3] = (0, 0) if apart else (5, -5)
            totals[0, 3] -= 4 if attrs.get("nonlinearity") == "relu" else 0
        left.append(totals[0] - into[-1] @ moved)
        right.append(totals[1])
    read = rng.integers(-3, 4, (2, 8)).astype(float)
    read[:, 5] = 0
    read[:, 6] = -t * read[:, 7]
    stacked = {"weight_ih": np.concatenate(into), "weight_hh": np.concatenate(own)}
    biases = {"bias_ih": np.concatenate(left), "bias_hh": np.concatenate(right)} if bias else {}
    rows = np.concatenate([8 * gate + np.array([0, 4]) for gate in range(gates)])
    (e, c), (f, _) = expansion(before), expansion(state)
    small = {"weight_ih": (stacked["weight_ih"] @ e)[rows, :2], "weight_hh": (stacked["weight_hh"] @ f)[rows, :2]}
    if bias:
        small |= {"bias_ih": (biases["bias_ih"] + stacked["weight_ih"] @ c)[rows], "bias_hh": biases["bias_hh"][rows]}

    def net(n: int, weight: np.ndarray, shifts: np.ndarray, layer: dict[str, np.ndarray], last: np.ndarray) -> Net:
        nodes = {
            "h": N("linear", (None, STEPS, n), ["x"], {}, {"weight": arr(weight), "bias": arr(shifts)}),
            "r": N(kind, (None, STEPS, n), ["h"], dict(attrs), {role: arr(value / 32) for role, value in layer.items()}),  # far from saturation
            "y": N("linear", (None, STEPS, 2), ["r"], {}, {"weight": arr(last)}),
        }
        return Net({"x": (None, STEPS, 2)}, nodes, ["y"])

    g = net(8, first, shift, stacked | biases, read)
    h = net(2, first[[0, 4]], shift[[0, 4]], small, (read @ f)[:, :2])
    return Triple(g, h, {"h": before, "r": state})


def case(name: str, *args: Any, **options: Any) -> None:
    CASES[name] = lambda: recurrent(*args, **options)


for reverse in (False, True):
    way = "_reverse" if reverse else ""
    case(f"rnn_tanh{way}", "rnn", {"reverse": reverse, "nonlinearity": "tanh"})
    case(f"rnn_relu{way}", "rnn", {"reverse": reverse, "nonlinearity": "relu"}, s=2, t=3)
    case(f"lstm{way}", "lstm", {"reverse": reverse})
    case(f"gru{way}", "gru", {"reverse": reverse, "linear_before_reset": True})
    case(f"gru_reset_first{way}", "gru", {"reverse": reverse, "linear_before_reset": False})
case("lstm_without_biases", "lstm", {"reverse": False}, bias=False)
case("gru_without_biases", "gru", {"reverse": False, "linear_before_reset": True}, bias=False)


def recurrent_gains_a_bias() -> Triple:
    """Constants of the operand fold into a bias that the original does not have."""
    triple = recurrent("lstm", {"reverse": False})
    layer = triple.g.nodes["r"].params
    del layer["bias_ih"], layer["bias_hh"]
    for gate in range(4):  # the biases that the constant brings agree where the others did
        at = slice(8 * gate, 8 * gate + 8)
        layer["weight_ih"][at, 3] = [1, 1, -1 if gate == 2 else 1, 0 if gate == 2 else 1, 2, 1, 1, -1 if gate == 2 else 1]
        layer["weight_ih"][at, 3] /= 32
    moved = layer["weight_ih"] @ np.eye(8, dtype="float32")[3] * 7
    rows = np.concatenate([8 * gate + np.array([0, 4]) for gate in range(4)])
    triple.h.nodes["r"].params |= {"bias_ih": moved[rows], "bias_hh": np.zeros(8, "float32")}
    return triple


def recurrent_with_a_written_zero() -> Triple:
    """An offset of zero may be written; the other ones count all the same."""
    triple = recurrent("lstm", {"reverse": False})
    before = triple.lumpings["h"]
    assert isinstance(before, Lumping)
    triple.lumpings["h"] = replace(before, offset={1: Fraction(0), **before.offset})
    return triple


CASES["recurrent_with_a_written_zero"] = recurrent_with_a_written_zero
CASES["recurrent_gains_a_bias"] = recurrent_gains_a_bias
