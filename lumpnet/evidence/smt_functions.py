"""The table of functions of one number, as Z3 terms: those with a formula, and uninterpreted ones with true facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import z3

Term = Any
Attrs = Mapping[str, Any]
ZERO, ONE = z3.RealVal(0), z3.RealVal(1)


def _real(value: Any) -> Term:
    exact = Fraction(value)
    return z3.RealVal(f"{exact.numerator}/{exact.denominator}")


def _absolute(u: Term) -> Term:
    return z3.If(u < 0, -u, u)


def _clipped(u: Term, most: Term) -> Term:
    return z3.If(u < 0, ZERO, z3.If(u > most, most, u))


FORMULAS: dict[str, Callable[[Attrs, Term], Term]] = {
    "abs": lambda a, u: _absolute(u),
    "sign": lambda a, u: z3.If(u > 0, ONE, z3.If(u < 0, -ONE, ZERO)),
    "softsign": lambda a, u: u / (1 + _absolute(u)),
    "hardswish": lambda a, u: u * _clipped(u + 3, _real(6)) / 6,
    "hardsigmoid": lambda a, u: _clipped(_real(a["alpha"]) * u + _real(a["beta"]), ONE),
}
FACTS: dict[str, Callable[[Attrs, Any, Term], Any] | None] = {
    "exp": lambda a, f, u: f(ZERO) == 1,
    "log": lambda a, f, u: f(ONE) == 0,
    "sqrt": lambda a, f, u: z3.Implies(u >= 0, z3.And(f(u) >= 0, f(u) * f(u) == u)),
    "reciprocal": lambda a, f, u: z3.Implies(u != 0, f(u) * u == 1),
    "erf": lambda a, f, u: f(-u) == -f(u),
    "sin": lambda a, f, u: f(-u) == -f(u),
    "cos": lambda a, f, u: z3.And(f(-u) == f(u), f(ZERO) == 1),
    "elu": lambda a, f, u: z3.Implies(u >= 0, f(u) == u),
    "selu": lambda a, f, u: f(ZERO) == 0,
    "celu": lambda a, f, u: z3.Implies(u >= 0, f(u) == u),
    "softplus": lambda a, f, u: z3.Implies(_real(a["beta"]) * u > _real(a["threshold"]), f(u) == u),
    "mish": lambda a, f, u: f(ZERO) == 0,
    "logsigmoid": None,
    "floor": lambda a, f, u: z3.And(f(u) <= u, u < f(u) + 1, z3.IsInt(f(u))),
    "ceil": lambda a, f, u: z3.And(f(u) >= u, u > f(u) - 1, z3.IsInt(f(u))),
    "round": lambda a, f, u: z3.And(f(-u) == -f(u), z3.IsInt(f(u)), f(u) - u <= 0.5, u - f(u) <= 0.5),
    "pow": lambda a, f, u: _power(a["exponent"], f, u),
}


def _power(exponent: float, f: Any, u: Term) -> Any:
    n = int(exponent) if exponent == int(exponent) and 0 < abs(exponent) <= 4 else 0
    if not n:
        return z3.BoolVal(True)
    product = ONE
    for _ in range(abs(n)):
        product = product * u
    return f(u) == product if n > 0 else z3.Implies(u != 0, f(u) * product == 1)


KINDS = (*FORMULAS, *FACTS)
