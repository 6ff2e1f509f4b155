"""A correct certificate is accepted, rule by rule; and what is proved is true of the two networks as PyTorch runs them."""

from __future__ import annotations

from pathlib import Path

import meaning
import pytest
import torch
from catalog import CASES

from lumpnet.verdict import Proved


@pytest.mark.parametrize("name", CASES)
def test_a_correct_certificate_is_proved(name: str, tmp_path: Path) -> None:
    triple = CASES[name]()
    verdict = triple.verdict(tmp_path)
    assert isinstance(verdict, Proved), verdict
    assert (verdict.claim, verdict.rounding) == ("exact", triple.rounding)


@pytest.mark.parametrize("name", CASES)
def test_the_proved_networks_compute_the_same(name: str) -> None:
    triple = CASES[name]()
    inputs = meaning.random_inputs(triple.g, 0)
    close = {"none": 1e-12, "nearest": 1e-5}[triple.rounding]
    for mine, its in zip(meaning.outputs(triple.g, inputs), meaning.outputs(triple.h, inputs), strict=True):
        torch.testing.assert_close(its, mine, rtol=close, atol=close, equal_nan=True)
