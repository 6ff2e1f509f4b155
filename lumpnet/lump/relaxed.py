"""Relaxed lumping: which units come nearest to one class, and in which order they are best merged.

A merge makes one column of a layer a multiple of another, or a constant, by
*moves*: rows of the parameters that make it become multiples of other rows
(THEORY section 4: the residual of a near-proportional class, or of a unit in
the class of a constant). After the moves exact lumping finds the classes and proves them;
what the moves are worth is bounded by whoever reads them. Nothing here is trusted.

Merges are chosen on points drawn from the domain, without any data: a merge
costs what it changes in its layer's columns there, in the root of mean squares,
weighed by the weights that read the column and by how much the outputs answer to the layer.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from lumpnet.certificate import Move
from lumpnet.errors import GraphError, LumpnetError
from lumpnet.exact import ONE
from lumpnet.ir import FLOATS, Graph
from lumpnet.lump.layers import Layer, Slot, layers
from lumpnet.ops import Site, get
from lumpnet.ops.sites import counted, sites
from lumpnet.partition import Lumping, discrete

BITS = 14
"""Factors around a norm have so many binary digits, others twice as many: even the product of two with a number of float32 is exact in float64."""
_ROWS = 1 << 14
"""At most so many positions of a value are compared."""
_NORM, _CONSTANT = "batch_norm", -1

Rows = dict[str, dict[str, dict[int, Move]]]


@dataclass(frozen=True)
class Merge:
    """Column `unit` of layer `layer` becomes `scale` times column `into`, or the constant `scale` where `into` is -1; `cost` as estimated."""

    layer: int
    unit: int
    into: int
    scale: float
    cost: float


def _short(x: float, bits: int = BITS) -> float:
    """The nearest number of so many binary digits."""
    mantissa, exponent = math.frexp(x)
    return math.ldexp(round(math.ldexp(mantissa, bits)), exponent - bits)


@dataclass(frozen=True, eq=False)
class Room:
    """A layer whose columns can be merged, and what its columns do on the points.

    `gram` (n, n) are the mean products of its columns, `mean` (n,) their means, `weight` (n,) what a squared change of a column costs.
    """

    layer: Layer
    sites: Mapping[str, Site]
    bends: bool
    shifts: bool
    gram: np.ndarray
    mean: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.layer)

    @property
    def worth(self) -> int:
        """How many hidden units a column is."""
        return sum(self.layer.at[name].shape[1] for name in self.layer.makers)

    @cached_property
    def norms(self) -> list[str]:
        return [name for name in self.layer.at if self.sites[name].node.kind == _NORM]

    def scale(self, unit: int, into: int) -> float:
        """The multiple of column `into` that is nearest to column `unit`; no multiple but 1 passes a function that bends."""
        if self.bends:
            return 1.0
        square = self.gram[into, into]
        best = self.gram[unit, into] / square if square > 0 else 0.0
        return _short(best, 2 * BITS) if best > 0 else 0.0

    def costs(self, unit: int, intos: np.ndarray) -> np.ndarray:
        """Of a merge into each of these columns, (len(intos),); infinite where no multiple comes near."""
        own, square, both = self.gram[unit, unit], self.gram[intos, intos], self.gram[unit, intos]
        scale = np.ones(len(intos)) if self.bends else np.divide(both, square, out=np.zeros(len(intos)), where=square > 0)
        found = self.weight[unit] * np.maximum(own - 2 * scale * both + scale * scale * square, 0)
        return np.where(scale > 0, found, np.inf)

    def constant(self, unit: int) -> tuple[float, float]:
        """The constant that is nearest, and its cost."""
        c = float(np.float32(self.mean[unit])) if self.shifts else 0.0
        return c, float(self.weight[unit] * max(self.gram[unit, unit] - 2 * c * self.mean[unit] + c * c, 0.0))

    def relative(self, merge: Merge) -> float:
        """What the merge changes of the column, relative to it, in the root of mean squares."""
        own = self.gram[merge.unit, merge.unit] * self.weight[merge.unit]
        return math.sqrt(merge.cost / own) if own > 0 else 0.0

    def move(self, merge: Merge, graph: Graph, rows: Rows) -> None:
        """Write the merge's moves."""
        for slot in self.layer.rows:
            node = self.sites[slot.value].node
            for role in [role for role, tensor in node.params.items() if tensor == slot.tensor]:
                for unit, into in zip(self.layer.at[slot.value][merge.unit].tolist(), self._into(merge, slot).tolist(), strict=True):
                    factor = self._constant(merge, slot, role, unit) if merge.into == _CONSTANT else self._factor(merge, graph, slot, role)
                    if factor is not None:
                        rows.setdefault(node.name, {}).setdefault(role, {})[unit] = Move(None if merge.into == _CONSTANT else into, factor)

    def _into(self, merge: Merge, slot: Slot) -> np.ndarray:
        return np.asarray(self.layer.at[slot.value][max(merge.into, 0)])

    def _factor(self, merge: Merge, graph: Graph, slot: Slot, role: str) -> float:
        if merge.scale == 1.0 or not self.norms:
            return merge.scale
        before = self._before_norm(merge, graph)
        behind = _short(merge.scale / before)
        if self.sites[slot.value].node.kind == _NORM:
            return {"weight": behind, "bias": before * behind, "mean": before, "var": 1.0}.get(role, 1.0)
        return before

    def _before_norm(self, merge: Merge, graph: Graph) -> float:
        """The multiple of the rows before a norm that is nearest; makers that are added up all take the rows as they are."""
        if len(self.layer.makers) > 1:
            return 1.0
        one, two = (self.layer.entries(graph, self.layer.weights)[k] for k in (merge.unit, merge.into))
        square, both = float(two @ two), float(one @ two)
        return _short(both / square) if both > 0 and square > 0 else 1.0

    def _constant(self, merge: Merge, slot: Slot, role: str, unit: int) -> float | None:
        """Norms, or where there are none the makers, give the constant; what comes before a norm is left as it is."""
        last = self.norms or self.layer.makers
        if slot.value not in last:
            return None
        return {"weight": 0.0, "bias": merge.scale / len(last)}.get(role)


def points(graph: Graph, box: Mapping[str, tuple[np.ndarray, np.ndarray]] | None, count: int = 256) -> dict[str, np.ndarray]:
    """Examples of every input in the box (None: between -1 and 1), from its inside, from its corners, and from between. Raises `GraphError` for integers.

    A corner has a share of its entries at the upper end, another share for every example.
    """
    rng, found = np.random.default_rng(0), {}
    for value in graph.inputs:
        if value.dtype not in FLOATS:
            raise GraphError(
                f"input {value.name!r}", f"integers ({value.dtype}), which cannot be drawn", "inputs of real numbers", "reduce exactly, without a tolerance"
            )
        shape = (count, *(int(n or 0) for n in value.shape[1:]))
        low, high = box[value.name] if box is not None else (-1.0, 1.0)
        inside, share = rng.uniform(low, high, shape), rng.uniform(size=(count, *[1] * (len(shape) - 1)))
        corner = np.where(rng.uniform(size=shape) < share, high, low)
        mixed = np.where(rng.uniform(size=shape) < 0.5, inside, corner)
        found[value.name] = np.where(
            np.arange(count).reshape(share.shape) % 3 == 0, inside, np.where(np.arange(count).reshape(share.shape) % 3 == 1, corner, mixed)
        )
    return found


def rooms(graph: Graph, points: Mapping[str, np.ndarray]) -> list[Room]:
    """The layers whose columns can be merged, with what they do at the points (inputs by name, batch first)."""
    all_sites = {s.node.name: s for s in sites(graph)}
    values = _run(list(all_sites.values()), dict(points))
    rng = np.random.default_rng(0)
    found = []
    for layer in layers(graph):
        if layer.kept_by is not None or layer.apart_by is not None or len(layer) < 2 or not layer.reads or not _plain(layer, all_sites, graph):
            continue
        ends = list(dict.fromkeys(slot.value for slot in layer.reads))
        columns = np.concatenate([_columns(values[end], all_sites[end], layer.at[end], rng) for end in ends])
        heard = np.linalg.norm(layer.entries(graph, layer.reads), axis=1)
        answer = _answer(list(all_sites.values()), values, ends, all_sites, graph.outputs, rng)
        gram, mean = columns.T @ columns / len(columns), columns.mean(axis=0)
        spread = math.sqrt(float(heard @ heard) / len(heard)) or 1.0
        straight = all(passes(all_sites[name]) for name in layer.at if name not in layer.makers and all_sites[name].node.kind != _NORM)
        padded = any(any(np.atleast_1d(s.node.attrs.get("padding", 0))) for s in all_sites.values() if set(s.node.inputs) & set(ends))
        shifts = straight and len(layer.makers) == 1 and not padded and _has_bias(layer, all_sites)
        found.append(Room(layer, all_sites, not straight, shifts, gram, mean, (heard * (answer / spread)) ** 2))
    return found


def _plain(layer: Layer, all_sites: Mapping[str, Site], graph: Graph) -> bool:
    """Whether moves can say what a merge does: rows lie along the first axis, in tensors of one node each."""
    uses = [tensor for node in graph.nodes for tensor in node.params.values()]
    return all(slot.axis == 0 and uses.count(slot.tensor) == 1 for slot in layer.rows)


def _has_bias(layer: Layer, all_sites: Mapping[str, Site]) -> bool:
    last = [name for name in layer.at if all_sites[name].node.kind == _NORM] or layer.makers
    return all("bias" in all_sites[name].node.params for name in last)


def passes(site: Site) -> bool:
    """Whether a class with scale 2 passes the operator as such: asked of its own rule."""
    units = [len(discrete(int(shape[axis] or 0))) if axis is not None else 0 for shape, axis in zip(site.in_shapes, site.in_axes, strict=True)]
    if not all(n >= 2 for n in units):
        return False
    doubled = []
    for n in units:
        plain = discrete(n)
        scale = plain.scale.copy()
        scale[n - 1] = ONE + ONE
        doubled.append(Lumping(np.zeros(n, dtype=np.int64), scale, plain.offset, plain.value))
    out = get(site.node.kind).forward(site, doubled)
    pairs = zip(units, get(site.node.kind).same_units(site), strict=False)
    together = all(np.array_equal(out.classes[to[of == 0]], out.classes[to[of == n - 1]]) for n, (of, to) in pairs)
    return bool((out.classes >= 0).all()) and {float(s) for s in out.scale.tolist()} <= {0.5, 1.0, 2.0} and not any(out.offset.tolist()) and together


def _run(all_sites: Sequence[Site], values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every value that is not there yet."""
    for site in all_sites:
        if site.node.name not in values:
            values[site.node.name] = get(site.node.kind).run(site, [values[name] for name in site.node.inputs])
    return values


def _columns(value: np.ndarray, site: Site, at: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(positions, columns) of a value: examples and places of the other axes, and the units of a column one below the other."""
    rows = np.moveaxis(value, site.axis or 0, -1)[..., at.T].reshape(-1, len(at)).astype(np.float64)
    return rows if len(rows) <= _ROWS else rows[rng.choice(len(rows), _ROWS, replace=False)]


def _answer(
    all_sites: Sequence[Site],
    values: Mapping[str, np.ndarray],
    ends: Sequence[str],
    by_name: Mapping[str, Site],
    outputs: Sequence[str],
    rng: np.random.Generator,
) -> float:
    """How much the outputs change, in the root of mean squares, when every entry of these values does by one: asked with small noise."""
    small = 1e-3 * max(float(np.abs(values[end]).mean()) for end in ends) or 1e-3
    behind, changed = set(ends), {end: values[end] + small * rng.standard_normal(values[end].shape) for end in ends}
    for site in all_sites:
        if behind & set(site.node.inputs) and site.node.name not in behind:
            behind.add(site.node.name)
    again = _run(all_sites, {name: x for name, x in values.items() if name not in behind} | changed)
    off = [(again[name] - values[name]).ravel() for name in outputs]
    return math.sqrt(float(np.mean(np.concatenate(off) ** 2))) / small


def merges(found: Sequence[Room], tolerance: float = math.inf) -> Iterator[list[Merge]]:
    """Steps, the cheapest next: each takes one more column out of its layer, with all that it stands for, and leaves at least one there.

    Merges that change a column by more than `tolerance`, relative to it, are left out.
    """
    alive = [np.ones(len(room), dtype=bool) for room in found]
    members: list[dict[int, list[int]]] = [{k: [k] for k in range(len(room))} for room in found]
    heap = [(-1.0, k, unit) for k, room in enumerate(found) for unit in range(len(room))]  # below every price: asked first
    heapq.heapify(heap)
    while heap:
        asked, k, unit = heapq.heappop(heap)
        step = _best(found[k], k, unit, alive[k], members[k], tolerance)
        price = sum(m.cost for m in step)
        if not step or price == math.inf:
            continue
        if price > max(asked, 0.0) or asked < 0:
            heapq.heappush(heap, (price, k, unit))
            continue
        alive[k][unit] = False
        for merge in step:
            if merge.into != _CONSTANT:
                members[k][merge.into].append(merge.unit)
        yield step


def _best(room: Room, k: int, unit: int, alive: np.ndarray, members: Mapping[int, list[int]], tolerance: float) -> list[Merge]:
    """The cheapest way out for a column and those that it stands for: each into a column that stays, or a constant. None where one has no way."""
    intos = np.flatnonzero(alive)
    intos = intos[intos != unit]
    if not len(intos):
        return []
    found = []
    for member in members[unit]:
        costs = room.costs(member, intos)
        at, (c, price) = int(costs.argmin()), room.constant(member)
        if price <= costs[at]:
            found.append(Merge(k, member, _CONSTANT, c, price))
        else:
            into = int(intos[at])
            found.append(Merge(k, member, into, room.scale(member, into), float(costs[at])))
        if found[-1].cost == math.inf or room.relative(found[-1]) > tolerance:
            return []
    return found


def moved(graph: Graph, found: Sequence[Room], merges: Iterable[Merge]) -> tuple[Graph, Rows]:
    """The network in float64 after these merges, one a column, and its moves."""
    rows: Rows = {}
    for merge in merges:
        found[merge.layer].move(merge, graph, rows)
    tensors = {name: x.astype(np.float64) if x.dtype.kind == "f" else x for name, x in graph.tensors.items()}
    for node in graph.nodes:
        for role, moves in rows.get(node.name, {}).items():
            before, after = graph.tensors[node.params[role]].astype(np.float32).astype(np.float64), tensors[node.params[role]]
            for row in {move.source for move in moves.values()} - {None, *moves}:  # what others are multiples of is short enough to be multiplied exactly
                if row is not None and not np.array_equal(after[row], before[row]):
                    moves[row] = Move(row, 1.0)
            for row, move in moves.items():
                after[row] = move.factor if move.source is None else move.factor * before[move.source]
    values = tuple(replace(v, dtype="float64" if v.dtype in FLOATS else v.dtype) for v in graph.inputs)
    nodes = tuple(replace(n, value=replace(n.value, dtype="float64" if n.value.dtype in FLOATS else n.value.dtype)) for n in graph.nodes)
    return replace(graph, inputs=values, nodes=nodes, tensors=tensors), rows


@dataclass(frozen=True)
class Goal:
    """How far to go, by one of three, and where.

    `tolerance`: merges change no column by more than this, relative to it; `size`: until at most this share of the hidden units is left;
    `budget`: as long as the certified deviation of the outputs is at most this. `layer`: only where this operator makes the units, and `size`
    is a share of these. Raises `ValueError` for none, several, or numbers out of range.
    """

    tolerance: float | None = None
    budget: float | None = None
    size: float | None = None
    layer: str | None = None

    def __post_init__(self) -> None:
        given = [x for x in (self.tolerance, self.budget, self.size) if x is not None]
        if len(given) != 1 or not all(math.isfinite(x) and x >= 0 for x in given) or (self.size is not None and not 0 < self.size <= 1):
            raise ValueError("one of tolerance >= 0, budget >= 0 and 0 < size <= 1 is wanted")


@dataclass(frozen=True, eq=False)
class Near:
    """The moved network and its moves (none: the graph itself), by these merges; `stay` (units,) bool by value are the units that did not move."""

    original: Graph
    found: Sequence[Room]
    merges: Mapping[tuple[int, int], Merge]

    @cached_property
    def moved(self) -> tuple[Graph, Rows]:
        return moved(self.original, self.found, self.merges.values()) if self.merges else (self.original, {})

    @property
    def graph(self) -> Graph:
        return self.moved[0]

    @property
    def moves(self) -> Rows:
        return self.moved[1]

    @cached_property
    def stay(self) -> dict[str, np.ndarray]:
        out: dict[str, np.ndarray] = {}
        for merge in self.merges.values():
            room = self.found[merge.layer]
            for name, at in room.layer.at.items():
                out.setdefault(name, np.ones(room.sites[name].units, dtype=bool))[at[merge.unit]] = False
        return out

    def without(self, kept: Mapping[str, np.ndarray]) -> Near:
        """Without the merges of columns of which a unit stays nevertheless: `kept` are the units that do, by value."""
        useless = {at for at, merge in self.merges.items() if self._kept(merge, kept)}
        return replace(self, merges={at: merge for at, merge in self.merges.items() if at not in useless})

    def _kept(self, merge: Merge, kept: Mapping[str, np.ndarray]) -> bool:
        return any(np.isin(at[merge.unit], kept[name]).any() for name, at in self.found[merge.layer].layer.at.items())


def relax(graph: Graph, points: Mapping[str, np.ndarray], goal: Goal, bound: Callable[[Rows], float], progress: Callable[[str], None]) -> Near:
    """Merge towards the goal; `bound` certifies how far given moves take the outputs. Raises `LumpnetError` where no such layer can be merged."""
    progress("looking for near units")
    found = within(rooms(graph, points), goal.layer)
    steps = list(merges(found, math.inf if goal.tolerance is None else goal.tolerance)) if goal.tolerance != 0 else []
    if goal.size is not None:
        units = sum(s.units for s in counted(sites(graph), graph.outputs)) if goal.layer is None else sum(len(room) * room.worth for room in found)
        steps = steps[: _until(found, steps, goal.size, units)]
    if goal.budget is not None:
        progress("spending the budget")
        steps = steps[: _within(lambda k: bound(moved(graph, found, _last(steps[:k]).values())[1]) <= (goal.budget or 0.0), len(steps))]
    return Near(graph, found, _last(steps))


def within(found: Sequence[Room], layer: str | None) -> list[Room]:
    """The rooms of the layer that this operator makes, or all. Raises `LumpnetError` where there is none."""
    here = [room for room in found if layer is None or layer in room.layer.makers]
    if layer is not None and not here:
        names = ", ".join(name for room in found for name in room.layer.makers)
        raise LumpnetError(f"layer {layer!r}", "no layer of this name whose units can be merged", f"one of {names}" if names else "a network with one")
    return here


def _last(steps: Iterable[Sequence[Merge]]) -> dict[tuple[int, int], Merge]:
    """By layer and column, its last merge."""
    return {(m.layer, m.unit): m for step in steps for m in step}


def _until(found: Sequence[Room], steps: Sequence[Sequence[Merge]], share: float, units: int) -> int:
    """How many steps leave at most this share of the units."""
    left, most = units, math.floor(share * units)
    for k, step in enumerate(steps):
        if left <= most:
            return k
        left -= found[step[0].layer].worth
    return len(steps)


def _within(good: Callable[[int], bool], most: int) -> int:
    """The largest number up to `most` that is found good by halving; 0 is."""
    low, high = 0, most + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if good(middle) else (low, middle)
    return low
