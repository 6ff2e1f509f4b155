"""Bounded certificates written by hand: what moves, what is taken from the reduced network, and how far the outputs are apart at most."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from forge import F, N, Net, Triple, lump

from lumpnet.certificate import Effect, Move, Moves, Surd

UNIT = {"x": ((0.0,), (1.0,))}
CASES: dict[str, tuple[Callable[[], Triple], float | None]] = {}
"""By name: the triple, without its bound, and the largest distance on the box where the checker's bound reaches it."""


def case(worst: float | None) -> Callable[[Callable[[], Triple]], Callable[[], Triple]]:
    def enter(build: Callable[[], Triple]) -> Callable[[], Triple]:
        CASES[build.__name__] = build, worst
        return build

    return enter


def linear(name: str, weight: Any, bias: Any = None) -> N:
    weight = np.array(weight, "float32")
    params = {"weight": weight} | ({} if bias is None else {"bias": np.array(bias, "float32")})
    return N("linear", (None, len(weight)), [name], {}, params)


def layers(first: Any, last: Any, b: Any = None, c: Any = None) -> Net:
    return Net({"x": (None, 2)}, {"h": linear("x", first, b), "y": linear("h", last, c)}, ["y"])


def claim(rows: Any = None, taken: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"effect": Effect(0.0, 0.0, UNIT), "moved": Moves(rows or {}, taken)}


def copied(unit: int, source: int | None, factor: float, *roles: str) -> Any:
    return {"h": {role: {unit: Move(source, factor)} for role in roles or ("weight",)}}


PAIR = lump([0, 0, 1], 2, [0, 2])
G = [[1, 2], [1, 2.5], [3, 1]]


@case(0.5)
def merged() -> Triple:
    """(1, 2.5) becomes (1, 2): at most half of x_1 apart."""
    return Triple(layers(G, [[1, 1, 1]]), layers([G[0], G[2]], [[2, 1]]), {"h": PAIR}, **claim(copied(1, 0, 1.0)))


@case(0.5)
def merged_by_scale() -> Triple:
    """(2, 4.5) becomes twice (1, 2)."""
    halves = lump([0, 0, 1], 2, [0, 2], {1: 2})
    return Triple(layers([[1, 2], [2, 4.5], [3, 1]], [[1, 1, 1]]), layers([G[0], G[2]], [[3, 1]]), {"h": halves}, **claim(copied(1, 0, 2.0)))


@case(1.25)
def taken() -> Triple:
    """2 (x_0 + 2 x_1) + x_1 / 2 becomes 1.75 (x_0 + 2 x_1): the readers' gap is that of the class."""
    return Triple(layers(G, [[1, 1, 1]]), layers([G[0], G[2]], [[1.75, 1]]), {"h": PAIR}, **claim(copied(1, 0, 1.0), ("y",)))


@case(0.0)
def taken_as_it_is() -> Triple:
    """Scaled units whose reader is what exactness gives: the gaps of a class cancel."""
    scaled = lump([0, 0, 1], 2, [0, 2], {1: -2})
    return Triple(layers([[1, 2], [-2, -4], [3, 1]], [[5, 2, 1]]), layers([G[0], G[2]], [[1, 1]]), {"h": scaled}, **claim({}, ("y",)))


@case(0.75)
def taken_with_a_constant() -> Triple:
    """A unit that is 2 leaves; what it adds stands in the bias, and 0.75 more."""
    g, h = layers([*G[:2], [0, 0]], [[1, 1, 4]], [0, 0, 2], [1]), layers(G[:2], [[1, 1]], [0, 0], [9.75])
    return Triple(g, h, {"h": lump([0, 1, -1], 2, [0, 1], {}, {2: 2})}, **claim({}, ("y",)))


@case(0.75)
def taken_with_a_bias_of_its_own() -> Triple:
    """The original's reader has none."""
    return Triple(layers(G, [[1, 1, 1]]), layers([G[0], G[2]], [[2, 1]], None, [-0.25]), {"h": PAIR}, **claim(copied(1, 0, 1.0), ("y",)))


@case(2.0)
def made_constant() -> Triple:
    """A row of zeros and a bias: (2, 0) x becomes 0."""
    g, h = layers([*G[:2], [2, 0]], [[1, 1, 1]], [0, 0, 0], [1]), layers(G[:2], [[1, 1]], [0, 0], [1])
    return Triple(g, h, {"h": lump([0, 1, -1], 2, [0, 1], {}, {2: 0})}, **claim(copied(2, None, 0.0, "weight", "bias")))


@case(None)
def rounded_besides() -> Triple:
    """0.1f + 0.2f has no float32: the certificate pays for both."""
    a, b = np.float32(0.1), np.float32(0.2)
    g, h = layers(G, [[a, b, 1]]), layers([G[0], G[2]], [[np.float32(float(a) + float(b)), 1]])
    return Triple(g, h, {"h": PAIR}, "nearest", **claim(copied(1, 0, 1.0)))


def norms(gamma: Any, var: Any, mean: Any, beta: Any, weight: Any, last: Any) -> Net:
    """`var` are the squares of the divisors."""
    stored = {k: np.array(v, "float32") for k, v in {"weight": gamma, "var": np.array(var) - 0.25, "mean": mean, "bias": beta}.items()}
    nodes = {"h": linear("x", weight), "v": N("batch_norm", (None, len(stored["var"])), ["h"], {"eps": 0.25}, stored), "y": linear("v", last)}
    return Net({"x": (None, 2)}, nodes, ["y"])


@case(2.0)
def a_norm_moves() -> Triple:
    """x / 2 + 1 becomes x + 2, with x = x_0 + x_1 from 0 to 2."""
    g = norms([1, 1], [1, 4], [0, 0], [2, 1], [[1, 1], [1, 1]], [[1, 1]])
    h = norms([1], [1], [0], [2], [[1, 1]], [[2]])
    moves = {"v": {"var": {1: Move(0, 1.0)}, "bias": {1: Move(0, 1.0)}, "weight": {1: Move(0, 1.0)}}}
    one = lump([0, 0], 1, [0])
    return Triple(g, h, {"h": one, "v": one}, **claim(moves))


@case(1.0)
def a_variance_shrinks() -> Triple:
    """x / 2 + 2 becomes x + 2: the moved norm has no larger number than the original."""
    g = norms([1, 1], [1, 4], [0, 0], [2, 2], [[1, 1], [1, 1]], [[1, 1]])
    h, one = norms([1], [1], [0], [2], [[1, 1]], [[2]]), lump([0, 0], 1, [0])
    return Triple(g, h, {"h": one, "v": one}, **claim({"v": {"var": {1: Move(0, 1.0)}}}))


@case(None)
def a_norm_and_its_rows_move() -> Triple:
    """Rows by 1.5, the norm by 0.5 behind them."""
    g = norms([1, 0.7], [1, 2], [0.5, 0.7], [2, 1.1], [[1, 1], [1.4, 1.6]], [[1, 1]])
    h = norms([1], [1], [0.5], [2], [[1, 1]], [[1.75]])
    moves = {
        "h": {"weight": {1: Move(0, 1.5)}},
        "v": {"var": {1: Move(0, 1.0)}, "bias": {1: Move(0, 0.75)}, "weight": {1: Move(0, 0.5)}, "mean": {1: Move(0, 1.5)}},
    }
    return Triple(g, h, {"h": lump([0, 0], 1, [0], {1: 1.5}), "v": lump([0, 0], 1, [0], {1: 0.75})}, **claim(moves))


@case(0.5)
def a_root_leaves() -> Triple:
    """A channel of weight 0 before a norm with a root: its constant is irrational, and its reader is zero in both networks or pays for its size."""
    g = norms([1, 1], [1, 2], [0, -1], [0, 0], [[1, 1], [0, 0]], [[1, 0]])
    h = norms([1], [1], [0], [0], [[1, 1]], [[1.25]])
    h.nodes["v"].params = {k: v[:1] for k, v in h.nodes["v"].params.items()}
    out = lump([0, -1], 1, [0], {}, {1: Surd(F(0), F(1, 2), F(2))})
    return Triple(g, h, {"h": lump([0, -1], 1, [0], {}, {1: 0}), "v": out}, **claim({}, ("y",)))


def convolved(channels: Any, last: Any, bias: Any, padding: int) -> Net:
    """x (1, 2) -> h by kernels of one tap -> y by kernels of three."""
    attrs = {"stride": [1], "padding": [0], "dilation": [1], "groups": 1}
    first, second = np.array(channels, "float32")[:, None, None], np.array(last, "float32")
    at = 2 + 2 * padding - second.shape[2] + 1
    nodes = {
        "h": N("conv", (None, len(first), 2), ["x"], attrs, {"weight": first, "bias": np.zeros(len(first), "float32")}),
        "y": N("conv", (None, len(second), at), ["h"], attrs | {"padding": [padding]}, {"weight": second, "bias": np.array(bias, "float32")}),
    }
    return Net({"x": (None, 1, 2)}, nodes, ["y"])


@case(1.0)
def a_convolution_is_taken() -> Triple:
    """Both taps of the class give half a unit each."""
    g = convolved([1, 1], [[[1, 1], [1, 1]]], [0], 0)
    h = convolved([1], [[[2.5, 2.5]]], [0], 0)
    return Triple(g, h, {"h": lump([0, 0], 1, [0])}, **claim({}, ("y",)))


def _with_constant(padding: int, bias: float, *taps: float) -> Triple:
    """Two outputs, the second of which reads half of the constant."""
    ones, taps = [1] * len(taps or (2, -2)), taps or (2, -2)
    g = convolved([1, 0], [[ones, taps], [ones, [tap / 2 for tap in taps]]], [0, 0], padding)
    h = convolved([1], [[ones], [ones]], [bias, 0.25], padding)
    g.nodes["h"].params["bias"] = np.array([0, 3], "float32")
    return Triple(g, h, {"h": lump([0, -1], 1, [0], {}, {1: 3})}, **claim({}, ("y",)))


@case(0.5)
def a_constant_under_all_taps() -> Triple:
    """2 * 3 - 2 * 3 = 0 at every position: only the bias is left."""
    return _with_constant(0, 0.5)


@case(12.5)
def a_constant_beyond_the_border() -> Triple:
    """At the border one tap is missing: 6, and never more than both, and the bias."""
    return _with_constant(1, 0.5)


@case(6.5)
def a_constant_under_one_tap() -> Triple:
    return _with_constant(1, -0.5, 2, 0)


@case(12.5)
def a_constant_with_one_tap_at_the_border() -> Triple:
    """Of three taps the middle one reads every position."""
    return _with_constant(1, 0.5, -2, 2, 0)


@case(12.0)
def a_constant_before_a_transposed_convolution() -> Triple:
    """2 - 2 = 0 where all taps are read, and 6 at the first and the last position; the bound takes both."""
    attrs = {"stride": [1], "padding": [0], "output_padding": [0], "dilation": [1], "groups": 1}

    def net(channels: Any, bias: Any, weight: Any) -> Net:
        out = convolved(channels, [[[0, 0]]], [0], 0)
        out.nodes["h"].params["bias"] = np.array(bias, "float32")
        out.nodes["y"] = N("conv_transpose", (None, 1, 3), ["h"], attrs, {"weight": np.array(weight, "float32")[:, None, :]})
        return out

    g, h = net([1, 0], [0, 3], [[1, 1], [2, -2]]), net([1], [0], [[1, 1]])
    return Triple(g, h, {"h": lump([0, -1], 1, [0], {}, {1: 3})}, **claim({"y": {"weight": {1: Move(None, 0.0)}}}))


@case(2.5)
def groups_of_pairs() -> Triple:
    """Two groups of two equal channels; the second group's row becomes the first one's."""

    def net(channels: Any, weight: Any) -> Net:
        out = convolved(channels, [[[0, 0]]], [0], 0)
        weight = np.array(weight, "float32")
        attrs = {"stride": [1], "padding": [0], "dilation": [1], "groups": 2}
        out.nodes["y"] = N("conv", (None, 2, 2), ["h"], attrs, {"weight": weight[:, :, None]})
        return out

    g, h = net([1, 1, 1, 1], [[1, 1], [2, 2.5]]), net([1, 1], [[2], [2]])
    return Triple(g, h, {"h": lump([0, 0, 1, 1], 2, [0, 2])}, **claim({"y": {"weight": {1: Move(0, 1.0)}}}))


def after_x(kind: str, role: str, numbers: Any, moved: Any) -> Triple:
    """x -> the operator -> y, and the operator's second number becomes the first."""

    def net(stored: Any) -> Net:
        v = N(kind, (None, 2), ["x"], {"axis": 1}, {role: np.array(stored, "float32")})
        return Net({"x": (None, 2)}, {"v": v, "y": linear("v", [[1, 1]])}, ["y"])

    return Triple(net(numbers), net(moved), {}, **claim({"v": {role: {1: Move(0, 1.0)}}}))


@case(0.5)
def a_term_moves() -> Triple:
    return after_x("add_constant", "term", [1, 1.5], [1, 1])


@case(0.5)
def a_factor_moves() -> Triple:
    return after_x("mul_constant", "factor", [1, 1.5], [1, 1])


def between(kind: str, attrs: Any, **params: Any) -> Callable[[], Triple]:
    """Merged units before an operator whose numbers do not move."""

    def build() -> Triple:
        def net(first: Any, units: int, last: Any) -> Net:
            stored = {
                role: np.array(p[:units] if role != "num_batches_tracked" else p, "float32" if role != "num_batches_tracked" else "int64")
                for role, p in params.items()
            }
            v = N(kind, (None, units), ["h"], attrs, stored)
            return Net({"x": (None, 2)}, {"h": linear("x", first), "v": v, "y": linear("v", last)}, ["y"])

        g, h = net([G[0], G[1], G[2]], 3, [[1, 1, 1]]), net([G[0], G[2]], 2, [[2, 1]])
        h.nodes["v"].params = {r: (p if not p.ndim else g.nodes["v"].params[r][[0, 2]]) for r, p in h.nodes["v"].params.items()}
        return Triple(g, h, {"h": PAIR, "v": PAIR}, **claim(copied(1, 0, 1.0)))

    return build


CASES["behind_a_prelu"] = between("prelu", {}, slope=[0.5, 0.5, 0.5]), 0.5
CASES["behind_a_division"] = between("div_constant", {"axis": 1}, divisor=[2, 2, 4]), 0.25
CASES["behind_a_norm_that_counts"] = between("batch_norm", {"eps": 0.25}, mean=[0, 0, 0], var=[0.75, 0.75, 0.75], num_batches_tracked=3), 0.5


@case(0.5)
def positions_on_the_last_axis() -> Triple:
    """A linear layer on rows of three places, merged and taken."""
    triple = taken()
    for net in (triple.g, triple.h):
        net.inputs["x"] = (None, 3, 2)
        for node in net.nodes.values():
            node.shape = (None, 3, *node.shape[1:])
    triple.h.nodes["y"].params["weight"] = np.array([[2, 1]], "float32")
    triple.lumpings["h"] = lump([0, 0, 1], 2, [0, 2], axis=2)
    return triple


@case(0.75)
def taken_without_the_bias() -> Triple:
    """The original's reader has one, the reduced one none."""
    return Triple(layers(G, [[1, 1, 1]], None, [0.25]), layers([G[0], G[2]], [[2, 1]]), {"h": PAIR}, **claim(copied(1, 0, 1.0), ("y",)))


@case(None)
def taken_rows_that_move() -> Triple:
    """The middle layer is taken, and its second row becomes the first one of what was taken."""

    def net(first: Any, middle: Any, bias: Any, last: Any) -> Net:
        return Net({"x": (None, 2)}, {"h": linear("x", first), "k": linear("h", middle, bias), "y": linear("k", last)}, ["y"])

    g = net(G, [[1, 1, 1], [1, 1, 1.25], [0, 0, 0]], [1, 1, 3], [[1, 2, 1], [1, 0, 1]])
    h = net([G[0], G[2]], [[2.25, 1]], [1.5], [[3], [1]])
    h.nodes["y"].params["bias"] = np.array([3, 3], "float32")
    rows = {**copied(1, 0, 1.0), "k": {role: {1: Move(0, 1.0)} for role in ("weight", "bias")}}
    return Triple(g, h, {"h": PAIR, "k": lump([0, 0, -1], 1, [0], {}, {2: 3})}, **claim(rows, ("k",)))


@case(8.0)
def constants_that_are_forgotten() -> Triple:
    """8 is missing in one output, and -8 in the other."""
    g = layers([*G[:2], [0, 0]], [[1, 1, 4], [1, 1, -4]], [0, 0, 2], [1, 1])
    h = layers(G[:2], [[1, 1], [1, 1]], [0, 0], [1, 1])
    return Triple(g, h, {"h": lump([0, 1, -1], 2, [0, 1], {}, {2: 2})}, **claim({}, ("y",)))


@case(0.5)
def chosen_from_a_table() -> Triple:
    """Integers beside the numbers: rows of a table, of which none moves."""

    def net(first: Any, last: Any) -> Net:
        table = N("embedding", (None, 1), ["t"], {}, {"weight": np.array([[1], [2], [3]], "float32")})
        nodes = {"h": linear("x", first), "y": linear("h", last), "e": table, "z": N("add", (None, 1), ["y", "e"])}
        return Net({"x": (None, 2), "t": (None,)}, nodes, ["z"], choices={"t": 3})

    return Triple(net(G, [[1, 1, 1]]), net([G[0], G[2]], [[2, 1]]), {"h": PAIR}, **claim(copied(1, 0, 1.0)))


def _wide(weights: Any, shape: int = 1) -> dict[str, N]:
    return {name: N("linear", (None, len(w)), [source], {}, {"weight": np.array(w, "float64")}) for name, (source, w) in weights.items()}


def _tiny(first: Any, reads: Any, scale: Any, reduced: float) -> Triple:
    """x -> two units, the second a tiny multiple of the first -> y, taken from the reduced network."""
    g = Net({"x": (None, 1)}, _wide({"h": ("x", first), "y": ("h", [reads])}), ["y"], "float64")
    h = Net({"x": (None, 1)}, _wide({"h": ("x", first[:1]), "y": ("h", [[reduced]])}), ["y"], "float64")
    return Triple(g, h, {"h": lump([0, 0], 1, [0], {1: scale})}, **claim({}, ("y",)))


def scale_below_the_floats() -> Triple:
    return _tiny([[2.0**900], [2.0**-200]], [1.0, 2.0**300], F(1, 2**1100), 1.0)


def scale_below_the_floats_once() -> Triple:
    return _tiny([[2.0**900], [2.0**-200]], [1.0, 1.0], F(1, 2**1100), 1.0)


def scale_below_the_floats_turned() -> Triple:
    return _tiny([[2.0**900], [2.0**-200]], [1.0, -1.0], F(1, 2**1100), 1.0)


def product_below_the_floats() -> Triple:
    return _tiny([[2.0**1000], [2.0**400]], [0, 2.0**-500], F(1, 2**600), 0.0)


def offset_below_the_floats() -> Triple:
    """A constant of 2**-1100; a row that does not read it becomes one that reads 2**120 of it, and 2**980 of that is read."""

    def net(h: Any, bias: Any, m: Any, k: Any, more: Any, y: Any) -> Net:
        nodes = _wide({"h": ("x", h), "m": ("h", m), "k": ("m", k), "y": ("k", y)})
        nodes["h"].params["bias"], nodes["k"].params["bias"] = np.array(bias, "float64"), np.array(more, "float64")
        return Net({"x": (None, 1)}, nodes, ["y"], "float64")

    g = net([[1.0], [0.0]], [0.0, 2.0**-500], [[1.0, 0.0], [0.0, 2.0**-600]], [[1.0, 2.0**120], [1.0, 0.0]], [0.0, 0.0], [[0.0, 2.0**980]])
    h = net([[1.0]], [0.0], [[1.0]], [[1.0]], [2.0**-980], [[2.0**980]])
    gone = {name: lump([0, -1], 1, [0], {}, {1: F(1, 2**power)}) for name, power in (("h", 500), ("m", 1100))}
    return Triple(g, h, gone | {"k": lump([0, 0], 1, [0])}, **claim({"k": {"weight": {1: Move(0, 1.0)}}}))


LEAST = 2.0**-1074


def _normed(weight: float, mean: float) -> Net:
    numbers = {"weight": [weight], "bias": [0.0], "mean": [mean], "var": [2.0]}
    nodes = {"v": N("batch_norm", (None, 1), ["x"], {"eps": 2.0}, {k: np.array(v) for k, v in numbers.items()})}
    return Net({"x": (None, 1)}, nodes | _wide({"y": ("v", [[2.0**100]])}), ["y"], "float64")


def slope_below_the_floats() -> Triple:
    """4 and 3 times the smallest number, over 2: both are 2 times it, and the mean is large."""
    g, h = _normed(4 * LEAST, 2.0**1020), _normed(3 * LEAST, 2.0**1020)
    return Triple(g, h, {}, **claim({"v": {"weight": {0: Move(None, 3 * LEAST)}}}))


def mean_before_a_slope_below_the_floats() -> Triple:
    """5 times the smallest number, over 2, is 2 times it; the large mean leaves."""
    return Triple(_normed(5 * LEAST, 2.0**1020), _normed(5 * LEAST, 0.0), {}, **claim({"v": {"mean": {0: Move(None, 0.0)}}}))


def mean_behind_a_slope_below_the_floats() -> Triple:
    """The large mean comes."""
    return Triple(_normed(5 * LEAST, 0.0), _normed(5 * LEAST, 2.0**1020), {}, **claim({"v": {"mean": {0: Move(None, 2.0**1020)}}}))


BELOW = {
    scale_below_the_floats: 2.0**100,
    scale_below_the_floats_once: 2.0**-200,
    scale_below_the_floats_turned: 2.0**-200,
    product_below_the_floats: 2.0**-100,
    offset_below_the_floats: 1.0,
    slope_below_the_floats: 2.0**45,
    mean_before_a_slope_below_the_floats: 2.5 * 2.0**46,
    mean_behind_a_slope_below_the_floats: 2.5 * 2.0**46,
}
"""Distances that float64 does not see where they begin."""
