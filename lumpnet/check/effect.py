"""What changed weights do at the outputs: one pass over a network, in floats that err outward.

R is a network and Q another of the same nodes: the exact quotient, of which every stored weight of R is the nearest float,
or any network whose weights are at hand. For every value, q in Q and r in R on one input x with t = |x| (the largest entry), `Near` holds numbers with

    |r| <= size[0] + size[1] t   and   |q - r| <= apart[0] + apart[1] t.

At an affine node the weights of Q lie within H of the stored W (half a unit in the last place, or what the two differ by), and biases within h of b:

    q' - r' = W_q (q - r) + (W_q - W) r + (b_q - b),   so   apart' = (|W| + H) apart + H size + h,   size' = |W| size + |b|.

Other kinds have a Lipschitz constant, or move entries. The rules stand beside the obligations, as `Kind.effect`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lumpnet.certificate import Bounds, Effect
from lumpnet.check.graph import Kind, Network, Node
from lumpnet.check.numbers import PRECISION, Array
from lumpnet.check.outcome import Refusal, Unsure
from lumpnet.check.relation import Relation, Shape

_LEAST = 2.0**-1074
_MAX_ENTRIES = 1 << 24


def up(x: Array, n: int) -> Array:
    """An upper bound on what `x` stands for: computed from non-negative floats, at most n roundings on the way to any entry, n products or quotients in it.

    With u = 2**-53 and e = 2**-1075 a rounding keeps at least 1 - u of a number, less e where a product underflows. So the number
    itself is at most (x + n e) / (1 - u)**n <= (x + n e) (1 + 2 n u). What is answered has two roundings more, and
    (1 + 2 (n + 4) u) (1 - u)**2 >= 1 + 2 n u while 2 (n + 4) u < 1 (lemma `effect.outward`).
    """
    return np.asarray((x + (n + 1) * _LEAST) * (1 + (n + 4) * 2.0**-52))


def within_memory(*shapes: Sequence[int]) -> None:
    """Raises `Unsure` for bounds too many to hold at once, which a few bytes may ask for."""
    if any(np.prod(shape, dtype=np.float64) > 2 * _MAX_ENTRIES for shape in shapes):
        raise Unsure("the effect of changed weights", f"more than {_MAX_ENTRIES} bounds of one value")


def plus(*terms: Array) -> Array:
    within_memory(np.broadcast_shapes(*(term.shape for term in terms)))
    return up(np.asarray(sum(terms[1:], terms[0])), len(terms))


def times(a: Array, b: Array | float) -> Array:
    within_memory(np.broadcast_shapes(a.shape, np.shape(b)))
    return up(np.asarray(a * b), 1)


def slack(stored: Array) -> Array:
    """How far a number may be that is rounded to `stored`: half the gap to the next float away from zero (float64, as wide at the underflow)."""
    precision, least = PRECISION[stored.dtype.name]
    power = np.where(stored == 0, least, np.maximum(np.frexp(stored)[1] - precision, least))
    return np.asarray(np.ldexp(1.0, np.maximum(power - 1, -1074)))


@dataclass(frozen=True, eq=False)
class Near:
    """Arrays of the value's rank: in the place of the batch the coefficients of 1 and t (of 1 alone over a box); other axes as long as the value's, or 1."""

    size: Array
    apart: Array

    def each(self, change: Callable[[Array], Array]) -> Near:
        """The same entries in other places."""
        return Near(change(self.size), change(self.apart))

    def most(self, axes: Sequence[int]) -> Near:
        """The largest along these axes, which get length 1."""
        return self.each(lambda x: x.max(axis=tuple(axes), keepdims=True, initial=0))

    def scaled(self, factor: Array | float) -> Near:
        return self.each(lambda x: times(x, factor))


Exact = Mapping[str, Array | bool]


@dataclass(frozen=True)
class Step:
    """A node of R, the shapes of its inputs, and by role which of its stored numbers are Q's own, the others being rounded; or else all of Q's in `other`.

    In that case `ins` are relations that hold of the inputs in R.
    """

    node: Node
    shapes: tuple[Shape, ...]
    exact: Exact
    other: Exact | None = None
    ins: tuple[Relation, ...] = ()

    @property
    def where(self) -> str:
        return f"node {self.node.name!r} ({self.node.kind})"

    def stored(self, role: str) -> tuple[Array, Array]:
        """|parameter| in float64, and how far Q's may be from it."""
        data = self.node.params[role].data
        return np.abs(data.astype(np.float64)), self.off(data, self.known(role))

    def known(self, role: str) -> Array | bool:
        """What `off` takes: which numbers are Q's own, or Q's numbers (a bias that neither has is zero)."""
        return self.exact.get(role, False) if self.other is None else self.other.get(role, np.zeros(()))

    def off(self, data: Array, known: Array | bool) -> Array:
        """How far Q's numbers may be from these of R; `known` is what `known` answers of them."""
        if self.other is not None:
            return up(np.abs(data.astype(np.float64) - np.asarray(known, np.float64)), 1)
        out, loose = np.zeros(data.shape), ~np.broadcast_to(known, data.shape)
        out[loose] = slack(data[loose])
        return out

    def own(self, role: str, missing: float = 0.0) -> Array:
        """A parameter that no obligation allows to be rounded, in float64. Raises `Unsure` where Q has another one."""
        data = self.node.param(role)
        if self.other is not None and data is not None and not np.array_equal(data, self.other[role]):
            raise Unsure(self.where, f"no rule for what a moved {role} does")
        return np.array(missing) if data is None else data.astype(np.float64)

    def equal(self, role: str) -> Array:
        """A parameter that happens to be Q's own. Raises `Unsure` where it may be rounded."""
        if self.other is None and not np.all(self.exact.get(role, False)):
            raise Unsure(self.where, f"no rule for what a rounded {role} does")
        return self.own(role)

    def along(self, x: Array, axis: int | None) -> Array:
        """One number a unit, or one for all, against the node's value. Raises `Unsure` for one an example."""
        if axis == 0 and x.ndim:
            raise Unsure(self.where, "no rule for parameters along axis 0")
        return x.reshape([-1 if k == axis else 1 for k in range(len(self.node.shape))])

    def constants(self, x: Array, like: Near) -> Array:
        """The coefficients of a number that does not depend on the input."""
        return np.concatenate([x, np.zeros((len(like.size) - 1, *x.shape[1:]))])

    def full(self, x: Array, shape: Shape) -> Array:
        """Every entry of a value in its place. Raises `Unsure` for too many."""
        sizes = [n or 0 for n in shape[1:]]
        if np.prod(sizes, dtype=np.float64) > _MAX_ENTRIES:
            raise Unsure(self.where, f"more than {_MAX_ENTRIES} entries per example")
        return np.broadcast_to(x, (len(x), *sizes))


Rule = Callable[[Step, Sequence[Near]], Near]


@dataclass(frozen=True)
class Bend:
    """A function of one number: |f(u) - f(v)| <= slope |u - v|, |f(u)| <= at_zero + gain |u| (None: slope), and |f(u)| <= most."""

    slope: float = 1.0
    gain: float | None = None
    at_zero: float = 0.0
    most: float = np.inf


@dataclass(frozen=True)
class Bent:
    """The rule of a function of one number, which may depend on the attributes."""

    bend: Bend | Callable[[Mapping[str, Any]], Bend]

    def of(self, attrs: Mapping[str, Any]) -> Bend:
        return self.bend if isinstance(self.bend, Bend) else self.bend(attrs)

    def __call__(self, step: Step, ins: Sequence[Near]) -> Near:
        f = self.of(step.node.attrs)
        return bent_by(step, ins[0], np.asarray(f.slope), np.asarray(f.slope if f.gain is None else f.gain), f.at_zero, f.most)


def bent_by(step: Step, x: Near, slope: Array, gain: Array, at_zero: float = 0.0, most: float = np.inf) -> Near:
    def number(c: float) -> Array:
        return step.constants(np.full((1, *[1] * (x.size.ndim - 1)), c), x)

    size = x.size if (gain == 1).all() else times(x.size, gain)
    size = plus(size, number(at_zero)) if at_zero else size
    apart = x.apart if (slope == 1).all() else times(x.apart, slope)
    if np.isfinite(most):
        size = np.minimum(size, most) if len(size) == 1 else np.broadcast_to(number(most), size.shape)
        apart = np.minimum(apart, 2 * most) if len(apart) == 1 else apart
    return Near(size, apart)


def same(step: Step, ins: Sequence[Near]) -> Near:
    return ins[0]


def largest(axes: Callable[[Node], Sequence[int]]) -> Rule:
    """Averages, extremes and copies of entries along some axes: at most the largest there."""
    return lambda step, ins: ins[0].most(axes(step.node))


def positions(node: Node) -> Sequence[int]:
    return range(2, len(node.shape))


Box = Mapping[str, tuple[Bounds, Bounds]] | None


@dataclass(frozen=True)
class Other:
    """Another network of the same nodes: its parameters by node and role, and the relations that hold of R's values."""

    params: Mapping[str, Exact]
    relations: Mapping[str, Relation]


def effect(network: Network, kinds: Mapping[str, Kind], exact: Mapping[str, Exact], box: Box, other: Other | None = None) -> tuple[Effect, Effect]:
    """How far the outputs of Q and R are apart at most, and how large those of R are: for every input, or on a box.

    `exact` says by node and role which numbers are Q's own, where the others are rounded; or `other` is Q. Raises `Unsure`
    where a node has no rule or a number is too large, and `Refusal` for a box of other inputs.
    """
    if not ((least := np.full(2, _LEAST)) * 1.0 > 0).all() or not (least + least > least).all() or not (np.full(2, 2.0**-1022) * 0.5 > 0).all():
        raise Unsure("this process", "it flushes subnormal numbers to zero, and bounds are computed with gradual underflow")
    try:
        with np.errstate(all="raise", under="ignore"):
            return _effect(network, kinds, exact, box, other)
    except FloatingPointError as problem:
        raise Unsure("the effect of changed weights", f"a bound beyond the floats ({problem})") from problem


def _effect(network: Network, kinds: Mapping[str, Kind], exact: Mapping[str, Exact], box: Box, other: Other | None) -> tuple[Effect, Effect]:
    found = _inputs(network, box)
    for node in network.nodes:
        step = Step(node, tuple(network.values[name].shape for name in node.inputs), exact.get(node.name, {}))
        if other is not None:
            step = replace(step, other=other.params[node.name], ins=tuple(other.relations[name] for name in node.inputs))
        kind = kinds[node.kind]
        if kind.effect is None or (not kind.operands and kind.partial(node, list(step.shapes))):  # rounding moves no integer
            raise Unsure(step.where, "no rule for what weights changed before it do behind it")
        near = kind.effect(step, [found[name] for name in node.inputs])
        if not (np.isfinite(near.size).all() and np.isfinite(near.apart).all()):
            raise Unsure(step.where, "a bound beyond the floats")
        found[node.name] = near
    ends = [found[name] for name in network.outputs]
    return _claim([near.apart for near in ends], box), _claim([near.size for near in ends], box)


def _claim(ends: list[Array], box: Box) -> Effect:
    alpha, beta = (max((float(x[k].max(initial=0)) for x in ends if k < len(x)), default=0.0) for k in (0, 1))
    return Effect(alpha, beta, box)


def total(one: Effect, two: Effect) -> Effect:
    """Both distances, one after the other."""
    alpha, beta = (float(plus(np.array(a), np.array(b))) for a, b in ((one.alpha, two.alpha), (one.beta, two.beta)))
    return Effect(alpha, beta if one.box is None else 0.0, one.box)


def _inputs(network: Network, box: Box) -> dict[str, Near]:
    """Numbers of any other dtype than the network's float are chosen from tables, not computed with."""
    reals = [value.name for value in network.inputs if value.dtype == network.dtype]
    if box is not None and set(box) != set(reals):
        raise Refusal("claim.effect.box", f"boxes for {sorted(box)}", f"one for each input of real numbers, {sorted(reals)}")
    out = {}
    for value in network.inputs:
        sizes, flat = [n or 0 for n in value.shape[1:]], [1] * (len(value.shape) - 1)
        size = np.zeros((2 if box is None else 1, *flat))
        if box is None:
            size[1] = value.name in reals
        elif value.name in reals:
            ends = [np.array(end) for end in box[value.name]]
            if any(len(end) not in (1, int(np.prod(sizes))) for end in ends):
                raise Refusal(f"claim.effect.box[{value.name!r}]", f"{len(ends[0])} and {len(ends[1])} bounds", f"one, or one per entry of shape {sizes}")
            most = np.maximum(*map(np.abs, ends))
            size = most.reshape(1, *(flat if len(most) == 1 else sizes))
        out[value.name] = Near(size, np.zeros_like(size))
    return out
