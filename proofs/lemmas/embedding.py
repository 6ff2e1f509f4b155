"""Embedding: one entry of a table is looked up, so rows need to agree in every entry, up to an offset."""

from __future__ import annotations

from proofs.operators import dot
from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import World

COVERS = ("embedding",)
ENTRIES = 3


def looked_up(world: World) -> Claim:
    """A table of three entries and two units, R and m; H has the column of R. The integer is a row of zeros with a single one."""
    table, small, chosen = world.matrix("t", 2, ENTRIES), world.reals("t'", ENTRIES), world.reals("e", ENTRIES)
    scale, offset = world.real("rho"), world.real("c_out")
    return Claim(
        given=tuple(world.some([e == 0, e == 1]) for e in chosen),
        conditions={
            "one entry is looked up": sum(chosen, start=0) == 1,
            "H has the representative's column": world.every(a == b for a, b in zip(small, table[0], strict=True)),
            "every entry agrees": world.every(b == scale * a + offset for a, b in zip(table[0], table[1], strict=True)),
        },
        equal=((dot(table[0], chosen), dot(small, chosen)), (dot(table[1], chosen), scale * dot(small, chosen) + offset)),
    )


def constant(world: World) -> Claim:
    """A column that is the same number in every entry."""
    column, chosen, c = world.reals("t", ENTRIES), world.reals("e", ENTRIES), world.real("c_out")
    return Claim(
        given=(*(world.some([e == 0, e == 1]) for e in chosen), sum(chosen, start=0) == 1),
        conditions={"every entry is the constant": world.every(a == c for a in column)},
        equal=((dot(column, chosen), c),),
    )


LEMMAS = (
    SmtLemma(
        "embedding.looked-up",
        "Embedding",
        "t[:, m] = rho t[:, R] + c_out in every entry: the member is rho * representative + c_out, whatever is looked up.",
        looked_up,
        (
            Converse("one entry is looked up", "an entry of zeros (no lookup) has no offset", {"e[0]": 0, "e[1]": 0, "e[2]": 0, "c_out": 1}),
            Converse("H has the representative's column", "one entry of H is off", {"e[1]": 1}),
            Converse(
                "every entry agrees", "the last entry differs in its last bit", {"rho": 1, "c_out": 0, "t[0,2]": 1, "t[1,2]": "8388609/8388608", "e[2]": 1}
            ),
        ),
    ),
    SmtLemma(
        "embedding.constant",
        "Embedding",
        "A column with one number in all entries is that constant.",
        constant,
        (Converse("every entry is the constant", "one entry differs", {"c_out": 1, "t[0]": 2, "e[0]": 1}),),
    ),
)
