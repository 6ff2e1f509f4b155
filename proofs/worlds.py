"""Two worlds in which one text is read: Z3's symbols, and exact numbers.

A lemma is written once, over a `World`. Read over `Symbols` it is a formula for
the prover. Read over `Numbers` the same text *runs*, in `fractions.Fraction`, on
the values that the prover found: that run is the replay of a counterexample.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import z3

from proofs.lemma import NotShown

Number = Any
"""A Z3 real term, or a Fraction."""
Fact = Any
"""A Z3 formula, or a bool."""


class World(ABC):
    """Where a claim's letters get their meaning."""

    @abstractmethod
    def real(self, name: str) -> Number: ...

    @abstractmethod
    def truth(self, name: str) -> Fact: ...

    @abstractmethod
    def integer(self, name: str) -> Number: ...

    @abstractmethod
    def function(self, name: str, arity: int = 1) -> Callable[..., Number]: ...

    @abstractmethod
    def choose(self, fact: Fact, then: Number, otherwise: Number) -> Number: ...

    @abstractmethod
    def every(self, facts: Iterable[Fact]) -> Fact: ...

    @abstractmethod
    def some(self, facts: Iterable[Fact]) -> Fact: ...

    @abstractmethod
    def negate(self, fact: Fact) -> Fact: ...

    @abstractmethod
    def constant(self, value: Fraction | int) -> Number: ...

    def reals(self, name: str, count: int) -> list[Number]:
        """`name[0]`, ..., `name[count-1]`."""
        return [self.real(f"{name}[{i}]") for i in range(count)]

    def matrix(self, name: str, rows: int, columns: int) -> list[list[Number]]:
        """`name[0,0]`, ... as a list of rows."""
        return [[self.real(f"{name}[{i},{j}]") for j in range(columns)] for i in range(rows)]

    def implies(self, premise: Fact, conclusion: Fact) -> Fact:
        return self.some([self.negate(premise), conclusion])


class Symbols(World):
    """Every letter is a Z3 constant; a claim becomes a formula."""

    def real(self, name: str) -> Number:
        return z3.Real(name)

    def truth(self, name: str) -> Fact:
        return z3.Bool(name)

    def integer(self, name: str) -> Number:
        return z3.Int(name)

    def function(self, name: str, arity: int = 1) -> Callable[..., Number]:
        uninterpreted: Callable[..., Number] = z3.Function(name, *[z3.RealSort()] * (arity + 1))
        return uninterpreted

    def choose(self, fact: Fact, then: Number, otherwise: Number) -> Number:
        return z3.If(fact, then, otherwise)

    def every(self, facts: Iterable[Fact]) -> Fact:
        return z3.And(*facts)

    def some(self, facts: Iterable[Fact]) -> Fact:
        return z3.Or(*facts)

    def negate(self, fact: Fact) -> Fact:
        return z3.Not(fact)

    def constant(self, value: Fraction | int) -> Number:
        return z3.RealVal(str(value))


class Numbers(World):
    """Every letter has the exact value that a model gives it; `point` records the letters that were read."""

    def __init__(self, model: Any):
        self._model = model
        self.point: dict[str, str] = {}

    def real(self, name: str) -> Number:
        return self._read(name, z3.Real(name))

    def truth(self, name: str) -> Fact:
        value = z3.is_true(self._model.eval(z3.Bool(name), model_completion=True))
        self.point[name] = str(value)
        return value

    def integer(self, name: str) -> Number:
        return int(self._read(name, z3.Int(name)))

    def function(self, name: str, arity: int = 1) -> Callable[..., Number]:
        symbol = z3.Function(name, *[z3.RealSort()] * (arity + 1))

        def call(*arguments: Fraction) -> Fraction:
            spelled = f"{name}({', '.join(map(str, arguments))})"
            return self._read(spelled, symbol(*[z3.RealVal(str(a)) for a in arguments]))

        return call

    def choose(self, fact: Fact, then: Number, otherwise: Number) -> Number:
        return then if fact else otherwise

    def every(self, facts: Iterable[Fact]) -> Fact:
        return all(facts)

    def some(self, facts: Iterable[Fact]) -> Fact:
        return any(facts)

    def negate(self, fact: Fact) -> Fact:
        return not fact

    def constant(self, value: Fraction | int) -> Number:
        return Fraction(value)

    def _read(self, spelled: str, term: Any) -> Fraction:
        value = z3.simplify(self._model.eval(term, model_completion=True))
        if not (z3.is_rational_value(value) or z3.is_int_value(value)):
            raise NotShown(f"the prover's value of {spelled} is not rational: {value}")
        exact = Fraction(value.as_string())
        self.point[spelled] = str(exact)
        return exact
