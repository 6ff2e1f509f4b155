"""AvgPool: linear in positions, so an offset survives where the weights of every window sum to one."""

from __future__ import annotations

from collections.abc import Callable

from proofs.operators import Windows, average, dot
from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import World

COVERS = ("avg_pool",)


def weighted(world: World) -> Claim:
    """Any window of three with any weights; rows with several entries pass too."""
    expansion, c, weights = world.reals("E", 2), world.real("c"), world.reals("w", 3)
    y = [world.reals(f"y{k}", 3) for k in range(2)]
    x = [dot(expansion, [y[0][p], y[1][p]]) + c for p in range(3)]
    pooled = [dot(weights, unit) for unit in y]
    return Claim(
        conditions={"the weights sum to one, or the offset is zero": world.some([sum(weights, start=0) == 1, c == 0])},
        equal=((dot(weights, x), dot(expansion, pooled) + c),),
    )


WINDOWS = Windows((3,), (2,), (1,), (1,), (1,))


def geometry(count_padding: bool, divisor: int | None) -> Callable[[World], Claim]:
    """Length 3, kernel 2, padding 1: the border windows hold one real element."""

    def claim(world: World) -> Claim:
        rho, c, y = world.real("rho"), world.real("c"), world.reals("y", 3)
        original = average(WINDOWS, {(p,): rho * y[p] + c for p in range(3)}, count_padding, divisor)
        reduced = average(WINDOWS, {(p,): y[p] for p in range(3)}, count_padding, divisor)
        whole = divisor is None and not count_padding
        conditions = {"the real elements are counted, or the offset is zero": world.some([c == 0, world.constant(int(whole)) == 1])}
        return Claim(conditions, tuple((original[o], rho * reduced[o] + c) for o in WINDOWS.outputs()))

    return claim


def sizes(world: World) -> Claim:
    """Both networks divide by the same count: the window of the same geometry."""
    rho, y, counts = world.real("rho"), world.reals("y", 2), world.reals("n", 2)
    return Claim(
        given=tuple(n >= 1 for n in counts),
        conditions={"H has the same geometry": counts[0] == counts[1]},
        equal=(((rho * y[0] + rho * y[1]) / counts[0], rho * ((y[0] + y[1]) / counts[1])),),
    )


CONDITION = "the real elements are counted, or the offset is zero"
ROW = "AvgPool, global average, adaptive"
LEMMAS = (
    SmtLemma(
        "avg_pool.weighted",
        ROW,
        "Weights that sum to one, or c = 0: any row passes.",
        weighted,
        (
            Converse(
                "the weights sum to one, or the offset is zero",
                "two real elements of three counted",
                {"w[0]": "1/3", "w[1]": "1/3", "w[2]": 0, "c": 1},
            ),
            Converse(
                "the weights sum to one, or the offset is zero",
                "a divisor of 2 over three elements",
                {"w[0]": "1/2", "w[1]": "1/2", "w[2]": "1/2", "c": 1},
            ),
        ),
    ),
    SmtLemma(
        "avg_pool.counted-padding",
        ROW,
        "count_include_pad: the border divides one element by two, so only c = 0 passes.",
        geometry(True, None),
        (Converse(CONDITION, "an offset at the border", {"rho": 1, "c": 1}),),
    ),
    SmtLemma(
        "avg_pool.divisor",
        ROW,
        "divisor_override: the weights sum to one in no window, so only c = 0 passes.",
        geometry(False, 3),
        (Converse(CONDITION, "an offset under divisor 3", {"rho": 1, "c": 1}),),
    ),
    SmtLemma(
        "avg_pool.geometry",
        ROW,
        "Rows pass where both networks divide by the same count.",
        sizes,
        (Converse("H has the same geometry", "H divides by another count", {"rho": 1, "n[0]": 2, "n[1]": 3}),),
    ),
)
