"""Boxes and their texts: never smaller than what was meant, and refused where they mean nothing."""

from __future__ import annotations

import io
import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lumpnet
from lumpnet import Box
from lumpnet.domain import boxes, decimal, read_domain
from lumpnet.errors import DomainError
from lumpnet.ir import Value

X = Value("x", (None, 2, 3), "float32")
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30, places=None).map(str)


def write(path: Path, text: str | bytes) -> str:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


# -- boxes ------------------------------------------------------------------------------------


def test_a_number_stands_for_every_entry() -> None:
    low, high = Box(0, 1).on(X)
    assert low.shape == high.shape == (2, 3)
    assert low.dtype == np.float32
    assert not low.any()
    assert (high == 1).all()
    assert lumpnet.Box is Box


@pytest.mark.parametrize("shape", [(2, 3), (6,), (1, 2, 3)])
def test_arrays_may_be_flat_or_have_a_batch_of_one(shape: tuple[int, ...]) -> None:
    low, high = Box(np.arange(6.0).reshape(shape), torch.full(shape, 9.0)).on(X)
    assert low.reshape(-1).tolist() == list(range(6))
    assert (high == 9).all()


@settings(max_examples=200, deadline=None)
@given(DECIMALS, st.sampled_from(["float32", "float64"]))
def test_bounds_are_rounded_outward_and_no_further(text: str, dtype: str) -> None:
    """The float is on the right side, and its neighbour inside is not."""
    q = Fraction(text)
    low, high = Box(q, q).on(Value("x", (None,), dtype))
    assert Fraction(float(low)) <= q <= Fraction(float(high))
    assert float(low) == float(high) or np.nextafter(low, np.array(np.inf, dtype)) == high


@pytest.mark.parametrize(
    ("lower", "upper", "word"),
    [
        (1, 0, "above upper"),
        (math.nan, 1, "NaN or infinity"),
        (0, math.inf, "NaN or infinity"),
        ([0, 0], [1, 1, 1], "shape"),
        (["a"], [1], "no finite numbers|real numbers"),
        (None, 1, "no finite numbers"),
        (Fraction(10) ** 400, Fraction(10) ** 401, "beyond all floats"),
        (1j, 2j, "real numbers"),
    ],
)
def test_boxes_that_mean_nothing_are_refused(lower: Any, upper: Any, word: str) -> None:
    with pytest.raises(DomainError, match=word):
        Box(lower, upper)


def test_boxes_that_do_not_fit_are_refused() -> None:
    for box, value, word in [
        (Box(np.zeros(5), 1), X, "6 entries"),
        (Box(0, 1e300), X, "beyond float32"),
        (Box(0, 1), Value("tokens", (None, 4), "int64"), "int64"),
    ]:
        with pytest.raises(DomainError, match=word):
            box.on(value)
    with pytest.raises(DomainError, match="'other'"):
        boxes({"other": Box(0, 1)}, [X])
    assert set(boxes({"x": Box(0, 1), "y": Box(2, 3)}, [X, Value("y", (None,), "float64")])) == {"x", "y"}


# -- texts --------------------------------------------------------------------------------------


def test_a_text_with_two_numbers() -> None:
    box = read_domain("-0.1:1e-3")
    assert isinstance(box, Box)
    assert Fraction(float(box.lower)) <= Fraction("-0.1")
    assert Fraction(float(box.upper)) >= Fraction("1e-3")


@pytest.mark.parametrize(
    "text", ["", "0", "0:1:2", "a:b", "nan:1", "0:inf", "0x1:2", "1:0", "ball:x", "ball:x.npy:a", "ball:x.npy:1:2", "0:1e99999999", "no.json", "no.vnnlib"]
)
def test_texts_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(DomainError):
        read_domain(text)


def test_numbers_that_no_float_needs_are_refused_at_once() -> None:
    for text in ("1e999999999", "0e999999999", "1e-999999999", "1" * 401):
        with pytest.raises(DomainError, match="at most"):
            decimal(text, "here")


def test_json_for_all_inputs_and_by_name(tmp_path: Path) -> None:
    one = read_domain(write(tmp_path / "one.json", '{"lower": [[0.1, 0], [0, 0]], "upper": 1, "target_output": 3}'))
    assert isinstance(one, Box)
    assert one.lower.shape == (2, 2)
    assert Fraction(float(one.lower[0, 0])) <= Fraction("0.1")
    two = read_domain(write(tmp_path / "two.json", '{"a": {"lower": 0, "upper": 1}, "b": {"lower": [1, 2], "upper": [3, 4]}}'))
    assert isinstance(two, dict)
    assert two["b"].upper.tolist() == [3, 4]


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "3", '{"lower": 0}', '{"lower": [0, [1]], "upper": 2}', '{"lower": [[0], [1, 2]], "upper": 9}', '{"lower": "0", "upper": 1}',
        '{"lower": NaN, "upper": 1}', '{"lower": 0, "upper": Infinity}', '{"lower": 0, "upper": 1e400}', '{"lower": 0e999999999, "upper": 1}',
        '{"lower": [true], "upper": 1}', '{"lower": null, "upper": 1}', '{"a": {"lower": 0}}', '{"a": 3}', '{"lower": 2, "upper": 1}', "[" * 10000,
        '{"lower": 0, "lower": 1, "upper": 2}', "\xff",
    ],
)  # fmt: skip
def test_hostile_json_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(DomainError):
        read_domain(write(tmp_path / "x.json", text.encode("latin-1")))


def test_a_ball_is_clipped_and_exact(tmp_path: Path) -> None:
    centre = np.array([[0.0, 0.5], [1.0, 0.25]], np.float32)
    np.save(tmp_path / "c.npy", centre)
    box = read_domain(f"ball:{tmp_path / 'c.npy'}:0.1:0:1")
    assert isinstance(box, Box)
    for c, low, high in zip(centre.reshape(-1), box.lower.reshape(-1), box.upper.reshape(-1), strict=True):
        assert Fraction(float(low)) <= max(Fraction(float(c)) - Fraction("0.1"), 0)
        assert Fraction(float(high)) >= min(Fraction(float(c)) + Fraction("0.1"), 1)
        assert high - low < 0.2000001
    assert float(box.lower[0, 0]) == 0
    with pytest.raises(DomainError, match="above upper"):
        read_domain(f"ball:{tmp_path / 'c.npy'}:0.1:5:6")
    with pytest.raises(DomainError, match="above upper"):
        read_domain(f"ball:{tmp_path / 'c.npy'}:-1")


def hostile_arrays() -> dict[str, bytes]:
    def saved(array: Any, pickled: bool = False) -> bytes:
        file = io.BytesIO()
        np.save(file, array, allow_pickle=pickled)
        return file.getvalue()

    good = saved(np.zeros(4, np.float32))
    return {
        "pickled": saved(np.array([{}], dtype=object), True),
        "text": saved(np.array(["a"])),
        "complex": saved(np.zeros(2, complex)),
        "nan": saved(np.array([np.nan])),
        "infinite": saved(np.array([np.inf])),
        "cut": good[:-3],
        "more": good + b"0",
        "huge": good.replace(b"(4,)", b"(1 << 60,)"[:4]).replace(b"'shape': (4,), ", b"'shape': (99999999999999,), ")[: len(good)],
        "nothing": b"",
        "garbage": b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 200,
        "version": good.replace(b"\x93NUMPY\x01", b"\x93NUMPY\x09"),
    }


@pytest.mark.parametrize("name", hostile_arrays())
def test_hostile_arrays_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DomainError):
        read_domain(f"ball:{write(tmp_path / 'c.npy', hostile_arrays()[name])}:0.1")


# -- VNN-LIB ------------------------------------------------------------------------------------

TWO = "(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)"


@pytest.mark.parametrize(
    ("asserts", "lower", "upper"),
    [
        ("(assert (<= X_0 1.5))(assert (>= X_0 -1))(assert (<= 0 X_1))(assert (>= 2 X_1))", [-1, 0], [1.5, 2]),
        ("; a comment\n(assert (and (<= X_0 1)(>= X_0 0)(<= X_1 1)(>= X_1 0)))(assert (>= Y_0 3))", [0, 0], [1, 1]),
        ("(assert (or (and (<= X_0 1)(>= X_0 0)(<= X_1 1)(>= X_1 0)) (and (<= X_0 5)(>= X_0 4)(<= X_1 0)(>= X_1 -2))))", [0, -2], [5, 1]),
        ("(assert (>= X_0 0))(assert (>= X_0 1))(assert (<= X_0 7))(assert (<= X_0 5))(assert (>= X_1 (- 3)))(assert (<= X_1 1e1))", [1, -3], [5, 10]),
        ("(assert (and (<= X_0 1)(>= X_0 0)(<= X_1 1)(>= X_1 0)))(assert (or (and (>= Y_0 1)) (and (<= X_0 0) (<= Y_0 0))))", [0, 0], [1, 1]),
        ("(assert (and (<= X_0 1)(>= X_0 0)(<= X_1 1)(>= X_1 0)))(assert (or (and (>= X_0 2)) (and (<= X_1 0.5))))", [0, 0], [1, 1]),
    ],
)
def test_vnnlib_is_read_as_a_hull(asserts: str, lower: list[float], upper: list[float], tmp_path: Path) -> None:
    box = read_domain(write(tmp_path / "p.vnnlib", TWO + asserts))
    assert isinstance(box, Box)
    assert (box.lower.tolist(), box.upper.tolist()) == (lower, upper)


@pytest.mark.parametrize(
    ("asserts", "word"),
    [
        ("(assert (<= X_0 X_1))", "is not read"),
        ("(assert (<= (+ X_0 1) 2))", "is not read"),
        ("(assert (= X_0 1))", "is not read"),
        ("(assert (not (<= X_0 1)))", "is not read"),
        ("(assert (<= X_0 Y_0))", "is not read"),
        ("(assert (< X_0 1))", "is not read"),
        ("(check-sat)", "is not read"),
        ("(assert (<= X_0 1))", "no lower bound"),
        ("(assert (<= X_7 1))(assert (<= X_0 1))(assert (>= X_0 0))(assert (<= X_1 1))(assert (>= X_1 0))", "X_7"),
        ("(assert (<= X_0 0))(assert (>= X_0 1))", "no input meets"),
        ("(assert (<= X_0 1e999999999))", "at most"),
        ("(assert (<= X_0 1)", "never closed"),
        ("x", "outside of brackets"),
        (")", "outside of brackets"),
        ("(" * 100, "deeper"),
        ("(assert (or))", "no input meets"),
    ],
)
def test_what_vnnlib_is_not_read_says_so(asserts: str, word: str, tmp_path: Path) -> None:
    with pytest.raises(DomainError, match=word):
        read_domain(write(tmp_path / "p.vnnlib", TWO + asserts))


def test_a_hull_holds_every_input_that_the_precondition_allows(tmp_path: Path, rng: np.random.Generator) -> None:
    """Random formulas, evaluated on points."""

    def formula(depth: int) -> Any:
        if depth == 0 or rng.random() < 0.3:
            return [str(rng.choice(["<=", ">="])), f"X_{rng.integers(2)}", str(int(rng.integers(-4, 5)))]
        return [str(rng.choice(["and", "or"])), *(formula(depth - 1) for _ in range(rng.integers(1, 4)))]

    def text(f: Any) -> str:
        return f if isinstance(f, str) else f"({' '.join(map(text, f))})"

    def holds(f: Any, x: tuple[int, int]) -> bool:
        if f[0] in ("and", "or"):
            return (all if f[0] == "and" else any)(holds(g, x) for g in f[1:])
        a, b = x[int(f[1][2:])], int(f[2])
        return a <= b if f[0] == "<=" else a >= b

    limits = [["and", ["<=", f"X_{i}", "5"], [">=", f"X_{i}", "-5"]] for i in range(2)]
    read = 0
    for _ in range(300):
        f = formula(3)
        points = [(a, b) for a in range(-5, 6) for b in range(-5, 6) if holds(f, (a, b))]
        path = write(tmp_path / "p.vnnlib", TWO + "".join(f"(assert {text(g)})" for g in [*limits, f]))
        try:
            box = read_domain(path)
        except DomainError:
            assert not points
            continue
        assert isinstance(box, Box)
        assert all((box.lower <= p).all() and (p <= box.upper).all() for p in points)
        read += bool(points)
    assert read > 100


def test_the_command_line_refuses_in_one_paragraph(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from lumpnet.cli.app import app

    model = Path(lumpnet.__file__).parent / "cli" / "demo.safetensors"
    data = json.dumps({"lower": [0, 1], "upper": [1, 2]})
    for text in ("2:1", write(tmp_path / "two.json", data)):
        done = CliRunner().invoke(app, ["reduce", str(model), "-o", str(tmp_path / "o.safetensors"), "--domain", text])
        assert done.exit_code == 2
        assert done.stderr.startswith("error: ")
        assert not (tmp_path / "o.safetensors").exists()
