"""How far rounded weights move the outputs, as a claim that the checker will make again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal
from typing import Any

from lumpnet.bounds.outward import Array
from lumpnet.certificate import Bounds, Effect
from lumpnet.check.effect import Exact, effect
from lumpnet.check.files import NetworkFile
from lumpnet.check.graph import Network, read_graph
from lumpnet.check.outcome import Unsure
from lumpnet.check.rules import KINDS

_SLACK = 1 + 2.0**-20
"""Another machine sums in another order, and may come out a little higher."""
_TELLING = 1e3
"""Products of norms explode with depth; a bound beyond this is said to be no help."""


@dataclass(frozen=True)
class Moved:
    """`effect` is the claim, `size` how large the outputs themselves can be; or there is none, and `reason` says why."""

    effect: Effect | None = None
    size: Effect | None = None
    reason: str | None = None

    @property
    def informative(self) -> bool:
        if self.effect is None or self.size is None:
            return False
        small = self.effect.alpha < self.size.alpha or self.effect.beta < self.size.beta or self.effect.alpha == self.effect.beta == 0
        return small and max(self.effect.alpha, self.effect.beta) <= _TELLING

    def __str__(self) -> str:
        if self.effect is None:
            return str(self.reason)
        on = "for every input x, with |x| its largest entry" if self.effect.box is None else "on the domain"
        if not self.informative:
            return f"uninformatively: what is certified {on} is beyond use, as products of norms grow with depth"
        return f"by at most {self.effect.alpha:.3g}{f' + {self.effect.beta:.3g} |x|' if self.effect.beta else ''}, {on}"

    def as_dict(self) -> dict[str, Any]:
        """The object `effect` of `lumpnet reduce --json`."""
        claim, size = self.effect, self.size
        numbers = {"alpha": None, "beta": None} if claim is None else {"alpha": claim.alpha, "beta": claim.beta}
        sizes = {"alpha": None, "beta": None} if size is None else {"alpha": size.alpha, "beta": size.beta}
        on = None if claim is None else "every input" if claim.box is None else "domain"
        return {"on": on, **numbers, "informative": self.informative, "largest_output": sizes, "reason": self.reason}


def moved(reduced: NetworkFile, inexact: Mapping[tuple[str, str], Array], box: Mapping[str, tuple[Array, Array]] | None) -> Moved:
    """The reduced network's bound where the numbers `inexact`, by node and role, are rounded to nearest: for every input, or on a box."""
    ends = None if box is None else claimed_box(box)
    try:
        graph = read_graph(reduced, KINDS)
        own, size = effect(graph, KINDS, exactly(graph, inexact), ends)
        return Moved(Effect(raised(own.alpha), raised(own.beta), ends), size)
    except (Unsure, OverflowError) as problem:
        return Moved(reason=f"no bound: {problem}")


def exactly(graph: Network, inexact: Mapping[tuple[str, str], Array]) -> dict[str, Exact]:
    """What `effect` takes: by node and role, which numbers are not rounded."""
    return {n.name: {role: ~inexact[n.name, role] if (n.name, role) in inexact else True for role in (*n.params, "bias")} for n in graph.nodes}


def claimed_box(box: Mapping[str, tuple[Array, Array]]) -> dict[str, tuple[Bounds, Bounds]]:
    """A box as certificates write it."""
    return {name: (_bounds(low), _bounds(high)) for name, (low, high) in box.items()}


def _bounds(ends: Array) -> Bounds:
    flat = [float(x) for x in ends.reshape(-1)]
    return (flat[0],) if flat and len(set(flat)) == 1 else tuple(flat)


def raised(x: float) -> float:
    """Three digits, rounded up, and a little above x. Raises `OverflowError`."""
    if x * _SLACK > 1e300:
        raise OverflowError("a bound beyond the floats")
    return float(Context(prec=3, rounding=ROUND_CEILING).create_decimal(Decimal(x * _SLACK)))
