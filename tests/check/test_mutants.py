"""The unforgivable bug hunted at random: whatever is proved after a mutation is true as PyTorch runs the two networks."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import meaning
import pytest
import torch
from catalog import CASES
from forge import Triple
from mutants import mutate

from lumpnet.check import check_files
from lumpnet.errors import LumpnetError
from lumpnet.verdict import Proved, Unknown


def _verdict(triple: Triple, folder: Path) -> str:
    """What the checker says; a proof is compared with the networks at once."""
    try:
        paths = triple.write(folder)
    except (LumpnetError, KeyError):
        return "not a network"

    try:
        verdict = check_files(*paths)
    except LumpnetError:
        return "unreadable"
    if isinstance(verdict, Unknown) and "the checker stopped" in verdict.reason:
        raise AssertionError(verdict.reason)
    if isinstance(verdict, Proved):
        close = {"none": 1e-9, "nearest": 1e-5}[triple.rounding]
        for seed in range(2):
            inputs = meaning.random_inputs(triple.g, seed)
            try:
                original, reduced = meaning.outputs(triple.g, inputs), meaning.outputs(triple.h, inputs)
            except RuntimeError:
                return "PyTorch refuses the original"
            for mine, its in zip(original, reduced, strict=True):
                torch.testing.assert_close(its, mine, rtol=close, atol=close, equal_nan=True)
    return type(verdict).__name__


def campaign(seeds: range, folder: Path) -> Counter[str]:
    """Mutate catalogue entries once to three times; the counts by verdict."""
    counts: Counter[str] = Counter()
    for seed in seeds:
        rng = random.Random(seed)
        name = rng.choice(sorted(CASES))
        triple = CASES[name]()
        done = [mutate(triple, rng) for _ in range(rng.choice([1, 1, 2, 3]))]
        try:
            counts[_verdict(triple, folder)] += 1
        except Exception as problem:
            raise AssertionError(f"seed {seed}: {name}, {done}") from problem
    return counts


def test_nothing_false_is_proved_of_mutants(tmp_path: Path) -> None:
    counts = campaign(range(600), tmp_path)
    assert counts["Refuted"] > 200
    assert counts["Proved"] > 20


@pytest.mark.slow
def test_nothing_false_is_proved_of_many_mutants(tmp_path: Path) -> None:
    campaign(range(600, 20000), tmp_path)
