"""Relations of units through operators that only move entries: reshapes, permutations, selections and shuffles.

The operator itself, run on the numbers of its operand's entries, says where every entry of its result comes from, in
both networks. Two entries are related where what they come from is; the relation is one of units where it is the same at all positions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lumpnet.bounds.relaxed import Units
from lumpnet.ir import Graph, Node
from lumpnet.ops import Site, get

Array = np.ndarray
MOVERS = {"reshape", "permute", "index_select"}


def identity(n: int, axis: int = 1) -> Units:
    return Units(np.arange(n), np.ones(n), np.zeros(n), axis)


def carried(original: Graph, one: Node, other: Graph, two: Node, into: Units | None) -> Units | None:
    """The relation of both results, from that of their operands (None: equal); None where it is not one of units."""
    of, scale, offset = _entries(original, one, other, two, into)
    mine, theirs = _shape(one.shape), _shape(two.shape)
    sources = _sources(other, two).reshape(-1)
    of = np.where(of < 0, -1, _found(of, sources))
    for axis in range(len(mine)):
        found = _along(axis, mine, theirs, of, scale, offset)
        if found is not None:
            return found
    return None


def misplaced(original: Graph, one: Node, other: Graph, two: Node, into: Units | None, units: Units | None) -> Array | None:
    """By unit of the result, how far the operator, as a matrix of zeros and ones, is from the other's where units are related so (the largest row sum)."""
    mine, theirs = _shape(one.shape), _shape(two.shape)
    units = units or (identity(mine[0]) if mine == theirs and mine else None)
    if units is None or not units.fit(mine, theirs):
        return None
    wanted, scale, _ = _entries(original, one, other, two, into)
    claimed = units.flat(mine, theirs)
    kept, factor = claimed.of.numpy(), claimed.scale.numpy()
    got = np.where(kept < 0, -1, _sources(other, two).reshape(-1)[np.maximum(kept, 0)])
    apart = np.where(wanted >= 0, abs(scale), 0) + np.where(got >= 0, abs(factor), 0)
    off = np.where(wanted == got, np.where(got >= 0, abs(scale - factor), 0), apart)
    return np.asarray(np.moveaxis(off.reshape(mine), units.axis - 1, 0).reshape(mine[units.axis - 1], -1).max(1, initial=0))


def _entries(original: Graph, one: Node, other: Graph, two: Node, into: Units | None) -> tuple[Array, Array, Array]:
    """For every entry of the result the entry of the other's operand that it follows (-1: none), the scale and the offset."""
    sources = _sources(original, one).reshape(-1)
    if into is None:
        return sources, np.ones(len(sources)), np.zeros(len(sources))
    relation = into.flat(*(_shape(graph.value(node.inputs[0]).shape) for graph, node in ((original, one), (other, two))))
    return relation.of.numpy()[sources], relation.scale.numpy()[sources], relation.offset.numpy()[sources]


def _sources(graph: Graph, node: Node) -> Array:
    shape = graph.value(node.inputs[0]).shape
    numbers = np.arange(math.prod(_shape(shape))).reshape(1, *_shape(shape))
    return np.asarray(get(node.kind).run(Site(node, graph.params_of(node), (shape,), (None,)), [numbers])[0])


def _shape(shape: Sequence[int | None]) -> tuple[int, ...]:
    return tuple(int(d or 0) for d in shape[1:])


def _found(wanted: Array, sources: Array) -> Array:
    """Where each of `wanted` stands in `sources`, the first time it is wanted at its first place and so on (the last place for the rest); -1: nowhere."""
    order = np.argsort(sources, kind="stable")
    first, count = (np.searchsorted(sources[order], wanted, side=side) for side in ("left", "right"))
    count = count - first
    place = np.minimum(_times(wanted), count - 1)
    return np.where(count > 0, order[np.clip(first + place, 0, len(order) - 1)], -1)


def _times(values: Array) -> Array:
    """How often each value stood further in front."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    out = np.empty(len(values), dtype=np.int64)
    out[order] = np.arange(len(values)) - np.searchsorted(ordered, ordered, side="left")
    return out


def _along(axis: int, mine: tuple[int, ...], theirs: tuple[int, ...], of: Array, scale: Array, offset: Array) -> Units | None:
    """A relation of entries as one of units along an axis, if it is one."""
    if (*mine[:axis], *mine[axis + 1 :]) != (*theirs[:axis], *theirs[axis + 1 :]):
        return None
    rows, scales, offsets = (np.moveaxis(v.reshape(mine), axis, 0).reshape(mine[axis], -1) for v in (of, scale, offset))
    places = np.moveaxis(np.arange(math.prod(theirs)).reshape(theirs), axis, 0).reshape(theirs[axis], -1)
    if not places.size or not rows.size:
        return None
    units = np.full(math.prod(theirs), -1)
    units[places.reshape(-1)] = np.repeat(np.arange(len(places)), places.shape[1])
    chosen = np.where(rows[:, 0] < 0, -1, units[rows[:, 0]])
    expected = np.where(chosen[:, None] < 0, -1, places[chosen])
    if (rows != expected).any() or any((v != v[:, :1]).any() for v in (scales, offsets)):
        return None
    return Units(chosen, scales[:, 0].copy(), offsets[:, 0].copy(), axis + 1)
