"""All lemmas: one module of `proofs.lemmas` per rule, each with `COVERS` (operator kinds) and `LEMMAS`."""

from __future__ import annotations

import importlib
import pkgutil

from proofs import lemmas
from proofs.lemma import Lemma


def rules() -> tuple[str, ...]:
    """The names of the lemma files."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(lemmas.__path__)))


def of_rule(rule: str) -> tuple[Lemma, ...]:
    found: tuple[Lemma, ...] = importlib.import_module(f"{lemmas.__name__}.{rule}").LEMMAS
    return found


def covers(rule: str) -> tuple[str, ...]:
    """The operator kinds whose obligation the lemmas of `rule` state."""
    found: tuple[str, ...] = importlib.import_module(f"{lemmas.__name__}.{rule}").COVERS
    return found


def every() -> tuple[Lemma, ...]:
    return tuple(lemma for rule in rules() for lemma in of_rule(rule))
