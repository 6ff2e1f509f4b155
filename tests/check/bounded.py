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
    stored = {k: np.array(v, "float32") for k, v in {"weight": gamma, "var": var, "mean": mean, "bias": beta}.items()}
    nodes = {"h": linear("x", weight), "v": N("batch_norm", (None, len(stored["var"])), ["h"], {"eps": 0.0}, stored), "y": linear("v", last)}
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
    at = 2 + 2 * padding - 1
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


def _with_constant(padding: int, bias: float, last: float = -2) -> Triple:
    g, h = convolved([1, 0], [[[1, 1], [2, last]]], [0], padding), convolved([1], [[[1, 1]]], [bias], padding)
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
    return _with_constant(1, -0.5, 0)
