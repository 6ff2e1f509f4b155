"""The relation `x = E y + c` of one value, in arrays, and how an operator carries it on.

`Relation` restates a lumping of the certificate over the units of its axis.
`Rows` is the common form of premise and conclusion over *slots* (units, or the
elements of one example): which column a slot uses and by which law. A law is a
tuple: the scales towards the column's values (one for most operators, two for
a sum), then the offset.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np

from lumpnet.certificate import DROPPED, IDENTITY, Lumping, Real
from lumpnet.check.numbers import Array, add_reals, same, scale_real, shown
from lumpnet.check.outcome import Refusal, Unsure

Shape = tuple[int | None, ...]
Law = tuple[Any, ...]
ONE, ZERO = Fraction(1), Fraction(0)
NONE: Array = np.zeros(0, np.int64)
MAX_UNITS = 1 << 22
"""More units than this on one axis are not examined: a few bytes can declare them, gigabytes would follow."""


@dataclass(frozen=True)
class Rows:
    """Per slot: `column` (any numbering, -1 constant), `law` (index into `laws`), `kept` (the reduced network's slot of that column,
    or -1), `reps` (the slot that represents the column) and `obliged` (whether anything is claimed)."""

    column: Array
    law: Array
    laws: list[Law]
    kept: Array
    reps: Array
    obliged: Array


@dataclass(frozen=True)
class Relation:
    """The lumping of value `name`. `axis` is None for identity and dropped values, which read the same on every axis."""

    name: str
    shape: Shape
    axis: int | None = None
    columns: int = 0
    classes: Array = field(default_factory=lambda: NONE)
    reps: Array = field(default_factory=lambda: NONE)
    scale: Mapping[int, Fraction] = field(default_factory=dict)
    offset: Mapping[int, Real] = field(default_factory=dict)
    identity: bool = False

    @property
    def absent(self) -> bool:
        """The reduced network has no such value."""
        return not self.identity and self.columns == 0

    @property
    def dropped(self) -> bool:
        return not self.identity and self.axis is None

    def reduced_shape(self) -> Shape:
        if self.axis is None:
            return self.shape
        return (*self.shape[: self.axis], self.columns, *self.shape[self.axis + 1 :])

    def on(self, axis: int, where: str) -> Relation:
        """The same relation over the units of `axis`. Raises `Refusal` when it speaks of another axis, or `axis` is no unit axis."""
        if not 1 <= axis < len(self.shape):
            raise Refusal(where, f"{self.name!r} of shape {self.shape} has no unit axis {axis}", "equal values and equal parameters")
        if self.axis is not None and self.axis != axis:
            raise Refusal(where, f"{self.name!r} is lumped on axis {self.axis}", f"axis {axis}, on which this operator has its units")
        if self.axis is not None:
            return self
        if (self.shape[axis] or 0) > MAX_UNITS:
            raise Unsure(where, f"{self.name!r} has more than {MAX_UNITS} units on axis {axis}")
        units = np.arange(self.shape[axis] or 0, dtype=np.int64)
        return replace(self, axis=axis, columns=len(units) if self.identity else 0, classes=units, reps=units)

    def scale_of(self, unit: int) -> Fraction:
        return self.scale.get(unit, ONE) if self.classes[unit] >= 0 else ZERO

    def offset_of(self, unit: int) -> Real:
        return self.offset.get(unit, ZERO)

    def obliged(self) -> Array:
        """(units,) bool: a one-unit ghost claims nothing, every other unit does."""
        size = np.bincount(self.classes[self.classes >= 0], minlength=len(self.reps))
        free = (size == 1) & (np.arange(len(size)) >= self.columns)
        return np.asarray(~np.append(free, False)[self.classes])

    def members(self) -> tuple[Array, Array]:
        """The units that are tied to another one, and that representative."""
        units = np.flatnonzero(self.classes >= 0)
        reps = self.reps[self.classes[units]]
        return units[units != reps], reps[units != reps]

    def constants(self) -> Array:
        return np.flatnonzero(self.classes < 0)

    def kept(self) -> Array:
        """The representatives of the kept columns, in the columns' order."""
        return self.reps[: self.columns]

    def rows(self) -> Rows:
        """Slots are units."""
        laws: dict[Law, int] = {(ONE, ZERO): 0}
        law = np.zeros(len(self.classes), np.int64)
        for unit in sorted({*self.scale, *self.offset, *self.constants().tolist()}):
            law[unit] = laws.setdefault((self.scale_of(unit), self.offset_of(unit)), len(laws))
        kept = np.where(self.classes < self.columns, self.classes, -1)
        return Rows(self.classes, law, list(laws), kept, np.append(self.reps, -1)[self.classes], self.obliged())

    def elements(self) -> Rows:
        """Slots are the elements of one example, row-major."""
        sizes = [int(n or 0) for n in self.shape[1:]]
        everything = np.arange(int(np.prod(sizes, dtype=np.int64)))
        if self.axis is None:
            kept = everything if self.identity else np.full_like(everything, -1)
            return Rows(everything, np.zeros_like(everything), [(ONE, ZERO)], kept, everything, kept >= 0)
        rows, axis = self.rows(), self.axis - 1
        stride = int(np.prod(sizes[axis + 1 :], dtype=np.int64))
        unit = everything // max(stride, 1) % max(sizes[axis], 1)
        reps = np.where(rows.reps[unit] >= 0, everything + (rows.reps[unit] - unit) * stride, -1)
        block = everything // max(stride * sizes[axis], 1)
        kept = np.where(rows.kept[unit] >= 0, (block * self.columns + rows.kept[unit]) * stride + everything % max(stride, 1), -1)
        return Rows(reps, rows.law[unit], rows.laws, kept, reps, rows.obliged[unit])


def relation(name: str, shape: Shape, lumping: Lumping | str) -> Relation:
    """The relation a lumping states for a value of this shape. Raises `Refusal` where the two do not fit."""
    if isinstance(lumping, str):
        if lumping not in (IDENTITY, DROPPED):
            raise Refusal(f"lumping of {name!r}", f"{lumping!r}", f"{IDENTITY!r}, {DROPPED!r} or a lumping")
        return Relation(name, shape, identity=lumping == IDENTITY)

    def need(holds: bool, found: str, expected: str) -> None:
        if not holds:
            raise Refusal(f"lumping of {name!r}", found, expected)

    need(1 <= lumping.axis < len(shape), f"axis {lumping.axis}", f"a unit axis of shape {shape}, not the batch axis 0")
    classes, reps = np.array(lumping.classes, np.int64), np.array(lumping.representatives, np.int64)
    n, k = len(classes), len(reps)
    need(n == shape[lumping.axis], f"classes for {n} units", f"one per unit of axis {lumping.axis} of shape {shape}")
    need(bool(((classes >= -1) & (classes < k)).all()), "a class without representative", f"classes from -1 to {k - 1}")
    need(0 <= lumping.columns <= k, f"{lumping.columns} columns", f"at most the {k} classes")
    need(bool(((reps >= 0) & (reps < n)).all()) and bool((classes[reps] == np.arange(k)).all()), "a representative outside its class", "a unit of the class")
    for unit, scale in lumping.scale.items():
        need(0 <= unit < n and classes[unit] >= 0, f"a scale for unit {unit}", "scales of non-constant units only")
        need(scale != 0, f"scale 0 for unit {unit}", "a non-zero scale, or class -1")
        need(scale == 1 or reps[classes[unit]] != unit, f"scale {shown(scale)} for representative {unit}", "scale 1")
    for unit, offset in lumping.offset.items():
        need(0 <= unit < n, f"an offset for unit {unit}", f"units below {n}")
        need(classes[unit] < 0 or isinstance(offset, Fraction), f"an irrational offset for unit {unit}", "irrational offsets of constant units only")
        need(classes[unit] < 0 or offset == 0 or reps[classes[unit]] != unit, f"an offset for representative {unit}", "offset 0")
    if n > 0 and lumping.columns == n and bool((classes == np.arange(n)).all()):
        return Relation(name, shape, identity=True)
    if lumping.columns == 0 and k == n and bool((classes >= 0).all()):
        return Relation(name, shape)
    return Relation(name, shape, lumping.axis, lumping.columns, classes, reps, dict(lumping.scale), dict(lumping.offset))


def distinct(*ids: Array) -> tuple[list[tuple[int, ...]], Array, Array]:
    """The distinct columns of stacked id arrays (numbers from 0), the first index that has each, and per index which of them it has."""
    if not len(ids[0]):
        return [], NONE, NONE
    widths = [int(array.max()) + 1 for array in ids]
    if math.prod(widths) < 1 << 62:
        key: Array = np.zeros(len(ids[0]), np.int64)
        for array, width in zip(ids, widths, strict=True):
            key = key * width + array
        _, first, which = np.unique(key, return_index=True, return_inverse=True)
    else:
        _, first, which = np.unique(np.stack(ids), axis=1, return_index=True, return_inverse=True)
    return list(zip(*(array[first].tolist() for array in ids), strict=True)), first, which.reshape(-1)


def combinations(*ids: Array) -> Iterator[tuple[tuple[int, ...], int]]:
    """The distinct columns of stacked id arrays, each with the first index that has it."""
    columns, first, _ = distinct(*ids)
    return zip(columns, first.tolist(), strict=True)


def tied_alike(member: Law, rep: Law, claimed: Law) -> bool:
    """`member == s * rep + c` as laws over the same columns, `claimed == (s, c)`: the identity's rule."""
    if any(a != claimed[0] * b for a, b in zip(member[:-1], rep[:-1], strict=True)):
        return False
    offset = add_reals(scale_real(claimed[0], rep[-1]), claimed[1])
    return offset is not None and same(member[-1], offset)


def carry(
    where: str, inn: Rows, out: Rows, passes: Callable[[Law, Law, Law], bool] = tied_alike, constant: Callable[[Real, Real], bool] = same, neutral: bool = True
) -> None:
    """The conclusion `out` follows from the premise `inn`, slot by slot. Raises `Refusal`.

    Members need their representative's column and `passes(law, law of the representative, claimed law)`; constants come from constants by
    `constant(value, claimed value)`; the kept columns coincide in number and order, by scale 1 and offset 0 unless the caller
    decides that (`neutral=False`).
    """
    tied = np.flatnonzero(out.obliged & (out.column >= 0))
    reps = out.reps[tied]
    apart = tied[(inn.column[tied] < 0) | (inn.column[tied] != inn.column[reps])]
    if len(apart):
        raise Refusal(where, f"unit {apart[0]} is claimed to follow unit {out.reps[apart[0]]}", "premises that put the two in one class")
    for (mine, its, claimed), at in combinations(inn.law[tied], inn.law[reps], out.law[tied]):
        if not passes(inn.laws[mine], inn.laws[its], out.laws[claimed]):
            found = f"unit {tied[at]} claims {_show(out.laws[claimed])} of unit {reps[at]}"
            raise Refusal(where, found, f"what the premises {_show(inn.laws[mine])} and {_show(inn.laws[its])} give")
    fixed = np.flatnonzero(out.column < 0)
    for (mine, claimed), at in combinations(inn.law[fixed], out.law[fixed]):
        if any(inn.laws[mine][:-1]) or not constant(inn.laws[mine][-1], out.laws[claimed][-1]):
            raise Refusal(where, f"unit {fixed[at]} claims {_show(out.laws[claimed])}", f"the constant that the premise {_show(inn.laws[mine])} gives")
    slots = np.arange(len(out.column))
    heads = slots[(out.kept >= 0) & (out.reps == slots)]
    moved = heads[inn.kept[heads] != out.kept[heads]]
    if len(moved):
        found = f"unit {moved[0]} claims column {out.kept[moved[0]]} of the reduced value"
        raise Refusal(where, found, f"column {inn.kept[moved[0]]}, as its premise has it (-1: none)")
    for (mine,), at in combinations(inn.law[heads]):
        if neutral and (any(s != 1 for s in inn.laws[mine][:-1]) or inn.laws[mine][-1] != 0):
            raise Refusal(where, f"representative {heads[at]} reads its column by {_show(inn.laws[mine])}", "scale 1 and offset 0")


def _show(law: Law) -> str:
    return f"(scale {' and '.join(map(shown, law[:-1]))}, offset {shown(law[-1])})"
