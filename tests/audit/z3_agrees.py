"""Z3 on pairs of small ReLU networks: does some input of the box pass the certified bound? Run as `python -m tests.audit.z3_agrees SEED COUNT`.

Prints one JSON object of numbers of pairs: `unsat` (agreed), `sat` (the bound is passed), `unknown`, `missed` (the lower end is not
attained). Limits its own memory, as Z3 in this project always runs.
"""

from __future__ import annotations

import json
import resource
import sys
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import z3

import lumpnet
from lumpnet import Box
from lumpnet.evidence.smt_terms import Reals
from lumpnet.evidence.smt_whole import _outputs, _same_inputs
from lumpnet.ir import Graph
from tests.bounds.cases import RELU, chain, linear

MEMORY = 3 << 30


def pair(seed: int, k: int) -> tuple[Graph, Graph, Box]:
    """Two inputs, one or two hidden layers; the other network moved, pruned, rounded or narrower."""
    rng = np.random.default_rng([seed, k])
    widths = [2, *([3] if rng.random() < 0.6 else [2, 2]), 1]
    layers = [(rng.normal(size=(m, n)), rng.normal(size=m)) for n, m in pairwise(widths)]
    match rng.integers(4):
        case 0:
            changed = [(w + 0.1 * rng.normal(size=w.shape), b) for w, b in layers]
        case 1:
            changed = [(w * (np.abs(w) > 0.3), b) for w, b in layers]
        case 2:
            changed = [(np.round(w * 4) / 4, np.round(b * 4) / 4) for w, b in layers]
        case _:
            (w, b), (v, c), *rest = layers
            changed = [(w[1:], b[1:]), (v[:, 1:], c), *rest]
    graphs = []
    for weights in (layers, changed):
        steps: list[Any] = []
        for w, b in weights:
            steps += [linear(w, b), RELU]
        graphs.append(chain([2], *steps[:-1]))
    centre = rng.normal(size=2)
    return graphs[0], graphs[1], Box(centre - rng.choice([0.1, 1.0]), centre + rng.choice([0.1, 1.0]))


def passes(one: Graph, two: Graph, box: Box, bound: float, seconds: float) -> str:
    """Whether |F - G| > bound somewhere in the box: sat, unsat or unknown."""
    reals, inputs = Reals(), _same_inputs(one, two)
    f, g = (_outputs(reals, graph, inputs)[0].reshape(-1) for graph in (one, two))
    limit = z3.RealVal(Fraction(bound))
    solver = z3.Solver()
    solver.set("timeout", int(1000 * seconds))
    solver.add(*reals.facts)
    for x, low, high in zip(inputs["x"].reshape(-1), *(e.reshape(-1) for e in box.on(one.inputs[0])), strict=True):
        solver.add(x >= z3.RealVal(Fraction(float(low))), x <= z3.RealVal(Fraction(float(high))))
    solver.add(z3.Or([z3.Or(a - b > limit, b - a > limit) for a, b in zip(f, g, strict=True)]))
    return str(solver.check())


def main(seed: int, count: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    torch.set_num_threads(1)
    found: dict[str, list[int]] = {"unsat": [], "sat": [], "unknown": [], "missed": []}
    for k in range(count):
        one, two, box = pair(seed, k)
        audit = lumpnet.audit(lumpnet.Network(one), lumpnet.Network(two), domain=box, timeout=1.0, jobs=1)
        assert audit.upper_bound is not None
        found[passes(one, two, box, audit.upper_bound, 10)].append(k)
        if audit.lower_bound > 0 and passes(one, two, box, float(np.nextafter(audit.lower_bound, 0)), 10) == "unsat":
            found["missed"].append(k)
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
