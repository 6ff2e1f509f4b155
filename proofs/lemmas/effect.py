"""What rounded weights do at the outputs: how large values are and how far they are apart, carried through operators.

`r` is a number of the emitted network, `q` the exact quotient's; |r| <= m, |q - r| <= d. A weight of the quotient lies within H of the stored one.
"""

from __future__ import annotations

from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import Fact, Number, World

COVERS: tuple[str, ...] = ()


def _size(world: World, x: Number) -> Number:
    return world.choose(x >= 0, x, -x)


def _holds(world: World, fact: Fact) -> tuple[Number, Number]:
    return world.choose(fact, world.constant(1), world.constant(0)), world.constant(1)


def affine(world: World) -> Claim:
    """One product and a bias; a longer sum adds products."""
    w, exact, b, exact_b, q, r = (world.real(name) for name in ("w", "w_q", "b", "b_q", "q", "r"))
    slack, slack_b, m, d = (world.real(name) for name in ("H", "h", "m", "d"))
    bound = (_size(world, w) + slack) * d + slack * m + slack_b
    return Claim(
        conditions={
            "the weight is within its slack": _size(world, exact - w) <= slack,
            "the bias is within its slack": _size(world, exact_b - b) <= slack_b,
            "m bounds the value": _size(world, r) <= m,
            "d bounds the difference": _size(world, q - r) <= d,
        },
        equal=(
            _holds(world, _size(world, (exact * q + exact_b) - (w * r + b)) <= bound),
            _holds(world, _size(world, w * r + b) <= _size(world, w) * m + _size(world, b)),
        ),
    )


def product(world: World) -> Claim:
    """Two values: (q1 - r1) q2 + r1 (q2 - r2)."""
    q, r, m, d = (world.reals(name, 2) for name in ("q", "r", "m", "d"))
    return Claim(
        conditions={
            "m bounds the first value": _size(world, r[0]) <= m[0],
            "m bounds the second value": _size(world, r[1]) <= m[1],
            "d bounds the first difference": _size(world, q[0] - r[0]) <= d[0],
            "d bounds the second difference": _size(world, q[1] - r[1]) <= d[1],
        },
        equal=(_holds(world, _size(world, q[0] * q[1] - r[0] * r[1]) <= d[0] * (m[1] + d[1]) + m[0] * d[1]),),
    )


def bent(world: World) -> Claim:
    """A function f with f(u), f(v), f(0) as letters."""
    u, v, fu, fv, slope, m, d = (world.real(name) for name in ("u", "v", "f(u)", "f(v)", "L", "m", "d"))
    gain, at_zero = world.real("g"), world.real("f0")
    return Claim(
        given=(slope >= 0, gain >= 0),
        conditions={
            "f is Lipschitz": _size(world, fu - fv) <= slope * _size(world, u - v),
            "f grows at most so": _size(world, fv) <= at_zero + gain * _size(world, v),
            "m bounds the value": _size(world, v) <= m,
            "d bounds the difference": _size(world, u - v) <= d,
        },
        equal=(_holds(world, _size(world, fu - fv) <= slope * d), _holds(world, _size(world, fv) <= at_zero + gain * m)),
    )


def scaled(world: World) -> Claim:
    """Coefficients of 1 and of t = |x|: sums and multiples of linear bounds are such bounds."""
    a, b, t, w = world.reals("a", 2), world.reals("b", 2), world.real("t"), world.real("w")
    x, y = world.real("x"), world.real("y")
    return Claim(
        given=(t >= 0,),
        conditions={
            "x has its bound": _size(world, x) <= a[0] + a[1] * t,
            "y has its bound": _size(world, y) <= b[0] + b[1] * t,
            "the factor is not negative": w >= 0,
        },
        equal=(_holds(world, _size(world, w * x + y) <= (w * a[0] + b[0]) + (w * a[1] + b[1]) * t),),
    )


def outward(world: World) -> Claim:
    """`up`: p is the number, s what was computed; k = n u, and each of the two last operations keeps at least 1 - u, the product less e.

    (1 - u)^n >= 1 - n u is Bernoulli's inequality; u is small against 1/k.
    """
    p, s, raised, answer, k, u, n, e = (world.real(name) for name in ("p", "s", "raised", "answer", "k", "u", "n", "e"))
    return Claim(
        given=(p >= 0, s >= 0, n >= 1, u > 0, e > 0, 4 * u <= 1, k == n * u),
        conditions={
            "what was lost": s >= p * (1 - k) - n * e,
            "few enough operations": 2 * (k + 4 * u) <= 1,
            "the addition": raised >= (s + 2 * (n + 1) * e) * (1 - u),
            "the product": answer >= raised * (1 + 2 * (k + 4 * u)) * (1 - u) - e,
        },
        equal=(_holds(world, answer >= p),),
    )


ROW = "section 5, rounding `bounded`"
LEMMAS = (
    SmtLemma(
        "effect.affine",
        ROW,
        "A weight and a bias within their slack: |w_q q + b_q - (w r + b)| <= (|w| + H) d + H m + h, and |w r + b| <= |w| m + |b|.",
        affine,
        (
            Converse("the weight is within its slack", "a weight rounded further", {"H": 0, "w": 1, "w_q": 2, "d": 0, "h": 0, "m": 1}),
            Converse("the bias is within its slack", "a bias rounded further", {"H": 0, "w": 0, "w_q": 0, "d": 0, "h": 0, "b": 0, "b_q": 1, "m": 1}),
            Converse("m bounds the value", "a larger value", {"m": 0, "r": 1, "w": 1, "w_q": 1, "b": 0, "b_q": 0, "H": 0, "h": 0, "d": 0, "q": 1}),
            Converse("d bounds the difference", "values further apart", {"d": 0, "q": 1, "r": 0, "w": 1, "w_q": 1, "b": 0, "b_q": 0, "H": 0, "h": 0, "m": 0}),
        ),
    ),
    SmtLemma(
        "effect.product",
        ROW,
        "|q1 q2 - r1 r2| <= d1 (m2 + d2) + m1 d2.",
        product,
        (
            Converse("m bounds the first value", "a larger first", {"m[0]": 0, "r[0]": 1, "q[0]": 1, "d[0]": 0, "r[1]": 0, "q[1]": 1, "d[1]": 1, "m[1]": 0}),
            Converse("m bounds the second value", "a larger second", {"m[1]": 0, "r[1]": 1, "q[1]": 1, "d[1]": 0, "r[0]": 0, "q[0]": 1, "d[0]": 1, "m[0]": 0}),
            Converse(
                "d bounds the first difference",
                "the first further apart",
                {"d[0]": 0, "q[0]": 1, "r[0]": 0, "q[1]": 1, "r[1]": 1, "d[1]": 0, "m[0]": 0, "m[1]": 1},
            ),
            Converse(
                "d bounds the second difference",
                "the second further apart",
                {"d[1]": 0, "q[1]": 1, "r[1]": 0, "q[0]": 1, "r[0]": 1, "d[0]": 0, "m[0]": 1, "m[1]": 0},
            ),
        ),
    ),
    SmtLemma(
        "effect.bent",
        ROW,
        "A Lipschitz function: differences times L, values at most f0 + g |v|.",
        bent,
        (
            Converse("f is Lipschitz", "a jump", {"u": 0, "v": 0, "f(u)": 1, "f(v)": 0, "L": 1, "d": 0, "m": 0, "f0": 0, "g": 0}),
            Converse("f grows at most so", "a larger function", {"u": 0, "v": 0, "f(u)": 1, "f(v)": 1, "L": 1, "d": 0, "m": 0, "f0": 0, "g": 0}),
            Converse("m bounds the value", "a larger value", {"u": 1, "v": 1, "f(u)": 1, "f(v)": 1, "L": 1, "d": 0, "m": 0, "f0": 0, "g": 1}),
            Converse("d bounds the difference", "values further apart", {"u": 1, "v": 0, "f(u)": 1, "f(v)": 0, "L": 1, "d": 0, "m": 0, "f0": 0, "g": 1}),
        ),
    ),
    SmtLemma(
        "effect.scaled",
        ROW,
        "Bounds a0 + a1 t add up and are multiplied coefficient by coefficient.",
        scaled,
        (
            Converse("x has its bound", "a larger x", {"w": 1, "x": 1, "y": 0, "t": 1, "a[0]": 0, "a[1]": 0, "b[0]": 0, "b[1]": 0}),
            Converse("y has its bound", "a larger y", {"w": 1, "x": 0, "y": 1, "t": 1, "a[0]": 0, "a[1]": 0, "b[0]": 0, "b[1]": 0}),
            Converse("the factor is not negative", "a negative factor needs its absolute value", {"w": -1, "x": 1, "y": 0, "t": 0, "a[0]": 1, "b[0]": 0}),
        ),
    ),
    SmtLemma(
        "effect.outward",
        ROW,
        "A computed sum of at most n products, plus 2 (n + 1) e, times 1 + 2 (n + 4) u, rounded twice more, is at least the sum.",
        outward,
        (
            Converse("what was lost", "more was lost", {"u": "1/100", "n": 1, "k": "1/100", "e": "1/1000", "p": 1, "s": 0}),
            Converse("few enough operations", "more operations than there are bits", {"u": "1/4", "n": 4, "k": 1, "p": 1000, "s": 0, "e": "1/1000"}),
            Converse("the addition", "an addition that loses more", {"u": "1/100", "n": 1, "k": "1/100", "e": "1/1000", "p": 1, "s": 1, "raised": 0}),
            Converse("the product", "a product that loses more", {"u": "1/100", "n": 1, "k": "1/100", "e": "1/1000", "p": 1, "s": 1, "raised": 1, "answer": 0}),
        ),
    ),
)
