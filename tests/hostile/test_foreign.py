"""Hostile files of other formats: refused in one paragraph, nothing executed, nothing written, in bounded time and memory."""

from __future__ import annotations

import re
from functools import cache

import hostile_onnx
import pytest
from foreign import Outcome, show
from hostile_pt2 import HARMLESS, files, pack, valid

SECONDS = 20.0
"""Of processor time: ten times what one refusal may take; `python -m tests.hostile` prints what it takes."""
MEBIBYTES = 512.0

PT2, ONNX = files(), hostile_onnx.files()


@cache
def baseline() -> Outcome:
    return show(".pt2", pack(valid()))


def is_refused(outcome: Outcome) -> None:
    assert outcome.code == 2, outcome
    assert outcome.out == "", outcome
    assert re.fullmatch(r"error: \S.*: .+\. Expected .+\. Try: .+\.\n", outcome.err), outcome
    assert outcome.err.count("\n") == 1, outcome
    assert "Traceback" not in outcome.err, outcome
    assert outcome.err.strip().isprintable(), outcome
    assert outcome.left == [], outcome
    assert outcome.memory < MEBIBYTES, outcome
    assert outcome.processor < SECONDS, outcome


def test_the_program_is_good_before_it_is_spoiled() -> None:
    assert baseline().code == 0, baseline()
    assert "linear" in baseline().out
    assert baseline().left == []


@pytest.mark.parametrize("what", PT2)
def test_a_spoiled_program(what: str) -> None:
    assert PT2[what] != pack(valid())
    is_refused(show(".pt2", PT2[what]))


def test_the_model_is_good_before_it_is_spoiled() -> None:
    outcome = show(".onnx", hostile_onnx.valid())
    assert outcome.code == 0, outcome
    assert outcome.left == []


@pytest.mark.parametrize("what", ONNX)
def test_a_spoiled_model(what: str) -> None:
    assert ONNX[what] != hostile_onnx.valid()
    is_refused(show(".onnx", ONNX[what]))


@pytest.mark.parametrize("what", HARMLESS)
def test_what_is_never_looked_at_is_never_executed(what: str) -> None:
    outcome = show(".pt2", pack(HARMLESS[what](valid())))
    assert outcome.code == 0, outcome
    assert outcome.left == [], outcome


def test_there_are_many() -> None:
    assert len(PT2) >= 100
    assert len(ONNX) >= 100


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt", ".pkl"])
def test_pickles_are_refused_by_name(suffix: str) -> None:
    from hostile_pt2 import Bomb, pickle

    outcome = show(suffix, pickle.dumps(Bomb()))
    is_refused(outcome)
    assert "--weights" in outcome.err
