"""Linear layers and convolutions: `W E_in = E_out W'`, and the offsets.

A convolution is a linear map per kernel tap, block-diagonal over its groups. Its
zero padding is not part of the relation, so a tap that some output position
reads outside the input must not carry offsets. In a transposed convolution the
offsets' sums over the taps that a position reads must be the same at all
positions (THEORY section 2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property

import numpy as np

from lumpnet.certificate import Surd
from lumpnet.check.effect import Near, Step, up, within_memory
from lumpnet.check.graph import Case, Counterpart, Kind, Node, integer, integers, kept_inputs
from lumpnet.check.numbers import BUDGET, PRECISION, Array, bits, fractions, integer_parts, misfits, room_for_sums, segment_sums, shown, times
from lumpnet.check.outcome import Refusal, Unsure
from lumpnet.check.relation import Relation, Shape
from lumpnet.check.rules.constant import any_input

_BLOCK = 1 << 17
_MAX_BITS = 1 << 16
_MAX_WORDS = 1 << 26
_MAX_TAPS = 1 << 22
_MAX_READS = 1 << 24
_MAX_SUMS = 1 << 22
_FLOAT_ROOM = PRECISION["float64"][0] - PRECISION["float32"][0]
"""Bits by which a float32 may be multiplied in float64."""


@dataclass(frozen=True)
class Part:
    """Some columns of a collapsed weight: which local input units add up to which class, with integer factors over a denominator."""

    units: Array
    starts: Array
    classes: Array
    factors: Array | None = None
    denominators: Array | None = None
    plain: bool = False

    def sums(self, x: Array, exact: bool) -> tuple[Array, int]:
        """Collapse `x` (units, rows, taps); where every class is one unit the floats themselves say it, unless integers are asked for."""
        picked = x[self.units]
        return (picked, 0) if self.plain and not exact else segment_sums(picked, self.starts, self.factors)

    @cached_property
    def room(self) -> int:
        """Bits that a sum can have more than a weight."""
        longest = int(np.diff(np.append(self.starts, len(self.units))).max(initial=0))
        return bits(longest) + (max(map(bits, self.factors), default=0) if self.factors is not None else 0)

    @cached_property
    def divided(self) -> int:
        """Bits of the largest denominator."""
        return 0 if self.denominators is None else max(map(bits, self.denominators.flat), default=0)

    @cached_property
    def wide(self) -> Array | None:
        return None if self.factors is None else self.factors.astype(np.float64)[:, None, None]

    def floats(self, x: Array, room: int) -> tuple[Array, Array]:
        """`sums` in float64, and for which rows they are exact with `room` bits to spare."""
        if x.dtype != np.float32 or self.room + room > _FLOAT_ROOM:
            return np.zeros((len(self.classes), *x.shape[1:])), np.zeros(x.shape[1], np.bool_)
        wide = x[self.units].astype(np.float64)
        if self.plain:
            return wide, np.ones(x.shape[1], np.bool_)
        exact = room_for_sums(wide, self.room + room)
        return np.add.reduceat(wide if self.wide is None else wide * self.wide, self.starts, axis=0), exact


class Columns:
    """The input's lumping as the groups of a layer see it: scales as integer factors over one denominator per class."""

    def __init__(self, where: str, relation: Relation, groups: int):
        self.where, self.relation, self.width = where, relation, len(relation.classes) // groups
        self.denominator = [1] * len(relation.reps)
        for unit, scale in relation.scale.items():
            k = int(relation.classes[unit])
            self.denominator[k] = math.lcm(self.denominator[k], scale.denominator)
            if bits(self.denominator[k]) > _MAX_BITS:
                raise Unsure(where, f"the scales of class {k} have no common denominator below {_MAX_BITS} bits")
        longest = max((bits(scale.numerator) + bits(self.denominator[relation.classes[unit]]) for unit, scale in relation.scale.items()), default=0)
        self.words = 1 + longest // 64  # of one weight times its factor
        self.scaled = np.zeros(len(relation.reps), np.bool_)
        self.scaled[relation.classes[list(relation.scale)]] = True
        self.latest: tuple[int, list[Part]] = (-1, [])

    def parts(self, group: int) -> list[Part]:
        """One group's columns in up to three parts: single units, plain sums, scaled sums."""
        if self.latest[0] != group:
            self.latest = group, self._parts(group)
        return self.latest[1]

    def _parts(self, group: int) -> list[Part]:
        classes, units = self._units(group)
        found, sizes = np.unique(classes[units], return_counts=True)
        scaled, single = self.scaled[found], sizes == 1
        kinds = (scaled, ~scaled & single, ~scaled & ~single)
        return [self._part(group, units[np.repeat(kind, sizes)], classes, plain) for kind, plain in zip(kinds, (False, True, False), strict=True)]

    def whole(self, group: int) -> Part:
        """One group's columns in one part."""
        classes, units = self._units(group)
        return self._part(group, units, classes, False)

    def _units(self, group: int) -> tuple[Array, Array]:
        """The classes of the group's units, and the units that are not constant, class after class."""
        classes = self.relation.classes[group * self.width : (group + 1) * self.width]
        units = np.argsort(classes, kind="stable")
        return classes, units[classes[units] >= 0]

    def _part(self, group: int, units: Array, classes: Array, plain: bool) -> Part:
        found, starts = np.unique(classes[units], return_index=True)
        if plain or not self.scaled[found].any():
            return Part(units, starts, found, plain=plain)
        factors = np.empty(len(units), object)
        for at, unit in enumerate(units.tolist()):
            factor = self.relation.scale_of(group * self.width + unit) * self.denominator[classes[unit]]
            factors[at] = factor.numerator
        denominators = np.array([self.denominator[k] for k in found.tolist()], object)
        return Part(units, starts, found, factors, denominators[:, None, None])


Gather = Callable[[Array, Array], list[int]]
"""(rows, their sums (rows, taps) over the offsets) -> what every output position gets of them; refuses where positions differ."""


class Affine:
    """The obligation of one layer, its weight as (out, in/groups, taps)."""

    def __init__(self, case: Case, inn: Relation, out: Relation, groups: int, gather: Gather):
        self.case, self.inn, self.out, self.groups, self.gather = case, inn, out, groups, gather
        self.weight, self.bias = _tensors(case.node)
        self.columns = Columns(case.where, inn, groups)
        if len(self.weight) and self.weight[0].size * self.columns.words > _MAX_WORDS:
            raise Unsure(case.where, f"rows of {self.weight[0].size} weights under scales of {self.columns.words} words")
        self.rows_per_group = max(len(self.weight) // groups, 1)

    def check(self) -> str:
        self.members()
        self.constants()
        if self.case.reduced is not None:
            self.kept()
        self.offsets()
        return f"{len(self.out.classes)} rows of weights collapse onto {self.out.columns}"

    def block(self, rows: Array) -> Array:
        """The weights of some rows as (in/groups, rows, taps)."""
        return np.ascontiguousarray(self.weight[rows].transpose(1, 0, 2))

    def batches(self, *keys: Array) -> Iterator[Array]:
        """Indices with equal keys, as many at a time as memory allows."""
        step = max(_BLOCK // max(self.weight[0].size * self.columns.words, 1), 1) if len(self.weight) else 1
        order = np.lexsort(keys)
        changes = np.flatnonzero(np.any([np.diff(key[order]) != 0 for key in keys], axis=0)) + 1
        for run in np.split(order, changes):
            yield from (run[start : start + step] for start in range(0, len(run), step))

    def members(self) -> None:
        """`W[i] E_in = scale_i * W[R] E_in` for every tied unit i and its representative R."""
        units, reps = self.out.members()
        scaled = np.isin(units, list(self.out.scale))
        group, its = units // self.rows_per_group, reps // self.rows_per_group
        for at in self.batches(group, its, scaled):
            mine, theirs, crossed = units[at], reps[at], group[at[0]] != its[at[0]]
            if crossed:
                self.members_across(mine, theirs)
                continue
            rest = ~self.multiples(mine, theirs)  # what is one before it is collapsed is one afterwards
            mine, theirs = mine[rest], theirs[rest]
            if not len(mine):
                continue
            block, room, n = self.block(np.concatenate([mine, theirs])), self.room(mine), len(mine)
            for part in self.columns.parts(int(group[at[0]])):
                sums, exact = part.floats(block, room)
                good = np.flatnonzero(exact[:n] & exact[n:])
                self.proportional(mine[good], theirs[good], part.classes, sums[:, good], sums[:, n + good], floats=True)
                left = np.flatnonzero(~(exact[:n] & exact[n:]))
                if len(left):
                    sums, _ = part.sums(block[:, np.concatenate([left, n + left])], exact=bool(scaled[at[0]]))
                    self.proportional(mine[left], theirs[left], part.classes, sums[:, : len(left)], sums[:, len(left) :])

    def room(self, units: Array) -> int:
        """Bits that the units' scales multiply with."""
        scales = [self.out.scale[unit] for unit in units.tolist() if unit in self.out.scale]
        return max((max(bits(scale.numerator), bits(scale.denominator)) for scale in scales), default=0)

    def multiples(self, mine: Array, theirs: Array) -> Array:
        """Which rows are for certain their representatives' rows times their scales, weight by weight."""
        one, two = self.weight[mine], self.weight[theirs]
        if any(unit in self.out.scale for unit in mine.tolist()):
            if one.dtype != np.float32 or self.room(mine) > _FLOAT_ROOM:
                return np.zeros(len(mine), np.bool_)
            tops, bottoms = (part.astype(np.float64)[:, None, None] for part in integer_parts([self.out.scale_of(unit) for unit in mine.tolist()]))
            one, two = one * bottoms, two * tops  # exact: a float32 and at most 29 bits
        return np.asarray((one == two).all(axis=(1, 2)), np.bool_)

    def members_across(self, mine: Array, theirs: Array) -> None:
        """The same for rows in different groups: classes that only one of the two groups has must have weight zero."""
        one, two = (self.columns.whole(int(rows[0]) // self.rows_per_group) for rows in (mine, theirs))
        stacked = np.concatenate([self.block(mine)[one.units], self.block(theirs)[two.units]])
        factors = None
        if one.factors is not None or two.factors is not None:
            factors = np.concatenate([np.full(len(p.units), 1, object) if p.factors is None else p.factors for p in (one, two)])
        # a class has the same denominator in every group, so its numerators compare
        sums, _ = segment_sums(stacked, np.concatenate([one.starts, two.starts + len(one.units)]), factors)
        classes = np.union1d(one.classes, two.classes)
        left = np.zeros((len(classes), *sums.shape[1:]), sums.dtype)
        right = np.zeros_like(left)
        left[np.searchsorted(classes, one.classes)] = sums[: len(one.classes)]
        right[np.searchsorted(classes, two.classes)] = sums[len(one.classes) :]
        self.proportional(mine, theirs, classes, left, right)

    def proportional(self, mine: Array, theirs: Array, classes: Array, left: Array, right: Array, floats: bool = False) -> None:
        """`left == scale * right`, in integers or in `floats` that have room for the scales."""
        scales = [self.out.scale_of(int(unit)) for unit in mine]
        if any(scale != 1 for scale in scales):
            tops, bottoms = (part[None, :, None] for part in integer_parts(scales))
            if floats:
                left, right = left * bottoms.astype(np.float64), right * tops.astype(np.float64)
            else:
                left, right = times(left, bottoms), times(right, tops)
        bad = np.argwhere(np.asarray(left != right, np.bool_))
        if len(bad):
            k, row, tap = bad[0]
            found = f"unit {mine[row]} and its representative {theirs[row]} differ in the weight towards class {classes[k]} (tap {tap})"
            raise Refusal(self.case.where, found, f"the representative's weight times {shown(scales[row])}")

    def constants(self) -> None:
        """`W[i] E_in = 0` for every constant unit i."""
        units = self.out.constants()
        group = units // self.rows_per_group
        for at in self.batches(group):
            rows = units[at][(self.weight[units[at]] != 0).any(axis=(1, 2))]
            for part in self.columns.parts(int(group[at[0]])) if len(rows) else ():
                block = self.block(rows)
                sums, exact = part.floats(block, 0)
                self.vanish(rows[exact], part.classes, sums[:, exact], "as the unit is claimed to be constant")
                if not exact.all():
                    self.vanish(rows[~exact], part.classes, part.sums(block[:, ~exact], exact=False)[0], "as the unit is claimed to be constant")

    def vanish(self, rows: Array, classes: Array, sums: Array, why: str) -> None:
        bad = np.argwhere(np.asarray(sums != 0, np.bool_))
        if len(bad):
            k, row, tap = bad[0]
            raise Refusal(self.case.where, f"unit {rows[row]} has a non-zero weight towards class {classes[k]} (tap {tap})", f"0, {why}")

    def kept(self) -> None:
        """The representatives' collapsed rows are the reduced weights; nothing reads a ghost, and nothing else is in the reduced weights."""
        reduced, _ = _tensors(self.case.counterpart)
        reps, width, exact = self.out.kept(), reduced.shape[1], np.ones(reduced.shape, np.bool_)
        if self.case.counterpart.kind == self.case.node.kind and _kernel(self.case.counterpart) != _kernel(self.case.node):
            raise Refusal(self.case.where, f"the reduced kernel has the sizes {_kernel(self.case.counterpart)}", f"{_kernel(self.case.node)}")
        if self.case.counterpart.kind == "constant" and self.case.counterpart.attrs["axis"] != self.out.axis:
            raise Refusal(self.case.where, f"the reduced constant lies along axis {self.case.counterpart.attrs['axis']}", f"the unit axis {self.out.axis}")
        per_group = max(len(reps) // _groups(self.case.counterpart), 1)
        group, base = reps // self.rows_per_group, np.arange(len(reps)) // per_group * width
        for at in self.batches(group, base):
            rows, first = reps[at], int(base[at[0]])
            block, stored = self.block(rows), np.ascontiguousarray(reduced[at].transpose(1, 0, 2))
            free = np.ones(width, np.bool_)
            for part in self.columns.parts(int(group[at[0]])):
                local = part.classes - first
                inside = (part.classes < self.inn.columns) & (local >= 0) & (local < width)
                free[local[inside]] = False
                loose = self.loose(rows, part, inside, block, stored[local[inside]])
                if loose is not None:
                    exact[at[:, None], local[inside]] = ~loose.transpose(1, 0, 2)
            if (stored[free] != 0).any():
                k, row, tap = np.argwhere(stored[free] != 0)[0]
                column = first + int(np.flatnonzero(free)[k])
                found = f"the reduced weight of unit {rows[row]} towards column {column} (tap {tap}) is not 0"
                raise Refusal(self.case.where, found, "0, as no input class of its group has that column")
        self.case.exact["weight"] = _as_stored(self.case.counterpart, exact)

    def loose(self, rows: Array, part: Part, inside: Array, block: Array, stored: Array) -> Array | None:
        """Checks the reduced weights `stored` (columns, rows, taps), and says which of them are rounded (None: none is)."""
        rounded, left = np.zeros(stored.shape, np.bool_), np.arange(len(rows))
        denominators = part.denominators[inside] if part.denominators is not None else None
        wide, good = part.floats(block, part.divided if stored.dtype == np.float32 else _FLOAT_ROOM + 1)
        if good.any():
            self.vanish(rows[good], part.classes[~inside], wide[~inside][:, good], "as the reduced layer does not read that class")
            due = stored.astype(np.float64) * (1 if denominators is None else denominators.astype(np.float64))
            left = np.flatnonzero(~good | (wide[inside] != due).any(axis=(0, 2)))  # undecided, rounded, or wrong
            rows, block, stored = rows[left], block[:, left], stored[:, left]
            if not len(rows):
                return None
        sums, exponent = part.sums(block, exact=False)
        self.vanish(rows, part.classes[~inside], sums[~inside], "as the reduced layer does not read that class")
        if not inside.any() or (part.plain and (sums[inside] == stored).all()):
            return None
        if part.plain:
            sums, exponent = part.sums(block, exact=True)
        rounded[:, left] = misfits(sums[inside], exponent, denominators, stored, "none")
        bad = np.argwhere(rounded[:, left] if self.case.rounding == "none" else misfits(sums[inside], exponent, denominators, stored, self.case.rounding))
        if len(bad):
            k, row, tap = bad[0]
            number = Fraction(int(sums[inside][k, row, tap])) * Fraction(2) ** exponent / (1 if denominators is None else denominators[k, 0, 0])
            found = f"the reduced weight of unit {rows[row]} towards column {part.classes[inside][k]} (tap {tap}) is {stored[k, row, tap]!r}"
            raise Refusal(self.case.where, found, f"{shown(number)}{', rounded to nearest' if self.case.rounding == 'nearest' else ' exactly'}")
        return rounded

    def offsets(self) -> None:
        """`W[i] c_in + b_i = scale_i * (W[R] c_in + b_R) + offset_i`, and the reduced bias is that of the representatives."""
        rows = np.flatnonzero(self.out.obliged())
        shift = dict(zip(rows.tolist(), fractions(self.bias[rows]), strict=True))
        self.add_offsets(rows, shift)
        for unit, rep in zip(*(a.tolist() for a in self.out.members()), strict=True):
            offset = shift[unit] - self.out.scale_of(unit) * shift[rep]
            if self.out.offset_of(unit) != offset:
                raise Refusal(self.case.where, f"unit {unit} claims offset {shown(self.out.offset_of(unit))} to unit {rep}", shown(offset))
        for unit in self.out.constants().tolist():
            if shift[unit] != self.out.offset_of(unit):
                raise Refusal(self.case.where, f"unit {unit} claims the constant {shown(self.out.offset_of(unit))}", shown(shift[unit]))
        if self.case.reduced is None:
            return
        reps = self.out.kept().tolist()
        tops, bottoms = integer_parts([shift[rep] for rep in reps])
        _, stored = _tensors(self.case.counterpart)
        bad = np.flatnonzero(misfits(tops, 0, bottoms, stored, self.case.rounding))
        if len(bad):
            raise Refusal(self.case.where, f"the reduced bias of unit {reps[bad[0]]} is {stored[bad[0]]!r}", shown(shift[reps[bad[0]]]))
        self.case.exact["value" if self.case.counterpart.kind == "constant" else "bias"] = ~misfits(tops, 0, bottoms, stored, "none")

    def add_offsets(self, rows: Array, shift: dict[int, Fraction]) -> None:
        """Add `W[i] c_in` to the rows' biases."""
        units = np.array(sorted(unit for unit, offset in self.inn.offset.items() if offset != 0), np.int64)
        group = rows // self.rows_per_group
        for at in self.batches(group) if len(units) else ():
            start = int(group[at[0]]) * self.columns.width
            local = units[slice(*np.searchsorted(units, (start, start + self.columns.width)))]
            block = self.block(rows[at])
            rational: list[tuple[int, Fraction]] = []
            for unit in local.tolist():
                offset = self.inn.offset[unit]
                if not isinstance(offset, Surd):
                    rational.append((unit - start, offset))
                elif (block[unit - start] != 0).any():
                    row = rows[at][np.argwhere(block[unit - start] != 0)[0, 0]]
                    raise Refusal(self.case.where, f"unit {row} reads unit {unit} of {self.inn.name!r}, whose constant is irrational", "weight 0")
            if rational:
                self.add_rational(rows[at], block[[unit for unit, _ in rational]], [offset for _, offset in rational], shift)

    def add_rational(self, rows: Array, block: Array, offsets: list[Fraction], shift: dict[int, Fraction]) -> None:
        denominator = math.lcm(*(offset.denominator for offset in offsets))
        if bits(denominator) > _MAX_BITS:
            raise Unsure(self.case.where, f"the offsets of its input have no common denominator below {_MAX_BITS} bits")
        factors = np.empty(len(offsets), object)
        factors[:] = [int(offset * denominator) for offset in offsets]
        sums, exponent = segment_sums(block, np.zeros(1, np.int64), factors)
        for row, total in zip(rows.tolist(), self.gather(rows, sums[0]), strict=True):
            if total:
                shift[row] += Fraction(total) * Fraction(2) ** exponent / denominator


def _groups(node: Node) -> int:
    return int(node.attrs.get("groups", 1))


def _tensors(node: Node) -> tuple[Array, Array]:
    """Weight as (out, in/groups, taps), bias as (out,), zero where there is none. A constant reads no input at all."""
    if node.kind == "constant":
        value = node.params["value"].data
        return np.zeros((len(value), 0, 1), value.dtype), value
    weight, bias = _as_rows(node, node.params["weight"].data), node.param("bias")
    return weight, np.zeros(len(weight), weight.dtype) if bias is None else bias


def _kernel(node: Node) -> Shape:
    """No attribute says it, and under a stride kernels of several sizes have outputs of one shape."""
    sizes: Shape = node.params["weight"].data.shape[2:]
    return sizes


def _as_rows(node: Node, weight: Array) -> Array:
    """(out, in/groups, taps) of what is stored as (out, in/groups, *kernel), or by a transposed convolution as (in, out/groups, *kernel), group after group."""
    rows, columns, taps = weight.shape[0], weight.shape[1], math.prod(weight.shape[2:])
    if node.kind == "conv_transpose":
        groups = _groups(node)
        rows, columns = columns * groups, rows // groups
        weight = weight.reshape(groups, columns, rows // groups, taps).transpose(0, 2, 1, 3)
    return weight.reshape(rows, columns, taps)


def _as_stored(node: Node, rows: Array) -> Array:
    """The way back from `_as_rows`."""
    if node.kind == "constant":
        return rows
    if node.kind == "conv_transpose":
        groups = _groups(node)
        rows = rows.reshape(groups, len(rows) // groups, *rows.shape[1:]).transpose(0, 2, 1, 3)
    return rows.reshape(node.params["weight"].data.shape)


def _check_bias(node: Node, rows: int) -> None:
    bias = node.param("bias")
    if bias is not None and bias.shape != (rows,):
        raise ValueError(f"a bias of shape {bias.shape}")


def _linear_shape(node: Node, ins: list[Shape]) -> Shape:
    (x,), weight = ins, node.params["weight"].data
    if len(x) < 2 or weight.ndim != 2 or weight.shape[1] != x[-1]:
        raise ValueError(f"a weight of shape {weight.shape} on an input of shape {x}")
    _check_bias(node, weight.shape[0])
    return (*x[:-1], weight.shape[0])


def _linear(case: Case) -> str:
    inn = case.ins[0].on(len(case.ins[0].shape) - 1, case.where)
    out = case.out.on(len(case.node.shape) - 1, case.where)
    return Affine(case, inn, out, 1, lambda rows, sums: list(sums[:, 0].tolist())).check()


def _windows(node: Node, x: Shape) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Per spatial axis: input size, kernel, stride, padding, dilation, output size."""
    attrs, kernel = node.attrs, node.params["weight"].data.shape[2:]
    for n, k, stride, padding, dilation in zip(x[2:], kernel, attrs["stride"], attrs["padding"], attrs["dilation"], strict=True):
        yield int(n or 0), k, stride, padding, dilation, (int(n or 0) + 2 * padding - dilation * (k - 1) - 1) // stride + 1


def _conv_shape(node: Node, ins: list[Shape]) -> Shape:
    (x,), weight, groups = ins, node.params["weight"].data, _groups(node)
    if not 3 <= weight.ndim <= 5 or len(x) != weight.ndim or 0 in weight.shape[2:]:
        raise ValueError(f"a weight of shape {weight.shape} on an input of shape {x}")
    if weight.shape[1] * groups != x[1] or weight.shape[0] % groups:
        raise ValueError(f"a weight of shape {weight.shape} in {groups} groups on {x[1]} channels")
    _check_bias(node, weight.shape[0])
    sizes = [window[-1] for window in _windows(node, x)]
    if min(sizes) < 1:
        raise ValueError(f"a kernel {weight.shape[2:]} larger than its padded input {x[2:]}")
    return (x[0], weight.shape[0], *sizes)


def border_taps(node: Node, x: Shape) -> Array:
    """(taps,) bool: taps that some output position reads outside the input."""
    outside = []
    for n, k, stride, padding, dilation, count in _windows(node, x):
        first = np.arange(k) * dilation - padding
        outside.append((first < 0) | (first + (count - 1) * stride >= n))
    taps: Array = np.zeros((), np.bool_)
    for axis in outside:
        taps = np.logical_or.outer(taps, axis)
    return taps.reshape(taps.size)


def _few_taps(case: Case) -> None:
    if math.prod(case.node.params["weight"].data.shape[2:]) > _MAX_TAPS:
        raise Unsure(case.where, f"a kernel of more than {_MAX_TAPS} taps")


def _conv(case: Case) -> str:
    _few_taps(case)
    border = cache(lambda: border_taps(case.node, case.ins[0].shape))

    def gather(rows: Array, sums: Array) -> list[int]:
        bad = np.argwhere(np.asarray(sums[:, border()] != 0, np.bool_))
        if len(bad):
            found = f"unit {rows[bad[0, 0]]} weighs the input's offsets at tap {np.flatnonzero(border())[bad[0, 1]]}, which reads the zero padding"
            raise Refusal(case.where, found, "the sum 0 at such taps")
        return list(sums.astype(object).sum(axis=1).tolist())

    inn, out = case.ins[0].on(1, case.where), case.out.on(1, case.where)
    return Affine(case, inn, out, _groups(case.node), gather).check()


def _transposed_windows(node: Node, x: Shape) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Per spatial axis: input size, kernel, stride, padding, dilation, output size."""
    attrs, kernel = node.attrs, node.params["weight"].data.shape[2:]
    lists = [attrs[key] for key in ("stride", "padding", "dilation", "output_padding")]
    for n, k, stride, padding, dilation, extra in zip((m or 0 for m in x[2:]), kernel, *lists, strict=True):
        if extra >= max(stride, dilation):
            raise ValueError(f"output padding {extra} with stride {stride} and dilation {dilation}")
        yield n, k, stride, padding, dilation, (n - 1) * stride - 2 * padding + dilation * (k - 1) + extra + 1


def _transposed_shape(node: Node, ins: list[Shape]) -> Shape:
    (x,), weight, groups = ins, node.params["weight"].data, _groups(node)
    if not 3 <= weight.ndim <= 5 or len(x) != weight.ndim or 0 in weight.shape or 0 in x[2:]:
        raise ValueError(f"a weight of shape {weight.shape} on an input of shape {x}")
    if weight.shape[0] != x[1] or weight.shape[0] % groups:
        raise ValueError(f"a weight of shape {weight.shape} in {groups} groups on {x[1]} channels")
    _check_bias(node, weight.shape[1] * groups)
    sizes = [window[-1] for window in _transposed_windows(node, x)]
    if min(sizes) < 1:
        raise ValueError(f"a padding that leaves nothing of the output: {sizes}")
    return (x[0], weight.shape[1] * groups, *sizes)


def taps_read(n: int, kernel: int, stride: int, padding: int, dilation: int, count: int) -> Array:
    """The distinct rows of (positions, kernel) bool: position p reads input position q through tap t where p + padding = q * stride + t * dilation."""
    from_start = np.arange(count, dtype=np.int64)[:, None] + padding - np.arange(kernel, dtype=np.int64) * dilation
    reads: Array = (from_start % stride == 0) & (from_start >= 0) & (from_start <= (n - 1) * stride)
    if kernel > BUDGET:
        return np.unique(reads, axis=0)
    return reads[np.unique(reads @ (1 << np.arange(kernel, dtype=np.int64)), return_index=True)[1]]  # rows as numbers: a row by itself sorts slowly


def _conv_transpose(case: Case) -> str:
    _few_taps(case)
    kernel, axes = case.node.params["weight"].data.shape[2:], list(_transposed_windows(case.node, case.ins[0].shape))

    @cache
    def tables() -> list[Array]:
        """Once a layer, however many groups ask: they are as long as the output."""
        if any(count * taps > _MAX_READS for _, taps, *_, count in axes):
            raise Unsure(case.where, f"more than {_MAX_READS} taps read along one axis, and offsets before them")
        return [taps_read(*axis) for axis in axes]

    def gather(rows: Array, sums: Array) -> list[int]:
        reads = tables()
        if len(sums) * math.prod(max(table.shape) for table in reads) > _MAX_SUMS:
            raise Unsure(case.where, f"more than {_MAX_SUMS} sums of rows at different kinds of positions, and offsets before them")
        whole = sums.astype(object).reshape(len(sums), *kernel)
        for table in reads:
            whole = np.tensordot(whole, table.T.astype(object), (1, 0))
        totals = whole.reshape(len(sums), math.prod(len(table) for table in reads))  # a column per kind of position
        bad = np.flatnonzero(np.asarray(totals != totals[:, :1], np.bool_).any(axis=1))
        if len(bad):
            found = f"unit {rows[bad[0]]} weighs the input's offsets differently at different positions"
            raise Refusal(case.where, found, "the same sum over the taps that a position reads, at all positions")
        return list(totals[:, 0].tolist())

    inn, out = case.ins[0].on(1, case.where), case.out.on(1, case.where)
    return Affine(case, inn, out, _groups(case.node), gather).check()


def _effect(step: Step, ins: Sequence[Near]) -> Near:
    """apart' = |W_Q| apart + H size + h and size' = |W| size + |b|, sums over all taps; a convolution's positions are taken together.

    W_Q lies within H of the stored W, b_Q within h of b; of another network Q both are `_against`.
    """
    (x,), (weight, bias), groups = ins, _tensors(step.node), _groups(step.node)
    known = _as_rows(step.node, np.broadcast_to(step.known("weight"), step.node.params["weight"].data.shape))
    rows, columns, taps = weight.shape
    n, per_group = 2 * columns + taps + 4, max(rows // groups, 1)
    units = 1 if step.node.kind != "linear" else len(step.node.shape) - 1
    x = x.most(range(units + 1, len(step.node.shape))).each(lambda a: np.moveaxis(a, units, -1))
    within_memory(*((*a.shape[:-1], max(rows, columns * groups)) for a in (x.size, x.apart)))
    x = x.each(lambda a: np.broadcast_to(a, (*a.shape[:-1], columns * groups)))
    size, apart = (np.zeros((*x.size.shape[:-1], rows)) for _ in range(2))
    for start in range(0, rows, block := max(_BLOCK * 32 // max(columns * taps, 1), 1)):
        for group in range(start // per_group, (min(start + block, rows) - 1) // per_group + 1):
            at = slice(max(start, group * per_group), min(start + block, (group + 1) * per_group))
            read = slice(group * columns, (group + 1) * columns)
            w = np.abs(weight[at]).sum(axis=2, dtype=np.float64).T
            size[..., at], apart[..., at] = x.size[..., read] @ w, x.apart[..., read] @ w
            if step.other is not None:
                apart[..., at] = x.apart[..., read] @ np.abs(known[at]).sum(axis=2, dtype=np.float64).T
                moved, fixed = _against(step, weight[at].astype(np.float64) - known[at], bias[at] - np.broadcast_to(step.known("bias"), (rows,))[at], read)
                apart[..., at] += x.size[..., read] @ moved.T
                apart[0, ..., at] += fixed
            elif not known[at].all():
                apart[..., at] += (x.apart[..., read] + x.size[..., read]) @ step.off(weight[at], known[at]).sum(axis=2).T
    size[0] += np.abs(bias.astype(np.float64))
    if step.other is None:
        apart[0] += step.off(bias, step.known("bias"))
    return Near(up(size, n), up(apart, n)).each(lambda a: np.moveaxis(a, -1, units))


def _against(step: Step, gap: Array, bias: Array, read: slice) -> tuple[Array, Array]:
    """What a gap of the weights (rows, columns, taps) and of the biases (rows,) is worth: per column, to be multiplied by its size, and by itself.

    The columns read are `scale * representative + offset`, so gaps of one class add up, with their signs, at the representative. Sums of m numbers
    of m products are computed within (m + 4) u of the sum of their absolute values, u = 2**-53, the gap's own rounding included; below the floats,
    each scale or offset may lose 2**-1075 times the gap, and each product as much: the size that all of this is multiplied with may be large.
    """
    inn = step.ins[0].on(len(step.ins[0].shape) - 1 if step.node.kind == "linear" else 1, step.where)
    classes, plain = inn.classes[read], _groups(step.node) == 1 and not inn.identity
    apart, fixed = np.zeros((len(gap), gap.shape[1])), np.zeros((2, len(gap), gap.shape[2]))
    alone = np.ones(len(classes), np.bool_) if not plain else np.array([isinstance(inn.offset_of(i), Surd) for i in range(len(classes))], np.bool_)
    apart[:, alone] = np.abs(gap[:, alone]).sum(axis=2) * (1 + 2.0**-52)
    tied = np.flatnonzero(~alone)
    if len(tied):
        scale, offset = (np.array([float(of(i)) for i in tied.tolist()]) for of in (inn.scale_of, inn.offset_of))  # type: ignore[arg-type]
        order = np.argsort(classes[tied], kind="stable")
        tied, scale = tied[order], scale[order]
        starts = np.flatnonzero(np.diff(classes[tied], prepend=-2))
        terms = gap[:, tied] * scale[:, None]
        error = (len(tied) + 4) * 2.0**-52
        lost = (np.abs(gap[:, tied]) + 2) * 2.0**-1073 * (gap[:, tied] != 0)
        summed = np.abs(np.add.reduceat(terms, starts, axis=1)) + error * np.add.reduceat(np.abs(terms), starts, axis=1)
        summed += np.add.reduceat(lost, starts, axis=1)
        there = classes[tied[starts]] >= 0
        apart[:, inn.reps[classes[tied[starts[there]]]]] += summed[:, there].sum(axis=2)
        terms = gap[:, tied] * offset[order][:, None]
        fixed = np.stack([terms.sum(axis=1), np.abs(terms).sum(axis=1) * error + lost.sum(axis=1)])
    if step.node.kind == "linear" or (step.node.kind == "conv" and not border_taps(step.node, step.shapes[0]).any()):  # every position reads every tap
        size = np.abs(fixed[0]).sum(axis=1) + np.abs(bias)
        return apart, np.abs(fixed[0].sum(axis=1) + bias) + fixed[1].sum(axis=1) + size * (gap.shape[2] + 4) * 2.0**-52
    return apart, np.abs(fixed[0]).sum(axis=1) + fixed[1].sum(axis=1) + np.abs(bias) * (1 + 2.0**-52)


def _affine_counterpart(case: Case) -> Counterpart:
    """Where the input has gone, what is left are constants."""
    return any_input(case) if case.ins[0].absent else kept_inputs(case)


KINDS = {
    "linear": Kind(_linear_shape, _linear, roles=("weight",), optional=("bias",), counterpart=_affine_counterpart, effect=_effect),
    "conv": Kind(
        _conv_shape,
        _conv,
        roles=("weight",),
        optional=("bias",),
        attrs={"stride": integers(1), "padding": integers(0), "dilation": integers(1), "groups": integer(1)},
        free=("groups",),
        counterpart=_affine_counterpart,
        effect=_effect,
    ),
    "conv_transpose": Kind(
        _transposed_shape,
        _conv_transpose,
        roles=("weight",),
        optional=("bias",),
        attrs={"stride": integers(1), "padding": integers(0), "output_padding": integers(0), "dilation": integers(1), "groups": integer(1)},
        free=("groups",),
        counterpart=_affine_counterpart,
        effect=_effect,
    ),
}
