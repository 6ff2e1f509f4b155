"""SPP (Wang et al.: Structured Probabilistic Pruning for Convolutional Neural Network Acceleration, BMVC 2018, arXiv 1709.06994)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lumpnet.pruners.pressure import Pressed, Pressure
from lumpnet.pruners.registry import register


@register
@dataclass(frozen=True)
class Probabilistic(Pressed):
    """Every unit has a probability of being masked, drawn anew for each step, which grows the faster the smaller the unit's norm ranks.

    Every `every` steps the units that are still there are ranked by the L1 norm of their numbers, the ranks averaged over time, and the probabilities
    change by `Delta(r)` (`increment` of `lumpnet.pruners.pressure`, with A = `most`) within [0, 1]; that of a unit whose rank rises falls again. A unit of
    probability 1 has left for good, and a layer is done when `keep` of it is left; the others are masked no more then. Then all is trained on
    for `retrain` epochs. If `epochs` were not enough, the most probable leave.

    Reconstructed: the norm is that of all trained numbers of a unit (weights, bias, batch norm's scale and shift, in all layers that make it), and a
    masked unit counts as 0 for what reads it. Scores are the probabilities when their growth ended. Where every unit stays, nothing is trained.

    epochs, retrain, batch, lr (falling to 0 along half a cosine in the retraining), momentum: of SGD.
    """

    name: ClassVar[str] = "probabilistic"
    most: float = 0.05

    def layer(self, norms: np.ndarray, leaving: int) -> Pressure:
        return Odds(norms, leaving)


class Odds(Pressure):
    """The pressure is a probability."""

    def mask(self, rng: np.random.Generator) -> np.ndarray:
        draws = rng.random(len(self.stays))
        return self.stays & (draws >= self.pressure) if self.leaving else self.stays

    def update(self, norms: np.ndarray, method: Pressed) -> None:
        self.grow(norms, method.most, method.u)
        order = np.argsort(-self.pressure, kind="stable")
        self.pressure = np.minimum(self.pressure, 1.0)
        self.remove(order[self.stays[order] & (self.pressure[order] == 1)])

    def finish(self, norms: np.ndarray) -> np.ndarray:
        scores = np.where(self.stays, self.pressure, 1.0)
        order = np.argsort(-self.pressure, kind="stable")
        self.remove(order[self.stays[order]])
        return scores
