"""Forgeries by hand: proofs that were once accepted, or that look as if they should be."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mutant_campaign import Judge
from mutant_meaning import Undefined
from mutant_pool import Sketch, conv
from mutant_rebuild import quotient
from mutant_triples import Json, Net, Triple, check, net_of

from lumpnet.errors import FileError
from lumpnet.ir import Graph
from lumpnet.verdict import Proved, Refuted, Unknown

Change = Callable[[Triple], Any]


def triple(graph: Graph, lumpings: Json, rounding: str | None = None, dtype: str | None = None) -> Triple:
    """The quotient by these lumpings (identity where none is given), true or not."""
    net = net_of(graph)
    everything = dict.fromkeys(net.values(), "identity") | lumpings
    claim: Json = {"verdict": "exact", "rounding": "none"}
    rest: Json = {"format": "lumpnet-certificate", "schema_version": "1.0", "original": {}, "reduced": {}, "rules": {}, "annotations": {}}
    out = Triple("forgery", net, Net({}, {}), rest | {"claim": claim, "lumpings": everything})
    out.h, claim["rounding"] = quotient(net, everything, dtype)
    claim["rounding"] = rounding or claim["rounding"]
    return out


def lump(classes: list[int], reps: list[int], columns: int | None = None, scale: Json | None = None, offset: Json | None = None, axis: int = 1) -> Json:
    columns = len(reps) if columns is None else columns
    return {"axis": axis, "columns": columns, "class": classes, "representative": reps, "scale": scale or {}, "offset": offset or {}}


def false(t: Triple, folder: Path) -> None:
    """The networks differ, and the checker does not say otherwise."""
    with contextlib.suppress(Undefined):
        assert Judge().differs(t) is not None, "this forgery is a true certificate"
    verdict = check(t.files(), folder)
    assert isinstance(verdict, Refuted), verdict


def true(t: Triple, folder: Path) -> None:
    assert Judge().differs(t) is None
    verdict = check(t.files(), folder)
    assert isinstance(verdict, Proved), verdict


# --- once proved ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mul", "add"])
def test_a_unit_without_a_rule_is_no_constant(kind: str, tmp_path: Path) -> None:
    """(u + 5) * v has no row over u and v; it was taken for the constant 0."""
    s = Sketch(x=(None, 2))
    s("h", "linear", "x", weight=[[1, 2], [1, 2]], bias=[0, 5])
    s("k", "linear", "x", weight=[[1, 1], [1, 1]], bias=[0, 0])
    s("v", kind, "h k")
    s("y", "linear", "v", weight=[[1, 1]])
    shifted = lump([0, 0], [0], offset={"1": "5"})
    false(triple(s.graph("y"), {"h": shifted, "k": lump([0, 0], [0]), "v": lump([0, -1], [0])}), tmp_path)


def test_a_sum_of_two_roots_is_no_zero(tmp_path: Path) -> None:
    s = Sketch(x=(None, 2))
    for name, var in (("h", 2.0), ("k", 3.0)):
        s(name, "linear", "x", weight=[[1, 2], [0, 0]], bias=[0, 1])
        s(f"{name}n", "batch_norm", name, {"eps": 0.0}, mean=[0, 0], var=[var, var])
    s("v", "add", "hn kn")
    s("y", "linear", "v", weight=[[1, 0], [0, 1]])
    t = triple(s.graph("y"), {"v": lump([0, -1], [0])})
    for name, root in (("h", "2"), ("k", "3")):
        t.certificate["lumpings"] |= {name: lump([0, -1], [0], offset={"1": "1"}), f"{name}n": lump([0, -1], [0], offset={"1": ["0", f"1/{root}", root]})}
    for name in ("hn", "kn"):
        node = t.h.node(name) or {}
        for role in node["params"]:
            t.h.put(node, role, t.h.params(node)[role][:1])
    t.h.put(t.h.node("h") or {}, "weight", np.array([[1, 2]], np.float32))
    t.h.put(t.h.node("h") or {}, "bias", np.zeros(1, np.float32))
    t.h.put(t.h.node("k") or {}, "weight", np.array([[1, 2]], np.float32))
    t.h.put(t.h.node("k") or {}, "bias", np.zeros(1, np.float32))
    for node in t.h.nodes:
        if node["name"] in ("h", "k", "hn", "kn"):
            node["shape"] = [None, 1]
    false(t, tmp_path)


def batch_only() -> Sketch:
    s = Sketch(x=(None, 4), z=(None, 4))
    s("m", "mean", "x", {"axes": [1], "keepdim": False})
    s("k", "mean", "z", {"axes": [1], "keepdim": False})
    return s


@pytest.mark.parametrize(("kind", "role"), [("add_constant", "term"), ("mul_constant", "factor")])
def test_a_value_of_the_batch_alone_is_not_free(kind: str, role: str, tmp_path: Path) -> None:
    """A value of shape (N) has no unit axis; axis 0 was taken for one, of no units, of which everything holds."""
    s = batch_only()
    s("y", kind, "m", {"axis": None}, **{role: 1.5})
    t = triple(s.graph("y"), {})
    t.h.put(t.h.node("y") or {}, role, np.float32(2.5).reshape(()))
    false(t, tmp_path)


def test_an_operand_of_the_batch_alone_cannot_go(tmp_path: Path) -> None:
    s = batch_only()
    s("y", "add", "m k")
    t = triple(s.graph("y"), {})
    t.lumpings["k"] = "dropped"
    t.h.graph["nodes"] = [n for n in t.h.nodes if n["name"] != "k"]
    (t.h.node("y") or {}).update(kind="identity", inputs=["m"], attrs={})
    false(t, tmp_path)


def test_an_opaque_call_knows_the_dtype_of_its_arguments(tmp_path: Path) -> None:
    """A call with an integer result may depend on whether its arguments are float32 or float64."""
    s = Sketch(x=(None, 2))
    call = {"target": "aten.argmax.default", "args": [{"input": 0}, 1], "kwargs": {}, "output": None}
    s("y", "opaque", "x", call, (None,))
    t = triple(s.graph("y"), {})
    for net in (t.g, t.h):
        net.nodes[0]["dtype"] = "int64"
    t.h.graph["inputs"][0]["dtype"] = "float64"
    assert isinstance(check(t.files(), tmp_path), Refuted | Unknown)


# --- borders -------------------------------------------------------------------------------------


def bordered(n: int, kernel: int, tap: int, **geometry: int) -> Graph:
    """A constant channel that a convolution reads through one tap."""
    s = Sketch(x=(None, 1, n))
    s("a", "conv", "x", conv(axes=1), weight=np.array([[[1]], [[0]]], np.float32), bias=[0, 3])
    weight = np.ones((1, 2, kernel), np.float32)
    weight[0, 1] = 0
    weight[0, 1, tap] = 2
    s("y", "conv", "a", conv(axes=1, **geometry), weight=weight)
    return s.graph("y")


@pytest.mark.parametrize(
    ("n", "kernel", "tap", "geometry", "fine"),
    [
        (4, 3, 0, {"padding": 1}, False),
        (4, 3, 1, {"padding": 1}, True),
        (4, 3, 2, {"padding": 1}, False),
        (4, 3, 2, {"padding": 1, "stride": 2}, True),  # windows begin at -1 and 1: the last tap stays inside
        (5, 3, 2, {"padding": 1, "stride": 2}, False),
        (5, 3, 0, {"padding": 0}, True),
        (6, 2, 1, {"padding": 2, "dilation": 2}, False),
        (6, 3, 1, {"padding": 2, "dilation": 2}, True),
        (1, 1, 0, {"padding": 0, "stride": 3}, True),
        (1, 1, 0, {"padding": 2, "stride": 2}, False),
        (1, 3, 1, {"padding": 1}, True),
        (2, 3, 2, {"padding": 3, "stride": 3}, False),
    ],
)
def test_taps_at_the_border(n: int, kernel: int, tap: int, geometry: dict[str, int], fine: bool, tmp_path: Path) -> None:
    t = triple(bordered(n, kernel, tap, **geometry), {"a": lump([0, -1], [0], offset={"1": "3"})})
    (true if fine else false)(t, tmp_path)


# --- numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_that_no_machine_integer_holds(dtype: str, tmp_path: Path) -> None:
    """Twins whose weights span the whole range of the type: the last bit of the smallest still counts."""
    s = Sketch(dtype, x=(None, 2))
    big, small = (2.0**120, 2.0**-149) if dtype == "float32" else (2.0**1000, 2.0**-1074)
    s("a", "linear", "x", weight=[[1, 2], [1, 2], [1, 2], [3, 1]], bias=[0, 0, 0, 0])
    s("y", "linear", "a", weight=[[big, small, -big, 1]])
    t = triple(s.graph("y"), {"a": lump([0, 0, 0, 1], [0, 3])})
    true(t, tmp_path)
    node = t.h.node("y") or {}
    weight = t.h.params(node)["weight"].copy()
    assert weight[0, 0] == small
    weight[0, 0] = 0
    t.h.put(node, "weight", weight)
    false(t, tmp_path)


def test_many_units_of_full_mantissa(tmp_path: Path) -> None:
    """Hundreds of 53-bit numbers under long scales: beyond 64 bits, exactly."""
    n = 300
    s = Sketch("float64", x=(None, 1))
    scale = {str(i): f"{2**40 + i}" for i in range(1, n)}
    s("a", "linear", "x", weight=np.array([[1.0]] + [[float(2**40 + i)] for i in range(1, n)]), bias=np.zeros(n))
    last = np.full((1, n), 1 - 2.0**-53)
    s("y", "linear", "a", weight=last)
    t = triple(s.graph("y"), {"a": lump([0] * n, [0], scale=scale)})
    assert t.rounding == "nearest"
    true(t, tmp_path)
    node = t.h.node("y") or {}
    t.h.put(node, "weight", np.nextafter(t.h.params(node)["weight"], np.inf))
    false(t, tmp_path)


@pytest.mark.parametrize(("a", "b", "rounded"), [(2.0**24, 1.0, 2.0**24), (2.0**24 + 2, 1.0, 2.0**24 + 4), (2.0**-126, 2.0**-149, 2.0**-126 + 2.0**-149)])
def test_ties_go_to_even(a: float, b: float, rounded: float, tmp_path: Path) -> None:
    s = Sketch(x=(None, 1))
    s("h", "linear", "x", weight=[[1], [1]])
    s("y", "linear", "h", weight=[[a, b]])
    t = triple(s.graph("y"), {"h": lump([0, 0], [0])}, "nearest")
    node = t.h.node("y") or {}
    assert t.h.params(node)["weight"][0, 0] == np.float32(rounded)
    true(t, tmp_path)
    for direction in (-np.inf, np.inf):
        wrong = t.copy()
        wrong.h.put(wrong.h.node("y") or {}, "weight", np.nextafter(t.h.params(node)["weight"], np.float32(direction)))
        false(wrong, tmp_path)


def test_a_sum_beyond_the_largest_number_has_no_nearest_one(tmp_path: Path) -> None:
    top = float(np.finfo(np.float32).max)
    s = Sketch(x=(None, 1))
    s("h", "linear", "x", weight=[[1], [1]])
    s("y", "linear", "h", weight=[[top, 2.0**103]])
    with pytest.raises(ValueError, match="overflow"):
        triple(s.graph("y"), {"h": lump([0, 0], [0])})
    t = triple(s.graph("y"), {})
    t.lumpings["h"] = lump([0, 0], [0])
    t.certificate["claim"]["rounding"] = "nearest"
    t.h.put(t.h.node("h") or {}, "weight", np.ones((1, 1), np.float32))
    (t.h.node("h") or {})["shape"] = [None, 1]
    t.h.put(t.h.node("y") or {}, "weight", np.full((1, 1), top, np.float32))
    assert isinstance(check(t.files(), tmp_path), Refuted)


# --- columns that fit by chance ------------------------------------------------------------------


def coupled(kind: str) -> Sketch:
    s = Sketch(x=(None, 2))
    s("h", "linear", "x", weight=[[1, 2], [3, 1], [1, 2]], bias=[1, 2, 1])
    s("k", "linear", "x", weight=[[2, 1], [1, 1], [2, 1]], bias=[0, 1, 0])
    s("v", kind, "h k", {"axis": 1} if kind == "concat" else {})
    s("y", "linear", "v", weight=s.numbers(2, 6 if kind == "concat" else 3))
    return s


@pytest.mark.parametrize("kind", ["add", "mul"])
def test_coupled_operands_agree_on_their_columns(kind: str, tmp_path: Path) -> None:
    one, two = lump([0, 1, 0], [0, 1]), lump([1, 0, 1], [1, 0])
    true(triple(coupled(kind).graph("y"), {"h": one, "k": one, "v": one}), tmp_path)
    true(triple(coupled(kind).graph("y"), {"h": two, "k": two, "v": two}), tmp_path)
    for lumpings in ({"h": one, "k": two, "v": one}, {"h": one, "k": two, "v": two}, {"h": one, "k": one, "v": two}):
        false(triple(coupled(kind).graph("y"), lumpings), tmp_path)


def test_a_concat_keeps_its_order(tmp_path: Path) -> None:
    one = lump([0, 1, 0], [0, 1])
    true(triple(coupled("concat").graph("y"), {"h": one, "k": one, "v": lump([0, 1, 0, 2, 3, 2], [0, 1, 3, 4])}), tmp_path)
    false(triple(coupled("concat").graph("y"), {"h": one, "k": one, "v": lump([2, 3, 2, 0, 1, 0], [3, 4, 0, 1])}), tmp_path)
    shrunk = triple(coupled("concat").graph("y"), {"h": one, "k": one, "v": lump([0, 1, 0, 0, 1, 0], [0, 1])})
    with pytest.raises(FileError, match="shape"):  # two operands of two columns make four
        check(shrunk.files(), tmp_path)


def test_a_gate_is_not_broadcast_along_its_units(tmp_path: Path) -> None:
    """(N, 3) times (N, 1): the single unit meets every unit, and no column of one is a column of the other."""
    s = Sketch(x=(None, 2))
    s("h", "linear", "x", weight=[[1, 2], [1, 2], [3, 1]])
    s("k", "linear", "x", weight=[[2, 1]])
    s("v", "mul", "h k")
    s("y", "linear", "v", weight=s.numbers(2, 3))
    merged = lump([0, 0, 1], [0, 2])
    t = triple(s.graph("y"), {"h": merged, "v": merged})
    assert not isinstance(check(t.files(), tmp_path), Proved) or Judge().differs(t) is None
    false(triple(s.graph("y"), {"h": merged, "v": lump([0, 1, 1], [0, 2])}), tmp_path)


def test_a_ghost_is_not_read(tmp_path: Path) -> None:
    s = Sketch(x=(None, 2))
    s("h", "linear", "x", weight=[[1, 2], [3, 1], [3, 1]])
    s("y", "linear", "h", weight=[[1, 2, -2], [4, 0, 0]])
    true(triple(s.graph("y"), {"h": lump([0, 1, 1], [0, 1], 1)}), tmp_path)
    apart = triple(s.graph("y"), {"h": lump([0, 1, 2], [0, 1, 2], 1)})
    assert isinstance(check(apart.files(), tmp_path), Refuted)  # the networks are equal, but not by this certificate
    s.tensors["y.weight"] = np.array([[1, 2, -1], [4, 0, 0]], np.float32)
    false(triple(s.graph("y"), {"h": lump([0, 1, 1], [0, 1], 1, {"2": "2"})}), tmp_path)


def test_ghosts_of_two_units_hold_before_a_function(tmp_path: Path) -> None:
    """relu(u) - relu(u) cancels; relu(u) + relu(-u) and relu(u + 1) - relu(u) do not."""
    for row, bias, scale, offset in (([3, 1], 0, {}, {}), ([-3, -1], 0, {"2": "-1"}, {}), ([3, 1], 1, {}, {"2": "1"})):
        s = Sketch(x=(None, 2))
        s("h", "linear", "x", weight=[[1, 2], [3, 1], row], bias=[0, 0, bias])
        s("r", "relu", "h")
        s("y", "linear", "r", weight=[[1, 2, 2 if scale else -2]])
        lumping = lump([0, 1, 1], [0, 1], 1, scale, offset)
        t = triple(s.graph("y"), {"h": lumping, "r": lumping})
        (false if scale or offset else true)(t, tmp_path)


def test_a_dropped_value_serves_nobody(tmp_path: Path) -> None:
    s = Sketch(x=(None, 2))
    s("h", "linear", "x", weight=[[1, 2]])
    s("k", "linear", "x", weight=[[3, 1]])
    s("y", "add", "h k")
    t = triple(s.graph("y"), {})
    t.lumpings["k"] = "dropped"
    t.h.graph["nodes"] = [n for n in t.h.nodes if n["name"] != "k"]
    (t.h.node("y") or {}).update(kind="identity", inputs=["h"], attrs={})
    false(t, tmp_path)


# --- interfaces ----------------------------------------------------------------------------------


def passing() -> Sketch:
    s = Sketch(x=(None, 2), z=(None, 2))
    s("h", "linear", "x", weight=[[1, 2], [1, 2]])
    s("y", "linear", "h", weight=[[1, 1], [2, 0]])
    return s


MERGED = {"h": lump([0, 0], [0])}
REWIRINGS: dict[str, Change] = {
    "outputs exchanged": lambda t: t.h.graph["outputs"].reverse(),
    "an output less": lambda t: t.h.graph["outputs"].pop(),
    "an output twice": lambda t: t.h.graph["outputs"].append("y"),
    "inputs exchanged": lambda t: t.h.graph["inputs"].reverse(),
    "an input less": lambda t: t.h.graph["inputs"].pop(),
    "an input renamed": lambda t: t.h.graph["inputs"][1].update(name="w"),
    "an input of another type": lambda t: t.h.graph["inputs"][1].update(dtype="int64"),
    "the other input": lambda t: (t.h.node("h") or {}).update(inputs=["z"]),
}


@pytest.mark.parametrize("what", REWIRINGS)
def test_the_interface_stays(what: str, tmp_path: Path) -> None:
    t = triple(passing().graph("y", "x"), MERGED)
    true(t, tmp_path)
    REWIRINGS[what](t)
    assert isinstance(check(t.files(), tmp_path), Refuted)


def test_an_input_that_is_an_output_and_an_output_twice(tmp_path: Path) -> None:
    true(triple(passing().graph("y", "x", "y", "z"), MERGED), tmp_path)


@pytest.mark.parametrize("name", ["x", "y", "z"])
@pytest.mark.parametrize("word", ["dropped", lump([0, 0], [0]), lump([-1, -1], []), lump([1, 0], [1, 0])], ids=["dropped", "merged", "constant", "exchanged"])
def test_inputs_and_outputs_are_whole(name: str, word: Any, tmp_path: Path) -> None:
    t = triple(passing().graph("y", "z"), MERGED)
    t.lumpings[name] = json.loads(json.dumps(word))
    assert isinstance(check(t.files(), tmp_path), Refuted)


def test_no_units_and_no_positions(tmp_path: Path) -> None:
    """Layers of width zero, and an operator on them, claim nothing that is false."""
    s = Sketch(x=(None, 2))
    s("h", "linear", "x", weight=np.zeros((0, 2), np.float32))
    s("r", "relu", "h")
    s("y", "linear", "r", weight=np.zeros((1, 0), np.float32), bias=[2])
    t = triple(s.graph("y"), {})
    true(t, tmp_path)
    wrong = t.copy()
    wrong.h.put(wrong.h.node("y") or {}, "bias", np.array([3], np.float32))
    false(wrong, tmp_path)
    t.lumpings["h"] = t.lumpings["r"] = lump([], [])
    assert not isinstance(check(t.files(), tmp_path), Proved)  # the reduced network still has the values
