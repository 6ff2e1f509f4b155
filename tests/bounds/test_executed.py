"""Whole networks as executed: all executions lie within the bound, and there is none where it would not be true."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import lumpnet
from lumpnet import Box
from lumpnet.api import Reduction
from lumpnet.bounds import CLAIM, Executed, apart, executed, execution_dtype, ranges
from lumpnet.cli.app import app
from lumpnet.cli.console import above, below
from lumpnet.domain import boxes
from lumpnet.errors import DomainError, NoBound
from lumpnet.evidence.executing import able_to_differ
from lumpnet.ir import Graph, Node, Value
from lumpnet.lower.torch import lower_graph
from lumpnet.ops.sites import run
from lumpnet.testing import FAMILIES, planted
from lumpnet.verdict import Proved, Unknown
from tests.bounds.campaign import Tally, check, forged_cases, main
from tests.bounds.cases import ADVERSARIES, RELU, case, chain, ladder, linear
from tests.bounds.executions import by_torch, inside, nearly, widened, worst

BIG = float(np.finfo(np.float32).max)


# -- laws ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("adversary", ADVERSARIES, ids=lambda a: a.__name__)
def test_adversaries_stay_within_the_bound(adversary: Any, seed: int) -> None:
    tally = Tally()
    for k in range(2):
        check(*adversary(np.random.default_rng([seed, k])), seed + k, tally)
    assert not tally.violations
    assert not tally.without
    assert tally.outputs > 500


@pytest.mark.parametrize("family", FAMILIES)
def test_families_stay_within_the_bound(family: str, seed: int) -> None:
    tally, at = Tally(), list(FAMILIES).index(family)
    for k in range(12):  # the tanh form of gelu has no bound in float64
        check(*case(2 * (at + len(FAMILIES) * (seed + k))), seed + k, tally)
        if tally.outputs > 600:
            break
    assert not tally.violations
    assert tally.outputs > 600


def test_forged_graphs_stay_within_the_bound() -> None:
    tally, forge = Tally(), forged_cases()
    while tally.outputs < 10_000:
        check(*next(forge), tally)
    assert not tally.violations


def test_the_campaign_counts_and_comes_close(seed: int) -> None:
    tally = main(20_000, seed, tell=False)
    assert not tally.violations
    assert tally.outputs >= 20_000
    assert sum(tally.compared[f"{library} {dtype}"] for library in ("torch", "onnxruntime") for dtype in ("float32", "float64")) > 10_000


def test_a_library_comes_close_to_the_bound() -> None:
    """The ladder is climbed by an order that somebody uses: 0.98 of the bound and more in random orders of numpy."""
    tally = Tally()
    for k in range(12):
        check(*ladder(np.random.default_rng(k)), k, tally)
    assert not tally.violations
    assert tally.ratio > 0.98


def test_a_violation_is_found(seed: int) -> None:
    """The campaign's own eyes: with bounds a thousandth of what they are, it reports violations."""
    tally = Tally()
    name, graph, domain = ladder(np.random.default_rng(seed))
    bound = executed(graph, domain)
    small = Executed(bound.dtype, {k: b / 1000 for k, b in bound.bounds.items()})
    xs = inside(boxes(domain, graph.inputs), 40, np.random.default_rng(seed))
    tally.add("torch", name, worst(by_torch(graph, 8)(xs), nearly(graph, xs), small, graph, None))
    assert tally.violations


def test_ranges_hold_all_values_of_networks(seed: int) -> None:
    """Every value of the graph, not only the outputs, in float64 with 1e-9 for its own errors."""
    for k in range(12):
        name, graph, domain = case(seed + k)
        wide = widened(graph)
        xs = inside(boxes(domain, graph.inputs), 30, np.random.default_rng(k))
        with np.errstate(all="ignore"):
            values = run(wide, {n: x.astype(np.float64) for n, x in xs.items()})
        for value, found in ranges(graph, domain).items():
            assert not isinstance(found, NoBound), (name, found)
            slack = 1e-9 * (1 + found.most.max(initial=0))
            assert ((values[value] >= found.lo - slack) & (values[value] <= found.hi + slack)).all(), (name, value)


# -- no bound ------------------------------------------------------------------------------------


def no_bound(graph: Graph, domain: Any, dtype: str | None = None) -> str:
    found = executed(graph, domain, dtype)
    assert found.bound is None
    assert found.reason is not None
    assert found.reason.startswith("no bound: ")
    return found.reason


def test_a_partial_sum_that_may_overflow_has_no_bound() -> None:
    """The sum is small; its parts are not."""
    graph = chain([3], linear([[BIG / 2, BIG / 2, -BIG]]))
    assert "overflow float32" in no_bound(graph, Box(1, 1))
    assert "overflow float32" in no_bound(graph, Box(0.9, 1.5))
    y = by_torch(graph)({"x": np.ones((1, 3), np.float32)})[0]
    assert executed(graph, Box(1, 1), "float64").reason is None
    assert executed(graph, Box(0.25, 0.25), "float32").reason is None
    assert y.shape == (1, 1)


def test_an_unobserved_unit_that_overflows_has_no_bound() -> None:
    """Its weight is 0, and 0 times infinity is NaN: which is what torch answers."""
    graph = chain([1], linear([[1.0], [BIG]]), RELU, linear([[1.0, 0.0]]))
    assert "v0: a value or partial sum" in no_bound(graph, Box(0, 10))
    assert np.isnan(by_torch(graph)({"x": np.full((1, 1), 10, np.float32)})[0]).all()
    assert executed(graph, Box(0, 0.5)).reason is None


def test_a_sum_of_values_that_may_overflow_has_no_bound() -> None:
    value = Value("x", (None, 1))
    graph = Graph((value,), (Node(Value("y", (None, 1)), "add", ("x", "x")),), ("y",), {})
    assert "overflow float32" in no_bound(graph, Box(0, 0.75 * BIG))
    assert executed(graph, Box(0, 0.4 * BIG)).reason is None


def test_the_edge_of_overflow_is_on_the_safe_side() -> None:
    """Up to where sums round to infinity there is no bound, and just below there is."""
    for scale, bounded in ((1.0, False), (1 - 2.0**-20, True)):
        graph = chain([2], linear([[BIG * 0.5, BIG * 0.5]]))
        assert (executed(graph, Box(scale, scale)).reason is None) == bounded


def test_weights_that_the_format_does_not_hold_have_no_bound() -> None:
    graph = widened(chain([1], linear([[1.0]])))
    held = Graph(graph.inputs, graph.nodes, graph.outputs, {"v0.weight": np.array([[0.1]])})
    assert "rounded in float32" in no_bound(held, Box(0, 1), "float32")
    assert executed(held, Box(0, 1)).dtype == "float64" == execution_dtype(held)
    assert executed(held, Box(0, 1)).reason is None
    assert executed(graph, Box(0, 1), "float32").reason is None


def test_inputs_that_the_format_does_not_hold_have_no_bound() -> None:
    assert "inputs beyond float32" in no_bound(widened(chain([1], RELU)), Box(0, 1e300), "float32")


def test_one_unknown_operator_anywhere_is_no_bound() -> None:
    assert "operator abs is not known here" in no_bound(chain([2], ("abs", {}, {}), linear([[1.0, 1.0]])), Box(0, 1))


def test_variances_that_are_no_normal_numbers_have_no_bound() -> None:
    for var, eps, word in ((0.0, 0.0, "var + eps"), (-1.0, 2.0, "negative"), (2.0**-130, 0.0, "var + eps")):
        norm = {"mean": np.zeros(1), "var": np.array([var])}
        assert word in no_bound(chain([1], ("batch_norm", {"eps": eps}, norm)), Box(0, 1))


def test_a_process_that_flushes_to_zero_gives_no_bound() -> None:
    code = (
        "import torch, sys; torch.set_flush_denormal(True)\n"
        "from lumpnet import Box; from lumpnet.bounds import executed; from tests.bounds.cases import *\n"
        "try: print(executed(chain([1], RELU), Box(0, 1)).reason)\nexcept Exception as e: print(e)"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert "flushes subnormal numbers" in done.stdout, done.stdout + done.stderr


def test_bounds_beyond_float64_are_refused() -> None:
    graph = chain([2], linear([[1e200, 1e200]]), linear([[1e200]]), dtype="float64")
    assert "beyond the floats" in no_bound(graph, Box(-1, 1)) or "overflow" in no_bound(graph, Box(-1, 1))


# -- two networks -----------------------------------------------------------------------------------


def three() -> nn.Module:
    """Three identical units with outgoing weights 2^25, 1 and -2^25: the exact quotient has one, of weight 1."""
    model = nn.Sequential(nn.Linear(1, 3, bias=False), nn.ReLU(), nn.Linear(3, 1, bias=False))
    with torch.no_grad():
        model[0].weight.fill_(1)
        model[2].weight.copy_(torch.tensor([[2.0**25, 1, -(2.0**25)]]))
    return model


def test_equal_networks_differ_by_a_thousand_when_executed() -> None:
    result = lumpnet.reduce(three(), torch.zeros(2, 1), require="exact")
    assert isinstance(result.verdict, Proved)
    assert (result.verdict.claim, result.verdict.rounding) == ("exact", "none")
    assert result.totals() == {"equal": 2}
    found = result.executed(Box(0, 1000))
    assert found.observed is not None
    assert found.observed >= 1000
    assert found.bound is not None
    assert found.observed <= found.bound < 20_000
    x = torch.from_numpy(found.inputs["input"])[None]
    assert abs(lumpnet.lower(result.original)(x).item() - result.model(x).item()) == found.observed
    assert found.original.bound is not None
    assert found.reduced.bound is not None
    assert found.reduced.bound < 1e-3
    assert found.original.bound + found.reduced.bound <= found.bound


def test_a_network_that_overflows_alone_is_told_without_infinity(tmp_path: Path) -> None:
    result = lumpnet.reduce(three(), torch.zeros(2, 1))
    found = result.executed(Box(0, 1e33))
    assert found.bound is None
    assert "overflow" in str(found.reason)
    data = found.as_dict()
    assert (data["observed"], data["overflowed"]) == (None, True)
    json.dumps(data, allow_nan=False)


def test_rounded_weights_have_no_bound_for_both_and_one_for_each() -> None:
    network = lumpnet.Network.load(Path(lumpnet.__file__).parent / "cli" / "demo.safetensors")
    found = lumpnet.reduce(network).executed(Box(0, 1))
    assert found.bound is None
    assert "rounded (rounding nearest)" in str(found.reason)
    assert found.original.bound is not None
    assert found.observed is not None
    exact = lumpnet.reduce(network, require="exact").executed(Box(0, 1))
    assert exact.bound is not None
    assert exact.observed is not None
    assert exact.observed <= exact.bound


@pytest.mark.parametrize("family", ["mlp", "cnn", "resnet", "tied"])
def test_observed_is_never_above_certified(family: str, seed: int) -> None:
    for k in range(3):
        result: Reduction = lumpnet.reduce(lumpnet.Network(planted(seed + k, family).graph), require="exact")
        found = result.executed(Box(-1, 1), seed=k)
        assert found.observed is not None
        if found.bound is not None:
            assert found.observed <= found.bound


def test_networks_that_are_not_proved_equal_have_no_bound_for_both() -> None:
    result = lumpnet.reduce(three(), torch.zeros(2, 1))
    found = replace(result, verdict=Unknown("somebody lost the proof")).executed(Box(0, 1))
    assert found.bound is None
    assert found.reason == "no bound: the networks are not proved equal"
    assert found.observed is not None


def test_networks_of_two_formats_share_their_inputs() -> None:
    """The original in float32, the reduced in float64: inputs that both hold."""
    found = lumpnet.reduce(lumpnet.Network(planted(3, "mlp").graph), require="exact", dtype="float64").executed(Box(0.1, 0.3))
    assert found.dtype == "float32 and float64"
    assert found.bound is not None
    assert found.observed is not None
    assert found.observed <= found.bound
    assert next(iter(found.inputs.values())).dtype == np.float32
    assert found.reduced.bound is not None
    assert found.original.bound is not None
    assert found.reduced.bound < found.original.bound / 1000


def test_a_domain_that_does_not_fit_is_refused() -> None:
    result = lumpnet.reduce(three(), torch.zeros(2, 1))
    with pytest.raises(DomainError, match="shape"):
        result.executed(Box([0, 0], [1, 1]))


def test_apart_adds_what_is_certified() -> None:
    one, two = (Executed("float32", {"y": np.array([a, b])}) for a, b in ((1.0, 2.0), (0.5, 0.25)))
    found = apart(one, two, 3.0)
    assert found is not None
    assert 5.25 <= found < 5.2500001
    assert apart(one, Executed("float32", reason="no bound: why")) is None


def test_the_search_stays_in_the_box_and_replays(rng: np.random.Generator) -> None:
    seen: list[torch.Tensor] = []

    class Watch(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x)
            return (x > 0.75).sum(dim=1, keepdim=True).float()

    low, high = np.float32([-1, 0, 0.5]), np.float32([-0.5, 1, 0.9])
    found = able_to_differ(Watch(), lower_graph(chain([3], linear(np.zeros((1, 3))))), {"x": (low, high)}, ("float32", "float32"))
    assert found.largest == 2
    assert all(((torch.from_numpy(low) <= x) & (x <= torch.from_numpy(high))).all() for x in seen)
    assert len(seen[-1]) == 1
    assert seen[-1][0].tolist() == found.inputs["x"].tolist()
    assert found.tried > 1000


# -- what users see -----------------------------------------------------------------------------------


def call(*args: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(a) for a in args], env={"COLUMNS": "80"})
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def three_file(tmp_path: Path) -> Path:
    lumpnet.lift(three(), torch.zeros(2, 1)).save(tmp_path / "three.safetensors")
    return tmp_path / "three.safetensors"


def test_the_command_line_says_both(three_file: Path, tmp_path: Path) -> None:
    code, out, _ = call("reduce", three_file, "-o", tmp_path / "o.safetensors", "--domain", "0:1000")
    text = " ".join(out.split())
    assert code == 0
    assert "executed in float32 on 0:1000" in text
    assert "certified at most 16,100 apart" in text
    assert "observed 1,000 apart at the worst of" in text
    assert "the same units as without a domain" in text
    assert CLAIM.split(",")[0] in text
    assert "exact: the reduced network computes the same real function, for every input" in text
    told = out[out.index("executed in") : out.index("vouched for")]
    assert max(map(len, told.splitlines())) <= 80


def test_json_has_the_object(three_file: Path, tmp_path: Path) -> None:
    code, out, _ = call("reduce", three_file, "-o", tmp_path / "o.safetensors", "--domain", "0:1000", "--json")
    data = json.loads(out)
    assert code == 0
    assert data["verdict"] == "exact"
    assert data["executed"]["dtype"] == "float32"
    assert data["executed"]["reason"] is None
    assert data["executed"]["observed"] >= 1000
    assert data["executed"]["bound"] >= data["executed"]["observed"]
    assert len(data["executed"]["input"]["input"]) == 1
    plain = json.loads(call("reduce", three_file, "-o", tmp_path / "p.safetensors", "--json")[1])
    assert "executed" not in plain
    assert set(data) == {*plain, "executed"}
    assert (tmp_path / "o.safetensors").read_bytes() == (tmp_path / "p.safetensors").read_bytes()


def test_no_bound_says_why(three_file: Path, tmp_path: Path) -> None:
    text = " ".join(call("reduce", three_file, "-o", tmp_path / "o.safetensors", "--domain", "0:1e33")[1].split())
    assert "no bound: 2: a value or partial sum may reach" in text
    assert "one of them overflows where the other does not" in text


def test_three_digits_are_on_the_honest_side(rng: np.random.Generator) -> None:
    for x in [*(10.0 ** rng.uniform(-20, 20, 200)), 0.0, 1000.0, 16000.002, 999.9999]:
        assert float(below(x).replace(",", "")) <= x <= float(above(x).replace(",", ""))
    assert (above(16000.002), below(1000.0)) == ("16,100", "1,000")


def test_the_assumption_is_part_of_the_answer() -> None:
    assert executed(chain([1], ("tanh", {}, {})), Box(0, 1)).assumes is not None
    assert executed(chain([1], RELU), Box(0, 1)).assumes is None
