"""What a network file computes, exactly: integers over one denominator an array, in this file's own words.

Functions without rational values are replaced by stand-ins that keep the laws a
proof may use and no other: odd ones by an odd polynomial, sigmoid by one with
f(-u) = 1 - f(u), GELU and SiLU by polynomials with f(0) = 0, softmax, normalisations,
quotients and opaque calls by polynomials that mix everything. The square root of a batch norm is
`outer * rho(core)`, with v = outer^2 * core and rho(core) within 2^-90 of the root:
ratios of roots that are rational stay what they are. A proof never depends on
more, so two networks that differ here are not equal.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
from mutant_triples import Json, Net, compact

POINTS = 24


class Undefined(Exception):
    """The network has no value here (a window without elements)."""


class Exact:
    """The array `ints / den`, ints of Python integers."""

    __slots__ = ("den", "ints")

    def __init__(self, ints: np.ndarray, den: int = 1):
        self.ints, self.den = ints, den

    def lowest(self) -> Exact:
        common = self.den
        for value in self.ints.flat:
            if common == 1:
                return self
            common = math.gcd(common, value)
        return Exact(self.ints // common, self.den // common) if self.ints.size else Exact(self.ints)

    def times(self, other: Exact) -> Exact:
        return Exact(self.ints * other.ints, self.den * other.den)

    def plus(self, other: Exact) -> Exact:
        den = math.lcm(self.den, other.den)
        return Exact(self.ints * (den // self.den) + other.ints * (den // other.den), den)

    def shaped(self, *shape: int) -> Exact:
        return Exact(self.ints.reshape(shape), self.den)

    def same(self, other: Exact) -> bool:
        return self.ints.shape == other.ints.shape and bool((self.ints * other.den == other.ints * self.den).all())


def exactly(values: np.ndarray | Sequence[Any]) -> Exact:
    """Floats or fractions as they are."""
    array = np.asarray(values)
    pairs = [v.as_integer_ratio() for v in array.reshape(-1).tolist()]
    den = math.lcm(*(q for _, q in pairs)) if pairs else 1
    ints = np.empty(array.shape, dtype=object)
    ints.reshape(-1)[:] = [p * (den // q) for p, q in pairs]
    return Exact(ints, den)


class Roots:
    """Square roots, one stand-in for each class of numbers up to rational squares."""

    def __init__(self) -> None:
        self.cores: list[Fraction] = [Fraction(1)]
        self.known: dict[Fraction, Fraction] = {}

    def __call__(self, v: Fraction) -> Fraction:
        if v not in self.known:
            self.known[v] = self._root(v)
        return self.known[v]

    def _root(self, v: Fraction) -> Fraction:
        for core in self.cores:
            q = v / core
            p, r = math.isqrt(q.numerator), math.isqrt(q.denominator)
            if p * p == q.numerator and r * r == q.denominator:
                return Fraction(p, r) * (self._near(core) if core != 1 else 1)
        self.cores.append(v)
        return self._near(v)

    @staticmethod
    def _near(v: Fraction) -> Fraction:
        shift = 180 + 2 * max(0, v.denominator.bit_length() - v.numerator.bit_length())
        return Fraction(math.isqrt((v.numerator << shift) // v.denominator), 1 << shift // 2)


def points(net: Net, count: int = POINTS) -> dict[str, Exact]:
    """Random rational inputs: small halves, zeros, single large and tiny entries. The same for the same input shapes."""
    out = {}
    for k, value in enumerate(net.graph["inputs"]):
        shape = (count, *value["shape"][1:])
        rng = np.random.default_rng([k, *(int(n) for n in value["shape"][1:])])
        ints = rng.integers(-16, 17, size=shape) << 16
        large = rng.random(shape) < 0.1
        ints = np.where(large, ints << rng.integers(0, 14, size=shape), ints)
        ints = np.where(rng.random(shape) < 0.1, ints >> 10, ints)
        ints = np.where(rng.random(shape) < 0.1, 0, ints)
        if count:
            ints[0] = 0
        tables = [net.params(n)["weight"] for n in net.nodes if n["kind"] == "embedding" and value["name"] in n["inputs"]]
        if tables:  # every integer that can be looked up
            ints = (ints % min(len(t) for t in tables)) << 17
        out[value["name"]] = Exact(ints.astype(object), 1 << 17)
    return out


def outputs(net: Net, roots: Roots, params: dict[str, dict[str, Exact]] | None = None, count: int = POINTS, on: Net | None = None) -> list[Exact]:
    """The outputs on `points` of the network, or of `on`; `params` replaces stored parameters of some nodes. Raises `Undefined`."""
    values = points(on or net, count)
    for node in net.nodes:
        own = {role: exactly(t) for role, t in net.params(node).items() if t.dtype.kind == "f" and node["kind"] != "opaque"}
        own |= (params or {}).get(node["name"], {})
        raw = net.params(node) if node["kind"] == "opaque" else {}
        values[node["name"]] = _apply(node, [values[x] for x in node["inputs"]], own, roots, raw).lowest()
    return [values[name] for name in net.graph["outputs"]]


def _apply(node: Json, ins: list[Exact], p: dict[str, Exact], roots: Roots, raw: dict[str, np.ndarray]) -> Exact:
    x, a = ins[0] if ins else Exact(np.zeros((1,), object)), node["attrs"]
    match node["kind"]:
        case "linear":
            return _shift(Exact(_dot(x.ints, p["weight"].ints), x.den * p["weight"].den), p.get("bias"), x.ints.ndim - 1)
        case "conv":
            return _shift(_conv(x, p["weight"], a), p.get("bias"), 1)
        case "conv_transpose":
            return _shift(_conv_transpose(x, p["weight"], a), p.get("bias"), 1)
        case "embedding":
            index = np.asarray(x.ints // x.den, dtype=np.int64)
            return Exact(p["weight"].ints[index], p["weight"].den)
        case "batch_norm":
            return _batch_norm(x, p, a, roots)
        case "identity" | "dropout":
            return x
        case "relu":
            return Exact(np.maximum(x.ints, 0), x.den)
        case "leaky_relu":
            slope = Fraction(a["slope"])
            return Exact(np.where(x.ints < 0, x.ints * slope.numerator, x.ints * slope.denominator), x.den * slope.denominator)
        case "hardtanh":
            low, high = Fraction(a["min"]), Fraction(a["max"])
            den = math.lcm(x.den, low.denominator, high.denominator)
            return Exact(np.minimum(np.maximum(x.ints * (den // x.den), int(low * den)), int(high * den)), den)
        case "tanh":
            return _polynomial(x, abs(x.ints), 1, 1)
        case "sigmoid":
            return _polynomial(x, abs(x.ints), 1, 3).times(_number(Fraction(1, 4))).plus(_number(Fraction(1, 2)))
        case "silu":
            return _polynomial(x, x.ints, 1, -3)
        case "gelu":
            return _polynomial(x, x.ints, 1, 1 if a["approximate"] == "none" else 2)
        case "add":
            return x.plus(ins[1])
        case "mul":
            return x.times(ins[1])
        case "mul_constant":
            return x.times(_along(p["factor"], a["axis"], x.ints.ndim))
        case "div_constant":
            return x.times(_along(_inverse(p["divisor"]), a["axis"], x.ints.ndim))
        case "add_constant":
            return x.plus(_along(p["term"], a["axis"], x.ints.ndim))
        case "constant":
            stored = _along(p["value"], a["axis"], len(a["shape"]) + 1)
            return Exact(np.broadcast_to(stored.ints, (len(x.ints), *a["shape"])), stored.den)
        case "concat":
            den = math.lcm(*(i.den for i in ins))
            return Exact(np.concatenate([i.ints * (den // i.den) for i in ins], a["axis"]), den)
        case "reshape":
            return x.shaped(len(x.ints), *a["shape"])
        case "permute":
            return Exact(x.ints.transpose(a["dims"]), x.den)
        case "index_select":
            return Exact(x.ints[(*[slice(None)] * a["axis"], a["index"])], x.den)
        case "max_pool":
            return _max_pool(x, a)
        case "avg_pool":
            return _avg_pool(x, a)
        case "adaptive_avg_pool" | "adaptive_max_pool":
            return _adaptive(x, a["output_size"], node["kind"])
        case "mean":
            total = x.ints.sum(axis=tuple(a["axes"]), keepdims=a["keepdim"])
            return Exact(np.asarray(total, dtype=object), x.den * math.prod(x.ints.shape[k] for k in a["axes"]))
        case "sum":
            return Exact(np.asarray(x.ints.sum(axis=tuple(a["axes"]), keepdims=a["keepdim"]), dtype=object), x.den)
        case "amax":
            return Exact(np.asarray(x.ints.max(axis=tuple(a["axes"]), keepdims=a["keepdim"]), dtype=object), x.den)
        case "amin":
            return Exact(np.asarray(x.ints.min(axis=tuple(a["axes"]), keepdims=a["keepdim"]), dtype=object), x.den)
        case "upsample":
            out = x.ints
            for k, times in enumerate(a["scales"]):
                out = out[(*[slice(None)] * (k + 2), [i // times for i in range(out.shape[k + 2] * times)])]
            return Exact(out, x.den)
        case "pad":
            return _pad(x, a)
        case "prelu":
            slope = _along(p["slope"], 1, x.ints.ndim) if p["slope"].ints.size > 1 else p["slope"].shaped()
            return Exact(np.where(x.ints < 0, x.ints * slope.ints, x.ints * slope.den), x.den * slope.den)
        case "softmax":
            count = x.ints.shape[a["axis"]]
            away = Exact(x.ints * count - x.ints.sum(axis=a["axis"], keepdims=True), x.den * count)  # what is added to all entries cancels
            return _polynomial(away, away.ints, 1 + a["axis"], 1).plus(_number(Fraction(1, count)))
        case "rnn" | "lstm" | "gru":
            return _recurrent(node["kind"], x, a, p)
        case "attention":
            return _attention(ins, a)
        case "layer_norm" | "rms_norm" | "group_norm" | "instance_norm":
            return _normalised(node["kind"], x, a, p)
        case "matmul":
            return Exact(np.asarray(np.matmul(x.ints, ins[1].ints), dtype=object), x.den * ins[1].den)
        case "div":
            y = ins[1]
            return x.times(_polynomial(y, y.ints, 1, 3).plus(_number(Fraction(7))))
        case "opaque":
            return _opaque(node, ins, raw)
    if node["kind"] in FUNCTIONS:
        return _each(x, lambda c: FUNCTIONS[node["kind"]](c, a))
    raise Undefined(f"no meaning for {node['kind']}")


def _tanh(x: Exact) -> Exact:
    return _polynomial(x, abs(x.ints), 1, 1)


def _sigmoid(x: Exact) -> Exact:
    return _polynomial(x, abs(x.ints), 1, 3).times(_number(Fraction(1, 4))).plus(_number(Fraction(1, 2)))


def _recurrent(kind: str, x: Exact, a: Json, p: dict[str, Exact]) -> Exact:
    """Step by step, with the stand-ins of tanh and sigmoid."""
    n = p["weight_hh"].ints.shape[1]
    gates, zero = p["weight_hh"].ints.shape[0] // n, Exact(np.zeros((len(x.ints), n), dtype=object))

    def part(u: Exact, role: str, gate: int) -> Exact:
        at, weight, bias = slice(gate * n, gate * n + n), p[f"weight_{role}"], p.get(f"bias_{role}")
        mine = Exact(_dot(u.ints, weight.ints[at]), u.den * weight.den)
        return mine if bias is None else mine.plus(Exact(bias.ints[at], bias.den))

    def both(u: Exact, h: Exact, gate: int) -> Exact:
        return part(u, "ih", gate).plus(part(h, "hh", gate)).lowest()

    h, c, found, minus = zero, zero, {}, _number(Fraction(-1))
    times = range(x.ints.shape[1])
    for t in reversed(times) if a["reverse"] else times:
        u = Exact(x.ints[:, t], x.den)
        if gates == 1:
            v = both(u, h, 0)
            h = Exact(np.maximum(v.ints, 0), v.den) if a["nonlinearity"] == "relu" else _tanh(v)
        elif gates == 4:
            i, f, g, o = (both(u, h, k) for k in range(4))
            c = _sigmoid(f).times(c).plus(_sigmoid(i).times(_tanh(g))).lowest()
            h = _sigmoid(o).times(_tanh(c))
        else:
            r, z = (_sigmoid(both(u, h, k)) for k in range(2))
            own = r.times(part(h, "hh", 2)) if a["linear_before_reset"] else part(r.times(h), "hh", 2)
            kept = _tanh(part(u, "ih", 2).plus(own))
            h = kept.plus(z.times(h.plus(kept.times(minus))))
        h = found[t] = h.lowest()
    den = math.lcm(*(v.den for v in found.values()))
    return Exact(np.stack([found[t].ints * (den // found[t].den) for t in times], axis=1), den)


def _attention(ins: list[Exact], a: Json) -> Exact:
    """Weights sum to one over the keys that are seen, and what is added to all scores of a query cancels: `1/n + g - mean of g`, with
    `g` a polynomial of the score's distance from the scores' mean."""
    q, k, v = (np.moveaxis(x.ints.reshape(*x.ints.shape[:2], a[heads], -1), 2, 1) for x, heads in zip(ins, ("heads", "kv_heads", "kv_heads"), strict=True))
    k, v = (np.repeat(t, a["heads"] // a["kv_heads"], axis=1) for t in (k, v))
    factor = Fraction(a["scale"])
    scores, den = np.matmul(q, np.swapaxes(k, 2, 3)) * factor.numerator, ins[0].den * ins[1].den * factor.denominator
    seen = np.tri(*scores.shape[2:], dtype=bool) if a["causal"] else np.ones(scores.shape[2:], bool)
    count = seen.sum(axis=1).astype(object)[:, None]
    common = math.lcm(*count.flat)

    def centred(x: np.ndarray) -> np.ndarray:
        """`common * (x - its mean)`, over the keys that are seen."""
        return np.where(seen, x * common - np.where(seen, x, 0).sum(axis=3, keepdims=True) * (common // count), 0)

    away = centred(scores)
    den *= common
    weight = centred(away * away + away * den) + np.where(seen, common // count, 0) * den * den
    out = np.moveaxis(np.matmul(weight, v), 1, 2)
    return Exact(np.asarray(out, dtype=object), den * den * common * ins[2].den).shaped(*out.shape[:2], -1)


def _normalised(kind: str, x: Exact, a: Json, p: dict[str, Exact]) -> Exact:
    """What mixes all that a normalisation mixes; a proof knows no more of it than that equals give equals."""
    shape = x.ints.shape
    rows = math.prod(shape[: -a["dims"]]) if "dims" in a else len(x.ints) * (a["groups"] if kind == "group_norm" else shape[1])
    flat = x.ints.reshape(rows, -1)
    if kind != "rms_norm":
        flat = flat * flat.shape[1] - flat.sum(axis=1, keepdims=True)
    eps = Fraction(a["eps"])
    size = Exact((flat * flat).sum(axis=1, keepdims=True), x.den * x.den).plus(_number(eps))
    out = Exact(flat, x.den).times(size).shaped(*shape)
    own = {role: t if "dims" in a else _along(t, 1, len(shape)) for role, t in p.items()}
    if "weight" in own:
        out = out.times(own["weight"])
    return out.plus(own["bias"]) if "bias" in own else out


def _number(value: Fraction) -> Exact:
    return exactly([value]).shaped()


def _inverse(x: Exact) -> Exact:
    if not x.ints.all():
        raise Undefined("a division by zero")
    return exactly(np.array([Fraction(x.den, v) for v in x.ints.reshape(-1)], dtype=object)).shaped(*x.ints.shape)


def _pad(x: Exact, a: Json) -> Exact:
    """Axis by axis: which position is copied, or the value."""
    ints, den = x.ints, x.den
    value = Fraction(a["value"])
    if a["mode"] == "constant":
        ints, den = ints * value.denominator, den * value.denominator
    for axis, (before, after) in enumerate(a["pads"], 1):
        n = ints.shape[axis]
        read = []
        for i in range(-before, n + after):
            around = {"circular": i % n if n else 0, "replicate": min(max(i, 0), n - 1), "reflect": abs(i) if i < n else 2 * (n - 1) - i}
            read.append(i if 0 <= i < n else around.get(a["mode"], -1))
        kept = np.take(ints, [max(i, 0) for i in read], axis) if n else np.zeros((*ints.shape[:axis], len(read), *ints.shape[axis + 1 :]), object)
        outside = np.array([i < 0 for i in read]).reshape([-1 if k == axis else 1 for k in range(ints.ndim)])
        ints = np.where(outside, int(value * den), kept)
    return Exact(ints, den)


def _each(x: Exact, function: Callable[[Fraction], Fraction]) -> Exact:
    out = np.empty(x.ints.size, dtype=object)
    out[:] = [function(Fraction(v, x.den)) for v in x.ints.reshape(-1)]
    return exactly(out).shaped(*x.ints.shape)


def _whole(exponent: float) -> bool:
    return exponent == int(exponent) and abs(exponent) <= 8


def _power(c: Fraction, a: Json) -> Fraction:
    n = int(a["exponent"])
    if not _whole(a["exponent"]):
        return 3 * c * c + c + 1 + Fraction(a["exponent"])
    if c == 0 and n < 0:
        raise Undefined("a division by zero")
    return Fraction(c**n)


def _root(c: Fraction) -> Fraction:
    p, r = math.isqrt(abs(c.numerator)), math.isqrt(c.denominator)
    return Fraction(p, r) if c >= 0 and Fraction(p * p, r * r) == c else c * c + 7 * c + 11


FUNCTIONS: dict[str, Callable[[Fraction, Json], Fraction]] = {
    "abs": lambda c, a: abs(c),
    "sign": lambda c, a: Fraction((c > 0) - (c < 0)),
    "exp": lambda c, a: c * c + 3 * c + 1,
    "log": lambda c, a: (c - 1) * (c + 5),
    "sqrt": lambda c, a: _root(c),
    "reciprocal": lambda c, a: _power(c, {"exponent": -1}),
    "erf": lambda c, a: c * abs(c) + 5 * c,
    "sin": lambda c, a: c * abs(c) - 3 * c,
    "cos": lambda c, a: 3 * c * c + 1,
    "softsign": lambda c, a: c / (1 + abs(c)),
    "elu": lambda c, a: c if c >= 0 else (c * c - 5 * c) * (Fraction(a["alpha"]) + 7),
    "selu": lambda c, a: 2 * c * c + 3 * c,
    "celu": lambda c, a: c if c >= 0 else (2 * c * c - 5 * c) * (Fraction(a["alpha"]) + 7),
    "softplus": lambda c, a: c if Fraction(a["beta"]) * c > Fraction(a["threshold"]) else c * c + 3 * c + 7 + Fraction(a["beta"]),
    "hardswish": lambda c, a: c * min(max(c + 3, Fraction(0)), Fraction(6)) / 6,
    "hardsigmoid": lambda c, a: min(max(Fraction(a["alpha"]) * c + Fraction(a["beta"]), Fraction(0)), Fraction(1)),
    "mish": lambda c, a: 4 * c * c + c,
    "logsigmoid": lambda c, a: 5 * c * c + c + 2,
    "floor": lambda c, a: Fraction(math.floor(c)),
    "ceil": lambda c, a: Fraction(math.ceil(c)),
    "round": lambda c, a: Fraction(round(c)),
    "pow": _power,
}
"""Exact functions, and stand-ins with the laws of those that are irrational."""


def _polynomial(x: Exact, other: np.ndarray, square: int, linear: int) -> Exact:
    """square * x * other + linear * x"""
    return Exact(x.ints * other * square + x.ints * (linear * x.den), x.den * x.den)


def _dot(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return np.asarray(np.dot(x, weight.T), dtype=object)


def _along(value: Exact, axis: int | None, rank: int) -> Exact:
    if value.ints.ndim == 0:
        return value
    return value.shaped(*(-1 if k == axis else 1 for k in range(rank)))


def _shift(x: Exact, bias: Exact | None, axis: int) -> Exact:
    return x if bias is None else x.plus(_along(bias, axis, x.ints.ndim))


def _padded(x: np.ndarray, before: Sequence[int], after: Sequence[int], fill: object) -> np.ndarray:
    sizes = [n + b + a for n, b, a in zip(x.shape[2:], before, after, strict=True)]
    out = np.full((*x.shape[:2], *sizes), fill, dtype=object)
    out[(slice(None), slice(None), *(slice(b, b + n) for b, n in zip(before, x.shape[2:], strict=True)))] = x
    return out


def _taps(x: np.ndarray, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int], counts: Sequence[int]) -> Iterator[np.ndarray]:
    for tap in product(*map(range, kernel)):
        yield x[(slice(None), slice(None), *(slice(t * d, t * d + s * (c - 1) + 1, s) for t, d, s, c in zip(tap, dilation, stride, counts, strict=True)))]


def _conv(x: Exact, weight: Exact, a: Json) -> Exact:
    w, groups = weight.ints, a["groups"]
    kernel = w.shape[2:]
    padded = _padded(x.ints, a["padding"], a["padding"], 0)
    counts = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(padded.shape[2:], kernel, a["stride"], a["dilation"], strict=True)]
    width, rows = w.shape[1], w.shape[0] // groups
    flat = w.reshape(*w.shape[:2], math.prod(kernel))
    out = np.zeros((len(x.ints), w.shape[0], *counts), dtype=object)
    for tap, view in enumerate(_taps(padded, kernel, a["stride"], a["dilation"], counts)):
        for g in range(groups):
            part = np.moveaxis(view[:, g * width : (g + 1) * width], 1, -1)
            out[:, g * rows : (g + 1) * rows] += np.moveaxis(np.dot(part, flat[g * rows : (g + 1) * rows, :, tap].T), -1, 1)
    return Exact(out, x.den * weight.den)


def _conv_transpose(x: Exact, weight: Exact, a: Json) -> Exact:
    """Every input position adds to the outputs that it reaches; what it adds beyond them is lost."""
    w, groups = weight.ints, a["groups"]
    kernel, width, made = w.shape[2:], w.shape[0] // groups, w.shape[1]
    sides = list(zip(x.ints.shape[2:], kernel, a["stride"], a["padding"], a["output_padding"], a["dilation"], strict=True))
    sizes = [(n - 1) * s - 2 * p + d * (k - 1) + extra + 1 for n, k, s, p, extra, d in sides]
    out = np.zeros((len(x.ints), made * groups, *sizes), dtype=object)
    for at, tap in product(np.ndindex(*x.ints.shape[2:]), np.ndindex(*kernel)):
        target = tuple(q * s - p + t * d for q, t, (_, _, s, p, _, d) in zip(at, tap, sides, strict=True))
        if all(0 <= q < size for q, size in zip(target, sizes, strict=True)):
            for g in range(groups):
                part = x.ints[(slice(None), slice(g * width, (g + 1) * width), *at)]
                out[(slice(None), slice(g * made, (g + 1) * made), *target)] += np.dot(part, w[(slice(g * width, (g + 1) * width), slice(None), *tap)])
    return Exact(out, x.den * weight.den)


def _batch_norm(x: Exact, p: dict[str, Exact], a: Json, roots: Roots) -> Exact:
    eps, n = Fraction(a["eps"]), p["var"].ints.shape[0]
    variances = [Fraction(v, p["var"].den) + eps for v in p["var"].ints.tolist()]
    if any(v <= 0 for v in variances):
        raise Undefined("a variance that is not positive")
    factors = exactly(np.array([1 / roots(v) for v in variances] or np.zeros(0), dtype=object))
    one, zero = Exact(np.ones(n, dtype=object)), Exact(np.zeros(n, dtype=object))
    slope = factors.times(p.get("weight", one)).lowest()
    mean = Exact(-p["mean"].ints, p["mean"].den)
    rank = x.ints.ndim
    return x.plus(_along(mean, 1, rank)).times(_along(slope, 1, rank)).plus(_along(p.get("bias", zero), 1, rank))


def _windows(x: np.ndarray, a: Json, fill: object) -> tuple[np.ndarray, list[int], list[int]]:
    dilation = a.get("dilation", [1] * len(a["kernel"]))
    counts, after = [], []
    for n, k, s, p, d in zip(x.shape[2:], a["kernel"], a["stride"], a["padding"], dilation, strict=True):
        room = n + 2 * p - d * (k - 1) - 1
        count = -(-room // s) + 1 if a["ceil_mode"] else room // s + 1
        if a["ceil_mode"] and (count - 1) * s >= n + p:
            count -= 1
        counts.append(count)
        after.append(max(0, (count - 1) * s + (k - 1) * d + 1 - n - p))
    return _padded(x, a["padding"], after, fill), counts, dilation


def _max_pool(x: Exact, a: Json) -> Exact:
    padded, counts, dilation = _windows(x.ints, a, None)
    best = None
    for view in _taps(padded, a["kernel"], a["stride"], dilation, counts):
        here = np.equal(view, None)
        best = view.copy() if best is None else np.where(np.equal(best, None), view, np.where(here, best, np.maximum(*_filled(best, view, here))))
    if best is None or np.equal(best, None).any():
        raise Undefined("a window without elements")
    return Exact(np.asarray(best, dtype=object), x.den)


def _filled(best: np.ndarray, view: np.ndarray, here: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.where(np.equal(best, None), 0, best), np.where(here, 0, view)


def _avg_pool(x: Exact, a: Json) -> Exact:
    padded, counts, dilation = _windows(x.ints, a, 0)
    total = sum(_taps(padded, a["kernel"], a["stride"], dilation, counts))
    if a["divisor_override"] is not None:
        return Exact(np.asarray(total, dtype=object), x.den * a["divisor_override"])
    divisor = np.ones((), dtype=object)
    for n, k, s, p, c in zip(x.ints.shape[2:], a["kernel"], a["stride"], a["padding"], counts, strict=True):
        sizes = []
        for i in range(c):
            start, stop = i * s - p, min(i * s - p + k, n + p)
            sizes.append(stop - start if a["count_include_pad"] else min(stop, n) - max(start, 0))
        divisor = divisor[..., None] * np.array(sizes, dtype=object)
    if (divisor <= 0).any():
        raise Undefined("an average over no element")
    den = math.lcm(*divisor.flat)
    return Exact(total * (den // divisor), x.den * den)


def _adaptive(x: Exact, sizes: list[int], kind: str) -> Exact:
    regions = [[(i * n // o, -(-(i + 1) * n // o)) for i in range(o)] for n, o in zip(x.ints.shape[2:], sizes, strict=True)]
    den = math.lcm(*(math.prod(b - a for a, b in at) for at in product(*regions)))
    out = np.zeros((*x.ints.shape[:2], *sizes), dtype=object)
    for index, at in zip(np.ndindex(*sizes), product(*regions), strict=True):
        region = x.ints[(slice(None), slice(None), *(slice(a, b) for a, b in at))].reshape(*x.ints.shape[:2], -1)
        value = region.max(axis=2) * den if kind == "adaptive_max_pool" else region.sum(axis=2) * (den // region.shape[2])
        out[(slice(None), slice(None), *index)] = value
    return Exact(out, x.den * den)


def _opaque(node: Json, ins: list[Exact], raw: dict[str, np.ndarray]) -> Exact:
    """A polynomial of all inputs that depends on everything the call says."""
    if not ins or node["shape"][0] is not None:
        raise Undefined("an opaque call without a batch")
    said = compact([node["attrs"][key] for key in ("target", "args", "kwargs", "output")]) + node["dtype"]
    said += "".join(f"{role}{t.dtype}{t.shape}{t.tobytes().hex()}" for role, t in sorted(raw.items()))
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(said.encode()).digest()[:8], "little"))
    den = math.lcm(*(i.den for i in ins))
    flat = np.concatenate([(i.ints * (den // i.den)).reshape(len(i.ints), -1) for i in ins], axis=1)
    mixed = _dot(flat, rng.integers(-3, 4, size=(math.prod(node["shape"][1:]), flat.shape[1])).astype(object))
    return _polynomial(Exact(mixed, den), mixed, 1, 5).shaped(len(flat), *node["shape"][1:])
