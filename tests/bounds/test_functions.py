"""Functions of the bounds against fifty digits: the errors derived in their docstrings are above those measured, and the margins above both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from torch.nn import functional as F

from lumpnet.bounds import functions
from lumpnet.bounds.functions import GATED, MARGIN
from lumpnet.bounds.kinds.activations import LIBRARY

mpmath.mp.dps = 50
ROOT = mpmath.sqrt(2 / mpmath.pi)
REAL: dict[str, Callable[[Any], Any]] = {
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "tanh": mpmath.tanh,
    "erf": mpmath.erf,
    "silu": lambda x: x / (1 + mpmath.exp(-x)),
    "gelu": lambda x: x * mpmath.erfc(-x / mpmath.sqrt(2)) / 2,
    "gelu_tanh": lambda x: x / (1 + mpmath.exp(-2 * ROOT * (x + mpmath.mpf("0.044715") * x**3))),
}


def points(rng: np.random.Generator) -> np.ndarray:
    some = [rng.normal(size=150) * 3, rng.uniform(-750, 750, 60), 10.0 ** rng.uniform(-300, 1, 40), -(10.0 ** rng.uniform(-300, 1, 40))]
    return np.concatenate([*some, [0, 6, -6, 5.9999, 6.0001, 350, 700, -700, 1e5, -1e5]])


@pytest.mark.parametrize("name", REAL)
def test_the_margin_is_wide(name: str, rng: np.random.Generator) -> None:
    """Errors are below an eighth of the margin, so that a slip in a derivation is no matter."""
    x = points(rng)
    scale = np.abs(x) if name in GATED else np.ones_like(x)
    for got, at, unit in zip(getattr(functions, name)(x), x, scale, strict=True):
        assert abs(mpmath.mpf(float(got)) - REAL[name](mpmath.mpf(float(at)))) <= MARGIN / 8 * max(unit, 1e-300)


def test_decay_is_relatively_near(rng: np.random.Generator) -> None:
    t = np.concatenate([rng.uniform(0, 700, 300), 10.0 ** rng.uniform(-300, 2, 50), [0, 700]])
    for got, at in zip(functions.decay(t), t, strict=True):
        assert abs(mpmath.mpf(float(got)) / mpmath.exp(-mpmath.mpf(float(at))) - 1) <= MARGIN / 8
    beyond = functions.decay(np.array([701, 1e5, np.inf]))
    assert (beyond >= 0).all()
    assert (beyond <= 2.0**-1000).all()


@pytest.mark.parametrize("name", GATED)
def test_gated_functions_fall_and_rise(name: str) -> None:
    """Their only minimum lies in the interval that the table gives, above the number that it gives; the slope is at most that of the table."""
    _, left, right, least, lipschitz = GATED[name]
    f = REAL[name]
    grid = [mpmath.mpf(k) / 40 for k in range(-1600, 400)]
    values = [f(x) for x in grid]
    for (a, b), (u, v) in zip(zip(grid, values, strict=True), list(zip(grid, values, strict=True))[1:], strict=False):
        assert abs(v - b) <= lipschitz * (u - a)
        assert v < b if u <= left else v > b if a >= right else True
    ends = f(mpmath.mpf(left)), f(mpmath.mpf(right))
    inner = min(f(mpmath.mpf(left) + (mpmath.mpf(right) - mpmath.mpf(left)) * k / 100) for k in range(101))
    assert least < inner < min(ends) + mpmath.mpf("1e-30")
    assert mpmath.diff(f, left) < 0 < mpmath.diff(f, right)


# -- the assumption on libraries --------------------------------------------------------------------

NUMBERS = {"float32": np.float32, "float64": np.float64}


def wide(dtype: str, rng: np.random.Generator) -> np.ndarray:
    """Numbers of all sizes, both signs."""
    few = [rng.normal(size=200_000) * 3, rng.uniform(-110, 110, 100_000), np.sign(rng.normal(size=50_000)) * 10.0 ** rng.uniform(-30, 2, 50_000)]
    return np.concatenate(few).astype(dtype)


def by_onnxruntime(operator: str, x: np.ndarray, **attrs: Any) -> np.ndarray | None:
    kind = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE}[x.dtype.name]
    values = [helper.make_tensor_value_info(n, kind, [None]) for n in "xy"]
    graph = helper.make_graph([helper.make_node(operator, ["x"], ["y"], **attrs)], "one", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=8)
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented:
        return None
    return np.asarray(session.run(None, {"x": x})[0])


LIBRARIES: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], str, dict[str, Any]]] = {
    "tanh": (torch.tanh, "Tanh", {}),
    "sigmoid": (torch.sigmoid, "Sigmoid", {}),
    "silu": (F.silu, "", {}),
    "gelu": (F.gelu, "Gelu", {"approximate": "none"}),
    "gelu_tanh": (lambda x: F.gelu(x, approximate="tanh"), "Gelu", {"approximate": "tanh"}),
}


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("name", LIBRARIES)
def test_libraries_keep_what_is_assumed_of_them(name: str, dtype: str, rng: np.random.Generator) -> None:
    """Three quarters of the assumption at most: float32 against float64, float64 against fifty digits. Where nothing is assumed, it would not hold."""
    torch_function, operator, attrs = LIBRARIES[name]
    x = wide(dtype, rng)
    x = x if dtype == "float32" else x[:: len(x) // 1500]
    if dtype == "float32":
        truth = [getattr(functions, name)(x.astype(np.float64)), MARGIN * np.maximum(np.abs(x).astype(np.float64), 1)]
    else:
        truth = [x, np.zeros(1)]
    answers = {"torch": torch_function(torch.from_numpy(x)).numpy()}
    if operator and (other := by_onnxruntime(operator, x, **attrs)) is not None:
        answers["onnxruntime"] = other
    u = float(np.finfo(x.dtype).eps) / 2
    unit = u * np.abs(x).astype(np.float64) if name in GATED else np.full(len(x), u)
    allowed = LIBRARY * 0.75 * unit + float(np.finfo(x.dtype).smallest_normal)
    for library, got in answers.items():
        if dtype == "float32":
            off = np.abs(got.astype(np.float64) - truth[0]) - truth[1]
        else:
            off = np.array([float(abs(mpmath.mpf(float(g)) - REAL[name](mpmath.mpf(float(v))))) for g, v in zip(got, x, strict=True)])
        if (name, dtype, library) == ("gelu_tanh", "float64", "onnxruntime"):
            assert (off > allowed).any(), "the tanh form could have a bound in float64"
            continue
        assert (off <= allowed).all(), f"{library}: {name} is off by {float((off / unit).max()):.2f} u"


@pytest.mark.parametrize("dtype", NUMBERS)
def test_exponentials_keep_what_is_assumed_of_them(dtype: str, rng: np.random.Generator) -> None:
    """exp is within 8 u relatively in both libraries (a softmax over two numbers shows little of it, so exp itself is asked)."""
    x = -np.abs(wide(dtype, rng))
    x = x[:: max(1, len(x) // (100_000 if dtype == "float32" else 1500))]
    u, tiny = float(np.finfo(x.dtype).eps) / 2, float(np.finfo(x.dtype).smallest_normal)
    for got in (torch.exp(torch.from_numpy(x)).numpy(), by_onnxruntime("Exp", x)):
        assert got is not None
        truth = np.exp(x.astype(np.float64)) if dtype == "float32" else np.array([float(mpmath.exp(mpmath.mpf(float(v)))) for v in x])
        assert (np.abs(got.astype(np.float64) - truth) <= 8 * u * truth + tiny).all()


def test_onnx_knows_these_operators() -> None:
    assert {name for _, name, _ in LIBRARIES.values() if name} <= set(onnx.defs.get_all_schemas() and [s.name for s in onnx.defs.get_all_schemas()])
