"""Rows of an affine map, collapsed over the classes of the operand (THEORY section 2, Linear).

Weights are seen as (rows, columns, taps): a linear layer has one tap, a
convolution one per kernel position. Rows are units of the output when their
collapsed weights are proportional; a row that collapses to zero is a constant.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import replace
from fractions import Fraction

import numpy as np

from lumpnet.exact import ONE, ZERO, Collapsed, Merge, Scaled, Surd, constant_array, directions, linear_forms, multiples
from lumpnet.ops.base import Kept
from lumpnet.ops.unary import default_keep
from lumpnet.partition import Demand, Lumping, labels, normal_form

Taps = np.ndarray | slice
"""The taps that one output position reads: a mask (taps,), or all."""
ALL = slice(None)
Uneven = Callable[[np.ndarray], np.ndarray]
"""(..., taps) -> (...) bool: whether a constant through these taps is another number at another position."""


def forward(weight: np.ndarray, bias: np.ndarray | None, x: Lumping, seen: Taps = ALL) -> Lumping:
    """The coarsest lumping of `weight @ x + bias`. weight (m, n, taps), bias (m,) or None."""
    m = len(weight)
    merge = columns(x)
    keys: list[Hashable] = [("row", i) for i in range(m)]
    scale = constant_array(m, ONE)
    ends: list[int] = []
    for members in _candidates(weight, merge):
        for base, rows, ratios in proportional(merge.apply(weight[members]).ints.reshape(len(members), -1), members):
            if base is None:
                for i in rows:
                    keys[i] = None
            else:
                for i, ratio in zip(rows, ratios, strict=True):
                    keys[i], scale[i] = ("class", base), ratio
            if base is None or len(rows) > 1:
                ends += rows
    offset, value = constant_array(m, ZERO), constant_array(m, None)
    for i, q in zip(ends, shifts(weight, bias, x, ends, seen), strict=True):
        offset[i] = q
        if keys[i] is None:
            value[i] = q
    return normal_form(keys, scale, offset, value)


def columns(x: Lumping) -> Merge:
    """The collapse of the operand's classes; an irrational constant is a column of its own (it cannot fold into a bias)."""
    odd = [i for i in np.flatnonzero(~x.present) if isinstance(x.value[i], Surd)]
    if not odd:
        return Merge(x.classes, x.scale, x.count)
    classes, scales = x.classes.copy(), x.scale.copy()
    classes[odd] = x.count + np.arange(len(odd))
    scales[odd] = ONE
    return Merge(classes, scales, x.count + len(odd))


def _candidates(weight: np.ndarray, merge: Merge) -> list[list[int]]:
    """Groups of rows that may be proportional (or zero): proposed by fingerprints, decided by nobody yet."""
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for i, key in enumerate(directions(linear_forms(weight, merge))):
        groups[key].append(i)
    return [rows for key, rows in groups.items() if key is None or len(rows) > 1]


def proportional(exact: np.ndarray, rows: list[int]) -> list[tuple[int | None, list[int], list[Fraction]]]:
    """Split candidate rows, `exact` integers (rows, ...), into proportionality classes: (first row or None for zero rows, rows, ratios)."""
    found: list[tuple[int | None, list[int], list[Fraction]]] = []
    zero = ~(exact != 0).any(axis=1)
    if zero.any():
        found.append((None, [rows[k] for k in np.flatnonzero(zero)], []))
    left = np.flatnonzero(~zero)
    while len(left):
        base = exact[left[0]]
        pivot = int(np.flatnonzero(base != 0)[0])
        ratios = [Fraction(int(exact[k, pivot]), int(base[pivot])) for k in left]
        same = np.zeros(len(left), dtype=bool)
        for ratio in set(ratios) - {ZERO}:
            at = np.array([r == ratio for r in ratios])
            same[at] = multiples(exact[left[at]], base, ratio)
        found.append((rows[left[0]], [rows[k] for k in left[same]], [r for r, s in zip(ratios, same, strict=True) if s]))
        left = left[~same]
    return found


def shifts(weight: np.ndarray, bias: np.ndarray | None, x: Lumping, rows: list[int] | np.ndarray, seen: Taps = ALL) -> list[Fraction]:
    """`sum over the taps seen of weight @ offset + bias` for the given rows, exactly (rational offsets only)."""
    if not len(rows):
        return []
    own = [Fraction(float(bias[i])) if bias is not None else ZERO for i in rows]
    moved = [j for j in np.flatnonzero(x.offset != 0) if not isinstance(x.offset[j], Surd)]
    if not moved:
        return own
    total = _one_sum(weight[np.asarray(rows)][:, moved][:, :, seen], x.offset[moved])
    sums = total.ints[:, 0].astype(object).sum(axis=1)
    return [int(s) * total.factor + b for s, b in zip(sums, own, strict=True)]


def _one_sum(weight: np.ndarray, scales: np.ndarray) -> Scaled:
    """All columns in one weighted sum: (m, n, taps) -> (m, 1, taps)."""
    return Merge(np.zeros(len(scales), dtype=np.int64), scales, 1).apply(weight)


def demands(weight: np.ndarray, uneven: Uneven | None, x: Lumping, out: Lumping, free_out: np.ndarray) -> Demand | None:
    """What an affine map asks of its operand. `uneven` says where offsets are another number at another position (None: nowhere).

    There offsets must vanish: constants stay, members keep offset 0. Irrational
    constants stay where they are read. Rows that nobody observes and that claim
    nothing ask for nothing.
    """
    alone = out.present.copy()
    alone[out.present] = out.sizes[out.classes[out.present]] == 1
    rows = np.flatnonzero(~(free_out & alone))
    if not len(rows):
        return None
    gone = ~x.present
    irrational = np.array([isinstance(v, Surd) for v in x.value], dtype=bool)
    keep = np.zeros(len(x), dtype=bool)
    moved = np.zeros(len(x), dtype=bool)
    if uneven is not None and (x.offset != 0).any():
        behind = gone & ~irrational & (x.offset != 0)
        keep = _read_unevenly(weight, uneven, behind, _unbalanced(weight, uneven, x, behind, rows))
        shifted = x.present & np.isin(x.classes, x.classes[x.present & (x.offset != 0)])
        moved = x.present & np.isin(x.classes, x.classes[_read_unevenly(weight, uneven, shifted, rows)])
    if (gone & irrational).any():
        keep |= gone & irrational & (weight[rows] != 0).any(axis=(0, 2))
    if not keep.any() and not moved.any():
        return None
    apart = labels(o / s if m else None for m, o, s in zip(moved, x.offset, x.scale, strict=True))
    return replace(default_keep(x, keep), label=apart)


def _unbalanced(weight: np.ndarray, uneven: Uneven, x: Lumping, behind: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Those of the rows in which what the constants `behind` give together is another number at another position."""
    found = [rows[:0]]
    if behind.any():
        for some in np.array_split(rows, -(-len(rows) // 64)):
            total = _one_sum(weight[np.ix_(some, np.flatnonzero(behind))], x.offset[behind])
            found.append(some[uneven(total.ints[:, 0].astype(object))])
    return np.concatenate(found)


def _read_unevenly(weight: np.ndarray, uneven: Uneven, units: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(n,) bool: those of the `units` (n,) bool that one of the rows reads unevenly."""
    read = np.zeros(len(units), dtype=bool)
    for start in range(0, len(rows), 64):
        read[units] |= uneven(weight[np.ix_(rows[start : start + 64], np.flatnonzero(units))]).any(axis=0)
    return read


def alive(weight: np.ndarray, x: Lumping, out: Lumping, alive_out: np.ndarray) -> np.ndarray:
    """Units of the operand with a non-zero collapsed coefficient in an observed row."""
    rows = [i for i in out.first if alive_out[i]]
    mask = np.zeros(len(x), dtype=bool)
    if not rows:
        return mask
    lonely = x.present.copy()
    lonely[x.present] = x.sizes[x.classes[x.present]] == 1
    for start in range(0, len(rows), 64):  # most columns are read by the first rows
        if mask[lonely].all():
            break
        mask |= lonely & (weight[rows[start : start + 64]] != 0).any(axis=(0, 2))
    pending = np.flatnonzero(x.sizes > 1).tolist()
    for start in range(0, len(rows), 64):
        if not pending:
            break
        renumber = np.full(x.count + 1, -1)
        renumber[pending] = np.arange(len(pending))
        sums = Merge(renumber[x.classes], x.scale, len(pending)).apply(weight[rows[start : start + 64]]).ints
        seen = (sums != 0).any(axis=(0, 2))
        mask |= np.isin(x.classes, [c for c, s in zip(pending, seen, strict=True) if s])
        pending = [c for c, s in zip(pending, seen, strict=True) if not s]
    return mask


def quotient(weight: np.ndarray, x_column: np.ndarray, x_scale: np.ndarray, x_count: int, rows: np.ndarray) -> np.ndarray | Collapsed:
    """The rows that stay, collapsed to the columns that stay: (rows, x_count, taps).

    Stored floats when every column is one unit with scale 1, else exact integers.
    """
    columns = np.where(x_column < x_count, x_column, -1)
    used = np.flatnonzero(columns >= 0)
    if len(used) == x_count and all(x_scale[j] == 1 for j in used):
        order = used[np.argsort(columns[used])]
        return np.asarray(weight[np.ix_(rows, order)])
    return Collapsed(weight[rows], Merge(columns, x_scale, x_count), (len(rows), x_count, weight.shape[2]))


def declined(weight: np.ndarray, x: Kept, rows: np.ndarray, mask: np.ndarray) -> Demand:
    """The merges behind some entries of a quotient's weight (rows, columns, ...) or bias (rows,) are undone."""
    if mask.ndim > 1:
        columns = np.flatnonzero(mask.reshape(*mask.shape[:2], -1).any(axis=(0, 2)))
        apart = np.isin(x.column, columns)
        keep = np.zeros(len(apart), dtype=bool)
    else:
        read = (weight[rows[mask]] != 0).any(axis=(0, 2)) & (x.lumping.offset != 0)
        keep, apart = read & ~x.lumping.present, read & x.lumping.present
    return replace(default_keep(x.lumping, keep), label=np.where(apart, 1 + np.arange(len(apart)), 0))


def rounding_cost(weight: np.ndarray, members: np.ndarray, scales: np.ndarray, rows: np.ndarray, dtype: str) -> int:
    """How many weights of one merged column (scales[j] * column members[j], summed) would be rounded."""
    column = _one_sum(weight[np.ix_(rows, members)], scales)
    return int(column.rounded(dtype)[1].sum())
