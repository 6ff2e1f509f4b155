"""Incremental regularisation, IncReg (Wang et al.: Structured Pruning for Efficient ConvNets via Incremental Regularization, IJCNN 2019, arXiv 1804.09461)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lumpnet.pruners.pressure import Pressed, Pressure
from lumpnet.pruners.registry import register


@register
@dataclass(frozen=True)
class Incremental(Pressed):
    """Every unit has an L2 penalty of its own, which grows the faster the smaller the unit's norm ranks; units leave when they have faded.

    Every `every` steps the units that are still there are ranked by the L1 norm of their numbers, the ranks averaged over time, and their penalties
    lambda change by `Delta(r)` (`increment` of `lumpnet.pruners.pressure`, with A = `most`), never below 0: up for as many as have to leave, down for
    the others, which so recover. A unit leaves for good when its norm is at most `small` of what it was, and a layer is done when `keep` of it is left.
    Then all is trained on without penalties for `retrain` epochs. If `epochs` were not enough, the smallest leave as they are.

    Reconstructed: the penalised numbers are all of a unit's (weights, bias, batch norm's scale and shift, in all layers that make it),
    because weights in front of a batch norm can fade without effect; and the penalty is applied after the step as a factor `1 / (1 + lr lambda)`, which
    no size of lambda makes unstable. Scores are the norms at the removal, or at the end of the growth, as shares of those at the beginning.
    Where every unit stays, nothing is trained.

    epochs, retrain, batch, lr (falling to 0 along half a cosine in the retraining), momentum: of SGD.
    """

    name: ClassVar[str] = "incremental"
    small: float = 0.01

    def layer(self, norms: np.ndarray, leaving: int) -> Pressure:
        return Fading(norms, leaving, self.small)


class Fading(Pressure):
    """Penalties; `share` are norms of what stays, and of what left when it did, as shares of those at the beginning."""

    def __init__(self, norms: np.ndarray, leaving: int, small: float):
        super().__init__(norms, leaving)
        self.small, self.share = small, np.ones(len(norms))

    def factors(self, lr: float) -> np.ndarray:
        return 1 / (1 + lr * self.pressure)

    def update(self, norms: np.ndarray, method: Pressed) -> None:
        self.measure(norms)
        order = np.argsort(self.share, kind="stable")
        self.remove(order[self.stays[order] & (self.share[order] <= self.small)])
        if self.leaving:
            self.grow(norms, method.most, method.u)

    def finish(self, norms: np.ndarray) -> np.ndarray:
        self.measure(norms)
        order = np.argsort(norms, kind="stable")
        self.remove(order[self.stays[order]])
        return self.share

    def measure(self, norms: np.ndarray) -> None:
        now = np.divide(norms, self.first, out=np.zeros(len(norms)), where=self.first > 0)
        self.share = np.where(self.stays, now, self.share)
