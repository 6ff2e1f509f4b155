"""The certificate's obligations, node by node, as questions to Z3 (THEORY section 2).

The premise is `x = E y + c` at the operands, over free columns y; the claim is
the same at the output, where a kept column is what the reduced node computes
from the kept columns. A column that the reduced network lacks is a free variable
at the operands, and at the output its members must agree among themselves.
Positions that read alike are asked once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice, product
from typing import Any

import z3

from lumpnet.certificate import DROPPED, IDENTITY, Certificate, Lumping, Surd
from lumpnet.evidence import smt_functions
from lumpnet.evidence.smt_terms import Index, Operand, Place, Reals, Term, Unstated, divisor, element, place, region_sizes, window
from lumpnet.ir import Graph, Node, Shape

MAX_WEIGHTS = 50_000
MAX_CLAIMS = 50_000
BATCH = 32
QUERY_SECONDS = 10.0


class Late(Exception):
    """The time is used up."""


@dataclass(frozen=True, eq=False)
class Columns:
    """One value under its lumping: its columns are variables, its units are terms in them."""

    reals: Reals
    name: str
    shape: Index
    lumping: Lumping | str
    known: dict[tuple[str, Index], Term] = field(default_factory=dict)

    @property
    def axis(self) -> int | None:
        """The lumped axis, counted without the batch."""
        return self.lumping.axis - 1 if isinstance(self.lumping, Lumping) else None

    @property
    def kept_shape(self) -> Index | None:
        """The shape of the reduced value, None where there is none."""
        if isinstance(self.lumping, str):
            return self.shape if self.lumping == IDENTITY else None
        axis = self.lumping.axis - 1
        return (*self.shape[:axis], self.lumping.columns, *self.shape[axis + 1 :]) if self.lumping.columns else None

    def kept(self, index: Index) -> Term:
        """An entry of the reduced value."""
        if self.kept_shape is None or not _within(index, self.kept_shape):
            raise IndexError(f"the reduced {self.name!r} has no entry {index}")
        return self._column(index)

    def unit(self, index: Index) -> Term:
        """An entry of the original value."""
        return self._unit(index, "all")

    def unit_without_ghosts(self, index: Index) -> Term:
        """An entry of the original value where every column that the reduced network lacks is zero."""
        return self._unit(index, "kept")

    def _unit(self, index: Index, which: str) -> Term:
        if not _within(index, self.shape):
            raise IndexError(f"{self.name!r} has no entry {index}")
        if (which, index) not in self.known:
            self.known[which, index] = self._expand(index, which == "kept")
        return self.known[which, index]

    def _expand(self, index: Index, silent: bool) -> Term:
        if isinstance(self.lumping, str):
            return self.reals.number(0) if silent and self.lumping == DROPPED else self._column(index)
        axis = self.lumping.axis - 1
        k = self.lumping.classes[index[axis]]
        if k < 0:
            return constant(self.reals, self.lumping, index[axis])
        ghost = silent and k >= self.lumping.columns
        column = self.reals.number(0) if ghost else self._column((*index[:axis], k, *index[axis + 1 :]))
        return row(self.reals, self.lumping, index[axis], column)

    def _column(self, index: Index) -> Term:
        if ("column", index) not in self.known:
            self.known["column", index] = z3.Real(f"{self.name}{list(index)}")
        return self.known["column", index]


def _within(index: Index, shape: Index) -> bool:
    return len(index) == len(shape) and all(0 <= i < n for i, n in zip(index, shape, strict=True))


def constant(reals: Reals, lumping: Lumping, unit: int) -> Term:
    """The claimed value of a constant unit."""
    offset = lumping.offset.get(unit, Fraction(0))
    return reals.surd(offset.a, offset.b, offset.r) if isinstance(offset, Surd) else reals.number(offset)


def row(reals: Reals, lumping: Lumping, unit: int, column: Term) -> Term:
    """`scale * column + offset`."""
    scale, offset = lumping.scale.get(unit, Fraction(1)), lumping.offset.get(unit, Fraction(0))
    if isinstance(offset, Surd):
        raise Unstated("an irrational offset of a unit that is not constant")
    scaled = column if scale == 1 else reals.number(scale) * column
    return scaled if offset == 0 else scaled + reals.number(offset)


@dataclass(frozen=True, eq=False)
class Obligation:
    """One node under the relation. `counterpart` is its node in the reduced network."""

    reals: Reals
    at: Place
    counterpart: Place | None
    ins: tuple[Columns, ...]
    out: Columns
    stored: bool
    """Whether the reduced node's own weights are claimed, or those of the exact quotient (they were rounded)."""
    columns: dict[Index, Term] = field(default_factory=dict)

    def claims(self) -> Iterator[tuple[Index, Term, Term]]:
        """(entry, what the original computes, what the relation says)."""
        for index in _entries(self):
            said = self._said(index)
            if said is not None:
                yield index, self._computed(index), said

    def _computed(self, index: Index) -> Term:
        return element(self.reals, self.at, [x.unit for x in self.ins], index)

    def _said(self, index: Index) -> Term | None:
        lumping = self.out.lumping
        if not isinstance(lumping, Lumping):
            return self._column(index, index) if lumping == IDENTITY else None
        axis = lumping.axis - 1
        unit = index[axis]
        k = lumping.classes[unit]
        if k < 0:
            return constant(self.reals, lumping, unit)
        representative = (*index[:axis], lumping.representatives[k], *index[axis + 1 :])
        if k < lumping.columns:
            return row(self.reals, lumping, unit, self._column((*index[:axis], k, *index[axis + 1 :]), representative))
        return None if representative == index else row(self.reals, lumping, unit, self._computed(representative))

    def _column(self, column: Index, representative: Index) -> Term:
        """What the reduced node computes from the kept columns; for rounded weights, what the representative would, if no ghost is read."""
        if column not in self.columns:
            self.columns[column] = self._reduced(column, representative)
        return self.columns[column]

    def _reduced(self, column: Index, representative: Index) -> Term:
        if self.counterpart is None:
            raise Unstated("the reduced network lacks the node")
        if not self.stored and any(p.dtype.kind == "f" for p in self.counterpart.params.values()):
            return element(self.reals, self.at, [x.unit_without_ghosts for x in self.ins], representative)
        if not _within(column, self.counterpart.shape):
            raise IndexError(f"the reduced node has no entry {column}")
        by_name = {x.name: x for x in self.ins}
        operands: list[Operand] = [by_name[name].kept for name in self.counterpart.node.inputs]
        return element(self.reals, self.counterpart, operands, column)


# -- which entries are asked --------------------------------------------------------------

_ALIKE = {"linear", "batch_norm", "relu", "leaky_relu", "hardtanh", "identity", "dropout", "tanh", "sigmoid", "silu", "gelu", "add", "mul"} | {
    *smt_functions.KINDS,
    "mul_constant",
    "add_constant",
    "div_constant",
    "concat",
    "softmax",
}
"""Kinds that do the same at every index of an axis that nothing distinguishes."""


def _entries(obligation: Obligation) -> Iterator[Index]:
    """The entries of the output to ask about: every index of the axes that matter, one of each situation on the others."""
    at = obligation.at
    axes = [range(n) for n in at.shape]
    lumped = {x.axis for x in (*obligation.ins, obligation.out) if x.axis is not None}
    if at.node.kind in _ALIKE:
        matter = lumped | _own_axes(at) | (_own_axes(obligation.counterpart) if obligation.counterpart else set())
        return product(*(axis if k in matter else axis[:1] for k, axis in enumerate(axes)))
    situation = _situation(at)
    if situation is not None:
        channels = axes[0] if 0 in lumped or at.node.kind == "conv" else axes[0][:1]
        places = list(product(*axes[1:]))
        if lumped <= {0}:
            places = list({situation(place): place for place in reversed(places)}.values())
        return ((channel, *place) for place in places for channel in channels)
    if at.node.kind in ("mean", "sum", "amax", "amin"):
        matter = _mean_axes(at, lumped, obligation.out.axis)
        return product(*(axis if k in matter else axis[:1] for k, axis in enumerate(axes)))
    return product(*axes)


def _own_axes(at: Place) -> set[int]:
    """The axes along which the operator itself tells indices apart (without the batch)."""
    if at.node.kind == "linear":
        return {len(at.shape) - 1}
    if at.node.kind == "batch_norm":
        return {0}
    return {at.attrs["axis"] - 1} if "axis" in at.attrs else set()


def _situation(at: Place) -> Callable[[Index], Any] | None:
    """What distinguishes the positions of a sliding window: the taps inside the input, the divisor, the size of the region."""
    if at.node.kind in ("conv", "max_pool", "avg_pool"):
        kernel = at.params["weight"].shape[2:] if at.node.kind == "conv" else at.attrs["kernel"]
        average = at.node.kind == "avg_pool"
        return lambda position: (tuple(tap for tap, _ in window(at, position, kernel)), divisor(at, position) if average else 0)
    if at.node.kind in ("adaptive_avg_pool", "adaptive_max_pool"):
        return lambda position: region_sizes(at, position)
    return None


def _mean_axes(at: Place, lumped: set[int], out_axis: int | None) -> set[int]:
    axes = {a - 1 for a in at.attrs["axes"]}
    stay = [k for k in range(len(at.in_shapes[0])) if at.attrs["keepdim"] or k not in axes]
    return {stay.index(k) for k in lumped if k in stay} | ({out_axis} if out_axis is not None else set())


# -- asking -------------------------------------------------------------------------------


def ask(original: Graph, reduced: Graph, certificate: Certificate, seconds: float) -> Iterator[dict[str, Any]]:
    """One finding a node that claims something: `answer` is proved, refuted (with `place`), undecided or skipped (with `reason`).

    Small nodes come first; those that the time does not reach are skipped.
    """
    deadline = time.monotonic() + seconds
    counterparts = {node.name: node for node in reduced.nodes}
    claiming = [node for node in original.nodes if certificate.lumpings.get(node.name, DROPPED) != DROPPED]
    for node in sorted(claiming, key=lambda node: _weights(original, node)):
        try:
            finding = _ask_node(original, reduced, certificate, node, counterparts.get(node.name), deadline)
        except Unstated as reason:
            finding = {"answer": "skipped", "reason": str(reason)}
        except Late:
            finding = {"answer": "skipped", "reason": "no time left"}
        except (LookupError, ValueError, TypeError, ArithmeticError) as problem:
            finding = {"answer": "skipped", "reason": f"the obligation cannot be stated ({type(problem).__name__})"}
        yield {"node": node.name, **finding}


def _weights(graph: Graph, node: Node) -> int:
    """The size of the node's largest tensor."""
    return max((p.size for p in graph.params_of(node).values()), default=0)


def _ask_node(original: Graph, reduced: Graph, certificate: Certificate, node: Node, counterpart: Node | None, deadline: float) -> dict[str, Any]:
    if _weights(original, node) > MAX_WEIGHTS:
        raise Unstated(f"more than {MAX_WEIGHTS} weights")
    if time.monotonic() > deadline:
        raise Late
    reals = Reals()
    columns = {name: Columns(reals, name, _sizes(original.value(name).shape), certificate.lumpings[name]) for name in {*node.inputs, node.name}}
    if counterpart is not None:
        for name in (*counterpart.inputs, counterpart.name):
            if _sizes(reduced.value(name).shape) != columns[name].kept_shape:
                raise Unstated("the reduced network has values of other shapes than the certificate says")
    ins = tuple(columns[name] for name in node.inputs)
    at, its = place(original, node), place(reduced, counterpart) if counterpart is not None else None
    obligation = Obligation(reals, at, its, ins, columns[node.name], certificate.rounding == "none")
    return _decide(reals, obligation.claims(), deadline)


def _sizes(shape: Shape) -> Index:
    return tuple(int(n or 0) for n in shape[1:])


def _decide(reals: Reals, claims: Iterator[tuple[Index, Term, Term]], deadline: float) -> dict[str, Any]:
    asked = 0
    while batch := list(_timely(islice(claims, BATCH), deadline)):
        asked += len(batch)
        if asked > MAX_CLAIMS:
            raise Unstated(f"more than {MAX_CLAIMS} entries to ask about")
        differences = [z3.simplify(computed - said, som=True) != 0 for _, computed, said in batch]
        solver = z3.Solver()
        solver.set("timeout", max(1, int(min(QUERY_SECONDS, deadline - time.monotonic()) * 1000)))
        solver.add(*reals.facts, z3.Or(differences))
        found = solver.check()
        if found == z3.sat:
            return _counterexample(reals, solver.model(), [index for index, _, _ in batch], differences)
        if found != z3.unsat:
            return {"answer": "undecided", "reason": f"Z3 gave no answer ({solver.reason_unknown()})"}
    return {"answer": "proved"}


def _timely(claims: Iterator[Any], deadline: float) -> Iterator[Any]:
    for claim in claims:
        yield claim
        if time.monotonic() > deadline:
            raise Late


def _counterexample(reals: Reals, model: Any, indices: list[Index], differences: list[Any]) -> dict[str, Any]:
    if reals.uninterpreted:
        return {"answer": "undecided", "reason": f"it depends on what {', '.join(sorted(reals.uninterpreted))} is"}
    for index, difference in zip(indices, differences, strict=True):
        if z3.is_true(model.eval(difference, model_completion=True)):
            return {"answer": "refuted", "place": f"entry {list(index)}"}
    return {"answer": "undecided", "reason": "the counterexample does not evaluate to one"}
