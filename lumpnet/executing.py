"""A reduction in floating point: how far the original and the reduced network can be apart as machines execute them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lumpnet.bounds import CLAIM, Executed, apart, claimed_box, executed, execution_dtype
from lumpnet.certificate import Effect
from lumpnet.domain import Box, Domain, boxes
from lumpnet.ir import FLOATS, Graph
from lumpnet.network import Network, lower
from lumpnet.verdict import Proved, Verdict

if TYPE_CHECKING:
    from lumpnet.evidence.executing import Difference


@dataclass(frozen=True, eq=False)
class AsExecuted:
    """Two networks in floating point, over a domain.

    `bound`: certified, for every input of the domain and every execution of `CLAIM`; None where there
    is none, and `reason` says why. `original` and `reduced` are the two parts of it: how far each can be from
    the real function. `observed`: the largest difference that was found, at the example `inputs`, which is
    replayed by torch on this machine; None where the networks could not be run.
    """

    dtype: str
    bound: float | None
    reason: str | None
    original: Executed
    reduced: Executed
    observed: float | None
    inputs: dict[str, Any]
    tried: int

    def as_dict(self) -> dict[str, Any]:
        """The object `executed` of `lumpnet reduce --json`; an overflow of one network alone is `observed` null and `overflowed` true."""
        overflowed = self.observed is not None and math.isinf(self.observed)
        return {
            "dtype": self.dtype,
            "bound": self.bound,
            "reason": self.reason,
            "bound_original": self.original.bound,
            "bound_reduced": self.reduced.bound,
            "observed": None if overflowed else self.observed,
            "overflowed": overflowed,
            "input": {name: x.tolist() for name, x in self.inputs.items()},
            "inputs_tried": self.tried,
            "executions": CLAIM,
            "assumes": self.original.assumes or self.reduced.assumes,
        }


def as_executed(original: Network, reduced: Network, verdict: Verdict, effect: Effect | None, domain: Domain, seed: int) -> AsExecuted:
    """What is certified and what is found of two networks over a domain; `effect` is what the verdict's certificate claims of real arithmetic."""
    graphs = original.graph, reduced.graph
    dtypes = execution_dtype(graphs[0]), execution_dtype(graphs[1])
    box = common(domain, *graphs)
    same = {name: Box(low, high) for name, (low, high) in box.items()}
    one, two = (executed(graph, same, dtype) for graph, dtype in zip(graphs, dtypes, strict=True))
    real = effect.alpha if isinstance(verdict, Proved) and effect is not None and effect.box == claimed_box(box) else None
    reason = _no_bound(verdict, real, one, two)
    found = _observed(original, reduced, box, dtypes, seed)
    observed = (found.largest, found.inputs, found.tried) if found else (None, {}, 0)
    return AsExecuted(" and ".join(dict.fromkeys(dtypes)), None if reason else apart(one, two, real or 0.0), reason, one, two, *observed)


def common(domain: Domain, one: Graph, two: Graph) -> dict[str, tuple[Any, Any]]:
    """The ends of every input, in a type that the formats of both networks hold."""
    dtype = min(map(execution_dtype, (one, two)))
    return boxes(domain, [replace(v, dtype=min(v.dtype, dtype)) if v.dtype in FLOATS else v for v in one.inputs])


def _no_bound(verdict: Verdict, real: float | None, one: Executed, two: Executed) -> str | None:
    """Why the two bounds do not add up to one, or None where they do."""
    if not isinstance(verdict, Proved):
        return "no bound: the networks are not proved equal"
    if verdict.claim != "exact" and real is None:
        return "no bound: units were merged that are not equal, and what that changes is not bounded on this domain"
    if verdict.rounding != "none" and real is None:
        return "no bound: weights of the reduced network are rounded (rounding nearest), and what that changes is not bounded on this domain"
    return next((f"{which}: {e.reason}" for which, e in (("original", one), ("reduced", two)) if e.reason), None)


def _observed(original: Network, reduced: Network, box: Any, dtypes: tuple[str, str], seed: int) -> Difference | None:
    from lumpnet.evidence.executing import able_to_differ  # loads torch

    try:
        return able_to_differ(lower(original), lower(reduced), box, dtypes, seed)
    except Exception:  # whatever torch cannot run is nothing observed
        return None
