"""Lemmas that SymPy proves: a residual that simplifies to zero.

A side condition is written as the list of its alternatives, each a substitution
(`scale is 1 or -1` is `{rho: 1}` or `{rho: -1}`). The lemma holds when the
residual vanishes for every choice of alternatives, all other letters being free.
A converse frees the letters of one condition: SymPy looks for a rational point
with a non-zero residual, and interval arithmetic replays it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from typing import Any

import sympy

from proofs.enclosure import Box, Enclosure, box, excludes_zero
from proofs.lemma import Counterexample, Lemma, NotShown, Prover

Substitution = Mapping[Any, Any]
Point = Mapping[str, Fraction]


@dataclass(frozen=True)
class Probe:
    """Drop the condition `drops`; search over `grid` (letter -> candidates) for a non-zero residual.

    `replay` encloses the residual at a point, in its own words. With `no_row`
    it encloses a determinant that vanishes if *any* scale and offset would do.
    """

    drops: str
    story: str
    grid: Mapping[str, Sequence[int | str]]
    replay: Callable[[Point], Box]
    no_row: Callable[[Point], Box] | None = None


@dataclass(frozen=True)
class SymbolicLemma(Lemma):
    """`residual` is zero under every choice of the alternatives of `where`."""

    residual: Any
    where: Mapping[str, tuple[Substitution, ...]]
    converses: tuple[Probe, ...] = ()
    removed: frozenset[str] = frozenset()

    @property
    def prover(self) -> Prover:
        return "sympy"

    def conditions(self) -> tuple[str, ...]:
        return tuple(name for name in self.where if name not in self.removed)

    def dropped(self) -> tuple[str, ...]:
        return tuple(c.drops for c in self.converses)

    def without(self, condition: str) -> SymbolicLemma:
        if condition not in self.conditions():
            raise KeyError(f"{self.name} has no side condition {condition!r}")
        return replace(self, removed=self.removed | {condition})

    def prove(self) -> None:
        for choice in self._choices():
            rest = sympy.simplify(self.residual.subs(choice).rewrite(sympy.exp))
            if rest != 0:
                raise NotShown(f"the residual does not vanish for {choice}: {rest}")

    def refute(self) -> tuple[Counterexample, ...]:
        return tuple(self.without(probe.drops)._counterexample(probe) for probe in self.converses)

    def _counterexample(self, probe: Probe) -> Counterexample:
        for choice, point in product(self._choices(), _points(probe.grid)):
            values = {symbol: _rational(point[str(symbol)]) for symbol in self.residual.free_symbols if str(symbol) in point}
            values.update({symbol: sympy.sympify(value).subs(values) for symbol, value in choice.items()})
            distance = self.residual.subs(values)
            if distance.is_number and abs(sympy.N(distance, 30)) > sympy.Rational(1, 10**9):
                rational = {str(s): Fraction(str(v)) for s, v in values.items() if v.is_Rational}
                return _replayed(probe, rational, distance)
        raise NotShown(f"no counterexample without {probe.drops!r} on the grid")

    def _choices(self) -> Iterator[dict[Any, Any]]:
        kept = [alternatives for name, alternatives in self.where.items() if name not in self.removed]
        for choice in product(*kept):
            yield {symbol: value for alternative in choice for symbol, value in alternative.items()}


def _replayed(probe: Probe, point: Point, distance: Any) -> Counterexample:
    enclosed = probe.replay(point)
    if not excludes_zero(enclosed):
        raise NotShown(f"replay without {probe.drops!r}: the enclosure {enclosed} contains zero")
    if probe.no_row is not None and not excludes_zero(probe.no_row(point)):
        raise NotShown(f"replay without {probe.drops!r}: some other scale and offset may do")
    spelled = {name: str(value) for name, value in point.items()}
    return Counterexample(probe.drops, probe.story, spelled, f"a residual near {sympy.N(distance, 6)}", "zero")


def _points(grid: Mapping[str, Sequence[int | str]]) -> Iterator[dict[str, Fraction]]:
    for values in product(*grid.values()):
        yield dict(zip(grid, map(Fraction, values), strict=True))


def _rational(value: Fraction) -> Any:
    return sympy.Rational(value.numerator, value.denominator)


def no_row(f: Enclosure, inputs: Sequence[Fraction | int]) -> Callable[[Point], Box]:
    """Enclosure of a determinant that is zero if some `rho'`, `c'` give `f(rho y + c) = rho' f(y) + c'`.

    Three points `(f(y), f(rho y + c))` on one line are what any such row would need.
    """

    def determinant(point: Point) -> Box:
        rho, c = point["rho"], point["c"]
        (p, a), (q, b), (r, d) = [(f(box(Fraction(y))), f(box(rho * y + c))) for y in inputs]
        return (q - p) * (d - a) - (r - p) * (b - a)

    return determinant
