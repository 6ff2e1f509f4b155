"""Transposed convolution: the linear obligation for every tap; offsets where every position sums them alike.

Two input units x0 = y, x1 = r y + c (r = 0 is a constant unit) on small fields;
row R is the representative, row m a member of its class. The weights are
symbols, the geometry is fixed a lemma. Which taps a position reads depends on
stride, padding and dilation, in the interior too.
"""

from __future__ import annotations

from collections.abc import Callable

from proofs.operators import Spread, conv_transpose
from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import World

COVERS = ("conv_transpose",)

DENSE = Spread((2,), (2,), (1,), (0,), (0,), (1,))
STRIDED = Spread((2,), (2,), (2,), (0,), (0,), (1,))
OVERLAPPING = Spread((3,), (3,), (2,), (1,), (1,), (1,))
DILATED = Spread((2,), (2,), (1,), (1,), (0,), (2,))
PLANE = Spread((2, 1), (2, 2), (2, 1), (0, 0), (0, 0), (1, 1))
INSIDE = Spread((2,), (3,), (1,), (1,), (0,), (1,))


def tapwise(spread: Spread) -> Callable[[World], Claim]:
    """The representative against H's transposed convolution, and the member against the representative."""

    def claim(world: World) -> Claim:
        taps = list(spread.taps())
        y = {at: world.real(f"y{list(at)}") for at in spread.inputs()}
        r, c = world.real("r"), world.real("c")
        x = [y, {at: r * value + c for at, value in y.items()}]
        weight = [[{t: world.real(f"W{i}{j}{list(t)}") for t in taps} for j in range(2)] for i in range(2)]
        bias, small, small_bias = world.reals("b", 2), {t: world.real(f"W'{list(t)}") for t in taps}, world.real("b'")
        scale, offset = world.real("rho"), world.real("c_out")
        collapsed = [{t: row[0][t] + r * row[1][t] for t in taps} for row in weight]
        shares = [[sum((row[1][t] * c for t, _ in spread.reads(o)), start=0) for o in spread.outputs()] for row in weight]
        conditions = {
            "every tap collapses": world.every(small[t] == collapsed[0][t] for t in taps),
            "every tap is proportional": world.every(collapsed[1][t] == scale * collapsed[0][t] for t in taps),
            "offsets fold into the bias": small_bias == bias[0] + shares[0][0],
            "biases agree": bias[1] + shares[1][0] == scale * small_bias + offset,
        }
        if len({tuple(t for t, _ in spread.reads(o)) for o in spread.outputs()}) > 1:
            conditions["every position sums the offsets alike"] = world.every(share == row[0] for row in shares for share in row)
        reduced = conv_transpose(spread, [small], small_bias, [y])
        original = [conv_transpose(spread, row, b, x) for row, b in zip(weight, bias, strict=True)]
        pairs = [(original[0][o], reduced[o]) for o in spread.outputs()]
        pairs += [(original[1][o], scale * reduced[o] + offset) for o in spread.outputs()]
        return Claim(conditions, tuple(pairs))

    return claim


def _geometry(name: str, spread: Spread, uneven: dict[str, int | str] | None) -> SmtLemma:
    """`uneven` pins weights of a constant unit of one that two positions sum differently."""
    converses = [
        Converse("every tap collapses", "one tap of H is off", {"c": 0}),
        Converse("every tap is proportional", "one tap of the member is off", {"c": 0, "rho": 1}),
        Converse("offsets fold into the bias", "the bias of H is off", {"c": 0}),
        Converse("biases agree", "equal kernels, unequal biases", {"c": 0, "rho": 1, "c_out": 0}),
    ]
    if uneven is not None:
        converses.append(Converse("every position sums the offsets alike", "a constant unit whose taps differ", {"r": 0, "c": 1, "rho": 1, **uneven}))
    statement = "per tap W[:,:,k] E = E' W'[:,:,k]; offsets fold into the bias where their sums over the taps read are the same at all positions."
    return SmtLemma(f"conv_transpose.{name}", "transposed Conv", statement, tapwise(spread), tuple(converses))


def _pinned(**taps: int) -> dict[str, int | str]:
    return {f"W{i}1[{name[1:].replace('_', ', ')}]": value for i in range(2) for name, value in taps.items()}


LEMMAS = (
    _geometry("dense", DENSE, _pinned(t0=1, t1=1)),
    _geometry("strided", STRIDED, _pinned(t0=1, t1=2)),
    _geometry("overlapping", OVERLAPPING, _pinned(t0=1, t1=1, t2=1)),
    _geometry("dilated", DILATED, _pinned(t0=1, t1=2)),
    _geometry("plane", PLANE, _pinned(t0_0=1, t0_1=1, t1_0=1, t1_1=2)),
    _geometry("padded", INSIDE, _pinned(t0=1, t1=1, t2=2)),
)
