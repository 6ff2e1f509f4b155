"""MaxPool: positive scales with any offset; what an all-padding window does."""

from __future__ import annotations

from proofs.operators import Windows, largest, maximum
from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import Fact, Number, World

COVERS = ("max_pool",)


def window(world: World) -> Claim:
    """A window of three real elements: rho >= 0 and any c pass, and rho = 0 gives the constant."""
    rho, c, y = world.real("rho"), world.real("c"), world.reals("y", 3)
    return Claim(
        conditions={"scale is not negative": rho >= 0},
        equal=((maximum(world, [rho * v + c for v in y]), rho * maximum(world, y) + c),),
    )


def _masked(world: World, present: list[Fact], values: list[Number]) -> tuple[Fact, Number]:
    """(some element is real, the largest real one); minus infinity when none is."""
    best = values[0]
    seen = present[0]
    for here, value in zip(present[1:], values[1:], strict=True):
        better = world.every([here, world.some([world.negate(seen), value > best])])
        best, seen = world.choose(better, value, best), world.some([seen, here])
    return seen, best


def padded(world: World) -> Claim:
    """Any pattern of padding (minus infinity) in a window of three; rho (-infinity) + c is -infinity only for rho > 0."""
    rho, c, y = world.real("rho"), world.real("c"), world.reals("y", 3)
    present = [world.truth(f"real[{k}]") for k in range(3)]
    seen, original = _masked(world, present, [rho * v + c for v in y])
    _, reduced = _masked(world, present, y)
    zero, one = world.constant(0), world.constant(1)
    infinite = world.every([world.negate(seen), rho > 0])
    return Claim(
        conditions={
            "scale is not negative": rho >= 0,
            "a constant unit's windows hold a real element": world.implies(rho == 0, seen),
        },
        equal=(
            (world.choose(seen, zero, one), world.choose(infinite, one, zero)),
            (world.choose(seen, original, zero), world.choose(seen, rho * reduced + c, zero)),
        ),
    )


def finite_padding(world: World) -> Claim:
    """A finite padding value: it must lie below everything, in both networks."""
    rho, c, y, lowest = world.real("rho"), world.real("c"), world.real("y"), world.real("lowest")
    return Claim(
        given=(rho > 0,),
        conditions={"the original never reaches it": lowest <= rho * y + c, "the reduced never reaches it": lowest <= y},
        equal=((maximum(world, [rho * y + c, lowest]), rho * maximum(world, [y, lowest]) + c),),
    )


HOLE = Windows((2,), (2,), (1,), (1,), (3,))
"""Length 2, kernel 2, dilation 3, padding 1: the only window reads positions -1 and 2."""


def hole(world: World) -> Claim:
    """A geometry that really has an all-padding window: a constant unit does not leave it as its constant."""
    c, rho, y = world.real("c"), world.real("rho"), world.reals("y", 2)
    x = {(p,): rho * y[p] + c for p in range(2)}
    pooled = largest(world, HOLE, x)
    finite = [world.constant(0) if value is None else world.constant(1) for value in pooled.values()]
    return Claim(conditions={"scale is positive": rho > 0}, equal=tuple((f, world.choose(rho > 0, world.constant(0), world.constant(1))) for f in finite))


ROW = "MaxPool"
LEMMAS = (
    SmtLemma(
        "max_pool.window",
        ROW,
        "rho >= 0 and any offset: the maximum of a window of real elements passes.",
        window,
        (Converse("scale is not negative", "scale -1 turns the maximum into a minimum", {"rho": -1, "c": 0}),),
    ),
    SmtLemma(
        "max_pool.padding",
        ROW,
        "With padding of minus infinity: rho > 0 always, rho = 0 if every window holds a real element.",
        padded,
        (
            Converse("scale is not negative", "scale -1", {"rho": -1, "c": 0}),
            Converse("a constant unit's windows hold a real element", "a window of padding alone under scale 0", {"rho": 0, "c": 1}),
        ),
    ),
    SmtLemma(
        "max_pool.hole",
        ROW,
        "Length 2, kernel 2, dilation 3, padding 1 is such a window: minus infinity, as only a positive scale predicts.",
        hole,
        (Converse("scale is positive", "the constant 1 is predicted, minus infinity computed", {"rho": 0, "c": 1}),),
    ),
    SmtLemma(
        "max_pool.finite-padding",
        ROW,
        "A finite padding value breaks scales and offsets as soon as one network reaches it.",
        finite_padding,
        (
            Converse("the original never reaches it", "an offset below the lowest value", {"rho": 1, "lowest": -1, "c": -1}),
            Converse("the reduced never reaches it", "scale 1/2 above the lowest value", {"rho": "1/2", "lowest": -1, "c": 0}),
        ),
    ),
)
