"""Lemmas that Z3 proves: the negation of the claim has no model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import z3

from proofs.lemma import Counterexample, Lemma, NotShown, Prover
from proofs.worlds import Fact, Number, Numbers, Symbols, World

MILLISECONDS = 8000
"""Z3's limit per query. Running into it is a failure of the lemma, never a success."""


@dataclass(frozen=True)
class Claim:
    """`given` and all `conditions` entail that each pair of `equal` (original, predicted) is equal."""

    conditions: Mapping[str, Fact]
    equal: tuple[tuple[Number, Number], ...]
    given: tuple[Fact, ...] = ()


@dataclass(frozen=True)
class Converse:
    """Drop the condition `drops`; `pins` fixes some letters, so that the counterexample tells the story."""

    drops: str
    story: str
    pins: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True)
class SmtLemma(Lemma):
    """`claim` is read over `Symbols` to prove and over `Numbers` to replay."""

    claim: Callable[[World], Claim]
    converses: tuple[Converse, ...] = ()
    removed: frozenset[str] = frozenset()

    @property
    def prover(self) -> Prover:
        return "z3"

    def conditions(self) -> tuple[str, ...]:
        return tuple(self._claim(Symbols()).conditions)

    def dropped(self) -> tuple[str, ...]:
        return tuple(c.drops for c in self.converses)

    def without(self, condition: str) -> SmtLemma:
        if condition not in self.conditions():
            raise KeyError(f"{self.name} has no side condition {condition!r}")
        return replace(self, removed=self.removed | {condition})

    def prove(self) -> None:
        claim = self._claim(Symbols())
        premises = [*claim.given, *claim.conditions.values()]
        if _ask([*premises], "consistency of the premises") is None:
            raise NotShown("the premises contradict each other: the lemma is vacuous")
        for original, predicted in claim.equal:
            model = _ask([*premises, original != predicted], "proof")
            if model is not None:
                raise NotShown(f"counterexample: {_brief(model)}")

    def refute(self) -> tuple[Counterexample, ...]:
        return tuple(self._counterexample(converse) for converse in self.converses)

    def _counterexample(self, converse: Converse) -> Counterexample:
        claim = self.without(converse.drops)._claim(Symbols())
        pins = [z3.Real(name) == z3.RealVal(str(value)) for name, value in converse.pins.items()]
        violated = z3.Or(*[original != predicted for original, predicted in claim.equal])
        model = _ask([*claim.given, *claim.conditions.values(), *pins, violated], f"search without {converse.drops!r}")
        if model is None:
            raise NotShown(f"no counterexample without {converse.drops!r}: the condition is not needed")
        return self._replay(converse, Numbers(model))

    def _replay(self, converse: Converse, numbers: Numbers) -> Counterexample:
        """Run the claim in fractions: every premise but the dropped one is true, and the two sides differ."""
        claim = self._claim(numbers)
        facts = {**{f"given {i}": fact for i, fact in enumerate(claim.given)}, **claim.conditions}
        false = [name for name, fact in facts.items() if fact is not True]
        if false != [converse.drops]:
            raise NotShown(f"replay without {converse.drops!r}: false in exact arithmetic are {false}")
        for original, predicted in claim.equal:
            if Fraction(original) != Fraction(predicted):
                return Counterexample(converse.drops, converse.story, dict(numbers.point), str(original), str(predicted))
        raise NotShown(f"replay without {converse.drops!r}: the two sides are equal in exact arithmetic")

    def _claim(self, world: World) -> Claim:
        claim = self.claim(world)
        kept = {name: fact for name, fact in claim.conditions.items() if name not in self.removed}
        return replace(claim, conditions=kept)


def _ask(formulas: list[Any], purpose: str) -> Any:
    """A model, or None where there is provably none; raises `NotShown` when Z3 does not know.

    Every query has a Z3 context of its own, so that no answer depends on what was asked before.
    """
    context = z3.Context()
    solver = z3.Solver(ctx=context)
    solver.set("timeout", MILLISECONDS)
    solver.add(*[_term(formula).translate(context) for formula in formulas])
    answer = solver.check()
    if answer == z3.unknown:
        raise NotShown(f"{purpose}: Z3 answers unknown ({solver.reason_unknown()})")
    return solver.model().translate(z3.main_ctx()) if answer == z3.sat else None


def _term(formula: Any) -> Any:
    """Facts that were decided while the claim was read are plain bools."""
    return z3.BoolVal(formula) if isinstance(formula, bool) else formula


def _brief(model: Any) -> str:
    text = ", ".join(f"{d.name()}={model[d]}" for d in model.decls()).replace("\n", " ")
    return text if len(text) <= 300 else text[:297] + "..."
