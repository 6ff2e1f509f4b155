"""Which unit of one network follows which unit of another, when nobody says so.

The graphs are read side by side. An operator that makes units (linear, convolution) is asked which of the
other's rows its own resemble, seen through the relation of its operand: equally many rows are taken in
their order; fewer are aligned with some of the original's in order, at the least total distance; a row left over
follows a row that it is a multiple of, or goes to the zero class. All other operators pass their
operand's relation on; what moves entries (`moved`) moves it too, unless the operators that read
its result say by their columns that it brings wrong units. Whatever comes out, only the size of the residuals depends on it: any relation bounds soundly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lumpnet.audit.moved import MOVERS, carried, identity, misplaced
from lumpnet.bounds.relaxed import Match, Units
from lumpnet.ir import Graph, Node

Array = np.ndarray
MERGED = 2.0**-10
"""A row this close to a multiple of another, relative to its size, is taken to follow it."""
WEIGHT = 3
"""Votes of a matrix of weights: fewer than those of a batch norm behind it."""
MAKERS = {"linear", "conv", "conv_transpose"}
PASSING = {
    "identity", "dropout", "relu", "leaky_relu", "prelu", "hardtanh", "sigmoid", "tanh", "silu", "gelu", "abs", "batch_norm", "max_pool", "avg_pool",
    "adaptive_avg_pool", "adaptive_max_pool", "upsample", "pad", "add_constant", "mul_constant", "div_constant", "add", "mul", "mean", "sum", "amax",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Residual:
    """What keeps an operator of the original from being the other's: the weights by which they differ where units are related, and the units without one.

    `weights`: the largest sum of |changes of weights and bias| of one unit; `units` are the units with most of it. `removed`: units in the zero class.
    """

    operator: str
    kind: str
    weights: float
    units: tuple[int, ...]
    removed: int


def matched(original: Graph, other: Graph) -> Match:
    """Values of the original by what they follow: of both graphs as far as they are the same operators in the same order."""
    return _Matching(original, other).match


def residuals(original: Graph, other: Graph, match: Match) -> list[Residual]:
    """One for each operator with weights that is not the other's, in the order of the graph."""
    kinds, found = {node.name: node.kind for node in original.nodes}, []
    for name, (change, _) in changes(original, other, match).items():
        units = match[name][1]
        removed = int((units.of < 0).sum()) if units is not None and kinds[name] in MAKERS else 0
        if change.any() or removed:
            order = np.argsort(-change, kind="stable")[:5]
            found.append(Residual(name, kinds[name], float(change.max(initial=0)), tuple(int(u) for u in order if change[u] > 0), removed))
    return found


def changes(original: Graph, other: Graph, match: Match) -> dict[str, tuple[Array, Array]]:
    """By operator with weights, unit by unit (n,): the sum of |changes| of what it stores, and the sum of |what it stores|.

    Without those that cannot be laid side by side.
    """
    theirs = {node.name: node for node in other.nodes}
    found = {}
    for node in original.nodes:
        if node.name not in match or not (node.params or node.kind in MOVERS):
            continue
        name, units = match[node.name]
        if any(one in match and match[one][0] != two for one, two in zip(node.inputs, theirs[name].inputs, strict=False)):
            continue  # it reads something else
        into = match[node.inputs[0]][1] if node.inputs and node.inputs[0] in match else None
        change = _change(original, node, other, theirs[name], into, units)
        if change is not None:
            found[node.name] = change, _size(original, node, len(change))
    return found


def _size(graph: Graph, node: Node, n: int) -> Array:
    rows = [np.abs(_by_row(p, node)).sum(1) for p in graph.params_of(node).values() if p.dtype.kind == "f"]
    return np.asarray(sum((row for row in rows if len(row) == n), np.zeros(n)))


class _Matching:
    def __init__(self, original: Graph, other: Graph):
        self.f, self.g = original, other
        self.match: dict[str, tuple[str, Units | None]] = {}
        self.pairs = list(_aligned(original, other))
        self.streams = _streams(original)
        self.known: dict[str, Units] = {}
        for mine, theirs in zip(original.inputs, other.inputs, strict=False):
            if mine.shape == theirs.shape:
                self._is(mine.name, theirs.name, None)
        for one, two in self.pairs:
            units = self._units(one, two)
            if units is not None:
                self._is(one.name, two.name, units[0])

    def _is(self, mine: str, theirs: str, units: Units | None) -> None:
        self.match[mine] = theirs, units

    def _units(self, one: Node, two: Node) -> tuple[Units | None] | None:
        """The relation of this value (None inside: equal), or None where there is none."""
        if any(name not in self.match for name in one.inputs):
            return (None,) if one.shape == two.shape and not one.inputs else None
        operands = [self.match[name][1] for name in one.inputs]
        plain = all(u is None for u in operands)
        if plain and one.shape == two.shape:
            return (None,)
        if one.kind in MOVERS:
            units = self._through(one, two, operands[0])
            return None if units is None else (units,)
        if one.kind in MAKERS and one.attrs.get("groups", 1) == two.attrs.get("groups", 1) == 1:
            return (self._rows(one, two),)
        first = next((u for u in operands if u is not None), None)
        if first is None:
            return None
        return self._moved(one, two, first)

    def _moved(self, one: Node, two: Node, first: Units) -> tuple[Units | None] | None:
        if one.kind in PASSING and first.axis < len(one.shape) and one.shape[first.axis] == len(first.of):
            return (first,)
        if one.kind in ("conv", "conv_transpose") and first.axis == 1 and one.shape[1] == len(first.of):
            return (first,)  # depthwise
        if one.kind == "concat" and one.attrs["axis"] == 1:
            return (self._joined(one, two),)
        return None

    def _through(self, one: Node, two: Node, into: Units | None) -> Units | None:
        """Of an operator that moves entries. Where a selection brings units that its readers do not expect, while their
        columns are those of some units in order, it is at fault: then its units are those of the columns."""
        found = carried(self.f, one, self.g, two, into)
        if found is None or found.axis != 1 or one.kind != "index_select":
            return found  # others have nothing that could be wrong
        n, m = len(found.of), int(two.shape[1] or 0)
        readers = list(self._readers(one, n, m))
        if not readers or m > n or all(np.array_equal(_columns(mine, found, m), theirs) for mine, theirs in readers):
            return found
        cost = np.zeros((n, m))
        for mine, theirs in readers:
            cost += _unlike(*(np.swapaxes(w, 0, 1).reshape(w.shape[1], -1) for w in (mine, theirs)))
        expected = Units(_alignment(cost), np.ones(n), np.zeros(n))
        return expected if all(np.array_equal(_columns(mine, expected, m), theirs) for mine, theirs in readers) else found

    def _readers(self, one: Node, n: int, m: int) -> Iterator[tuple[Array, Array]]:
        """The weights (rows, units, positions) of all that makes units from those of a value, in both networks, rows that are related side by side."""
        for mine, theirs in self.pairs:
            if mine.kind not in MAKERS or self.streams[mine.inputs[0]] != self.streams[one.name]:
                continue
            v, w = _weight(self.f, mine), _weight(self.g, theirs)
            if v.shape[1] != n or w.shape[1] != m or mine.attrs.get("groups", 1) != 1 or v.shape[2] != w.shape[2] or len(w) > len(v):
                continue
            rows = _alignment(self._cost(self.streams[mine.name], len(v), len(w))) if len(w) < len(v) else np.arange(len(v))
            kept = rows >= 0
            yield v[kept], w[rows[kept]]

    def _joined(self, one: Node, two: Node) -> Units:
        parts, start = [], 0
        for mine, theirs in zip(one.inputs, two.inputs, strict=True):
            n = int(self.f.value(mine).shape[1] or 0)
            units = self.match[mine][1] or identity(n)
            parts.append((np.where(units.of < 0, -1, units.of + start), units.scale, units.offset))
            start += int(self.g.value(theirs).shape[1] or 0)
        of, scale, offset = (np.concatenate(column) for column in zip(*parts, strict=True))
        return Units(of, scale, offset)

    def _rows(self, one: Node, two: Node) -> Units | None:
        """The relation of all values that share this one's units, asked for the first time."""
        axis = len(one.shape) - 1 if one.kind == "linear" else 1
        n, m = int(one.shape[axis] or 0), int(two.shape[axis] or 0)
        stream = self.streams[one.name]
        if n == m or (stream in self.known and len(self.known[stream].of) != n):
            return identity(n, axis) if one.shape != two.shape else None
        if m > n:
            return None
        if stream not in self.known:
            mine, theirs = self._weights(one, two)
            of = _alignment(self._cost(stream, n, m))
            if mine.shape[1] == theirs.shape[1]:
                self.known[stream] = Units(*_left(mine, theirs, of), np.zeros(n), axis)
            else:
                self.known[stream] = Units(of, np.ones(n), np.zeros(n), axis)
        return self.known[stream]

    def _cost(self, stream: str, n: int, m: int) -> Array:
        """How unlike the original's unit i is to the other's j: all that is stored for each unit of the stream, every tensor one vote between 0 and 1."""
        cost = np.zeros((n, m))
        for one, two in self.pairs:
            for start, begin in self._places(stream, self.streams[one.name]):
                for p, q in _vectors(self.f, one, self.g, two):
                    p, q = p[start : start + n], q[begin : begin + m]
                    if len(p) == n and len(q) == m:
                        cost += _unlike(p[:, None], q[:, None])
            makes = one.kind in MAKERS and one.attrs.get("groups", 1) == 1 and self.streams[one.name] == stream
            if makes and one.inputs[0] in self.match:
                mine, theirs = (w[:, :-1] for w in self._weights(one, two))
                if len(mine) == n and len(theirs) == m and mine.shape[1] == theirs.shape[1]:
                    cost += WEIGHT * _unlike(mine, theirs)
        return cost

    def _places(self, stream: str, seen: str) -> list[tuple[int, int]]:
        """Where the units of a stream stand among those of another: at the start of itself, and where a concat puts them."""
        if seen == stream:
            return [(0, 0)]
        found = []
        for one, two in self.pairs:
            if one.kind == "concat" and one.attrs["axis"] == 1 and self.streams[one.name] == seen:
                start = begin = 0
                for mine, theirs in zip(one.inputs, two.inputs, strict=True):
                    if self.streams[mine] == stream:
                        found.append((start, begin))
                    start += int(self.f.value(mine).shape[1] or 0)
                    begin += int(self.g.value(theirs).shape[1] or 0)
        return found

    def _weights(self, one: Node, two: Node) -> tuple[Array, Array]:
        return _matrix(self.f, one, self.match[one.inputs[0]][1], self._width(two)), _matrix(self.g, two, None, None)

    def _width(self, node: Node) -> int:
        shape = self.g.value(node.inputs[0]).shape
        return int(shape[-1 if node.kind == "linear" else 1] or 0)


def _aligned(original: Graph, other: Graph) -> Iterator[tuple[Node, Node]]:
    for mine, theirs in zip(original.nodes, other.nodes, strict=False):
        if mine.kind != theirs.kind or len(mine.inputs) != len(theirs.inputs) or len(mine.shape) != len(theirs.shape):
            return
        yield mine, theirs


def _matrix(graph: Graph, node: Node, into: Units | None, width: int | None) -> Array:
    """One row a unit: weights on the other's columns, and the bias."""
    params, weight = graph.params_of(node), _weight(graph, node)
    if into is not None and width is not None:
        weight = _columns(weight, into, width)
    bias = params["bias"].astype(np.float64) if "bias" in params else np.zeros(len(weight))
    return np.concatenate([weight.reshape(len(weight), -1), bias[:, None]], axis=1)


def _weight(graph: Graph, node: Node) -> Array:
    """(units made, units read, positions)."""
    weight = graph.params_of(node)["weight"].astype(np.float64)
    weight = np.swapaxes(weight, 0, 1) if node.kind == "conv_transpose" else weight
    return weight.reshape(*weight.shape[:2], -1)


def _columns(weight: Array, into: Units, width: int) -> Array:
    """`weight E` along axis 1."""
    out = np.zeros((weight.shape[0], width, *weight.shape[2:]))
    kept = np.flatnonzero(into.of >= 0)
    scaled = weight[:, kept] * into.scale[kept].reshape(-1, *[1] * (weight.ndim - 2))
    for k, column in enumerate(into.of[kept].tolist()):
        out[:, column] += scaled[:, k]
    return out


def _streams(graph: Graph) -> dict[str, str]:
    """Values that have their units in common, by the name of one of them."""
    leader = {value.name: value.name for value in graph.values()}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for node in graph.nodes:
        if node.kind in PASSING or (node.kind == "conv" and node.attrs["groups"] == node.shape[1]):
            for name in node.inputs:
                if len(graph.value(name).shape) > 1 and graph.value(name).shape[1:2] == node.shape[1:2]:
                    leader[find(name)] = find(node.name)
    return {name: find(name) for name in leader}


def _vectors(f: Graph, one: Node, g: Graph, two: Node) -> Iterator[tuple[Array, Array]]:
    """Tensors with one number a unit, of both."""
    mine, theirs = f.params_of(one), g.params_of(two)
    for role in mine.keys() & theirs.keys():
        if mine[role].ndim == theirs[role].ndim == 1:
            yield mine[role].astype(np.float64), theirs[role].astype(np.float64)


def _unlike(mine: Array, theirs: Array) -> Array:
    """Row by row, from 0 (equal) to 1 (unrelated): the root of twice the distance by the sum of the sizes, so that equal rows stand out."""
    one, two = np.sqrt((mine**2).sum(1)), np.sqrt((theirs**2).sum(1))
    square = np.maximum(one[:, None] ** 2 + two[None] ** 2 - 2 * mine @ theirs.T, 0)
    size = one[:, None] + two[None]
    return np.asarray(np.sqrt(np.minimum(1.0, np.divide(2 * np.sqrt(square), size, out=np.zeros_like(square), where=size > 0))))


def _alignment(cost: Array) -> Array:
    """Each of theirs to one of mine, in order, at the least total cost; -1 for the rest of mine."""
    n, m = cost.shape
    best = np.full((n + 1, m + 1), math.inf)
    best[:, 0] = 0
    for i in range(1, n + 1):
        best[i, 1:] = np.minimum(best[i - 1, 1:], best[i - 1, :-1] + cost[i - 1])
    of, j = np.full(n, -1), m
    for i in range(n, 0, -1):
        if j and best[i, j] != best[i - 1, j]:
            j -= 1
            of[i - 1] = j
    return of


def _left(mine: Array, theirs: Array, of: Array) -> tuple[Array, Array]:
    """Rows that no row was aligned with follow the one they are nearly a positive multiple of: classes and scales."""
    scale, size = np.ones(len(of)), (theirs**2).sum(1)
    for i in np.flatnonzero(of < 0):
        factors = np.divide(theirs @ mine[i], size, out=np.zeros(len(size)), where=size > 0)
        off = np.sqrt(((mine[i] - factors[:, None] * theirs) ** 2).sum(1))
        k = int(np.argmin(np.where(factors > 0, off, math.inf))) if len(size) else -1
        if k >= 0 and factors[k] > 0 and off[k] <= MERGED * np.sqrt((mine[i] ** 2).sum()):
            of[i], scale[i] = k, 1.0 if abs(factors[k] - 1) < MERGED else factors[k]
    return of, scale


def _change(original: Graph, one: Node, other: Graph, two: Node, into: Units | None, units: Units | None) -> Array | None:
    """By unit of the original, the sum of |changes| of what it stores; None where the two cannot be laid side by side."""
    if one.kind in MOVERS:
        return misplaced(original, one, other, two, into, units)
    if one.kind in MAKERS and one.attrs.get("groups", 1) == 1:
        theirs = _matrix(other, two, None, None)
        width = theirs.shape[1] - 1
        taps = max(1, width // max(1, _width_of(other, two)))
        mine = _matrix(original, one, into, width // taps)
        return _against(mine, theirs, units)
    mine_of, theirs_of = original.params_of(one), other.params_of(two)
    if set(mine_of) != set(theirs_of) or one.kind not in PASSING | MAKERS:
        return None
    total = np.zeros(1)
    for role, p in mine_of.items():
        q = theirs_of[role]
        if p.dtype.kind != "f":
            continue
        alone = p.size == q.size == 1
        found = _against(_by_row(p, one), _by_row(q, two), None if alone else units)
        if found is None:
            return None
        total = total + found
    return np.asarray(total)


def _by_row(p: Array, node: Node) -> Array:
    """One row a unit; a transposed convolution stores the units that it reads first, group by group."""
    p = p.astype(np.float64)
    if node.kind == "conv_transpose" and p.ndim > 1:
        groups = node.attrs["groups"]
        p = p.reshape(groups, len(p) // groups, p.shape[1], -1).swapaxes(1, 2).reshape(groups * p.shape[1], -1)
    return p.reshape(len(p) if p.ndim else 1, -1)


def _width_of(graph: Graph, node: Node) -> int:
    shape = graph.value(node.inputs[0]).shape
    return int(shape[-1 if node.kind == "linear" else 1] or 0)


def _against(mine: Array, theirs: Array, units: Units | None) -> Array | None:
    if units is None:
        return np.abs(mine - theirs).sum(1) if mine.shape == theirs.shape else None
    if mine.shape[1] != theirs.shape[1] or len(units.of) != len(mine):
        return None
    kept = units.of >= 0
    out = np.zeros(len(mine))
    out[kept] = np.abs(mine[kept] - units.scale[kept, None] * theirs[units.of[kept]]).sum(1)
    return out
