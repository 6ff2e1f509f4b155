"""How far two whole networks are apart on a box, as questions to Z3: does some input of it make an output differ by more than a number?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import z3

from lumpnet.evidence.smt_terms import Reals, Unstated
from lumpnet.evidence.smt_whole import outputs_of, point_of, same_inputs, small
from lumpnet.ir import Graph


def ask(original: Graph, other: Graph, asked: dict[str, Any], seconds: float) -> Iterator[dict[str, Any]]:
    """`asked` holds `bounds` and, by input, the `lower` and `upper` ends, flat, all of them rationals in text.

    One finding a bound: `answer` is none, some (with `inputs`, to be replayed), unknown or skipped.
    """
    started = time.monotonic()
    reals, bounds = Reals(), [Fraction(text) for text in asked["bounds"]]
    try:
        for graph in (original, other):
            small(graph)
        inputs = same_inputs(original, other)
        f, g = (np.concatenate([y.reshape(-1) for y in outputs_of(reals, graph, inputs)]) for graph in (original, other))
    except Unstated as reason:
        yield from ({"answer": "skipped", "reason": str(reason)} for _ in bounds)
        return
    inside = [
        side
        for name, ends in asked["box"].items()
        for x, low, high in zip(inputs[name].reshape(-1), ends["lower"], ends["upper"], strict=True)
        for side in (x >= z3.RealVal(low), x <= z3.RealVal(high))
    ]
    for k, bound in enumerate(bounds):
        solver = z3.Solver()
        solver.set("timeout", max(1, int(1000 * (seconds - (time.monotonic() - started)) / (len(bounds) - k))))
        limit = z3.RealVal(str(bound))
        solver.add(*reals.facts, *inside, z3.Or([side > limit for a, b in zip(f, g, strict=True) for side in (a - b, b - a)]))
        found = solver.check()
        if found == z3.sat:
            yield {"answer": "some", "inputs": point_of(solver.model(), inputs)}
        else:
            yield {"answer": "none"} if found == z3.unsat else {"answer": "unknown", "reason": f"no answer ({solver.reason_unknown()})"}
