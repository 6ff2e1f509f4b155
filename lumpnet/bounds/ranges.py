"""Ranges of every value of a graph over a domain: intervals, operator by operator."""

from __future__ import annotations

import numpy as np

from lumpnet.bounds.outward import Range, finite, gradual
from lumpnet.bounds.registry import rule_for
from lumpnet.domain import Domain, boxes
from lumpnet.errors import NoBound
from lumpnet.ir import Graph
from lumpnet.ops import Site
from lumpnet.ops.sites import sites


def ranges(graph: Graph, domain: Domain) -> dict[str, Range | NoBound]:
    """For every value its range in real arithmetic, or why there is none.

    Sound: every input in the domain gives values inside; how wide they are is
    another matter (operands are taken as independent). Raises `DomainError`.
    """
    gradual()
    found: dict[str, Range | NoBound] = {
        name: Range(low.astype(np.float64), high.astype(np.float64)) for name, (low, high) in boxes(domain, graph.inputs).items()
    }
    for site in sites(graph):
        try:
            found[site.node.name] = _range(site, found)
        except NoBound as reason:
            found[site.node.name] = reason
    return found


def _range(site: Site, found: dict[str, Range | NoBound]) -> Range:
    operands = [_known(found[name]) for name in site.node.inputs]
    batched(site)
    with np.errstate(all="ignore"):
        out = rule_for(site).range(site, operands)
    shape = tuple(int(d or 0) for d in site.shape[1:])
    out = Range(np.broadcast_to(out.lo, shape), np.broadcast_to(out.hi, shape))
    finite(site.node.name, out.lo, out.hi)
    return out


def batched(site: Site) -> None:
    """Raises `NoBound` for values that are no array with a batch axis."""
    if not all(shape and shape[0] is None for shape in (*site.in_shapes, site.shape)):
        raise NoBound(site.node.name, "it does not depend on the batch", "values with a batch axis")


def _known(found: Range | NoBound) -> Range:
    if isinstance(found, NoBound):
        raise found
    return found
