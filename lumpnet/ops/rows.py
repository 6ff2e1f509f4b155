"""Rows of an affine map, collapsed over the classes of the operand (THEORY section 2, Linear).

Weights are seen as (rows, columns, taps): a linear layer has one tap, a
convolution one per kernel position. Rows are units of the output when their
collapsed weights are proportional; a row that collapses to zero is a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

import numpy as np

from lumpnet.exact import ONE, ZERO, Collapsed, Merge, Scaled, Surd, constant_array, directions, linear_forms, multiples, selected
from lumpnet.ops.base import Kept
from lumpnet.ops.unary import default_keep
from lumpnet.partition import Demand, Lumping, discrete, joint, labels, normal_form

Taps = np.ndarray | slice
"""The taps that one output position reads: a mask (taps,), or all."""
ALL = slice(None)
Uneven = Callable[[np.ndarray], np.ndarray]
"""(..., taps) -> (...) bool: whether a constant through these taps is another number at another position."""


def forward(weight: np.ndarray, bias: np.ndarray | None, x: Lumping, seen: Taps = ALL) -> Lumping:
    """The coarsest lumping of `weight @ x + bias`. weight (m, n, taps), bias (m,) or None."""
    m = len(weight)
    found = list(row_classes(weight, columns(x)))
    if not found:
        return discrete(m)
    keys: list[Hashable] = [("row", i) for i in range(m)]
    scale, offset, value = constant_array(m, ONE), constant_array(m, ZERO), constant_array(m, None)
    ends: list[int] = []
    for base, rows, ratios in found:
        ends += rows
        for i, ratio in zip(rows, ratios, strict=True):
            keys[i], scale[i] = ("class", base) if base is not None else None, ratio
    for i, q in zip(ends, shifts(weight, bias, x, ends, seen), strict=True):
        offset[i] = q
        if keys[i] is None:
            value[i] = q
    return normal_form(keys, scale, offset, value)


def columns(x: Lumping) -> Merge:
    """The collapse of the operand's classes; an irrational constant is a column of its own (it cannot fold into a bias)."""
    odd = np.flatnonzero(~x.present & x.irrational)
    if not len(odd):
        return Merge(x.classes, x.scale, x.count)
    classes, scales = x.classes.copy(), x.scale.copy()
    classes[odd] = x.count + np.arange(len(odd))
    scales[odd] = ONE
    return Merge(classes, scales, x.count + len(odd))


Class = tuple[int | None, list[int], list[Fraction]]
"""The first row, or None for rows that are zero; all rows; their ratios to the first."""


def row_classes(weight: np.ndarray, merge: Merge) -> Iterator[Class]:
    """Rows (m, n, taps) whose sums are proportional, in classes of several, and those whose sums are zero.

    Fingerprints of a few sums propose: most rows are told apart by them, and the
    rest of the weights need not be read. Floats confirm where they are exact; what
    is left is told apart by fingerprints of all sums, and integers decide.
    """
    if merge.plain and _all_apart(weight):
        return
    left = np.arange(len(weight))
    if merge.count > 4 * _SAMPLED:
        picked = np.zeros(merge.count + 1, dtype=bool)
        picked[np.random.default_rng(merge.count).choice(merge.count, _SAMPLED, replace=False)] = True
        some = np.flatnonzero(picked[merge.classes])
        sample = Merge(joint(merge.classes[some], merge.classes[some]), merge.scales[some], _SAMPLED)
        groups = alike(linear_forms(weight[:, some], sample, left), left)
        zero, others = groups.pop(ZERO_ROW, left[:0]), list(groups.values())
        rows, bases = _pairs(others)
        same, ratios = confirmed(weight, merge, rows, bases)
        yield from _classes(rows[same], bases[same], ratios)
        left = np.concatenate([zero, rows[~same]])
    for key, rows in alike(linear_forms(weight, merge, left), left).items() if len(left) else ():
        if key == ZERO_ROW and not weight[rows].any():
            yield None, rows.tolist(), [ONE] * len(rows)
            continue
        if key != ZERO_ROW:
            same, ratios = confirmed(weight, merge, *_pairs([rows]))
            if same.all():
                yield int(rows[0]), rows.tolist(), [ONE, *ratios]
                continue
        exact = merge.apply(weight[rows]).ints.reshape(len(rows), -1)
        yield from (found for found in proportional(exact, rows.tolist()) if found[0] is None or len(found[1]) > 1)


_SAMPLED = 16
ZERO_ROW = -1


def _all_apart(weight: np.ndarray) -> bool:
    """Whether two entries of each row tell all rows apart: their quotient, correctly rounded, is the same for all multiples of a row."""
    flat = weight.reshape(len(weight), -1)
    if flat.shape[1] < 2:
        return False
    top, bottom = flat[:, flat.shape[1] // 3].astype(np.float64), flat[:, flat.shape[1] * 2 // 3].astype(np.float64)
    if not bottom.all():
        return False
    with np.errstate(over="ignore", under="ignore"):
        return len(np.unique(top / bottom)) == len(weight)


def alike(forms: np.ndarray, rows: np.ndarray) -> dict[int, np.ndarray]:
    """Groups of several rows with the same key, in order of their first rows; rows whose forms all vanish under ZERO_ROW."""
    keys, first, inverse, counts = np.unique(directions(forms), return_index=True, return_inverse=True, return_counts=True)
    order, begins = np.argsort(inverse, kind="stable"), np.cumsum(counts) - counts
    several = [k for k in np.argsort(first) if counts[k] > 1 or keys[k] == ZERO_ROW] if len(keys) < len(rows) or ZERO_ROW in keys else []
    return {int(keys[k]): rows[order[begins[k] : begins[k] + counts[k]]] for k in several}


def _pairs(groups: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Every row but the first of its group, and the first."""
    if not groups:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    return np.concatenate([g[1:] for g in groups]), np.concatenate([np.full(len(g) - 1, g[0]) for g in groups])


def _classes(rows: np.ndarray, bases: np.ndarray, ratios: list[Fraction]) -> Iterator[Class]:
    """Classes from pairs of a row and its base, in order."""
    found: dict[int, tuple[list[int], list[Fraction]]] = {}
    for row, base, ratio in zip(rows.tolist(), bases.tolist(), ratios, strict=True):
        members, their = found.setdefault(base, ([base], [ONE]))
        members.append(row)
        their.append(ratio)
    yield from ((base, members, their) for base, (members, their) in found.items())


def confirmed(weight: np.ndarray, merge: Merge, rows: np.ndarray, bases: np.ndarray) -> tuple[np.ndarray, list[Fraction]]:
    """Which rows are multiples of their bases, as floats can prove it (the others may be); the ratios of those. No base sums to zero.

    Rows that are multiples before the columns are summed are so afterwards. The product of
    two float32 is exact in float64, and so is the larger of two floats as the
    smaller times a power of two.
    """
    same, ratios = np.zeros(len(rows), dtype=bool), []
    step = max(1, _BLOCK // max(1, weight.shape[1] * weight.shape[2]))
    for start in range(0, len(rows), step):
        at = slice(start, start + step)
        one, base = (weight[i].reshape(len(i), -1) for i in (rows[at], bases[at]))
        good, ratio = _multiples(one, base)
        if not good.all() and not merge.plain:
            left = np.flatnonzero(~good)
            (one, exact), (base, exact_too) = (merge.floats(weight[i[at][left]]) for i in (rows, bases))
            summed, ratio[left] = _multiples(one.reshape(len(left), -1), base.reshape(len(left), -1))
            good[left] = summed & exact & exact_too
        same[at] = good
        ratios += [ratio[k] for k in np.flatnonzero(good)]
    return same, ratios


_BLOCK = 1 << 16


@lru_cache(maxsize=1 << 12)
def _fraction(x: float) -> Fraction:
    return ONE if x == 1 else Fraction(x)


def _multiples(one: np.ndarray, base: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For rows (r, k) of floats: which are a multiple of their base for certain, and what multiple (objects, Fractions where certain)."""
    index = np.arange(len(one))
    pivot = (base != 0).argmax(axis=1)
    top, bottom = one[index, pivot].astype(np.float64), base[index, pivot].astype(np.float64)
    good, ratios = np.zeros(len(one), dtype=bool), np.empty(len(one), dtype=object)
    possible = (top != 0) & (bottom != 0)
    factor = np.divide(top, bottom, out=np.ones(len(one)), where=possible)
    power = possible & (np.abs(np.frexp(factor)[0]) == 0.5)
    for rows, big, small, up in (
        (power & (np.abs(factor) >= 1), one, base, factor),
        (power & (np.abs(factor) < 1), base, one, 1 / factor),
    ):
        if rows.any():
            whole = rows.all()
            a, b, k = (big, small, up) if whole else (big[rows], small[rows], up[rows])
            with np.errstate(over="ignore", invalid="ignore"):  # what overflows is not the other row
                good[rows] = (a == b * k[:, None].astype(b.dtype)).all(axis=1)
    rest = possible & ~power
    if rest.any() and one.dtype == np.float32:
        good[rest] = (one[rest] * bottom[rest, None] == base[rest] * top[rest, None]).all(axis=1)
    for k in np.flatnonzero(good):
        ratios[k] = _fraction(float(factor[k])) if power[k] else Fraction(top[k]) / Fraction(bottom[k])
    return good, ratios


def proportional(exact: np.ndarray, rows: list[int]) -> list[Class]:
    """Split candidate rows, `exact` integers (rows, ...), into classes of multiples, those of one row too, and zero rows."""
    found: list[Class] = []
    zero = ~(exact != 0).any(axis=1)
    if zero.any():
        found.append((None, [rows[k] for k in np.flatnonzero(zero)], [ONE] * int(zero.sum())))
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
    moved = [j for j in np.flatnonzero(x.moved) if not isinstance(x.offset[j], Surd)]
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
    keep = np.zeros(len(x), dtype=bool)
    moved = np.zeros(len(x), dtype=bool)
    if uneven is not None and x.moved.any():
        behind = gone & ~x.irrational & x.moved
        keep = _read_unevenly(weight, uneven, behind, _unbalanced(weight, uneven, x, behind, rows))
        shifted = x.present & np.isin(x.classes, x.classes[x.present & x.moved])
        moved = x.present & np.isin(x.classes, x.classes[_read_unevenly(weight, uneven, shifted, rows)])
    if (gone & x.irrational).any():
        keep |= gone & x.irrational & (weight[rows] != 0).any(axis=(0, 2))
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


def alive(weight: np.ndarray, x: Lumping, rows: np.ndarray) -> np.ndarray:
    """Units of the operand with a non-zero collapsed coefficient in one of the rows."""
    mask = np.zeros(len(x), dtype=bool)
    if not len(rows):
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
        merge, block = Merge(renumber[x.classes], x.scale, len(pending)), weight[rows[start : start + 64]]
        sums, exact = merge.floats(block)
        seen = (sums[exact] != 0).any(axis=(0, 2))
        if not exact.all():
            seen |= (merge.apply(block[~exact]).ints != 0).any(axis=(0, 2))
        mask |= np.isin(x.classes, [c for c, s in zip(pending, seen, strict=True) if s])
        pending = [c for c, s in zip(pending, seen, strict=True) if not s]
    return mask


def observed(out: Lumping, alive_out: np.ndarray) -> np.ndarray:
    """The rows that stand for the observed classes."""
    return np.asarray(out.first[alive_out[out.first]])


def quotient(weight: np.ndarray, x_column: np.ndarray, x_scale: np.ndarray, x_count: int, rows: np.ndarray) -> np.ndarray | Collapsed:
    """The rows that stay, collapsed to the columns that stay: (rows, x_count, taps).

    Stored floats when every column is one unit with scale 1, else exact integers.
    """
    columns = np.where(x_column < x_count, x_column, -1)
    used = np.flatnonzero(columns >= 0)
    if len(used) == x_count and all(s is ONE or s == 1 for s in x_scale[used].tolist()):
        order = used[np.argsort(columns[used])]
        if weight.shape[:2] == (len(rows), len(order)) and (np.diff(rows) == 1).all() and (np.diff(order) == 1).all():
            return weight
        return selected(weight, rows, order)
    return Collapsed(weight, rows, Merge(columns, x_scale, x_count), (len(rows), x_count, weight.shape[2]))


def declined(weight: np.ndarray, x: Kept, rows: np.ndarray, mask: np.ndarray) -> Demand:
    """The merges behind some entries of a quotient's weight (rows, columns, ...) or bias (rows,) are undone."""
    if mask.ndim > 1:
        columns = np.flatnonzero(mask.reshape(*mask.shape[:2], -1).any(axis=(0, 2)))
        apart = np.isin(x.column, columns)
        keep = np.zeros(len(apart), dtype=bool)
    else:
        read = (weight[rows[mask]] != 0).any(axis=(0, 2)) & x.lumping.moved
        keep, apart = read & ~x.lumping.present, read & x.lumping.present
    return replace(default_keep(x.lumping, keep), label=np.where(apart, 1 + np.arange(len(apart)), 0))


def rounding_cost(weight: np.ndarray, members: np.ndarray, scales: np.ndarray, rows: np.ndarray, dtype: str) -> int:
    """How many weights of one merged column (scales[j] * column members[j], summed) would be rounded."""
    column = _one_sum(weight[np.ix_(rows, members)], scales)
    return int(column.rounded(dtype)[1].sum())
