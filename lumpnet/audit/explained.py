"""What another network did to the units of the original, as a lumping with residuals (THEORY section 4): measured along a relation, not told from a name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lumpnet.audit.matching import changes
from lumpnet.bounds.outward import Range
from lumpnet.bounds.ranges import ranges
from lumpnet.bounds.relaxed import Match
from lumpnet.domain import Domain
from lumpnet.figures import above, count
from lumpnet.ir import Graph
from lumpnet.lump.layers import layers
from lumpnet.ops.sites import counted, sites

CLOSE = 2.0**-20
"""A unit whose stored numbers change by no more than this part of them has kept them: roundings of float32 are less."""


@dataclass(frozen=True)
class Explained:
    """Of the original's hidden units `units`: `zero` are in the zero class, `constant` in the class of a number, `merged` stand behind another one.

    `weighs`: the most that the readers of one unit of the zero class lose, `max_o |w_oi| sup |x_i|` (None where nothing is known of the sup, or
    nobody is in the class). Of the units that stay `changed` store other numbers: by up to `change`, the sum of the |changes| of one unit's numbers.
    `unknown` are units of layers that no layer of the other network can be laid beside.
    """

    units: int
    zero: int
    constant: int
    merged: int
    changed: int
    change: float
    weighs: float | None
    unknown: int

    def __str__(self) -> str:
        zero = f"{count(self.zero)} to 0" + (f" (worth up to {above(self.weighs)})" if self.weighs is not None else "")
        parts = [
            zero if self.zero else "",
            f"{count(self.constant)} to a constant" if self.constant else "",
            f"{count(self.merged)} follow others" if self.merged else "",
            f"{count(self.changed)} changed by up to {above(self.change)}" if self.changed else "",
            f"{count(self.unknown)} follow nothing" if self.unknown else "",
        ]
        return f"of {count(self.units)} units " + (", ".join(filter(None, parts)) or "all stay as they are")


def explained(original: Graph, other: Graph, match: Match, domain: Domain) -> Explained:
    """Counts and sizes of residuals along the match. Raises `DomainError`."""
    hidden = counted(sites(original), original.outputs)
    moved = changes(original, other, match)
    tally = {"zero": 0, "constant": 0, "merged": 0, "changed": 0, "unknown": 0}
    change, zeros = 0.0, dict[str, np.ndarray]()
    for site in hidden:
        name = site.node.name
        if name not in match or name not in moved:
            tally["unknown"] += site.units
            continue
        units = match[name][1]
        stays = np.ones(site.units, dtype=bool)
        if units is not None and len(units.of) == site.units:
            stays = units.of >= 0
            zeros[name] = ~stays & (units.offset == 0)
            tally["zero"] += int(zeros[name].sum())
            tally["constant"] += int((~stays & (units.offset != 0)).sum())
            tally["merged"] += int(stays.sum()) - len(np.unique(units.of[stays]))
        by, size = moved[name]
        if len(by) == site.units:
            new = stays & (by > CLOSE * size)
            tally["changed"] += int(new.sum())
            change = max(change, float(by[new].max(initial=0.0)))
    return Explained(units=sum(s.units for s in hidden), change=change, weighs=_weighs(original, zeros, domain), **tally)


def _weighs(original: Graph, zeros: dict[str, np.ndarray], domain: Domain) -> float | None:
    if not any(mask.any() for mask in zeros.values()):
        return None
    found, worst = ranges(original, domain), 0.0
    axes = {s.node.name: s.axis for s in sites(original)}
    for layer in layers(original):
        gone = np.zeros(len(layer), dtype=bool)
        for name in layer.makers:
            if name in zeros:
                gone |= zeros[name][layer.at[name]].any(axis=1)
        if not gone.any():
            continue
        for slot in layer.reads:
            held = found[slot.value]
            if not isinstance(held, Range):
                return None
            most = np.moveaxis(np.maximum(np.abs(held.lo), np.abs(held.hi)), (axes[slot.value] or 1) - 1, 0)
            sup = most.reshape(len(most), -1).max(axis=1, initial=0.0)[layer.at[slot.value]].max(axis=1)
            weights = np.abs(layer.entries(original, (slot,))).max(axis=1, initial=0.0)
            worst = max(worst, float((sup * weights)[gone].max()))
    return worst


__all__ = ["Explained", "explained"]
