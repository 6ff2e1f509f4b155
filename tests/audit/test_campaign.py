"""A share of the campaign against printed bounds, with a fresh seed; and that it sees a bound that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import lumpnet
from lumpnet.audit.result import Audit
from lumpnet.audit.top1 import Top1
from tests.audit.__main__ import command
from tests.audit.campaign import campaign, told


def test_no_input_contradicts_what_is_printed(seed: int) -> None:
    tally = campaign(seed, 4000, timeout=0.1)
    print("\n".join(told(tally, seed)))
    assert not tally.violations, "\n".join(told(tally, seed))
    assert tally.evaluations >= 4000
    assert tally.exact > 50
    assert min(tally.claims[c] for c in ("upper bound", "lower bound", "sum of residual shares")) > 5


def lower(found: Audit) -> Audit:
    return found if not found.upper_bound else replace(found, upper_bound=found.lower_bound * 0.999)


def less(found: Audit) -> Audit:
    return replace(found, residuals=[replace(s, share=(s.share or 0) * 1e-3) for s in found.residuals])


def more(found: Audit) -> Audit:
    return replace(found, lower_bound=found.lower_bound * (1 + 2**-30))


def same(found: Audit) -> Audit:
    return replace(found, verdict="equivalent")


def always(found: Audit) -> Audit:
    return found if found.top1 is None else replace(found, top1=Top1("same"))


@pytest.mark.parametrize(("wrong", "what"), [(lower, "upper bound"), (less, "residuals"), (more, "lower bound"), (same, "equivalent"), (always, "top-1")])
def test_a_wrong_answer_is_contradicted(seed: int, wrong: Callable[[Audit], Audit], what: str) -> None:
    def audited(*networks: Any, **options: Any) -> Audit:
        return wrong(lumpnet.audit(*networks, **options))

    tally = campaign(seed, 50_000, timeout=0.05, audited=audited, first=True)
    assert tally.violations
    assert all(what in violation for violation in tally.violations)


def test_the_command_counts_and_fails(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert command(["--evaluations", "400", "--seed", "7", "--timeout", "0.05"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("seed 7\nseed 7: ")
    assert "inputs of 2 pairs" in out
    assert ", 0 violations" in out
    monkeypatch.setattr("tests.audit.__main__.campaign", lambda seed, *rest: replace(campaign(seed, 200, 0.05), violations=["a bound"]))
    assert command(["--evaluations", "200"]) == 1
    assert "violated: a bound" in capsys.readouterr().out
