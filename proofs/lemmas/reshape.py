"""Reshape: elements keep their order, so the relation is carried by index arithmetic.

x[i](p) = E x-columns y[k](p) + c[i]. Row-major: element (i, p) of n x P is number
i P + p. Symbols are E and c; the shapes are fixed a lemma.
"""

from __future__ import annotations

from proofs.operators import dot
from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import World

COVERS = ("reshape",)
UNITS, COLUMNS, POSITIONS = 3, 2, 2


def flatten(world: World) -> Claim:
    """3 units at 2 positions become 6 units: rows of E (x) I, and c at each position."""
    expansion, offset = world.matrix("E", UNITS, COLUMNS), world.reals("c", UNITS)
    big, big_offset = world.matrix("F", UNITS * POSITIONS, COLUMNS * POSITIONS), world.reals("d", UNITS * POSITIONS)
    y = [world.reals(f"y{k}", POSITIONS) for k in range(COLUMNS)]
    flat = [y[k][p] for k in range(COLUMNS) for p in range(POSITIONS)]
    cells = [(i, p) for i in range(UNITS) for p in range(POSITIONS)]
    same = [(i, p, k, q) for i, p in cells for k in range(COLUMNS) for q in range(POSITIONS)]
    return Claim(
        conditions={
            "E at each position": world.every(big[i * POSITIONS + p][k * POSITIONS + q] == expansion[i][k] for i, p, k, q in same if p == q),
            "nothing between positions": world.every(big[i * POSITIONS + p][k * POSITIONS + q] == 0 for i, p, k, q in same if p != q),
            "c at each position": world.every(big_offset[i * POSITIONS + p] == offset[i] for i, p in cells),
        },
        equal=tuple(
            (dot(expansion[i], [y[k][p] for k in range(COLUMNS)]) + offset[i], dot(big[i * POSITIONS + p], flat) + big_offset[i * POSITIONS + p])
            for i, p in cells
        ),
    )


def unflatten(world: World) -> Claim:
    """4 units become 2 units at 2 positions. H's 2 units become 1 unit at 2 positions: its column (0, p) is column p.

    Unit j = 2 i + p must be the same row at each p, over the column at its own position.
    """
    expansion, offset, y = world.matrix("E", 4, 2), world.reals("c", 4), world.reals("y", 2)
    small, small_offset = world.reals("F", 2), world.reals("d", 2)
    cells = [(i, p) for i in range(2) for p in range(2)]
    return Claim(
        conditions={
            "one row at each position": world.every(expansion[2 * i + p][p] == small[i] for i, p in cells),
            "no other position is read": world.every(expansion[2 * i + p][1 - p] == 0 for i, p in cells),
            "one offset at each position": world.every(offset[2 * i + p] == small_offset[i] for i, p in cells),
        },
        equal=tuple((dot(expansion[2 * i + p], y) + offset[2 * i + p], small[i] * y[p] + small_offset[i]) for i, p in cells),
    )


ROW = "Flatten / Reshape / Permute / Slice"
EYE: dict[str, int | str] = {f"E[{i},{k}]": int(i == k) for i in range(UNITS) for k in range(COLUMNS)}
LEMMAS = (
    SmtLemma(
        "reshape.positions-become-units",
        ROW,
        "The flattened lumping is E (x) I on positions, c at each.",
        flatten,
        (
            Converse("E at each position", "I (x) E: the wrong order of the two", {**EYE, "F[1,1]": 0}),
            Converse("nothing between positions", "I (x) E: another position is read", {**EYE, "F[1,2]": 1}),
            Converse("c at each position", "the offset at the first position only", {"c[0]": 1, "d[0]": 1, "d[1]": 0}),
        ),
    ),
    SmtLemma(
        "reshape.units-become-positions",
        ROW,
        "Units that become positions of one unit need the same row and offset, each over its own column.",
        unflatten,
        (
            Converse("one row at each position", "scales 1 and 2 within one unit", {"E[0,0]": 1, "E[1,1]": 2}),
            Converse("no other position is read", "both units were merged into the first", {"E[1,0]": 1}),
            Converse("one offset at each position", "offsets 0 and 1 within one unit", {"c[0]": 0, "c[1]": 1}),
        ),
    ),
)
