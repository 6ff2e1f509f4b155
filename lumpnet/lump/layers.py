"""Which units leave together, and which numbers belong to them.

A *column* is a set of units that stay together or leave together: those that
the operators link (`Op.same_units`), and those that shared tensors tie. A
`Layer` is a set of columns that pass through the same values: the channels of
one convolution, or of all convolutions that meet in one residual stream.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from lumpnet.ir import Graph
from lumpnet.lump.exact import sharing
from lumpnet.ops import Site, get
from lumpnet.ops.sites import rules, sites


@dataclass(frozen=True)
class Slot:
    """Entries of a stored tensor that belong to the units of a value: along `axis`, one slice a unit."""

    tensor: str
    axis: int
    value: str


@dataclass(frozen=True, eq=False)
class Layer:
    """`makers` are the operators whose rows make its units; `at[value]` (columns, units) are the units of that value in each column.

    `rows` are the numbers that make a column what it is (weights and biases of the makers, and of whatever works on it unit by unit),
    `weights` those of them that are weights of makers, `reads` the weights that read it. `kept_by` says why no column of it
    can leave, `apart_by` why no two columns of it can become equal; None where they can.
    """

    makers: tuple[str, ...]
    at: Mapping[str, np.ndarray]
    rows: tuple[Slot, ...]
    weights: tuple[Slot, ...]
    reads: tuple[Slot, ...]
    kept_by: str | None
    apart_by: str | None

    def __len__(self) -> int:
        return len(next(iter(self.at.values())))

    def entries(self, graph: Graph, slots: tuple[Slot, ...]) -> np.ndarray:
        """The numbers of the columns, (columns, entries) float64."""
        parts = [_cut(graph.tensors[s.tensor], s, self.at[s.value]).reshape(len(self), -1) for s in slots]
        return np.concatenate(parts, axis=1, dtype=np.float64) if parts else np.zeros((len(self), 0))

    def rewrite(self, tensors: dict[str, np.ndarray], slots: tuple[Slot, ...], change: Callable[[np.ndarray], np.ndarray]) -> None:
        """Replace tensors by copies with `change` applied to the numbers of every slot, (columns, entries) float64; what does not change keeps its bits."""
        for s in slots:
            old = _cut(tensors[s.tensor], s, self.at[s.value])
            before = old.reshape(len(self), -1).astype(np.float64)
            after = change(before)
            new = np.where(after == before, old.reshape(before.shape), after.astype(old.dtype))
            tensor = tensors[s.tensor].copy()
            np.moveaxis(tensor, s.axis, 0)[self.at[s.value]] = new.reshape(old.shape)
            tensors[s.tensor] = tensor


def _cut(tensor: np.ndarray, slot: Slot, at: np.ndarray) -> np.ndarray:
    """(columns, units, ...)."""
    return np.asarray(np.moveaxis(tensor, slot.axis, 0)[at])


def layers(graph: Graph) -> tuple[Layer, ...]:
    """Every layer whose units are followed, in the order of the network. Raises `GraphError` for a graph whose shapes do not fit."""
    all_sites = sites(graph)
    index = _Index(all_sites)
    index.join()
    fixed = index.fixed(graph)
    found = [_layer(index, at, fixed) for at in index.groups()]
    return tuple(layer for layer in found if layer.makers)


class _Index:
    """Units of all values in one numbering, and the columns that they form."""

    def __init__(self, all_sites: list[Site]):
        self.sites = all_sites
        self.tensors = {s.node.params[role]: tensor for s in all_sites for role, tensor in s.params.items()}
        self.users: dict[str, set[str]] = defaultdict(set)
        for s in all_sites:
            for tensor in s.node.params.values():
                self.users[tensor].add(s.node.name)
        self.size = {s.node.name: s.units for s in all_sites if s.axis is not None}
        ends = np.cumsum([0, *self.size.values()])
        self.start = dict(zip(self.size, ends.tolist(), strict=False))
        self.column = np.arange(int(ends[-1]))

    def units(self, name: str) -> np.ndarray:
        """The columns of a value's units."""
        return self.column[self.start[name] : self.start[name] + self.size[name]]

    def join(self) -> None:
        """Columns are the connected components; each carries the number of its first unit."""
        pairs = [np.stack([self.start[a] + i, self.start[b] + j]) for a, b, i, j in self._pairs()]
        one, two = np.concatenate(pairs, axis=1) if pairs else np.zeros((2, 0), dtype=np.int64)
        while (self.column[one] != self.column[two]).any():
            least = np.minimum(self.column[one], self.column[two])
            np.minimum.at(self.column, self.column[one], least)
            np.minimum.at(self.column, self.column[two], least)
            while (self.column[self.column] != self.column).any():
                self.column = self.column[self.column]

    def _pairs(self) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
        for s in self.sites:
            for name, (source, target) in linked(s):
                yield name, s.node.name, source, target
        for a, b in sharing(self.sites):
            for one, two in ((a.node.name, b.node.name), (a.node.inputs[0], b.node.inputs[0])):
                if one in self.size and two in self.size and self.size[one] == self.size[two]:
                    yield one, two, np.arange(self.size[one]), np.arange(self.size[two])

    def fixed(self, graph: Graph) -> dict[str, str]:
        """Values whose units have to stay as they are, and why."""
        found = {name: f"{name} is an output of the network" for name in graph.outputs}
        for s in self.sites:
            name, here = s.node.name, rules(s).same_units(s)
            if s.axis is None:
                why = f"{name} ({s.node.attrs.get('target', s.node.kind)}) pins it: {get(s.node.kind).why_pinned(s)}"
                found |= dict.fromkeys(s.node.inputs, why)
            elif any(axis is None for axis in s.in_axes[: len(here)]):
                found[name] = f"{name} shares its units with a value whose units are not followed"
        for a, b in sharing(self.sites):
            places = [(a.node.name, b.node.name), (a.node.inputs[0], b.node.inputs[0])]
            if a.node.kind != b.node.kind or any(self.size.get(x) != self.size.get(y) for x, y in places):
                found |= dict.fromkeys((x for pair in places for x in pair), f"{a.node.name} and {b.node.name} share a tensor, and not all around it")
        return found

    def groups(self) -> list[dict[str, np.ndarray]]:
        """Per layer, value -> units (columns, units a column). Columns of one layer have equally many units in the same values."""
        held: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for name in self.size:
            for unit, column in enumerate(self.units(name).tolist()):
                held[column][name].append(unit)
        alike: dict[tuple[tuple[str, int], ...], list[int]] = defaultdict(list)
        for column in sorted(held):
            alike[tuple((name, len(units)) for name, units in held[column].items())].append(column)
        return [{name: np.array([held[c][name] for c in columns]) for name, _ in key} for key, columns in alike.items()]


def linked(site: Site) -> list[tuple[str, tuple[np.ndarray, np.ndarray]]]:
    """(operand, (its units, output units)) for the operands that share columns with the output."""
    pairs = zip(site.node.inputs, site.in_axes, rules(site).same_units(site), strict=False)
    return [(name, pair) for name, axis, pair in pairs if axis is not None and site.axis is not None]


def _layer(index: _Index, at: dict[str, np.ndarray], fixed: Mapping[str, str]) -> Layer:
    makers, rows, weights, reads = [], [], [], []
    kept = apart = next((fixed[name] for name in at if name in fixed), None)
    for s in index.sites:
        name, table = s.node.name, get(s.node.kind).param_axes(s)
        cuts = [(s.node.params[role], axes) for role, axes in (table or {}).items() if role in s.node.params]
        if name in at:
            own = [Slot(tensor, axes[0], name) for tensor, axes in cuts if axes[0] is not None]
            rows += own
            if not linked(s):
                makers.append(name)
                weights += [slot for slot in own if index.tensors[slot.tensor].ndim > 1]
                if not own:
                    apart = apart or f"{name} ({s.node.kind}) has no rows of its own to make alike"
                if any(axes[0] is None for _, axes in cuts):
                    kept = kept or f"the units of {name} ({s.node.kind}) read each other"
            if table is None:
                apart = apart or f"the parameters of {name} ({s.node.kind}) are not one row a unit"
            if any(user not in at or not np.array_equal(at[user], at[name]) for slot in own for user in index.users[slot.tensor]):
                apart = apart or f"{name} shares a parameter with another layer"
        for operand in read_by(s):
            if operand not in at:
                continue
            read = [Slot(tensor, axes[1], operand) for tensor, axes in cuts if axes[1] is not None]
            reads += read
            if not read:
                kept = kept or f"{name} ({s.node.kind}) reads it without weights of its own"
    return Layer(tuple(makers), at, _once(rows, at), _once(weights, at), _once(reads, at), kept, apart)


def read_by(site: Site) -> list[str]:
    """Operands of which the node makes something of its own."""
    shared = {name for name, _ in linked(site)}
    return [] if site.axis is None else [name for name in dict.fromkeys(site.node.inputs) if name not in shared]


def _once(slots: list[Slot], at: Mapping[str, np.ndarray]) -> tuple[Slot, ...]:
    """One slot for the same numbers, which tied nodes share."""
    return tuple({(s.tensor, s.axis, at[s.value].tobytes()): s for s in slots}.values())
