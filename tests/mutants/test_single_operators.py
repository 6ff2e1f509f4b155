"""Every operator's obligation by itself: thousands of small networks around one operator, guessed lumpings, exact judgement."""

from __future__ import annotations

import os
import random
from pathlib import Path

import mutant_single
import pytest
from mutant_campaign import Judge, Result, examine


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


@pytest.mark.slow
@pytest.mark.parametrize("name", mutant_single.CASES)
def test_what_is_proved_around_one_operator_is_true_at_length(name: str, seed: int, tmp_path: Path) -> None:
    trials(name, int(os.environ.get("LUMPNET_MUTANTS", 100_000)) // len(mutant_single.CASES), seed, tmp_path)
