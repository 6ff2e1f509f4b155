"""Whether two classifiers name the same class everywhere on a box (argmax, of equal scores the one with the lowest number).

The box is connected and scores are continuous, so where both networks have a strict
winner everywhere, it is one class. That class is the original's at the centre; every other one has
to stay below it, by linear bounds on smaller and smaller boxes, in both networks. Only strict
inequalities are certified, so ties play no part in an answer of `same` or `different`. Networks whose
difference is zero everywhere name the same class, ties included.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lumpnet.audit.attack import Attack
from lumpnet.bounds.relaxed import Allowance, Program, evaluate, tape, upper
from lumpnet.bounds.relaxed.devices import on
from lumpnet.bounds.relaxed.program import Input, Node, plain
from lumpnet.errors import DomainError, NoBound
from lumpnet.ir import Graph

Array = np.ndarray[Any, Any]
BATCH = 64
STARTS, ROUNDS, HALVINGS = 64, 6, 40
STEPS = (8, 24)
CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class Top1:
    """`verdict` is same, different or unknown. same: class `classes[0]` everywhere (None: whichever it is). different: the two classes at `inputs`."""

    verdict: str
    reason: str = ""
    classes: tuple[int, int] | None = None
    inputs: dict[str, Array] | None = None

    def as_dict(self) -> dict[str, Any]:
        point = None if self.inputs is None else {name: x.tolist() for name, x in self.inputs.items()}
        return {"verdict": self.verdict, "reason": self.reason or None, "classes": self.classes and list(self.classes), "counterexample": point}


def classifier(graph: Graph) -> int:
    """How many classes. Raises `DomainError` for a network without one row of scores."""
    shapes = [graph.value(name).shape for name in graph.outputs]
    if len(shapes) != 1 or len(shapes[0]) != 2 or not shapes[0][1]:
        raise DomainError("top-1", f"outputs of shapes {shapes}", "one output with one row of scores for each example", "audit without top-1")
    return int(shapes[0][1])


def top1(attack: Attack, zero: bool, seconds: float, device: torch.device = CPU) -> Top1:
    """`zero`: the difference is known to be 0 everywhere."""
    classifier(attack.graphs[0])
    if zero:
        return Top1("same")
    began = time.monotonic()
    found = _different(attack, lambda: time.monotonic() - began > seconds / 2)
    if found is not None:
        return found
    try:
        return _same(attack, began + seconds, device)
    except NoBound as reason:
        return Top1("unknown", f"no bound of the scores: {reason}")


# -- the same class ---------------------------------------------------------------------------


def alone(graph: Graph) -> Program:
    """One network as a program."""
    steps = tape(graph)
    names = {number: name for name, number in steps.values.items()}
    nodes: list[Node] = [Input(s.size, names[k]) if s.kind == "input" else plain(s, s.parents) for k, s in enumerate(steps.steps)]
    return Program(nodes, [steps.values[v.name] for v in graph.inputs], [steps.values[name] for name in graph.outputs])


def _same(attack: Attack, deadline: float, device: torch.device = CPU) -> Top1:
    space = attack.space
    enclosed = attack.enclosed((space.low / 2 + space.high / 2).clamp(space.low, space.high))
    if enclosed is None:
        return Top1("unknown", "no bound of the scores")
    winner = int((enclosed[0].lo + enclosed[0].hi).argmax())
    n = len(enclosed[0].lo)
    if n == 1:
        return Top1("same", classes=(0, 0))
    rows = torch.eye(n, dtype=torch.float64)[[k for k in range(n) if k != winner]]
    rows[:, winner] = -1
    with on(device):
        programs = [alone(graph) for graph in attack.graphs]
    waiting, per = [(space.low, space.high)], 0.0
    while waiting:
        began = time.monotonic()
        count = int(min(BATCH, max(0.0, deadline - began) / max(per, 1e-9)))
        if not count:
            return Top1("unknown", f"time is up: class {winner} is not certified on all of the domain")
        batch, waiting = waiting[-count:], waiting[:-count]
        low, high = (torch.stack(side) for side in zip(*batch, strict=True))
        open_, influence = _open(programs, rows, space.sizes, low, high, deadline)
        per = (time.monotonic() - began) / len(batch)
        low, high, influence = low[open_], high[open_], influence[open_]
        if (found := _tells_apart(attack, low / 2 + high / 2)) is not None:
            return found
        widest = (influence * (high - low)).argmax(1)[:, None]
        middle = low.gather(1, widest) / 2 + high.gather(1, widest) / 2
        if bool(((middle <= low.gather(1, widest)) | (middle >= high.gather(1, widest))).any()):
            return Top1("unknown", f"class {winner} does not win by a margin that floating point can tell")
        waiting += list(zip(low, high.scatter(1, widest, middle), strict=True)) + list(zip(low.scatter(1, widest, middle), high, strict=True))
    return Top1("same", classes=(winner, winner))


def _open(programs: list[Program], rows: Tensor, sizes: list[int], low: Tensor, high: Tensor, deadline: float) -> tuple[Tensor, Tensor]:
    """Which boxes are not decided, and how much each input moves what is not."""
    worst, influence = torch.zeros(len(low), dtype=torch.bool), torch.zeros_like(low)
    for program in programs:
        with on(program.device):
            ends = (torch.split(x.to(program.device), sizes, 1) for x in (low, high))
            found = evaluate(program, list(zip(*ends, strict=True)), allowance=Allowance(deadline))
            target = program.outputs[0]
            assert target is not None
            answer = upper(program, found, target, rows.to(program.device).expand(len(low), *rows.shape))
            zeros = [torch.zeros(len(low), len(rows), size, dtype=torch.float64) for size in sizes]
            coefficients = torch.cat([answer.coefficients.get(i, z) for i, z in zip(program.inputs, zeros, strict=True)], 2)
            above = answer.bound >= 0
            moves = (coefficients.abs() * above[..., None]).sum(1)
        worst |= above.any(1).cpu()
        influence += moves.cpu()
    return worst, influence + 1e-30


# -- another class ----------------------------------------------------------------------------


def _tells_apart(attack: Attack, x: Tensor) -> Top1 | None:
    """A certified counterexample among points (N, n), where torch finds one."""
    if not attack.modules or not len(x):
        return None
    x = attack.space.representable(x)
    with torch.no_grad():
        f, g = attack.outputs(x)
    for k in torch.nonzero(f.argmax(1) != g.argmax(1))[:4, 0].tolist():
        found = _certified(attack, x[k])
        if found is not None:
            return found
    return None


def _certified(attack: Attack, x: Tensor) -> Top1 | None:
    enclosed = attack.enclosed(x)
    if enclosed is None:
        return None
    classes = [_strict_winner(r.lo, r.hi) for r in enclosed]
    if None in classes or classes[0] == classes[1]:
        return None
    return Top1("different", classes=(classes[0] or 0, classes[1] or 0), inputs=attack.space.arrays(x))


def _strict_winner(low: Array, high: Array) -> int | None:
    best = int(low.argmax())
    return best if bool((np.delete(high, best) < low[best]).all()) else None


def _different(attack: Attack, over: Callable[[], bool]) -> Top1 | None:
    """Random and climbed points, then points on both sides of where the original changes its class."""
    if not attack.modules:
        return None
    x = torch.cat([attack.point[None], attack.space.random(STARTS * 4, attack.rng)])
    for k in range(ROUNDS):
        climbed = attack.climb(_towards_another_class, STARTS, STEPS[k % len(STEPS)])
        for points in (x, climbed, _boundary(attack, torch.cat([climbed, x]))):
            found = _tells_apart(attack, points)
            if found is not None or over():
                return found
        x = attack.space.random(STARTS, attack.rng)
    return None


def _towards_another_class(f: Tensor, g: Tensor) -> Tensor:
    """How far the other network puts some class above the original's: g's best other score minus g's score of f's class."""
    best = f.argmax(1, keepdim=True)
    rest = g.scatter(1, best, -torch.inf)
    return rest.amax(1) - g.gather(1, best)[:, 0]


def _boundary(attack: Attack, x: Tensor) -> Tensor:
    """Points next to the original's decision boundary, by halving between neighbours in the list that it classes differently."""
    with torch.no_grad():
        one, two = x, x.roll(1, 0)
        a, b = (attack.outputs(t)[0].argmax(1) for t in (one, two))
        one, two, a = one[a != b], two[a != b], a[a != b]
        tried = [one[:0]]
        for k in range(HALVINGS if len(one) else 0):
            middle = (one + two) / 2
            same = attack.outputs(middle)[0].argmax(1) == a
            one, two = torch.where(same[:, None], middle, one), torch.where(same[:, None], two, middle)
            if k > 3:
                tried += [one, two]
        return torch.cat(tried)
