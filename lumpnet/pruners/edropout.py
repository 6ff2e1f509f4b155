"""EDropout (Salehinejad, Valaee: EDropout: Energy-Based Dropout and Pruning of Deep Neural Networks, TNNLS 2021, arXiv 2006.04270)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from lumpnet.pruners.evolution import Energy, Searched
from lumpnet.pruners.registry import register

if TYPE_CHECKING:
    from lumpnet.pruners.training.network import Batch, Trainee


@register
@dataclass(frozen=True)
class EDropout(Searched):
    """Masks compete by how well the network classifies under them: energy is the mean over the minibatch of (largest other logit - logit of the label).

    The search is that of `ising`, its details reconstructed as there; candidates are judged in evaluation mode. About half of the units leave, because the
    candidates begin so. `keep` is the least share of units that stays in each layer.

    epochs, batch, lr (falling to 0 along half a cosine), momentum: of SGD. The mask changes before epoch `freeze`
    only. candidates, crossover, flip: of the search.
    """

    name: ClassVar[str] = "edropout"

    def energy(self, trainee: Trainee, batch: Batch) -> Energy:
        ends = np.cumsum([len(layer) for layer in trainee.layers])[:-1]
        return lambda states: np.array([-trainee.margins(batch, np.split(state, ends)).mean() for state in states])
