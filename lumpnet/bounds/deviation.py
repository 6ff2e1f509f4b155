"""How far moves and rounding take the outputs together, as a claim that the checker will make again."""

from __future__ import annotations

import math
from collections.abc import Mapping

from lumpnet.bounds.moved import Moved, claimed_box, exactly, raised
from lumpnet.bounds.outward import Array
from lumpnet.certificate import Certificate, Effect, Moves, Rows
from lumpnet.check.effect import effect, total
from lumpnet.check.files import NetworkFile
from lumpnet.check.graph import Network, read_graph
from lumpnet.check.moved import after, other
from lumpnet.check.outcome import Refusal, Unsure
from lumpnet.check.relation import Relation
from lumpnet.check.rules import KINDS
from lumpnet.check.run import relations_of


class Deviation:
    """Bounds for one original, for every input or on a box. Raises `Unsure` where the checker cannot read it."""

    def __init__(self, original: NetworkFile, box: Mapping[str, tuple[Array, Array]] | None):
        self.box = None if box is None else claimed_box(box)
        self.graph = read_graph(original, KINDS)

    def of(self, rows: Rows) -> float:
        """What moves of rows are worth: the bound on a box, or the constant and the factor of |x| together; infinite where there is none."""
        same = {name: Relation(name, value.shape, identity=True) for name, value in self.graph.values.items()}
        try:
            own, _ = self._moved(Moves(rows), self.graph, same)
        except (Unsure, Refusal):
            return math.inf
        return own.alpha + own.beta

    def claim(self, written: Certificate, reduced: NetworkFile, inexact: Mapping[tuple[str, str], Array]) -> Moved:
        """What is to be claimed of a reduced network whose numbers `inexact` are rounded; `written` lacks just that."""
        try:
            graph = read_graph(reduced, KINDS)
            own, size = self._moved(written.moved or Moves({}), graph, relations_of(self.graph, written))
            if inexact:
                own = total(own, effect(graph, KINDS, exactly(graph, inexact), self.box)[0])
            return Moved(Effect(raised(own.alpha), raised(own.beta), self.box), size)
        except (Unsure, Refusal, OverflowError) as problem:
            return Moved(reason=f"no bound: {problem}")

    def _moved(self, moves: Moves, reduced: Network, relations: Mapping[str, Relation]) -> tuple[Effect, Effect]:
        return effect(after(self.graph, moves, KINDS, reduced, relations), KINDS, {}, self.box, other(self.graph, relations))
