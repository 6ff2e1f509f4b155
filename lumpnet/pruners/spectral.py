"""Pruning as preservation of the spectrum (Yao, Yu, Koutis, arXiv 2307.08982): every matrix becomes sparse, its leading singular values should stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lumpnet.pruners.base import Pruned, Pruner, Task, one_of
from lumpnet.pruners.registry import register
from lumpnet.pruners.selection import best, changed_weights

LEADING = 10
"""Singular values that count as the leading ones."""


@register
@dataclass(frozen=True)
class Spectral(Pruner):
    """In every matrix `W` (kernels: one row a unit that they make) so many entries stay as `keep` says; biases stay.

    by="threshold": the largest `|w|`, which is nearest in the Frobenius norm (and magnitude pruning of weights). by="lead" (reconstructed: only
    the idea is the authors'): the largest `W_ij (W_r)_ij`, where `W_r = sum s_i u_i v_i^T` over the `rank` leading singular values; the sum of these
    products over the entries that stay is `sum s_i u_i^T W' v_i`, so to first order no other choice keeps more of the leading spectrum. by="dz"
    (sampling of Drineas, Zouzias, arXiv 1006.0407): as many draws in proportion to `w^2`, each adding `w` over its expected number, so that the
    expectation is W but for entries up to `eps / 2n` (n: the longer side), which become zero first; entries drawn twice leave fewer than asked.

    Scores of a matrix are `|W - W'|_2`, further than which no singular value moves (Weyl), and `apart`, the distance of the leading spectra.
    """

    name: ClassVar[str] = "spectral"
    by: str = "lead"
    rank: int = LEADING
    eps: float = 0.0

    def __post_init__(self) -> None:
        one_of(self.name, "by", self.by, ("lead", "threshold", "dz"))

    def prune(self, task: Task) -> Pruned:
        rng = task.rng()

        def change(rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
            matrix = rows.reshape(len(rows), -1)
            found = sampled(matrix, count, self.eps, rng) if self.by == "dz" else self._masked(matrix, count)
            return found.reshape(rows.shape), np.array([float(np.linalg.norm(matrix - found, 2)) if matrix.size else 0.0, apart(matrix, found)])

        return changed_weights(task, change)

    def _masked(self, matrix: np.ndarray, count: int) -> np.ndarray:
        scores = np.abs(matrix) if self.by == "threshold" else matrix * leading(matrix, self.rank)
        return np.where(best(scores.ravel(), count).reshape(matrix.shape), matrix, 0.0)


def leading(matrix: np.ndarray, rank: int) -> np.ndarray:
    """The nearest matrix of this rank, by singular value decomposition."""
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    return np.asarray((left[:, :rank] * values[:rank]) @ right[:rank])


def sampled(matrix: np.ndarray, count: int, eps: float, rng: np.random.Generator) -> np.ndarray:
    """The mean of `count` draws of one entry each, scaled up; the matrix itself where every entry can stay."""
    entries = np.where(np.abs(matrix) <= eps / (2 * max(matrix.shape)), 0.0, matrix).ravel()
    if count >= matrix.size or not entries.any():
        return matrix if count >= matrix.size else np.zeros_like(matrix)
    share = entries**2 / (entries**2).sum()
    drawn = rng.multinomial(count, share)
    return np.asarray(np.divide(drawn * entries, count * share, out=np.zeros_like(entries), where=drawn > 0).reshape(matrix.shape))


def apart(one: np.ndarray, two: np.ndarray, count: int = LEADING) -> float:
    """The distance of the vectors of the leading singular values, relative to the first of them."""
    a, b = (np.linalg.svd(matrix, compute_uv=False)[:count] for matrix in (one, two))
    norm = float(np.linalg.norm(a))
    return float(np.linalg.norm(a - b)) / norm if norm > 0 else 0.0
