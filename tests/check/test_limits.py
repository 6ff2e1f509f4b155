"""A few bytes must not cost gigabytes or hours, and a claim says where it ends."""

from __future__ import annotations

import re
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from catalog import CASES
from forge import F, N, Net, Triple, arr, lump, set_lumping
from safetensors.numpy import save_file

from lumpnet.certificate import Effect
from lumpnet.check.files import MAX_EMPTY, read_network_file
from lumpnet.check.relation import Relation, Rows
from lumpnet.check.rules import affine, arithmetic, pinned, slopes
from lumpnet.errors import FileError
from lumpnet.verdict import Proved, Refuted, Unknown


def test_a_claim_names_the_operators_that_may_be_undefined(tmp_path: Path) -> None:
    verdict = CASES["log"]().verdict(tmp_path)
    assert isinstance(verdict, Proved)
    assert "undefined (log)" in verdict.statements[1]
    verdict = CASES["exp"]().verdict(tmp_path)
    assert isinstance(verdict, Proved)
    assert len(verdict.statements) == 1


PARTIAL = {
    "layer_norm": ({"dims": 1, "eps": 0.0}, {"dims": 1, "eps": 1e-5}),
    "rms_norm": ({"dims": 1, "eps": -1.0}, {"dims": 1, "eps": 1}),
    "group_norm": ({"groups": 1, "eps": 0}, {"groups": 1, "eps": 1.0}),
    "instance_norm": ({"eps": -0.0}, {"eps": 1e-300}),
    "celu": ({"alpha": 0}, {"alpha": -1.0}),
    "softplus": ({"beta": 0.0, "threshold": 1.0}, {"beta": -1.0, "threshold": 1.0}),
    "pow": ({"exponent": 0.5}, {"exponent": 2}),
    "max_pool": tuple({"kernel": [1], "stride": [1], "padding": [n], "dilation": [1], "ceil_mode": False} for n in (1, 0)),
    "avg_pool": tuple({"kernel": [1], "stride": [1], "padding": [n], "ceil_mode": False, "count_include_pad": False, "divisor_override": None} for n in (1, 0)),
}
"""Attributes with which the operator is undefined somewhere, and attributes with which it is not."""


@pytest.mark.parametrize("kind", PARTIAL)
def test_attributes_decide_where_an_operator_is_defined(kind: str, tmp_path: Path) -> None:
    for attrs, what in zip(PARTIAL[kind], (2, 1), strict=True):
        grown = 2 * attrs["padding"][0] if "padding" in attrs else 0
        nodes = {"v": N(kind, (None, 2, 3 + grown), ["x"], dict(attrs)), "y": N("relu", (None, 2, 3), ["x"])}
        g, h = (Net({"x": (None, 2, 3)}, {name: nodes[name] for name in names}, ["y"]) for names in ("vy", "y"))
        for reduced, lumpings, count in ((h, {"v": "dropped"}, what), (g, {}, 1)):
            verdict = Triple(g, reduced, lumpings).verdict(tmp_path)
            assert isinstance(verdict, Proved)
            assert len(verdict.statements) == count, attrs


def test_an_index_that_a_table_lacks_is_outside_of_the_claim(tmp_path: Path) -> None:
    g = Net({"x": (None,)}, {"v": N("embedding", (None, 2), ["x"], {}, {"weight": [[3, 4]]})}, ["v"], choices={"x": 1})
    g.nodes["y"] = N("linear", (None, 1), ["v"], {}, {"weight": [[1, 1]]})
    g.outputs = ["y"]
    h = Net({"x": (None,)}, {"y": N("constant", (None, 1), ["x"], {"shape": [1], "axis": 1}, {"value": [7]})}, ["y"], choices={"x": 1})
    verdict = Triple(g, h, {"v": lump([-1, -1], 0, [], {}, {0: 3, 1: 4})}).verdict(tmp_path)
    assert isinstance(verdict, Proved)
    assert "undefined (embedding)" in verdict.statements[1]


def test_units_that_cost_no_byte_are_bounded(tmp_path: Path) -> None:
    """An input, or what one number is added to, stores nothing, whatever number of units it has."""

    def net(term: float) -> Net:
        return Net({"x": (None, 1 << 23)}, {"y": N("add_constant", (None, 1 << 23), ["x"], {"axis": None}, {"term": np.float32(term).reshape(())})}, ["y"])

    verdict = Triple(net(1), net(2), {}).verdict(tmp_path)
    assert isinstance(verdict, Unknown)
    assert "more than 4194304 units" in verdict.reason


@pytest.mark.parametrize("shape", [(None, 0), (0, None), (1, None, 0), (None, 0, 1 << 20)])
def test_sizes_of_a_tensor_without_entries_are_bounded(shape: tuple[int | None, ...], tmp_path: Path) -> None:
    """It costs no byte, and rows, groups or taps of it cost time and memory all the same."""
    for size in (MAX_EMPTY, MAX_EMPTY + 1):
        save_file({"w": np.zeros([size if n is None else n for n in shape], "float32")}, tmp_path / "w.safetensors")
        if size > MAX_EMPTY or max(n or 0 for n in shape) > MAX_EMPTY:
            with pytest.raises(FileError, match="no entries in the shape"):
                read_network_file(tmp_path / "w.safetensors")
        else:
            assert read_network_file(tmp_path / "w.safetensors").tensors["w"].data.size == 0


WIDE = 1 << 26


def doubled() -> Net:
    """Two units, in which what is known of them differs, side by side with themselves until they are `WIDE`."""
    nodes = {"h": N("mul_constant", (None, 2), ["x"], {"axis": 1}, {"factor": [1, 2]})}
    for k in range(1, WIDE.bit_length() - 1):
        nodes[f"c{k}"] = N("concat", (None, 2 << k), [f"c{k - 1}" if k > 1 else "h"] * 2, {"axis": 1})
    return Net({"x": (None, 2)}, nodes | {"y": N("amax", (None, 1), [f"c{WIDE.bit_length() - 2}"], {"axes": [1], "keepdim": True})}, ["y"])


def spread(units: int, rows: int) -> Net:
    """A number for each position, and as many rows at each of them."""
    nodes = {
        "f": N("mul_constant", (None, units), ["x"], {"axis": 1}, {"factor": arr(range(1, units + 1))}),
        "r": N("reshape", (None, units, 1), ["f"], {"shape": [units, 1]}),
        "l": N("linear", (None, units, rows), ["r"], {}, {"weight": np.ones((rows, 1), "float32")}),
        "y": N("index_select", (None, 1, rows), ["l"], {"axis": 1, "index": [0]}),
    }
    return Net({"x": (None, units)}, nodes, ["y"])


def crossed(units: int, positions: int) -> Net:
    """A number for each unit plus one for each position."""
    shape = (None, units, positions)
    nodes = {
        "a": N("mul_constant", shape, ["x"], {"axis": 1}, {"factor": arr(range(1, units + 1))}),
        "b": N("mul_constant", shape, ["x"], {"axis": 2}, {"factor": arr(range(1, positions + 1))}),
        "y": N("add", shape, ["a", "b"]),
    }
    return Net({"x": shape}, nodes, ["y"])


@pytest.mark.parametrize(("net", "fits"), [(doubled, None), (spread, (8, 8)), (crossed, (8, 8))], ids=["side by side", "rows", "crossed"])
def test_bounds_that_cost_few_bytes_are_few(net: Callable[..., Net], fits: tuple[int, int] | None, tmp_path: Path) -> None:
    """What rounding does is told by arrays as large as values, which a file of few bytes makes as large as it likes."""
    many = net() if fits is None else net(1 << 13, 1 << 13)
    tracemalloc.start()
    try:
        verdict = Triple(many, many, {}, "nearest", effect=Effect(1e9, 1e9)).verdict(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 3 << 29
    finally:
        tracemalloc.stop()
    assert isinstance(verdict, Unknown), verdict
    assert "bounds of one value" in verdict.reason
    if fits is not None:
        few = net(*fits)
        assert isinstance(Triple(few, few, {}, "nearest", effect=Effect(1e9, 1e9)).verdict(tmp_path), Proved)


def test_a_concat_of_too_many_units_is_not_written_out(tmp_path: Path) -> None:
    """A permuted operand makes all of them count."""
    n, copies, turned = 1 << 22, 16, lump([1, 0], 2, [1, 0])

    def net(weight: Any) -> Net:
        first = N("linear", (None, 2), ["z"], {}, {"weight": weight})
        return Net({"x": (None, n), "z": (None, 2)}, {"p": first, "y": N("concat", (None, 2 + n * copies), ["p", *["x"] * copies], {"axis": 1})}, ["y"])

    tracemalloc.start()
    try:
        verdict = Triple(net(arr([[1, 0], [0, 1]])), net(arr([[0, 1], [1, 0]])), {"p": turned}).verdict(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 26
    finally:
        tracemalloc.stop()
    assert isinstance(verdict, Unknown)
    assert "units" in verdict.reason


def test_long_scales_on_many_weights_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(affine, "_MAX_WORDS", 40)
    zero, read = np.zeros((2, 1), "float32"), np.ones((1, 2), "float32")
    g = Net({"x": (None, 1)}, {"h": N("linear", (None, 2), ["x"], {}, {"weight": zero}), "y": N("linear", (None, 1), ["h"], {}, {"weight": read})}, ["y"])
    h = Net({"x": (None, 1)}, {"h": N("linear", (None, 1), ["x"], {}, {"weight": [[0]]}), "y": N("linear", (None, 1), ["h"], {}, {"weight": [[0]]})}, ["y"])
    verdict = Triple(g, h, {"h": lump([0, 0], 1, [0], {1: F(1, 3**1500)})}).verdict(tmp_path)
    assert isinstance(verdict, Unknown)
    assert "words" in verdict.reason


def test_the_taps_that_positions_read_are_found_once_a_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    real = affine.taps_read
    monkeypatch.setattr(affine, "taps_read", lambda *axis: calls.append(1) or real(*axis))
    conv = {"stride": [1], "padding": [0], "dilation": [1], "groups": 1}
    turned = {"stride": [4], "padding": [0], "output_padding": [0], "dilation": [1], "groups": 3}
    g = Net(
        {"x": (None, 1, 2)},
        {
            "h": N("conv", (None, 3, 2), ["x"], conv, {"weight": np.zeros((3, 1, 1), "float32"), "bias": [5, 5, 5]}),
            "y": N("conv_transpose", (None, 3, 5), ["h"], turned, {"weight": np.zeros((3, 1, 1), "float32")}),
        },
        ["y"],
    )
    h = Net({"x": (None, 1, 2)}, {"y": N("constant", (None, 3, 5), ["x"], {"shape": [3, 5], "axis": 1}, {"value": [0, 0, 0]})}, ["y"])
    assert isinstance(Triple(g, h, {"h": lump([-1] * 3, 0, [], {}, dict.fromkeys(range(3), 5))}).verdict(tmp_path), Proved)
    assert len(calls) == 1


def test_taps_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def net(groups: int) -> Net:
        conv = {"stride": [1], "padding": [0], "dilation": [1], "groups": groups}
        return Net({"x": (None, 0, 64)}, {"y": N("conv", (None, 2, 1), ["x"], conv, {"weight": np.zeros((2, 0, 64), "float32")})}, ["y"])

    assert isinstance(Triple(net(1), net(2), {}).verdict(tmp_path), Proved)
    monkeypatch.setattr(affine, "_MAX_TAPS", 63)
    verdict = Triple(net(1), net(2), {}).verdict(tmp_path)
    assert isinstance(verdict, Unknown)
    assert "taps" in verdict.reason


def test_numbers_are_compared_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pinned, "_BLOCK", 2)
    one = np.arange(5)
    assert pinned.equal_numbers(one, one.copy())
    for at in range(5):
        other = one.copy()
        other[at] += 1
        assert not pinned.equal_numbers(one, other)


def test_a_group_costs_what_it_holds() -> None:
    """A million classes over a million groups: each group looks at its own."""
    many = np.arange(1 << 20)
    columns = affine.Columns("here", Relation("x", (None, 1 << 20), 1, 1 << 20, many, many), 1 << 20)
    began = time.process_time()
    for group in range(4000):
        assert [part.classes.tolist() for part in columns.parts(group)] == [[], [group], []]
    assert time.process_time() - began < 1


def test_laws_as_many_as_units() -> None:
    """Every unit with an offset, a term, a factor or a slope of its own."""
    n = 40_000
    laws = [(F(1), F(k)) for k in range(n)]
    rows = Rows(np.arange(n), np.arange(n), laws, np.arange(n), np.arange(n), np.ones(n, bool))
    began = time.process_time()
    assert arithmetic._paired(rows, rows, arithmetic._added).laws[7] == (1, 1, 14)
    assert arithmetic._transformed(rows, np.arange(n, dtype="float64"), arithmetic._scaled).laws[7] == (7, 49)
    dead = Rows(-np.ones(n, int), np.arange(n), [(F(0), F(-k)) for k in range(n)], rows.kept, rows.reps, rows.obliged)
    assert slopes._constants_bent(dead, np.arange(n, dtype="float64")).laws[7] == (0, -49)
    assert time.process_time() - began < 3


LONG = F(3**1200, 2**1200 + 1)
DENSE = F(5**800, 3**1100)


@pytest.mark.parametrize(
    ("name", "value", "changes"),
    [
        ("linear_offsets", "h", {"scale": {2: LONG, 7: 3}}),
        ("linear_offsets", "h", {"offset": {1: LONG, 3: 7}}),
        ("relu", "v", {"scale": {2: LONG, 7: 3}}),
        ("add_constant", "v", {"offset": {1: LONG, 3: DENSE}}),
        ("embedding", "e", {"offset": {1: LONG}}),
        ("batch_norm", "v", {"scale": {2: LONG}}),
        ("batch_norm", "v", {"offset": {1: LONG}}),
        ("lstm", "r", {"scale": {2: LONG}}),
        ("stored_constants", "v", {"scale": {1: LONG}}),
    ],
)
def test_messages_do_not_spell_long_numbers(name: str, value: str, changes: dict[str, Any], tmp_path: Path) -> None:
    verdict = CASES[name]().broken(set_lumping(value, **changes)).verdict(tmp_path)
    assert isinstance(verdict, Refuted), verdict
    assert len(verdict.reason) < 300, verdict.reason
    assert re.search(r"[0-9]{61}", verdict.reason) is None


@pytest.mark.parametrize("axis", [(3, 4, 2, 1, 3, 12), (5, 2, 7, 0, 1, 30), (2, 70, 1, 3, 1, 65)])
def test_rows_of_taps_are_the_distinct_ones(axis: tuple[int, ...]) -> None:
    n, kernel, stride, padding, dilation, count = axis
    rows = {tuple(any(q * stride + t * dilation == p + padding for q in range(n)) for t in range(kernel)) for p in range(count)}
    found = [tuple(row) for row in affine.taps_read(*axis).tolist()]
    assert len(found) == len(rows)
    assert set(found) == rows
