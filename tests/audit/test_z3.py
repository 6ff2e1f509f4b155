"""Z3 finds no input that passes a certified bound, and always one that passes the number below the attained one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def asked(seed: int, count: int, seconds: float) -> dict[str, list[int]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.audit.z3_agrees", str(seed), str(count)],
        capture_output=True, text=True, timeout=seconds, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: dict[str, list[int]] = json.loads(done.stdout)
    return answer


def agrees(seed: int, count: int, seconds: float) -> None:
    found = asked(seed, count, seconds)
    assert found["sat"] == [], f"seed {seed}: Z3 passes the bound of pairs {found['sat']}"
    assert len(found["unsat"]) >= 0.9 * count
    assert found["missed"] == [], f"seed {seed}: Z3 attains less than the lower end of pairs {found['missed']}"


def test_z3_passes_no_bound(seed: int) -> None:
    agrees(seed, 24, 300)


@pytest.mark.slow
def test_z3_passes_no_bound_at_length(seed: int) -> None:
    agrees(seed + 1, 200, 1800)
