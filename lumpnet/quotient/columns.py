"""From a lumping to columns of the reduced network: which classes stay, and which unit stands for each.

A class's *rank* says which of its members, in order, is the representative.
Values that share columns (operands and outputs of a coupling operator) use the
same rank, so every kept column equals one unit of the original throughout.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lumpnet.exact import ONE, ZERO, constant_array
from lumpnet.lump.exact import Outcome
from lumpnet.ops import Kept
from lumpnet.partition import GONE, Lumping


def columns(lumping: Lumping, alive: np.ndarray, ranks: np.ndarray) -> Kept:
    """The kept columns in the order of their first units, then the ghosts; the lumping against the representatives.

    ranks (classes,) int: which member of each class represents it.
    """
    living = alive[lumping.first]
    order = np.concatenate([np.flatnonzero(living), np.flatnonzero(~living)]).astype(np.int64)
    place = np.empty(len(order) + 1, dtype=np.int64)
    place[order], place[-1] = np.arange(len(order)), GONE
    units = np.flatnonzero(lumping.present)
    members = units[np.argsort(lumping.classes[units], kind="stable")]
    begins = np.cumsum(lumping.sizes) - lumping.sizes
    chosen = members[begins + np.where(living, ranks, 0)]
    return Kept(_against(lumping, chosen), chosen[order[: int(living.sum())]], place[lumping.classes])


def _against(lumping: Lumping, chosen: np.ndarray) -> Lumping:
    """The same relation with `chosen[c]` as the unit of scale 1 and offset 0 in class c."""
    if np.array_equal(chosen, lumping.first):
        return lumping
    scale, offset = lumping.scale.copy(), lumping.offset.copy()
    for i in np.flatnonzero(lumping.present):
        r = chosen[lumping.classes[i]]
        scale[i] = lumping.scale[i] / lumping.scale[r]
        offset[i] = lumping.offset[i] - scale[i] * lumping.offset[r]
    return Lumping(lumping.classes, scale, offset, lumping.value)


def all_columns(outcome: Outcome, ranks: Mapping[str, np.ndarray]) -> dict[str, Kept]:
    """Columns of every value; `ranks` by value name (absent: the first member)."""
    return {name: columns(x, outcome.alive[name], ranks.get(name, np.zeros(x.count, dtype=np.int64))) for name, x in outcome.lumpings.items()}


def whole(n: int, stays: bool = True) -> Kept:
    """A value without a unit axis, seen along an axis of size n by a node that needs one; it stays whole, or no output observes it."""
    units = np.arange(n)
    return Kept(Lumping(units, constant_array(n, ONE), constant_array(n, ZERO), constant_array(n, None)), units if stays else units[:0], units)
