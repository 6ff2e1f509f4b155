"""What the neighbours of a value demand of its lumping, accumulated to a fixpoint.

A demand only ever grows: it splits classes further and keeps more constant
units. Refinement starts from no demand, so the fixpoint reached is the coarsest
lumping that satisfies all of them (greatest fixpoint, THEORY section 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lumpnet.exact import ONE, Surd, constant_array, roots
from lumpnet.partition.lumping import Lumping, joint, normal_form, split


@dataclass(frozen=True, eq=False)
class Demand:
    """Arrays of shape (n,): units with different `label` stay apart; a `kept` constant
    stays as a unit, with `scale` against the direction of its class."""

    label: np.ndarray
    kept: np.ndarray
    scale: np.ndarray

    def meet(self, other: Demand) -> Demand:
        """Both demands; a scale once given to a kept constant stays."""
        if np.array_equal(other.label, np.zeros_like(other.label)):
            label = self.label
        else:
            label = joint(self.label, other.label)
        fresh = other.kept & ~self.kept
        scale = self.scale
        if fresh.any():
            scale = scale.copy()
            scale[fresh] = other.scale[fresh]
        return Demand(label, self.kept | other.kept, scale)

    def same(self, other: Demand) -> bool:
        return np.array_equal(self.label, other.label) and np.array_equal(self.kept, other.kept)


def nothing(n: int) -> Demand:
    return Demand(np.zeros(n, dtype=np.int64), np.zeros(n, dtype=bool), constant_array(n, ONE))


def everything(n: int) -> Demand:
    """Every unit stays, alone: the pin."""
    return Demand(np.arange(n), np.ones(n, dtype=bool), constant_array(n, ONE))


def refine(lumping: Lumping, demand: Demand) -> Lumping:
    """The coarsest lumping inside `lumping` that satisfies `demand`."""
    kept = demand.kept & ~lumping.present
    if not kept.any() and (lumping.is_discrete or not demand.label.any()):
        return lumping
    if not kept.any():
        return split(lumping, demand.label)
    keys: list[object] = []
    scale, offset = lumping.scale.copy(), lumping.offset.copy()
    irrational = roots([v if k else None for v, k in zip(lumping.value, kept, strict=True)])
    for i, (c, label) in enumerate(zip(lumping.classes.tolist(), demand.label.tolist(), strict=True)):
        if kept[i]:
            value, scale[i] = lumping.value[i], demand.scale[i]
            if isinstance(value, Surd):  # the difference to a multiple must be rational
                m, core = irrational[i]
                keys.append(("kept", label, m / scale[i], core))
                offset[i] = value.a
            else:
                keys.append(("kept", label))
                offset[i] = value
        else:
            keys.append((c, label) if lumping.present[i] else None)
    return normal_form(keys, scale, offset, lumping.value)
