"""Damaged bounded certificates: what the checker still accepts must be true.

A claim that is accepted is first looked at: both networks at rational corners and points of the box. Then it is proved again
by a bound of its own, in rationals: with the certificate's relation at every value, the deviation of a layer is at most
|W| times the one before, and the residual `W E - E' W'` times the reduced network's values (THEORY section 4).
"""

from __future__ import annotations

import copy
import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction as F
from pathlib import Path
from typing import Any

import numpy as np

import lumpnet
from lumpnet.certificate import dumps
from lumpnet.check import check_files
from lumpnet.errors import LumpnetError
from lumpnet.exact import fractions
from lumpnet.ir import Graph, Node, Value, network_bytes
from lumpnet.network import Network
from lumpnet.ops.sites import run
from lumpnet.verdict import Proved, Refuted, Unknown

EQUAL = {"bound": 0.0, "box": {"x": {"lower": -1.0, "upper": 1.0}}}
"""What a claim without a bound says, and more than it says."""
WIDTHS = ((2, 5, 4, 2), (3, 6, 1), (2, 4, 4, 4, 1))


def perceptron(rng: random.Random) -> Graph:
    """Linear layers with ReLU between; some units nearly multiples of others, some nearly constant."""
    widths, draw = rng.choice(WIDTHS), np.random.default_rng(rng.randrange(1 << 30))
    nodes: list[Node] = []
    tensors: dict[str, np.ndarray] = {}
    before = "x"
    for k in range(len(widths) - 1):
        weight = draw.integers(-16, 17, (widths[k + 1], widths[k])) / 8
        bias = draw.integers(-8, 9, widths[k + 1]) / 8
        if k < len(widths) - 2:
            weight[1] = weight[0] * draw.choice([0.5, 1, 2]) + draw.integers(-1, 2, widths[k]) / 64
            bias[1] = bias[0] + draw.integers(-1, 2) / 64
            weight[2] *= draw.choice([0, 1, 1 / 64])
        tensors |= {f"l{k}.weight": weight.astype(np.float32), f"l{k}.bias": bias.astype(np.float32)}
        nodes.append(Node(Value(f"l{k}", (None, widths[k + 1])), "linear", (before,), {}, {"weight": f"l{k}.weight", "bias": f"l{k}.bias"}))
        before = f"l{k}"
        if k < len(widths) - 2:
            nodes.append(Node(Value(f"r{k}", (None, widths[k + 1])), "relu", (before,)))
            before = f"r{k}"
    return Graph((Value("x", (None, widths[0])),), tuple(nodes), (before,), tensors)


@dataclass
class Base:
    """A bounded certificate that is proved, as plain data."""

    original: Graph
    reduced: Graph
    claim: dict[str, Any]

    def copy(self) -> Base:
        return Base(self.original, self.reduced, copy.deepcopy(self.claim))

    def changed(self, which: str, key: str, change: Callable[[np.ndarray], None]) -> None:
        graph: Graph = getattr(self, which)
        tensor = graph.tensors[key].copy()
        change(tensor)
        setattr(self, which, Graph(graph.inputs, graph.nodes, graph.outputs, {**graph.tensors, key: tensor}, graph.buffers, graph.notes))


def drawn(rng: random.Random) -> Base | None:
    graph = perceptron(rng)
    goal: dict[str, Any] = rng.choice([{"size": 0.7}, {"size": 0.5}, {"tolerance": 0.2}, {"tolerance": 0.05}])
    result = lumpnet.reduce(Network(graph), domain=rng.choice([lumpnet.Box(-1, 1), lumpnet.Box(0, 1), lumpnet.Box(-0.5, 2)]), **goal)
    if result.certificate.moved is None or not isinstance(result.verdict, Proved):
        return None
    return Base(graph, result.network.graph, json.loads(dumps(result.certificate)))


# -- what is damaged ----------------------------------------------------------------------


def _lump(base: Base, rng: random.Random) -> dict[str, Any] | None:
    return rng.choice([x for x in base.claim["lumpings"].values() if isinstance(x, dict)] or [None])


def less(base: Base, rng: random.Random) -> None:
    base.claim["claim"]["effect"]["bound"] *= rng.choice([0.0, 0.3, 0.9, 0.97, 0.98, 0.99, 0.999])


def wider(base: Base, rng: random.Random) -> None:
    base.claim["claim"]["effect"]["box"]["x"][rng.choice(["lower", "upper"])] *= rng.choice([1.001, 1.1, 3, -1])


def _row(base: Base, rng: random.Random) -> tuple[dict[str, Any], str] | None:
    places = [(moves, row) for roles in base.claim["moved"]["rows"].values() for moves in roles.values() for row in moves]
    return rng.choice(places) if places else None


def factor(base: Base, rng: random.Random) -> None:
    if place := _row(base, rng):
        moves, row = place
        moves[row][1] = rng.choice([0.0, 1.0, -moves[row][1], moves[row][1] * 2, moves[row][1] * (1 + 2.0**-20), moves[row][1] + 0.25])


def source(base: Base, rng: random.Random) -> None:
    if place := _row(base, rng):
        moves, row = place
        moves[row][0] = rng.choice([None, 0, 1, 2, 3])


def without(base: Base, rng: random.Random) -> None:
    if place := _row(base, rng):
        del place[0][place[1]]


def one_more(base: Base, rng: random.Random) -> None:
    node = rng.choice([n for n in base.original.nodes if n.params])
    moves = base.claim["moved"]["rows"].setdefault(node.name, {}).setdefault(rng.choice(["weight", "bias"]), {})
    moves[str(rng.randrange(int(node.shape[1] or 0)))] = [rng.choice([None, 0, 1]), rng.choice([0.0, 0.5, 1.0])]


def takes(base: Base, rng: random.Random) -> None:
    taken = base.claim["moved"]["taken"]
    if taken and rng.random() < 0.5:
        taken.remove(rng.choice(taken))
    else:
        taken.append(rng.choice([n.name for n in base.original.nodes]))


def scale(base: Base, rng: random.Random) -> None:
    if lumping := _lump(base, rng):
        lumping["scale"][str(rng.randrange(len(lumping["class"])))] = rng.choice(["1", "2", "1/2", "-1", "3/4"])


def offset(base: Base, rng: random.Random) -> None:
    if lumping := _lump(base, rng):
        lumping["offset"][str(rng.randrange(len(lumping["class"])))] = rng.choice(["0", "1", "-1/2", "1/64"])


def classes(base: Base, rng: random.Random) -> None:
    if lumping := _lump(base, rng):
        lumping["class"][rng.randrange(len(lumping["class"]))] = rng.randrange(-1, max(len(lumping["representative"]), 1))


def representative(base: Base, rng: random.Random) -> None:
    if (lumping := _lump(base, rng)) and lumping["representative"]:
        lumping["representative"][rng.randrange(len(lumping["representative"]))] = rng.randrange(len(lumping["class"]))


def weight(base: Base, rng: random.Random) -> None:
    which = rng.choice(["original", "reduced"])
    key = rng.choice(sorted(getattr(base, which).tensors))
    step = rng.choice([2.0**-22, 1 / 64, 0.5, -1.0])

    def change(tensor: np.ndarray) -> None:
        if tensor.size:
            tensor.reshape(-1)[rng.randrange(tensor.size)] += step

    base.changed(which, key, change)


def rounding(base: Base, rng: random.Random) -> None:
    base.claim["claim"]["rounding"] = rng.choice(["none", "nearest"])


def exact(base: Base, rng: random.Random) -> None:
    base.claim["claim"]["verdict"] = "exact"
    del base.claim["moved"]
    if rng.random() < 0.5:
        del base.claim["claim"]["effect"]


OPERATORS = (less, wider, factor, source, without, one_more, takes, scale, offset, classes, representative, weight, weight, weight, rounding, exact)


# -- the judge ----------------------------------------------------------------------------


def violated(base: Base, rng: random.Random) -> str | None:
    """A point where the networks are further apart than is claimed."""
    effect = base.claim["claim"].get("effect", EQUAL)
    low, high, bound = F(effect["box"]["x"]["lower"]), F(effect["box"]["x"]["upper"]), F(effect["bound"])
    n = int(base.original.inputs[0].shape[1] or 0)
    corners = [[(k >> j) & 1 for j in range(n)] for k in range(1 << n)]
    at = [*corners, *([F(rng.randrange(17), 16) for _ in range(n)] for _ in range(12))]
    x = np.array([[low + (high - low) * F(t) for t in row] for row in at], object)
    one, two = (run(graph, {"x": x})[graph.outputs[0]] for graph in (base.original, base.reduced))
    worst = np.abs(one - two).max()
    return f"{float(worst)} apart, claimed {float(bound)}" if worst > bound else None


def proved(base: Base) -> bool:
    """Whether the claim follows from the residuals of its own relation, in rationals. Any columns for ghosts are sound; those of the moves are closest."""
    effect = base.claim["claim"].get("effect", EQUAL)
    low, high = F(effect["box"]["x"]["lower"]), F(effect["box"]["x"]["upper"])
    n = int(base.original.inputs[0].shape[1] or 0)
    size = {"x": np.full(n, max(abs(low), abs(high)), object)}  # of the reduced network's values, and behind them of ghosts
    apart = {"x": np.full(n, F(0), object)}
    small = {node.name: node for node in base.reduced.nodes}
    for node in base.original.nodes:
        e_in, c_in, _ = _relation(base, node.inputs[0])
        e_out, c_out, ghosts = _relation(base, node.name)
        x, d, kept = size[node.inputs[0]], apart[node.inputs[0]], e_out.shape[1] - len(ghosts)
        if node.kind == "relu":
            back, shift = np.concatenate([_eye(len(x))[:kept], e_in[ghosts]]), np.concatenate([np.full(kept, F(0), object), c_in[ghosts]])
            size[node.name] = np.abs(back) @ x + np.abs(shift)
            own, its = np.abs(e_in) @ x + np.abs(c_in), np.abs(e_out) @ size[node.name] + np.abs(c_out)
            passes = [_passes(e_in[i], c_in[i], e_out[i], c_out[i], back, shift) for i in range(len(e_out))]
            apart[node.name] = d + np.where(passes, F(0), own + its)
            continue
        w, b = (fractions(base.original.tensors[node.params[role]]) for role in ("weight", "bias"))
        v, a = np.full((kept, e_in.shape[1]), F(0), object), np.full(kept, F(0), object)
        if node.name in small and small[node.name].kind == "linear":
            params = {role: fractions(base.reduced.tensors[key]) for role, key in small[node.name].params.items()}
            v[:, : params["weight"].shape[1]], a = params["weight"], params.get("bias", a)
        elif node.name in small:
            a = fractions(base.reduced.tensors[small[node.name].params["value"]])
        moved, fixed = (_moved(base, node, role)[ghosts] for role in ("weight", "bias"))
        v, a = np.concatenate([v, moved @ e_in]), np.concatenate([a, moved @ c_in + fixed])
        residual, fixed = w @ e_in - e_out @ v, w @ c_in + b - e_out @ a - c_out
        size[node.name] = np.abs(v) @ x + np.abs(a)
        apart[node.name] = np.abs(w) @ d + np.abs(residual) @ x + np.abs(fixed)
    return bool(max(apart[base.original.outputs[0]]) <= F(effect["bound"]))


def _passes(before: Any, constant: F, after: Any, claimed: F, back: Any, shift: Any) -> bool:
    """Whether relu carries `before` y + constant to `after` z + claimed, with z = relu(back y + shift)."""
    if not any(before):
        return not any(after) and max(constant, F(0)) == claimed
    return list(before) == list(after @ back) and min(after) >= 0 and constant == claimed == 0 and not any(shift[after != 0])


def _moved(base: Base, node: Node, role: str) -> np.ndarray:
    """The original's numbers of a layer, with the reduced layer's where they are taken and the rows that the certificate moves."""
    stored = fractions(base.original.tensors[node.params[role]]).copy()
    small = {other.name: other for other in base.reduced.nodes}.get(node.name)
    if small is not None and small.kind == "linear" and node.name in base.claim.get("moved", {"taken": ()})["taken"]:
        kept, columns = (_kept(base, name) for name in (node.name, node.inputs[0]))
        stored[kept] = F(0)
        stored[np.ix_(kept, columns) if role == "weight" else kept] = fractions(base.reduced.tensors[small.params[role]])
    rows = stored.copy()
    for row, (source, factor) in base.claim.get("moved", {"rows": {}})["rows"].get(node.name, {}).get(role, {}).items():
        rows[int(row)] = F(factor) if source is None else F(factor) * stored[source]
    return rows


def _kept(base: Base, name: str) -> list[int]:
    """The units that stand for the columns of a value in the reduced network."""
    lumping = base.claim["lumpings"][name]
    if not isinstance(lumping, dict):
        return list(range(int(base.original.value(name).shape[1] or 0))) if lumping == "identity" else []
    return list(lumping["representative"][: lumping["columns"]])


def _eye(n: int) -> np.ndarray:
    return np.array([[F(int(i == j)) for j in range(n)] for i in range(n)], object).reshape(n, n)


def _relation(base: Base, name: str) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """E (units, columns), c, and the representatives of ghosts: classes that nobody reads, whose columns are the last ones."""
    lumping, n = base.claim["lumpings"][name], int(base.original.value(name).shape[1] or 0)
    if lumping == "identity":
        return _eye(n), np.full(n, F(0), object), []
    if lumping == "dropped":
        return np.full((n, 0), F(0), object), np.full(n, F(0), object), []
    e, c = np.full((n, len(lumping["representative"])), F(0), object), np.full(n, F(0), object)
    for i, k in enumerate(lumping["class"]):
        c[i] = F(lumping["offset"].get(str(i), "0"))
        if k >= 0:
            e[i, k] = F(lumping["scale"].get(str(i), "1"))
    return e, c, lumping["representative"][lumping["columns"] :]


# -- the campaign -------------------------------------------------------------------------


@dataclass
class Found:
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    unproved: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)


def campaign(seed: int, mutants: int, folder: Path) -> Found:
    """So many damaged certificates; every accepted one is judged."""
    rng, found = random.Random(seed), Found()
    bases: list[Base] = []
    while found.counts.total() < mutants:
        if found.counts.total() % 400 == 0 or not bases:
            bases = [b for b in (drawn(rng) for _ in range(30)) if b is not None]
        base, operators = rng.choice(bases), rng.sample(OPERATORS, 2 if rng.random() < 0.2 else 1)
        mutant = base.copy()
        for operator in operators:
            try:
                operator(mutant, rng)
            except (KeyError, AttributeError):
                continue
        names = " + ".join(operator.__name__ for operator in operators)
        files = [network_bytes(mutant.original), network_bytes(mutant.reduced)]
        mutant.claim |= {role: {"sha256": hashlib.sha256(data).hexdigest()} for role, data in zip(("original", "reduced"), files, strict=True)}
        paths = [folder / "g.safetensors", folder / "h.safetensors", folder / "c.json"]
        for path, data in zip(paths, (*files, json.dumps(mutant.claim).encode()), strict=True):
            path.write_bytes(data)
        try:
            verdict = check_files(*paths)
        except LumpnetError:
            found.counts["unreadable"] += 1
            continue
        match verdict:
            case Refuted():
                found.counts["refuted"] += 1
            case Unknown():
                found.counts["unknown"] += 1
                if "the checker stopped" in verdict.reason:
                    found.stopped.append(f"{names}: {verdict.reason}")
            case Proved():
                found.counts["accepted"] += 1
                if story := violated(mutant, rng):
                    found.wrong.append(f"{names}: {story}")
                    (folder / "wrong.json").write_text(json.dumps(mutant.claim))
                elif not proved(mutant):
                    found.unproved.append(names)
    return found
