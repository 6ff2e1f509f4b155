"""Z3, in a limited process of its own, agrees with both ends of every interval; and disagrees where an interval is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lumpnet
from lumpnet import Box
from lumpnet.audit.opinion import second_opinion
from lumpnet.evidence.smt import farther, within
from lumpnet.ir import Graph
from lumpnet.verdict import Proved, Refuted, Unknown
from tests.bounds.cases import RELU, chain, linear

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
    assert found["contradicts"] == [], f"seed {seed}: Z3 contradicts the intervals of pairs {found['contradicts']}"
    assert len(found["agrees"]) >= 0.8 * count
    assert sum(map(len, found.values())) == count


def test_z3_agrees_with_intervals(seed: int) -> None:
    agrees(seed, 10, 300)


@pytest.mark.slow
def test_z3_agrees_with_intervals_at_length(seed: int) -> None:
    agrees(seed + 1, 200, 3600)


BOX = Box(-1, 1)
ENDS = {"x": BOX.on(chain([2], linear(np.eye(2))).inputs[0])}


def two() -> tuple[Graph, Graph]:
    """2 relu(x0) - x1 against relu(x0) - x1: at most 1 apart, at x0 = 1."""
    return tuple(chain([2], linear(np.eye(2)), RELU, linear([[w, -1.0]])) for w in (2.0, 1.0))  # type: ignore[return-value]


def audited(**wrong: Any) -> Any:
    networks = [lumpnet.Network(graph) for graph in two()]
    found = replace(lumpnet.audit(*networks, domain=BOX, timeout=5, jobs=1), **wrong)
    return second_opinion(found, *networks, BOX, seconds=30)


def test_an_interval_is_confirmed() -> None:
    opinion = audited()
    assert isinstance(opinion.above, Proved)
    assert opinion.above.statements[0].startswith("no output differs by more than 1.0")
    assert isinstance(opinion.below, Refuted)
    assert opinion.contradiction == ""


def test_an_upper_bound_that_is_too_low_is_contradicted() -> None:
    opinion = audited(upper_bound=0.75)
    assert isinstance(opinion.above, Refuted)
    assert opinion.contradiction.startswith("the upper bound is passed: entry [0] of output 'v2'")
    (x0, _) = opinion.above.witness["inputs"]["x"]
    assert Fraction(3, 4) < Fraction(x0) <= 1


def test_a_lower_bound_that_is_too_high_is_contradicted() -> None:
    opinion = audited(lower_bound=1.5)
    assert isinstance(opinion.below, Proved)
    assert opinion.contradiction == "no input attains the lower bound"


def test_what_is_not_claimed_is_not_asked() -> None:
    opinion = audited(upper_bound=None, lower_bound=0.0)
    assert opinion.above == opinion.below == Unknown("nothing is claimed")
    assert opinion.contradiction == ""


def test_what_z3_cannot_decide_is_unknown() -> None:
    one, other = two()
    files = [lumpnet.Network(graph).data for graph in (one, other)]
    large = [lumpnet.Network(chain([2], linear(np.ones((3000, 2))), RELU, linear(np.ones((1, 3000))))).data] * 2
    for opinion, reason in (
        (within(large[0], large[1], ENDS, [1.0], 30), "more than"),
        (within(files[0], files[1], ENDS, [0.5], 0.01), "stopped after"),
        (within(files[0], files[1], ENDS, [0.5], 30, 1), "failed"),
        (within(b"no network", files[1], ENDS, [0.5], 30), "failed"),
    ):
        (verdict,) = opinion
        assert isinstance(verdict, Unknown)
        assert reason in verdict.reason


def test_a_witness_counts_only_inside_of_the_box_and_beyond_the_bound(tmp_path: Path) -> None:
    paths = [tmp_path / "one.safetensors", tmp_path / "two.safetensors"]
    for path, graph in zip(paths, two(), strict=True):
        lumpnet.Network(graph).save(path)
    ends = {"x": {"lower": ["-1", "-1"], "upper": ["1", "1"]}}
    for values, bound, counts in ((["1", "0"], "3/4", True), (["3/4", "0"], "3/4", False), (["2", "0"], "3/4", False), (["1", "-2"], "3/4", False)):
        found = farther(*paths, {"x": {"shape": [2], "values": values}}, Fraction(bound), ends)
        assert (found is not None) == counts
    assert farther(*paths, None, Fraction(0), ends) is None
