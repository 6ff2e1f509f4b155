"""What a lemma is: a statement, a prover, and the converses that keep it honest.

A lemma says that *given* facts and named *side conditions* entail an obligation
of the relation `x = E y + c`. Its converses drop one side condition each; the
prover must then find a counterexample, which counts only after it was replayed
in exact arithmetic. A condition that can be dropped unpunished is no condition.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Prover = Literal["z3", "sympy"]


class NotShown(Exception):
    """A proof, a search or a replay that did not come to its end. The text says which, and why."""


@dataclass(frozen=True)
class Counterexample:
    """Side condition `drops` was dropped; at `point` the original is `found`, the relation says `claimed`."""

    drops: str
    story: str
    point: Mapping[str, str]
    found: str
    claimed: str


@dataclass(frozen=True)
class Holds:
    """The lemma is proved, and every converse found and replayed its counterexample."""

    counterexamples: tuple[Counterexample, ...]


@dataclass(frozen=True)
class Fails:
    """The lemma is not established: false, undecided by the prover, vacuous, or a converse is missing."""

    reason: str


Outcome = Holds | Fails


@dataclass(frozen=True)
class Report:
    """One line of the table."""

    name: str
    prover: Prover
    seconds: float
    outcome: Outcome


@dataclass(frozen=True)
class Lemma(ABC):
    """`row` names the row of THEORY section 2 (or the section) that the lemma makes precise."""

    name: str
    row: str
    statement: str

    @property
    @abstractmethod
    def prover(self) -> Prover: ...

    @abstractmethod
    def conditions(self) -> tuple[str, ...]:
        """The names of the side conditions."""

    @abstractmethod
    def dropped(self) -> tuple[str, ...]:
        """The side conditions that the converses drop (with repetitions)."""

    @abstractmethod
    def without(self, condition: str) -> Lemma:
        """The same lemma with one side condition removed: false, if the condition is one."""

    @abstractmethod
    def prove(self) -> None:
        """Raises `NotShown` unless the statement is established, and not vacuously."""

    @abstractmethod
    def refute(self) -> tuple[Counterexample, ...]:
        """One replayed counterexample per converse; raises `NotShown` where one is missing."""

    def report(self) -> Report:
        start = time.perf_counter()
        outcome = self._outcome()
        return Report(self.name, self.prover, time.perf_counter() - start, outcome)

    def _outcome(self) -> Outcome:
        try:
            self.prove()
            return Holds(self.refute())
        except NotShown as gap:
            return Fails(str(gap))
