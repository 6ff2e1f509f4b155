"""Questions about functions of the checker that are small enough to be tabled: what they say of a grid of arguments, as they said it before."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction as F
from itertools import product
from typing import Any

import numpy as np
from codemutant_engine import Case

Check = Callable[..., Any]


def tables() -> list[Case]:
    return [Case(f"table: {question.__name__}", question, forged=True) for question in (_shapes, _values, _relations, _columns, _claims)]


def _module(name: str) -> Any:
    return sys.modules[f"lumpnet.check.{name}"]


def _tried(call: Callable[..., Any], *values: Any) -> str:
    try:
        return repr(call(*values))
    except Exception as problem:
        return type(problem).__name__


# --- shapes --------------------------------------------------------------------------------------


def _nodes() -> Iterator[tuple[str, dict[str, Any], list[tuple[Any, ...]], dict[str, tuple[int, ...]]]]:
    """(kind, attributes, input shapes, parameter shapes)"""
    for n, k, s, p, d, ceil in product((1, 4, 5), (1, 2, 3), (1, 2), (0, 1), (1, 2), (False, True)):
        window = {"kernel": [k], "stride": [s], "padding": [p], "ceil_mode": ceil}
        yield "max_pool", window | {"dilation": [d]}, [(None, 2, n)], {}
        for counted, override in product((False, True), (None, 1, 2)):
            if d == 1:
                yield "avg_pool", window | {"count_include_pad": counted, "divisor_override": override}, [(None, 2, n)], {}
        layer = {"stride": [s], "padding": [p], "dilation": [d], "groups": 1}
        yield "conv", layer, [(None, 2, n)], {"weight": (3, 2, k)}
        yield "conv_transpose", layer | {"output_padding": [int(ceil)]}, [(None, 2, n)], {"weight": (2, 3, k)}
    for rank in (1, 2, 3, 4, 5):
        x = (None, *range(2, rank + 1))
        for count in (0, 1, 2, 3, 4):
            yield "upsample", {"scales": [2] * count, "mode": "nearest"}, [x], {}
            yield "adaptive_avg_pool", {"output_size": [2] * count}, [x], {}
            yield "conv", {"stride": [1] * count, "padding": [0] * count, "dilation": [1] * count, "groups": 1}, [x], {"weight": (3, 2, *[1] * count)}
        for axis in range(rank + 1):
            yield "index_select", {"axis": axis, "index": [0, 1]}, [x], {}
            yield "softmax", {"axis": axis}, [x], {}
            yield "mean", {"axes": [axis], "keepdim": bool(axis % 2)}, [x], {}
            yield "concat", {"axis": axis}, [x, x], {}
            yield "add_constant", {"axis": axis}, [x], {"term": (2,)}
            yield "constant", {"shape": list(x[1:]), "axis": axis}, [x], {"value": (2,)}
    for one, two in product(((None, 2, 3), (None, 1, 3), (None, 2, 1), (None, 3), (1, 2, 3), (None, 2, 2)), repeat=2):
        for kind in ("add", "div", "matmul"):
            yield kind, {}, [one, two], {}
    for low, high in ((0.0, 1.0), (1.0, 1.0), (1.0, 0.0)):
        yield "hardtanh", {"min": low, "max": high}, [(None, 2)], {}
    for mode, before, behind, n in product(("constant", "reflect", "replicate", "circular"), (0, 1, 2), (0, 2, 3), (0, 1, 3)):
        yield "pad", {"pads": [[before, behind]], "mode": mode, "value": 0.0}, [(None, n)], {}
    for eps in (-2.0, -1.0, 0.0, 0.5):
        yield "batch_norm", {"eps": eps}, [(None, 2)], dict.fromkeys(("weight", "bias", "mean", "var"), (2,))
        yield "layer_norm", {"dims": 1, "eps": eps}, [(None, 2)], {"weight": (2,)}
        yield "instance_norm", {"eps": eps}, [(None, 2, 3)], {"weight": (2,)}
    for value in (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0):
        for kind, key in (("pow", "exponent"), ("celu", "alpha"), ("softplus", "beta")):
            yield kind, {key: value}, [(None, 2)], {}


def _shapes(check: Check) -> str:
    """Output shapes, and where an operator may be undefined."""
    kinds, graph, files, said = _module("rules").KINDS, _module("graph"), _module("files"), []
    for kind, attrs, ins, sizes in _nodes():
        params = {role: files.Tensor("F32", np.ones(size, "float32")) for role, size in sizes.items()}
        node = graph.Node("v", ins[0], "float32", kind, tuple("ab"[: len(ins)]), attrs, params)
        shape = _tried(kinds[kind].shape, node, ins)
        said.append(f"{shape} {_tried(kinds[kind].partial, node, ins)}")
    return " ".join(said)


# --- functions of one number ---------------------------------------------------------------------
POINTS = [F(n, d) for n in (-9, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 9, 20, 21) for d in (1, 2, 4)]
KEYS = ("exponent", "beta", "threshold", "alpha", "nonlinearity")
ATTRS = [
    dict(zip(KEYS, values, strict=True)) | {"min": -1.0, "max": 2.0, "slope": 0.5}
    for values in (
        (2, 1.0, 20.0, 0.25, "relu"),
        (-1, 0.5, 1.0, 1.0, "tanh"),
        (0, -1.0, 0.0, -1.0, "relu"),
        (0.5, 2.0, 3.0, 0.0, "tanh"),
        (9, 0.0, 1.0, 2.0, ""),
    )
]


def _values(check: Check) -> str:
    """What constants and rows become, number by number."""
    functions, elementwise, numbers, recurrent = (_module(name) for name in ("rules.functions", "rules.elementwise", "numbers", "rules.recurrent"))
    surd, said = sys.modules["lumpnet.certificate"].Surd, []
    rational = [getattr(functions, f"_{name}") for name in ("power", "square_root", "positive_part_known", "beyond_threshold", "hardswish", "ramp_middle")]
    real = [getattr(elementwise, f"_{name}") for name in ("same_value", "rectified", "leaky", "clipped")]
    real += [elementwise._at_zero(F(1, 2)), functions._only(1, 0)]
    rows = [getattr(functions, f"_{name}") for name in ("even", "absolute", "sign_row", "inverse", "ramp_row", "power_row")]
    rows += [elementwise.exactly, elementwise._any_row, elementwise._positive, elementwise.odd, elementwise._mirrored, elementwise._clip_row]
    files, norm = _module("files"), _module("rules.norm")
    params = {
        role: files.Tensor("F32", np.array(value, "float32")) for role, value in (("weight", [2, 0]), ("bias", [1, 3]), ("mean", [5, 1]), ("var", [3, 4]))
    }
    for eps, shape in product((0.5, -1.0), ((None, 2), (None, 2, 3))):
        for some in (params, {role: params[role] for role in ("mean", "var")}):
            channel = norm._Channel(_module("graph").Node("v", shape, "float32", "batch_norm", ("x",), {"eps": eps}, some), 0)
            said += [str(part) for part in (channel.weight, channel.bias, channel.mean, channel.v, channel.at(F(7)), channel.times_root(F(-2)))]
    roots = [surd(F(a), F(b), F(r)) for a in (-2, 0, 2) for b in (-1, 1) for r in (1, 2, 4)]
    for attrs in ATTRS:
        said += [_tried(f, attrs, c) for f in (*rational, *real) for c in POINTS]
        said += [_tried(f, attrs, c) for f in real for c in roots]
        said += [_tried(f, attrs, (s, c)) for f in rows for s in (F(-2), F(-1), F(1, 2), F(1), F(2)) for c in (F(0), F(1), F(-1))]
        node = _module("graph").Node("v", (None, 1, 1), "float32", "rnn", ("x",), attrs, {})
        said += [_tried(f, node, c) for f in (recurrent._turned, recurrent._silent) for c in POINTS]
    said += [_tried(numbers.compare, x, y) for x in (*POINTS[::4], *roots) for y in POINTS[::4]]
    return " ".join(said)


# --- lumpings and tables -------------------------------------------------------------------------


def _spelt(rows: Callable[[], Any]) -> list[Any]:
    x = rows()
    return [x.column.tolist(), x.law.tolist(), x.laws, x.kept.tolist(), x.reps.tolist(), x.obliged.tolist()]


def _relations(check: Check) -> str:
    """What lumpings say of every unit, of every element, and whether they are lumpings."""
    relation, lumping, rng, said = _module("relation"), sys.modules["lumpnet.certificate"].Lumping, random.Random(7), []
    for _ in range(600):
        n, k, columns, axis = rng.randint(0, 4), rng.randint(0, 4), rng.randint(0, 4), rng.choice([0, 1, 1, 1, 2, 2, 3])
        shape = tuple([None, 2, 2, 3][: rng.randint(1, 4)])
        if 0 < axis < len(shape) and rng.random() < 0.9:
            shape = (*shape[:axis], n, *shape[axis + 1 :])
        classes = tuple(rng.randint(-1, max(k - 1, 0)) for _ in range(n))
        if rng.random() < 0.4:
            classes = tuple(min(unit, k - 1) if k else -1 for unit in range(n))
        reps = tuple(next((u for u, c in enumerate(classes) if c == j), rng.randint(0, n)) for j in range(k))
        units = [*range(n), *([n] if rng.random() < 0.1 else [])]
        if rng.random() < 0.8:  # one that fits
            seen = sorted({c for c in classes if c >= 0})
            classes, k = tuple(seen.index(c) if c >= 0 else -1 for c in classes), len(seen)
            reps = tuple(rng.choice([u for u, c in enumerate(classes) if c == j]) for j in range(k))
            units = [u for u in range(n) if u not in reps and classes[u] >= 0] if rng.random() < 0.8 else units
        scale = {u: F(rng.choice([0, 1, 2, -1, 1, 2])) for u in units if rng.random() < 0.2}
        offset = {u: F(rng.choice([0, 1, 0, 3])) for u in units if rng.random() < 0.2}
        try:
            found = relation.relation("v", shape, lumping(axis, min(columns, k) if rng.random() < 0.9 else columns, classes, reps, scale, offset))
        except Exception as problem:
            said.append(type(problem).__name__)
            continue
        parts = [found.axis, found.columns, found.identity, found.absent, found.dropped, found.reduced_shape(), found.scale, found.offset]
        said.append(" ".join(map(str, parts)))
        for call in (lambda f=found: f.obliged(), lambda f=found: f.on(1, "w").obliged()) if found.axis or found.identity else ():
            said.append(_tried(lambda c=call: c().tolist()))
        for rows in (found.rows, found.elements) if found.axis is not None else ():
            said.append(_tried(_spelt, rows))
    return " ".join(said)


def _columns(check: Check) -> str:
    """Which columns of a table follow from one another, entry by entry."""
    lookup, rng, said = _module("rules.lookup"), np.random.default_rng(7), []
    for turn in range(300):
        dtype = ("float32", "float64")[turn % 2]
        scale = F(int(rng.choice([1, 1, 2, -1, 3])), int(rng.choice([1, 1, 2, 3])))
        offset = F(int(rng.choice([0, 0, 1, 5])), int(rng.choice([1, 2, 3])))
        its = (rng.integers(-3, 4, 3) * 3 * 2.0 ** int(rng.integers(-3, 3))).astype(dtype)
        exact = [scale * F(float(v)) + offset for v in its]
        mine = np.array([float(v) for v in exact], dtype)
        if turn % 3 == 0:
            mine[int(rng.integers(3))] += 1
        follows = all(F(float(a)) == b for a, b in zip(mine, exact, strict=True))
        if lookup._follows(mine, its, scale, offset) != follows:
            return f"{mine} is said {'not ' if follows else ''}to be {scale} * {its} + {offset}"
        said.append(follows)
    return f"{sum(said)} of {len(said)}"


# --- claims --------------------------------------------------------------------------------------


def _claims(check: Check) -> str:
    """What a certificate may claim of rounding, and how it is read."""
    certificate, said = sys.modules["lumpnet.certificate"], []
    digest = "0" * 64
    ends = ({"lower": -1, "upper": 2}, {"lower": [0, 1], "upper": 3.5}, {"lower": 3, "upper": 2}, {"lower": -1}, [], {"lower": 1, "upper": 1, "more": 1})
    effects: list[Any] = [None, [], {}, {"alpha": 1, "beta": 2}, {"alpha": 1}, {"beta": 1}, {"alpha": -1, "beta": 0}, {"alpha": 1, "beta": 2, "box": {}}]
    effects += [{"bound": 1, "box": {"x": end}} for end in ends]
    effects += [{"bound": 1}, {"box": {}}, {"bound": 2, "box": {}}, {"bound": 1, "box": []}, {"bound": 1, "beta": 0, "box": {}}]
    for rounding, verdict in product(("none", "nearest", "up", None), ("exact", "relaxed")):
        for effect in ("absent", *effects):
            claim = {"verdict": verdict, "rounding": rounding} | ({} if effect == "absent" else {"effect": effect})
            root = {"format": "lumpnet-certificate", "schema_version": "1.0", "original": {"sha256": digest}, "reduced": {"sha256": digest}, "claim": claim}
            text = json.dumps(root | {"lumpings": {}, "rules": {}, "annotations": {}}).encode()
            said.append(_tried(lambda t=text: (certificate.loads(t).effect, certificate.loads(t).rounding)))
    return " ".join(said)
