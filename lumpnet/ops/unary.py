"""Operators with one operand whose columns are shared by operand and output.

Output unit j comes from operand unit `source[j]`; `slot[j]` tells apart output
units that come from one unit (positions a flatten turned into units, the
multiplier of a depthwise convolution). Elementwise operators have source[j] = j.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from fractions import Fraction

import numpy as np

from lumpnet.exact import ONE, ZERO, Number, Surd, constant_array, roots
from lumpnet.ops.base import Kept, Op, Params, Piece, Site, apart, claimed, keep_where, stay_together
from lumpnet.partition import GONE, Demand, Lumping, discrete, labels, normal_form

Image = tuple[Hashable, Fraction, Fraction]


class Unary(Op):
    """Shared columns. A subclass says what a row and a constant become."""

    uniform = False
    """Whether `row` does the same for every unit."""

    def source(self, site: Site) -> np.ndarray:
        return np.arange(site.units)

    def slots(self, site: Site) -> Sequence[Hashable]:
        return [0] * site.units

    def row(self, site: Site, unit: int, scale: Fraction, offset: Fraction) -> Image:
        """For output unit `unit` whose operand is `scale * y + offset`: (key, scale, offset) of the output.

        Units of one operand class stay together exactly when their keys agree;
        scale and offset are coordinates against a direction that such units share.
        """
        raise NotImplementedError

    def constant(self, site: Site, unit: int, c: Number) -> Number | None:
        """The output where the operand is the constant `c`, or None when it is not a number we can name."""
        raise NotImplementedError

    def always(self, site: Site, unit: int) -> Number | None:
        """A constant that the output unit equals whatever the operand is, or None."""
        return None

    def moves_all(self, site: Site) -> bool:
        """Whether no output unit is a constant by itself."""
        return type(self).always is Unary.always

    def rescale(self, site: Site, unit: int, scale: Fraction) -> Fraction:
        """The operand scale that would give this output scale (a guess that only affects how much is merged)."""
        return scale

    def forward(self, site: Site, ins: Sequence[Lumping]) -> Lumping:
        (x,) = ins
        source, slots = site.once("source", lambda: self.source(site)), site.once("slots", lambda: self.slots(site))
        n = len(source)
        if x.is_plain and self.moves_all(site) and site.once("apart", lambda: _apart(source, slots)):
            return discrete(n)
        row = self.row if not self.uniform else _remembered(self.row)
        keys: list[Hashable] = [None] * n
        scale, offset, value = constant_array(n, ONE), constant_array(n, ZERO), constant_array(n, None)
        irrational, classes, sizes, moves = roots(x.value), x.classes.tolist(), x.sizes.tolist(), self.moves_all(site)
        for j, i in enumerate(source.tolist()):
            own, c, always = classes[i], x.value[i], None if moves else self.always(site, j)
            if always is not None:
                value[j] = always
                continue
            if c is not None:
                value[j] = self.constant(site, j, c)
            if own != GONE and sizes[own] == 1:
                keys[j] = (own, slots[j])
            elif own != GONE:
                key, scale[j], offset[j] = row(site, j, x.scale[i], x.offset[i])
                keys[j] = (own, slots[j], key)
            elif value[j] is not None:
                continue
            elif isinstance(c, Surd):  # a coordinate against the root
                m, core = irrational[i]
                key, scale[j], offset[j] = row(site, j, m, c.a)
                keys[j] = ("root", core, slots[j], key)
            elif c == 0:
                keys[j] = ("constant", c, slots[j], row(site, j, ONE, ZERO)[0])
            else:
                key, scale[j], offset[j] = row(site, j, c, ZERO)
                keys[j] = ("constant", slots[j], key)
        return normal_form(keys, scale, offset, value)

    def demands(
        self, site: Site, ins: Sequence[Lumping], out: Lumping, free: Sequence[np.ndarray], free_out: np.ndarray
    ) -> tuple[list[Demand | None], Demand | None]:
        (x,) = ins
        if not claimed(out, free_out).any():
            return [None], None
        source = self.source(site)
        seen = _seen_through(x, source)
        down = Demand(apart(out, seen), ~out.present & seen.present & ~free[0][source], seen.scale)
        return [self._up(site, x, out, free_out, source)], down

    def _up(self, site: Site, x: Lumping, out: Lumping, free_out: np.ndarray, source: np.ndarray) -> Demand:
        """What the output asks of the operand: operand units stay together only if all their images do."""
        n = len(x)
        if np.array_equal(source, np.arange(n)):
            scale = constant_array(n, ONE)
            wanted = ~x.present & out.present
            scale[wanted] = [self.rescale(site, int(j), out.scale[j]) for j in np.flatnonzero(wanted)]
            return stay_together(x, out, free_out, scale)
        images: list[list[int]] = [[] for _ in range(n)]
        kept = np.zeros(n, dtype=bool)
        scale = constant_array(n, ONE)
        slots, needed = self.slots(site), claimed(out, free_out)
        order = {slot: k for k, slot in enumerate(dict.fromkeys(slots))}
        for j, i in sorted(enumerate(source.tolist()), key=lambda pair: order[slots[pair[0]]]):
            images[i].append(int(out.classes[j]))
            if not x.present[i] and needed[j]:
                kept[i], scale[i] = True, self.rescale(site, j, out.scale[j])
        return Demand(labels(map(tuple, images)), kept, scale)

    def alive(self, site: Site, ins: Sequence[Lumping], out: Lumping, alive_out: np.ndarray) -> list[np.ndarray]:
        mask = np.zeros(len(ins[0]), dtype=bool)
        mask[self.source(site)[alive_out]] = True
        return [mask]

    def links(self, site: Site) -> list[tuple[np.ndarray, np.ndarray]]:
        source = self.source(site)
        return [(source, np.arange(len(source)))]

    def quotient(self, site: Site, ins: Sequence[Kept], out: Kept) -> Piece:
        return Piece(site.node.kind, (0,), dict(site.attrs), dict(site.params))


def _remembered(row: Callable[[Site, int, Fraction, Fraction], Image]) -> Callable[[Site, int, Fraction, Fraction], Image]:
    """A row rule that is the same for every unit, asked once for every pair of scale and offset (objects that live as long as this)."""
    known: dict[tuple[int, int], Image] = {}

    def ask(site: Site, unit: int, scale: Fraction, offset: Fraction) -> Image:
        at = id(scale), id(offset)
        if at not in known:
            known[at] = row(site, unit, scale, offset)
        return known[at]

    return ask


def _apart(source: np.ndarray, slots: Sequence[Hashable]) -> bool:
    """Whether no two output units are the same slot of one operand unit."""
    return np.array_equal(source, np.arange(len(source))) or len(set(zip(source.tolist(), slots, strict=True))) == len(source)


def _seen_through(x: Lumping, source: np.ndarray) -> Lumping:
    """The operand's lumping, indexed by output units."""
    return Lumping(x.classes[source], x.scale[source], x.offset[source], x.value[source])


class Elementwise(Unary):
    """`y_i = f(x_i)`, the same f for every unit; the unit axis stays."""

    def infer(self, shapes: Sequence[tuple[int | None, ...]], attrs: object, params: Params) -> tuple[int | None, ...]:
        return tuple(shapes[0])

    def unit_axis(self, site: Site) -> int | None:
        return site.in_axes[0]


class Homogeneous(Elementwise):
    """`f(k u) = k f(u)` for k > 0 (ReLU, LeakyReLU): rows with positive scale and no offset pass."""

    uniform = True

    def row(self, site: Site, unit: int, scale: Fraction, offset: Fraction) -> Image:
        return (scale > 0, offset / scale), scale, ZERO


class Odd(Elementwise):
    """`f(-u) = -f(u)`: rows with scale +1 or -1 and no offset pass."""

    def row(self, site: Site, unit: int, scale: Fraction, offset: Fraction) -> Image:
        return (abs(scale), offset / scale), ONE if scale > 0 else -ONE, ZERO


class Opaque1(Elementwise):
    """Nothing known about f: only equal operands give equal outputs."""

    def row(self, site: Site, unit: int, scale: Fraction, offset: Fraction) -> Image:
        return (scale, offset), ONE, ZERO


class Linear1(Unary):
    """Linear in positions with weights that sum to one: any row passes, unless `sums_to_one` says otherwise."""

    def sums_to_one(self, site: Site) -> bool:
        return True

    def row(self, site: Site, unit: int, scale: Fraction, offset: Fraction) -> Image:
        if self.sums_to_one(site):
            return None, scale, offset
        return offset / scale, scale, ZERO

    def constant(self, site: Site, unit: int, c: Number) -> Number | None:
        return c if self.sums_to_one(site) or c == 0 else None


def default_keep(x: Lumping, mask: np.ndarray) -> Demand:
    """Keep the constants under `mask`; where nothing else gives a scale, all non-zero rationals share one class, and multiples of one root do."""
    scale, irrational = constant_array(len(x), ONE), roots(x.value)
    for i in np.flatnonzero(mask & ~x.present).tolist():
        if i in irrational:
            scale[i] = irrational[i][0]
        elif x.value[i] != 0:
            scale[i] = x.value[i]
    return keep_where(mask, scale)
