"""Operators that move entries: reshape, permute, index_select, concat, upsample, pad; identity, dropout (evaluation) and stored constants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lumpnet.bounds.outward import Array, Range
from lumpnet.bounds.registry import Computed, Execution, Rule, bounds
from lumpnet.ir import Node
from lumpnet.ops import Site, get


@bounds("identity", "dropout", "reshape", "permute", "index_select", "concat", "upsample", "constant")
class Moves(Rule):
    """No arithmetic: ranges and errors move with the entries."""

    def range(self, site: Site, xs: Sequence[Range]) -> Range:
        lo, hi = moved(site, *((x.lo, x.hi) for x in xs))
        return Range(lo, hi)

    def error(self, site: Site, xs: Sequence[Computed], out: Range, run: Execution) -> Array:
        if site.node.kind == "constant":
            return np.zeros(out.lo.shape)
        return moved(site, *((x.off,) for x in xs))[0]


@bounds("pad")
class Pad(Rule):
    """Copies are exact; a stored value is rounded once to the execution's format."""

    def range(self, site: Site, xs: Sequence[Range]) -> Range:
        lo, hi = moved(site, (xs[0].lo, xs[0].hi))
        return Range(lo, hi)

    def error(self, site: Site, xs: Sequence[Computed], out: Range, run: Execution) -> Array:
        if site.attrs["mode"] != "constant":
            return moved(site, (xs[0].off,))[0]
        value = site.attrs["value"]
        off = float(np.nextafter(abs(value) * run.arithmetic.u + run.arithmetic.eta, np.inf)) if value else 0.0
        return moved(_with(site, value=off), (xs[0].off,))[0]


def moved(site: Site, *operands: tuple[Array, ...]) -> list[Array]:
    """The operator on arrays that are stacked where the batch was."""
    return list(np.asarray(get(site.node.kind).run(site, [np.stack(arrays) for arrays in operands])))


def _with(site: Site, **attrs: object) -> Site:
    node = site.node
    return replace(site, node=Node(node.value, node.kind, node.inputs, {**node.attrs, **attrs}, node.params, node.module))
