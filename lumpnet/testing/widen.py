"""Operations that widen a draft and preserve its function, exactly: where the planted redundancy comes from.

An operation adds columns in every value that shares them: rows to the layers
that produce them, channels to batch norms and depthwise convolutions, columns
to the layers that read them. All numbers stay small dyadic rationals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from lumpnet.testing.draft import Draft, Step

Row = tuple[float, float]
"""(scale, offset): the new unit is scale * old + offset."""
PER_UNIT = ("weight", "bias", "mean", "var")
PASSES_OFFSETS = ("mean", "adaptive_avg_pool", "reshape", "identity", "dropout")


class Widener:
    """One draft being widened; `done` says what was planted, in order."""

    def __init__(self, draft: Draft, rng: np.random.Generator):
        self.draft, self.rng = draft, rng
        self.done: list[str] = []
        self.twins: list[tuple[int, int, dict[str, Row]]] = []
        self.columns = 1 + max((c for owner in draft.owner.values() for c in owner), default=0)

    # -- which columns may be touched -----------------------------------------------------------

    def hidden(self) -> list[int]:
        """Columns that no output holds."""
        units = self.draft.units()
        seen = {c for name in self.draft.outputs for c, _ in units[name]}
        return sorted({c for owner in self.draft.owner.values() for c in owner} - seen)

    def tied(self) -> bool:
        keys = [s.params["weight"] for s in self.draft.steps if s.mixes]
        return len(set(keys)) != len(keys)

    def dyadic(self, *shape: int) -> np.ndarray:
        return self.rng.integers(-16, 17, size=shape) / 8

    # -- new columns ----------------------------------------------------------------------------

    def copy(self, column: int) -> int:
        """A verbatim copy of a column in every value, outgoing weights and all (which does not preserve the function yet)."""
        draft, new = self.draft, self.columns
        self.columns += 1
        before = draft.units()
        for name, owner in draft.owner.items():
            if column in owner:
                draft.owner[name] = [*owner, new]
        shapes = dict(draft.shapes)
        sources = {}
        after = draft.units()
        for name, units in after.items():
            index = {u: k for k, u in enumerate(before[name])}
            sources[name] = [index[column if c == new else c, slot] for c, slot in units]
        widened: set[str] = set()
        for step in draft.steps:
            self._gather(step, sources, widened)
        draft.shapes = shapes
        draft.reshape()
        return new

    def _gather(self, step: Step, sources: dict[str, list[int]], widened: set[str]) -> None:
        for role, key in step.params.items():
            if key in widened:
                continue
            widened.add(key)
            tensor = self.draft.tensors[key]
            if step.name in sources and tensor.ndim:
                tensor = tensor[sources[step.name]]
            if step.mixes and role == "weight" and step.inputs[0] in sources:
                tensor = tensor[:, sources[step.inputs[0]]]
            self.draft.tensors[key] = tensor.copy()

    def places(self, column: int) -> dict[str, list[int]]:
        """Units of the column in every value."""
        found = {name: [k for k, (c, _) in enumerate(units) if c == column] for name, units in self.draft.units().items()}
        return {name: units for name, units in found.items() if units}

    def readers(self, column: int) -> list[tuple[Step, list[int]]]:
        """Mixing steps that read the column, and at which of their columns; a shared weight once."""
        at = self.places(column)
        found: dict[str, tuple[Step, list[int]]] = {}
        for s in self.draft.steps:
            if s.mixes and s.inputs[0] in at:
                found.setdefault(s.params["weight"], (s, at[s.inputs[0]]))
        return list(found.values())

    def writers(self, column: int) -> list[tuple[Step, int]]:
        """Mixing steps that produce the column, and at which row; a shared weight once."""
        at = self.places(column)
        found: dict[str, tuple[Step, int]] = {}
        for s in self.draft.steps:
            if s.mixes and s.name in at:
                found.setdefault(s.params["weight"], (s, at[s.name][0]))
        return list(found.values())

    def weight(self, step: Step) -> np.ndarray:
        """The step's weight as (rows, columns, taps): a view."""
        w = self.draft.tensors[step.params["weight"]]
        return w.reshape(*w.shape[:2], -1)

    def padded(self, step: Step) -> bool:
        return step.kind == "conv" and any(step.attrs["padding"])

    def shift_bias(self, step: Step, amount: np.ndarray) -> None:
        """Add `amount` (rows,) to the step's bias; it gets one if it has none."""
        key = step.params.setdefault("bias", f"{step.name}.bias")
        self.draft.tensors[key] = self.draft.tensors.get(key, np.zeros(len(amount))) + amount

    # -- duplicates -----------------------------------------------------------------------------

    def duplicate(self) -> bool:
        """A unit again, up to scale (and offset where everything behind allows one), its outgoing weights split."""
        column = self._some(self.hidden())
        if column is None:
            return False
        at = self.places(column)
        for _ in range(6):
            scale = float(self.rng.choice([1.0, 2.0, 0.5, 4.0, 3.0, -1.0, -2.0]))
            offset = 0.0 if self.rng.random() < 0.7 or self.tied() else float(self.dyadic(1)[0])
            plan = self.plan(at, (scale, offset))
            if plan is not None and self._readable(column, plan):
                break
        else:
            plan = self.plan(at, (1.0, 0.0))
        if plan is None:
            return False
        new = self.copy(column)
        self._apply(new, plan)
        self._split(column, new, plan)
        self.twins.append((column, new, plan))
        return self._log(f"duplicate column {column} as {new}")

    def _some(self, columns: list[int]) -> int | None:
        return int(self.rng.choice(columns)) if columns else None

    def plan(self, at: Mapping[str, list[int]], row: Row) -> dict[str, Row] | None:
        """Scale and offset in every value when the layers that start the column give it `row`; None if an operator forbids it."""
        plan: dict[str, Row] = {}
        squashed = any(s.kind == "sigmoid" and s.name in at for s in self.draft.steps)
        for step in self.draft.steps:
            if step.name not in at:
                continue
            if step.mixes:
                keep = squashed and self._feeds_sigmoid(step.name) and row[0] != -1
                plan[step.name] = (1.0, 0.0) if keep else row
                if plan[step.name][1] and "bias" not in step.params:
                    return None
            else:
                rows = [plan[x] for x in step.inputs if x in plan]
                found = through(step, rows, self.draft.params(step))
                if found is None:
                    return None
                plan[step.name] = found
        return plan

    def _feeds_sigmoid(self, name: str) -> bool:
        return any(s.kind == "sigmoid" and s.inputs == [name] for s in self.draft.steps)

    def _readable(self, column: int, plan: Mapping[str, Row]) -> bool:
        """Whether every reader can take the offset: none in front of zero padding, and one ratio around shared weights."""
        rows: dict[str, Row] = {}
        for s in self.draft.steps:
            if s.mixes and s.inputs[0] in plan:
                if plan[s.inputs[0]][1] and self.padded(s):
                    return False
                if rows.setdefault(s.params["weight"], plan[s.inputs[0]]) != plan[s.inputs[0]]:
                    return False
        return True

    def _apply(self, new: int, plan: Mapping[str, Row]) -> None:
        """Give the copied column its scale and offset: rows, batch norms, depthwise taps."""
        at, tensors = self.places(new), self.draft.tensors
        for step, unit in self.writers(new):
            scale, offset = plan[step.name]
            tensors[step.params["weight"]][unit] *= scale
            if "bias" in step.params:
                tensors[step.params["bias"]][unit] = tensors[step.params["bias"]][unit] * scale + offset
        for step in self.draft.steps:
            if step.name not in at or step.mixes:
                continue
            (unit, *_), (scale, offset) = at[step.name], plan.get(step.inputs[0], (1.0, 0.0))
            if step.kind == "batch_norm":
                tensors[step.params["mean"]][unit] = tensors[step.params["mean"]][unit] * scale + offset
                tensors[step.params["bias"]][unit] *= scale
            elif step.kind == "conv" and "bias" in step.params:
                tensors[step.params["bias"]][unit] *= scale
            elif step.kind == "add_constant" and tensors[step.params["term"]].ndim:
                tensors[step.params["term"]][unit] *= scale

    def _split(self, old: int, new: int, plan: Mapping[str, Row]) -> None:
        """`w y = (w - s v) y + v (s y + o) - v o`, with a random v for every row and tap."""
        fresh = {s.params["weight"]: units for s, units in self.readers(new)}
        for step, units in self.readers(old):
            scale, offset = plan[step.inputs[0]]
            w = self.weight(step)
            v = self.dyadic(len(w), len(units), w.shape[2])
            if self.rng.random() < 0.2:
                v = np.zeros_like(v)
            w[:, units] -= scale * v
            w[:, fresh[step.params["weight"]]] = v
            if offset:
                self.shift_bias(step, -offset * v.sum(axis=(1, 2)))

    def respread(self) -> bool:
        """Move weight between twins differently in every row: rows that were equal stay equal only after class sums."""
        twins = [t for t in self.twins if all(not o for _, o in t[2].values())]
        if not twins:
            return False
        old, new, plan = twins[int(self.rng.integers(len(twins)))]
        fresh = {s.params["weight"]: units for s, units in self.readers(new)}
        for step, units in self.readers(old):
            w = self.weight(step)
            v = self.dyadic(len(w), len(units), w.shape[2])
            w[:, units] += plan[step.inputs[0]][0] * v
            w[:, fresh[step.params["weight"]]] -= v
        return self._log(f"spread weights over columns {old} and {new} anew")

    # -- units that nobody reads, and constants --------------------------------------------------

    def unobserved(self) -> bool:
        """A random unit with zero outgoing weights."""
        new = self._stranger()
        if new is None:
            return False
        for step, units in self.readers(new):
            self.weight(step)[:, units] = 0
        return self._log(f"column {new} is not read")

    def _stranger(self) -> int | None:
        """A copied column with random incoming weights."""
        column = self._some(self.hidden())
        if column is None:
            return None
        new = self.copy(column)
        for step, unit in self.writers(new):
            w = self.weight(step)
            w[unit] = self.dyadic(*w[unit].shape)
            if "bias" in step.params:
                self.draft.tensors[step.params["bias"]][unit] = self.dyadic(1)[0]
        return new

    def cancelling(self) -> bool:
        """Two equal random units, read with opposite weights: unobserved once they are merged."""
        one = self._stranger()
        if one is None:
            return False
        two = self.copy(one)
        second = {s.params["weight"]: units for s, units in self.readers(two)}
        for step, units in self.readers(one):
            w = self.weight(step)
            v = self.dyadic(len(w), len(units), w.shape[2])
            w[:, units], w[:, second[step.params["weight"]]] = v, -v
        self.twins.append((one, two, dict.fromkeys(self.places(one), (1.0, 0.0))))
        return self._log(f"columns {one} and {two} cancel")

    def constant(self) -> bool:
        """A constant unit (often zero) that is read, its contribution taken from the readers' biases."""
        column = self._some(self.hidden())
        if column is None or self.tied():
            return False
        number = 0.0 if self.rng.random() < 0.4 else float(self.dyadic(1)[0])
        values = self._constants(column, number)
        if values is None or any(self.padded(s) and values[s.inputs[0]] for s, _ in self.readers(column)):
            values, number = self._constants(column, 0.0), 0.0
        if values is None or any(self.padded(s) and values[s.inputs[0]] for s, _ in self.readers(column)):
            return False
        new = self.copy(column)
        self._make_constant(new, number)
        for step, units in self.readers(new):
            w = self.weight(step)
            w[:, units] = self.dyadic(len(w), len(units), w.shape[2])
            if values[step.inputs[0]]:
                self.shift_bias(step, -values[step.inputs[0]] * w[:, units].sum(axis=(1, 2)))
        return self._log(f"column {new} is the constant {number}")

    def _make_constant(self, new: int, number: float) -> None:
        at, tensors = self.places(new), self.draft.tensors
        for step, unit in self.writers(new):
            tensors[step.params["weight"]][unit] = 0
            if "bias" in step.params:
                tensors[step.params["bias"]][unit] = number
            elif number:
                self.shift_bias(step, number * (np.arange(len(tensors[step.params["weight"]])) == unit))
        for step in self.draft.steps:
            if step.name in at and step.kind == "batch_norm":
                tensors[step.params["mean"]][at[step.name][0]] = self._before[step.name]
                tensors[step.params["bias"]][at[step.name][0]] = number
                if self.rng.random() < 0.2:
                    tensors[step.params["weight"]][at[step.name][0]] = 0
            elif step.name in at and step.kind == "conv" and not step.mixes and "bias" in step.params:
                tensors[step.params["bias"]][at[step.name][0]] = 0

    def _constants(self, column: int, number: float) -> dict[str, float] | None:
        """The constant in every value when the column's layers and batch norms give it `number`; None where it has no short name."""
        at, values = self.places(column), dict[str, float]()
        self._before: dict[str, float] = {}
        for step in self.draft.steps:
            if step.name not in at:
                continue
            before = [values[x] for x in step.inputs if x in values]
            if step.kind == "batch_norm":
                self._before[step.name] = before[0]
            found = number if step.mixes or step.kind == "batch_norm" else image(step, before)
            if found is None:
                return None
            values[step.name] = found
        return values

    # -- order ----------------------------------------------------------------------------------

    def permute(self) -> bool:
        """The units of one group of values in another order."""
        column = self._some(self.hidden())
        if column is None:
            return False
        order = next(list(owner) for owner in self.draft.owner.values() if column in owner)
        shuffled = [order[k] for k in self.rng.permutation(len(order))]
        if any(set(owner) & set(order) and owner != order for owner in self.draft.owner.values()):
            return False
        before = self.draft.units()
        for name, owner in self.draft.owner.items():
            if owner == order:
                self.draft.owner[name] = shuffled
        sources = {name: [before[name].index(u) for u in units] for name, units in self.draft.units().items()}
        widened: set[str] = set()
        for step in self.draft.steps:
            self._gather(step, sources, widened)
        return self._log(f"permute the group of column {column}")

    def _log(self, text: str) -> bool:
        self.done.append(text)
        return True


def through(step: Step, rows: list[Row], params: Mapping[str, np.ndarray]) -> Row | None:
    """Scale and offset behind an operator that shares columns, or None where it does not pass them."""
    (scale, offset), kind = rows[0], step.kind
    if kind in PASSES_OFFSETS:
        return scale, offset
    if kind == "add":
        return (scale, sum(o for _, o in rows)) if len(rows) == 2 and rows[1][0] == scale else None
    if kind == "mul":
        return (scale * rows[1][0], 0.0) if len(rows) == 2 and not any(o for _, o in rows) else None
    if kind == "batch_norm":
        return scale, 0.0
    if kind == "add_constant":
        return (scale, offset) if params["term"].ndim else (scale, offset + float(params["term"]) * (1 - scale))
    if kind == "concat":
        return scale, offset
    if kind in ("max_pool", "adaptive_max_pool"):
        return (scale, offset) if scale > 0 else None
    if kind == "avg_pool":
        plain = step.attrs["divisor_override"] is None and not any(step.attrs["padding"])
        return (scale, offset) if plain or not offset else None
    if offset:
        return None
    if kind in ("conv", "mul_constant"):
        return scale, 0.0
    if kind in ("relu", "leaky_relu"):
        return (scale, 0.0) if scale > 0 else None
    if kind == "tanh" or (kind == "hardtanh" and step.attrs["min"] == -step.attrs["max"]):
        return (scale, 0.0) if abs(scale) == 1 else None
    if kind == "sigmoid":
        return (1.0, 0.0) if scale == 1 else (-1.0, 1.0) if scale == -1 else None
    return (1.0, 0.0) if scale == 1 else None


def image(step: Step, values: list[float]) -> float | None:
    """The value behind an operator where the operands are constants, when it is a short dyadic number."""
    c, kind = values[0], step.kind
    if kind == "add_constant":
        return None
    if kind == "add":
        return sum(values) if len(values) == 2 else None
    if kind == "mul":
        return values[0] * values[1] if len(values) == 2 else None
    if kind == "relu":
        return max(c, 0.0)
    if kind == "leaky_relu":
        return c if c > 0 else c * float(step.attrs["slope"])
    if kind == "hardtanh":
        return float(min(max(c, step.attrs["min"]), step.attrs["max"]))
    if kind == "sigmoid":
        return 0.5 if c == 0 else None
    if kind in ("tanh", "gelu", "silu", "conv", "mul_constant"):
        return 0.0 if c == 0 else None
    if kind == "avg_pool" and c and (step.attrs["divisor_override"] is not None or any(step.attrs["padding"])):
        return None
    return c


OPERATIONS: dict[str, Callable[[Widener], bool]] = {
    "duplicate": Widener.duplicate,
    "respread": Widener.respread,
    "unobserved": Widener.unobserved,
    "cancelling": Widener.cancelling,
    "constant": Widener.constant,
    "permute": Widener.permute,
}
