"""Which rule removed which units, and what kept the others: the words of `show` and `reduce`.

Units are counted over hidden values: outputs of linear and convolution nodes
that are not network outputs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from lumpnet.ir import Graph
from lumpnet.lump.exact import Outcome, crossed
from lumpnet.ops import Kept, Site, get
from lumpnet.ops.sites import counted, sites

RULES = ("constant", "unobserved", "equal", "proportional", "affine", "cancelled")


@dataclass(frozen=True)
class Size:
    """Hidden units, stored parameters, bytes of parameters, multiply-adds for one example."""

    units: int
    parameters: int
    bytes: int
    multiply_adds: int


def sizes(before: Size, after: Size) -> dict[str, int]:
    """`units_before`, `units_after`, and so on: what machines read."""
    return {f"{what}_{when}": getattr(size, what) for what in _COUNTED for when, size in (("before", before), ("after", after))}


def size_lines(before: Size, after: Size) -> list[str]:
    """What people read."""
    return [f"{says:<14} {getattr(before, what):>12,} -> {getattr(after, what):,}" for what, says in _COUNTED.items()]


_COUNTED = {"units": "hidden units", "parameters": "parameters", "multiply_adds": "multiply-adds"}


def measure(graph: Graph) -> Size:
    """The size of a network."""
    all_sites = sites(graph)
    units = sum(s.units for s in counted(all_sites, graph.outputs))
    work = sum(get(s.node.kind).multiply_adds(s) for s in all_sites)
    weights = [t for name, t in graph.tensors.items() if name not in graph.buffers]
    return Size(units, graph.parameter_count(), sum(t.nbytes for t in weights), work)


def removed(outcome: Outcome, kept: Mapping[str, Kept]) -> dict[str, Counter[str]]:
    """Per hidden value (by node name): rule -> units that it removed."""
    found = {}
    for s in counted(outcome.sites, outcome.graph.outputs):
        mine = kept[s.node.name]
        found[s.node.name] = _rules(outcome, mine, s.node.name)
        if len(mine.units) and not len(kept[s.node.inputs[0]].units):  # what stays are stored constants, no longer units of a layer
            found[s.node.name]["constant"] += len(mine.units)
    return found


def _rules(outcome: Outcome, kept: Kept, name: str) -> Counter[str]:
    x, count = kept.lumping, Counter[str]()
    stay = set(kept.units.tolist())
    for i in range(len(x)):
        if i in stay:
            continue
        if not x.present[i]:
            count["constant"] += 1
        elif kept.column[i] >= len(kept.units):
            count["cancelled" if outcome.structural[name][i] else "unobserved"] += 1
        elif x.offset[i] != 0:
            count["affine"] += 1
        else:
            count["equal" if x.scale[i] == 1 else "proportional"] += 1
    return count


def pinned(all_sites: list[Site] | tuple[Site, ...]) -> list[tuple[str, str]]:
    """(operator, reason) for every node whose operands must stay whole, where they have units to lose."""
    found = []
    for s in all_sites:
        if s.axis is None and any(axis is not None for axis in s.in_axes):
            found.append((f"{s.node.name} ({s.node.attrs.get('target', s.node.kind)})", get(s.node.kind).why_pinned(s)))
    for one, two in crossed(all_sites):
        (tensor, *_) = sorted(set(one.node.params.values()) & set(two.node.params.values()))
        for s, other in ((one, two), (two, one)):
            found.append((f"{s.node.name} ({s.node.kind})", f"shares {tensor} with {other.node.name}, an operator of another kind"))
    return found
