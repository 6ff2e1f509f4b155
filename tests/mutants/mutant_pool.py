"""Correct triples to start from: planted networks, and small hand-made ones of every kind and corner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from mutant_rebuild import quotient
from mutant_triples import Triple, net_of, reduced

from lumpnet.ir import Graph, Node, Value
from lumpnet.ops import get
from lumpnet.testing import FAMILIES, planted

Make = Callable[[], Triple]
MADE: dict[str, Make] = {}


def made(make: Make) -> Make:
    MADE[make.__name__] = make
    return make


class Sketch:
    """A graph being written down; shapes are computed."""

    def __init__(self, dtype: str = "float32", **inputs: tuple[int | None, ...]):
        self.dtype, self.rng = dtype, np.random.default_rng(3)
        self.inputs = [Value(name, shape, dtype) for name, shape in inputs.items()]
        self.shapes: dict[str, Any] = dict(inputs)
        self.nodes: list[Node] = []
        self.tensors: dict[str, np.ndarray] = {}

    def __call__(self, name: str, kind: str, inputs: str, attrs: dict[str, Any] | None = None, shape: Any = None, **params: Any) -> str:
        keys = {}
        for role, value in params.items():
            keys[role] = value if isinstance(value, str) else f"{name}.{role.strip('_')}"
            if not isinstance(value, str):
                self.tensors[keys[role]] = np.array(value, self.dtype if not isinstance(value, np.ndarray) else value.dtype)
        keys = {role.strip("_"): key for role, key in keys.items()}
        stored = {role: self.tensors[key] for role, key in keys.items()}
        names = inputs.split()
        self.shapes[name] = shape or get(kind).infer([self.shapes[x] for x in names], attrs or {}, stored)
        self.nodes.append(Node(Value(name, self.shapes[name], self.dtype), kind, tuple(names), attrs or {}, keys))
        return name

    def numbers(self, *shape: int) -> np.ndarray:
        return (self.rng.integers(1, 32, size=shape) * self.rng.choice([-1, 1], size=shape) / 8).astype(self.dtype)

    def twins(self, out: int, *shape: int) -> np.ndarray:
        """Rows 0 and 1 equal, row 2 twice row 0, the last row zero."""
        w = self.numbers(out, *shape)
        w[1], w[2], w[-1] = w[0], 2 * w[0], 0
        return w

    def graph(self, *outputs: str) -> Graph:
        return Graph(tuple(self.inputs), tuple(self.nodes), outputs, self.tensors)


def conv(stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1, axes: int = 2) -> dict[str, Any]:
    return {"stride": [stride] * axes, "padding": [padding] * axes, "dilation": [dilation] * axes, "groups": groups}


@made
def sequence() -> Triple:
    """One-dimensional convolutions with stride and dilation: which taps meet the border."""
    s = Sketch(x=(None, 2, 7))
    s("a", "conv", "x", conv(2, 1, 1, axes=1), weight=s.twins(5, 2, 3), bias=[0.5, 0.5, 1, 3, -2])
    s("r", "leaky_relu", "a", {"slope": 0.25})
    s("b", "conv", "r", conv(2, 2, 2, axes=1), weight=s.numbers(3, 5, 2))
    s.tensors["b.weight"][:, 4] = 0
    s.tensors["b.weight"][:, 4, 1] = 1.5
    s("y", "reshape", "b", {"shape": [3 * int(s.shapes["b"][2])]})
    return reduced("sequence", s.graph("y", "b", "y"))


@made
def volume() -> Triple:
    s = Sketch(x=(None, 1, 2, 3, 2))
    s("a", "conv", "x", conv(padding=1, axes=3), weight=s.twins(4, 1, 2, 1, 2), bias=[1, 1, 2, 0.5])
    s("t", "relu", "a")
    s("m", "mean", "t", {"axes": [2, 4], "keepdim": False})
    s("p", "permute", "m", {"dims": [0, 2, 1]})
    s("y", "linear", "p", weight=s.numbers(2, 4), bias=[1, 2])
    return reduced("volume", s.graph("y"))


@made
def tokens() -> Triple:
    """Units on the last axis, moved and merged with positions, then pinned by softmax and an opaque call."""
    s = Sketch(x=(None, 2, 3))
    s("a", "linear", "x", weight=s.twins(4, 3), bias=[1, 1, 2, -3])
    s("g", "gelu", "a", {"approximate": "none"})
    s("p", "permute", "g", {"dims": [0, 2, 1]})
    s("q", "reshape", "p", {"shape": [8]})
    s("b", "linear", "q", weight=s.numbers(3, 8))
    s("s", "softmax", "b", {"axis": 1})
    call = {"target": "aten.layer_norm.default", "args": [{"input": 0}, [3], {"param": "0"}, None, 1e-05], "kwargs": {}, "output": None}
    s("y", "opaque", "s", call, (None, 3), _0=s.numbers(3))
    return reduced("tokens", s.graph("y"))


@made
def constants() -> Triple:
    """Stored factors and terms, identity, dropout, a gate with a constant side and a sum with a constant side."""
    s = Sketch(x=(None, 3))
    s("a", "linear", "x", weight=s.twins(5, 3), bias=[1, 1, 2, 0, 2])
    s("f", "mul_constant", "a", {"axis": 1}, factor=[2, 2, -1, 0, 4])
    s("t", "add_constant", "f", {"axis": 1}, term=[1, 1, 0.5, 0.25, -8])
    s("d", "dropout", "t", {"p": 0.5})
    s("k", "linear", "x", weight=np.zeros((5, 3), np.float32), bias=[1, 1, 1, 2, 3])
    s("n", "mul", "d k")
    s("c", "linear", "x", weight=np.zeros((5, 3), np.float32), bias=[1, 1, 0.5, 2, 3])
    s("u", "add", "c n")
    s("e", "add_constant", "u", {"axis": None}, term=0.5)
    s("i", "identity", "e")
    s("y", "linear", "i", weight=s.numbers(2, 5))
    return reduced("constants", s.graph("y", "x"))


@made
def left_over() -> Triple:
    """Rows that cancel, behind them functions of irrational constants: layers become stored numbers, and one was so from the start."""
    s = Sketch(x=(None, 2, 2, 2))
    s("a", "conv", "x", conv(), weight=s.twins(3, 2, 1, 1), bias=[1, 1, 2])
    s("m", "mean", "a", {"axes": [2, 3], "keepdim": True})
    s("k", "conv", "m", conv(), weight=[[[[1]], [[-1]], [[0]]]] * 3, bias=[1, 1, 2])
    s("g", "sigmoid", "k")
    s("f", "constant", "x", {"shape": [3, 2, 2], "axis": 1}, value=[1, 3, 1])
    s("t", "tanh", "f")
    s("u", "mul", "a g")
    s("v", "mul", "u t")
    s("y", "conv", "v", conv(), weight=s.numbers(2, 3, 1, 1), bias=[1, 2])
    return reduced("left_over", s.graph("y"))


@made
def rank_one() -> Triple:
    """Values with no axis but the batch: means over everything, sums, stored constants; an input that nothing reads."""
    s = Sketch(x=(None, 4), z=(None, 2))
    s("a", "linear", "x", weight=s.twins(4, 4), bias=[0, 0, 0, 1])
    s("m", "mean", "a", {"axes": [1], "keepdim": False})
    s("k", "mean", "x", {"axes": [1], "keepdim": False})
    s("v", "add", "m k")
    s("w", "mul_constant", "v", {"axis": None}, factor=1.5)
    s("t", "add_constant", "w", {"axis": None}, term=2.5)
    s("y", "relu", "t")
    return reduced("rank_one", s.graph("y"))


@made
def surds() -> Triple:
    """Batch norms whose constants are irrational, a ReLU that decides one's sign, slopes in rational and irrational ratio."""
    s = Sketch(x=(None, 2, 2, 2))
    w = s.twins(6, 2, 1, 1)
    w[3:] = 0
    s("a", "conv", "x", conv(), weight=w, bias=[1, 1, 2, 3, 3, 4])
    norm = {"weight": [1, 1, 2, -1, -2, 1], "bias": [0.5, 0.5, 0.5, 1, 1, 2], "mean": [1, 1, 2, 1, 1, 4], "var": [2, 2, 32, 3, 12, 5]}
    s("n", "batch_norm", "a", {"eps": 0.0}, **norm)
    s("r", "relu", "n")
    s("y", "conv", "r", conv(), weight=s.numbers(2, 6, 1, 1))
    return reduced("surds", s.graph("y"))


@made
def rounded() -> Triple:
    """Merged weights that no float32 holds: the quotient is rounded."""
    s = Sketch(x=(None, 3))
    w = s.numbers(6, 3)
    w[1], w[2], w[4] = w[0], w[0], 2 * w[3]
    w[5] = 0
    s("a", "linear", "x", weight=w, bias=[1, 1, 1, 0.5, 1, 1.25])
    s("r", "relu", "a")
    big = s.numbers(3, 6)
    big[0, 0], big[0, 1], big[1, 0], big[1, 5] = 2.0**24, 1.0, 2.0**25 + 4, 2.0**-30
    s("y", "linear", "r", weight=big, bias=[2.0**24, 1, 3])
    return reduced("rounded", s.graph("y"))


@made
def narrowed() -> Triple:
    """A float64 network whose float32 reduction rounds every weight."""
    s = Sketch("float64", x=(None, 2))
    w = s.rng.normal(size=(4, 2))
    w[1], w[3] = w[0], 0
    s("a", "linear", "x", weight=w, bias=np.array([0.1, 0.1, 0.2, 0.3]))
    s("t", "tanh", "a")
    s("y", "linear", "t", weight=s.rng.normal(size=(2, 4)))
    triple = reduced("narrowed", s.graph("y"))
    triple.h, triple.certificate["claim"]["rounding"] = quotient(triple.g, triple.lumpings, "float32")
    return triple


@made
def widened() -> Triple:
    s = Sketch(x=(None, 3))
    s("a", "linear", "x", weight=s.twins(5, 3), bias=[1, 1, 2, 0, 0.5])
    s("h", "sigmoid", "a")
    s("y", "linear", "h", weight=s.numbers(2, 5))
    return reduced("widened", s.graph("y"), "float64")


@made
def grouped() -> Triple:
    """Two groups of two channels that merge to one group of two: the lumping is written by hand."""
    s = Sketch(x=(None, 2, 3, 3))
    first = s.numbers(4, 2, 1, 1)
    first[2:] = 2 * first[:2]
    s("a", "conv", "x", conv(), weight=first)
    taps = s.numbers(4, 2, 2, 2)
    taps[2:] = taps[:2] / 2
    s("b", "conv", "a", conv(padding=1, groups=2), weight=taps, bias=[1, 2, 1, 2])
    s("r", "relu", "b")
    s("y", "conv", "r", conv(), weight=s.numbers(2, 4, 1, 1))
    graph = s.graph("y")

    def lump(scale: dict[str, str]) -> dict[str, Any]:
        return {"axis": 1, "columns": 2, "class": [0, 1, 0, 1], "representative": [0, 1], "scale": scale, "offset": {}}

    triple = reduced("grouped", graph)
    triple.certificate["lumpings"] |= {"a": lump({"2": "2", "3": "2"}), "b": lump({}), "r": lump({})}
    triple.h, triple.certificate["claim"]["rounding"] = quotient(net_of(graph), triple.lumpings)
    return triple


@made
def pools() -> Triple:
    """Every pool, with offsets and constants where they pass."""
    s = Sketch(x=(None, 2, 5, 5))
    s("a", "conv", "x", conv(padding=1), weight=s.twins(5, 2, 2, 2), bias=[1, 3, 5, 0, 0])
    window = {"kernel": [2, 2], "stride": [2, 2], "padding": [1, 1], "ceil_mode": True}
    s("m", "max_pool", "a", window | {"dilation": [1, 1]})
    s("v", "avg_pool", "m", window | {"padding": [0, 0], "ceil_mode": False, "count_include_pad": True, "divisor_override": None})
    s("w", "avg_pool", "m", window | {"count_include_pad": True, "divisor_override": None, "kernel": [3, 3]})
    s("f", "adaptive_avg_pool", "v", {"output_size": [1, 1]})
    s("q", "adaptive_max_pool", "w", {"output_size": [1, 1]})
    s("c", "concat", "f q", {"axis": 1})
    s("z", "reshape", "c", {"shape": [10]})
    s("y", "linear", "z", weight=s.numbers(2, 10), bias=[1, 2])
    return reduced("pools", s.graph("y"))


@made
def padded() -> Triple:
    """A constant channel that leaves although its reader pads: only the centre tap reads it."""
    s = Sketch(x=(None, 1, 3, 4))
    s("a", "conv", "x", conv(), weight=s.twins(4, 1, 1, 1), bias=[1, 1, 2, 3])
    weight = s.numbers(2, 4, 3, 3)
    weight[:, 3] = 0
    weight[:, 3, 1, 1] = 2
    s("y", "conv", "a", conv(padding=1), weight=weight)
    return reduced("padded", s.graph("y"))


@made
def averaged() -> Triple:
    """A constant and an offset that pass an average, since its windows weigh one."""
    s = Sketch(x=(None, 1, 4, 4))
    s("a", "conv", "x", conv(), weight=s.twins(4, 1, 1, 1), bias=[1, 4, 2, 3])
    window = {"kernel": [2, 2], "stride": [2, 2], "padding": [0, 0], "ceil_mode": False, "count_include_pad": True, "divisor_override": None}
    s("v", "avg_pool", "a", window)
    s("y", "conv", "v", conv(), weight=s.numbers(2, 4, 1, 1))
    return reduced("averaged", s.graph("y"))


@made
def positions() -> Triple:
    """Two sequences joined on the position axis, one value used twice."""
    s = Sketch(x=(None, 2, 3), z=(None, 1, 3))
    w = s.twins(4, 3)
    s("a", "linear", "x", weight=w, bias=[1, 1, 2, 0.5])
    s("b", "linear", "z", weight=w.copy(), bias=[1, 1, 2, 0.5])
    s("c", "concat", "a b a", {"axis": 1})
    s("r", "hardtanh", "c", {"min": -1.0, "max": 1.0})
    s("y", "linear", "r", weight=s.numbers(2, 4))
    triple = reduced("positions", s.graph("y"))
    lumping = {"axis": 2, "columns": 2, "class": [0, 0, 1, -1], "representative": [0, 2], "scale": {}, "offset": {"3": "1/2"}}
    triple.certificate["lumpings"] |= dict.fromkeys("abcr", lumping)
    triple.h, triple.certificate["claim"]["rounding"] = quotient(triple.g, triple.lumpings)
    return triple


@made
def squeeze() -> Triple:
    """A gate that is broadcast over positions, ReLU6 and SiLU, ghosts of two units."""
    s = Sketch(x=(None, 2, 2, 2))
    s("a", "conv", "x", conv(), weight=s.twins(4, 2, 1, 1), bias=[1, 1, 2, 0])
    s("h", "silu", "a")
    s("m", "mean", "h", {"axes": [2, 3], "keepdim": True})
    s("e", "conv", "m", conv(), weight=s.twins(4, 4, 1, 1), bias=[0, 0, 0, 3])
    s("k", "hardtanh", "e", {"min": 0.0, "max": 6.0})
    s("v", "mul", "h k")
    last = s.numbers(2, 4, 1, 1)
    last[:, 1] = -last[:, 0]
    s("y", "conv", "v", conv(), weight=last)
    return reduced("squeeze", s.graph("y"))


@made
def attentive() -> Triple:
    """Two heads that attend alike under other scales, a third of its own; constant keys and values; then the causal kind with one key head."""
    s = Sketch(x=(None, 3, 3))
    q, k, v = s.numbers(6, 3), s.numbers(6, 3), s.numbers(3, 3)
    q[2:4], k[2:4], v[1] = 2 * q[:2], k[:2] / 2, 2 * v[0]
    s("q", "linear", "x", weight=q, bias=[1, 0, 2, 0, 1, 3])
    s("k", "linear", "x", weight=k, bias=[1, 2, 3, 4, 0, 1])
    s("v", "linear", "x", weight=v, bias=[1, 2, 3])
    s("a", "attention", "q k v", {"heads": 3, "kv_heads": 3, "scale": 0.5, "causal": False})
    s("b", "linear", "a", weight=s.twins(4, 3), bias=[0, 0, 0, 2])
    s("c", "linear", "x", weight=np.concatenate([q[:1], 0 * q[:1]]), bias=[0, 2])
    s("d", "attention", "b c c", {"heads": 2, "kv_heads": 1, "scale": 0.25, "causal": True})
    s("y", "linear", "d", weight=s.numbers(2, 4))
    return reduced("attentive", s.graph("y"))


@made
def normalised() -> Triple:
    """Normalisations, a product of matrices and a quotient of values: equality and nothing else, between layers that reduce."""
    s = Sketch(x=(None, 3, 3))
    s("a", "linear", "x", weight=s.twins(4, 3), bias=[1, 1, 2, 3])
    s("r", "relu", "a")
    s("b", "linear", "r", weight=s.numbers(3, 4))
    s("l", "layer_norm", "b", {"dims": 1, "eps": 0.5}, weight=[1, 2, 3], bias=[1, 0, 2])
    s("m", "rms_norm", "l", {"dims": 2, "eps": 0.25}, weight=s.numbers(3, 3))
    s("i", "instance_norm", "m", {"eps": 0.125}, weight=[1, 2, 1])
    s("g", "group_norm", "i", {"groups": 3, "eps": 1.0}, bias=[0, 1, 2])
    s("p", "matmul", "g x")
    s("o", "div", "p b")
    s("h", "linear", "o", weight=s.twins(4, 3))
    s("t", "tanh", "h")
    s("y", "linear", "t", weight=s.numbers(2, 4))
    return reduced("normalised", s.graph("y"))


def pool(seed: int, planted_each: int = 4) -> list[Triple]:
    """The hand-made triples and some planted ones of every family."""
    rng = np.random.default_rng([seed, 77])
    out = [make() for make in MADE.values()]
    for family in sorted(FAMILIES):
        for _ in range(planted_each):
            at = int(rng.integers(1 << 30))
            out.append(reduced(f"{family} {at}", planted(at, family, int(rng.integers(3, 7))).graph))
    return out
