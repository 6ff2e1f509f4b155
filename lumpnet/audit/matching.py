"""Which value of one network follows which value of another, when nobody says so."""

from __future__ import annotations

from lumpnet.bounds.relaxed import Match, Units
from lumpnet.ir import Graph


def matched(original: Graph, other: Graph) -> Match:
    """Values in the order of the graphs, as long as kinds and shapes agree; the difference of whatever is left has no relation to go by."""
    found: dict[str, tuple[str, Units | None]] = {}
    for mine, theirs in zip(original.nodes, other.nodes, strict=False):
        if mine.kind != theirs.kind or mine.shape != theirs.shape:
            break
        found[mine.name] = theirs.name, None
    return found
