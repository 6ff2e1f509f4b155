"""What every value of a program is at a point: exact where arithmetic is, else in float64, and what contradicts its bounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from lumpnet.bounds.relaxed import Evaluation, Match, Program, both, evaluate, tape, upper
from lumpnet.bounds.relaxed.pair import _Pair
from lumpnet.errors import NoExactValue
from lumpnet.exact import fractions
from lumpnet.ir import Graph
from lumpnet.ops.sites import run

Array = np.ndarray[Any, Any]
TOLERANCE = 1e-9
"""Of float64 evaluation, relative to the largest value of both networks; exact evaluation has none."""


class Pairing:
    """Two graphs, a match, their program, and the meaning of its values."""

    def __init__(self, one: Graph, two: Graph, match: Match):
        self.graphs = (one, two)
        self._pair = _Pair(tape(one), tape(two), match)
        self.program: Program = self._pair.program()

    def truths(self, x: Array) -> tuple[dict[int, Array], float]:
        """Value number -> (N, n), at points (N, ...) of the only input; and the tolerance."""
        f, g = self._run(x)
        made, out = self._pair.made, {}
        for (role, step), node in made.items():
            names = {"y": self._pair.g, "x": self._pair.f, "d": self._pair.f, "z": self._pair.f}[role].values
            name = next((n for n, k in names.items() if k == step), None)
            if name is None or node is None:
                continue
            if role == "y":
                out[node] = g[name]
                continue
            if role == "x":
                out[node] = f[name]
                continue
            z = self._expanded(step, g)
            if z is not None:
                out[node] = z if role == "z" else f[name] - z
        exact = all(v.dtype == object for v in out.values())
        most = max(float(np.abs(v).max()) for v in (*f.values(), *g.values()) if v.size)
        return out, 0.0 if exact else TOLERANCE * most

    def vanishing(self, x: Array) -> list[Array]:
        """The differences of matched values of which the program says that they are zero, (N, n) each."""
        f, g = self._run(x)
        names = {k: n for n, k in self._pair.f.values.items()}
        found = [f[names[step]] - z for (role, step), node in self._pair.made.items() if role == "d" and node is None and step in names
                 if (z := self._expanded(step, g)) is not None]  # fmt: skip
        return found

    def _expanded(self, step: int, g: dict[str, Array]) -> Array | None:
        """E y + c."""
        relation = self._pair.relation(step)
        name = next((n for n, k in self._pair.g.values.items() if k == self._pair.with_[step][0]), None)
        if relation is None or name is None:
            return None
        y, of = g[name], relation.of.numpy()
        scale, offset = (fractions(v.numpy()) if y.dtype == object else v.numpy() for v in (relation.scale, relation.offset))
        taken = y[:, np.maximum(of, 0)] * scale
        return np.where(of < 0, 0 * taken, taken) + offset

    def _run(self, x: Array) -> list[dict[str, Array]]:
        outs = []
        for graph in self.graphs:
            wide = replace(graph, tensors={k: t.astype(np.float64) for k, t in graph.tensors.items()})
            outs.append((wide, {graph.inputs[0].name: x.astype(np.float64)}))
        try:
            found = [run(graph, {k: fractions(v) for k, v in given.items()}) for graph, given in outs]
        except NoExactValue:
            found = [run(graph, given) for graph, given in outs]
        return [{name: v.reshape(len(x), -1) for name, v in values.items()} for values in found]


def boxed(low: Array, high: Array) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """One input's ends (B, ...) as `evaluate` takes them."""
    sides = [torch.from_numpy(np.ascontiguousarray(e, dtype=np.float64).reshape(len(e), -1)) for e in (low, high)]
    return [(sides[0], sides[1])]


def violations(pairing: Pairing, found: Evaluation, box: int, x: Array, rng: np.random.Generator) -> list[str]:
    """What points (N, ...) of a box show to be outside of its bounds: of any value, of the outputs, of random sums over an output."""
    truths, tolerance = pairing.truths(x)
    out = []
    for node, value in truths.items():
        low, high = (b[box].numpy() for b in found.bounds[node])
        out += _outside(f"value {node}", value, low, high, tolerance)
    for value in pairing.vanishing(x):
        out += _outside("a difference said to be 0", value, np.zeros(value.shape[1]), np.zeros(value.shape[1]), tolerance)
    for target in (t for t in pairing.program.outputs if t is not None):
        if target not in truths:
            continue
        (low, high), _ = both(pairing.program, found, target)
        out += _outside("output", truths[target], low[box].numpy(), high[box].numpy(), tolerance)
        rows = rng.normal(size=(3, truths[target].shape[1]))
        exact = truths[target].dtype == object
        sums = truths[target] @ (fractions(rows) if exact else rows).T
        for name, pulls in (("a sum", None), ("a sum with multipliers", multipliers(pairing.program, target, len(low), 3, rng))):
            above = upper(pairing.program, found, target, torch.from_numpy(rows).expand(len(low), *rows.shape), pulls=pulls).bound[box].numpy()
            out += _outside(name, sums, np.full(3, -np.inf), above, tolerance * np.abs(rows).sum())
    return out


def multipliers(program: Program, target: int, batch: int, rows: int, rng: np.random.Generator) -> dict[int, torch.Tensor]:
    """Of some of the values below the target, of any size, many of them 0."""
    numbers = [k for k in range(target) if rng.random() < 0.7]
    sizes = [(batch, rows, program.nodes[k].size) for k in numbers]
    return {k: torch.from_numpy(rng.normal(size=s) * 10.0 ** rng.integers(-3, 3) * (rng.random(s) < 0.5)) for k, s in zip(numbers, sizes, strict=True)}


def _outside(what: str, value: Array, low: Array, high: Array, tolerance: float) -> list[str]:
    finite = np.isfinite(low)
    below = np.zeros(value.shape, dtype=bool)
    below[:, finite] = (value[:, finite] < low[finite] - tolerance).astype(bool)
    above = (value > high + tolerance).astype(bool)
    return [f"{what}[{j}] = {float(value[n, j])!r} outside of [{low[j]!r}, {high[j]!r}]" for n, j in np.argwhere(below | above)[:3]]


Sampler = Callable[[Sequence[int]], Array]


def check(pairing: Pairing, low: Array, high: Array, x: Sampler, rng: np.random.Generator) -> list[str]:
    """A box, then three parts of it with what was known of the whole. `x` makes shares in [0, 1] of a shape."""
    whole = evaluate(pairing.program, boxed(low[None], high[None]))
    out = violations(pairing, whole, 0, _inside(low, high, x), rng)
    ends = np.sort(np.stack([_inside(low, high, x)[:3] for _ in range(2)]), axis=0)
    parts = evaluate(pairing.program, boxed(ends[0], ends[1]), {k: (a.expand(3, -1), b.expand(3, -1)) for k, (a, b) in whole.refined.items()})
    for k in range(3):
        out += violations(pairing, parts, k, _inside(ends[0][k], ends[1][k], x), rng)
    return out


def _inside(low: Array, high: Array, x: Sampler) -> Array:
    share = x(low.shape)
    return np.clip(low * (1 - share) + high * share, low, high)
