"""Convolution: the linear obligation for every tap, and what zero padding does to offsets.

Two input units x0 = y, x1 = r y + c (r = 0 is a constant unit) on small fields;
row R is the representative, row m a member of its class. The weights are
symbols, the geometry (size, kernel, stride, padding, dilation) is fixed a lemma.
"""

from __future__ import annotations

from collections.abc import Callable

from proofs.operators import Field, Windows, conv, dot
from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import Number, World

COVERS = ("conv",)

SAME = Windows((3,), (3,), (1,), (1,), (1,))
STRIDED = Windows((5,), (3,), (2,), (1,), (1,))
DILATED = Windows((3,), (3,), (1,), (2,), (2,))
PLANE = Windows((2, 2), (2, 3), (1, 1), (0, 1), (1, 1))
VALID = Windows((3,), (2,), (1,), (0,), (1,))


def kernel(world: World, name: str, windows: Windows) -> dict[tuple[int, ...], Number]:
    return {tap: world.real(f"{name}{list(tap)}") for tap in windows.taps()}


def _field(world: World, windows: Windows) -> Field:
    outputs = [windows.reads(o, t) for o in windows.outputs() for t in windows.taps()]
    return {at: world.real(f"y{list(at)}") for at in sorted(set(outputs)) if windows.inside(at)}


def tapwise(windows: Windows) -> Callable[[World], Claim]:
    """The representative against H's convolution, and the member against the representative."""

    def claim(world: World) -> Claim:
        y, r, c = _field(world, windows), world.real("r"), world.real("c")
        x = [y, {at: r * value + c for at, value in y.items()}]
        weight = [[kernel(world, f"W{i}{j}", windows) for j in range(2)] for i in range(2)]
        bias, small, small_bias = world.reals("b", 2), kernel(world, "W'", windows), world.real("b'")
        scale, offset = world.real("rho"), world.real("c_out")
        taps = list(windows.taps())
        collapsed = [{t: row[0][t] + r * row[1][t] for t in taps} for row in weight]
        folded = [sum((row[1][t] * c for t in taps), start=b) for row, b in zip(weight, bias, strict=True)]
        conditions = {
            "every tap collapses": world.every(small[t] == collapsed[0][t] for t in taps),
            "every tap is proportional": world.every(collapsed[1][t] == scale * collapsed[0][t] for t in taps),
            "offsets fold into the bias": small_bias == folded[0],
            "biases agree": folded[1] == scale * folded[0] + offset,
        }
        outside = sorted(windows.outside_taps())
        if outside:
            conditions["taps that read padding carry no offset"] = world.every(row[1][t] * c == 0 for row in weight for t in outside)
        reduced = conv(windows, [small], small_bias, [y])
        original = [conv(windows, row, b, x) for row, b in zip(weight, bias, strict=True)]
        pairs = [(original[0][o], reduced[o]) for o in windows.outputs()]
        pairs += [(original[1][o], scale * reduced[o] + offset) for o in windows.outputs()]
        return Claim(conditions, tuple(pairs))

    return claim


def grouped(world: World) -> Claim:
    """Two groups of two channels, one tap. Classes {0, 2} and {1, 3} span the groups; H has two columns in two groups."""
    y, s = world.reals("y", 2), world.reals("s", 2)
    x = [y[0], y[1], s[0] * y[0], s[1] * y[1]]
    weight = [[world.real(f"W[{i},{j}]") if j // 2 == i else 0 for j in range(4)] for i in range(2)]
    collapsed = [[row[0] + row[2] * s[0], row[1] + row[3] * s[1]] for row in weight]
    small = world.reals("W'", 2)
    return Claim(
        conditions={
            "taps collapse inside the group": world.every(small[i] == collapsed[i][i] for i in range(2)),
            "nothing is read across H's groups": world.every(collapsed[i][1 - i] == 0 for i in range(2)),
        },
        equal=tuple((dot(weight[i], x), small[i] * y[i]) for i in range(2)),
    )


def depthwise(world: World) -> Claim:
    """One channel a group: units merge behind a depthwise convolution only if they were merged before it."""
    y, e, w, scale = world.reals("y", 2), world.reals("e", 2), world.reals("w", 2), world.real("rho")
    member = e[0] * y[0] + e[1] * y[1]
    return Claim(
        conditions={"one class before": w[1] * e[1] == 0, "kernels are proportional": w[1] * e[0] == scale * w[0]},
        equal=((w[1] * member, scale * (w[0] * y[0])),),
    )


def _border(windows: Windows) -> dict[str, int | str]:
    """A constant channel of ones under a kernel of ones: the border sees less of it."""
    return {"r": 0, "c": 1, "rho": 1, **{f"W{i}1{list(t)}": 1 for i in range(2) for t in windows.taps()}}


def _geometry(name: str, windows: Windows, *more: Converse) -> SmtLemma:
    converses = [
        Converse("every tap collapses", "one tap of H is off", {"c": 0}),
        Converse("every tap is proportional", "one tap of the member is off", {"c": 0, "rho": 1}),
        Converse("offsets fold into the bias", "the constant channel is forgotten", {"r": 0, "b[0]": 0, "b'": 0}),
        Converse("biases agree", "equal kernels, unequal biases", {"c": 0, "rho": 1, "c_out": 0}),
    ]
    statement = "per tap W[:,:,k] E = E' W'[:,:,k]; offsets fold into the bias; taps that some output reads outside the input carry none."
    return SmtLemma(f"conv.{name}", ROW, statement, tapwise(windows), (*converses, *more))


def _padded(windows: Windows) -> Converse:
    return Converse("taps that read padding carry no offset", "a constant channel at the border", _border(windows))


ROW = "Conv (1d-3d, stride, dilation)"
GROUPED = "grouped / depthwise Conv"
LEMMAS = (
    _geometry("unpadded", VALID),
    _geometry("padded", SAME, _padded(SAME)),
    _geometry("strided", STRIDED, _padded(STRIDED)),
    _geometry("dilated", DILATED, _padded(DILATED)),
    _geometry("plane", PLANE, _padded(PLANE)),
    SmtLemma(
        "conv.grouped",
        GROUPED,
        "W as a block-diagonal matrix; a collapsed row must vanish outside its group in H.",
        grouped,
        (
            Converse("taps collapse inside the group", "H's tap is off"),
            Converse(
                "nothing is read across H's groups",
                "all weights one: classes span the groups, H needs one group",
                {f"W[{i},{2 * i + j}]": 1 for i in range(2) for j in range(2)} | {"s[0]": 1, "s[1]": 1},
            ),
        ),
    ),
    SmtLemma(
        "conv.depthwise",
        GROUPED,
        "A depthwise convolution keeps the classes of its input and changes their scales.",
        depthwise,
        (
            Converse("one class before", "equal kernels on unequal channels", {"w[0]": 1, "w[1]": 1, "e[1]": 1}),
            Converse("kernels are proportional", "the scale is not carried", {"w[0]": 1, "w[1]": 2, "e[0]": 1, "rho": 1}),
        ),
    ),
)
