"""Grouped convolutions, transposed or not: each group reads its own channels, so the groups that stay must stay whole (THEORY section 2).

Depthwise (one channel a group) is a unary operator with weights. In wider groups
channels merge group with group, position by position.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from fractions import Fraction

import numpy as np

from lumpnet.exact import ONE, ZERO, Number, Surd, constant_array
from lumpnet.ops.base import Kept, Op, Piece, Site, claimed
from lumpnet.ops.kernels import Kernel
from lumpnet.ops.unary import Image, Unary, default_keep
from lumpnet.partition import Demand, Lumping, labels, normal_form


def _bias(site: Site, unit: int) -> Fraction:
    return Fraction(float(site.params["bias"][unit])) if "bias" in site.params else ZERO


def _sliced(kernel: Kernel, site: Site, x: Kept, out: Kept) -> Piece:
    """The rows of the representatives' groups, as they are."""
    weight = kernel.by_rows(site, site.params["weight"])
    groups = len(x.units) // weight.shape[1]
    params = {"weight": kernel.as_stored(site, weight[out.units], groups)}
    if "bias" in site.params:
        params["bias"] = site.params["bias"][out.units]
    return Piece(site.node.kind, (0,), dict(site.attrs) | {"groups": groups}, dict(params))


class Depthwise(Unary):
    """Output channel j = i * multiplier + l reads channel i through its own taps."""

    def __init__(self, kernel: Kernel):
        self.kernel = kernel

    def source(self, site: Site) -> np.ndarray:
        return np.asarray(np.arange(site.units) // (site.units // site.attrs["groups"]))

    def slots(self, site: Site) -> list[Hashable]:
        multiplier = site.units // site.attrs["groups"]
        return [j % multiplier for j in range(site.units)]

    def _row(self, site: Site, unit: int) -> np.ndarray:
        row: np.ndarray = self.kernel.by_rows(site, site.params["weight"])[unit, 0]
        return row

    def _taps(self, site: Site, unit: int) -> list[Fraction]:
        return [Fraction(float(w)) for w in self._row(site, unit)]

    def _total(self, site: Site, unit: int) -> Fraction:
        """What a constant one becomes, where it is the same everywhere."""
        return sum((Fraction(float(w)) for w in self._row(site, unit)[self.kernel.seen(site)]), ZERO)

    def _uneven(self, site: Site, unit: int) -> bool:
        uneven = self.kernel.uneven(site)
        return uneven is not None and bool(uneven(self._row(site, unit)))

    def row(self, site: Site, unit: int, scale: Fraction, offset: Fraction) -> Image:
        taps = self._taps(site, unit)
        pivot = next((w for w in taps if w), ONE)
        key: Hashable = tuple(w / pivot for w in taps)
        if self._uneven(site, unit):
            return (key, offset / scale), scale * pivot, _bias(site, unit)
        return (key, "free"), scale * pivot, self._total(site, unit) * offset + _bias(site, unit)

    def constant(self, site: Site, unit: int, c: Number) -> Number | None:
        """None for an irrational constant, which stays where weights read it."""
        if isinstance(c, Surd) or (c != 0 and self._uneven(site, unit)):
            return None
        return c * self._total(site, unit) + _bias(site, unit)

    def always(self, site: Site, unit: int) -> Number | None:
        return None if self._row(site, unit).any() else _bias(site, unit)

    def rescale(self, site: Site, unit: int, scale: Fraction) -> Fraction:
        return scale / next((w for w in self._taps(site, unit) if w), ONE)

    def quotient(self, site: Site, ins: Sequence[Kept], out: Kept) -> Piece:
        return _sliced(self.kernel, site, ins[0], out)


class Wide(Op):
    """Groups of several channels: `(group, position)` merges with the same position of another group, or not at all."""

    def __init__(self, kernel: Kernel):
        self.kernel = kernel

    def _weight(self, site: Site) -> np.ndarray:
        return self.kernel.by_rows(site, site.params["weight"])

    def _shape(self, site: Site) -> tuple[int, int, int]:
        """Groups, channels read by each, channels made by each."""
        groups = site.attrs["groups"]
        return groups, int(site.in_shapes[0][1] or 0) // groups, site.units // groups

    def forward(self, site: Site, ins: Sequence[Lumping]) -> Lumping:
        (x,) = ins
        weight, (_, width, made) = self._weight(site), self._shape(site)
        keys: list[Hashable] = [None] * site.units
        scale, offset, value = constant_array(site.units, ONE), constant_array(site.units, ZERO), constant_array(site.units, None)
        for j in range(site.units):
            first = j // made * width
            value[j] = self._constant(site, x, weight[j], j, first)
            if value[j] is not None:
                continue
            units = range(first, first + width)
            terms = [x.scale[i] * Fraction(float(w)) if x.present[i] else ZERO for i, taps in zip(units, weight[j].tolist(), strict=True) for w in taps]
            pivot = next((w for w in terms if w), ONE)
            keys[j] = (j % made, tuple(int(x.classes[i]) for i in units), tuple(w / pivot for w in terms))
            scale[j], offset[j] = pivot, _bias(site, j)
        return normal_form(keys, scale, offset, value)

    def _constant(self, site: Site, x: Lumping, row: np.ndarray, j: int, first: int) -> Fraction | None:
        """What output unit j, with weights `row` (channels, taps), always equals, if every channel it reads is a constant that may leave."""
        total, uneven, seen = _bias(site, j), self.kernel.uneven(site), self.kernel.seen(site)
        for i in np.flatnonzero((row != 0).any(axis=1)):
            c = x.value[first + i]
            if x.present[first + i] or isinstance(c, Surd) or (c != 0 and uneven is not None and bool(uneven(row[i]))):
                return None
            total += c * sum((Fraction(float(w)) for w in row[i][seen]), ZERO)
        return total

    def demands(
        self, site: Site, ins: Sequence[Lumping], out: Lumping, free: Sequence[np.ndarray], free_out: np.ndarray
    ) -> tuple[list[Demand | None], Demand | None]:
        (x,) = ins
        if not claimed(out, free_out).any():
            return [None], None
        groups, width, made = self._shape(site)
        reads, makes = x.classes.reshape(groups, width), out.classes.reshape(groups, made)
        stays = (x.present & ~free[0]).reshape(groups, width).any(axis=1) | claimed(out, free_out).reshape(groups, made).any(axis=1)
        alike = labels((tuple(a), tuple(b)) for a, b in zip(reads.tolist(), makes.tolist(), strict=True))
        apart = [o / s if p else None for p, o, s in zip(x.present, x.offset, x.scale, strict=True)]
        up = labels((i % width, int(alike[i // width]), apart[i]) for i in range(len(x)))
        down = labels((j % made, int(alike[j // made])) for j in range(len(out)))
        keep_in, keep_out = default_keep(x, np.repeat(stays, width) & ~x.present), default_keep(out, np.repeat(stays, made) & ~out.present)
        return [Demand(up, keep_in.kept, keep_in.scale)], Demand(down, keep_out.kept, keep_out.scale)

    def alive(self, site: Site, ins: Sequence[Lumping], out: Lumping, alive_out: np.ndarray) -> list[np.ndarray]:
        groups, width, made = self._shape(site)
        return [np.repeat(alive_out.reshape(groups, made).any(axis=1), width) & ins[0].present]

    def links(self, site: Site) -> list[tuple[np.ndarray, np.ndarray]]:
        groups, width, made = self._shape(site)
        group, position, slot = (index.reshape(-1) for index in np.indices((groups, width, made)))
        return [(group * width + position, group * made + slot)]

    def quotient(self, site: Site, ins: Sequence[Kept], out: Kept) -> Piece:
        return _sliced(self.kernel, site, ins[0], out)
