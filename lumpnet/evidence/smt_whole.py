"""The equality of two whole networks as one question to Z3: is there an input on which an output differs?"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import z3

from lumpnet.evidence.smt_terms import Operand, Reals, Term, Unstated, element, place
from lumpnet.ir import Graph, Node

MAX_MULTIPLICATIONS = 2000
MAX_SPLITS = 24
MAX_ENTRIES = 20_000
_SPLITS = {"relu": 1, "leaky_relu": 1, "hardtanh": 2}


def ask(original: Graph, reduced: Graph, seconds: float) -> dict[str, Any]:
    """The finding as plain data: `answer` is proved, counterexample (with `inputs`, to be replayed), unknown or skipped."""
    started = time.monotonic()
    reals = Reals()
    try:
        small(original)
        small(reduced)
        inputs = same_inputs(original, reduced)
        outputs = [outputs_of(reals, graph, inputs) for graph in (original, reduced)]
        differences = _differences(*outputs)
    except Unstated as reason:
        return {"answer": "skipped", "reason": str(reason)}
    functions = sorted(reals.uninterpreted)
    solver = z3.Solver()
    solver.set("timeout", max(1, int((seconds - (time.monotonic() - started)) * 1000)))
    solver.add(*reals.facts, z3.Or(differences))
    found = solver.check()
    if found == z3.unsat:
        return {"answer": "proved", "uninterpreted": functions}
    if found == z3.sat:
        return {"answer": "counterexample", "uninterpreted": functions, "inputs": point_of(solver.model(), inputs)}
    return {"answer": "unknown", "reason": f"no answer ({solver.reason_unknown()})"}


def small(graph: Graph) -> None:
    """Raises `Unstated` for a network that Z3 would not decide."""
    multiplications = sum(_multiplications(graph, node) for node in graph.nodes)
    if multiplications > MAX_MULTIPLICATIONS:
        raise Unstated(f"{multiplications} multiply-adds, more than {MAX_MULTIPLICATIONS}")
    splits = sum(_splits(graph, node) for node in graph.nodes)
    if splits > MAX_SPLITS:
        raise Unstated(f"{splits} decisions of ReLUs and maxima, more than {MAX_SPLITS}")
    entries = sum(_entries(value.shape) for value in graph.values())
    if entries > MAX_ENTRIES:
        raise Unstated(f"{entries} entries of values, more than {MAX_ENTRIES}")


def _entries(shape: tuple[int | None, ...]) -> int:
    return math.prod(int(n or 0) for n in shape[1:])


def _multiplications(graph: Graph, node: Node) -> int:
    weight = graph.params_of(node).get("weight")
    if node.kind in ("linear", "conv") and weight is not None:
        return _entries(node.shape) * math.prod(map(int, weight.shape[1:]))
    if node.kind == "conv_transpose" and weight is not None:
        return _entries(graph.value(node.inputs[0]).shape) * math.prod(map(int, weight.shape[1:]))
    return _entries(node.shape) if node.kind in ("mul", "batch_norm") else 0


def _splits(graph: Graph, node: Node) -> int:
    if node.kind == "max_pool":
        return _entries(node.shape) * (math.prod(map(int, node.attrs["kernel"])) - 1)
    if node.kind == "adaptive_max_pool":
        return max(0, _entries(graph.value(node.inputs[0]).shape) - _entries(node.shape))
    return _SPLITS.get(node.kind, 0) * _entries(node.shape)


def same_inputs(original: Graph, reduced: Graph) -> dict[str, np.ndarray]:
    """One variable per entry of every input."""
    if {v.name: v.shape for v in original.inputs} != {v.name: v.shape for v in reduced.inputs}:
        raise Unstated("the networks take different inputs")
    inputs = {}
    for value in (*original.inputs, *reduced.inputs):
        if not value.shape or value.shape[0] is not None or not value.dtype.startswith("float"):
            raise Unstated(f"the input {value.name!r} is no batch of real numbers")
        inputs[value.name] = _filled(value.shape, lambda index, name=value.name: z3.Real(f"{name}{list(index)}"))
    return inputs


def _filled(shape: tuple[int | None, ...], term: Any) -> np.ndarray:
    out = np.empty([int(n or 0) for n in shape[1:]], dtype=object)
    for index in np.ndindex(*out.shape):
        out[index] = term(index)
    return out


def outputs_of(reals: Reals, graph: Graph, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The terms of every output, for one example."""
    values = dict(inputs)
    for node in graph.nodes:
        at = place(graph, node)
        operands: list[Operand] = [values[name].__getitem__ for name in node.inputs]
        values[node.name] = _filled(node.shape, lambda index, at=at, operands=operands: element(reals, at, operands, index))
    return [values[name] for name in graph.outputs]


def _differences(one: list[np.ndarray], two: list[np.ndarray]) -> list[Any]:
    if [a.shape for a in one] != [b.shape for b in two]:
        raise Unstated("the networks have outputs of different shapes")
    return [a[index] != b[index] for a, b in zip(one, two, strict=True) for index in np.ndindex(*a.shape)]


def point_of(model: Any, inputs: Mapping[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """The input that Z3 found, as exact rationals in text; an irrational coordinate is cut off, which the replay may not survive."""
    return {name: {"shape": list(x.shape), "values": [str(_rational(model, x[index])) for index in np.ndindex(*x.shape)]} for name, x in inputs.items()}


def _rational(model: Any, variable: Term) -> Fraction:
    value = model.eval(variable, model_completion=True)
    if z3.is_algebraic_value(value):
        value = value.approx(30)
    return Fraction(value.as_fraction())
