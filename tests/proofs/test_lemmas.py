"""Every lemma holds, every side condition is needed, and every operator kind has a lemma."""

import ast
from pathlib import Path

import pytest

import proofs
from lumpnet.ops import kinds
from proofs.lemma import Fails, Holds, Lemma
from proofs.registry import covers, every, of_rule, rules

GENERAL = ["composition", "constants", "effect", "executed", "rounding", "unobserved"]
LEMMAS = every()


def named(lemma: Lemma) -> str:
    return lemma.name


def test_every_operator_kind_is_covered_by_one_lemma_file():
    assert sorted(kind for rule in rules() for kind in covers(rule)) == sorted(kinds())


def test_there_is_no_lemma_file_without_a_purpose():
    assert [rule for rule in rules() if not covers(rule)] == GENERAL


def test_names_are_unique_and_begin_with_their_rule():
    assert len({lemma.name for lemma in LEMMAS}) == len(LEMMAS)
    assert all(lemma.name.startswith(f"{rule}.") for rule in rules() for lemma in of_rule(rule))


@pytest.mark.parametrize("lemma", LEMMAS, ids=named)
def test_the_lemma_holds_and_every_converse_is_replayed(lemma):
    outcome = lemma.report().outcome
    assert isinstance(outcome, Holds), outcome
    assert [example.drops for example in outcome.counterexamples] == list(lemma.dropped())
    assert all(example.found != example.claimed and example.point for example in outcome.counterexamples)


@pytest.mark.parametrize("lemma", LEMMAS, ids=named)
def test_every_side_condition_has_a_converse(lemma):
    assert lemma.conditions()
    assert set(lemma.conditions()) == set(lemma.dropped())


@pytest.mark.parametrize(("lemma", "condition"), [(x, c) for x in LEMMAS for c in x.conditions()], ids=lambda x: x if isinstance(x, str) else x.name)
def test_a_lemma_without_one_of_its_conditions_is_reported_as_failed(lemma, condition):
    assert isinstance(lemma.without(condition).report().outcome, Fails)


@pytest.mark.parametrize("path", sorted(Path(proofs.__file__).parent.rglob("*.py")), ids=lambda path: path.name)
def test_the_lemmas_import_nothing_of_lumpnet(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not {name for name in imported if name.split(".")[0] == "lumpnet"}
