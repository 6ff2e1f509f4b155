"""One operator at a time: a true lumping before it, a guessed one behind it, random geometry, and everything else made to fit.

The hidden value `h` (and `k` for operators of two operands) is built row by row
from its lumping, so the premise holds. The guess behind the operator is right
sometimes; the reduced network is the quotient of the guess. What the checker
proves must then be equal.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from mutant_operators import BROKEN
from mutant_rebuild import quotient
from mutant_triples import Json, Net, Triple, net_of

from lumpnet.errors import GraphError
from lumpnet.ir import Graph, Node, Value
from lumpnet.ops import get

Attrs = dict[str, Any]
SCALES = [Fraction(1), Fraction(1), Fraction(1), Fraction(-1), Fraction(2), Fraction(1, 2), Fraction(-2), Fraction(1, 4)]
OFFSETS = [Fraction(0), Fraction(0), Fraction(0), Fraction(1), Fraction(-1), Fraction(1, 2), Fraction(3)]


class Rowset:
    """A lumping under construction: per unit a class label (None: constant), a scale and an offset."""

    def __init__(self, labels: list[Any], scale: list[Fraction], offset: list[Fraction], kept: list[Any]):
        self.labels, self.scale, self.offset, self.kept = labels, scale, offset, kept

    def json(self, axis: int) -> Json:
        classes = [c for c in dict.fromkeys(self.labels) if c is not None]
        order = [c for c in self.kept if c in classes] + [c for c in classes if c not in self.kept]
        reps = [self.labels.index(c) for c in order]
        scale = {str(i): str(s) for i, s in enumerate(self.scale) if self.labels[i] is not None and s != 1}
        offset = {str(i): str(o) for i, o in enumerate(self.offset) if o != 0}
        place = {c: k for k, c in enumerate(order)} | {None: -1}
        columns = len([c for c in self.kept if c in classes])
        return {"axis": axis, "columns": columns, "class": [place[c] for c in self.labels], "representative": reps, "scale": scale, "offset": offset}


def rowset(n: int, rng: random.Random) -> Rowset:
    """A random lumping of n units; the first unit of a class represents it."""
    labels: list[Any] = [None if rng.random() < 0.25 else rng.randrange(n) for _ in range(n)]
    scale, offset = [rng.choice(SCALES) for _ in labels], [rng.choice(OFFSETS) for _ in labels]
    for c in {c for c in labels if c is not None}:
        scale[labels.index(c)], offset[labels.index(c)] = Fraction(1), Fraction(0)
    classes = [c for c in dict.fromkeys(labels) if c is not None]
    kept = [c for c in classes if rng.random() < 0.8]
    return Rowset(labels, scale, offset, kept or classes[:1])


def guess(x: Rowset, images: dict[int, Any], rng: random.Random) -> Rowset:
    """A lumping behind the operator: the one before, seen through `images` (new unit -> old unit), bent a little."""
    units = [images[j] for j in range(len(images))]
    labels = [x.labels[i] for i in units]
    if rng.random() < 0.2 and labels:
        labels[rng.randrange(len(labels))] = rng.choice([None, "new", *labels])
    scale = [rng.choice([x.scale[i], x.scale[i], x.scale[i] ** 2, abs(x.scale[i]), Fraction(1)]) for i in units]
    offset = []
    for j, i in enumerate(units):
        c = x.offset[i]
        choices = [c, max(c, Fraction(0))] if labels[j] is None else [c, c, Fraction(0), 1 - x.scale[i]]
        offset.append(rng.choice([*choices, *choices, Fraction(0), Fraction(1, 2), Fraction(1)]))
    for label in {c for c in labels if c is not None}:
        scale[labels.index(label)], offset[labels.index(label)] = Fraction(1), Fraction(0)
    kept = list(x.kept)
    if rng.random() < 0.1 and kept:
        kept.pop(rng.randrange(len(kept)))
    if rng.random() < 0.1:
        rng.shuffle(kept)
    return Rowset(labels, scale, offset, kept + (["new"] if rng.random() < 0.5 else []))


def weights(rng: random.Random, *shape: int) -> np.ndarray:
    return np.array([rng.choice([-1, 1]) * rng.randint(1, 24) / 8 for _ in range(int(np.prod(shape)))], np.float32).reshape(shape)


def produced(x: Rowset, width: int, rng: random.Random) -> tuple[np.ndarray, np.ndarray]:
    """Weight (n, width) and bias (n,) of a layer whose rows have this lumping."""
    base = {c: (weights(rng, width), weights(rng, 1)[0]) for c in set(x.labels)}
    weight, bias = np.zeros((len(x.labels), width), np.float32), np.zeros(len(x.labels), np.float32)
    for i, c in enumerate(x.labels):
        if c is None:
            bias[i] = float(x.offset[i])
        else:
            weight[i] = float(x.scale[i]) * base[c][0]
            bias[i] = float(x.scale[i]) * float(base[c][1]) + float(x.offset[i])
    return weight, bias


def consumed(shape: tuple[Any, ...], axis: int, lumping: Json, rng: random.Random) -> np.ndarray:
    """Weight (2, n) of a layer on `axis` that mostly does not read ghosts."""
    weight = weights(rng, 2, int(shape[axis]))
    ghosts: dict[int, list[int]] = {}
    for unit, c in enumerate(lumping["class"]):
        if c >= lumping["columns"]:
            ghosts.setdefault(c, []).append(unit)
    for members in ghosts.values():
        last, rest = members[-1], members[:-1]
        total = sum((Fraction(float(weight[0, u])) * Fraction(lumping["scale"].get(str(u), 1)) for u in rest), Fraction(0))
        weight[0, last] = float(-total / Fraction(lumping["scale"].get(str(last), 1)))
        weight[1, members] = 0
    return weight


class Case:
    """The network around one operator. `axis` is the unit axis of h; `after` that of the operator's output."""

    def __init__(self, rng: random.Random, spatial: tuple[int, ...], last: bool = False):
        self.rng, self.width = rng, 2
        self.tensors: dict[str, np.ndarray] = {}
        self.spatial, self.last = spatial, last
        shape = (None, *spatial, self.width) if last else (None, self.width, *spatial)
        self.inputs = (Value("x", shape),)
        self.shapes: dict[str, Any] = {"x": shape}
        self.nodes: list[Node] = []
        self.lumpings: Json = {"x": "identity"}
        self.axis = len(spatial) + 1 if last else 1

    def node(self, name: str, kind: str, inputs: list[str], attrs: Attrs | None = None, **params: np.ndarray) -> None:
        for role, tensor in params.items():
            self.tensors[f"{name}.{role}"] = tensor
        shape = get(kind).infer([self.shapes[i] for i in inputs], attrs or {}, params)
        if any(n is not None and n < 0 for n in shape) or 0 in shape[1:]:
            raise ValueError("an empty window")
        self.shapes[name] = shape
        self.nodes.append(Node(Value(name, shape), kind, tuple(inputs), attrs or {}, {role: f"{name}.{role}" for role in params}))

    def hidden(self, name: str, x: Rowset, source: str = "x") -> None:
        weight, bias = produced(x, int(self.shapes[source][self.axis]), self.rng)
        self.affine(name, source, weight, bias, self.axis)
        self.lumpings[name] = x.json(self.axis)

    def affine(self, name: str, source: str, weight: np.ndarray, bias: np.ndarray | None, axis: int) -> None:
        more = {} if bias is None else {"bias": bias}
        rank = len(self.shapes[source])
        if axis == rank - 1:
            self.node(name, "linear", [source], weight=weight, **more)
        else:
            attrs = {"stride": [1] * (rank - 2), "padding": [0] * (rank - 2), "dilation": [1] * (rank - 2), "groups": 1}
            self.node(name, "conv", [source], attrs, weight=weight.reshape(*weight.shape, *[1] * (rank - 2)), **more)

    def finish(self, name: str, axis: int, lumping: Json) -> Triple:
        """A layer reads the operator's output along its unit axis; the reduced network is the quotient."""
        self.lumpings[name] = lumping
        self.affine("y", name, consumed(self.shapes[name], axis, lumping, self.rng), None, axis)
        self.lumpings["y"] = "identity"
        net = net_of(Graph(self.inputs, tuple(self.nodes), ("y",), self.tensors))
        certificate = {
            "format": "lumpnet-certificate",
            "schema_version": "1.0",
            "original": {},
            "reduced": {},
            "claim": {"verdict": "exact", "rounding": "none"},
            "lumpings": self.lumpings,
            "rules": {},
            "annotations": {},
        }
        triple = Triple(name, net, Net({}, {}), certificate)
        triple.h, certificate["claim"]["rounding"] = quotient(net, self.lumpings)
        return triple


def own(n: int) -> dict[int, int]:
    return {i: i for i in range(n)}


def elementwise(kind: str, attrs: Callable[[random.Random], Attrs]) -> Callable[[random.Random], Triple]:
    def make(rng: random.Random) -> Triple:
        case, n = Case(rng, rng.choice([(), (2,), (2, 1)]), rng.random() < 0.4), rng.randint(1, 4)
        x = rowset(n, rng)
        case.hidden("h", x)
        case.node("v", kind, ["h"], attrs(rng))
        return case.finish("v", case.axis, guess(x, own(n), rng).json(case.axis))

    return make


def constant(kind: str, role: str) -> Callable[[random.Random], Triple]:
    def make(rng: random.Random) -> Triple:
        case, n = Case(rng, rng.choice([(), (2,)]), rng.random() < 0.5), rng.randint(1, 4)
        x = rowset(n, rng)
        case.hidden("h", x)
        entries = np.array([rng.choice([1, 1, 2, -1, 4 if role == "divisor" else 0, 0.5]) for _ in range(n)], np.float32)
        scalar = rng.random() < 0.3
        case.node("v", kind, ["h"], {"axis": rng.choice([None, case.axis]) if scalar else case.axis}, **{role: entries[0] if scalar else entries})
        out = guess(x, own(n), rng)
        for i in range(n):
            first = x.labels.index(x.labels[i])
            value, base = (Fraction(float(entries[0] if scalar else entries[k])) ** (-1 if role == "divisor" else 1) for k in (i, first))
            if rng.random() < 0.7 and out.labels[i] is not None and i != out.labels.index(out.labels[i]):
                if role == "term":
                    out.scale[i], out.offset[i] = x.scale[i], x.offset[i] + value - x.scale[i] * base
                elif base:
                    out.scale[i], out.offset[i] = x.scale[i] * value / base or Fraction(1), x.offset[i] * value
            elif rng.random() < 0.7 and out.labels[i] is None:
                out.offset[i] = x.offset[i] + value if role == "term" else x.offset[i] * value
        return case.finish("v", case.axis, out.json(case.axis))

    return make


def pairwise(kind: str) -> Callable[[random.Random], Triple]:
    def make(rng: random.Random) -> Triple:
        spatial = rng.choice([(), (2,), (2, 2)])
        case, n = Case(rng, spatial, bool(spatial) and rng.random() < 0.4), rng.randint(1, 4)
        one = rowset(n, rng)
        two = rowset(n, rng) if rng.random() < 0.3 else Rowset(list(one.labels), list(one.scale), list(one.offset), list(one.kept))
        if rng.random() < 0.3:
            two = Rowset([None] * n, two.scale, [rng.choice(OFFSETS) for _ in range(n)], [])
        for i in range(n):
            if rng.random() < 0.15:
                two.labels[i], two.offset[i] = None, rng.choice(OFFSETS)
        for c in {c for c in two.labels if c is not None}:
            two.scale[two.labels.index(c)], two.offset[two.labels.index(c)] = Fraction(1), Fraction(0)
        case.hidden("h", one)
        source = "x"
        if spatial and rng.random() < 0.3:
            case.node("m", "mean", ["x"], {"axes": [case.axis % (len(spatial) + 1) + 1], "keepdim": True})
            case.lumpings["m"], source = "identity", "m"
        case.hidden("k", two, source)
        case.node("v", kind, rng.choice([["h", "k"], ["k", "h"]]))
        out = guess(rng.choice([one, one, two]), own(n), rng)
        for i in range(n):
            if rng.random() < 0.7:
                if kind == "add":
                    out.offset[i] = one.offset[i] + two.offset[i]
                else:
                    out.scale[i], out.offset[i] = one.scale[i] * two.scale[i], one.offset[i] * two.offset[i]
        for c in {c for c in out.labels if c is not None}:
            out.scale[out.labels.index(c)], out.offset[out.labels.index(c)] = Fraction(1), Fraction(0)
        return case.finish("v", case.axis, out.json(case.axis))

    return make


def window(rng: random.Random, axes: int, dilation: bool) -> Attrs:
    kernel = [rng.randint(1, 3) for _ in range(axes)]
    out: Attrs = {
        "kernel": kernel,
        "stride": [rng.randint(1, 3) for _ in kernel],
        "padding": [rng.randint(0, k // 2) for k in kernel],
        "ceil_mode": rng.random() < 0.5,
    }
    return out | ({"dilation": [rng.randint(1, 2) for _ in kernel]} if dilation else {})


def pooling(kind: str) -> Callable[[random.Random], Triple]:
    def make(rng: random.Random) -> Triple:
        spatial = rng.choice([(3,), (4,), (2, 3), (4, 3)])
        case, n = Case(rng, spatial), rng.randint(1, 3)
        x = rowset(n, rng)
        case.hidden("h", x)
        if kind in ("mean", "sum", "amax", "amin"):
            axes = sorted(rng.sample(range(2, 2 + len(spatial)), rng.randint(1, len(spatial))))
            attrs: Attrs = {"axes": axes, "keepdim": rng.random() < 0.5}
        elif kind == "upsample":
            attrs = {"scales": [rng.randint(1, 3) for _ in spatial], "mode": "nearest"}
        elif kind == "pad":
            mode = rng.choice(["constant", "constant", "reflect", "replicate", "circular"])
            pads = [[0, 0], *([rng.randint(0, 1), rng.randint(0, 2)] for _ in spatial)]
            attrs = {"pads": pads, "mode": mode, "value": rng.choice([0.0, 0.0, 1.0, -0.5]) if mode == "constant" else 0.0}
        elif kind.startswith("adaptive"):
            attrs = {"output_size": [rng.randint(1, 3) for _ in spatial]}
        else:
            attrs = window(rng, len(spatial), kind == "max_pool")
            if kind == "avg_pool":
                attrs |= {"count_include_pad": rng.random() < 0.5, "divisor_override": rng.choice([None, None, 2, 3, 4])}
        case.node("v", kind, ["h"], attrs)
        out = guess(x, own(n), rng)
        if rng.random() < 0.6:
            out = Rowset(list(x.labels), list(x.scale), list(x.offset), list(x.kept))
        if kind == "sum" and rng.random() < 0.8:
            count = int(np.prod([case.shapes["h"][a] for a in attrs["axes"]]))
            out.offset = [o * count for o in out.offset]
        return case.finish("v", 1, out.json(1))

    return make


def more_units(rng: random.Random) -> Triple:
    """Units of padding, constants that leave, stay, or follow each other, around the operand's."""
    spatial = rng.choice([(), (2,)])
    case, n = Case(rng, spatial, bool(spatial) and rng.random() < 0.4), rng.randint(1, 3)
    x = rowset(n, rng)
    case.hidden("h", x)
    before, after, value = rng.randint(0, 2), rng.randint(0, 2), rng.choice([0.0, 1.0, -0.5])
    pads = [[0, 0] for _ in case.shapes["h"][1:]]
    pads[case.axis - 1] = [before, after]
    case.node("v", "pad", ["h"], {"pads": pads, "mode": "constant", "value": value})
    within = guess(x, own(n), rng) if rng.random() < 0.5 else x
    new = [rng.choice([None, None, "one", "two"]) for _ in range(before + after)]
    labels = [*new[:before], *within.labels, *new[before:]]
    fresh = [rng.choice(SCALES) for _ in new]
    bent = [Fraction(value) * (1 if c is None else 1 - s) + (rng.random() < 0.1) for c, s in zip(new, fresh, strict=True)]
    out = Rowset(labels, fresh[:before] + within.scale + fresh[before:], bent[:before] + within.offset + bent[before:], [])
    out.kept = [c for c in dict.fromkeys(labels) if c is not None and (c in within.kept or (c in ("one", "two") and rng.random() < 0.8))]
    for c in {c for c in labels if c is not None}:
        out.scale[labels.index(c)], out.offset[labels.index(c)] = Fraction(1), Fraction(0)
    return case.finish("v", case.axis, out.json(case.axis))


def prelu(rng: random.Random) -> Triple:
    spatial = rng.choice([(), (2,)])
    case, n = Case(rng, spatial, bool(spatial) and rng.random() < 0.2), rng.randint(1, 4)
    x = rowset(n, rng)
    case.hidden("h", x)
    count = 1 if case.axis != 1 or rng.random() < 0.3 else n
    slope = np.array([rng.choice([0.25, 0.25, 0.25, 0.5, -1]) for _ in range(count)], np.float32)
    case.node("v", "prelu", ["h"], slope=slope)
    out = guess(x, own(n), rng)
    for i in range(n):
        if out.labels[i] is None and rng.random() < 0.7:
            out.offset[i] = x.offset[i] * (1 if x.offset[i] >= 0 else Fraction(float(slope[i % count])))
    return case.finish("v", case.axis, out.json(case.axis))


def batch_norm(rng: random.Random) -> Triple:
    case, n = Case(rng, rng.choice([(), (2,)])), rng.randint(1, 4)
    x = rowset(n, rng)
    case.hidden("h", x)
    squares = [0.25, 1.0, 4.0, 2.0, 8.0, 0.5, 3.0]

    def draw(*options: float) -> np.ndarray:
        return np.array([rng.choice(options) for _ in range(n)], np.float32)

    weight, bias, mean, var = draw(1, 1, 2, -1, 0, 0.5), draw(0, 0, 1, 0.5), draw(0, 0, 1, 2), draw(*squares)
    for i in range(n):  # often the same slope and the matching mean
        first = x.labels.index(x.labels[i])
        if rng.random() < 0.6:
            var[i], mean[i] = var[first] * rng.choice([1, 4]), float(x.scale[i]) * mean[first] + float(x.offset[i])
    case.node("v", "batch_norm", ["h"], {"eps": rng.choice([0.0, 0.0, 1.0])}, weight=weight, bias=bias, mean=mean, var=var)
    out = guess(x, own(n), rng)
    eps = case.nodes[-1].attrs["eps"]
    for i in range(n):
        first = x.labels.index(x.labels[i])
        ratio = (float(var[first]) + eps) / (float(var[i]) + eps)
        if rng.random() < 0.7 and out.labels[i] is not None and weight[first] and ratio in (0.25, 1.0, 4.0) and i != out.labels.index(out.labels[i]):
            out.scale[i] = x.scale[i] * Fraction(float(weight[i])) / Fraction(float(weight[first])) * Fraction(ratio**0.5) or Fraction(1)
            out.offset[i] = Fraction(float(bias[i])) - out.scale[i] * Fraction(float(bias[first]))
        if out.labels[i] is None and (not weight[i] or x.offset[i] == Fraction(float(mean[i]))):
            out.offset[i] = Fraction(float(bias[i]))
    return case.finish("v", 1, out.json(1))


def layout(rng: random.Random) -> Triple:
    """Reshape or permute: the lumping behind it is that of the elements, if there is one."""
    spatial = rng.choice([(2,), (3,), (2, 2), (1, 2)])
    case, n = Case(rng, spatial, rng.random() < 0.5), rng.choice([1, 2, 2, 3, 4])
    x = rowset(n, rng)
    case.hidden("h", x)
    shape = [int(s) for s in case.shapes["h"][1:]]
    unit = np.indices(shape)[case.axis - 1]
    place = np.ravel_multi_index([ix for k, ix in enumerate(np.indices(shape)) if k != case.axis - 1], [s for k, s in enumerate(shape) if k != case.axis - 1])
    if rng.random() < 0.5:
        dims = [0, *rng.sample(range(1, len(shape) + 1), len(shape))]
        case.node("v", "permute", ["h"], {"dims": dims})
        unit, place = (a.transpose([d - 1 for d in dims[1:]]) for a in (unit, place))
    else:
        total, target = int(np.prod(shape)), []
        while total > 1 and len(target) < 3:
            target.append(rng.choice([d for d in range(1, total + 1) if total % d == 0]))
            total //= target[-1]
        target = [*target, total] if total > 1 or not target else target
        rng.shuffle(target)
        case.node("v", "reshape", ["h"], {"shape": target})
        unit, place = unit.reshape(target), place.reshape(target)
    axis = rng.randrange(1, unit.ndim + 1)
    first = [tuple(ix[j] for ix in (np.moveaxis(unit, axis - 1, 0).reshape(unit.shape[axis - 1], -1)[:, 0],)) for j in range(unit.shape[axis - 1])]
    at = np.moveaxis(place, axis - 1, 0).reshape(unit.shape[axis - 1], -1)[:, 0]
    units = [int(u[0]) for u in first]
    slots = Rowset([None] * len(units), [x.scale[u] for u in units], [x.offset[u] for u in units], [])
    slots.labels = [None if x.labels[u] is None else (x.labels[u], int(p)) for u, p in zip(units, at, strict=True)]
    slots.kept = [c for c in dict.fromkeys(slots.labels) if c is not None and c[0] in x.kept]
    if rng.random() < 0.3:
        rng.shuffle(slots.kept)
    if rng.random() < 0.8 and len(slots.labels):
        for c in {c for c in slots.labels if c is not None}:
            k = slots.labels.index(c)
            slots.scale[k], slots.offset[k] = Fraction(1), Fraction(0)
        return case.finish("v", axis, slots.json(axis)) if axis in (1, unit.ndim) else case.finish("v", 1, rowset(unit.shape[0], rng).json(1))
    return case.finish("v", axis if axis in (1, unit.ndim) else 1, guess(slots, own(len(units)), rng).json(axis))


def index_select(rng: random.Random) -> Triple:
    """Entries of the unit axis or of positions, often where the first of a class is the one that represents it."""
    case, n = Case(rng, rng.choice([(), (2,), (3, 2)]), rng.random() < 0.5), rng.choice([1, 2, 3, 4])
    x = rowset(n, rng)
    case.hidden("h", x)
    axis = rng.choice([case.axis, case.axis, rng.randrange(1, len(case.shapes["h"]))])
    index = [rng.randrange(int(case.shapes["h"][axis])) for _ in range(rng.randint(1, 4))]
    case.node("v", "index_select", ["h"], {"axis": axis, "index": index})
    images = dict(enumerate(index)) if axis == case.axis else own(n)
    out = guess(x, images, rng)
    if rng.random() < 0.5 and all(out.scale[j] == x.scale[i] and out.offset[j] == x.offset[i] for j, i in images.items()):
        out.labels = [x.labels[images[j]] for j in range(len(images))]
    return case.finish("v", case.axis, out.json(case.axis))


def concat(rng: random.Random) -> Triple:
    spatial = rng.choice([(), (2,), (2, 2)])
    case, n = Case(rng, spatial, rng.random() < 0.5), rng.randint(1, 3)
    one = rowset(n, rng)
    axis = case.axis if rng.random() < 0.6 else rng.randrange(1, len(spatial) + 2)
    two = rowset(rng.randint(1, 3) if axis == case.axis else n, rng)
    if rng.random() < 0.5 and axis != case.axis:
        two = one
    case.hidden("h", one)
    case.hidden("k", two)
    names = rng.choice([["h", "k"], ["h", "k", "h"], ["h", "h"], ["k", "h"]])
    case.node("v", "concat", names, {"axis": axis})
    if axis != case.axis:
        out = rng.choice([one, two, guess(one, own(n), rng)])
    else:
        parts = [(name, one if name == "h" else two) for name in names]
        labels = [None if c is None else (name if rng.random() < 0.9 else k, c) for k, (name, x) in enumerate(parts) for c in x.labels]
        kept = [c for c in dict.fromkeys(labels) if c is not None and c[1] in (one if c[0] in ("h", 0) else two).kept]
        out = Rowset(labels, [s for _, x in parts for s in x.scale], [o for _, x in parts for o in x.offset], kept)
        if rng.random() < 0.4:
            out.labels = [None if c is None else (k, c) for k, (_, x) in enumerate(parts) for c in x.labels]
            out.kept = [(k, c) for k, (_, x) in enumerate(parts) for c in x.kept if c in x.labels]
        for c in {c for c in out.labels if c is not None}:
            out.scale[out.labels.index(c)], out.offset[out.labels.index(c)] = Fraction(1), Fraction(0)
    for i in range(len(out.labels)):
        if rng.random() < 0.1:
            out.scale[i], out.offset[i] = rng.choice(SCALES), rng.choice(OFFSETS)
    if rng.random() < 0.2:
        rng.shuffle(out.kept)
    for c in {c for c in out.labels if c is not None}:
        out.scale[out.labels.index(c)], out.offset[out.labels.index(c)] = Fraction(1), Fraction(0)
    return case.finish("v", case.axis, out.json(case.axis))


def convolution(rng: random.Random) -> Triple:
    """The layer itself under test: offsets and constants before taps that may or may not meet the padding; groups."""
    spatial = tuple(rng.randint(1, 6) for _ in range(rng.choice([1, 1, 2])))
    case, n = Case(rng, spatial), rng.choice([1, 2, 2, 4])
    x = rowset(n, rng)
    case.hidden("h", x)
    groups = rng.choice([g for g in (1, 1, 2, n) if n % g == 0])
    kernel = [rng.randint(1, 3) for _ in spatial]
    attrs: Attrs = {
        "stride": [rng.randint(1, 3) for _ in kernel],
        "padding": [rng.randint(0, 3) for _ in kernel],
        "dilation": [rng.randint(1, 3) for _ in kernel],
        "groups": groups,
    }
    out, width = rng.choice([1, 2, 2, 4]) * groups, n // groups
    weight = weights(rng, out, width, *kernel)
    weight[np.array([rng.random() < 0.5 for _ in range(weight.size)]).reshape(weight.shape)] = 0
    if rng.random() < 0.7:  # constants and offsets are read through one tap only
        tap = tuple(rng.randrange(k) for k in kernel)
        for row in range(out):
            for local in range(width):
                unit = row // max(out // groups, 1) * width + local
                if x.offset[unit]:
                    held = weight[(row, local, *tap)]
                    weight[row, local] = 0
                    weight[(row, local, *tap)] = held
    rows = Rowset(list(range(out)), [Fraction(1)] * out, [Fraction(0)] * out, list(range(out)))
    for row in range(1, out):
        if rng.random() < 0.3:
            scale = rng.choice(SCALES)
            weight[row] = float(scale) * weight[row - 1]
            rows.labels[row], rows.scale[row] = rows.labels[row - 1], scale * rows.scale[row - 1]
    bias = weights(rng, out)
    if rng.random() < 0.7:
        for row in range(out):
            first = rows.labels.index(rows.labels[row])
            bias[row] = float(rows.scale[row]) * bias[first]
    alike = rng.random() < 0.2
    if alike:
        weight[...] = weight[(..., *[slice(1)] * len(kernel))]
    case.node("v", "conv", ["h"], attrs, weight=weight, bias=bias)
    rows.kept = [c for c in rows.kept if rng.random() < 0.9]
    triple = case.finish("v", 1, rows.json(1))
    if alike or rng.random() < 0.2:
        other_kernel(triple, rng)
    return triple


def other_kernel(triple: Triple, rng: random.Random) -> None:
    """The same numbers, repeated, in a kernel of other sizes in the reduced network: under a stride the output may have the same shape."""
    node = triple.h.node("v")
    if node is not None and node["kind"] == "conv":
        weight = triple.h.params(node)["weight"]
        sizes = rng.sample(weight.shape[2:], weight.ndim - 2) if rng.random() < 0.5 else [rng.randint(1, 3) for _ in weight.shape[2:]]
        triple.h.put(node, "weight", np.array([[np.resize(taps, sizes) for taps in row] for row in weight], weight.dtype))


def no_attrs(rng: random.Random) -> Attrs:
    return {}


PLAIN = (
    "abs",
    "sign",
    "exp",
    "log",
    "sqrt",
    "reciprocal",
    "erf",
    "sin",
    "cos",
    "softsign",
    "selu",
    "hardswish",
    "mish",
    "logsigmoid",
    "floor",
    "ceil",
    "round",
)
FUNCTIONS: dict[str, Callable[[random.Random], Attrs]] = dict.fromkeys(PLAIN, no_attrs) | {
    "elu": lambda rng: {"alpha": rng.choice([1.0, 0.5])},
    "celu": lambda rng: {"alpha": rng.choice([1.0, 0.5])},
    "softplus": lambda rng: {"beta": rng.choice([1.0, 2.0]), "threshold": rng.choice([20.0, 1.0])},
    "hardsigmoid": lambda rng: {"alpha": rng.choice([0.25, 0.125]), "beta": rng.choice([0.5, 0.5, 0.25])},
    "pow": lambda rng: {"exponent": rng.choice([2, 3.0, -1, -2.0, 0.5, 1])},
}


def transposed(rng: random.Random) -> Triple:
    """A transposed convolution: constants and offsets before taps that are equal, alone, or neither; geometry at random; groups."""
    spatial = tuple(rng.randint(1, 3) for _ in range(rng.choice([1, 1, 2])))
    case, n = Case(rng, spatial), rng.choice([1, 2, 2, 4])
    x = rowset(n, rng)
    case.hidden("h", x)
    groups = rng.choice([g for g in (1, 1, 2, n) if n % g == 0])
    kernel, stride, dilation = ([rng.randint(1, 3) for _ in spatial] for _ in range(3))
    attrs: Attrs = {"stride": stride, "padding": [rng.randint(0, 2) for _ in kernel], "dilation": dilation, "groups": groups}
    attrs["output_padding"] = [rng.randint(0, max(s, d) - 1) for s, d in zip(stride, dilation, strict=True)]
    out, width = rng.choice([1, 2, 2, 4]) * groups, n // groups
    made = out // groups
    weight = weights(rng, out, width, *kernel)  # row by row, as the rule sees it
    weight[np.array([rng.random() < 0.4 for _ in range(weight.size)]).reshape(weight.shape)] = 0
    for row, local in np.ndindex(out, width):
        if x.offset[row // made * width + local] and rng.random() < 0.8:
            weight[row, local] = rng.choice([0.0, weight[(row, local, *[0] * len(kernel))]])
    rows = Rowset(list(range(out)), [Fraction(1)] * out, [Fraction(0)] * out, list(range(out)))
    bias = weights(rng, out)
    for row in range(1, out):
        if rng.random() < 0.3:
            scale = rng.choice(SCALES)
            weight[row], bias[row] = float(scale) * weight[row - 1], float(scale) * bias[row - 1]
            rows.labels[row], rows.scale[row] = rows.labels[row - 1], scale * rows.scale[row - 1]
    stored = weight.reshape(groups, made, width, *kernel).swapaxes(1, 2).reshape(n, made, *kernel)
    case.node("v", "conv_transpose", ["h"], attrs, weight=stored, bias=bias)
    rows.kept = [c for c in rows.kept if rng.random() < 0.9]
    return case.finish("v", 1, rows.json(1))


def table(rng: random.Random) -> Triple:
    """Columns of a table with a lumping, or almost."""
    spatial = rng.choice([(), (2,)])
    case, n, entries = Case(rng, spatial), rng.randint(1, 5), rng.randint(1, 4)
    shape = (None, *spatial)
    case.inputs, case.shapes["x"] = (Value("x", shape, "int64"),), shape
    x = rowset(n, rng)
    weight, bias = produced(x, entries, rng)
    held = (weight + bias[:, None]).T.copy()
    if rng.random() < 0.4:
        held[rng.randrange(entries), rng.randrange(n)] += rng.choice([1, -0.5, 2.0**-18])
    case.node("v", "embedding", ["x"], {"padding_idx": -1}, weight=held)
    return case.finish("v", len(spatial) + 1, x.json(len(spatial) + 1))


TURNS = {"rnn": 0, "lstm": 2, "gru": 2}


def recurrent(kind: str, gates: int) -> Callable[[random.Random], Triple]:
    def make(rng: random.Random) -> Triple:
        case, n, m = Case(rng, (rng.randint(1, 2),), True), rng.randint(1, 3), rng.randint(1, 4)
        x, state = rowset(n, rng), rowset(m, rng)
        attrs: Attrs = {"reverse": rng.random() < 0.5}
        attrs |= {"nonlinearity": rng.choice(["tanh", "relu"])} if kind == "rnn" else {}
        attrs |= {"linear_before_reset": rng.random() < 0.5} if kind == "gru" else {}
        pool = SCALES if rng.random() < 0.1 else [abs(s) for s in SCALES] if attrs.get("nonlinearity") == "relu" else [Fraction(1), Fraction(-1)]
        for i, c in enumerate(state.labels):
            state.offset[i] = rng.choice(OFFSETS) if rng.random() < 0.03 else Fraction(0)
            state.scale[i] = rng.choice(pool) if state.labels.index(c) != i else Fraction(1)
            state.offset[i] *= c is None or state.labels.index(c) != i
        case.hidden("h", x)
        params = _gates(x, state, gates, TURNS[kind], rng)
        for _ in range(rng.choice([0, 0, 0, 1, 2])):  # bent a little, and biases moved from one side to the other
            role = rng.choice(sorted(params))
            at = tuple(rng.randrange(k) for k in params[role].shape)
            step = rng.choice([-1, 1]) * rng.choice([0.125, 1])
            params[role][at] += step
            if role.startswith("bias") and rng.random() < 0.7:
                params["bias_hh" if role == "bias_ih" else "bias_ih"][at] -= step
        if rng.random() < 0.2:
            del params["bias_ih"], params["bias_hh"]
        case.node("v", kind, ["h"], attrs, **params)
        return case.finish("v", 2, state.json(2))

    return make


def _gates(x: Rowset, state: Rowset, gates: int, turning: int, rng: random.Random) -> dict[str, np.ndarray]:
    """Rows that obey the lumpings, mostly: nothing reads a ghost, members repeat their class's row, what turns is multiplied."""
    into, own, left, right = [], [], [], []
    for gate in range(gates):
        base = {c: (weights(rng, len(x.labels)), weights(rng, len(state.labels)), weights(rng, 2)) for c in dict.fromkeys(state.labels)}
        for unit, c in enumerate(state.labels):
            input_row, state_row, shift = base[c]
            silent = c is None and gate == turning
            factor = 0.0 if silent else float(state.scale[unit]) if gate == turning and c is not None else 1.0
            a, b, s = input_row * factor, state_row * factor, shift * factor
            for row, lumping in ((a, x), (b, state)):
                for k, label in enumerate(lumping.labels):
                    if label is not None and label not in lumping.kept and rng.random() < 0.97:
                        row[k] = 0
                one, two = rng.sample(range(len(row)), 2) if len(row) > 1 else (0, 0)
                label = lumping.labels[one]
                if one != two and label in lumping.kept and lumping.labels[two] == label and rng.random() < 0.5:  # what cancels over a class
                    row[one] += float(lumping.scale[two])
                    row[two] -= float(lumping.scale[one])
                    if lumping is x:
                        s[0] -= float(lumping.scale[two] * lumping.offset[one] - lumping.scale[one] * lumping.offset[two])
            into.append(a)
            own.append(b)
            left.append(s[0])
            right.append(s[1])
    arrays = {"weight_ih": into, "weight_hh": own, "bias_ih": left, "bias_hh": right}
    return {role: np.array(value, np.float32) for role, value in arrays.items()}


def softmax(rng: random.Random) -> Triple:
    case, n = Case(rng, rng.choice([(2,), (3, 2)])), rng.randint(1, 4)
    x = rowset(n, rng)
    case.hidden("h", x)
    axis = rng.choice([1, 2, 2, 2, len(case.spatial) + 1])
    case.node("v", "softmax", ["h"], {"axis": axis})
    out = guess(x, own(n), rng)
    for i in range(n):
        if out.labels[i] is None:
            out.offset[i] = rng.choice([Fraction(1, case.shapes["h"][axis]), out.offset[i]])
        elif rng.random() < 0.7:
            out.scale[i], out.offset[i] = x.scale[i] if rng.random() < 0.5 else Fraction(1), Fraction(0)
    for c in {c for c in out.labels if c is not None}:
        out.scale[out.labels.index(c)], out.offset[out.labels.index(c)] = Fraction(1), Fraction(0)
    return case.finish("v", 1, out.json(1))


CLIPS = [(-1.0, 1.0), (0.0, 6.0), (-2.0, 1.0), (1.0, 1.0), (-1, 1)]
CASES: dict[str, Callable[[random.Random], Triple]] = {
    "relu": elementwise("relu", lambda rng: {}),
    "identity": elementwise("identity", lambda rng: {}),
    "dropout": elementwise("dropout", lambda rng: {"p": 0.5}),
    "tanh": elementwise("tanh", lambda rng: {}),
    "sigmoid": elementwise("sigmoid", lambda rng: {}),
    "silu": elementwise("silu", lambda rng: {}),
    "gelu": elementwise("gelu", lambda rng: {"approximate": rng.choice(["none", "tanh"])}),
    "leaky_relu": elementwise("leaky_relu", lambda rng: {"slope": rng.choice([0.25, -0.5, 0.0, 2.0, 1])}),
    "hardtanh": elementwise("hardtanh", lambda rng: dict(zip(("min", "max"), rng.choice(CLIPS), strict=True))),
    **{kind: elementwise(kind, attrs) for kind, attrs in FUNCTIONS.items()},
    "mul_constant": constant("mul_constant", "factor"),
    "add_constant": constant("add_constant", "term"),
    "div_constant": constant("div_constant", "divisor"),
    "add": pairwise("add"),
    "mul": pairwise("mul"),
    "max_pool": pooling("max_pool"),
    "avg_pool": pooling("avg_pool"),
    "adaptive_avg_pool": pooling("adaptive_avg_pool"),
    "adaptive_max_pool": pooling("adaptive_max_pool"),
    **{kind: pooling(kind) for kind in ("mean", "sum", "amax", "amin", "upsample", "pad")},
    "prelu": prelu,
    "more_units": more_units,
    "batch_norm": batch_norm,
    "layout": layout,
    "index_select": index_select,
    "concat": concat,
    "conv": convolution,
    "conv_transpose": transposed,
    "embedding": table,
    "rnn": recurrent("rnn", 1),
    "lstm": recurrent("lstm", 4),
    "gru": recurrent("gru", 3),
    "softmax": softmax,
}


def draw(name: str, rng: random.Random) -> Triple | None:
    """One triple around the operator, or None where the dice gave nothing well formed."""
    try:
        return CASES[name](rng)
    except (*BROKEN, GraphError):
        return None
