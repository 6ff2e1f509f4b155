"""Identity, and dropout in eval mode: any row passes."""

from __future__ import annotations

from proofs.operators import dot
from proofs.smt import Claim, Converse, SmtLemma
from proofs.worlds import World

COVERS = ("identity", "dropout")


def row(world: World) -> Claim:
    """H keeps the operator; the row leaves as it came."""
    expansion, offset, y = world.reals("E", 2), world.reals("c", 2), world.reals("y", 2)
    mode = world.real("factor")
    return Claim(
        conditions={"eval mode": mode == 1, "the row is kept": offset[1] == offset[0]},
        equal=((mode * (dot(expansion, y) + offset[0]), dot(expansion, y) + offset[1]),),
    )


LEMMAS = (
    SmtLemma(
        "identity.row",
        "Identity, Dropout(eval)",
        "Any expansion row and any offset pass through the identity.",
        row,
        (
            Converse("eval mode", "dropout in training drops the unit or scales it by 1/(1-p)", {"factor": 2}),
            Converse("the row is kept", "another offset behind than before", {"c[0]": 1, "c[1]": 0, "factor": 1}),
        ),
    ),
)
