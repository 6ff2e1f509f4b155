"""Random changes of a triple: one number, attribute, class, scale, offset, input or shape at a time."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import numpy as np
from forge import N, Net, Triple

from lumpnet.certificate import Lumping, Surd


def mutate(triple: Triple, rng: random.Random) -> str:
    """Change `triple` in place; returns what was done."""
    return rng.choice([_number, _number, _number, _attribute, _lumping, _lumping, _lumping, _wiring, _copy_number, _uniform, _sizes])(triple, rng)


def _net(triple: Triple, rng: random.Random) -> Net:
    return rng.choice([triple.g, triple.h])


def _tensor(net: Net, rng: random.Random) -> tuple[N, str, np.ndarray] | None:
    spots = [(name, role) for name, node in net.nodes.items() for role in node.params]
    if not spots:
        return None
    name, role = rng.choice(spots)
    value = np.array(net.stored(name)[role], copy=True)
    net.nodes[name].params[role] = value
    return net.nodes[name], role, value


def _number(triple: Triple, rng: random.Random) -> str:
    spot = _tensor(_net(triple, rng), rng)
    if spot is None or spot[2].size == 0:
        return "nothing"
    _, role, value = spot
    at = tuple(rng.randrange(n) for n in value.shape)
    value[at] = rng.choice([0, value[at] + 1, -value[at], 2 * value[at], np.nextafter(value[at], value.dtype.type(9))])
    return f"{role}{at} = {value[at]}"


def _copy_number(triple: Triple, rng: random.Random) -> str:
    """The same change in both networks, where they have the same entry."""
    names = [name for name in triple.g.nodes if name in triple.h.nodes and set(triple.g.nodes[name].params) & set(triple.h.nodes[name].params)]
    if not names:
        return "nothing"
    name = rng.choice(names)
    role = rng.choice(sorted(set(triple.g.nodes[name].params) & set(triple.h.nodes[name].params)))
    mine, its = (np.array(net.stored(name)[role], copy=True) for net in (triple.g, triple.h))
    if mine.ndim != its.ndim or 0 in (mine.size, its.size):
        return "nothing"
    at = tuple(rng.randrange(min(n, m)) for n, m in zip(mine.shape, its.shape, strict=True))
    mine[at] += 1
    its[at] += 1
    triple.g.nodes[name].params[role], triple.h.nodes[name].params[role] = mine, its
    return f"{name}.{role}{at} + 1 in both"


def _attribute(triple: Triple, rng: random.Random) -> str:
    name = rng.choice(sorted(triple.g.nodes))
    attrs = triple.g.nodes[name].attrs
    if not attrs:
        return "nothing"
    key = rng.choice(sorted(attrs))
    value = _changed(attrs[key], rng)
    nets = [triple.g, triple.h] if rng.random() < 0.8 else [_net(triple, rng)]
    for net in nets:
        if name in net.nodes and key in net.nodes[name].attrs:
            net.nodes[name].attrs = dict(net.nodes[name].attrs) | {key: value}
    return f"{name}.{key} = {value}"


def _changed(value: Any, rng: random.Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + rng.choice([-1, 1])
    if isinstance(value, float):
        return value + rng.choice([-1.0, 0.5, 1.0])
    if isinstance(value, list) and value:
        out = list(value)
        if rng.random() < 0.3:
            rng.shuffle(out)
        else:
            at = rng.randrange(len(out))
            out[at] = _changed(out[at], rng)
        return out
    return 1 if value is None else value


def _lumping(triple: Triple, rng: random.Random) -> str:
    names = [name for name, lumping in triple.lumpings.items() if isinstance(lumping, Lumping)]
    if not names:
        return "nothing"
    name = rng.choice(names)
    old = triple.lumpings[name]
    if not isinstance(old, Lumping):
        raise TypeError(name)
    classes, reps, scale, offset = list(old.classes), list(old.representatives), dict(old.scale), dict(old.offset)
    axis, columns, unit = old.axis, old.columns, rng.randrange(len(old.classes))
    what = rng.choice(["class", "class", "constant", "scale", "offset", "columns", "rep", "axis", "swap"])
    if what == "class" and reps:
        classes[unit] = rng.randrange(len(reps))
    elif what == "constant":
        classes[unit] = -1
        scale.pop(unit, None)
        offset[unit] = rng.choice([Fraction(0), offset.get(unit, Fraction(0))])
    elif what == "scale" and classes[unit] >= 0:
        scale[unit] = rng.choice([Fraction(1), Fraction(-1), Fraction(2), scale.get(unit, Fraction(1)) / 3])
    elif what == "offset":
        offset[unit] = rng.choice([Fraction(0), Fraction(1), Fraction(-5, 3), Surd(Fraction(1), Fraction(1), Fraction(2))])
    elif what == "columns":
        columns = max(0, columns + rng.choice([-1, 1]))
    elif what == "rep" and reps:
        k = rng.randrange(len(reps))
        reps[k] = rng.choice([u for u, c in enumerate(classes) if c == k] or [0])
    elif what == "axis":
        axis = 3 - axis
    elif what == "swap" and len(reps) > 1:
        one, two = rng.sample(range(len(reps)), 2)
        classes = [{one: two, two: one}.get(c, c) for c in classes]
        reps[one], reps[two] = reps[two], reps[one]
    new = Lumping(axis, columns, tuple(classes), tuple(reps), scale, offset)
    shared = rng.random() < 0.5
    for other, lumping in triple.lumpings.items():
        if other == name or (shared and lumping == old):
            triple.lumpings[other] = new
    return f"{what} of {name}, unit {unit}"


def _sizes(triple: Triple, rng: random.Random) -> str:
    """Other sizes of a tensor, in one network or in both: exchanged, or one more or less."""
    net = _net(triple, rng)
    spot = _tensor(net, rng)
    if spot is None or not spot[2].ndim:
        return "nothing"
    node, role, value = spot
    sizes, k = list(value.shape), rng.randrange(value.ndim)
    if rng.random() < 0.5:
        j = rng.randrange(value.ndim)
        sizes[j], sizes[k] = sizes[k], sizes[j]
    else:
        sizes[k] = max(0, sizes[k] + rng.choice([-1, 1]))
    node.params[role] = np.resize(value, sizes)
    return f"{role} of sizes {sizes}"


def _uniform(triple: Triple, rng: random.Random) -> str:
    name = rng.choice([*triple.g.inputs, *triple.g.nodes])
    triple.lumpings[name] = rng.choice(["identity", "dropped"])
    return f"{name} {triple.lumpings[name]}"


def _wiring(triple: Triple, rng: random.Random) -> str:
    net = _net(triple, rng)
    name = rng.choice(sorted(net.nodes))
    what = rng.choice(["kind", "remove", "reverse", "other"])
    if what == "kind":
        kinds = ["relu", "tanh", "identity", "sigmoid", "silu"] if not net.nodes[name].params else [net.nodes[name].kind]
        kind = rng.choice(kinds)
        for one in (triple.g, triple.h):
            if name in one.nodes and (rng.random() < 0.8 or one is net):
                one.nodes[name].kind, one.nodes[name].attrs = kind, {}
    elif what == "remove":
        del net.nodes[name]
    elif what == "reverse":
        net.nodes[name].inputs = net.nodes[name].inputs[::-1]
    else:
        net.nodes[name].inputs = [rng.choice([*net.inputs, *net.nodes]) for _ in net.nodes[name].inputs]
    return f"{what} {name}"
