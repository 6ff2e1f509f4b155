"""The coarsest exact lumping of a network (THEORY section 3).

Two relations are solved together, from the most optimistic start. *Lumping*:
begin with the coarsest lumping that each operator allows over its operands',
and let every node state its demands on its neighbours. *Observability*: begin
with the outputs alone, and let every observed unit keep what it reads under the
current classes. Units that nobody observes demand nothing. Classes only split,
observed units only become more, so the sweep ends, in a consistent pair.

Some things can have been overstated along the way, and further rounds correct
them until nothing changes: splits that were asked for before it was known which
constants have to stay (a round starts with those known); observability, which
is computed again from the final classes (a round keeps units now known to be
unread apart from the others); and constants that had to stay only while classes
were still too coarse (a last round starts from the classes found).

Everything happens on the original graph: merged classes that nobody reads stay
in the relation as ghosts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import Any, TypeVar

import numpy as np

from lumpnet.ir import Graph
from lumpnet.ops import Site, get, size
from lumpnet.ops.sites import operand_units, rules, sites
from lumpnet.ops.unary import default_keep
from lumpnet.partition import Demand, Lumping, discrete, everything, joint, nothing, refine
from lumpnet.partition import labels as number

Progress = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Outcome:
    """`lumpings` and `alive` (units that an output observes) by value name; `rounds` of the two halves."""

    graph: Graph
    sites: tuple[Site, ...]
    axes: Mapping[str, int | None]
    lumpings: Mapping[str, Lumping]
    alive: Mapping[str, np.ndarray]
    structural: Mapping[str, np.ndarray]
    rounds: int


def coarsest(graph: Graph, extra: Mapping[str, Demand] | None = None, progress: Progress = lambda text: None) -> Outcome:
    """The coarsest exact lumping. `extra` are demands of the caller (merges it declines).

    Raises `GraphError` for a graph whose shapes do not fit.
    """
    search = _Search(graph, progress)
    rounds, known, kept = 0, search.structural, dict(extra or {})
    while True:
        search.solve(known, kept)
        rounds += 1
        constants = {name: demand for name, demand in search.kept().items() if name not in kept or (demand.kept & ~kept[name].kept).any()}
        if constants and rounds < _ROUNDS:
            kept |= {name: kept[name].meet(demand) if name in kept else demand for name, demand in constants.items()}
            continue
        if not search.settle() or rounds == _ROUNDS or search.agrees(known):
            break
        known = search.alive
    if search.kept():
        while rounds < _ROUNDS and any(better(search, known, dict(extra or {})) for better in (_fewer_constants, _larger_classes, _proportional_constants)):
            rounds += 1
    return Outcome(graph, tuple(search.sites), search.axes, search.lumpings, search.alive, search.structural, rounds)


def _fewer_constants(search: _Search, known: Mapping[str, np.ndarray], extra: dict[str, Demand]) -> bool:
    """Solve again from the classes found: constants that only a coarser class seemed to need may leave. Whether that was better."""
    before = search.state()
    found = {name: replace(nothing(len(x)), label=np.maximum(x.classes, 0)) for name, x in search.lumpings.items()}
    search.solve(known, found | {name: found[name].meet(demand) for name, demand in extra.items()})
    search.settle()
    return _better(search, before)


def _larger_classes(search: _Search, known: Mapping[str, np.ndarray], extra: dict[str, Demand]) -> bool:
    """Solve again with the observed units held fixed: splits that only units thought to be observed asked for are not made. Whether that was better."""
    before = search.state()
    search.solve(known, extra, held=search.alive)
    consistent = search.settle() and all(not (search.alive[name] & ~mask).any() for name, mask in before.alive.items())
    return _better(search, before, consistent)


def _proportional_constants(search: _Search, known: Mapping[str, np.ndarray], extra: dict[str, Demand]) -> bool:
    """Solve again with the constants that stay as multiples of each other, whatever scale they took where they were alone. Whether that was better."""
    before = search.state()
    constants = {name: default_keep(search.natural[name], demand.kept) for name, demand in search.kept().items()}
    search.solve(
        known, {name: constants[name].meet(extra[name]) if name in constants and name in extra else (constants | extra)[name] for name in constants | extra}
    )
    return _better(search, before, search.settle())


def _better(search: _Search, before: _State, consistent: bool = True) -> bool:
    if consistent and search.columns() < before.columns:
        return True
    search.lumpings, search.alive, search.demands, search.natural = before.lumpings, before.alive, before.demands, before.natural
    return False


@dataclass(frozen=True, eq=False)
class _State:
    """What a search has found, to go back to."""

    lumpings: dict[str, Lumping]
    alive: dict[str, np.ndarray]
    demands: dict[str, Demand]
    natural: dict[str, Lumping]
    columns: int


_ROUNDS = 16
"""Later rounds could only make the result smaller still."""


class _Memory:
    """Answers of rules by what they were asked: later sweeps and rounds ask most of it again. Arguments and answers are never changed."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], list[tuple[tuple[_Asked, ...], Any]]] = {}

    def ask(self, question: str, name: str, rule: Callable[..., T], *asked: _Asked) -> T:
        seen = self.known.setdefault((question, name), [])
        for before, answer in reversed(seen):
            if all(map(_same, before, asked)):
                known: T = answer
                return known
        found = rule(*asked)
        if isinstance(found, Lumping):  # one object for one relation: comparing begins with identity
            found = next((answer for _, answer in reversed(seen) if answer.same(found)), found)
        seen.append((asked, found))
        del seen[:-_REMEMBERED]
        return found


_REMEMBERED = 4
"""Answers to one question."""
_Asked = Lumping | Demand | np.ndarray | list[Lumping] | list[np.ndarray]


def _same(a: _Asked, b: _Asked) -> bool:
    if a is b:
        return True
    if isinstance(a, list) and isinstance(b, list):
        return all(map(_same, a, b))
    if isinstance(a, Lumping) and isinstance(b, Lumping):
        return a.same(b)
    if isinstance(a, Demand) and isinstance(b, Demand):
        return a.same(b) and a.scale.tolist() == b.scale.tolist()
    return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.array_equal(a, b)


class _Search:
    """The state of one search: the only mutable thing here."""

    def __init__(self, graph: Graph, progress: Progress):
        self.graph, self.progress = graph, progress
        self.sites = sites(graph)
        self.axes: dict[str, int | None] = dict.fromkeys(v.name for v in graph.inputs)
        self.axes.update({s.node.name: s.axis for s in self.sites})
        self.units = {v.name: size(v.shape, self.axes[v.name]) for v in graph.values()}
        self.lumpings = {name: discrete(n) for name, n in self.units.items()}
        self.memory = _Memory()
        self.tied, self.crossed = _tied(self.sites), crossed(self.sites)
        self.alive = self.nobody()
        self.observe()
        while self.fill():
            self.observe()
        self.structural = self.alive
        """Units that some output reads if nothing is merged."""

    def nobody(self) -> dict[str, np.ndarray]:
        return {name: np.zeros(n, dtype=bool) for name, n in self.units.items()}

    # -- what a node sees of its operands -------------------------------------------------

    def _ins(self, site: Site) -> list[Lumping]:
        return [self.lumpings[name] if self.axes[name] is not None else discrete(operand_units(site, k)) for k, name in enumerate(site.node.inputs)]

    def _free(self, site: Site) -> list[np.ndarray]:
        return [
            ~self.alive[name] if self.axes[name] is not None else np.full(operand_units(site, k), not self.alive[name].any())
            for k, name in enumerate(site.node.inputs)
        ]

    # -- refinement -----------------------------------------------------------------------

    def solve(self, known: Mapping[str, np.ndarray], extra: Mapping[str, Demand], held: dict[str, np.ndarray] | None = None) -> None:
        """The joint fixpoint under the demands `extra`, with units outside `known` (proved unread) kept apart from the others.

        With `held`, just these units count as observed throughout; the caller compares them with those that are.
        """
        self.alive = held or self.nobody()
        self.demands = {name: nothing(n) for name, n in self.units.items()}
        self.met: dict[str, list[Demand]] = {name: [] for name in self.units}
        for name, read in self.structural.items():  # units whose own weights say that nobody reads them merge with nobody
            label = np.where(read, np.where(known[name], 0, 1), 2 + np.arange(len(read)))
            self._demand(name, replace(nothing(len(read)), label=joint(label, np.zeros_like(label))))
        for name in self.graph.outputs:
            self._demand(name, everything(self.units[name]))
        for name, demand in extra.items():
            self._demand(name, demand)
        self.lumpings = {name: discrete(n) for name, n in self.units.items()}
        self.natural = {v.name: discrete(self.units[v.name]) for v in self.graph.inputs}
        sweep, changed = 0, True
        while changed:
            sweep += 1
            self.progress(f"refining, sweep {sweep}")
            self._forward()
            changed = held is None and self.observe()
            changed |= self._backward()
            changed = changed or (held is None and self.fill())

    def settle(self) -> bool:
        """Compute observability again, from the final classes; False where a map would be left without any operand unit (its choice stays)."""
        solved, self.alive = self.alive, self.nobody()
        self.observe()
        if any(self.empty()):
            self.alive = solved
            return False
        return True

    def agrees(self, known: Mapping[str, np.ndarray]) -> bool:
        """Whether the units now observed are those that were assumed to be."""
        return all(np.array_equal(known[v] & self.lumpings[v].present, self.alive[v]) for v in known)

    def state(self) -> _State:
        return _State(dict(self.lumpings), dict(self.alive), dict(self.demands), dict(self.natural), self.columns())

    def columns(self) -> int:
        """How many units the reduced network would have, over all values."""
        return sum(int(self.alive[name][x.first].sum()) for name, x in self.lumpings.items())

    def kept(self) -> dict[str, Demand]:
        """The constants that had to stay, without the splits that were asked for before that was known."""
        found = {}
        for name, demand in self.demands.items():
            constants = demand.kept & ~self.natural[name].present
            if constants.any():
                found[name] = Demand(np.zeros_like(demand.label), constants, demand.scale)
        return found

    def fill(self) -> bool:
        """An observed map that needs an operand keeps at least one unit of it: revive or keep the first where none is left."""
        changed = False
        for name in self.empty():
            x = self.lumpings[name]
            if self.axes[name] is None:
                changed |= self._revive(name, np.ones(self.units[name], dtype=bool))
            else:
                first = np.arange(len(x)) == (x.first[0] if x.count else 0)
                changed |= self._revive(name, first) if x.count else self._demand(name, default_keep(x, first))
        return changed

    def empty(self) -> Iterator[str]:
        """Operands, needed by observed maps, of which no unit is observed."""
        for site in self.sites:
            if site.axis is not None and rules(site).needs_operand and not rules(site).links(site) and self.alive[site.node.name].any():
                yield from (name for name in site.node.inputs if self.units[name] and not self.alive[name].any())

    def _forward(self) -> None:
        """Recompute the lumpings whose operands or demands changed."""
        for value in self.graph.inputs:
            self.lumpings[value.name] = self.natural[value.name]
        for site in self.sites:
            name, ins = site.node.name, self._ins(site)
            natural = self.natural[name] = self.memory.ask("forward", name, partial(rules(site).forward, site), ins)
            self.lumpings[name] = self.memory.ask("refine", name, refine, natural, self.demands[name])

    def _backward(self) -> bool:
        """Collect demands; whether any is new."""
        changed = False
        for site in reversed(self.sites):
            name = site.node.name
            asked = self._ins(site), self.lumpings[name], self._free(site), ~self.alive[name]
            ups, down = self.memory.ask("demands", name, partial(rules(site).demands, site), *asked)
            for operand, up in zip(site.node.inputs, ups, strict=True):
                if up is not None and self.axes[operand] is not None:
                    changed |= self._demand(operand, up)
            if down is not None and self.axes[name] is not None:
                changed |= self._demand(name, down)
        for one, two in self._ties():
            changed |= self._tie(one, two)
        for name in self._whole():
            changed |= self._demand(name, everything(self.units[name]))
        return changed

    def _demand(self, name: str, demand: Demand) -> bool:
        if self.axes[name] is None or any(demand is one for one in self.met[name]):
            return False
        self.met[name].append(demand)
        met = self.demands[name].meet(demand)
        if met.same(self.demands[name]):
            return False
        self.demands[name] = met
        return True

    def _ties(self) -> Iterator[tuple[str, str]]:
        """Pairs of values that stand at the same place around one shared tensor, where both nodes are observed."""
        for one, two in self.tied:
            if self.alive[one.node.name].any() and self.alive[two.node.name].any():
                yield one.node.name, two.node.name
                if one.node.inputs[0] != two.node.inputs[0]:
                    yield one.node.inputs[0], two.node.inputs[0]

    def _whole(self) -> Iterator[str]:
        """Values around a tensor that observed nodes of different kinds share: they stay whole, so that it can stay shared."""
        for one, two in self.crossed:
            if self.alive[one.node.name].any() and self.alive[two.node.name].any():
                yield from (one.node.name, *one.node.inputs, two.node.name, *two.node.inputs)

    def _tie(self, one: str, two: str) -> bool:
        """Values around a shared tensor are lumped alike, so that the tensor can stay shared."""
        if self.axes[one] is None or self.axes[two] is None or self.units[one] != self.units[two]:
            changed = self._demand(one, everything(self.units[one]))
            return self._demand(two, everything(self.units[two])) or changed
        a, b = self.lumpings[one], self.lumpings[two]
        both = a.present & b.present
        keys = []
        for i in range(len(a)):
            if both[i]:
                keys.append((int(a.classes[i]), int(b.classes[i]), a.scale[i] / b.scale[i], a.offset[i] / a.scale[i], b.offset[i] / b.scale[i]))
            else:
                keys.append((int(a.classes[i]), int(b.classes[i]), None, None, None))
        stays = both | (a.present != b.present) | (~a.present & (a.value != b.value))
        label = number(keys)
        changed = self._demand(one, replace(default_keep(a, stays & ~a.present), label=label))
        return self._demand(two, replace(default_keep(b, stays & ~b.present), label=label)) or changed

    # -- observability --------------------------------------------------------------------

    def observe(self) -> bool:
        """Which units the outputs read, given the lumpings; units of one class, and coupled units, live together."""
        for name in (*(value.name for value in self.graph.inputs), *self.graph.outputs):  # the interface stays
            self.alive[name] = np.ones(self.units[name], dtype=bool)
        ever, changed = False, True
        while changed:
            changed = False
            for site in reversed(self.sites):
                changed |= self._observe_operands(site)
            for site in self.sites:
                changed |= self._observe_coupled(site)
            for one, two in self._ties():
                if self.units[one] == self.units[two]:
                    changed |= self._revive(one, self.alive[two])
                    changed |= self._revive(two, self.alive[one])
            for name in self._whole():
                changed |= self._revive(name, np.ones(self.units[name], dtype=bool))
            ever |= changed
        return ever

    def _observe_operands(self, site: Site) -> bool:
        name = site.node.name
        alive_out = self.alive[name]
        if not alive_out.any() or all(self.alive[operand].all() for operand in site.node.inputs):
            return False
        changed = False
        masks = self.memory.ask("alive", name, partial(rules(site).alive, site), self._ins(site), self.lumpings[name], alive_out)
        for operand, mask in zip(site.node.inputs, masks, strict=True):
            if self.axes[operand] is None:
                mask = np.full(self.units[operand], bool(mask.any()))
            changed |= self._revive(operand, mask)
        return changed

    def _observe_coupled(self, site: Site) -> bool:
        name = site.node.name
        if not self.alive[name].any() or self.alive[name].all():
            return False
        mask = rules(site).brought(site, self._free(site), self.alive[name])
        return self._revive(name, mask | rules(site).revives(site, self.lumpings[name], self.alive[name]))

    def _revive(self, name: str, mask: np.ndarray) -> bool:
        x = self.lumpings[name]
        mask = (mask | self.alive[name]) & x.present
        if mask.any() and not mask.all():
            classes = np.zeros(x.count + 1, dtype=bool)
            classes[x.classes[mask]] = True
            classes[-1] = False
            mask = classes[x.classes] & x.present
        if np.array_equal(mask, self.alive[name]):
            return False
        self.alive[name] = mask
        return True


def _tied(all_sites: list[Site]) -> list[tuple[Site, Site]]:
    """Pairs of nodes of one kind that share a tensor, in order."""
    return [(a, b) for a, b in sharing(all_sites) if a.node.kind == b.node.kind]


def crossed(all_sites: Sequence[Site]) -> list[tuple[Site, Site]]:
    """Pairs of nodes of different kinds that share a tensor (an embedding and an output layer), in order."""
    return [(a, b) for a, b in sharing(all_sites) if a.node.kind != b.node.kind]


def sharing(all_sites: Sequence[Site]) -> list[tuple[Site, Site]]:
    """Pairs of nodes that share a tensor and make or mix units, in order."""
    users = [s for s in all_sites if s.node.params and get(s.node.kind).counts_units]
    return [(a, b) for a, b in combinations(users, 2) if set(a.node.params.values()) & set(b.node.params.values())]
