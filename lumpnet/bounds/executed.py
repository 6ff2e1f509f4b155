"""How far a network, executed in floating point, can be from the real function it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from lumpnet.bounds.outward import Array, Range, add_up, finite, total_up
from lumpnet.bounds.ranges import ranges
from lumpnet.bounds.registry import Computed, Execution, rule_for
from lumpnet.bounds.rounding import ARITHMETIC, THEOREM, Arithmetic, Formula
from lumpnet.domain import Domain, boxes
from lumpnet.errors import NoBound
from lumpnet.ir import Graph
from lumpnet.ops import Site
from lumpnet.ops.sites import sites

CLAIM = (
    "any order of summation, with or without FMA, rounding to nearest with gradual underflow, every value in this format; operator by operator, "
    "sums directly: no Winograd or FFT convolution, no TF32 or bfloat16, no flushing to zero, no layers folded before running"
)
"""What executions the bound speaks of."""
LIBRARIES = "tanh, sigmoid, silu, gelu within 16 u of the true value (silu, gelu: 16 u |x|), exp within 8 u relatively"
"""What is assumed of libraries where a network uses these functions."""
_ASSUMED = {"tanh", "sigmoid", "silu", "gelu", "softmax"}


@dataclass(frozen=True, eq=False)
class Executed:
    """`bounds[output]` is a bound on |computed - exact| for each entry of an output; or there is none, and `reason` says why."""

    dtype: str
    bounds: Mapping[str, Array] = field(default_factory=dict)
    reason: str | None = None
    assumes: str | None = None

    @property
    def bound(self) -> float | None:
        """The largest over all entries."""
        return None if self.reason is not None else max((float(b.max(initial=0)) for b in self.bounds.values()), default=0.0)


def execution_dtype(graph: Graph) -> str:
    """The float format of a graph's values: the widest that occurs."""
    return "float64" if any(value.dtype == "float64" for value in graph.values()) else "float32"


def executed(graph: Graph, domain: Domain, dtype: str | None = None, formula: Formula = THEOREM) -> Executed:
    """A bound on the rounding errors of the graph, executed in `dtype` on any input of the domain that the dtype holds.

    Every value of the graph has to have a bound, those that no output observes too: an overflow there may
    reach an output as NaN. Raises `DomainError`. `formula` is for tests.
    """
    arithmetic = ARITHMETIC[dtype or execution_dtype(graph)]
    try:
        found = errors(graph, domain, arithmetic, formula)
    except NoBound as problem:
        return Executed(arithmetic.dtype, reason=f"no bound: {problem}")
    assumes = LIBRARIES if any(node.kind in _ASSUMED for node in graph.nodes) else None
    return Executed(arithmetic.dtype, {name: found[name].off for name in graph.outputs}, assumes=assumes)


def apart(one: Executed, two: Executed, real: float = 0.0) -> float | None:
    """A bound on the difference of two executions, one of each network, whose real functions are at most `real` apart; None without both bounds."""
    if one.bound is None or two.bound is None:
        return None
    return max((float(total_up(one.bounds[name], two.bounds[name], real).max(initial=0)) for name in one.bounds), default=0.0)


def errors(graph: Graph, domain: Domain, arithmetic: Arithmetic, formula: Formula = THEOREM) -> dict[str, Computed]:
    """Every value as executed. Raises `NoBound` and `DomainError`."""
    exact, run = ranges(graph, domain), Execution(arithmetic, formula)
    _stored(graph, arithmetic)
    found = {name: Computed(_range(exact[name]), np.zeros(low.shape)) for name, (low, _) in boxes(domain, graph.inputs).items()}
    for value in found.values():
        if not (value.most <= arithmetic.largest).all():
            raise NoBound("domain", f"inputs beyond {arithmetic.dtype}", "inputs that it holds")
    for site in sites(graph):
        found[site.node.name] = _error(site, [found[name] for name in site.node.inputs], _range(exact[site.node.name]), run)
    return found


def _error(site: Site, xs: list[Computed], out: Range, run: Execution) -> Computed:
    with np.errstate(all="ignore"):
        off = np.broadcast_to(rule_for(site).error(site, xs, out, run), out.lo.shape)
        finite(site.node.name, off)
        run.within(site, add_up(out.most, off))
    return Computed(out, off)


def _range(found: Range | NoBound) -> Range:
    if isinstance(found, NoBound):
        raise found
    return found


def _stored(graph: Graph, arithmetic: Arithmetic) -> None:
    """Raises `NoBound` for a weight that the execution's format would round."""
    for name, tensor in graph.tensors.items():
        if tensor.dtype.kind != "f":
            continue
        with np.errstate(over="ignore"):
            held = tensor.astype(arithmetic.dtype)
        if not (held == tensor).all():
            raise NoBound(f"tensor {name!r}", f"its numbers are rounded in {arithmetic.dtype}", "weights that the executing format holds", "execute in float64")
