"""The quotient that a certificate's lumpings describe, true or not, computed in fractions and in this file's own words.

Serves twice: mutants get a reduced network that *fits* their false lumpings, so
that only the obligation itself can refuse them; and a proof with rounding
"nearest" is judged by the exact quotient.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from mutant_triples import Json, Net

from lumpnet.exact import round_to

Params = dict[str, np.ndarray]


class Rows:
    """A lumping as unit -> (class, scale, offset); class -1 is constant, classes from `columns` on are not in the reduced network."""

    def __init__(self, classes: list[int], reps: list[int], columns: int, scale: Json, offset: Json):
        self.classes, self.reps, self.columns = classes, reps, columns
        self._scale, self._offset = scale, offset

    def scale(self, unit: int) -> Fraction:
        return Fraction(self._scale.get(str(unit), 1)) if self.classes[unit] >= 0 else Fraction(0)

    def offset(self, unit: int) -> Fraction:
        """Raises `ValueError` for a constant that is no fraction."""
        value = self._offset.get(str(unit), 0)
        if isinstance(value, list):
            raise ValueError("an irrational constant")
        return Fraction(value)

    @property
    def shifted(self) -> list[int]:
        return [unit for unit in range(len(self.classes)) if self._offset.get(str(unit), 0) != 0]

    def kept(self) -> list[int]:
        return self.reps[: self.columns]


def is_absent(lumping: Any) -> bool:
    return lumping == "dropped" or (lumping != "identity" and lumping["columns"] == 0)


def is_spelt_out(lumping: Json) -> bool:
    """Whether the lumping is one of the two that read the same on every axis."""
    n = len(lumping["class"])
    return (lumping["columns"] == n and lumping["class"] == list(range(n))) or (lumping["columns"] == 0 and sorted(lumping["class"]) == list(range(n)))


def rows(lumping: Any, shape: list[int], axis: int) -> Rows:
    """The lumping seen along `axis`. Raises `ValueError` where it speaks of another one."""
    if isinstance(lumping, str):
        units = list(range(shape[axis]))
        return Rows(units, units, len(units) if lumping == "identity" else 0, {}, {})
    if lumping["axis"] != axis:
        if is_spelt_out(lumping):
            return rows("identity" if lumping["columns"] else "dropped", shape, axis)
        raise ValueError("another axis")
    return Rows(lumping["class"], lumping["representative"], lumping["columns"], lumping["scale"], lumping["offset"])


def reduced_shape(lumping: Any, shape: list[Any]) -> list[Any]:
    if isinstance(lumping, str):
        return list(shape)
    return [*shape[: lumping["axis"]], lumping["columns"], *shape[lumping["axis"] + 1 :]]


def unit_axis(lumpings: Json, node: Json) -> int:
    """The axis that some lumping around the node speaks of, else the last one."""
    return next((x["axis"] for x in (lumpings[name] for name in (node["name"], *node["inputs"])) if isinstance(x, dict)), len(node["shape"]) - 1)


def exact_params(g: Net, lumpings: Json, node: Json, kind: str, groups: int = 1) -> Params:
    """The parameters of a node's counterpart of this kind, as fractions."""
    shapes, own = {name: v["shape"] for name, v in g.values().items()}, g.params(node)
    if kind == "add_constant" and node["kind"] == "add":
        axis = unit_axis(lumpings, node)
        out = rows(lumpings[node["name"]], node["shape"], axis)
        gone = next(rows(lumpings[x], shapes[x], axis) for x in node["inputs"] if is_absent(lumpings[x]))
        return {"term": _array([gone.offset(unit) for unit in out.kept()])}
    if node["kind"] == "constant":
        value = [Fraction(v) for v in own["value"].tolist()]
        return {"value": _array([value[u] for u in rows(lumpings[node["name"]], node["shape"], node["attrs"]["axis"]).kept()])}
    if node["kind"] in ("linear", "conv", "conv_transpose"):
        found = _affine(g, lumpings, node, groups)
        rows_left = found["weight"].shape[node["kind"] == "conv_transpose"]
        return found if kind != "constant" else {"value": found.get("bias", _array([0] * rows_left))}
    if node["kind"].endswith("_norm") and node["kind"] != "batch_norm":
        return {role: _array(t.tolist()) for role, t in own.items()}
    if node["kind"] in ("rnn", "lstm", "gru"):
        return _recurrent(g, lumpings, node)
    if node["kind"] == "embedding":
        out = rows(lumpings[node["name"]], node["shape"], len(node["shape"]) - 1)
        return {"weight": _array(own["weight"][:, out.kept()].tolist())}
    if node["kind"] == "batch_norm":
        out = rows(lumpings[node["name"]], node["shape"], 1)
        return {role: _array(np.asarray(t)[out.kept()].tolist()) for role, t in own.items() if role != "num_batches_tracked"}
    if node["kind"] == "prelu":
        axis = unit_axis(lumpings, node) if any(isinstance(lumpings[v], dict) for v in (node["name"], *node["inputs"])) else 1
        out = rows(lumpings[node["name"]], node["shape"], axis)
        return {"slope": _array(own["slope"].tolist() if len(own["slope"]) == 1 else np.asarray(own["slope"])[out.kept()].tolist())}
    if node["kind"] in ("add_constant", "mul_constant", "div_constant"):
        (role,) = own
        axis = unit_axis(lumpings, node) if own[role].ndim == 0 else node["attrs"]["axis"]
        if own[role].ndim == 0 and (axis == 0 or lumpings[node["inputs"][0]] == "identity"):
            return {role: _array(own[role].tolist())}
        inn, out = rows(lumpings[node["inputs"][0]], shapes[node["inputs"][0]], axis), rows(lumpings[node["name"]], node["shape"], axis)
        stored = [Fraction(float(v)) for v in np.broadcast_to(own[role], (len(out.classes),))]
        values = [
            stored[u] + inn.offset(u) if role == "term" else stored[u] / inn.scale(u) if role == "divisor" else stored[u] * inn.scale(u) for u in out.kept()
        ]
        return {role: _array(values[0] if own[role].ndim == 0 and len(set(values)) == 1 else values)}
    return {}


def _array(values: Any) -> np.ndarray:
    raw = np.asarray(values)
    out = np.empty(raw.shape, dtype=object)
    out.reshape(-1)[:] = [Fraction(v) for v in raw.reshape(-1).tolist()]
    return out


def _affine(g: Net, lumpings: Json, node: Json, groups: int) -> Params:
    own, name = g.params(node), node["inputs"][0]
    in_shape = g.values()[name]["shape"]
    last = node["kind"] == "linear"
    inn = rows(lumpings[name], in_shape, len(in_shape) - 1 if last else 1)
    out = rows(lumpings[node["name"]], node["shape"], len(node["shape"]) - 1 if last else 1)
    mine = node["attrs"].get("groups", 1)
    weight = own["weight"].reshape(*own["weight"].shape[:2], math.prod(own["weight"].shape[2:]))
    seen: Any = slice(None)
    if node["kind"] == "conv_transpose":
        weight, seen = _turned(weight, mine), _first_position(node, own["weight"].shape[2:], in_shape)
    per_row, width = max(len(weight) // mine, 1), weight.shape[1]
    kept = out.kept()
    dense = np.zeros((len(kept), inn.columns, weight.shape[2]), dtype=object)
    bias = [Fraction(float(own["bias"][r])) if "bias" in own else Fraction(0) for r in kept]
    for at, r in enumerate(kept):
        for local in range(width):
            unit = r // per_row * width + local
            entries = [Fraction(w) for w in weight[r, local].tolist()]
            if 0 <= inn.classes[unit] < inn.columns:
                scale = inn.scale(unit)
                dense[at, inn.classes[unit]] += [w * scale for w in entries]
            if unit in inn.shifted and any(entries):
                bias[at] += sum(np.array(entries, dtype=object)[seen].tolist(), Fraction(0)) * inn.offset(unit)
    rows_each, columns_each = max(len(kept) // groups, 1), inn.columns // groups
    cut = np.zeros((len(kept), columns_each, weight.shape[2]), dtype=object)
    for at in range(len(kept)):
        base = at // rows_each * columns_each
        cut[at] = dense[at, base : base + columns_each]
    if node["kind"] == "conv_transpose":
        cut = _turned(cut, groups, back=True)
    cut = cut.reshape(*cut.shape[:2], *own["weight"].shape[2:])
    return {"weight": cut} | ({"bias": _array(bias)} if "bias" in own or any(bias) else {})


def _turned(weight: np.ndarray, groups: int, back: bool = False) -> np.ndarray:
    """(in, out / groups, taps) as (out, in / groups, taps), or back."""
    parts = np.split(weight, groups) if len(weight) % groups == 0 else []
    if not parts or (back and len(parts[0]) * groups != len(weight)):
        raise ValueError("groups that do not fit")
    return np.concatenate([part.swapaxes(0, 1) for part in parts])


def _first_position(node: Json, kernel: tuple[int, ...], in_shape: list[Any]) -> np.ndarray:
    """(taps,) bool: what the first output position of a transposed convolution reads."""
    a, out = node["attrs"], []
    for tap in np.ndindex(*kernel):
        at = [p - t * d for p, t, d in zip(a["padding"], tap, a["dilation"], strict=True)]
        out.append(all(q >= 0 and q % s == 0 and q // s < n for q, s, n in zip(at, a["stride"], in_shape[2:], strict=True)))
    return np.array(out, dtype=bool)


def _recurrent(g: Net, lumpings: Json, node: Json) -> Params:
    """Every gate's rows of the kept units, over the operand's and the layer's own columns; the operand's constants go into one bias."""
    own, name, n = g.params(node), node["inputs"][0], node["shape"][2]
    inn, out = rows(lumpings[name], g.values()[name]["shape"], 2), rows(lumpings[node["name"]], node["shape"], 2)
    at = [gate * n + unit for gate in range(len(own["weight_hh"]) // n) for unit in out.kept()]
    found = {role: np.full((len(at), lumping.columns), Fraction(0), dtype=object) for role, lumping in (("weight_ih", inn), ("weight_hh", out))}
    shift = [Fraction(0)] * len(at)
    for k, r in enumerate(at):
        for role, lumping in (("weight_ih", inn), ("weight_hh", out)):
            for unit, w in enumerate(map(Fraction, own[role][r].tolist())):
                if 0 <= lumping.classes[unit] < lumping.columns:
                    found[role][k, lumping.classes[unit]] += w * lumping.scale(unit)
                if role == "weight_ih" and w and unit in inn.shifted:
                    shift[k] += w * inn.offset(unit)
    for role in ("bias_ih", "bias_hh"):
        if role in own or (any(shift) and "bias_ih" not in own):
            stored = [Fraction(float(own[role][r])) if role in own else Fraction(0) for r in at]
            found[role] = _array([b + (s if role == "bias_ih" else 0) for b, s in zip(stored, shift, strict=True)])
    return found


def counterpart(g: Net, lumpings: Json, node: Json) -> Json | None:
    """The reduced node's JSON, without parameters."""
    name = node["name"]
    if is_absent(lumpings[name]):
        return None
    new = dict(node, attrs=dict(node["attrs"]), params={}, shape=reduced_shape(lumpings[name], node["shape"]))
    gone = [x for x in node["inputs"] if is_absent(lumpings[x])]
    if node["kind"] == "concat":
        new["inputs"] = [x for x in node["inputs"] if x not in gone]
    elif node["kind"] == "add" and len(gone) == 1:
        term = exact_params(g, lumpings, node, "add_constant")["term"]
        new["inputs"] = [x for x in node["inputs"] if x not in gone]
        new["kind"], new["attrs"] = ("add_constant", {"axis": unit_axis(lumpings, node)}) if any(term) else ("identity", {})
    elif node["kind"] in ("linear", "conv", "conv_transpose") and gone:
        axis = unit_axis(lumpings, node) if node["kind"] == "linear" else 1
        new["kind"], new["attrs"], new["inputs"] = "constant", {"shape": new["shape"][1:], "axis": axis}, [g.graph["inputs"][0]["name"]]
    elif node["kind"] == "constant":
        new["attrs"]["shape"], new["inputs"] = new["shape"][1:], [g.graph["inputs"][0]["name"]]
    elif node["kind"] == "reshape":
        new["attrs"]["shape"] = new["shape"][1:]
    elif node["kind"] == "pad" and isinstance(lumpings[name], dict):
        axis = lumpings[name]["axis"]
        before, after = node["attrs"]["pads"][axis - 1]
        out, n = rows(lumpings[name], node["shape"], axis), node["shape"][axis]
        mine = [list(pair) for pair in node["attrs"]["pads"]]
        mine[axis - 1] = [sum(unit < before for unit in out.kept()), sum(unit >= n - after for unit in out.kept())]
        new["attrs"]["pads"] = mine
    elif node["kind"] == "attention":
        q, k, v = (reduced_shape(lumpings[x], g.values()[x]["shape"])[2] for x in node["inputs"])
        for kv in range(node["attrs"]["kv_heads"], 0, -1):  # the most heads into which the kept units fit
            heads = q * kv // max(k, 1)
            if k % kv == v % kv == 0 and heads and heads % kv == 0 and heads * (k // kv) == q and heads * (v // kv) == new["shape"][2]:
                new["attrs"] |= {"heads": heads, "kv_heads": kv}
                break
    elif node["kind"] == "index_select" and unit_axis(lumpings, node) == node["attrs"]["axis"]:
        axis, source = node["attrs"]["axis"], node["inputs"][0]
        inn, out = rows(lumpings[source], g.values()[source]["shape"], axis), rows(lumpings[name], node["shape"], axis)
        new["attrs"]["index"] = [inn.classes[node["attrs"]["index"][unit]] for unit in out.kept()]
    elif node["kind"] in ("conv", "conv_transpose") and node["attrs"]["groups"] > 1:
        units, columns = g.values()[node["inputs"][0]]["shape"][1], reduced_shape(lumpings[node["inputs"][0]], g.values()[node["inputs"][0]]["shape"])[1]
        groups = node["attrs"]["groups"] * columns // units
        new["attrs"]["groups"] = groups if groups and columns % groups == 0 and new["shape"][1] % groups == 0 else 1
    return new


def quotient(g: Net, lumpings: Json, dtype: str | None = None) -> tuple[Net, str]:
    """The reduced network that fits the lumpings, and its rounding. Raises `ValueError`, `IndexError`, ... where there is none."""
    h = Net(g.copy().graph | {"nodes": []}, {})
    floats = next((v["dtype"] for v in g.values().values() if v["dtype"].startswith("float")), "float32")
    wanted = dtype or floats
    rounding = "none"
    for value in h.graph["inputs"]:
        value["dtype"] = wanted if value["dtype"] == floats else value["dtype"]
    for node in g.nodes:
        new = counterpart(g, lumpings, node)
        if new is None:
            continue
        new["dtype"] = wanted if new["dtype"] == floats else new["dtype"]
        stored, kept_as_is = {}, g.params(node)
        for role, exact in exact_params(g, lumpings, node, new["kind"], new["attrs"].get("groups", 1)).items():
            stored[role] = _exactly_stored(exact, wanted)
            if stored[role] is None:
                rounded = [round_to(q, wanted) for q in exact.reshape(-1)]
                if None in rounded:
                    raise ValueError("overflow")
                rounding = "nearest"
                stored[role] = np.array(rounded, wanted).reshape(exact.shape)
        if node["kind"] == "opaque" or "num_batches_tracked" in kept_as_is:
            stored |= {role: t for role, t in kept_as_is.items() if role not in stored}
        for role, tensor in stored.items():
            key = f"{new['name']}.{role}"
            h.tensors[key], new["params"][role] = tensor, key
        h.nodes.append(new)
    return h, rounding


def _exactly_stored(exact: np.ndarray, dtype: str) -> np.ndarray | None:
    """The numbers in `dtype` where it holds them all exactly."""
    try:
        with np.errstate(over="ignore"):
            found = np.array([q.numerator / q.denominator for q in exact.reshape(-1)], "float64").astype(dtype)
    except OverflowError:
        return None
    same = all(math.isfinite(v) and v.as_integer_ratio() == (q.numerator, q.denominator) for v, q in zip(found.tolist(), exact.reshape(-1), strict=True))
    return found.reshape(exact.shape) if same else None


def quotient_params(g: Net, h: Net, lumpings: Json) -> dict[str, Params]:
    """The exact parameters of every node of the reduced network `h`."""
    out = {}
    for new in h.nodes:
        node = g.node(new["name"])
        if node is not None and node["kind"] != "opaque":
            out[new["name"]] = exact_params(g, lumpings, node, new["kind"], new["attrs"].get("groups", 1))
    return out


def misrounded(h: Net, exact: dict[str, Params]) -> str | None:
    """The first stored number that is not its exact value rounded to nearest even (missing: bias 0, weight 1)."""
    for node in h.nodes:
        stored = h.params(node)
        for role, values in exact.get(node["name"], {}).items():
            missing = np.full(values.shape, 1.0 if role == "weight" else 0.0)
            for q, s in zip(values.reshape(-1), np.broadcast_to(stored.get(role, missing), values.shape).reshape(-1).tolist(), strict=True):
                if round_to(q, node["dtype"]) != s:
                    return f"{node['name']}.{role}: {s!r} for {q} ({math.inf if not q else float(q)})"
    return None
