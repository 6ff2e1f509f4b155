"""Adaptive pooling: windows from floor(i n / o) to ceil((i + 1) n / o), never empty, never padded."""

from __future__ import annotations

from proofs.operators import adaptive_window, maximum
from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import World

COVERS = ("adaptive_avg_pool", "adaptive_max_pool")
SIZE, OUTPUTS = 5, 3
"""Windows 0-1, 1-3, 3-4: they overlap and have unequal lengths."""


def averages(world: World) -> Claim:
    rho, c, y = world.real("rho"), world.real("c"), world.reals("y", SIZE)
    share = world.real("share")
    windows = [adaptive_window(SIZE, OUTPUTS, o) for o in range(OUTPUTS)]
    return Claim(
        conditions={"the elements of a window share one": share == 1},
        equal=tuple(
            (share * sum((rho * y[p] + c for p in w), start=0) / len(w), rho * (share * sum((y[p] for p in w), start=0) / len(w)) + c) for w in windows
        ),
    )


def maxima(world: World) -> Claim:
    rho, c, y = world.real("rho"), world.real("c"), world.reals("y", SIZE)
    windows = [adaptive_window(SIZE, OUTPUTS, o) for o in range(OUTPUTS)]
    return Claim(
        conditions={"scale is not negative": rho >= 0},
        equal=tuple((maximum(world, [rho * y[p] + c for p in w]), rho * maximum(world, [y[p] for p in w]) + c) for w in windows),
    )


def never_empty(world: World) -> Claim:
    """Seven outputs of any size n >= 1: first = floor(i n / 7), last = ceil((i + 1) n / 7) - 1, and first <= last < n."""
    n, i, first, last = (world.integer(name) for name in ("n", "i", "first", "last"))
    good = world.every([first <= last, first >= 0, last < n])
    return Claim(
        given=(
            world.every([i >= 0, i < 7]),
            world.every([7 * first <= i * n, i * n < 7 * first + 7]),
            world.every([7 * last < (i + 1) * n, (i + 1) * n <= 7 * last + 7]),
        ),
        conditions={"there is an input": n >= 1},
        equal=((world.choose(good, world.constant(1), world.constant(0)), world.constant(1)),),
    )


ROW = "AvgPool, global average, adaptive; MaxPool"
LEMMAS = (
    SmtLemma(
        "adaptive_pool.average",
        ROW,
        "Every window is the mean of its elements: any row passes.",
        averages,
        (Converse("the elements of a window share one", "weights that sum to 1/2", {"share": "1/2", "rho": 1, "c": 1}),),
    ),
    SmtLemma(
        "adaptive_pool.maximum",
        ROW,
        "rho >= 0 and any offset pass; no padding can spoil a constant unit.",
        maxima,
        (Converse("scale is not negative", "scale -1", {"rho": -1, "c": 0}),),
    ),
    SmtLemma(
        "adaptive_pool.never-empty",
        ROW,
        "Every adaptive window of a non-empty input holds a real element.",
        never_empty,
        (Converse("there is an input", "no element at all", {}),),
    ),
)
