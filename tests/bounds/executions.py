"""Ways to execute a network, each of them an execution the claim speaks of, and ways to know the real value.

torch in several batch sizes and thread counts; onnxruntime without graph rewriting; numpy with sums of products in
random orders and trees, with FMA and without; rationals where every operator has them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import onnxruntime
import torch

from lumpnet.bounds import Executed
from lumpnet.errors import LumpnetError, NoExactValue
from lumpnet.exact import fractions
from lumpnet.ir import Graph, Node, Value
from lumpnet.lower.onnx import model_bytes
from lumpnet.lower.torch import lower_graph
from lumpnet.ops import Site, get, windows
from lumpnet.ops.sites import run, sites

Array = np.ndarray[Any, Any]
Batch = Mapping[str, Array]
Execution = Callable[[Batch], list[Array]]
BATCHES = (1, 2, 3, 8, 33)
onnxruntime.set_default_logger_severity(4)
_ORT = onnxruntime.capi.onnxruntime_pybind11_state
REFUSALS = (RuntimeError, ValueError, _ORT.NotImplemented, _ORT.InvalidArgument, _ORT.Fail)
"""How libraries say that they do not run this."""


# -- libraries --------------------------------------------------------------------------------


def by_torch(graph: Graph, batch: int | None = None, threads: int = 1) -> Execution:
    """Examples `batch` at a time (None: all at once)."""
    module = lower_graph(graph)

    def execute(xs: Batch) -> list[Array]:
        n = len(next(iter(xs.values())))
        parts = []
        with torch.no_grad(), _threads(threads):
            for at in range(0, n, batch or n):
                out = module(*(torch.from_numpy(np.ascontiguousarray(x[at : at + (batch or n)])) for x in xs.values()))
                parts.append([out] if isinstance(out, torch.Tensor) else list(out))
        return [torch.cat(p).numpy() for p in zip(*parts, strict=True)]

    return execute


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def by_onnxruntime(graph: Graph, threads: int = 1) -> Execution | None:
    """None where ONNX cannot say the graph, or onnxruntime lacks an operator in this format."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(model_bytes(graph), options, providers=["CPUExecutionProvider"])
    except (LumpnetError, *REFUSALS):
        return None
    names = [i.name for i in session.get_inputs()]
    return lambda xs: session.run(None, dict(zip(names, xs.values(), strict=True)))


# -- numpy, in any order ------------------------------------------------------------------------


def by_numpy(graph: Graph, rng: np.random.Generator, fma: bool) -> Execution:
    """Sums of products in an order and tree drawn anew for each layer."""

    def execute(xs: Batch) -> list[Array]:
        values = dict(xs)
        with np.errstate(under="ignore"):
            for site in sites(graph):
                operands = [values[name] for name in site.node.inputs]
                values[site.node.name] = _step(site, operands, rng, fma).astype(operands[0].dtype)
        return [values[name] for name in graph.outputs]

    return execute


def _step(site: Site, xs: list[Array], rng: np.random.Generator, fma: bool) -> Array:
    if site.node.kind not in ("linear", "conv"):
        return np.asarray(get(site.node.kind).run(site, xs))
    weight = site.params["weight"].reshape(len(site.params["weight"]), -1)
    groups = site.attrs.get("groups", 1)
    bias = site.params.get("bias", np.zeros(0, weight.dtype))
    columns = _columns(site, xs[0])  # (n, groups, k, positions)
    outs = []
    for w, b, x in zip(np.split(weight, groups), np.split(bias, groups) if len(bias) else [None] * groups, columns.swapaxes(0, 1), strict=True):
        outs.append(_dot(w[None, :, :, None], x[:, None], None if b is None else b[None, :, None], rng, fma))
    y = np.concatenate(outs, axis=1)  # (n, units, positions)
    if site.node.kind == "linear":
        return np.moveaxis(y, 1, -1).reshape(len(xs[0]), *(int(d or 0) for d in site.shape[1:]))
    return y.reshape(len(xs[0]), *(int(d or 0) for d in site.shape[1:]))


def _columns(site: Site, x: Array) -> Array:
    if site.node.kind == "linear":
        return np.moveaxis(x.reshape(len(x), -1, x.shape[-1]), 1, -1)[:, None]
    a, kernel = site.attrs, site.params["weight"].shape[2:]
    views = windows.taps(windows.pad(x, a["padding"], a["padding"], 0), kernel, a["stride"], a["dilation"], [int(n or 0) for n in site.shape[2:]])
    taps = np.stack([view for _, view in views], axis=2)  # (n, channels, taps, *positions)
    return taps.reshape(len(x), a["groups"], x.shape[1] // a["groups"] * taps.shape[2], -1)


def _dot(w: Array, x: Array, bias: Array | None, rng: np.random.Generator, fma: bool) -> Array:
    """Sum over axis 2 of w * x, and bias, in an order of its own; all arithmetic rounds to the operands' format."""
    order = rng.permutation(w.shape[2])
    w, x = w[:, :, order], x[:, :, order]
    shape = np.broadcast_shapes(w[:, :, 0].shape, x[:, :, 0].shape)
    if fma:
        total = np.broadcast_to(bias, shape).astype(x.dtype) if bias is not None else np.zeros(shape, x.dtype)
        for k in range(w.shape[2]):
            total = fused(w[:, :, k], x[:, :, k], total)
        return total
    terms = [w[:, :, k] * x[:, :, k] for k in range(w.shape[2])]
    if bias is not None:
        terms.insert(int(rng.integers(len(terms) + 1)), np.broadcast_to(bias, shape).astype(x.dtype))
    tree = rng.integers(3)
    while len(terms) > 1:  # a chain, random pairs, or rounds of neighbours
        if tree == 2:
            terms = [a + b for a, b in zip(terms[::2], terms[1::2], strict=False)] + ([terms[-1]] if len(terms) % 2 else [])
            continue
        k = 0 if tree == 0 else int(rng.integers(len(terms) - 1))
        terms[k : k + 2] = [terms[k] + terms[k + 1]]
    return terms[0]


def fused(a: Array, b: Array, c: Array) -> Array:
    """round(a b + c) in one rounding, for float32 by way of float64 rounded to odd (Boldo and Melquiond 2008); float64 operands unfused."""
    if c.dtype != np.float32:
        return np.asarray(a * b + c)
    product_, wide = np.asarray(a.astype(np.float64) * b.astype(np.float64)), c.astype(np.float64)
    total = np.asarray(product_ + wide)
    back = total - product_
    rest = (product_ - (total - back)) + (wide - back)
    even = (total.view(np.int64) & 1) == 0
    toward = np.where(rest > 0, np.inf, -np.inf)
    return np.where((rest != 0) & even, np.nextafter(total, toward), total).astype(np.float32)


# -- the real value -------------------------------------------------------------------------------


def widened(graph: Graph, dtype: str = "float64") -> Graph:
    """The same network, stored in another float format."""

    def value(v: Value) -> Value:
        return replace(v, dtype=dtype) if v.dtype.startswith("float") else v

    def node(n: Node) -> Node:
        return Node(value(n.value), n.kind, n.inputs, n.attrs, n.params, n.module)

    tensors = {name: t.astype(dtype) if t.dtype.kind == "f" else t for name, t in graph.tensors.items()}
    return Graph(tuple(map(value, graph.inputs)), tuple(map(node, graph.nodes)), graph.outputs, tensors, graph.buffers, graph.notes)


def real(graph: Graph, xs: Batch) -> list[Array] | None:
    """The outputs as rationals; None where an operator has none."""
    try:
        values = run(graph, {name: fractions(x) for name, x in xs.items()})
    except NoExactValue:
        return None
    return [values[name] for name in graph.outputs]


def nearly(graph: Graph, xs: Batch) -> list[Array]:
    """The outputs in float64: off by at most the bound for float64."""
    with np.errstate(all="ignore"):
        values = run(widened(graph), {name: x.astype(np.float64) for name, x in xs.items()})
    return [values[name] for name in graph.outputs]


# -- inputs ---------------------------------------------------------------------------------------


def inside(box: Mapping[str, tuple[Array, Array]], count: int, rng: np.random.Generator) -> dict[str, Array]:
    """Points of the box in its dtype: a third corners, a third uniform, a third scaled."""
    out = {}
    for name, (low, high) in box.items():
        wide = (count, *[1] * low.ndim)
        share = np.where(rng.random(wide) < 0.5, rng.random((count, *low.shape)), rng.integers(0, 2, size=(count, *low.shape)))
        share = np.where(rng.random(wide) < 0.3, share * 2.0 ** -rng.integers(0, 30, size=wide), share)
        x = low.astype(np.float64) * (1 - share) + high.astype(np.float64) * share
        out[name] = np.clip(x.astype(low.dtype), low, high)
    return out


# -- the verdict ----------------------------------------------------------------------------------


def worst(outputs: list[Array], truth: list[Array], bound: Executed, graph: Graph, slack: Executed | None = None) -> tuple[int, int, float]:
    """(numbers compared, violations, largest error / bound). `slack`: how far `truth` itself may be off. An error is rounded down before it counts."""
    count = violations = 0
    ratio = 0.0
    for y, x, name in zip(outputs, truth, graph.outputs, strict=True):
        most = bound.bounds[name] if slack is None else np.nextafter(bound.bounds[name] + slack.bounds[name], np.inf)
        off = difference(y, x)
        broken = ~(np.nextafter(off, 0) <= most)  # NaN is a violation
        count, violations = count + y.size, violations + int(broken.sum())
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = max(ratio, float(np.where(off == 0, 0.0, off / most).max(initial=0)))
    return count, violations, ratio


def difference(y: Array, x: Array) -> Array:
    if x.dtype != object:
        return np.abs(y.astype(np.float64) - x)
    return np.vectorize(lambda a, b: float(abs(a - b)), otypes=[float])(fractions(y), x)


def all_ways(graph: Graph, rng: np.random.Generator, small: bool = False, full: bool = False) -> Iterator[tuple[str, Execution]]:
    """Executions of a graph, by name: in all batch sizes, with one thread and two; `full` in all pairs of them. `small`: in numpy too."""
    for batch, threads in product(BATCHES, (1, 2)) if full else zip(BATCHES, (1, 1, 2, 1, 2), strict=True):
        yield f"torch, {batch} at a time, {threads} threads", by_torch(graph, batch, threads)
    yield "torch, all at once", by_torch(graph)
    for threads in (1, 2) if full else (1,):
        other = by_onnxruntime(graph, threads)
        if other is not None:
            yield f"onnxruntime, {threads} threads", other
    if small:
        for fma in (False, True):
            yield f"numpy, random order{', fma' if fma else ''}", by_numpy(graph, rng, fma)
