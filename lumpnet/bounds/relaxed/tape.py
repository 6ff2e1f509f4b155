"""A graph as a tape of few primitives on flat values: affine maps, relu, smooth curves, products, and what only has an interval.

Everything that is piecewise linear is said with relu and affine maps:
`max(a, b) = b + relu(a - b)`, `clip(x, m, M) = m + relu(x - m) - relu(x - M)`,
`leaky(x) = s x + (1 - s) relu(x)`, `|x| = 2 relu(x) - x`. So a relaxation of relu serves all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lumpnet.bounds.kinds.activations import Gated
from lumpnet.bounds.kinds.means import Mean
from lumpnet.bounds.kinds.norm import BatchNorm
from lumpnet.bounds.outward import Range, add_down, add_up, point, times
from lumpnet.bounds.registry import RULES
from lumpnet.bounds.relaxed.devices import placed
from lumpnet.bounds.relaxed.maps import Dense, Diagonal, Function, Gather, Map
from lumpnet.errors import NoBound
from lumpnet.ir import Graph
from lumpnet.lower.torch.kinds import pool as _pool  # noqa: F401  (fills the registry)
from lumpnet.lower.torch.registry import RUNNERS
from lumpnet.ops import Site, get
from lumpnet.ops.sites import sites

_U = 2.0**-53


@dataclass(eq=False)
class Step:
    """One value. `kind` is input, affine, relu, curve, product, softmax or other; an affine one is `sum maps[k](parents[k]) + bias`, `off` its bias's error.

    `shape` is without batch; `origin` is the node of the graph it belongs to, and its number among that node's steps.
    """

    kind: str
    parents: tuple[int, ...]
    shape: tuple[int, ...]
    origin: tuple[str, int]
    site: Site | None = None
    maps: tuple[Map, ...] = ()
    bias: Tensor = field(default_factory=lambda: torch.zeros(0))
    off: Tensor = field(default_factory=lambda: torch.zeros(0))

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(eq=False)
class Tape:
    """`values[name]` is the step that holds a value of the graph."""

    graph: Graph
    steps: list[Step]
    values: dict[str, int]


Compiler = Callable[["_Writer", Site, Sequence[int]], int]
COMPILERS: dict[str, Compiler] = {}


def compiles(*kinds: str) -> Callable[[Compiler], Compiler]:
    def register(compiler: Compiler) -> Compiler:
        COMPILERS.update(dict.fromkeys(kinds, compiler))
        return compiler

    return register


def tape(graph: Graph) -> Tape:
    """Raises `NoBound` for values without a batch axis."""
    writer = _Writer(Tape(graph, [], {}))
    for value in graph.inputs:
        writer.origin = value.name
        writer.tape.values[value.name] = writer.add("input", (), _shape(value.shape))
    for site in sites(graph):
        if not all(s and s[0] is None for s in (*site.in_shapes, site.shape)):
            raise NoBound(site.node.name, "it does not depend on the batch", "values with a batch axis")
        writer.origin, writer.count, writer.site = site.node.name, 0, site
        writer.tape.values[site.node.name] = COMPILERS.get(site.node.kind, _other)(writer, site, [writer.tape.values[name] for name in site.node.inputs])
    return writer.tape


class _Writer:
    def __init__(self, tape: Tape):
        self.tape, self.origin, self.count = tape, "", 0
        self.site: Site | None = None

    def add(self, kind: str, parents: Sequence[int], shape: tuple[int, ...], **rest: Any) -> int:
        self.tape.steps.append(Step(kind, tuple(parents), shape, (self.origin, self.count), site=self.site, **rest))
        self.count += 1
        return len(self.tape.steps) - 1

    def affine(self, terms: Sequence[tuple[int, Map]], shape: tuple[int, ...], bias: Any = 0.0, off: Any = 0.0) -> int:
        n = math.prod(shape)
        whole, error = (placed(np.array(np.broadcast_to(np.asarray(b, dtype=np.float64), shape)).reshape(n)) for b in (bias, off))
        return self.add("affine", [p for p, _ in terms], shape, maps=tuple(m for _, m in terms), bias=whole, off=error)

    def relu(self, x: int) -> int:
        return self.add("relu", (x,), self.shape(x))

    def shape(self, x: int) -> tuple[int, ...]:
        return self.tape.steps[x].shape

    def same(self, x: int) -> Gather:
        return _same(self.tape.steps[x].size)


def _shape(shape: Sequence[int | None]) -> tuple[int, ...]:
    return tuple(int(d or 0) for d in shape[1:])


def _same(n: int) -> Gather:
    return Gather(torch.arange(n), n)


def _other(writer: _Writer, site: Site, xs: Sequence[int]) -> int:
    return writer.add("other", xs, _shape(site.shape))


@compiles("identity", "dropout")
def _identity(writer: _Writer, site: Site, xs: Sequence[int]) -> int:
    return xs[0]


@compiles("reshape", "permute", "index_select", "upsample", "concat", "pad")
def _moves(writer: _Writer, site: Site, xs: Sequence[int]) -> int:
    """Where every entry comes from: the operator, run on numbers of entries from 1; 0 is nowhere."""
    bias: Any = 0.0
    if site.node.kind == "pad" and site.attrs["mode"] == "constant":
        bias = get("pad").run(site, [np.zeros((1, *writer.shape(xs[0])))])[0]
        site = replace(site, node=replace(site.node, attrs={**site.attrs, "value": 0.0}))
    sizes = [math.prod(writer.shape(x)) for x in xs]
    starts = np.cumsum([1, *sizes])
    numbers = [np.arange(a, a + n, dtype=np.float64).reshape(1, *writer.shape(x)) for a, n, x in zip(starts, sizes, xs, strict=False)]
    found = placed(np.rint(get(site.node.kind).run(site, numbers)[0]).astype(np.int64).reshape(-1))
    terms = []
    for x, a, n in zip(xs, starts.tolist(), sizes, strict=False):
        terms.append((x, Gather(torch.where((found >= a) & (found < a + n), found - a, -1), n)))
    return writer.affine(terms, _shape(site.shape), bias)


@compiles("constant")
def _constant(writer: _Writer, site: Site, xs: Sequence[int]) -> int:
    return writer.affine([], _shape(site.shape), get("constant").run(site, [np.zeros((1, *writer.shape(x))) for x in xs])[0])


@compiles("linear")
def _linear(writer: _Writer, site: Site, xs: Sequence[int]) -> int:
    weight = _float(site.params["weight"])
    if len(site.shape) == 2:
        operator: Map = Dense(weight)
    else:
        operator = Function(lambda x, w: x @ w.T, writer.shape(xs[0]), _shape(site.shape), max(weight.shape), ("linear",), weight)  # type: ignore[union-attr]
    return writer.affine([(xs[0], operator)], _shape(site.shape), site.params.get("bias", 0.0))


@compiles("conv", "conv_transpose")
def _conv(writer: _Writer, site: Site, xs: Sequence[int]) -> int:
    weight, attrs, runner, shape = _float(site.params["weight"]), dict(site.attrs), RUNNERS[site.node.kind], _shape(site.shape)
    into, taps = writer.shape(xs[0])[0], math.prod(weight.shape[2:])
    terms, what = max(into, shape[0]) * taps, (site.node.kind, attrs)
    operator = Function(lambda x, w: runner([x], {"weight": w}, attrs), writer.shape(xs[0]), shape, terms, what, weight, turned=_turned(attrs, weight.ndim - 2))  # type: ignore[dict-item]
    bias = site.params.get("bias")
    return writer.affine([(xs[0], operator)], shape, 0.0 if bias is None else bias.astype(np.float64).reshape(-1, *[1] * (len(shape) - 1)))


def _turned(attrs: dict[str, Any], dimensions: int) -> Callable[[Tensor, Tensor, Tensor | None], Tensor]:
    """What derives a convolution, or a transposed one, by its operand."""
    sides = [[int(n) for n in np.broadcast_to(attrs.get(name, 0), dimensions)] for name in ("stride", "padding", "dilation", "output_padding")]
    stride, padding, dilation, more = sides

    def turned(a: Tensor, like: Tensor, weight: Tensor | None) -> Tensor:
        whole = torch.ops.aten.convolution_backward(
            a, like, weight, None, stride, padding, dilation, "output_padding" in attrs, more, attrs["groups"], [True, False, False]
        )
        return whole[0]  # type: ignore[no-any-return]

    return turned


@compiles("mean", "sum", "avg_pool", "adaptive_avg_pool")
def _average(writer: _Writer, site: Site, xs: Sequence[int]) -> int:
    rule, runner, attrs = RULES[site.node.kind], RUNNERS[site.node.kind], dict(site.attrs)
    assert isinstance(rule, Mean)
    if any(2 * padding > size for size, padding in zip(attrs.get("kernel", ()), attrs.get("padding", ()), strict=True)):
        return _other(writer, site, xs)  # torch runs none of these
    terms, shape = max(rule.terms(site), rule.read(site)) + rule.divisions + 1, _shape(site.shape)
    return writer.affine([(xs[0], Function(lambda x, _: runner([x], {}, attrs), writer.shape(xs[0]), shape, terms, (site.node.kind, attrs)))], shape)


@compiles("batch_norm")
def _batch_norm(writer: _Writer, site: Site, xs: Sequence[int]) -> int:
    rule, shape = RULES["batch_norm"], _shape(site.shape)
    assert isinstance(rule, BatchNorm)
    factor = rule.factor(site)
    mean, beta = rule.along(site, "mean", 0), rule.along(site, "bias", 0)
    moved = times(point(-mean), factor)
    weight, rel = _middle(factor, shape)
    bias, off = _enclosed(Range(add_down(moved.lo, beta), add_up(moved.hi, beta)))
    return writer.affine([(xs[0], Diagonal(placed(weight), rel))], shape, bias, off)


@compiles("add")
def _add(writer: _Writer, site: Site, xs: Sequence[int]) -> int:
    return writer.affine([(x, _broadcast(writer.shape(x), _shape(site.shape))) for x in xs], _shape(site.shape))


def _broadcast(shape: tuple[int, ...], to: tuple[int, ...]) -> Gather:
    n = math.prod(shape)
    index = np.broadcast_to(np.arange(n).reshape((1,) * (len(to) - len(shape)) + shape), to)
    return Gather(placed(np.array(index).reshape(-1)), n)


@compiles("add_constant", "mul_constant", "div_constant")
def _with_constant(writer: _Writer, site: Site, xs: Sequence[int]) -> int:
    op: Any = get(site.node.kind)
    shape, (x,) = _shape(site.shape), xs
    number = np.broadcast_to(op.aligned(site).astype(np.float64)[0] if op.aligned(site).ndim else op.aligned(site).astype(np.float64), shape).reshape(-1)
    match site.node.kind:
        case "add_constant":
            return writer.affine([(x, writer.same(x))], shape, number.reshape(shape))
        case "mul_constant":
            return writer.affine([(x, Diagonal(placed(number.copy())))], shape)
    return writer.affine([(x, Diagonal(placed(1.0 / number), 2.0))], shape)


@compiles("relu")
def _relu(writer: _Writer, site: Site, xs: Sequence[int]) -> int:
    return writer.relu(xs[0])


@compiles("leaky_relu", "prelu")
def _leaky(writer: _Writer, site: Site, xs: Sequence[int]) -> int:
    shape, (x,) = _shape(site.shape), xs
    stored = site.params["slope"].astype(np.float64).reshape(-1, *[1] * (len(shape) - 1)) if site.node.kind == "prelu" else float(site.attrs["slope"])
    slope = placed(np.broadcast_to(np.asarray(stored), shape).reshape(-1).copy())
    return writer.affine([(x, Diagonal(slope)), (writer.relu(x), Diagonal(1 - slope, 2.0))], shape)


@compiles("abs")
def _abs(writer: _Writer, site: Site, xs: Sequence[int]) -> int:
    ones = torch.ones(math.prod(_shape(site.shape)), dtype=torch.float64)
    return writer.affine([(xs[0], Diagonal(-ones)), (writer.relu(xs[0]), Diagonal(2 * ones))], _shape(site.shape))


@compiles("hardtanh")
def _hardtanh(writer: _Writer, site: Site, xs: Sequence[int]) -> int:
    low, high, shape, (x,) = float(site.attrs["min"]), float(site.attrs["max"]), _shape(site.shape), xs
    if not low <= high:
        return _other(writer, site, xs)
    over, beyond = (writer.relu(writer.affine([(x, writer.same(x))], shape, -limit)) for limit in (low, high))
    minus = Diagonal(-torch.ones(math.prod(shape), dtype=torch.float64))
    return writer.affine([(over, writer.same(over)), (beyond, minus)], shape, low)


@compiles("max_pool", "adaptive_max_pool", "amax")
def _maximum(writer: _Writer, site: Site, xs: Sequence[int]) -> int:
    return _largest(writer, xs[0], _windows(site, writer.shape(xs[0])), _shape(site.shape))


@compiles("amin")
def _minimum(writer: _Writer, site: Site, xs: Sequence[int]) -> int:
    (x,), shape = xs, _shape(site.shape)
    turned = writer.affine([(x, Diagonal(-torch.ones(math.prod(writer.shape(x)), dtype=torch.float64)))], writer.shape(x))
    most = _largest(writer, turned, _windows(site, writer.shape(x)), shape)
    return writer.affine([(most, Diagonal(-torch.ones(math.prod(shape), dtype=torch.float64)))], shape)


def _windows(site: Site, shape: tuple[int, ...]) -> np.ndarray:
    """(entries of the output, most entries of a window): numbers of entries of the operand; short windows repeat one of theirs."""
    op: Any = get(site.node.kind)
    numbers = np.arange(math.prod(shape)).reshape(1, *shape)
    found: list[np.ndarray] = []
    match site.node.kind:
        case "max_pool":
            found = [view.reshape(-1) for view in op.views(site, numbers, -1)]
        case "adaptive_max_pool":
            regions = []
            for at in np.ndindex(*site.attrs["output_size"]):
                cut = tuple(slice(i * n // o, -(-(i + 1) * n // o)) for i, n, o in zip(at, shape[1:], site.attrs["output_size"], strict=True))
                where: Any = (0, slice(None), *cut)
                regions.append(numbers[where].reshape(shape[0], -1))
            widest = max(r.shape[1] for r in regions)
            padded = [np.pad(r, ((0, 0), (0, widest - r.shape[1])), constant_values=-1) for r in regions]
            return _filled(np.stack(padded, axis=1).reshape(-1, widest))
        case _:
            axes = [a - 1 for a in site.attrs["axes"]]
            rest = [a for a in range(len(shape)) if a not in axes]
            return np.asarray(numbers[0].transpose(*rest, *axes).reshape(math.prod(shape[a] for a in rest), -1))
    return _filled(np.stack(found, axis=1))


def _filled(index: np.ndarray) -> np.ndarray:
    real = index.max(axis=1)
    if (real < 0).any():
        raise NoBound("maximum", "a window holds padding only", "windows with an entry")
    return np.where(index < 0, real[:, None], index)


def _largest(writer: _Writer, x: int, index: np.ndarray, shape: tuple[int, ...]) -> int:
    """Level by level, `max(a, b) = b + relu(a - b)`; an entry without a partner stays. What is between has the shape of the output and one axis more."""
    at = placed(index.copy())
    n = len(at)
    while at.shape[1] > 1:
        size, half = math.prod(writer.shape(x)), at.shape[1] // 2
        one, two, left = at[:, :half].reshape(-1), at[:, half : 2 * half], at[:, 2 * half :]
        minus = Gather(two.reshape(-1), size, -torch.ones(n * half, dtype=torch.float64))
        raised = writer.relu(writer.affine([(x, Gather(one, size)), (x, minus)], (*shape, half)))
        kept = torch.cat([two, left], 1)
        back = torch.cat([torch.arange(n * half).reshape(n, half), torch.full(left.shape, -1)], 1)
        x = writer.affine([(x, Gather(kept.reshape(-1), size)), (raised, Gather(back.reshape(-1), n * half))], (*shape, kept.shape[1]))
        at = torch.arange(kept.numel()).reshape(kept.shape)
    return writer.affine([(x, Gather(at[:, 0], math.prod(writer.shape(x))))], shape)


@compiles("sigmoid", "tanh", "silu", "gelu")
def _curve(writer: _Writer, site: Site, xs: Sequence[int]) -> int:
    return writer.add("curve", xs, _shape(site.shape))


@compiles("mul")
def _mul(writer: _Writer, site: Site, xs: Sequence[int]) -> int:
    shape = _shape(site.shape)
    wide = [x if writer.shape(x) == shape else writer.affine([(x, _broadcast(writer.shape(x), shape))], shape) for x in xs]
    return writer.add("product", wide, shape)


@compiles("softmax")
def _softmax(writer: _Writer, site: Site, xs: Sequence[int]) -> int:
    return writer.add("softmax", xs, _shape(site.shape))


def _float(weight: np.ndarray) -> Tensor:
    return placed(np.ascontiguousarray(weight, dtype=np.float64))


def _enclosed(x: Range) -> tuple[np.ndarray, np.ndarray]:
    """A float in the range, and how far the range reaches from it."""
    middle = np.clip(x.lo / 2 + x.hi / 2, x.lo, x.hi)
    return middle, np.maximum(add_up(x.hi, -middle), add_up(middle, -x.lo))


def _middle(x: Range, shape: tuple[int, ...]) -> tuple[np.ndarray, float]:
    """The same, with the reach as a multiple of u times the number. Raises `NoBound` where the number is nearly 0 and not 0."""
    middle, off = _enclosed(x)
    if ((middle == 0) & (off > 0)).any():
        raise NoBound("batch_norm", "a factor that is nearly 0", "factors that are normal numbers")
    rel = float(np.max(np.divide(off, np.abs(middle) * _U, out=np.zeros_like(off), where=middle != 0), initial=0))
    return np.array(np.broadcast_to(middle, shape)).reshape(-1), 1.01 * rel + 1


def curve_of(site: Site) -> tuple[Callable[[np.ndarray], np.ndarray], str]:
    """The function of a smooth step in numpy, and its name."""
    from lumpnet.bounds import functions

    if isinstance(RULES[site.node.kind], Gated):
        name = "gelu_tanh" if site.attrs.get("approximate") == "tanh" else site.node.kind
        return functions.GATED[name][0], name
    return getattr(functions, site.node.kind), site.node.kind
