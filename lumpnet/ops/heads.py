"""The heads of an attention: blocks of units that stay or leave together, and the scores they attend by.

A *block* is one key/value head with the `heads / kv_heads` query heads that share
it. The scores of a head, up to what softmax does not see, are its *form*: with
q_i = a_i y_c(i) + b_i and k_i = r_i z_e(i) + o_i,

    sum_i q_i k_i  =  sum a_i r_i y_c(i) z_e(i)  +  sum b_i r_i z_e(i)  +  (no key in it).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lumpnet.exact import ZERO, Surd
from lumpnet.ops.base import Site
from lumpnet.partition import GONE, Lumping, labels

Columns = list[tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Heads:
    """An attention's operands, cut into `blocks` of `each` query heads; d and dv are the widths of a head."""

    site: Site
    ins: Sequence[Lumping]

    @cached_property
    def blocks(self) -> int:
        return int(self.site.attrs["kv_heads"])

    @cached_property
    def each(self) -> int:
        return int(self.site.attrs["heads"]) // self.blocks

    @cached_property
    def d(self) -> int:
        return len(self.ins[1]) // self.blocks

    @cached_property
    def dv(self) -> int:
        return len(self.ins[2]) // self.blocks

    def q(self, units: np.ndarray) -> np.ndarray:
        """Query units (or the output's, of width `dv`) as (blocks, each, width)."""
        return units.reshape(self.blocks, self.each, -1)

    def kv(self, units: np.ndarray) -> np.ndarray:
        """Key or value units as (blocks, width)."""
        return units.reshape(self.blocks, -1)

    @cached_property
    def forms(self) -> list[int]:
        """(heads,) equal numbers for heads that attend alike."""
        q, k, _ = self.ins
        own = labels(_form(q, k, h * self.d, h // self.each * self.d, self.d) for h in range(self.blocks * self.each))
        return [int(form) for form in own]

    def silent(self) -> np.ndarray:
        """(blocks, d) bool: the key unit is a constant, or all its query units are constantly zero: the scores do not have it."""
        q, k, _ = self.ins
        zero = ~q.present & np.array([v is not None and v == ZERO for v in q.value], dtype=bool)
        return np.asarray(self.kv(~k.present) | self.q(zero).all(axis=1))

    def dropped(self, possible: np.ndarray, stays: np.ndarray, least: int) -> np.ndarray:
        """(blocks, width) bool: of the positions that may leave the same number in every block that stays, the first ones; `least` are left."""
        count = min((int(row.sum()) for row in possible[stays]), default=0)
        count = min(count, possible.shape[1] - least)
        return np.asarray(possible & (np.cumsum(possible, axis=1) <= count))

    def alike(self, out: Lumping, without: np.ndarray, without_v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Labels under which units of a block stay apart, and units of two blocks meet only where the whole blocks are alike.

        The first for keys and, head by head, queries (blocks, d), the second for values and outputs (blocks, dv); positions `without` stand alone.
        """
        q, k, v = self.ins
        keys, values = _columns(self.kv(k.classes), self.q(q.classes)), _columns(self.kv(v.classes), self.q(out.classes))
        own = labels(zip(_sorted(keys, without), _sorted(values, without_v), strict=True))
        return _places(keys, without, own), _places(values, without_v, own)

    def wide(self, array: np.ndarray) -> np.ndarray:
        """A (blocks, width) array for every query head of the block, flat."""
        return np.repeat(array[:, None, :], self.each, axis=1).ravel()

    def by_head(self, places: np.ndarray) -> np.ndarray:
        """Labels of queries or outputs: the places, apart for the heads of a block."""
        head = np.broadcast_to(np.arange(self.each)[None, :, None], (self.blocks, self.each, places.shape[1])).ravel()
        return labels(zip(head.tolist(), self.wide(places).tolist(), strict=True))


def _columns(shared: np.ndarray, own: np.ndarray) -> list[Columns]:
    """Per block and position the class of the key (value) unit and those of its heads' query (output) units."""
    cut = np.concatenate([shared[:, None], own], axis=1)
    return [[tuple(column) for column in block.T.tolist()] for block in cut]


def _sorted(blocks: list[Columns], without: np.ndarray) -> list[tuple[tuple[int, ...], ...]]:
    return [tuple(sorted(c for c, gone in zip(columns, mask, strict=True) if not gone)) for columns, mask in zip(blocks, without.tolist(), strict=True)]


def _places(blocks: list[Columns], without: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Number the positions: equal in two alike blocks where the columns are equal, the first with the first."""
    keys: list[Hashable] = []
    for block, (sides, gone) in enumerate(zip(blocks, without.tolist(), strict=True)):
        seen: dict[tuple[int, ...], int] = {}
        for at, side in enumerate(sides):
            seen[side] = seen.get(side, -1) + 1
            keys.append(("gone", block, at) if gone[at] else (int(own[block]), side, seen[side]))
    return labels(keys).reshape(without.shape)


def _form(q: Lumping, k: Lumping, first: int, first_k: int, d: int) -> Hashable:
    """The scores as coefficients of products of columns, and of key columns alone. An irrational query constant makes a form of its own."""
    pairs: dict[tuple[int, int], Any] = {}
    for i, j in zip(range(first, first + d), range(first_k, first_k + d), strict=True):
        e = int(k.classes[j])
        if e == GONE:
            continue
        if q.classes[i] != GONE:
            at = (int(q.classes[i]), e)
            pairs[at] = pairs.get(at, ZERO) + q.scale[i] * k.scale[j]
        if isinstance(q.offset[i], Surd):
            return ("irrational", first, tuple(pairs))
        pairs[GONE, e] = pairs.get((GONE, e), ZERO) + q.offset[i] * k.scale[j]
    return frozenset((at, value) for at, value in pairs.items() if value != 0)
