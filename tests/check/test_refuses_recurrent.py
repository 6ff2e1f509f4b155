"""Forged certificates of recurrent layers: each violates one condition of the induction, and is refuted there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from catalog_recurrent import CASES
from forge import F, Triple, both, lump, set_attr, set_entry, set_lumping

from lumpnet.certificate import Surd
from lumpnet.errors import FileError
from lumpnet.verdict import Proved, Refuted

Breaking = Callable[[Triple], Any]
FORGERIES: dict[str, tuple[str, Breaking, str]] = {}


def forge(law: str, case: str, breaking: Breaking, message: str) -> None:
    FORGERIES[law] = (case, breaking, message)


def scale(unit: int, value: Any) -> Breaking:
    return lambda t: set_lumping("r", scale=dict(t.lumpings["r"].scale) | {unit: F(value)})(t)


def offset(unit: int, value: Any) -> Breaking:
    return set_lumping("r", offset={unit: value if isinstance(value, Surd) else F(value)})


def add(net: str, role: str, index: Any, step: float) -> Breaking:
    """One stored number moved by `step`."""
    return lambda t: set_entry(net, "r", role, index, float(getattr(t, net).nodes["r"].params[role][index]) + step)(t)


def last_bit(role: str, index: tuple[int, int]) -> Breaking:
    def breaking(t: Triple) -> None:
        value = t.g.nodes["r"].params[role][index]
        set_entry("g", "r", role, index, np.nextafter(value, np.float32(np.inf)))(t)

    return breaking


DIFFER, UNREAD, STILL = "unit 1 and its representative 0 differ", "non-zero weight towards class", "unit 3 claims to stay zero"

# --- the zero state --------------------------------------------------------------------------------
for case in ("rnn_tanh", "rnn_relu", "lstm", "gru", "gru_reset_first"):
    forge(f"{case}: a member has no offset", case, offset(1, 1), "unit 1 claims an offset")
    forge(f"{case}: a member has no negative offset", case, offset(1, -1), "unit 1 claims an offset")
    forge(f"{case}: a ghost has no offset", case, offset(7, 1), "unit 7 claims an offset")
    forge(f"{case}: a constant is zero", case, offset(3, 1), "unit 3 claims an offset")
    forge(f"{case}: a constant is no surd", case, offset(3, Surd(F(0), F(1), F(2))), "unit 3 claims an offset")
forge(
    "a constant that holds only after the first step",
    "rnn_relu",
    both(set_entry("g", "r", "bias_ih", 3, 0), add("g", "bias_hh", 3, 9.0), offset(3, "9")),
    "unit 3 claims an offset",
)

# --- what the functions carry ----------------------------------------------------------------------
for case in ("rnn_tanh", "lstm", "gru", "gru_reset_first"):
    forge(f"{case}: tanh carries signs only", case, scale(2, -2), "unit 2 claims scale -2")
forge("ReLU carries no sign", "rnn_relu", scale(2, -2), "unit 2 claims scale -2")
for case, function in (("rnn_relu", "tanh"), ("rnn_tanh", "relu")):
    forge(f"the multiples are those of {function}", case, both(*(set_attr(n, "r", "nonlinearity", function) for n in "gh")), "claims scale")

# --- a step ------------------------------------------------------------------------------------------
for case, gates in (("rnn_tanh", 1), ("rnn_relu", 1), ("lstm", 4), ("gru", 3), ("gru_reset_first", 3)):
    for gate in range(gates):
        where = f"{case}, gate {gate}"
        for role, column in (("weight_ih", 4), ("weight_hh", 4)):
            forge(f"{where}: a member's {role} collapses to its representative's", case, add("g", role, (8 * gate + 1, column), 0.125), DIFFER)
            forge(f"{where}: ghosts agree in {role}", case, add("g", role, (8 * gate + 7, column), 0.125), "unit 7 and its representative 6 differ")
            forge(f"{where}: the last bit of {role} counts", case, last_bit(role, (8 * gate + 1, column)), DIFFER)
            forge(f"{where}: nothing kept reads a ghost by {role}", case, add("g", role, (8 * gate + 4, 5), 1.0), f"{UNREAD} 2")
            forge(f"{where}: ghosts that do not cancel are read by {role}", case, add("g", role, (8 * gate + 4, 6), 1.0), f"{UNREAD} 3")
            forge(f"{where}: the reduced {role} is the collapsed one", case, add("h", role, (2 * gate + 1, 0), 0.125), "the reduced weight of unit 4")
        for role in ("bias_ih", "bias_hh"):
            forge(f"{where}: a member's {role} counts", case, add("g", role, 8 * gate + 1, 0.125), "the biases of unit 1 and its representative 0")
            forge(f"{where}: a ghost's {role} counts", case, add("g", role, 8 * gate + 7, 0.125), "the biases of unit 7 and its representative 6")
            forge(f"{where}: the reduced {role} is the representative's", case, add("h", role, 2 * gate, 0.125), "the reduced bias of unit 0")
    turns = 0 if gates == 1 else 2
    for role in ("weight_ih", "weight_hh"):
        forge(f"{case}: a unit that stays zero has no {role}", case, add("g", role, (8 * turns + 3, 4), 0.125), f"unit 3 has a {UNREAD} 1")
    for role in ("bias_ih", "bias_hh"):
        forge(f"{case}: a unit that stays zero has no {role}", case, add("g", role, 8 * turns + 3, 8.0), STILL)
    forge(
        f"{case}: what turns with the unit turns", case, lambda t: set_lumping("r", scale={7: t.lumpings["r"].scale[7]})(t), "unit 2 and its representative 0"
    )
forge("a constant of the operand folds into the zero unit's bias", "lstm", add("g", "weight_ih", (19, 3), 1.0), STILL)
forge("an operand's constant counts for members", "gru", add("g", "weight_ih", (1, 3), 1.0), "the biases of unit 1")
forge("the candidate's biases agree apart", "gru", both(add("g", "bias_ih", 17, 1.0), add("g", "bias_hh", 17, -1.0)), "gate 2: the biases of unit 1")
forge("a zero candidate is zero on both sides", "gru", both(add("g", "bias_ih", 19, 1.0), add("g", "bias_hh", 19, -1.0)), STILL)
forge("equal rows, another recurrence", "lstm_without_biases", add("g", "weight_hh", (1, 4), 1.0), DIFFER)
forge("units join no class for their rows alone", "lstm", set_lumping("r", classes=(0, 0, 0, -1, 1, 1, 2, 2), representatives=(0, 4, 6)), "unit 5 and its rep")
forge("a unit is not zero for being unread", "lstm", set_lumping("r", classes=(0, 0, 0, -1, 1, -1, 2, 2), representatives=(0, 4, 6)), f"unit 5 has a {UNREAD}")
forge("columns keep their order", "lstm", set_lumping("r", classes=(1, 1, 1, -1, 0, 2, 3, 3), representatives=(4, 0, 5, 6)), "the reduced weight of unit")

# --- the counterpart ---------------------------------------------------------------------------------
forge("the direction stays", "gru", set_attr("h", "r", "reverse", True), "the reduced reverse")
forge("the function stays", "rnn_tanh", set_attr("h", "r", "nonlinearity", "relu"), "the reduced nonlinearity")
forge("the reset stays", "gru", set_attr("h", "r", "linear_before_reset", False), "the reduced linear_before_reset")
forge("a missing reduced bias is zero", "lstm", lambda t: t.h.nodes["r"].params.pop("bias_hh"), "the reduced bias of unit 0")
forge("folded constants need a bias", "recurrent_gains_a_bias", lambda t: t.h.nodes["r"].params.pop("bias_ih"), "the reduced bias of unit 0")
forge(
    "gates keep their order",
    "lstm",
    lambda t: t.h.nodes["r"].params.update({k: np.roll(v, 2, 0) for k, v in t.h.nodes["r"].params.items()}),
    "the reduced weight of unit 0",
)
forge("units lie on the last axis", "lstm", lambda t: t.lumpings.update(r=lump([0, 1, 2], 3, [0, 1, 2], {1: 1}, {}, 1)), "the reduced value has shape")
forge("steps are no units", "lstm", lambda t: t.lumpings.update(r=lump([0, -1, -1], 0, [0], {}, {}, 1)), "reduced nodes")


@pytest.mark.parametrize("law", FORGERIES)
def test_a_forgery_is_refuted(law: str, tmp_path: Path) -> None:
    name, breaking, message = FORGERIES[law]
    verdict = CASES[name]().broken(breaking).verdict(tmp_path)
    assert isinstance(verdict, Refuted), verdict
    assert re.search(message, verdict.reason), verdict.reason


@pytest.mark.parametrize(("name", "gate"), [("rnn_tanh", 0), ("lstm", 0), ("lstm", 2), ("gru", 1), ("gru_reset_first", 2)])
def test_biases_that_agree_in_their_sum_are_enough_elsewhere(name: str, gate: int, tmp_path: Path) -> None:
    """Only a GRU's candidate with the reset behind the linear map takes its two biases apart."""
    moved = both(add("g", "bias_ih", 8 * gate + 1, 1.0), add("g", "bias_hh", 8 * gate + 1, -1.0))
    assert isinstance(CASES[name]().broken(moved).verdict(tmp_path), Proved)


def test_what_the_gates_of_a_zero_unit_read_is_free(tmp_path: Path) -> None:
    """A cell gate of zero is enough: the other gates of the unit may read anything, also ghosts."""
    free = both(*(add("g", role, (8 * gate + 3, column), 1.0) for role in ("weight_ih", "weight_hh") for gate in (0, 1, 3) for column in (0, 5)))
    assert isinstance(CASES["lstm"]().broken(free).verdict(tmp_path), Proved)


@pytest.mark.parametrize(
    ("role", "shape"), [("weight_ih", (32, 7)), ("weight_ih", (31, 8)), ("weight_hh", (32, 7)), ("weight_hh", (8, 8)), ("bias_ih", (31,)), ("bias_hh", (32, 1))]
)
def test_shapes_that_do_not_fit_are_no_network(role: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(FileError):
        CASES["lstm"]().broken(lambda t: t.g.nodes["r"].params.update({role: np.zeros(shape, "float32")})).verdict(tmp_path)


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [("lstm", "reverse", 1), ("lstm", "reverse", None), ("rnn_tanh", "nonlinearity", "sigmoid"), ("gru", "linear_before_reset", 0), ("lstm", "proj", True)],
)
def test_attributes_of_another_type_are_no_network(name: str, key: str, value: Any, tmp_path: Path) -> None:
    with pytest.raises(FileError):
        CASES[name]().broken(set_attr("g", "r", key, value)).verdict(tmp_path)
