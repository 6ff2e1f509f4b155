"""Damaged bounded certificates: none is accepted that is not true, and every accepted one is proved again."""

from __future__ import annotations

from pathlib import Path

import mutant_bounded
import pytest

from lumpnet.check import run as judge


def test_no_damaged_bound_is_believed(seed: int, tmp_path: Path) -> None:
    found = mutant_bounded.campaign(seed, 1500, tmp_path)
    assert not found.wrong, f"seed {seed}: {found.wrong[:3]}"
    assert not found.unproved, f"seed {seed}: {found.unproved[:3]}"
    assert not found.stopped, f"seed {seed}: {found.stopped[:3]}"
    assert found.counts["refuted"] > 300
    assert found.counts["accepted"] > 50


@pytest.mark.parametrize("lie", ["the bound", "the obligations"])
def test_the_judge_notices(lie: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checker that believes a bound, or skips obligations, is caught."""
    if lie == "the bound":
        monkeypatch.setattr(judge, "_at_most", lambda own, claim: ("", ""))
    else:
        monkeypatch.setattr(judge, "_discharge", lambda case: "skipped")
    found = mutant_bounded.campaign(7, 600, tmp_path)
    assert found.wrong
