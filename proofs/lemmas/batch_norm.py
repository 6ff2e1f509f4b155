"""BatchNorm in eval mode: an affine map per channel whose slope is irrational in general.

out_i = a_i (x_i - mu_i) + beta_i with a_i = gamma_i / sqrt(var_i + eps). Z3 has no
square root: s_i is the positive number with s_i^2 = v_i, where v_i = var_i + eps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy

from proofs.enclosure import Box, box, iv
from proofs.operators import is_one_of
from proofs.smt import Claim, Converse, SmtLemma
from proofs.symbolic import Point, Probe, SymbolicLemma
from proofs.worlds import World

COVERS = ("batch_norm",)


def squares(world: World) -> Claim:
    """How scale and offset are decided without a square root: compare squares, then signs.

    `share` is what the means contribute to the offset, a_j (c - mu_j + rho mu_i): zero where they correspond.
    """
    rho, c, scale, y, share = (world.real(name) for name in ("rho", "c", "rho'", "y", "share"))
    gamma, beta, mu, v, s = (world.reals(name, 2) for name in ("gamma", "beta", "mu", "v", "s"))
    representative = gamma[0] / s[0] * (y - mu[0]) + beta[0]
    member = gamma[1] / s[1] * (rho * y + c - mu[1]) + beta[1]
    shift = c - mu[1] + rho * mu[0]
    return Claim(
        given=(*(s[i] > 0 for i in range(2)), *(s[i] * s[i] == v[i] for i in range(2)), gamma[0] != 0),
        conditions={
            "squares agree": scale * scale * gamma[0] * gamma[0] * v[1] == rho * rho * gamma[1] * gamma[1] * v[0],
            "signs agree": scale * gamma[0] * rho * gamma[1] >= 0,
            "the means' share has the right square": share * share * v[1] == gamma[1] * gamma[1] * shift * shift,
            "the means' share has the right sign": share * gamma[1] * shift >= 0,
        },
        equal=((member, scale * representative + (beta[1] - scale * beta[0] + share)),),
    )


def surd(world: World) -> Claim:
    """A constant channel leaves as the surd beta + (gamma (c - mu) / v) sqrt(v)."""
    gamma, beta, mu, v, s, c = (world.real(name) for name in ("gamma", "beta", "mu", "v", "s", "c"))
    return Claim(
        given=(s > 0, v > 0),
        conditions={"the root is exact": s * s == v},
        equal=((gamma / s * (c - mu) + beta, beta + gamma * (c - mu) / v * s),),
    )


def zero_gamma(world: World) -> Claim:
    """A channel with gamma = 0 is exactly its beta."""
    gamma, s, mu, beta, x = (world.real(name) for name in ("gamma", "s", "mu", "beta", "x"))
    return Claim(given=(s > 0,), conditions={"gamma is zero": gamma == 0}, equal=((gamma / s * (x - mu) + beta, beta),))


def _symbolic() -> tuple[Any, dict[str, tuple[Mapping[Any, Any], ...]]]:
    rho, c, y, mu_i, mu_j, beta_i, beta_j = sympy.symbols("rho c y mu_i mu_j beta_i beta_j", real=True)
    v_i, v_j = sympy.symbols("v_i v_j", positive=True)
    gamma_i, gamma_j = sympy.symbols("gamma_i gamma_j", real=True, nonzero=True)
    scale, offset = sympy.symbols("scale offset", real=True)
    a_i, a_j = gamma_i / sympy.sqrt(v_i), gamma_j / sympy.sqrt(v_j)
    ratio = rho * a_j / a_i
    residual = a_j * (rho * y + c - mu_j) + beta_j - (scale * (a_i * (y - mu_i) + beta_i) + offset)
    where = {
        "scale is rho a_j / a_i": ({scale: ratio},),
        "offset is beta_j - scale beta_i + a_j (c - mu_j + rho mu_i)": ({offset: beta_j - scale * beta_i + a_j * (c - mu_j + rho * mu_i)},),
    }
    return residual, {k: tuple({s: e.subs({scale: ratio}) for s, e in alt.items()} for alt in v) for k, v in where.items()}


def _enclosed(point: Point) -> Box:
    p: dict[str, Box] = {name: box(value) for name, value in point.items()}
    a_i, a_j = p["gamma_i"] / iv.sqrt(p["v_i"]), p["gamma_j"] / iv.sqrt(p["v_j"])
    scale = p["scale"] if "scale" in p else p["rho"] * a_j / a_i
    offset = p["offset"] if "offset" in p else p["beta_j"] - scale * p["beta_i"] + a_j * (p["c"] - p["mu_j"] + p["rho"] * p["mu_i"])
    return a_j * (p["rho"] * p["y"] + p["c"] - p["mu_j"]) + p["beta_j"] - (scale * (a_i * (p["y"] - p["mu_i"]) + p["beta_i"]) + offset)


GRID: dict[str, tuple[int | str, ...]] = dict.fromkeys(("rho", "gamma_i", "gamma_j", "v_i"), (1,)) | {
    "v_j": (2,),
    "y": (0, 1, 2),
    **dict.fromkeys(("c", "mu_i", "mu_j", "beta_i", "beta_j"), (0,)),
}
RESIDUAL, WHERE = _symbolic()


def descent(world: World) -> Claim:
    """Why a ratio whose square is 2 is refused: m^2 = 2 n^2 makes m and n even, so m/n is never in lowest terms.

    The same step for any prime of odd exponent is why the square test looks at
    numerator and denominator, in lowest terms, separately.
    """
    a, b, odd_m, odd_n = (world.integer(name) for name in ("a", "b", "m mod 2", "n mod 2"))
    m, n = 2 * a + odd_m, 2 * b + odd_n
    return Claim(
        given=(is_one_of(world, odd_m, (0, 1)), is_one_of(world, odd_n, (0, 1))),
        conditions={"the square is 2": m * m == 2 * n * n},
        equal=((odd_m, 0), (odd_n, 0)),
    )


ROW = "BatchNorm(eval)"
LEMMAS = (
    SymbolicLemma(
        "batch_norm.row",
        ROW,
        "The derived row: rho' = rho a_j / a_i and offset beta_j - rho' beta_i + a_j (c - mu_j + rho mu_i), for gamma_i != 0.",
        RESIDUAL,
        WHERE,
        (
            Probe(
                "scale is rho a_j / a_i",
                "variances 1 and 2: the ratio is sqrt(1/2), no rational near it will do",
                {**GRID, "scale": ("7/10", "99/140"), "offset": (0,)},
                _enclosed,
            ),
            Probe(
                "offset is beta_j - scale beta_i + a_j (c - mu_j + rho mu_i)",
                "means differ: the offset a_j (mu_i - mu_j) is irrational",
                {**GRID, "mu_j": (1,), "offset": ("-7/10",)},
                _enclosed,
            ),
        ),
    ),
    SmtLemma(
        "batch_norm.squares",
        ROW,
        "rho'^2 gamma_i^2 v_j = rho^2 gamma_j^2 v_i, signs agree: that is the scale. The offset likewise: squares and signs.",
        squares,
        (
            Converse("squares agree", "variances 1 and 4 under scale 1", {"rho": 1, "rho'": 1, "gamma[0]": 1, "gamma[1]": 1, "s[0]": 1, "s[1]": 2}),
            Converse("signs agree", "gammas of opposite sign under scale 1", {"rho": 1, "rho'": 1, "gamma[0]": 1, "gamma[1]": -1, "s[0]": 1, "s[1]": 1}),
            Converse(
                "the means' share has the right square",
                "another mean, whose share is forgotten",
                {"rho": 1, "c": 0, "rho'": 1, "gamma[0]": 1, "gamma[1]": 1, "s[0]": 1, "s[1]": 1, "share": 0},
            ),
            Converse(
                "the means' share has the right sign",
                "another mean, its share with the wrong sign",
                {"rho": 1, "c": 0, "rho'": 1, "gamma[0]": 1, "gamma[1]": 1, "s[0]": 1, "s[1]": 1, "share": -1},
            ),
        ),
    ),
    SmtLemma(
        "batch_norm.zero-gamma",
        ROW,
        "gamma = 0 gives exactly the constant beta.",
        zero_gamma,
        (Converse("gamma is zero", "a live channel", {"s": 1, "mu": 0}),),
    ),
    SmtLemma(
        "batch_norm.irrational",
        ROW,
        "No fraction in lowest terms has the square 2: such a ratio is refused, never rounded.",
        descent,
        (Converse("the square is 2", "squares 1 and 9/4 have rational roots"),),
    ),
    SmtLemma(
        "batch_norm.surd",
        ROW,
        "A constant channel c leaves as the surd beta + (gamma (c - mu) / v) sqrt(v).",
        surd,
        (Converse("the root is exact", "sqrt(2) rounded to 99/70", {"v": 2, "s": "99/70", "gamma": 1, "beta": 0}),),
    ),
)
