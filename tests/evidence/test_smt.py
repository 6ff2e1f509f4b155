"""Z3's second opinion: what it proves, what it refutes only after a replay, and that nothing that happens to it becomes a proof."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lumpnet.certificate import Certificate, Lumping, dumps
from lumpnet.evidence import smt, smt_local, smt_whole
from lumpnet.evidence.smt import prove_equal, second_opinion
from lumpnet.ir import Graph, Node, Value, network_bytes
from lumpnet.lump.exact import coarsest
from lumpnet.ops.sites import run
from lumpnet.quotient import all_columns, build, certificate, plan
from lumpnet.verdict import Proved, Refuted, Unknown

SECONDS = 20.0
EXACT = Proved("exact", "none", (), ("the checker",))
NEAREST = Proved("exact", "nearest", (), ("the checker",))


class Net:
    """A graph in the making; parameters are float32."""

    def __init__(self, *shape: int):
        self.inputs, self.nodes, self.tensors = (Value("x", (None, *shape)),), [], {}

    def add(self, name: str, kind: str, shape: tuple[int, ...], *inputs: str, attrs: dict[str, Any] | None = None, **params: Any) -> Net:
        self.tensors |= {f"{name}.{role}": np.array(value, dtype=np.float32) for role, value in params.items()}
        self.nodes.append(Node(Value(name, (None, *shape)), kind, inputs, attrs or {}, {role: f"{name}.{role}" for role in params}))
        return self

    def graph(self) -> Graph:
        return Graph(self.inputs, tuple(self.nodes), (self.nodes[-1].name,), self.tensors)


def mlp(activation: str = "relu", scale: float = 2, read: float = 1) -> Graph:
    """Three hidden units, the third `scale` times the first; `read` is a weight of the last layer."""
    first = np.array([[1, 2], [3, -1], [scale, 2 * scale]])
    attrs = {"approximate": "none"} if activation == "gelu" else {}
    net = Net(2).add("h", "linear", (3,), "x", weight=first, bias=[1, -1, scale]).add("a", activation, (3,), "h", attrs=attrs)
    return net.add("y", "linear", (2,), "a", weight=[[read, 2, 3], [0, 1, -1]], bias=[0, 1]).graph()


CONV = {"stride": [1], "padding": [1], "dilation": [1], "groups": 1}


def cnn() -> Graph:
    """Convolution, batch norm with irrational deviations, ReLU, max pool, mean, linear; two channels equal up to a factor."""
    net = Net(1, 4).add("c", "conv", (3, 4), "x", attrs=CONV, weight=[[[1, -2, 1]], [[0, 1, 3]], [[2, -4, 2]]])
    net.add("n", "batch_norm", (3, 4), "c", attrs={"eps": 0.0}, mean=[0, 1, 0], var=[2, 3, 8], weight=[1, 2, 1], bias=[0, 0.5, 0])
    net.add("r", "relu", (3, 4), "n")
    net.add("p", "max_pool", (3, 2), "r", attrs={"kernel": [2], "stride": [2], "padding": [0], "dilation": [1], "ceil_mode": False})
    net.add("m", "mean", (3,), "p", attrs={"axes": [2], "keepdim": False})
    return net.add("y", "linear", (1,), "m", weight=[[1, 2, 3]]).graph()


def upwards() -> Graph:
    """A constant channel and two multiples before a transposed convolution with stride."""
    net = Net(1, 3).add("c", "conv", (3, 3), "x", attrs=CONV, weight=[[[1, -2, 1]], [[0, 0, 0]], [[2, -4, 2]]], bias=[0, 3, 0])
    attrs = {"stride": [2], "padding": [1], "output_padding": [0], "dilation": [1], "groups": 1}
    weight = [[[1, 2, 3], [0, 1, 0]], [[1, 3, 2], [2, 2, 0]], [[0, 1, 1], [1, 1, 1]]]
    return net.add("y", "conv_transpose", (2, 5), "c", attrs=attrs, weight=weight).graph()


def wide(units: int = 128) -> Graph:
    """Too many multiplications for a question about the whole; the second half of the units repeats the first."""
    rng = np.random.default_rng(0)
    first = np.tile(rng.integers(-3, 4, (units // 2, 24)), (2, 1))
    net = Net(24).add("h", "linear", (units,), "x", weight=first).add("a", "relu", (units,), "h")
    return net.add("y", "linear", (2,), "a", weight=rng.integers(-3, 4, (2, units))).graph()


@dataclass(frozen=True)
class Triple:
    original: Graph
    reduced: Graph
    certificate: Certificate

    def files(self) -> tuple[bytes, bytes, bytes]:
        return network_bytes(self.original), network_bytes(self.reduced), dumps(self.certificate)

    def findings(self) -> dict[str, dict[str, Any]]:
        return {finding["node"]: finding for finding in smt_local.ask(self.original, self.reduced, self.certificate, SECONDS)}

    def answers(self) -> dict[str, str]:
        return {name: finding["answer"] for name, finding in self.findings().items()}


def reduced(graph: Graph) -> Triple:
    outcome = coarsest(graph)
    kept = all_columns(outcome, {})
    quotient = build(outcome, kept)
    hashes = tuple(hashlib.sha256(network_bytes(g)).hexdigest() for g in (graph, quotient.graph))
    return Triple(graph, quotient.graph, certificate(outcome, kept, (hashes[0], hashes[1]), quotient.rounding, {}, {}))


def changed(graph: Graph, tensor: str, index: Any, value: float) -> Graph:
    tensors = {name: np.array(t, copy=True) for name, t in graph.tensors.items()}
    tensors[tensor][index] = value
    return replace(graph, tensors=tensors)


# -- whole networks -----------------------------------------------------------------------


TINY = {"relu": mlp(), "tanh": mlp("tanh", scale=-1), "gelu": mlp("gelu", scale=1), "sigmoid": mlp("sigmoid", scale=1), "cnn": cnn(), "upwards": upwards()} | {
    kind: mlp(kind, scale=scale) for kind, scale in (("abs", -2), ("sign", 2), ("cos", -1), ("erf", -1), ("softsign", -1), ("round", -1))
}


@pytest.mark.parametrize("name", TINY)
def test_a_reduction_is_proved_equal(name: str) -> None:
    triple = reduced(TINY[name])
    verdict = prove_equal(*triple.files()[:2], seconds=SECONDS)
    assert isinstance(verdict, Proved), verdict
    assert verdict.vouched_by[0].startswith("Z3: equality of the whole networks proved")


def test_a_proof_with_uninterpreted_functions_names_them() -> None:
    verdict = prove_equal(*reduced(mlp("gelu", scale=1)).files()[:2], seconds=SECONDS)
    assert isinstance(verdict, Proved)
    assert "for any functions gelu" in verdict.vouched_by[0]


def test_a_difference_comes_with_a_witness_that_replays() -> None:
    triple = reduced(mlp())
    other = changed(triple.reduced, "y.weight", (0, 0), 7.25)
    verdict = prove_equal(network_bytes(triple.original), network_bytes(other), seconds=SECONDS)
    assert isinstance(verdict, Refuted)
    assert verdict.what == "equality"
    assert "replayed in exact arithmetic" in verdict.reason
    witness: Any = verdict.witness
    x = np.array([[Fraction(text) for text in witness["inputs"]["x"]]], dtype=object)
    values = [run(graph, {"x": x})[witness["output"]][(0, *witness["index"])] for graph in (triple.original, other)]
    assert values == [Fraction(witness["original"]), Fraction(witness["reduced"])]
    assert values[0] != values[1]


def test_a_counterexample_of_uninterpreted_functions_refutes_nothing() -> None:
    """Whether the networks differ depends on what gelu is, and gelu has no exact values to replay."""
    verdict = prove_equal(network_bytes(mlp("gelu", read=1)), network_bytes(mlp("gelu", read=5)), seconds=SECONDS)
    assert isinstance(verdict, Unknown)
    assert "gelu" in verdict.reason


@pytest.mark.parametrize(
    ("graph", "reason"),
    [(wide(), "multiply-adds"), (Net(30).add("y", "relu", (30,), "x").graph(), "decisions")],
)
def test_networks_that_are_too_large_are_not_asked_about(graph: Graph, reason: str) -> None:
    answer = smt_whole.ask(graph, graph, SECONDS)
    assert answer["answer"] == "skipped"
    assert reason in answer["reason"]


def test_networks_with_other_inputs_or_outputs_are_not_compared() -> None:
    one = Net(2).add("y", "relu", (2,), "x").graph()
    assert smt_whole.ask(one, Net(3).add("y", "relu", (3,), "x").graph(), SECONDS)["reason"] == "the networks take different inputs"
    shorter = Net(2).add("y", "linear", (1,), "x", weight=[[1, 1]]).graph()
    assert smt_whole.ask(one, shorter, SECONDS)["reason"] == "the networks have outputs of different shapes"


# -- node obligations ---------------------------------------------------------------------


@pytest.mark.parametrize("graph", [mlp(), mlp("tanh", scale=-1), cnn(), wide()], ids=["relu", "tanh", "cnn", "wide"])
def test_the_obligations_of_a_reduction_are_proved(graph: Graph) -> None:
    triple = reduced(graph)
    assert any(isinstance(x, Lumping) for x in triple.certificate.lumpings.values())
    assert triple.answers() == {node.name: "proved" for node in graph.nodes}


def test_a_wrong_weight_is_refuted_where_it_stands() -> None:
    triple = reduced(wide())
    wrong = replace(triple, reduced=changed(triple.reduced, "h.weight", (3, 5), 100))
    assert wrong.answers() == {"h": "refuted", "a": "proved", "y": "proved"}
    assert wrong.findings()["h"]["place"] == "entry [3]"


def test_a_wrong_scale_is_refuted_at_every_node_that_uses_it() -> None:
    triple = reduced(mlp())
    lumping = triple.certificate.lumpings["a"]
    assert isinstance(lumping, Lumping)
    wrong = replace(triple, certificate=replace(triple.certificate, lumpings={**triple.certificate.lumpings, "a": replace(lumping, scale={2: Fraction(3)})}))
    assert wrong.answers() == {"h": "proved", "a": "refuted", "y": "refuted"}


def test_offsets_do_not_pass_zero_padding() -> None:
    """x + 1 in a convolution that reads its padding: the border positions are asked about, too."""
    net = Net(1, 5).add("h", "conv", (2, 5), "x", attrs={**CONV, "padding": [0]}, weight=[[[1]], [[1]]], bias=[0, 1])
    graph = net.add("y", "conv", (1, 5), "h", attrs=CONV, weight=[[[1, 1, 1], [1, 1, 1]]]).graph()
    small = Net(1, 5).add("h", "conv", (1, 5), "x", attrs={**CONV, "padding": [0]}, weight=[[[1]]], bias=[0])
    quotient = small.add("y", "conv", (1, 5), "h", attrs=CONV, weight=[[[2, 2, 2]]], bias=[3]).graph()
    lumping = Lumping(1, 1, (0, 0), (0,), {}, {1: Fraction(1)})
    claim = Certificate("0" * 64, "1" * 64, {"x": "identity", "h": lumping, "y": "identity"})
    assert Triple(graph, quotient, claim).answers() == {"h": "proved", "y": "refuted"}


def test_ghosts_must_agree_among_themselves_and_must_not_be_read() -> None:
    """Units 1 and 2 are one ghost class; the last layer lets it cancel, or does not."""

    def triple(read: list[float], scale: int) -> Triple:
        graph = Net(2).add("h", "linear", (3,), "x", weight=[[1, 0], [1, 1], [2, 2]]).add("y", "linear", (1,), "h", weight=[read]).graph()
        quotient = Net(2).add("h", "linear", (1,), "x", weight=[[1, 0]]).add("y", "linear", (1,), "h", weight=[[read[0]]]).graph()
        lumping = Lumping(1, 1, (0, 1, 1), (0, 1), {2: Fraction(scale)}, {})
        return Triple(graph, quotient, Certificate("0" * 64, "1" * 64, {"x": "identity", "h": lumping, "y": "identity"}))

    assert triple([5, 2, -1], 2).answers() == {"h": "proved", "y": "proved"}
    assert triple([5, 3, -1], 2).answers() == {"h": "proved", "y": "refuted"}
    assert triple([5, 3, -1], 3).answers() == {"h": "refuted", "y": "proved"}


def test_what_depends_on_an_uninterpreted_function_is_undecided() -> None:
    triple = reduced(mlp("gelu", scale=1))
    lumping = triple.certificate.lumpings["a"]
    assert isinstance(lumping, Lumping)
    wrong = replace(triple, certificate=replace(triple.certificate, lumpings={**triple.certificate.lumpings, "a": replace(lumping, scale={2: Fraction(3)})}))
    assert wrong.findings()["a"] == {"node": "a", "answer": "undecided", "reason": "it depends on what gelu is"}


def test_large_nodes_and_nodes_that_the_time_does_not_reach_are_left_out() -> None:
    rng = np.random.default_rng(0)
    net = Net(300).add("h", "linear", (200,), "x", weight=rng.standard_normal((200, 300))).add("y", "relu", (200,), "h")
    graph = net.graph()
    triple = Triple(graph, graph, Certificate("0" * 64, "0" * 64, {"x": "identity", "h": "identity", "y": "identity"}))
    assert triple.findings()["h"]["reason"] == "more than 50000 weights"
    assert {f["reason"] for f in smt_local.ask(graph, graph, triple.certificate, -1) if f["node"] == "y"} == {"no time left"}


def test_fifty_thousand_weights_are_asked_about() -> None:
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((200, 250)).astype(np.float32)
    weight[150:] = 2 * weight[:50]
    net = Net(250).add("h", "linear", (200,), "x", weight=weight).add("a", "relu", (200,), "h")
    triple = reduced(net.add("y", "linear", (2,), "a", weight=rng.standard_normal((2, 200))).graph())
    assert triple.answers() == {"h": "proved", "a": "proved", "y": "proved"}


def test_a_malformed_certificate_leaves_nodes_out() -> None:
    triple = reduced(mlp())
    short = replace(triple, certificate=replace(triple.certificate, lumpings={"h": triple.certificate.lumpings["h"]}))
    assert short.findings()["h"]["reason"] == "the obligation cannot be stated (KeyError)"


# -- joined with the checker's verdict ----------------------------------------------------


def test_a_proof_is_vouched_for_by_both_questions() -> None:
    verdict = second_opinion(EXACT, *reduced(mlp()).files(), seconds=SECONDS)
    assert isinstance(verdict, Proved)
    assert verdict.vouched_by == ("the checker", "Z3: equality of the whole networks proved", "Z3: 3 of 3 node obligations proved")


def test_what_was_not_asked_is_counted_with_its_reason() -> None:
    verdict = second_opinion(EXACT, *reduced(wide()).files(), seconds=SECONDS)
    assert isinstance(verdict, Proved)
    assert verdict.vouched_by[1:] == (
        "Z3: not asked about the whole networks: 3328 multiply-adds, more than 2000",
        "Z3: 3 of 3 node obligations proved",
    )


def test_a_refuted_obligation_takes_the_proof_away() -> None:
    triple = reduced(wide())
    wrong = replace(triple, reduced=changed(triple.reduced, "h.weight", (3, 5), 100))
    verdict = second_opinion(EXACT, *wrong.files(), seconds=SECONDS)
    assert isinstance(verdict, Unknown)
    assert "Z3 refutes the obligation of node 'h' (entry [3])" in verdict.reason


def test_a_conflict_is_never_a_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smt, "_ask_nodes", lambda *_: smt.Nodes(proved=2, refuted=("node 'h' (entry [0])",)))
    verdict = second_opinion(EXACT, *reduced(mlp()).files(), seconds=SECONDS)
    assert isinstance(verdict, Unknown)
    assert "node 'h' (entry [0])" in verdict.reason


def test_a_replayed_difference_refutes_even_a_proof() -> None:
    triple = reduced(mlp())
    wrong = replace(triple, reduced=changed(triple.reduced, "h.bias", 0, 9))
    verdict = second_opinion(EXACT, *wrong.files(), seconds=SECONDS)
    assert isinstance(verdict, Refuted)
    assert verdict.what == "equality"
    assert verdict.witness is not None


def test_rounding_is_told_and_refutes_nothing() -> None:
    graph = mlp(scale=2)
    original = changed(changed(changed(graph, "h.weight", (2, 0), 1 / 3), "h.weight", (2, 1), 0), "h.weight", (0, slice(None)), (0.1, 0))
    original = changed(changed(original, "h.bias", 0, 0), "h.bias", 2, 0)
    found = plan(original)
    assert found.quotient.rounding == "nearest"
    claim = certificate(found.outcome, found.kept, ("0" * 64, "1" * 64), "nearest", {}, {})
    triple = Triple(original, found.quotient.graph, claim)
    verdict = second_opinion(NEAREST, *triple.files(), seconds=SECONDS)
    assert isinstance(verdict, Proved)
    assert "differs from the original by rounding (a witness)" in verdict.vouched_by[1]
    assert verdict.vouched_by[2].startswith("Z3: 3 of 3 node obligations proved for the exact quotient")
    unsure = second_opinion(Unknown("no rule."), *triple.files(), seconds=SECONDS)
    assert isinstance(unsure, Unknown)
    assert "which rounding alone may explain" in unsure.reason


@pytest.mark.parametrize("verdict", [Refuted("a scale is wrong."), Unknown("no rule.")], ids=["refuted", "unknown"])
def test_equality_is_told_but_does_not_change_another_verdict(verdict: Refuted | Unknown) -> None:
    joined = second_opinion(verdict, *reduced(mlp()).files(), seconds=SECONDS)
    assert type(joined) is type(verdict)
    assert joined.reason.startswith(verdict.reason)
    assert "equality of the whole networks proved" in joined.reason
    assert ("the certificate is wrong" in joined.reason) == isinstance(verdict, Refuted)


def test_a_replayed_difference_refutes_equality_where_the_checker_proved_nothing() -> None:
    triple = reduced(mlp())
    wrong = replace(triple, reduced=changed(triple.reduced, "h.bias", 0, 9))
    for verdict in (Unknown("no rule."), Refuted("a bias is wrong.")):
        joined = second_opinion(verdict, *wrong.files(), seconds=SECONDS)
        assert isinstance(joined, Refuted)
        assert joined.what == "equality"
        assert verdict.reason in joined.reason


# -- whatever goes wrong is "unknown" -----------------------------------------------------


def _worker(text: str) -> Callable[[pytest.MonkeyPatch, Path], None]:
    def install(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        (folder / "impostor.py").write_text(text)
        monkeypatch.setenv("PYTHONPATH", str(folder))
        monkeypatch.setattr(smt, "WORKER", "impostor")

    return install


PROVED = """print('{"answer": "proved"}', flush=True)\nprint('{"node": "h", "answer": "proved"}', flush=True)\n"""
TROUBLE = {
    "garbage": _worker("print('proved')"),
    "nothing": _worker(""),
    "numbers": _worker("print(1)\nprint('{\"done\": true}')"),
    "cut off": _worker(PROVED),
    "crash after an answer": _worker(PROVED + "import os\nprint('{\"done\": true}', flush=True)\nos.abort()"),
    "exception": _worker("raise SystemExit('no solver')"),
    "no such answer": _worker("print('{\"answer\": true}')\nprint('{\"done\": true}')"),
    "false witness": _worker("""print('{"answer": "counterexample", "inputs": {"x": {"shape": [2], "values": ["1", "1"]}}}')\nprint('{"done": true}')"""),
    "malformed witness": _worker("""print('{"answer": "counterexample", "inputs": {"x": {"shape": [3], "values": ["1", {}]}}}')\nprint('{"done": true}')"""),
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_trouble_in_the_child_process_changes_no_verdict(trouble: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    TROUBLE[trouble](monkeypatch, tmp_path)
    files = reduced(mlp()).files()
    assert isinstance(prove_equal(*files[:2], seconds=SECONDS), Unknown)
    for verdict in (EXACT, Unknown("no rule."), Refuted("a scale is wrong.")):
        joined = second_opinion(verdict, *files, seconds=SECONDS)
        assert type(joined) is type(verdict)
        said = joined.vouched_by if isinstance(joined, Proved) else (joined.reason,)
        assert not any("obligations proved" in s and "0 of" not in s for s in said)
        assert not any("networks proved" in s for s in said)


def test_too_little_memory_is_unknown() -> None:
    files = reduced(mlp()).files()
    verdict = second_opinion(EXACT, *files, seconds=SECONDS, memory_mb=1)
    assert isinstance(verdict, Proved)
    assert verdict.vouched_by[0] == "the checker"
    assert all("the solver's process failed" in sentence for sentence in verdict.vouched_by[1:])
    assert isinstance(prove_equal(*files[:2], seconds=SECONDS, memory_mb=1), Unknown)


def test_too_little_time_is_unknown() -> None:
    files = reduced(mlp()).files()
    assert isinstance(prove_equal(*files[:2], seconds=0.01), Unknown)
    verdict = second_opinion(EXACT, *files, seconds=0.01)
    assert isinstance(verdict, Proved)
    assert verdict.vouched_by[1] == "Z3: no answer about the whole networks: stopped after 0.005 seconds"


def test_answers_given_before_the_time_is_up_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = """import time\nprint('{"node": "h", "answer": "proved"}\\n{"node": "a"', end="", flush=True)\ntime.sleep(60)"""
    _worker(text)(monkeypatch, tmp_path)
    nodes = smt._ask_nodes([tmp_path], 1.0, 100)
    assert (nodes.proved, nodes.problem) == (1, "stopped after 1 seconds")


@pytest.mark.parametrize("data", [b"", b"not a network"])
def test_unreadable_files_are_unknown(data: bytes) -> None:
    assert isinstance(prove_equal(data, data, seconds=SECONDS), Unknown)
    verdict = second_opinion(Unknown("unreadable."), data, data, data, seconds=SECONDS)
    assert isinstance(verdict, Unknown)
    assert "the certificate is not readable" in verdict.reason


def test_a_hard_question_ends_in_time() -> None:
    """Two hidden layers, one permuted: equal, and most likely beyond Z3 in three seconds."""
    rng = np.random.default_rng(1)
    first, second, last = (rng.integers(-9, 9, s).astype(np.float32) for s in ((12, 6), (12, 12), (1, 12)))
    order = rng.permutation(12)

    def net(a: np.ndarray, b: np.ndarray) -> Graph:
        out = Net(6).add("h", "linear", (12,), "x", weight=a).add("a", "relu", (12,), "h").add("g", "linear", (12,), "a", weight=b)
        return out.add("b", "relu", (12,), "g").add("y", "linear", (1,), "b", weight=last).graph()

    one, two = net(first, second), net(first[order] * 2, second[:, order] / 2)
    verdict = prove_equal(network_bytes(one), network_bytes(two), seconds=3)
    assert isinstance(verdict, Proved) or (isinstance(verdict, Unknown) and "Z3: no answer" in verdict.reason)
