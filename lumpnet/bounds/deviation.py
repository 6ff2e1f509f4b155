"""How far moves and rounding take the outputs together, as a claim that the checker will make again."""

from __future__ import annotations

import math
from collections.abc import Mapping

from lumpnet.bounds.moved import Moved, claimed_box, exactly, raised
from lumpnet.bounds.outward import Array
from lumpnet.certificate import Effect, Moves
from lumpnet.check.effect import effect, total
from lumpnet.check.files import NetworkFile
from lumpnet.check.graph import read_graph
from lumpnet.check.moved import after, parameters
from lumpnet.check.outcome import Refusal, Unsure
from lumpnet.check.rules import KINDS


class Deviation:
    """Bounds for one original, for every input or on a box. Raises `Unsure` where the checker cannot read it."""

    def __init__(self, original: NetworkFile, box: Mapping[str, tuple[Array, Array]] | None):
        self.box = None if box is None else claimed_box(box)
        self.graph = read_graph(original, KINDS)

    def of(self, moves: Moves) -> float:
        """What moves are worth: the bound on a box, or the constant and the factor of |x| together; infinite where there is none."""
        try:
            own, _ = self._moved(moves)
        except (Unsure, Refusal):
            return math.inf
        return own.alpha + own.beta

    def claim(self, moves: Moves, reduced: NetworkFile, inexact: Mapping[tuple[str, str], Array]) -> Moved:
        """What is to be claimed of the reduced network of the moved one, whose numbers `inexact` are rounded."""
        try:
            (own, size), graph = self._moved(moves), read_graph(reduced, KINDS)
            if inexact:
                own = total(own, effect(graph, KINDS, exactly(graph, inexact), self.box)[0])
            return Moved(Effect(raised(own.alpha), raised(own.beta), self.box), size)
        except (Unsure, Refusal, OverflowError) as problem:
            return Moved(reason=f"no bound: {problem}")

    def _moved(self, moves: Moves) -> tuple[Effect, Effect]:
        return effect(after(self.graph, moves, KINDS), KINDS, {}, self.box, parameters(self.graph))
