"""Networks and boxes to execute: those of `lumpnet.testing`, forged ONNX graphs, and layers made to round badly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lumpnet import Box
from lumpnet.domain import Domain
from lumpnet.ir import Graph, Node, Value
from lumpnet.ops import get
from lumpnet.testing import FAMILIES, as_trained, planted

Array = np.ndarray[Any, Any]
Case = tuple[str, Graph, Domain]


def chain(shape: Sequence[int], *layers: tuple[str, dict[str, Any], dict[str, Array]], dtype: str = "float32") -> Graph:
    """One layer after another: (kind, attributes, parameters)."""
    values = [Value("x", (None, *shape), dtype)]
    nodes, tensors = [], {}
    for k, (kind, attrs, params) in enumerate(layers):
        held = {role: np.asarray(p, dtype=dtype) for role, p in params.items()}
        value = Value(f"v{k}", get(kind).infer([values[-1].shape], attrs, held), dtype)
        nodes.append(Node(value, kind, (values[-1].name,), attrs, {role: f"v{k}.{role}" for role in held}))
        tensors |= {f"v{k}.{role}": p for role, p in held.items()}
        values.append(value)
    return Graph((values[0],), tuple(nodes), (values[-1].name,), tensors)


def linear(weight: Any, bias: Any = None) -> tuple[str, dict[str, Any], dict[str, Array]]:
    params = {"weight": np.asarray(weight)} | ({} if bias is None else {"bias": np.asarray(bias)})
    return "linear", {}, params


RELU: tuple[str, dict[str, Any], dict[str, Array]] = ("relu", {}, {})


def random_box(rng: np.random.Generator, graph: Graph) -> dict[str, Box]:
    """Around anything, of any width: points, small ones, wide ones."""
    out = {}
    for value in graph.inputs:
        shape = tuple(int(d or 0) for d in value.shape[1:])
        centre = rng.normal(size=shape) * rng.choice([0.0, 1.0, 1.0, 100.0])
        radius = rng.choice([0.0, 1e-4, 1.0, 1.0, 8.0]) * rng.random(shape)
        out[value.name] = Box(centre - radius, centre + radius)
    return out


# -- adversaries ------------------------------------------------------------------------------------


def ill_scaled(rng: np.random.Generator) -> Case:
    """Weights over 80 binary orders of magnitude, in a sum and in a chain."""
    n = int(rng.integers(2, 40))
    w = rng.normal(size=(5, n)) * 2.0 ** rng.integers(-40, 40, size=(5, n))
    graph = chain([n], linear(w, rng.normal(size=5)), RELU, linear(rng.normal(size=(3, 5)) * 2.0 ** rng.integers(-40, 20, size=(3, 5))))
    return "ill scaled", graph, random_box(rng, graph)


def subnormal(rng: np.random.Generator) -> Case:
    """Products below the smallest normal number, and around the smallest of all."""
    n = int(rng.integers(1, 24))
    w = rng.normal(size=(4, n)) * 2.0 ** -rng.integers(60, 90, size=(4, n))
    graph = chain([n], linear(w, rng.normal(size=4) * 2.0 ** -rng.integers(120, 150, size=4)), RELU, linear(rng.normal(size=(3, 4))))
    return "subnormal", graph, {"x": Box(-(2.0**-70), 2.0**-66)}


def cancelling(rng: np.random.Generator) -> Case:
    """Large weights that cancel exactly, around what is left."""
    n = int(rng.integers(2, 30))
    half = rng.normal(size=(4, n)) * 2.0 ** rng.integers(0, 26, size=(4, n))
    w = np.concatenate([half, -half, rng.normal(size=(4, 1))], axis=1).astype(np.float32)
    copies = np.concatenate([np.eye(n), np.eye(n), rng.normal(size=(1, n))])
    order = rng.permutation(2 * n + 1)
    graph = chain([n], linear(copies[order]), linear(w[:, order], rng.normal(size=4)), RELU, linear(rng.normal(size=(2, 4))))
    return "cancelling", graph, random_box(rng, graph)


def long(rng: np.random.Generator) -> Case:
    """Dot products of thousands of terms of one sign."""
    n = int(rng.integers(500, 4000))
    graph = chain([n], linear(rng.random((3, n)) + 1, rng.random(3)), RELU, linear(rng.random((2, 3))))
    return "long", graph, {"x": Box(0.5, 1)}


def ladder(rng: np.random.Generator) -> Case:
    """One, and then halves of its last bit: added one by one, all of them are lost. The error comes close to the bound."""
    n = int(rng.integers(2, 300))
    row = np.full(n, 2.0**-24)
    row[0] = 1
    graph = chain([n], linear(row[None], [2.0**-24]))
    return "ladder", graph, {"x": Box(1, 1 + 2.0**-20)}


def deep(rng: np.random.Generator) -> Case:
    """Twelve layers, with what an activation does between them."""
    layers = []
    for _ in range(12):
        layers += [linear(rng.normal(size=(6, 6)) / 2, rng.normal(size=6)), (str(rng.choice(["tanh", "sigmoid", "silu", "relu"])), {}, {})]
    graph = chain([6], *layers, linear(rng.normal(size=(3, 6))))
    return "deep", graph, random_box(rng, graph)


def convolution(rng: np.random.Generator) -> Case:
    """Groups, strides, padding and dilation, batch norm and a pool."""
    groups, kernel = int(rng.choice([1, 2, 4])), int(rng.choice([1, 2, 3]))
    attrs = {"stride": [int(rng.integers(1, 3))] * 2, "padding": [int(rng.integers(0, 3))] * 2, "dilation": [int(rng.integers(1, 3))] * 2, "groups": groups}
    norm = {
        "mean": rng.normal(size=8),
        "var": rng.random(8) * 2.0 ** rng.integers(-20, 20, size=8) + 1e-3,
        "weight": rng.normal(size=8),
        "bias": rng.normal(size=8),
    }
    window = {"kernel": [2, 2], "stride": [1, 1], "padding": [0, 0], "ceil_mode": False, "count_include_pad": True, "divisor_override": None}
    layers = [("conv", attrs, {"weight": rng.normal(size=(8, 4 // groups, kernel, kernel)), "bias": rng.normal(size=8)})]
    layers += [("batch_norm", {"eps": 1e-5}, norm), (str(rng.choice(["relu", "gelu"])), {}, {}), ("avg_pool", window, {})]
    layers = [(k, {"approximate": "none"} if k == "gelu" else a, p) for k, a, p in layers]
    graph = chain([4, 9, 8], *layers, ("adaptive_avg_pool", {"output_size": [2, 1]}, {}))
    return "convolution", graph, random_box(rng, graph)


def transposed(rng: np.random.Generator) -> Case:
    groups = int(rng.choice([1, 2]))
    attrs = {"stride": [2, 2], "padding": [1, 0], "output_padding": [0, 1], "dilation": [1, 1], "groups": groups}
    weight = rng.normal(size=(4, 6 // groups, 3, 2))
    graph = chain([4, 4, 3], ("conv_transpose", attrs, {"weight": weight, "bias": rng.normal(size=6)}), RELU, ("mean", {"axes": [2, 3], "keepdim": False}, {}))
    return "transposed", graph, random_box(rng, graph)


def attentive(rng: np.random.Generator) -> Case:
    """A softmax over many units between two layers."""
    n = int(rng.integers(2, 60))
    graph = chain([5], linear(rng.normal(size=(n, 5))), ("softmax", {"axis": 1}, {}), linear(rng.normal(size=(3, n))))
    return "softmax", graph, random_box(rng, graph)


ADVERSARIES: tuple[Callable[[np.random.Generator], Case], ...] = (
    ill_scaled, subnormal, cancelling, long, ladder, deep, convolution, transposed, attentive,
)  # fmt: skip


def case(seed: int) -> Case:
    """Half of the networks are of a family, half adversaries."""
    rng = np.random.default_rng([seed, 77])
    if seed % 2:
        return ADVERSARIES[seed // 2 % len(ADVERSARIES)](rng)
    family = list(FAMILIES)[seed // 2 % len(FAMILIES)]
    graph = as_trained(seed, family) if rng.random() < 0.5 else planted(seed, family).graph
    return family, graph, random_box(rng, graph)
