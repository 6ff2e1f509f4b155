"""Every operator kind is written as ONNX, computes there what its rules compute, and comes back as it was."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import onnx
import pytest
from oracle import disagreement, evaluated

from lumpnet.errors import LumpnetError
from lumpnet.ir import Graph, Node, Value, network_bytes
from lumpnet.lift.onnx import lift_onnx
from lumpnet.lower.onnx import model_bytes
from lumpnet.ops import get, kinds
from lumpnet.ops.sites import run

Example = tuple[str, list[tuple[int, ...]], dict[str, Any], dict[str, tuple[int, ...]]]
CELL = {"weight_ih": 3, "weight_hh": 4}


def cell(gates: int, *biases: str) -> dict[str, tuple[int, ...]]:
    return {role: (gates * 4, n) for role, n in CELL.items()} | dict.fromkeys(biases, (gates * 4,))


def window(**more: Any) -> dict[str, Any]:
    return {"kernel": [3, 2], "stride": [2, 2], "padding": [1, 1], "ceil_mode": False} | more


FLAGS = (False, True)
PLAIN = [
    "abs", "sign", "exp", "log", "sqrt", "reciprocal", "erf", "sin", "cos", "softsign", "selu", "hardswish", "mish", "logsigmoid", "floor", "ceil", "round",
    "relu", "tanh", "sigmoid", "silu", "identity",
]  # fmt: skip
EXAMPLES: list[Example] = [
    *((kind, [(4, 3)], {}, {}) for kind in PLAIN),
    ("gelu", [(4,)], {"approximate": "none"}, {}),
    ("gelu", [(4,)], {"approximate": "tanh"}, {}),
    ("leaky_relu", [(4,)], {"slope": 0.25}, {}),
    ("hardtanh", [(4,)], {"min": -0.5, "max": 0.75}, {}),
    ("dropout", [(4,)], {"p": 0.1}, {}),
    *((kind, [(4, 3)], {"alpha": alpha}, {}) for kind in ("elu", "celu") for alpha in (0.5, 0.3)),
    ("softplus", [(4, 3)], {"beta": 2.0, "threshold": 1.0}, {}),
    ("hardsigmoid", [(4,)], {"alpha": 1 / 6, "beta": 0.5}, {}),
    ("pow", [(4,)], {"exponent": 1.7}, {}),
    ("softmax", [(4, 3)], {"axis": 1}, {}),
    ("prelu", [(4, 3)], {}, {"slope": (4,)}),
    ("prelu", [(4, 3)], {}, {"slope": (1,)}),
    ("linear", [(4,)], {}, {"weight": (3, 4), "bias": (3,)}),
    ("linear", [(2, 4)], {}, {"weight": (3, 4), "bias": (3,)}),
    ("linear", [(2, 4)], {}, {"weight": (3, 4)}),
    ("conv", [(4, 6, 5)], {"stride": [2, 1], "padding": [1, 0], "dilation": [1, 2], "groups": 2}, {"weight": (6, 2, 3, 2), "bias": (6,)}),
    (
        "conv_transpose",
        [(4, 5, 5)],
        {"stride": [2, 1], "padding": [1, 0], "output_padding": [1, 0], "dilation": [1, 2], "groups": 2},
        {"weight": (4, 3, 3, 2), "bias": (6,)},
    ),
    ("batch_norm", [(4, 3)], {"eps": 2.0**-10}, {"weight": (4,), "bias": (4,), "mean": (4,), "var": (4,)}),
    ("batch_norm", [(4, 3)], {"eps": 1e-5}, {"mean": (4,), "var": (4,)}),
    *((kind, [(3, 4, 2)], {"axis": 2}, {role: (4,)}) for kind, role in (("add_constant", "term"), ("mul_constant", "factor"), ("div_constant", "divisor"))),
    *((kind, [(3, 4, 2)], {"axis": 1}, {role: ()}) for kind, role in (("add_constant", "term"), ("mul_constant", "factor"), ("div_constant", "divisor"))),
    *((kind, [(3, 4), (3, 1)], {}, {}) for kind in ("add", "mul", "div")),
    ("matmul", [(3, 4, 2), (3, 2, 5)], {}, {}),
    ("constant", [(4,)], {"shape": [3, 2], "axis": 1}, {"value": (3,)}),
    ("concat", [(3, 4), (2, 4)], {"axis": 1}, {}),
    ("reshape", [(3, 4)], {"shape": [2, 6]}, {}),
    ("permute", [(3, 4, 2)], {"dims": [0, 3, 1, 2]}, {}),
    ("index_select", [(3, 4)], {"axis": 2, "index": [3, 0, 0]}, {}),
    *(("pad", [(4, 5)], {"pads": [[0, 0], [1, 2]], "mode": mode, "value": 0.5}, {}) for mode in ("constant", "reflect", "replicate", "circular")),
    ("upsample", [(2, 3, 3)], {"scales": [2, 3], "mode": "nearest"}, {}),
    *(("max_pool", [(2, 6, 7)], window(dilation=d, ceil_mode=ceil), {}) for d in ([1, 1], [2, 1]) for ceil in (False, True)),
    *(("avg_pool", [(2, 6, 7)], window(ceil_mode=c, count_include_pad=p, divisor_override=d), {}) for c in FLAGS for p in FLAGS for d in (None, 5)),
    *((kind, [(2, 6, 7)], {"output_size": size}, {}) for kind in ("adaptive_avg_pool", "adaptive_max_pool") for size in ([1, 1], [3, 7], [4, 3])),
    *((kind, [(4, 3, 2)], {"axes": [2, 3], "keepdim": keep}, {}) for kind in ("mean", "sum", "amax", "amin") for keep in (False, True)),
    *(("layer_norm", [(4, 6)], {"dims": dims, "eps": eps}, params) for dims, params in ((1, {"weight": (6,), "bias": (6,)}), (2, {})) for eps in (0.25, 1e-3)),
    ("rms_norm", [(4, 6)], {"dims": 1, "eps": 1e-3}, {"weight": (6,)}),
    *(("group_norm", [(4, 6)], {"groups": 2, "eps": eps}, {"weight": (4,), "bias": (4,)}) for eps in (0.25, 1e-3)),
    *(("instance_norm", [(4, 6)], {"eps": eps}, params) for params in ({"weight": (4,), "bias": (4,)}, {}) for eps in (0.25, 1e-3)),
    *(("rnn", [(5, 3)], {"nonlinearity": f, "reverse": back}, cell(1, "bias_ih")) for f in ("tanh", "relu") for back in (False, True)),
    *(("lstm", [(5, 3)], {"reverse": back}, cell(4, "bias_ih", "bias_hh")) for back in (False, True)),
    *(("gru", [(5, 3)], {"reverse": back, "linear_before_reset": way}, cell(3, "bias_ih", "bias_hh")) for back in (False, True) for way in (False, True)),
    ("attention", [(5, 8), (5, 4), (5, 4)], {"heads": 4, "kv_heads": 2, "scale": 0.7, "causal": True}, {}),
    ("attention", [(5, 8), (6, 8), (6, 12)], {"heads": 2, "kv_heads": 2, "scale": 0.3, "causal": False}, {}),
    ("embedding", [(5,)], {}, {"weight": (7, 3)}),
]  # fmt: skip
POSITIVE = ("log", "sqrt", "pow")
UNTRIED = {"opaque"}


def build(example: Example, rng: np.random.Generator) -> tuple[Graph, dict[str, np.ndarray]]:
    kind, shapes, attrs, params = example
    dtype = "int64" if kind == "embedding" else "float32"
    inputs = tuple(Value(f"x{k}", (None, *shape), dtype) for k, shape in enumerate(shapes))
    tensors = {role: rng.normal(size=shape).astype(np.float32) for role, shape in params.items()}
    tensors |= {"var": abs(tensors["var"]) + 1} if "var" in tensors else {}
    shape = get(kind).infer([v.shape for v in inputs], attrs, tensors)
    graph = Graph(inputs, (Node(Value("y", shape), kind, tuple(v.name for v in inputs), attrs, {k: k for k in tensors}),), ("y",), tensors)
    given = {v.name: rng.normal(size=(3, *v.shape[1:])).astype(np.float32) for v in inputs}
    if kind == "embedding":
        given = {v.name: rng.integers(0, 7, size=(3, *v.shape[1:])) for v in inputs}
    return graph, {k: abs(v) for k, v in given.items()} if kind in POSITIVE else given


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e[0] in kinds()], ids=lambda e: e[0])
def test_it_is_written_agrees_and_comes_back(example: Example, rng: np.random.Generator) -> None:
    graph, given = build(example, rng)
    data = model_bytes(graph)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    assert network_bytes(lift_onnx(data)) == network_bytes(graph)
    found = evaluated(data, given)
    assert found is not None
    doubles = {k: v.astype(np.float64) if v.dtype.kind == "f" else v for k, v in given.items()}
    assert disagreement(found, [run(graph, doubles)["y"]], tolerance=1e-4) is None


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e[0] in kinds()], ids=lambda e: e[0])
def test_read_without_annotations_it_means_the_same(example: Example, rng: np.random.Generator) -> None:
    graph, given = build(example, rng)
    model = onnx.load_from_string(model_bytes(graph))
    del model.metadata_props[:]
    again = None
    with suppress(LumpnetError):  # what is written of some kinds is refused as foreign operators, in words
        again = lift_onnx(model.SerializeToString())
    if again is None:
        return
    one, two = evaluated(model_bytes(graph), given), evaluated(model_bytes(again), given)
    assert one is not None
    assert two is not None
    assert disagreement(one, two, tolerance=1e-4) is None


def test_every_kind_has_an_example() -> None:
    assert set(kinds()) - {e[0] for e in EXAMPLES} <= UNTRIED
