"""Pad: copies of positions, or a value that enters at every unit alike."""

from __future__ import annotations

from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import World

COVERS = ("pad", "upsample")


def constant(world: World) -> Claim:
    """One position behind a padded one, of a unit rho y + c; H pads its column with v'."""
    rho, c, y, v, small = (world.real(name) for name in ("rho", "c", "y", "v", "v'"))
    before, column = [v, rho * y + c], [small, y]
    return Claim(
        conditions={"H pads with the same value": small == v, "the row maps the padding to itself": v == rho * v + c},
        equal=tuple((x, rho * h + c) for x, h in zip(before, column, strict=True)),
    )


def constants(world: World) -> Claim:
    c, v = world.real("c"), world.real("v")
    return Claim(conditions={"the constant is the padding": c == v}, equal=((v, c), (c, c)))


def copies(world: World) -> Claim:
    """Two positions padded by a copy of one of them, the same one in H: reflecting, replicating, circular, or repeated."""
    rho, c, y, h = world.real("rho"), world.real("c"), world.reals("y", 2), world.reals("h", 3)
    before = [rho * y[1] + c, rho * y[0] + c, rho * y[1] + c]
    return Claim(
        conditions={"H copies the same position": h[0] == y[1], "H keeps the others": world.every([h[1] == y[0], h[2] == y[1]])},
        equal=tuple((x, rho * k + c) for x, k in zip(before, h, strict=True)),
    )


def units(world: World) -> Claim:
    """A unit of padding beside rho y + c: kept as a column of its own, of which another is a row, or a constant that leaves."""
    v, h, scale, offset, out = (world.real(name) for name in ("v", "h", "rho'", "c'", "c_out"))
    return Claim(
        conditions={
            "H's column is padded alike": h == v,
            "the row maps the padding to itself": scale * v + offset == v,
            "the constant is the padding": out == v,
        },
        equal=((v, h), (v, scale * h + offset), (v, out)),
    )


ROW = "Pad on positions"
LEMMAS = (
    SmtLemma(
        "pad.constant",
        ROW,
        "v = rho v + c.",
        constant,
        (
            Converse("H pads with the same value", "H pads with zero", {"rho": 1, "c": 0, "v": 1, "v'": 0}),
            Converse("the row maps the padding to itself", "scale 2 around a padding of 1", {"rho": 2, "c": 0, "v": 1}),
            Converse("the row maps the padding to itself", "offset 1 around a padding of 0", {"rho": 1, "c": 1, "v": 0}),
        ),
    ),
    SmtLemma(
        "pad.constant-unit",
        ROW,
        "A constant unit stays constant where the padding is that constant.",
        constants,
        (Converse("the constant is the padding", "a channel of ones in a frame of zeros", {"c": 1, "v": 0}),),
    ),
    SmtLemma(
        "pad.units",
        "Pad: on the unit axis it adds constant units",
        "Every unit of padding is the constant v.",
        units,
        (
            Converse("H's column is padded alike", "H pads with zero", {"v": 1, "h": 0, "rho'": 1, "c'": 0}),
            Converse("the row maps the padding to itself", "scale 2", {"v": 1, "rho'": 2, "c'": 0}),
            Converse("the constant is the padding", "another constant", {"v": 1, "c_out": 0}),
        ),
    ),
    SmtLemma(
        "pad.copies",
        ROW,
        "Copies of positions have the row of the unit; nearest upsampling is nothing else.",
        copies,
        (
            Converse("H copies the same position", "H reflects where the original is circular", {"rho": 1, "c": 0, "y[1]": 1, "h[0]": 0}),
            Converse("H keeps the others", "H shifts the positions", {"rho": 1, "c": 0, "y[0]": 0, "h[1]": 1}),
        ),
    ),
)
