"""Audits of random pairs, and inputs that try to contradict what they print.

A pair is one of `lumpnet.testing`'s families and a changed copy, an adversary of floating point, an attention, or one operator behind
linear layers that differ. Inputs are anywhere, in corners, climbed to, and on both sides of kinks. At all of
them both networks are executed in float64; where that comes near a bound, at the worst points, and at the witness, they are
computed in rational arithmetic, or enclosed where there is none. A violation is a point that is certainly outside of a bound.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
import torch

import lumpnet
from lumpnet.audit.attack import Attack
from lumpnet.audit.result import Audit
from lumpnet.audit.top1 import classifier
from lumpnet.domain import Box, Domain
from lumpnet.errors import DomainError, LumpnetError, NoExactValue
from lumpnet.exact import fractions
from lumpnet.executing import common
from lumpnet.ir import Graph, Node, Value
from lumpnet.ops.sites import run
from tests.audit.networks import FAMILIES, HOW, attention, box_of, changed, pair_of
from tests.bounds.cases import ADVERSARIES
from tests.laws.test_operators import EXAMPLES, examples

Array = np.ndarray[Any, Any]
Pair = tuple[str, Graph, Graph, Domain]
POINTS, EXACT, SEGMENTS, HALVINGS = 200, 8, 12, 40
"""Inputs a pair; of them computed exactly; segments searched for kinks, and how often each is halved."""
NEAR = 1e-6
"""Executions this close to a bound (relative to the largest value that occurs) are computed again."""
KINKS = {"relu", "leaky_relu", "prelu", "abs", "hardtanh", "max_pool", "adaptive_max_pool"}
KINDS = sorted(set(EXAMPLES) - {"embedding", "opaque"})


@dataclass
class Tally:
    evaluations: int = 0
    exact: int = 0
    enclosed: int = 0
    pairs: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    claims: Counter[str] = field(default_factory=Counter)
    ratio: float = 0.0
    violations: list[str] = field(default_factory=list)


def campaign(seed: int, evaluations: int, timeout: float = 0.3, audited: Callable[..., Audit] = lumpnet.audit, first: bool = False) -> Tally:
    """Pairs, one after the other, until so many inputs were evaluated or, with `first`, there is a violation; `audited` answers for a pair."""
    torch.set_num_threads(1)
    tally, k = Tally(), 0
    while tally.evaluations < evaluations and not (first and tally.violations):
        rng = np.random.default_rng([seed, k])
        name, one, two, domain = pair(rng, k)
        contradict(f"pair {k} ({name})", one, two, domain, rng, tally, timeout, audited)
        k += 1
    return tally


# -- pairs ------------------------------------------------------------------------------------


def pair(rng: np.random.Generator, k: int) -> Pair:
    match k % 5:
        case 0 | 1:
            family, how = sorted(FAMILIES)[k % len(FAMILIES)], HOW[int(rng.integers(len(HOW)))]
            activation = str(rng.choice(["relu", "leaky_relu", "relu6", "hardtanh", "sigmoid", "tanh", "gelu", "silu"]))
            one, two = pair_of(rng, family, how, activation if rng.random() < 0.7 else None)
            return f"{family}, {how}", one, two, {one.inputs[0].name: box_of(rng, one)}
        case 2:
            name, one, domain = ADVERSARIES[k // 5 % len(ADVERSARIES)](rng)
            return name, one, changed(rng, one, str(rng.choice(["moved", "rounded", "unit zeroed", "doubled"]))), domain
        case 3 if rng.random() < 0.2:
            one = attention(rng)
            return "attention", one, changed(rng, one, "moved"), {one.inputs[0].name: box_of(rng, one)}
        case _:
            kind = KINDS[int(rng.integers(len(KINDS)))]
            return operator(rng, kind)


def operator(rng: np.random.Generator, kind: str) -> Pair:
    """One operator, its tensors changed or not, behind linear layers on the last axes of its operands that differ a little."""
    given = examples(kind, rng)
    example = given[int(rng.integers(len(given)))].graph()
    move = float(10.0 ** rng.integers(-4, 1))
    mixing = {v.name: rng.normal(size=(int(v.shape[-1] or 0),) * 2) for v in example.inputs}
    graphs = [
        behind(graph, {name: w + by * rng.normal(size=w.shape) for name, w in mixing.items()}) for graph, by in ((example, 0), (other(rng, example), move))
    ]
    ends = {v.name: sorted(rng.choice([0.0, 0.25, 1.0, 3.0], size=2) * rng.choice([-1, 1])) for v in graphs[0].inputs}
    return kind, graphs[0], graphs[1], {name: Box(*pair_) for name, pair_ in ends.items()}


def other(rng: np.random.Generator, graph: Graph) -> Graph:
    floats = [name for name, t in graph.tensors.items() if t.dtype.kind == "f" and t.ndim and name.split(".")[-1] not in ("var", "divisor")]
    return changed(rng, graph, "moved") if floats and rng.random() < 0.7 else graph


def behind(graph: Graph, weights: Mapping[str, Array]) -> Graph:
    """The graph with a linear layer before each input of one axis or more."""
    nodes, tensors, names = [], dict(graph.tensors), {}
    for value in graph.inputs:
        if len(value.shape) < 2:
            continue
        names[value.name] = f"{value.name}_mixed"
        nodes.append(Node(Value(names[value.name], value.shape, value.dtype), "linear", (value.name,), {}, {"weight": f"{value.name}.weight"}))
        tensors[f"{value.name}.weight"] = weights[value.name]
    nodes += [replace(n, inputs=tuple(names.get(i, i) for i in n.inputs)) for n in graph.nodes]
    return replace(graph, nodes=tuple(nodes), tensors=tensors)


# -- what contradicts an audit ----------------------------------------------------------------


def contradict(
    what: str, one: Graph, two: Graph, domain: Domain, rng: np.random.Generator, tally: Tally, timeout: float, audited: Callable[..., Audit]
) -> None:
    try:
        asked = rng.random() < 0.3 and classifier(one) > 1
    except DomainError:
        asked = False
    try:
        found = audited(lumpnet.Network(one), lumpnet.Network(two), domain=domain, top1=asked, timeout=timeout, jobs=1, lossless=False)
        attack = Attack(one, two, common(domain, one, two), int(rng.integers(1 << 30)))
    except LumpnetError as refused:
        tally.verdicts[f"refused: {type(refused).__name__}"] += 1
        return
    except Exception as crash:
        tally.violations.append(f"{what}: crashed: {type(crash).__name__}: {crash}")
        return
    tally.pairs += 1
    tally.verdicts[found.verdict] += 1
    point = Points(one, two, attack)
    x = inputs(point, rng, found)
    off, most, classes = point.executed(x)
    tally.evaluations += len(x)
    off = np.nan_to_num(off, nan=np.inf)
    close = np.flatnonzero(off >= limit(found) - NEAR * (most + limit(found)))
    chosen = np.unique(np.concatenate([[0], np.argsort(-off)[:EXACT], rng.integers(0, len(x), size=EXACT), close[:EXACT]]).astype(int))
    for k in chosen.tolist():
        near, far, exact = point.difference(x[k])
        tally.exact, tally.enclosed = tally.exact + exact, tally.enclosed + (not exact)
        tally.violations += [f"{what}: {claim} {told}" for claim, told in against(found, near, far, k == 0, tally)]
    if found.top1 is not None and found.top1.verdict == "same":
        tally.claims["top-1 is the same"] += len(x)
        for k in np.flatnonzero(classes[0] != classes[1])[:EXACT].tolist():
            if (winners := point.winners(x[k])) is not None and winners[0] != winners[1]:
                tally.violations.append(f"{what}: top-1 said to be the same is {winners} at {x[k].tolist()}")


def limit(found: Audit) -> float:
    return np.inf if found.upper_bound is None else found.upper_bound


def against(found: Audit, near: Any, far: Any, witness: bool, tally: Tally) -> list[tuple[str, str]]:
    """What a difference that is surely between `near` and `far` contradicts; that of the witness has to attain the lower end."""
    out = []
    if found.upper_bound is not None:
        tally.claims["upper bound"] += 1
        tally.ratio = max(tally.ratio, float(near) / found.upper_bound if found.upper_bound else 0.0)
        if near > found.upper_bound:
            out.append(("upper bound", f"{found.upper_bound!r} is passed: {float(near)!r}"))
        shares = [source.share or 0.0 for source in found.residuals]
        if any(shares):
            tally.claims["sum of residual shares"] += 1
            if near > sum(shares) * (1 + 1e-9):
                out.append(("residuals", f"sum to {sum(shares)!r}, less than {float(near)!r}"))
    if found.verdict == "equivalent":
        tally.claims["equivalent"] += 1
        if near > 0:
            out.append(("equivalent", f"differs by {float(near)!r}"))
    if witness and found.witness is not None:
        tally.claims["lower bound"] += 1
        if far < found.lower_bound:
            out.append(("lower bound", f"{found.lower_bound!r} is not attained: {float(far)!r}"))
    return out


class Points:
    """Both networks at flat points (N, n) of the domain."""

    def __init__(self, one: Graph, two: Graph, attack: Attack):
        self.graphs, self.attack, self.space = (one, two), attack, attack.space

    def feed(self, x: Array) -> dict[str, Array]:
        parts = self.space.tensors(torch.from_numpy(x))
        return {name: part.numpy() for name, part in zip(self.space.ends, parts, strict=True)}

    def values(self, x: Array, exact: bool = False) -> list[dict[str, Array]]:
        fed = {name: fractions(v) if exact else v for name, v in self.feed(x).items()}
        wide = [replace(g, tensors={k: t.astype(np.float64) if t.dtype.kind == "f" else t for k, t in g.tensors.items()}) for g in self.graphs]
        with np.errstate(all="ignore"):
            return [run(graph, dict(zip((v.name for v in graph.inputs), fed.values(), strict=True))) for graph in wide]

    def outputs(self, x: Array, exact: bool = False) -> list[Array]:
        found = self.values(x, exact)
        return [np.concatenate([v[name].reshape(len(x), -1) for name in g.outputs], 1) for g, v in zip(self.graphs, found, strict=True)]

    def executed(self, x: Array) -> tuple[Array, float, tuple[Array, Array]]:
        """Largest differences (N,), the largest value of all, and the classes."""
        found = self.values(x)
        f, g = (np.concatenate([v[name].reshape(len(x), -1) for name in graph.outputs], 1) for graph, v in zip(self.graphs, found, strict=True))
        most = max(float(np.abs(np.nan_to_num(v.astype(float))).max(initial=0)) for values in found for v in values.values())
        with np.errstate(invalid="ignore"):  # what overflows is computed again
            off = np.abs(f - g).max(1)
        return off, most, (f.argmax(1), g.argmax(1))

    def difference(self, x: Array) -> tuple[Any, Any, bool]:
        """Numbers that the largest |F - G| at a point (n,) is surely between, and whether they are it."""
        try:
            f, g = self.outputs(x[None], exact=True)
            if all(isinstance(v, int | Fraction) for v in (*f.flat, *g.flat)):
                off = max(abs(a - b) for a, b in zip(f[0], g[0], strict=True))
                return off, off, True
        except NoExactValue:
            pass
        enclosed = self.attack.enclosed(torch.from_numpy(x))
        if enclosed is None:
            return 0.0, np.inf, False
        f, g = enclosed  # type: ignore[assignment]
        near = np.maximum(np.nextafter(f.lo - g.hi, -np.inf), np.nextafter(g.lo - f.hi, -np.inf))  # type: ignore[attr-defined]
        far = np.maximum(np.nextafter(f.hi - g.lo, np.inf), np.nextafter(g.hi - f.lo, np.inf))  # type: ignore[attr-defined]
        return max(0.0, float(near.max())), float(far.max()), False

    def winners(self, x: Array) -> tuple[int, int] | None:
        """Both classes, exactly; None where there is no exact value."""
        try:
            one, two = (max(range(y.shape[1]), key=lambda k, y=y: (y[0, k], -k)) for y in self.outputs(x[None], exact=True))
            return one, two
        except NoExactValue:
            return None


# -- inputs -----------------------------------------------------------------------------------


def inputs(point: Points, rng: np.random.Generator, found: Audit) -> Array:
    """The witness (or the middle), corners and anything, points that were climbed to, and both sides of kinks (N, n)."""
    space, attack = point.space, point.attack
    first = (
        (space.low / 2 + space.high / 2).numpy()
        if found.witness is None
        else np.concatenate([v.astype(np.float64).reshape(-1) for v in found.witness.values()])
    )
    climbed = attack.climb(starts=24, steps=12)
    anywhere = space.random(max(16, POINTS - len(climbed)), rng)
    beside = kinks(point, anywhere.numpy(), rng)
    rest = space.representable(torch.cat([climbed, anywhere, torch.from_numpy(beside)])).numpy()
    return np.concatenate([first[None], rest])


def kinks(point: Points, x: Array, rng: np.random.Generator) -> Array:
    """Ends of halved segments between points where an operand of a kinked function changes its sign, or some entry of a network does."""
    one, two = (x[rng.integers(0, len(x), size=SEGMENTS)] for _ in range(2))
    graph = int(rng.integers(2))
    places = [n.inputs[0] for n in point.graphs[graph].nodes if n.kind in KINKS] or [point.graphs[graph].nodes[-1].name]
    place = places[int(rng.integers(len(places)))]

    def operand(t: Array) -> Array:
        return point.values(t)[graph][place].reshape(len(t), -1)

    a, b = operand(one), operand(two)
    changes = (a > 0) != (b > 0)
    rows = np.flatnonzero(changes.any(1))
    if not len(rows):
        return x[:0]
    one, two, column = one[rows], two[rows], np.array([rng.choice(np.flatnonzero(changes[r])) for r in rows])
    positive = a[rows, column] > 0
    for _ in range(HALVINGS):
        middle = (one + two) / 2
        same = ((operand(middle)[np.arange(len(rows)), column] > 0) == positive)[:, None]
        one, two = np.where(same, middle, one), np.where(same, two, middle)
    return np.concatenate([one, two])


def told(tally: Tally, seed: int) -> Sequence[str]:
    """For people."""
    return [
        f"seed {seed}: {tally.evaluations:,} inputs of {tally.pairs:,} pairs ({tally.exact:,} exactly, {tally.enclosed:,} enclosed besides), "
        f"{len(tally.violations)} violations",
        *(f"{count:>10,}  {verdict}" for verdict, count in tally.verdicts.most_common()),
        *(f"{count:>10,}  compared with: {claim}" for claim, count in tally.claims.most_common()),
        f"largest difference / upper bound {tally.ratio:.9f}",
        *(f"violated: {violation}" for violation in tally.violations[:20]),
    ]
