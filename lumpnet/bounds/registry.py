"""What the bounds know of an operator kind: the range of its value, and how far its execution can be off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from lumpnet.bounds.outward import Array, Range, add_up
from lumpnet.bounds.rounding import THEOREM, Arithmetic, Formula
from lumpnet.errors import NoBound
from lumpnet.ops import Site


@dataclass(frozen=True, eq=False)
class Computed:
    """An operand as executed: the range of the exact value, and a bound `off` on |computed - exact|, entry by entry."""

    exact: Range
    off: Array

    @property
    def most(self) -> Array:
        """A bound on |computed|."""
        return add_up(self.exact.most, self.off)


@dataclass(frozen=True)
class Execution:
    """The arithmetic that runs the network, and the theorem about its sums."""

    arithmetic: Arithmetic
    formula: Formula = THEOREM

    def within(self, site: Site, most: Array) -> None:
        """Raises `NoBound` where an intermediate of at most `most` may overflow."""
        if not (most < self.arithmetic.largest).all():
            dtype, top = self.arithmetic.dtype, float(np.max(most))
            raise NoBound(site.node.name, f"a value or partial sum may reach {top:.3g} and overflow {dtype}", f"less than {self.arithmetic.largest:.3g}")


class Rule:
    """One or several kinds. Arrays have the value's shape without batch.

    Both methods raise `NoBound`, with the reason, where they know none.
    """

    def range(self, site: Site, xs: Sequence[Range]) -> Range:
        """Holds the exact value for all operands in their ranges, whether or not they depend on each other."""
        raise NotImplementedError

    def error(self, site: Site, xs: Sequence[Computed], out: Range, run: Execution) -> Array:
        """A bound on |computed - exact|: on computed operands, against the exact value on exact operands."""
        raise NotImplementedError


RULES: dict[str, Rule] = {}
R = TypeVar("R", bound=Rule)


def bounds(*kinds: str) -> Callable[[type[R]], type[R]]:
    """Register a rule for these kinds."""

    def register(cls: type[R]) -> type[R]:
        RULES.update((kind, cls()) for kind in kinds)
        return cls

    return register


def rule_for(site: Site) -> Rule:
    """Raises `NoBound` for a kind that nobody registered: there is no guess."""
    kind = site.node.kind
    if kind not in RULES:
        raise NoBound(site.node.name, f"operator {site.attrs['target'] if kind == 'opaque' else kind} is not known here", "an operator with a rule for bounds")
    return RULES[kind]
