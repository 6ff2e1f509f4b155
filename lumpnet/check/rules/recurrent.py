"""Recurrent layers: an induction over the steps.

The lumping of the hidden sequence is taken as the hypothesis about the state
before a step. It must hold of the zero state (no offsets, constants zero), and
the gates must carry it from every step to the next (THEORY section 2). Then it
holds at every step, in either direction of time.

A unit i claims `h_i = s * h_R` of its representative R. Gates with a sigmoid must
be equal for both; what turns with the unit (the pre-activation of an RNN, the cell
gate of an LSTM, the candidate of a GRU) must be s times the representative's,
on every side that the layer computes apart. Each is a linear map of the operand
and of the state before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from lumpnet.check.files import Tensor
from lumpnet.check.graph import Case, Kind, Node, boolean
from lumpnet.check.numbers import Array, fractions, integer_parts, misfits, shown
from lumpnet.check.outcome import Refusal
from lumpnet.check.relation import ONE, ZERO, Relation, Shape
from lumpnet.check.rules.affine import Affine

Shifts = dict[int, Fraction]
INPUT, STATE = "ih", "hh"


@dataclass(frozen=True)
class Gate:
    """One block of rows. `sides` that stand in one tuple are added before anything else happens to them; `turns`: the unit is a multiple when this is."""

    block: int
    turns: bool
    sides: tuple[tuple[str, ...], ...] = ((INPUT, STATE),)


def _rnn_gates(node: Node) -> tuple[Gate, ...]:
    return (Gate(0, True),)


def _lstm_gates(node: Node) -> tuple[Gate, ...]:
    """i, f, g, o: the cell is `f c + i tanh(g)`."""
    return (Gate(0, False), Gate(1, False), Gate(2, True), Gate(3, False))


def _gru_gates(node: Node) -> tuple[Gate, ...]:
    """r, z, n: after a linear map of the state, r multiplies one side of n, and that side's bias with it."""
    apart = node.attrs["linear_before_reset"]
    return (Gate(0, False), Gate(1, False), Gate(2, True, ((INPUT,), (STATE,)) if apart else ((INPUT, STATE),)))


def _turned(node: Node, scale: Fraction) -> bool:
    """Whether the layer's function carries this multiple: ReLU positive ones, tanh the sign."""
    return scale > 0 if node.attrs.get("nonlinearity") == "relu" else scale in (1, -1)


def _silent(node: Node, shift: Fraction) -> bool:
    """Whether the function is zero at this number."""
    return shift <= 0 if node.attrs.get("nonlinearity") == "relu" else shift == 0


class Layer:
    """The obligation of one layer in one direction."""

    def __init__(self, case: Case, gates: tuple[Gate, ...]):
        self.case, self.gates = case, gates
        self.inn, self.out = case.ins[0].on(2, case.where), case.out.on(2, case.where)
        self.size = len(self.out.classes)

    def check(self) -> str:
        self.base()
        for gate in self.gates:
            self.step(gate)
        return f"the zero state obeys the lumping, and {len(self.gates)} gates carry it through a step"

    def base(self) -> None:
        """The hypothesis holds of the state zero, and its multiples pass the layer's function."""
        for unit, offset in self.out.offset.items():
            if not isinstance(offset, Fraction) or offset != 0:
                raise Refusal(self.case.where, f"unit {unit} claims an offset, which the initial state does not have", "offset 0, also of constants")
        for unit, scale in self.out.scale.items():
            if not _turned(self.case.node, scale):
                raise Refusal(self.case.where, f"unit {unit} claims scale {shown(scale)}", "a scale that the layer's function carries")

    def step(self, gate: Gate) -> None:
        claimed = self.out if gate.turns else replace(self.out, scale={}, offset={})
        maps = {side: self.affine(gate, side, claimed) for side in (INPUT, STATE)}
        for one in maps.values():
            one.members()
            if gate.turns:
                one.constants()
            if self.case.reduced is not None:
                one.kept()
        for sides in gate.sides:
            self.biases(gate, claimed, [maps[side].shifts(constants=gate.turns) for side in sides])

    def biases(self, gate: Gate, claimed: Relation, parts: list[Shifts]) -> None:
        """What is added to the linear parts follows the claim too."""
        where = f"{self.case.where}, gate {gate.block}"
        total = {unit: sum((part[unit] for part in parts), ZERO) for unit in parts[0]}
        for unit, rep in zip(*(a.tolist() for a in claimed.members()), strict=True):
            scale = claimed.scale.get(unit, ONE)
            if total[unit] != scale * total[rep]:
                raise Refusal(
                    where,
                    f"the biases of unit {unit} and its representative {rep} add up to {shown(total[unit])} and {shown(total[rep])}",
                    f"{shown(scale)} times it",
                )
        for unit in claimed.constants().tolist() if gate.turns else ():
            if not _silent(self.case.node, total[unit]):
                raise Refusal(where, f"unit {unit} claims to stay zero, and its bias is {shown(total[unit])}", "a bias at which it stays zero")

    def affine(self, gate: Gate, side: str, claimed: Relation) -> Side:
        node, reduced = self.case.node, self.case.reduced
        small = None if reduced is None else self.linear(reduced, gate.block, side, self.out.columns)
        case = replace(self.case, node=self.linear(node, gate.block, side, self.size), reduced=small)
        return Side(case, self.inn if side == INPUT else self.out, claimed, 1, _only_tap)

    def linear(self, node: Node, block: int, side: str, size: int) -> Node:
        """One gate's rows of one side, as a layer of their own."""
        params = {"weight": _rows(node.params[f"weight_{side}"], block, size)}
        if f"bias_{side}" in node.params:
            params["bias"] = _rows(node.params[f"bias_{side}"], block, size)
        return replace(node, kind=f"{node.kind}, gate {block}, weight_{side}", attrs={}, params=params)


class Side(Affine):
    """One side of one gate: its weights are a linear layer's obligation, its bias is judged with the other side's."""

    def shifts(self, constants: bool) -> Shifts:
        """`W[i] c + b_i` of every unit that claims something, of constant units if asked; the reduced biases are those of the kept ones."""
        rows = np.flatnonzero(self.out.obliged() & ((self.out.classes >= 0) | constants))
        found = dict(zip(rows.tolist(), fractions(self.bias[rows]), strict=True))
        if any(offset != 0 for offset in self.inn.offset.values()):
            self.add_offsets(rows, found)
        if self.case.reduced is not None:
            self.stored([found[rep] for rep in self.out.kept().tolist()])
        return found

    def stored(self, values: list[Fraction]) -> None:
        bias = self.case.counterpart.param("bias")
        tops, bottoms = integer_parts(values)
        bad = np.flatnonzero(misfits(tops, 0, bottoms, np.zeros(len(values)) if bias is None else bias, self.case.rounding))
        if len(bad):
            unit = self.out.kept()[bad[0]]
            raise Refusal(self.case.where, f"the reduced bias of unit {unit} is {0.0 if bias is None else bias[bad[0]]!r}", shown(values[bad[0]]))


def _only_tap(rows: Array, sums: Array) -> list[int]:
    return list(sums[:, 0].tolist())


def _rows(tensor: Tensor, block: int, size: int) -> Tensor:
    return Tensor(tensor.dtype, tensor.data[block * size : (block + 1) * size])


def _kind(gates: Callable[[Node], tuple[Gate, ...]], count: int, **attrs: Callable[[object], bool]) -> Kind:
    def shape(node: Node, ins: list[Shape]) -> Shape:
        (x,), own = ins, node.params["weight_hh"].data
        if len(x) != 3 or not x[1] or own.ndim != 2 or not own.shape[1]:
            raise ValueError(f"a weight_hh of shape {own.shape} on an input of shape {x}")
        wanted = {"weight_ih": (count * own.shape[1], x[2]), "weight_hh": (count * own.shape[1], own.shape[1])}
        for role, tensor in node.params.items():
            if tensor.data.shape != wanted.get(role, (count * own.shape[1],)):
                raise ValueError(f"a {role} of shape {tensor.data.shape} beside a weight_hh of shape {own.shape} on an input of shape {x}")
        return (x[0], x[1], own.shape[1])

    def oblige(case: Case) -> str:
        return Layer(case, gates(case.node)).check()

    roles = ("weight_ih", "weight_hh")
    return Kind(shape, oblige, roles=roles, optional=("bias_ih", "bias_hh"), attrs={"reverse": boolean, **attrs})


KINDS = {
    "rnn": _kind(_rnn_gates, 1, nonlinearity=lambda value: value in ("tanh", "relu")),
    "lstm": _kind(_lstm_gates, 4),
    "gru": _kind(_gru_gates, 3, linear_before_reset=boolean),
}
