"""What recurrent layers share: gates that read the operand and the layer's own units of the step before.

One node is one layer in one direction from the zero state: (batch, T, in) to
the hidden sequence (batch, T, H), in the operand's time order. Blocks of
`weight_ih` (gates * H, in) and `weight_hh` (gates * H, H) follow each other gate
by gate. The hidden units are a value on a cycle: see `hidden`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lumpnet.errors import GraphError
from lumpnet.exact import Collapsed, Scaled, fractions
from lumpnet.ir import Shape
from lumpnet.ops import hidden, rows
from lumpnet.ops.affine import stack
from lumpnet.ops.base import Kept, Op, ParamAxes, Params, Piece, Site, claimed
from lumpnet.ops.hidden import Form
from lumpnet.ops.unary import default_keep
from lumpnet.partition import Demand, Lumping


class Recurrent(Op):
    """A subclass says what its gates are (`forms`), how multiples of them pass (`direction`), and what one step computes."""

    counts_units = True
    column_role = "weight_ih"
    gates: int

    def forms(self, site: Site, blocks: Blocks) -> list[Form]:
        """The affine forms of every unit."""
        raise NotImplementedError

    def direction(self, site: Site) -> hidden.Direction:
        """Which multiples of the turning forms give which multiples of the unit."""
        return hidden.up_to_sign

    def start(self, zero: np.ndarray) -> tuple[np.ndarray, ...]:
        """The state before the first step; the hidden units come first."""
        return (zero,)

    def step(self, site: Site, x: np.ndarray, state: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        """The state after one step; x (batch, in), states (batch, H)."""
        raise NotImplementedError

    def infer(self, shapes: Sequence[Shape], attrs: Any, params: Params) -> Shape:
        (x,), into, own = shapes, params["weight_ih"], params["weight_hh"]
        n = own.shape[-1]
        biases = [params[role].shape for role in ("bias_ih", "bias_hh") if role in params]
        if len(x) != 3 or not x[1] or n < 1 or into.shape != (self.gates * n, x[2]) or own.shape != (self.gates * n, n):
            raise GraphError(self.kind, f"weights {into.shape} and {own.shape} on an operand of shape {x}", "(batch, T, in), T >= 1, and gates of one size")
        if any(shape != (self.gates * n,) for shape in biases):
            raise GraphError(self.kind, f"biases of shapes {biases}", f"({self.gates * n},)")
        return (x[0], x[1], n)

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        (x,), n = xs, site.params["weight_hh"].shape[1]
        state = self.start(np.zeros((len(x), n), dtype=x.dtype))
        times = range(x.shape[1])
        seen: dict[int, np.ndarray] = {}
        for t in reversed(times) if site.attrs["reverse"] else times:
            state = self.step(site, x[:, t], state)
            seen[t] = state[0]
        return np.stack([seen[t] for t in times], axis=1)

    def unit_axis(self, site: Site) -> int | None:
        return 2 if site.in_axes[0] in (None, 2) else None

    def why_pinned(self, site: Site) -> str:
        return f"reads the last axis while the operand's units lie on axis {site.in_axes[0]}"

    def forward(self, site: Site, ins: Sequence[Lumping]) -> Lumping:
        return self._stable(site, ins[0], hidden.zeros(site.units))

    def _stable(self, site: Site, x: Lumping, start: Lumping) -> Lumping:
        return hidden.stable(self.forms(site, Blocks(site, self.gates, x)), rows.columns(x), start, self.direction(site))

    def demands(
        self, site: Site, ins: Sequence[Lumping], out: Lumping, free: Sequence[np.ndarray], free_out: np.ndarray
    ) -> tuple[list[Demand | None], Demand | None]:
        """The output's classes, as others have split them, must follow from themselves; irrational constants stay where they are read."""
        (x,) = ins
        after = self._stable(site, x, out)
        down = Demand(after.classes, ~out.present & after.present, after.scale)
        odd = x.irrational & ~x.present
        if not odd.any():
            return [None], down
        keep = odd & (_by_unit(site, "weight_ih", self.gates)[claimed(out, free_out)] != 0).any(axis=(0, 2))
        return [default_keep(x, keep) if keep.any() else None], down

    def alive(self, site: Site, ins: Sequence[Lumping], out: Lumping, alive_out: np.ndarray) -> list[np.ndarray]:
        return [rows.alive(_by_unit(site, "weight_ih", self.gates), ins[0], rows.observed(out, alive_out))]

    def param_axes(self, site: Site) -> ParamAxes | None:
        """A hidden unit has entries in every gate and, as it reads itself, in columns too: no one axis has them."""
        return {"weight_ih": (None, 1)}

    def revives(self, site: Site, out: Lumping, alive_out: np.ndarray) -> np.ndarray:
        """Units that an observed unit reads at the next step."""
        return rows.alive(_by_unit(site, "weight_hh", self.gates), out, rows.observed(out, alive_out))

    def declined(self, site: Site, ins: Sequence[Kept], out: Kept, role: str, mask: np.ndarray) -> list[Demand | None]:
        if role not in ("weight_ih", "bias_ih"):
            return [None]
        return [rows.declined(_flat(site, "weight_ih"), ins[0], self._rows(site, out), mask)]

    def declined_own(self, site: Site, out: Kept, role: str, mask: np.ndarray) -> Demand | None:
        return rows.declined(_flat(site, "weight_hh"), out, self._rows(site, out), mask) if role == "weight_hh" else None

    def rounded(self, site: Site, mask: np.ndarray) -> np.ndarray:
        return np.flatnonzero(mask.any(axis=0))

    def multiply_adds(self, site: Site) -> int:
        return int(site.params["weight_ih"].size + site.params["weight_hh"].size) * int(site.shape[1] or 0)

    def rounding_cost(self, site: Site, members: np.ndarray, scales: np.ndarray, out: Kept, dtype: str) -> int:
        return rows.rounding_cost(_flat(site, "weight_ih"), members, scales, self._rows(site, out), dtype)

    def quotient(self, site: Site, ins: Sequence[Kept], out: Kept) -> Piece:
        """All gates of the representatives; `weight_hh` is collapsed over the layer's own classes. Constants fold into `bias_ih`."""
        (x,), at, biases = ins, self._rows(site, out), ("bias_ih", "bias_hh")
        params: dict[str, np.ndarray | Scaled | Collapsed] = {}
        for role, one in (("weight_ih", x), ("weight_hh", out)):
            collapsed = rows.quotient(_flat(site, role), one.column, one.lumping.scale, len(one.units), at)
            params[role] = collapsed.reshape(len(at), len(one.units))
        params |= {role: site.params[role][at] for role in biases if role in site.params}
        if x.lumping.moved.any():
            values = rows.shifts(_flat(site, "weight_ih"), site.params.get("bias_ih"), x.lumping, at)
            if "bias_ih" in params or any(values):
                params["bias_ih"] = stack(values)
                if "bias_hh" not in params:  # torch's layers have both or none
                    params["bias_hh"] = np.zeros(len(at), dtype=site.params["weight_hh"].dtype)
        return Piece(site.node.kind, (0,), dict(site.attrs), params)

    def _rows(self, site: Site, out: Kept) -> np.ndarray:
        """The rows of the kept units, gate by gate."""
        return np.concatenate([gate * site.units + out.units for gate in range(self.gates)])


class Blocks:
    """A layer's parameters gate by gate; the operand's constants are folded into the biases."""

    def __init__(self, site: Site, gates: int, x: Lumping):
        n = site.units
        self.input = site.params["weight_ih"].reshape(gates, n, -1)
        self.hidden = site.params["weight_hh"].reshape(gates, n, n)
        shifts = rows.shifts(_flat(site, "weight_ih"), site.params.get("bias_ih"), x, np.arange(gates * n))
        self.bias_ih = np.array([*shifts, None], dtype=object)[:-1].reshape(gates, n)
        own = site.params.get("bias_hh")
        self.bias_hh = fractions(np.zeros(gates * n) if own is None else own).reshape(gates, n)

    def whole(self, gate: int, turns: bool = False) -> Form:
        """The sum of both sides."""
        return Form(self.input[gate], self.hidden[gate], tuple(self.bias_ih[gate] + self.bias_hh[gate]), turns)

    def sides(self, gate: int) -> list[Form]:
        """The two sides of a turning gate, one form each."""
        return [Form(self.input[gate], None, tuple(self.bias_ih[gate]), True), Form(None, self.hidden[gate], tuple(self.bias_hh[gate]), True)]


def split(site: Site, role: str, x: np.ndarray, gates: int) -> list[np.ndarray]:
    """`x W' + b` on one side, gate by gate: x (batch, columns) to gates of (batch, H)."""
    y = x @ site.params[f"weight_{role}"].T
    return np.split(np.asarray(y + site.params[f"bias_{role}"] if f"bias_{role}" in site.params else y), gates, axis=1)


def _flat(site: Site, role: str) -> np.ndarray:
    return site.params[role][:, :, None]


def _by_unit(site: Site, role: str, gates: int) -> np.ndarray:
    """(units, columns, gates)."""
    return np.moveaxis(site.params[role].reshape(gates, site.units, -1), 0, 2)
