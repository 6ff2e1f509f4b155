"""Ways to damage a correct triple: numbers, lumpings, attributes, wiring, claims, bytes.

An operator changes a copy of a triple in place and says whether it applied.
Those marked `refit` come twice: the second time the reduced network is rebuilt
to fit the damaged original or certificate, so that every file agrees with every
other and only the violated obligation is left to notice.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from mutant_rebuild import quotient
from mutant_triples import Json, Net, Triple, compact

from lumpnet.ops import get

Operator = Callable[[Triple, random.Random], bool]
OPERATORS: dict[str, Operator] = {}
BROKEN = (ValueError, IndexError, KeyError, TypeError, ZeroDivisionError, AttributeError, OverflowError, StopIteration)


def operator(refit: bool = False) -> Callable[[Operator], Operator]:
    def register(change: Operator) -> Operator:
        def fitted(triple: Triple, rng: random.Random) -> bool:
            return change(triple, rng) and fit(triple)

        OPERATORS[change.__name__] = change
        if refit:
            OPERATORS[f"{change.__name__} & refit"] = fitted
        return change

    return register


def fit(triple: Triple) -> bool:
    """Rebuild the reduced network from original and certificate, if that has a meaning."""
    try:
        dtype = next((v["dtype"] for v in triple.h.graph["inputs"]), None)
        triple.h, triple.certificate["claim"]["rounding"] = quotient(triple.g, triple.lumpings, dtype)
    except BROKEN:
        return False
    return True


def refresh(net: Net) -> None:
    """Write the shapes that the operators compute, as far as they can."""
    shapes = {v["name"]: tuple(v["shape"]) for v in net.graph["inputs"]}
    for node in net.nodes:
        try:
            if node["kind"] != "opaque":
                node["shape"] = list(get(node["kind"]).infer([shapes[x] for x in node["inputs"]], node["attrs"], net.params(node)))
        except Exception:  # any complaint means that there is no shape: leave the old one
            pass
        shapes[node["name"]] = tuple(node["shape"])


# --- stored numbers ------------------------------------------------------------------------------


def spots(net: Net, least: int = 1) -> list[tuple[Json, str]]:
    return [(n, role) for n in net.nodes for role, t in net.params(n).items() if t.dtype.kind == "f" and t.size >= least]


def ulp(value: Any, rng: random.Random) -> Any:
    return np.nextafter(value, type(value)(rng.choice([-np.inf, np.inf])))


def changed(value: Any, rng: random.Random) -> Any:
    return rng.choice([ulp(value, rng), ulp(value, rng), -value, 2 * value, value / 2, value + type(value)(1), type(value)(0), value * type(value)(1.25)])


def _one_entry(net: Net, rng: random.Random, change: Callable[[Any, random.Random], Any]) -> bool:
    found = spots(net)
    if not found:
        return False
    node, role = rng.choice(found)
    tensor = net.params(node)[role].copy()
    at = rng.randrange(tensor.size)
    value = change(tensor.reshape(-1)[at], rng)
    if not np.isfinite(value):
        return False
    tensor.reshape(-1)[at] = value
    net.put(node, role, tensor)
    return True


@operator()
def reduced_ulp(t: Triple, rng: random.Random) -> bool:
    return _one_entry(t.h, rng, ulp)


@operator()
def reduced_entry(t: Triple, rng: random.Random) -> bool:
    return _one_entry(t.h, rng, changed)


@operator(refit=True)
def original_ulp(t: Triple, rng: random.Random) -> bool:
    return _one_entry(t.g, rng, ulp)


@operator(refit=True)
def original_entry(t: Triple, rng: random.Random) -> bool:
    return _one_entry(t.g, rng, changed)


@operator()
def both_entries(t: Triple, rng: random.Random) -> bool:
    """The same change at the same place of both networks."""
    found = [(n, role) for n, role in spots(t.h) if t.g.node(n["name"]) and role in (t.g.node(n["name"]) or {})["params"]]
    if not found:
        return False
    its, role = rng.choice(found)
    mine = t.g.node(its["name"]) or {}
    one, two = t.g.params(mine)[role].copy(), t.h.params(its)[role].copy()
    if one.ndim != two.ndim:
        return False
    at = tuple(rng.randrange(min(a, b)) for a, b in zip(one.shape, two.shape, strict=True))
    value = changed(two[at], rng)
    if not np.isfinite(value):
        return False
    one[at] = two[at] = value
    t.g.put(mine, role, one)
    t.h.put(its, role, two)
    return True


def _swap_slices(net: Net, rng: random.Random, axis: int) -> bool:
    found = [(n, role) for n, role in spots(net, 2) if net.params(n)[role].ndim > axis and net.params(n)[role].shape[axis] > 1]
    if not found:
        return False
    node, role = rng.choice(found)
    tensor = net.params(node)[role]
    order = list(range(tensor.shape[axis]))
    i, j = rng.sample(order, 2)
    order[i], order[j] = j, i
    net.put(node, role, np.take(tensor, order, axis))
    return True


@operator()
def reduced_rows_swapped(t: Triple, rng: random.Random) -> bool:
    return _swap_slices(t.h, rng, 0)


@operator()
def reduced_columns_swapped(t: Triple, rng: random.Random) -> bool:
    return _swap_slices(t.h, rng, 1)


@operator(refit=True)
def original_rows_swapped(t: Triple, rng: random.Random) -> bool:
    return _swap_slices(t.g, rng, 0)


@operator(refit=True)
def original_columns_swapped(t: Triple, rng: random.Random) -> bool:
    return _swap_slices(t.g, rng, 1)


@operator()
def original_taps_swapped(t: Triple, rng: random.Random) -> bool:
    return _swap_slices(t.g, rng, 2)


@operator()
def tensor_sizes(t: Triple, rng: random.Random) -> bool:
    """A tensor of one network with other sizes: two of them exchanged, or one more or less of one, the numbers in their order and repeated."""
    net = rng.choice([t.g, t.h])
    found = [(n, role) for n, role in spots(net) if net.params(n)[role].ndim]
    if not found:
        return False
    node, role = rng.choice(found)
    tensor = net.params(node)[role]
    sizes, k = list(tensor.shape), rng.randrange(tensor.ndim)
    if tensor.ndim > 1 and rng.random() < 0.5:
        j = rng.randrange(tensor.ndim)
        sizes[j], sizes[k] = sizes[k], sizes[j]
    else:
        sizes[k] += rng.choice([-1, 1])
    net.put(node, role, np.resize(tensor, sizes))
    return tuple(sizes) != tensor.shape


@operator(refit=True)
def original_row_scaled(t: Triple, rng: random.Random) -> bool:
    """A row of weights, or one channel's slope, times a power of two, perhaps with its bias."""
    found = [n for n in t.g.nodes if "weight" in n["params"] and t.g.params(n)["weight"].size]
    if not found:
        return False
    node, factor = rng.choice(found), rng.choice([-1.0, 2.0, 0.5, 0.0])
    roles = ["weight", "bias"] if rng.random() < 0.5 and "bias" in node["params"] else ["weight"]
    at = rng.randrange(len(t.g.params(node)["weight"]))
    for role in roles:
        tensor = t.g.params(node)[role].copy()
        tensor[at] *= tensor.dtype.type(factor)
        t.g.put(node, role, tensor)
    return True


@operator(refit=True)
def original_row_copied(t: Triple, rng: random.Random) -> bool:
    found = [(n, role) for n, role in spots(t.g, 2) if t.g.params(n)[role].ndim and len(t.g.params(n)[role]) > 1]
    if not found:
        return False
    node, role = rng.choice(found)
    tensor = t.g.params(node)[role].copy()
    i, j = rng.sample(range(len(tensor)), 2)
    tensor[i] = tensor[j]
    t.g.put(node, role, tensor)
    return True


@operator()
def bias_added(t: Triple, rng: random.Random) -> bool:
    """A bias, zero or not, where there was none."""
    net = rng.choice([t.g, t.h])
    found = [n for n in net.nodes if n["kind"] in ("linear", "conv") and "bias" not in n["params"]]
    if not found:
        return False
    node = rng.choice(found)
    weight = net.params(node)["weight"]
    bias = np.zeros(len(weight), weight.dtype)
    if rng.random() < 0.6 and len(bias):
        bias[rng.randrange(len(bias))] = rng.choice([1.0, -0.5, 2.0**-149, -0.0])
    net.put(node, "bias", bias)
    return True


@operator(refit=True)
def parameter_removed(t: Triple, rng: random.Random) -> bool:
    net = rng.choice([t.g, t.h])
    found = [(n, role) for n in net.nodes for role in n["params"]]
    if not found:
        return False
    node, role = rng.choice(found)
    del node["params"][role]
    return True


@operator(refit=True)
def shared_or_swapped_tensors(t: Triple, rng: random.Random) -> bool:
    """Two roles of one shape read each other's tensor, or both the same one."""
    net = rng.choice([t.g, t.h])
    found = spots(net)
    pairs = [(a, b) for a in found for b in found if a != b and net.params(a[0])[a[1]].shape == net.params(b[0])[b[1]].shape]
    if not pairs:
        return False
    (one, r), (two, s) = rng.choice(pairs)
    first, second = one["params"][r], two["params"][s]
    one["params"][r] = second
    if rng.random() < 0.5:
        two["params"][s] = first
    return True


@operator()
def dtype_cast(t: Triple, rng: random.Random) -> bool:
    """One tensor, or the whole reduced network, in the other float type."""
    found = spots(t.h)
    whole = rng.random() < 0.5
    if not found:
        return False
    node, role = rng.choice(found)
    for n, r in found if whole else [(node, role)]:
        tensor = t.h.params(n)[r]
        t.h.put(n, r, tensor.astype(np.float64 if tensor.dtype == np.float32 else np.float32))
    if whole:
        for value in t.h.values().values():
            value["dtype"] = {"float32": "float64", "float64": "float32"}.get(value["dtype"], value["dtype"])
    return True


@operator()
def batch_norm_parameter(t: Triple, rng: random.Random) -> bool:
    """One number of a batch norm in one network or in both."""
    names = [n["name"] for n in t.g.nodes if n["kind"] == "batch_norm"]
    if not names:
        return False
    name, role = rng.choice(names), rng.choice(["weight", "bias", "mean", "var"])
    nets = rng.choice([[t.g], [t.h], [t.g, t.h]])
    for net in nets:
        node = net.node(name)
        if node is None or role not in node["params"]:
            return False
        tensor = net.params(node)[role].copy()
        if not len(tensor):
            return False
        at = rng.randrange(len(tensor)) if len(nets) == 1 else 0
        tensor[at] = rng.choice([tensor[at] * 4, tensor[at] * 2, tensor[at] + 1, ulp(tensor[at], rng), -tensor[at]])
        net.put(node, role, tensor)
    return True


# --- attributes ----------------------------------------------------------------------------------


def _bump(values: list[int], rng: random.Random, least: int) -> list[int]:
    at = rng.randrange(len(values))
    return [max(least, v + rng.choice([-1, 1])) if k == at else v for k, v in enumerate(values)]


def _attribute(node: Json, rng: random.Random) -> bool:
    a = node["attrs"]
    if not a:
        return False
    key = rng.choice(sorted(a))
    value = a[key]
    if key in ("stride", "dilation", "kernel"):
        a[key] = _bump(value, rng, 1)
    elif key in ("padding", "output_size", "shape"):
        a[key] = _bump(value, rng, 0) if rng.random() < 0.7 else value[::-1]
    elif isinstance(value, bool):
        a[key] = not value
    elif key in ("eps", "slope", "min", "max", "p", "alpha", "beta", "threshold", "exponent", "value", "scale"):
        a[key] = rng.choice([value * 2, -value, value + 1, math.nextafter(value, 9.0), 0.0, int(value)])
    elif key == "index":
        a[key] = rng.choice([_bump(value, rng, 0), value[::-1], [*value, value[0]], value[1:] or [0]])
    elif key == "scales":
        a[key] = _bump(value, rng, 1)
    elif key == "pads":
        a[key] = rng.choice([value[::-1], [pair[::-1] for pair in value], [*value[:-1], [n + 1 for n in value[-1]]]])
    elif key == "mode":
        a[key] = rng.choice(["constant", "reflect", "replicate", "circular", "nearest"])
    elif key == "approximate":
        a[key] = "tanh" if value == "none" else "none"
    elif key == "divisor_override":
        a[key] = rng.choice([None, 1, 2, 3, 4])
    elif key in ("axis", "groups"):
        a[key] = rng.choice([None, 1, 2, 3]) if key == "axis" else rng.choice([1, 2, value + 1])
    elif key in ("heads", "kv_heads"):
        a[key] = rng.choice([1, 2, 2 * value])
    elif key == "nonlinearity":
        a[key] = "relu" if value == "tanh" else "tanh"
    elif key == "dims":
        a[key] = 3 - value if isinstance(value, int) else [0, *rng.sample(value[1:], len(value) - 1)]
    elif key == "axes":
        a[key] = rng.choice([value[:-1], [max(1, v - 1) for v in value], value[::-1], [*value, 1]])
    elif key == "target":
        a[key] = value + "_"
    elif key == "args":
        a[key] = [*value, None]
    elif key == "output":
        a[key] = 0 if value is None else None
    else:
        return False
    return True


def _attributes(t: Triple, rng: random.Random, nets: list[Net]) -> bool:
    names = [n["name"] for n in nets[0].nodes if n["attrs"] and all(net.node(n["name"]) for net in nets)]
    if not names:
        return False
    name, seed = rng.choice(names), rng.random()
    done = [_attribute(net.node(name) or {}, random.Random(seed)) for net in nets]
    if rng.random() < 0.8:
        for net in nets:
            refresh(net)
    return all(done)


@operator()
def reduced_attribute(t: Triple, rng: random.Random) -> bool:
    return _attributes(t, rng, [t.h])


@operator(refit=True)
def original_attribute(t: Triple, rng: random.Random) -> bool:
    return _attributes(t, rng, [t.g])


@operator()
def both_attributes(t: Triple, rng: random.Random) -> bool:
    return _attributes(t, rng, [t.g, t.h])


@operator(refit=True)
def offset_read_elsewhere(t: Triple, rng: random.Random) -> bool:
    """A convolution reads a constant or shifted channel through another tap, perhaps one that meets the padding."""
    found = []
    for node in t.g.nodes:
        lumping = t.lumpings.get(node["inputs"][0]) if node["inputs"] else None
        if node["kind"] == "conv" and node["attrs"]["groups"] == 1 and isinstance(lumping, dict):
            found += [(node, int(unit)) for unit in lumping["offset"]]
    if not found:
        return False
    node, unit = rng.choice(found)
    weight = t.g.params(node)["weight"].copy()
    if weight.size == 0 or unit >= weight.shape[1]:
        return False
    at = (rng.randrange(len(weight)), unit, *(rng.randrange(k) for k in weight.shape[2:]))
    weight[at] = rng.choice([0.0, 1.0, -0.5])
    t.g.put(node, "weight", weight)
    return True


@operator()
def windows_changed(t: Triple, rng: random.Random) -> bool:
    """What an average counts and divides by, or a pool's padding, in both networks."""
    names = [n["name"] for n in t.g.nodes if n["kind"] in ("avg_pool", "max_pool")]
    if not names:
        return False
    name, seed = rng.choice(names), rng.random()
    for net in (t.g, t.h):
        node, dice = net.node(name), random.Random(seed)
        if node is None:
            return False
        if node["kind"] == "avg_pool" and dice.random() < 0.7:
            node["attrs"]["divisor_override"] = dice.choice([None, None, 1, 3, 4])
            node["attrs"]["count_include_pad"] = dice.random() < 0.7
        else:
            node["attrs"]["padding"] = [dice.randint(0, k // 2) for k in node["attrs"]["kernel"]]
        refresh(net)
    return True


UNARY: dict[str, Json] = {
    "relu": {},
    "identity": {},
    "tanh": {},
    "sigmoid": {},
    "silu": {},
    "dropout": {"p": 0.5},
    "leaky_relu": {"slope": -0.5},
    "hardtanh": {"min": -1.0, "max": 1.0},
    "gelu": {"approximate": "none"},
    "abs": {},
    "erf": {},
    "cos": {},
    "softplus": {"beta": 1.0, "threshold": 20.0},
    "hardsigmoid": {"alpha": 0.25, "beta": 0.5},
    "pow": {"exponent": 2},
}


@operator(refit=True)
def kind(t: Triple, rng: random.Random) -> bool:
    """An elementwise function becomes another, in one network or in both."""
    names = [n["name"] for n in t.g.nodes if n["kind"] in UNARY or n["kind"] in ("add", "mul")]
    if not names:
        return False
    name = rng.choice(names)
    old = (t.g.node(name) or {})["kind"]
    new = rng.choice([k for k in UNARY if k != old]) if old in UNARY else {"add": "mul", "mul": "add"}[old]
    for net in rng.choice([[t.g], [t.h], [t.g, t.h]]):
        node = net.node(name)
        if node is None or node["kind"] != old:
            return False
        node["kind"], node["attrs"] = new, dict(UNARY.get(new, {}))
    return True


@operator()
def hardtanh_limits(t: Triple, rng: random.Random) -> bool:
    """Limits of a clip in both networks: symmetric ones are odd, others are not."""
    names = [n["name"] for n in t.g.nodes if n["kind"] in UNARY]
    if not names:
        return False
    name, limits = rng.choice(names), rng.choice([(-1.0, 1.0), (-1.0, 1.5), (0.0, 6.0), (-2, 2), (1.0, 2.0), (0.0, 0.0)])
    for net in (t.g, t.h):
        node = net.node(name)
        if node is not None:
            node["kind"], node["attrs"] = "hardtanh", {"min": limits[0], "max": limits[1]}
    return True


# --- wiring --------------------------------------------------------------------------------------


@operator()
def node_removed(t: Triple, rng: random.Random) -> bool:
    net = rng.choice([t.g, t.h])
    if not net.nodes:
        return False
    at = rng.randrange(len(net.nodes))
    gone = net.nodes.pop(at)
    if gone["inputs"]:
        for node in net.nodes:
            node["inputs"] = [gone["inputs"][0] if x == gone["name"] else x for x in node["inputs"]]
    if rng.random() < 0.5:
        t.lumpings.pop(gone["name"], None)
    refresh(net)
    return True


@operator()
def node_added(t: Triple, rng: random.Random) -> bool:
    """A copy of a node, a stray activation or a value nobody reads, in one network or in both."""
    nets = rng.choice([[t.g], [t.h], [t.g, t.h]])
    if not nets[0].nodes:
        return False
    name, spliced = rng.choice(nets[0].nodes)["name"], rng.random() < 0.5
    for net in nets:
        node = net.node(name)
        if node is None:
            return False
        new = json.loads(compact(node)) | {"name": f"{name}+"}
        if spliced:
            new |= {"kind": "relu", "attrs": {}, "params": {}, "inputs": [name]}
            for other in net.nodes:
                other["inputs"] = [new["name"] if x == name else x for x in other["inputs"]]
        net.nodes.insert(net.nodes.index(node) + 1, new)
    t.lumpings[f"{name}+"] = rng.choice(["dropped", "identity", t.lumpings[name]])
    return True


@operator()
def nodes_reordered(t: Triple, rng: random.Random) -> bool:
    net = rng.choice([t.g, t.h])
    pairs = [k for k in range(len(net.nodes) - 1) if net.nodes[k]["name"] not in net.nodes[k + 1]["inputs"]]
    k = rng.choice(pairs) if pairs and rng.random() < 0.8 else rng.randrange(max(1, len(net.nodes) - 1))
    if k + 1 >= len(net.nodes):
        return False
    net.nodes[k], net.nodes[k + 1] = net.nodes[k + 1], net.nodes[k]
    return True


@operator(refit=True)
def input_replaced(t: Triple, rng: random.Random) -> bool:
    """A node reads another earlier value of the same shape."""
    net = rng.choice([t.g, t.h])
    values = net.values()
    order = {name: k for k, name in enumerate(values)}
    found = [
        (n, k, other)
        for n in net.nodes
        for k, x in enumerate(n["inputs"])
        for other in values
        if other != x and x in values and order[other] < order[n["name"]] and values[other]["shape"] == values[x]["shape"]
    ]
    if not found:
        return False
    node, k, other = rng.choice(found)
    node["inputs"][k] = other
    if rng.random() < 0.3:
        twin = (t.h if net is t.g else t.g).node(node["name"])
        if twin is not None and k < len(twin["inputs"]):
            twin["inputs"][k] = other
    return True


@operator(refit=True)
def inputs_reversed(t: Triple, rng: random.Random) -> bool:
    nets = rng.choice([[t.g], [t.h], [t.g, t.h]])
    names = [n["name"] for n in nets[0].nodes if len(n["inputs"]) > 1]
    if not names:
        return False
    name = rng.choice(names)
    for net in nets:
        node = net.node(name)
        if node is not None:
            node["inputs"].reverse()
    return True


@operator()
def outputs_changed(t: Triple, rng: random.Random) -> bool:
    nets = rng.choice([[t.g], [t.h], [t.g, t.h]])
    what, name = rng.randrange(5), rng.choice(sorted(t.g.values()))
    for net in nets:
        out = net.graph["outputs"]
        if what == 0 and len(out) > 1:
            out.pop()
        elif what == 1:
            out.append(out[0])
        elif what == 2:
            out.append(name)
        elif what == 3:
            out[0] = name
        else:
            out.reverse()
    return True


@operator()
def inputs_changed(t: Triple, rng: random.Random) -> bool:
    """An input renamed, added, removed, reshaped or retyped."""
    nets = rng.choice([[t.g], [t.h], [t.g, t.h]])
    what = rng.randrange(5)
    for net in nets:
        ins = net.graph["inputs"]
        if what == 0:
            ins.append({"name": "more", "shape": [None, 2], "dtype": ins[0]["dtype"]})
        elif what == 1:
            ins.reverse()
        elif what == 2:
            ins[0]["shape"] = [*ins[0]["shape"][:-1], ins[0]["shape"][-1] + 1]
        elif what == 3:
            ins[0]["dtype"] = rng.choice(["float64", "int64", "float16"])
        else:
            ins.pop()
    if what == 0 and rng.random() < 0.7:
        t.lumpings["more"] = "identity"
    return True


@operator()
def renamed(t: Triple, rng: random.Random) -> bool:
    """Two values of one network exchange names."""
    net = rng.choice([t.g, t.h])
    if len(net.nodes) < 2:
        return False
    one, two = (n["name"] for n in rng.sample(net.nodes, 2))
    text = compact(net.graph["nodes"])
    net.graph["nodes"] = json.loads(text.replace(f'"{one}"', '"\\u0000"').replace(f'"{two}"', f'"{one}"').replace('"\\u0000"', f'"{two}"'))
    return True


# --- lumpings ------------------------------------------------------------------------------------


def _lumping(change: Callable[[Json, random.Random], bool]) -> Operator:
    """Apply a change to one lumping, or alike to every value that has this very lumping."""

    def apply(t: Triple, rng: random.Random) -> bool:
        names = sorted(name for name, x in t.lumpings.items() if isinstance(x, dict) and x["class"])
        if not names:
            return False
        name = rng.choice(names)
        old = t.lumpings[name]
        new = json.loads(compact(old))
        try:
            if not change(new, rng):
                return False
        except BROKEN:
            return False
        same = rng.random() < 0.6
        for other, x in list(t.lumpings.items()):
            if other == name or (same and x == old):
                t.lumpings[other] = json.loads(compact(new))
        return True

    apply.__name__, apply.__doc__ = change.__name__, change.__doc__
    operator(refit=True)(apply)
    return apply


def tidy(x: Json, classes: list[Any], kept: list[Any]) -> None:
    """Number arbitrary class labels: those in `kept` first and in that order, the others as ghosts; -1 stays. The first unit represents."""
    present = [c for c in dict.fromkeys(classes) if c != -1]
    order = [c for c in kept if c in present] + [c for c in present if c not in kept]
    place = {c: k for k, c in enumerate(order)} | {-1: -1}
    old = {x["class"][r]: r for r in x["representative"]}
    x["class"], x["columns"] = [place[c] for c in classes], len([c for c in kept if c in present])
    members = {k: [i for i, c in enumerate(x["class"]) if c == k] for k in range(len(order))}
    x["representative"] = [old[c] if old.get(c) in members[place[c]] else members[place[c]][0] for c in order]
    for unit, c in enumerate(x["class"]):
        if c < 0 or unit in x["representative"]:
            x["scale"].pop(str(unit), None)
        if c >= 0 and unit in x["representative"]:
            x["offset"].pop(str(unit), None)


def _kept(x: Json) -> list[int]:
    return list(range(x["columns"]))


def number(rng: random.Random) -> str:
    return str(rng.choice([Fraction(rng.randint(-8, 8), 4), Fraction(1, 2 ** rng.randint(1, 30)), Fraction(-1, 3), Fraction(2 ** rng.randint(1, 30))]))


def _set(table: Json, unit: int, value: Fraction, absent: int) -> None:
    table.pop(str(unit), None)
    if value != absent:
        table[str(unit)] = str(value)


@_lumping
def unit_moved(x: Json, rng: random.Random) -> bool:
    unit = rng.randrange(len(x["class"]))
    classes = list(x["class"])
    classes[unit] = rng.choice([*range(len(x["representative"])), "new"])
    if rng.random() < 0.5:
        x["scale"].pop(str(unit), None)
        x["offset"].pop(str(unit), None)
    tidy(x, classes, [*_kept(x), "new"] if rng.random() < 0.5 else _kept(x))
    return True


@_lumping
def unit_made_constant(x: Json, rng: random.Random) -> bool:
    unit = rng.randrange(len(x["class"]))
    classes = list(x["class"])
    classes[unit] = -1
    if rng.random() < 0.5:
        _set(x["offset"], unit, Fraction(number(rng)), 0)
    elif rng.random() < 0.7:
        x["offset"].pop(str(unit), None)
    tidy(x, classes, _kept(x))
    return True


@_lumping
def constant_freed(x: Json, rng: random.Random) -> bool:
    found = [i for i, c in enumerate(x["class"]) if c == -1]
    if not found:
        return False
    classes = list(x["class"])
    classes[rng.choice(found)] = rng.choice(["new", 0])
    tidy(x, classes, [*_kept(x), "new"])
    return True


@_lumping
def class_split(x: Json, rng: random.Random) -> bool:
    unit = rng.randrange(len(x["class"]))
    classes = list(x["class"])
    classes[unit] = "new"
    tidy(x, classes, [*_kept(x), "new"])
    return True


@_lumping
def classes_merged(x: Json, rng: random.Random) -> bool:
    if len(x["representative"]) < 2:
        return False
    one, two = rng.sample(range(len(x["representative"])), 2)
    scale = Fraction(rng.choice(["1", "1", "2", "-1", "1/2"]))
    for unit, c in enumerate(x["class"]):
        if c == two:
            _set(x["scale"], unit, scale * Fraction(x["scale"].get(str(unit), 1)), 1)
    tidy(x, [one if c == two else c for c in x["class"]], _kept(x))
    return True


@_lumping
def class_becomes_ghost(x: Json, rng: random.Random) -> bool:
    if not x["columns"]:
        return False
    gone = rng.randrange(x["columns"])
    tidy(x, list(x["class"]), [c for c in _kept(x) if c != gone])
    return True


@_lumping
def ghost_becomes_kept(x: Json, rng: random.Random) -> bool:
    ghosts = list(range(x["columns"], len(x["representative"])))
    if not ghosts:
        return False
    kept = _kept(x)
    kept.insert(rng.randint(0, len(kept)), rng.choice(ghosts))
    tidy(x, list(x["class"]), kept)
    return True


@_lumping
def scale_changed(x: Json, rng: random.Random) -> bool:
    unit = rng.randrange(len(x["class"]))
    old = Fraction(x["scale"].get(str(unit), 1))
    new = rng.choice([old * 2, old / 2, -old, 1 / old, old + Fraction(1, 2 ** rng.randint(1, 40)), Fraction(1), old * Fraction(2, 3)])
    _set(x["scale"], unit, new, 1)
    return True


@_lumping
def offset_changed(x: Json, rng: random.Random) -> bool:
    unit = rng.randrange(len(x["class"]))
    old = x["offset"].get(str(unit), "0")
    if isinstance(old, list):
        at = rng.randrange(3)
        old[at] = str(Fraction(old[at]) * rng.choice([2, Fraction(1, 4), 3]) or Fraction(1))
        x["offset"][str(unit)] = old
        return True
    value = Fraction(old)
    new = rng.choice([value + Fraction(1, 2 ** rng.randint(0, 40)), -value, value * 2, Fraction(0), value - 1])
    _set(x["offset"], unit, new, 0)
    return True


@_lumping
def offset_irrational(x: Json, rng: random.Random) -> bool:
    """An irrational, or rational in disguise, constant."""
    found = [i for i, c in enumerate(x["class"]) if c == -1] or [0]
    unit = rng.choice(found)
    value = x["offset"].get(str(unit), "0")
    base = value if isinstance(value, str) else value[0]
    x["offset"][str(unit)] = rng.choice([[base, "1", "2"], [str(Fraction(base) - 2), "1", "4"], [str(Fraction(base) + 3), "-2", "9/4"], ["0", "1", "2"]])
    return True


@_lumping
def irrational_respelt(x: Json, rng: random.Random) -> bool:
    """a + b*sqrt(r) as a + (b/k)*sqrt(k*k*r): the same number; sometimes not quite."""
    found = [unit for unit, value in x["offset"].items() if isinstance(value, list)]
    if not found:
        return False
    a, b, r = map(Fraction, x["offset"][found[0]])
    k = rng.choice([2, 3, Fraction(1, 2)])
    wrong = rng.choice([0, 0, Fraction(1, 2**40)])
    x["offset"][found[0]] = [str(a), str(b / k), str(r * k * k + wrong)]
    return True


@_lumping
def representative_changed(x: Json, rng: random.Random) -> bool:
    """Another unit of the class, nothing else adjusted."""
    k = rng.randrange(len(x["representative"]))
    x["representative"][k] = rng.choice([i for i, c in enumerate(x["class"]) if c == k])
    for unit in x["representative"] if rng.random() < 0.5 else ():
        x["scale"].pop(str(unit), None)
        x["offset"].pop(str(unit), None)
    return True


@_lumping
def representative_renormalised(x: Json, rng: random.Random) -> bool:
    """Another unit of the class, with all scales and offsets relative to it: still true where columns are shared alike."""
    k = rng.randrange(len(x["representative"]))
    members = [i for i, c in enumerate(x["class"]) if c == k]
    new = rng.choice(members)
    s, o = Fraction(x["scale"].get(str(new), 1)), Fraction(x["offset"].get(str(new), 0))
    for unit in members:
        scale = Fraction(x["scale"].get(str(unit), 1)) / s
        offset = Fraction(x["offset"].get(str(unit), 0)) - scale * o
        _set(x["scale"], unit, scale, 1)
        _set(x["offset"], unit, offset, 0)
    x["representative"][k] = new
    return True


@_lumping
def columns_permuted(x: Json, rng: random.Random) -> bool:
    kept = _kept(x)
    rng.shuffle(kept)
    tidy(x, list(x["class"]), kept)
    return True


@_lumping
def representatives_swapped(x: Json, rng: random.Random) -> bool:
    if len(x["representative"]) < 2:
        return False
    i, j = rng.sample(range(len(x["representative"])), 2)
    reps = x["representative"]
    reps[i], reps[j] = reps[j], reps[i]
    return True


@_lumping
def units_swapped(x: Json, rng: random.Random) -> bool:
    """Two units exchange class, scale and offset."""
    if len(x["class"]) < 2:
        return False
    i, j = rng.sample(range(len(x["class"])), 2)
    x["class"][i], x["class"][j] = x["class"][j], x["class"][i]
    for table, absent in ((x["scale"], "1"), (x["offset"], "0")):
        one, two = table.pop(str(i), absent), table.pop(str(j), absent)
        table |= {unit: value for unit, value in ((str(i), two), (str(j), one)) if value != absent}
    swap = {i: j, j: i}
    x["representative"] = [swap.get(r, r) for r in x["representative"]]
    return True


@_lumping
def columns_counted_wrongly(x: Json, rng: random.Random) -> bool:
    x["columns"] = max(0, x["columns"] + rng.choice([-1, 1]))
    return True


@_lumping
def axis_changed(x: Json, rng: random.Random) -> bool:
    x["axis"] = rng.choice([a for a in (1, 2, 3) if a != x["axis"]])
    return True


@_lumping
def everything_constant(x: Json, rng: random.Random) -> bool:
    x |= {"class": [-1] * len(x["class"]), "columns": 0, "representative": [], "scale": {}}
    return True


@_lumping
def all_ghosts(x: Json, rng: random.Random) -> bool:
    """Nothing kept; ghosts of several units still claim something."""
    tidy(x, list(x["class"]), [])
    return True


@operator(refit=True)
def lumping_in_words(t: Triple, rng: random.Random) -> bool:
    """ "identity" or "dropped" instead of what was there."""
    name = rng.choice(sorted(t.lumpings))
    t.lumpings[name] = rng.choice(["identity", "dropped"])
    return True


@operator(refit=True)
def identity_spelt_out(t: Triple, rng: random.Random) -> bool:
    """A lumping in full where the certificate said identity, two units merged or one constant."""
    values = t.g.values()
    names = sorted(n for n, x in t.lumpings.items() if x == "identity" and len(values[n]["shape"]) > 1 and values[n]["shape"][1])
    if not names:
        return False
    name = rng.choice(names)
    axis = rng.randrange(1, len(values[name]["shape"]))
    n = values[name]["shape"][axis]
    x = {"axis": axis, "columns": n, "class": list(range(n)), "representative": list(range(n)), "scale": {}, "offset": {}}
    classes: list[Any] = list(range(n))
    classes[rng.randrange(n)] = rng.choice([-1, 0, classes[-1]])
    tidy(x, classes, list(range(n)))
    t.lumpings[name] = x
    return True


@operator(refit=True)
def lumping_copied(t: Triple, rng: random.Random) -> bool:
    """The lumping of another value with as many units."""
    found = sorted(n for n, x in t.lumpings.items() if isinstance(x, dict))
    pairs = [(a, b) for a in found for b in found if a != b and len(t.lumpings[a]["class"]) == len(t.lumpings[b]["class"]) and t.lumpings[a] != t.lumpings[b]]
    if not pairs:
        return False
    one, two = rng.choice(pairs)
    t.lumpings[one] = t.lumpings[two] | {"axis": t.lumpings[one]["axis"]}
    return True


@operator()
def lumpings_named_wrongly(t: Triple, rng: random.Random) -> bool:
    name = rng.choice(sorted(t.lumpings))
    x = t.lumpings.pop(name)
    if rng.random() < 0.6:
        t.lumpings[rng.choice([name + " ", "other", name.upper()])] = x
    return True


# --- claims and bytes ----------------------------------------------------------------------------


@operator()
def rounding_claim(t: Triple, rng: random.Random) -> bool:
    t.certificate["claim"]["rounding"] = {"none": "nearest", "nearest": "none"}[t.rounding]
    return True


@operator()
def rounding_claim_and_ulp(t: Triple, rng: random.Random) -> bool:
    t.certificate["claim"]["rounding"] = "nearest"
    return _one_entry(t.h, rng, ulp)


@operator()
def claim_words(t: Triple, rng: random.Random) -> bool:
    key = rng.choice(["verdict", "rounding"])
    t.certificate["claim"][key] = rng.choice(["bounded", "exact-on-domain", "", None, 1, "Exact", "none ", ["exact"]])
    return True


@operator()
def informative_parts(t: Triple, rng: random.Random) -> bool:
    """Rules and annotations mean nothing to the verdict."""
    t.certificate[rng.choice(["rules", "annotations"])] = {"other": rng.randint(0, 9)}
    return True


@operator()
def certificate_keys(t: Triple, rng: random.Random) -> bool:
    if rng.random() < 0.5:
        t.certificate.pop(rng.choice(sorted(t.certificate)))
        t.rebind = "original" in t.certificate and "reduced" in t.certificate
    else:
        t.certificate["extra"] = 1
    return True


@operator()
def hashes_exchanged(t: Triple, rng: random.Random) -> bool:
    t.files()
    t.certificate["original"], t.certificate["reduced"] = t.certificate["reduced"], t.certificate["original"]
    t.rebind = False
    return True


@operator()
def networks_exchanged(t: Triple, rng: random.Random) -> bool:
    t.g, t.h = t.h, t.g
    return True


@operator()
def original_byte(t: Triple, rng: random.Random) -> bool:
    t.spoil = ("g", rng.randrange(1 << 20))
    return True


@operator()
def reduced_byte(t: Triple, rng: random.Random) -> bool:
    t.spoil = ("h", rng.randrange(1 << 20))
    return True


@operator()
def certificate_byte(t: Triple, rng: random.Random) -> bool:
    t.spoil = ("c", rng.randrange(1 << 20))
    return True
