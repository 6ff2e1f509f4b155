"""Every operator's obligation by itself: thousands of small networks around one operator, guessed lumpings, exact judgement."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import mutant_single
import numpy as np
import pytest
from mutant_campaign import Judge, Result, examine

from lumpnet.check.rules import affine, arithmetic, elementwise, entries, layout, lookup, norm, padding, pooling, recurrent, slopes, softmax


def trials(name: str, count: int, seed: int, folder: Path) -> Result:
    rng, result, judge = random.Random(f"{seed} {name}"), Result(), Judge()
    for k in range(count):
        triple = mutant_single.draw(name, rng)
        if triple is None:
            continue
        if k % 200 == 0:
            judge = Judge()
        examine(result, judge, triple, triple.files(), folder, name, f"seed {seed}, {name}, trial {k}")
    print(f"\nseed {seed}: {name} {dict(result.counts[name])}, without value {len(result.undefined)}")
    assert not result.wrong, "\n".join(["the checker proved something false", *result.wrong[:10]])
    assert not result.stopped, "\n".join(["the checker stopped", *result.stopped[:10]])
    return result


@pytest.mark.parametrize("name", mutant_single.CASES)
def test_what_is_proved_around_one_operator_is_true(name: str, seed: int, tmp_path: Path) -> None:
    counts = trials(name, 150, seed, tmp_path).counts[name]
    assert counts["accepted"] > 10, "the guesses are never right: nothing is tested"
    assert counts["refuted"] > 1, "the guesses are never wrong: nothing is tested"


# --- that the trials can fail --------------------------------------------------------------------


def nothing(*args: Any, **more: Any) -> None:
    """In place of an obligation: accepts everything."""


def _no_border(node: Any, x: Any) -> np.ndarray:
    return np.zeros(int(np.prod(node.params["weight"].data.shape[2:])), np.bool_)


def _one_sum(layer: recurrent.Layer, gate: recurrent.Gate, step: Callable[..., None] = recurrent.Layer.step) -> None:
    step(layer, replace(gate, sides=(("ih", "hh"),)))


HOLES: dict[str, tuple[Any, str, Callable[..., Any], str]] = {
    "sizes of a kernel": (affine, "_kernel", lambda node: (), "conv"),
    "zero padding": (affine, "border_taps", _no_border, "conv"),
    "taps read": (affine, "taps_read", lambda n, kernel, *rest: np.ones((1, kernel), np.bool_), "conv_transpose"),
    "rows of a transposed weight": (affine.Affine, "proportional", nothing, "conv_transpose"),
    "every entry of a table": (lookup, "_follows", lambda *args: True, "embedding"),
    "scale before a softmax": (softmax, "_shifted", lambda *args: True, "softmax"),
    "equal rows": (affine.Affine, "proportional", nothing, "conv"),
    "offsets": (affine.Affine, "offsets", nothing, "conv"),
    "functions": (elementwise, "carry", nothing, "relu"),
    "sums": (arithmetic, "carry", nothing, "add"),
    "products": (arithmetic, "carry", nothing, "mul"),
    "layout": (layout, "carry", nothing, "layout"),
    "selections": (entries, "carry", nothing, "index_select"),
    "joined positions": (layout, "_equal", lambda *args: True, "concat"),
    "signs before a maximum": (pooling, "_maximum", lambda *args: True, "max_pool"),
    "window weights": (pooling, "_sums_to_one", lambda *args: True, "avg_pool"),
    "padding": (padding, "carry", nothing, "pad"),
    "units of padding": (padding, "carry", nothing, "more_units"),
    "slopes of a class": (slopes, "_positive", lambda *args: True, "prelu"),
    "reduced slopes": (slopes, "carry", nothing, "prelu"),
    "slopes and means": (norm, "_member", nothing, "batch_norm"),
    "constant channels": (norm, "_constant", nothing, "batch_norm"),
    "kept channels": (norm, "_kept", nothing, "batch_norm"),
    "the zero state": (recurrent.Layer, "base", nothing, "rnn"),
    "what the cell carries": (recurrent, "_turned", lambda *args: True, "lstm"),
    "rows of gates": (affine.Affine, "proportional", nothing, "lstm"),
    "silent candidates": (affine.Affine, "constants", nothing, "gru"),
    "biases of gates": (recurrent.Layer, "biases", nothing, "gru"),
    "a candidate's two sides": (recurrent.Layer, "step", _one_sum, "gru"),
}


@pytest.mark.parametrize("hole", HOLES)
def test_the_trials_find_a_missing_obligation(hole: str, seed: int, tmp_path: Path) -> None:
    owner, attribute, replacement, name = HOLES[hole]
    rng, result, judge = random.Random(f"{seed} {hole}"), Result(), Judge()
    with mock.patch.object(owner, attribute, replacement):
        for k in range(6000):
            triple = mutant_single.draw(name, rng)
            if triple is not None:
                examine(result, judge, triple, triple.files(), tmp_path, name, f"trial {k}")
            if result.wrong:
                return
    raise AssertionError(f"a checker without {hole!r} survives {sum(result.counts[name].values())} trials")


@pytest.mark.slow
@pytest.mark.parametrize("name", mutant_single.CASES)
def test_what_is_proved_around_one_operator_is_true_at_length(name: str, seed: int, tmp_path: Path) -> None:
    trials(name, int(os.environ.get("LUMPNET_MUTANTS", 100_000)) // len(mutant_single.CASES), seed, tmp_path)
