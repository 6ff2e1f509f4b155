"""Batch normalisation in evaluation, `y = (x - mean) / sqrt(var + eps) * weight + bias`, decided exactly.

The factor `a = weight / sqrt(v)`, v = var + eps > 0, is irrational in general:
every equation below compares signs and squares instead (THEORY section 2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from lumpnet.certificate import Real, Surd
from lumpnet.check.effect import Near, Step, plus, times, up
from lumpnet.check.graph import Case, Kind, Node, number
from lumpnet.check.numbers import Array, bits, same, shown, sign
from lumpnet.check.outcome import Refusal
from lumpnet.check.relation import ZERO, Relation, Shape

_MISSING = {"weight": 1.0, "bias": 0.0, "mean": 0.0, "var": 0.0}


def _param(node: Node, role: str) -> Array:
    """Entries per channel; a missing weight is one, a missing bias zero."""
    data = node.param(role)
    return np.full(node.shape[1] or 0, _MISSING[role]) if data is None else data


def _shape(node: Node, ins: list[Shape]) -> Shape:
    (x,) = ins
    if len(x) < 2 or any(data is not None and data.shape != (x[1],) for data in map(node.param, _MISSING)):
        raise ValueError(f"parameters that are not one per channel of an input of shape {x}")
    if not (_param(node, "var").astype(np.float64) > -float(node.attrs["eps"])).all():
        raise ValueError("var + eps that is not positive")
    return x


class _Channel:
    """Exact parameters of one channel."""

    def __init__(self, node: Node, unit: int):
        self.weight, self.bias, self.mean, var = (Fraction(float(_param(node, role)[unit])) for role in ("weight", "bias", "mean", "var"))
        self.v = var + Fraction(node.attrs["eps"])

    def times_root(self, value: Fraction) -> tuple[int, Fraction]:
        """Sign and square of `value * weight / sqrt(v)`."""
        return sign(value * self.weight), (value * self.weight) ** 2 / self.v

    def at(self, c: Fraction) -> Real:
        factor = (c - self.mean) * self.weight / self.v
        return Surd(self.bias, factor, self.v) if factor else self.bias


def _oblige(case: Case) -> str:
    inn, out = case.ins[0].on(1, case.where), case.out.on(1, case.where)
    if case.reduced is not None:
        _kept(case, inn, out, case.reduced)
    units, reps = out.members()
    rest = ~_alike(case.node, inn, out, units, reps)
    for unit, rep in zip(units[rest].tolist(), reps[rest].tolist(), strict=True):
        _member(case, inn, out, unit, rep)
    for unit in out.constants().tolist():
        _constant(case, inn, out, unit)
    return "slopes and offsets agree, by signs and squares"


def _kept(case: Case, inn: Relation, out: Relation, reduced: Node) -> None:
    """The reduced channel reads the representative's own column with its own parameters."""
    for column, rep in enumerate(out.kept().tolist()):
        if inn.classes[rep] != column or column >= inn.columns or inn.scale_of(rep) != 1 or inn.offset_of(rep) != 0:
            found = f"unit {rep} represents column {column}, but does not read it by scale 1 and offset 0"
            raise Refusal(case.where, found, "the same column before and after")
    for role in _MISSING:
        bad = np.flatnonzero(_param(case.node, role)[out.kept()] != _param(reduced, role))
        if len(bad):
            found = f"the reduced {role} of column {bad[0]} is {_param(reduced, role)[bad[0]]!r}"
            raise Refusal(case.where, found, f"that of unit {out.kept()[bad[0]]}, exactly")


def _alike(node: Node, inn: Relation, out: Relation, units: Array, reps: Array) -> Array:
    """Members that follow for certain: one input column, equal mean and variance, weight and bias times the claimed scale, no offsets."""
    if node.dtype != "float32":
        return np.zeros(len(units), np.bool_)
    weight, bias, mean, var = (_param(node, role).astype(np.float64) for role in ("weight", "bias", "mean", "var"))
    good = (inn.classes[units] >= 0) & (inn.classes[units] == inn.classes[reps]) & (mean[units] == mean[reps]) & (var[units] == var[reps])
    scales = np.ones(len(units))
    for at, (unit, rep) in enumerate(zip(units.tolist(), reps.tolist(), strict=True)):
        s = out.scale_of(unit)
        bare = not (unit in inn.offset or rep in inn.offset or unit in out.offset) and inn.scale_of(unit) == inn.scale_of(rep)
        good[at] &= bare and s.denominator == 1 << (bits(s.denominator) - 1) and bits(s.numerator) + bits(s.denominator) <= 29
        scales[at] = s.numerator / s.denominator if good[at] else 1
    return np.asarray(good & (weight[units] == scales * weight[reps]) & (bias[units] == scales * bias[reps]), np.bool_)


def _member(case: Case, inn: Relation, out: Relation, unit: int, rep: int) -> None:
    """x_i = rho x_R + c before and `s`, `d` claimed after: s a_R = rho a_i, and d - b_i + s b_R = a_i (c - mean_i + rho mean_R)."""
    if inn.classes[unit] < 0 or inn.classes[unit] != inn.classes[rep]:
        raise Refusal(case.where, f"unit {unit} is claimed to follow unit {rep}", "inputs in one class")
    mine, its = _Channel(case.node, unit), _Channel(case.node, rep)
    rho, s = inn.scale_of(unit) / inn.scale_of(rep), out.scale_of(unit)
    first, second, claimed = inn.offset_of(unit), inn.offset_of(rep), out.offset_of(unit)
    if isinstance(first, Surd) or isinstance(second, Surd) or isinstance(claimed, Surd):
        raise Refusal(case.where, f"unit {unit} or {rep} has an irrational offset", "rational offsets")
    if its.times_root(s) != mine.times_root(rho):
        raise Refusal(case.where, f"unit {unit} claims scale {shown(s)} to unit {rep}", "the quotient of their slopes weight / sqrt(var + eps)")
    gap, lever = claimed - mine.bias + s * its.bias, first - rho * second - mine.mean + rho * its.mean
    if (sign(gap), gap * gap) != mine.times_root(lever):
        raise Refusal(case.where, f"unit {unit} claims offset {shown(claimed)} to unit {rep}", "the offset that means and biases give")


def _constant(case: Case, inn: Relation, out: Relation, unit: int) -> None:
    """A constant input, or a zero weight, gives the claimed constant."""
    channel = _Channel(case.node, unit)
    c: Real = inn.offset_of(unit) if channel.weight else ZERO
    if channel.weight and (inn.classes[unit] >= 0 or isinstance(c, Surd)):
        raise Refusal(case.where, f"unit {unit} is claimed to be constant", "a constant rational input, or weight 0")
    if isinstance(c, Surd) or not same(channel.at(c), out.offset_of(unit)):
        raise Refusal(case.where, f"unit {unit} claims the constant {shown(out.offset_of(unit))}", shown(c if isinstance(c, Surd) else channel.at(c)))


def _effect(step: Step, ins: Sequence[Near]) -> Near:
    """|a| |x - mean| + |bias| with |a| = |weight| / sqrt(var + eps).

    With k = bias - a mean, a_Q q + k_Q - a_R r - k_R = a_Q (q - r) + (a_Q - a_R) r + (k_Q - k_R).
    """
    mine, x = {role: step.along(np.array(_param(step.node, role), np.float64), 1) for role in _MISSING}, ins[0]
    slope = _slope(step, mine)
    size = plus(x.size, step.constants(np.abs(mine["mean"]), x))
    size = plus(times(size, slope), step.constants(np.abs(mine["bias"]), x))
    if step.other is None:
        return Near(size, times(x.apart, slope))
    its = {role: step.along(np.asarray(step.other[role], np.float64), 1) if role in step.other else mine[role] for role in _MISSING}
    turned, moved = _apart(step, mine, its)
    return Near(size, plus(times(x.apart, _slope(step, its)), times(x.size, turned), step.constants(moved, x)))


def _slope(step: Step, params: Mapping[str, Array]) -> Array:
    """|a| from above; the sum under the root is positive, and rounded once."""
    return up(np.abs(params["weight"]) / np.sqrt(params["var"] + float(step.node.attrs["eps"])), 4)


def _apart(step: Step, *both: Mapping[str, Array]) -> tuple[Array, Array]:
    """|a_Q - a_R| and |k_Q - k_R| from above; equal numbers are not apart.

    With u = 2**-53, a is computed within 3 u |a| + 2**-1075, and k within 8 u (|bias| + |a mean|) + 2**-1074 |mean|, beside what `up` adds.
    """
    a = [p["weight"] / np.sqrt(p["var"] + float(step.node.attrs["eps"])) for p in both]
    k = [p["bias"] - slope * p["mean"] for p, slope in zip(both, a, strict=True)]
    large = [np.abs(p["bias"]) + np.abs(slope * p["mean"]) for p, slope in zip(both, a, strict=True)]
    changed = np.any([one != two for one, two in zip(both[0].values(), both[1].values(), strict=True)], axis=0)
    turned = up(np.abs(a[0] - a[1]) + 2.0**-50 * (np.abs(a[0]) + np.abs(a[1])), 8)
    below = 2.0**-1073 * (np.abs(both[0]["mean"]) + np.abs(both[1]["mean"]))
    moved = up(np.abs(k[0] - k[1]) + 2.0**-50 * (large[0] + large[1]) + below, 8)
    return np.where(changed, turned, 0.0), np.where(changed, moved, 0.0)


KINDS = {
    "batch_norm": Kind(
        _shape,
        _oblige,
        roles=("mean", "var"),
        optional=("weight", "bias", "num_batches_tracked"),
        attrs={"eps": number},
        training=("momentum",),
        effect=_effect,
    ),
}
