"""Which member stands for a class, and which merges to decline: the search before rounding.

A merged weight need not be representable. The representative of a class decides
its scale, so other members are tried first (powers of two are members like any
other); with `require="exact"` the merges that still round are undone, and in any
case those that overflow.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from lumpnet.errors import RoundingError
from lumpnet.ir import Graph
from lumpnet.lump.exact import Outcome, Progress, coarsest
from lumpnet.lump.relaxed import Near
from lumpnet.ops import Kept, Site
from lumpnet.ops.sites import rules
from lumpnet.partition import Demand, Lumping
from lumpnet.quotient.build import Quotient, build, operands
from lumpnet.quotient.columns import all_columns

_TRIES = 8

Slot = tuple[str, int]
Neighbours = dict[Slot, list[tuple[Slot, Slot, dict[int, int]]]]
"""By class: (operand class, output class, output unit -> operand unit) of what must be represented by equal units."""


@dataclass(frozen=True, eq=False)
class Plan:
    """The lumping, its columns and the quotient; `declined` is the number of merges' rounds undone."""

    outcome: Outcome
    kept: Mapping[str, Kept]
    quotient: Quotient
    declined: int = 0


Units = Mapping[str, np.ndarray]


def plan(graph: Graph, require: str = "nearest", dtype: str | None = None, progress: Progress = lambda text: None, stay: Units | None = None) -> Plan:
    """The reduction to emit. `require` is "exact" (no weight may be rounded) or "nearest". `stay` (units,) bool by value: what stands for the others."""
    extra: dict[str, Demand] = {}
    declined = 0
    while True:
        outcome = coarsest(graph, extra, progress)
        kept, quotient = _represent(outcome, dtype, progress, stay)
        bad = quotient.inexact if require == "exact" else quotient.overflow
        if not bad or not _decline(outcome, kept, bad, extra):
            _finite(quotient)
            return Plan(outcome, kept, quotient, declined)
        declined += 1


def settled(near: Near, progress: Progress = lambda text: None) -> Near:
    """Without the merges that exact lumping does not follow: whatever stays keeps its own numbers."""
    while near.merges:
        outcome = coarsest(near.graph, progress=progress)
        kept = all_columns(outcome, {name: _first(x, near.stay.get(name)) for name, x in outcome.lumpings.items()})
        fewer = near.without({name: one.units for name, one in kept.items()})
        if len(fewer.merges) == len(near.merges):
            break
        near = fewer
    return near


def _finite(quotient: Quotient) -> None:
    """Raises `RoundingError` where a weight overflows though nothing was merged into it."""
    for (name, role), mask in quotient.overflow.items():
        found = f"{int(mask.sum())} entries of its {role} have no finite value in the output dtype"
        raise RoundingError(f"node {name!r}", found, "finite weights", "dtype='float64'")


def _decline(outcome: Outcome, kept: Mapping[str, Kept], bad: Mapping[tuple[str, str], np.ndarray], extra: dict[str, Demand]) -> bool:
    """Add the demands that undo the merges behind the bad entries; whether there are any."""
    changed = False
    for site in outcome.sites:
        for role in [role for name, role in bad if name == site.node.name]:
            here, op, mask = kept[site.node.name], rules(site), bad[site.node.name, role]
            asked = [*op.declined(site, operands(site, kept), here, role, mask), op.declined_own(site, here, role, mask)]
            for name, up in zip((*site.node.inputs, site.node.name), asked, strict=True):
                if up is not None:
                    up = replace(up, label=np.unique(up.label, return_inverse=True)[1])
                    met = extra[name].meet(up) if name in extra else up
                    changed |= name not in extra or not met.same(extra[name])
                    extra[name] = met
    return changed


def _represent(outcome: Outcome, dtype: str | None, progress: Progress, stay: Units | None) -> tuple[Mapping[str, Kept], Quotient]:
    """Columns and quotient with the representatives that round least."""
    ranks = {name: _first(x, (stay or {}).get(name)) for name, x in outcome.lumpings.items()}
    kept = all_columns(outcome, ranks)
    quotient = build(outcome, kept, dtype)
    if not quotient.inexact or stay:
        return kept, quotient
    progress("choosing representatives")
    rounding, near = _rounding_classes(outcome, kept, quotient), _neighbours(outcome)
    for component in _components(outcome):
        if rounding & set(component) and _scaled(outcome, component):
            _settle(outcome, kept, component, near, ranks, dtype)
    kept = all_columns(outcome, ranks)
    return kept, build(outcome, kept, dtype)


def _first(x: Lumping, stay: np.ndarray | None) -> np.ndarray:
    """Per class the rank of its first member, or of the first that is to stand for the others."""
    ranks = np.zeros(x.count, dtype=np.int64)
    if stay is not None:
        ranks[:] = [stay[x.classes == c].argmax() for c in range(x.count)]
    return ranks


def _rounding_classes(outcome: Outcome, kept: Mapping[str, Kept], quotient: Quotient) -> set[Slot]:
    """Classes that became a column with rounded weights."""
    found: set[Slot] = set()
    for site in outcome.sites:
        mask = quotient.inexact.get((site.node.name, rules(site).column_role))
        if mask is not None and mask.ndim > 1 and site.in_axes[0] is not None:
            name = site.node.inputs[0]
            for k in rules(site).rounded(site, mask):
                found.add((name, int(outcome.lumpings[name].classes[kept[name].units[k]])))
    return found


def _scaled(outcome: Outcome, component: list[Slot]) -> bool:
    return any((outcome.lumpings[name].scale[outcome.lumpings[name].classes == c] != 1).any() for name, c in component)


def _settle(outcome: Outcome, kept: Mapping[str, Kept], component: list[Slot], near: Neighbours, ranks: dict[str, np.ndarray], dtype: str | None) -> None:
    """Try each member as the component's representative and keep the one that rounds least."""
    slots = dict(component)
    size = min(int(outcome.lumpings[name].sizes[c]) for name, c in component)
    best, least = 0, None
    for rank in range(min(size, _TRIES)):
        if rank and not _fits(outcome, set(component), near, ranks, rank):
            continue
        cost = sum(_cost(outcome, kept, site, slots, rank, dtype) for site in outcome.sites if site.node.inputs and site.node.inputs[0] in slots)
        if least is None or cost < least:
            best, least = rank, cost
        if not least:
            break
    for name, c in component:
        ranks[name][c] = best


def _neighbours(outcome: Outcome) -> Neighbours:
    """Linked classes on both ends, by either; an operand class of one unit fits anything."""
    pairs: dict[tuple[Slot, Slot], dict[int, int]] = defaultdict(dict)
    for site in outcome.sites:
        y = site.node.name
        for x, axis, (source, target) in zip(site.node.inputs, site.in_axes, rules(site).same_units(site), strict=False):
            before, after = outcome.lumpings[x], outcome.lumpings[y]
            for i, j in zip(source.tolist(), target.tolist(), strict=True) if axis is not None else ():
                if before.present[i] and after.present[j] and before.sizes[before.classes[i]] > 1 and outcome.alive[y][j]:
                    pairs[(x, int(before.classes[i])), (y, int(after.classes[j]))][j] = i
    found: Neighbours = defaultdict(list)
    for (a, b), origin in pairs.items():
        found[a].append((a, b, origin))
        found[b].append((a, b, origin))
    return found


def _fits(outcome: Outcome, slots: set[Slot], near: Neighbours, ranks: Mapping[str, np.ndarray], rank: int) -> bool:
    """Whether the representatives of linked classes would still be equal units: an operator that only moves units cannot scale them."""

    def representative(slot: Slot) -> int:
        name, c = slot
        return int(np.flatnonzero(outcome.lumpings[name].classes == c)[rank if slot in slots else ranks[name][c]])

    for a, b, origin in (link for slot in slots for link in near.get(slot, ())):
        x, one, two = outcome.lumpings[a[0]], representative(a), origin.get(representative(b))
        if two is not None and (x.scale[one] != x.scale[two] or x.offset[one] != x.offset[two]):
            return False
    return True


def _cost(outcome: Outcome, kept: Mapping[str, Kept], site: Site, slots: Mapping[str, int], rank: int, dtype: str | None) -> int:
    out = kept[site.node.name]
    if not len(out.units) or site.axis is None:
        return 0
    x, c = outcome.lumpings[site.node.inputs[0]], slots[site.node.inputs[0]]
    members = np.flatnonzero(x.classes == c)
    scales = np.array([s / x.scale[members[rank]] for s in x.scale[members]], dtype=object)
    return rules(site).rounding_cost(site, members, scales, out, dtype or site.node.value.dtype)


def _components(outcome: Outcome) -> list[list[Slot]]:
    """Classes of several units that stay, grouped by shared columns, in topological order."""
    import networkx as nx  # here: importing it takes longer than refusing a bad file

    graph: nx.Graph[Slot] = nx.Graph()
    for name, x in outcome.lumpings.items():
        graph.add_nodes_from((name, int(c)) for c in np.flatnonzero(x.sizes > 1) if outcome.alive[name][x.first[c]])
    pairs: dict[tuple[str, str], set[tuple[int, int]]] = defaultdict(set)
    for site in outcome.sites:
        out = outcome.lumpings[site.node.name].classes
        for name, axis, (source, target) in zip(site.node.inputs, site.in_axes, rules(site).links(site), strict=False):
            if axis is not None:
                pairs[name, site.node.name] |= set(zip(outcome.lumpings[name].classes[source].tolist(), out[target].tolist(), strict=True))
    for (one, two), linked in pairs.items():
        graph.add_edges_from(((one, a), (two, b)) for a, b in linked if (one, a) in graph and (two, b) in graph)
    return [sorted(component) for component in nx.connected_components(graph)]
