"""The unforgivable bug hunted by thousands of damaged triples: whatever the checker proves of one is true in exact arithmetic.

LUMPNET_SEED=N repeats a run; LUMPNET_MUTANTS=N sets the size of the slow campaign; LUMPNET_KEEP=FOLDER keeps the files of every finding.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from mutant_campaign import Result, campaign
from mutant_meaning import Roots, exactly, outputs, points
from mutant_operators import OPERATORS
from mutant_pool import pool
from mutant_rebuild import quotient
from mutant_triples import Net, check

from lumpnet.check import run
from lumpnet.check.rules import affine, arithmetic, elementwise, layout, norm, pinned, pooling
from lumpnet.ir import Graph, load_network
from lumpnet.ops import sites
from lumpnet.verdict import Proved

SHARDS = 2
QUICK = 20_000
SLOW = 200_000


def judged(result: Result, seed: int) -> None:
    """Print what happened and refuse every wrong proof."""
    print(f"\nseed {seed}: {result.mutants} mutants\n{result.table()}")
    print(f"proofs not judged because a network has no values there: {len(result.undefined)}")
    assert not result.wrong, "\n".join(["the checker proved something false", *result.wrong[:10]])
    assert not result.stopped, "\n".join(["the checker stopped", *result.stopped[:10]])
    assert len(result.undefined) <= result.mutants // 200, result.undefined[:10]


@pytest.mark.parametrize("shard", range(SHARDS))
def test_nothing_false_is_proved_of_a_damaged_triple(shard: int, seed: int, tmp_path: Path) -> None:
    result = campaign(seed * SHARDS + shard, QUICK // SHARDS, tmp_path)
    judged(result, seed)
    assert result.mutants * SHARDS >= QUICK
    effective = {name.partition(" & ")[0] for name, answers in result.counts.items() if answers}  # some need numbers that few triples have
    assert not {name.partition(" & ")[0] for name in OPERATORS} - effective, "an operator without an effective mutant"


@pytest.mark.slow
def test_nothing_false_is_proved_of_many_damaged_triples(seed: int, tmp_path: Path) -> None:
    judged(campaign(seed, int(os.environ.get("LUMPNET_MUTANTS", SLOW)), tmp_path), seed)


# --- that the campaign can fail ------------------------------------------------------------------


def nothing(*args: Any, **more: Any) -> None:
    """In place of an obligation: accepts everything."""


def _fits(x: np.ndarray, *args: Any) -> np.ndarray:
    return np.zeros(x.shape, np.bool_)


def _no_border(node: Any, x: Any) -> np.ndarray:
    return np.zeros(int(np.prod(node.params["weight"].data.shape[2:])), np.bool_)


HOLES: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "equal rows": (affine.Affine, "members", nothing),
    "constant rows": (affine.Affine, "constants", nothing),
    "kept rows": (affine.Affine, "kept", nothing),
    "offsets and biases": (affine.Affine, "offsets", nothing),
    "zero padding": (affine, "border_taps", _no_border),
    "stored weights": (affine, "misfits", _fits),
    "functions": (elementwise, "carry", nothing),
    "sums and products": (arithmetic, "carry", nothing),
    "terms and factors": (arithmetic, "_stored", nothing),
    "layout": (layout, "carry", nothing),
    "pools": (pooling, "carry", nothing),
    "window weights": (pooling, "_sums_to_one", lambda *args: True),
    "slopes and means": (norm, "_member", nothing),
    "kept channels": (norm, "_kept", nothing),
    "constant channels": (norm, "_constant", nothing),
    "equal operators": (pinned, "equal_numbers", lambda *args: True),
    "counterparts": (run, "_counterpart", nothing),
    "interface": (run, "_same_interface", nothing),
}
QUICK_HOLES = ("equal rows", "kept rows", "stored weights", "counterparts")


def finds(hole: str, seed: int, folder: Path, mutants: int) -> None:
    owner, name, replacement = HOLES[hole]
    with mock.patch.object(owner, name, replacement):
        result = campaign(seed, mutants, folder, until_wrong=True)
    print(f"\n{hole}: {result.mutants} mutants until {result.wrong[:1]}")
    assert result.wrong, f"a checker without {hole!r} survives {result.mutants} mutants"


@pytest.mark.parametrize("hole", QUICK_HOLES)
def test_the_campaign_finds_a_missing_obligation(hole: str, seed: int, tmp_path: Path) -> None:
    finds(hole, seed, tmp_path, 4000)


@pytest.mark.slow
@pytest.mark.parametrize("hole", HOLES)
def test_the_campaign_finds_every_missing_obligation(hole: str, seed: int, tmp_path: Path) -> None:
    finds(hole, seed, tmp_path, 30_000)


# --- that its instruments are right --------------------------------------------------------------


STAND_INS = {"tanh", "sigmoid", "silu", "gelu", "softmax", "opaque", "batch_norm", "attention", "layer_norm", "rms_norm", "instance_norm", "group_norm", "div"}


def _rational(net: Net) -> bool:
    return not {n["kind"] for n in net.nodes} & (STAND_INS | {"max_pool"})


def test_the_judge_reads_networks_as_lumpnet_runs_them(seed: int, tmp_path: Path) -> None:
    """Where everything is rational, the exact evaluators of the tests and of the package agree."""
    agreed = 0
    for triple in pool(seed, 12):
        if not _rational(triple.g):
            continue
        path = tmp_path / "net.safetensors"
        path.write_bytes(triple.g.data())
        graph: Graph = load_network(path)
        ins = {}
        for name, x in points(triple.g, 3).items():
            ins[name] = np.empty(x.ints.shape, dtype=object)
            ins[name].reshape(-1)[:] = [Fraction(v, x.den) for v in x.ints.flat]
        values = sites.run(graph, ins)
        for name, its in zip(graph.outputs, outputs(triple.g, Roots(), count=3), strict=True):
            assert exactly(values[name]).same(its), triple.label
        agreed += 1
    assert agreed > 10


def test_a_rebuilt_network_is_the_quotient_that_lumpnet_writes(seed: int, tmp_path: Path) -> None:
    """So that `refit` mutants of an undamaged triple are proved."""
    for triple in pool(seed, 2):
        triple.h, triple.certificate["claim"]["rounding"] = quotient(triple.g, triple.lumpings, triple.h.graph["inputs"][0]["dtype"])
        assert isinstance(check(triple.files(), tmp_path), Proved), triple.label
