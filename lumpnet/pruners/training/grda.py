"""Generalised regularised dual averaging (Chao et al.: Directional Pruning of Deep Neural Networks, NeurIPS 2020, arXiv 2006.09358), alone and in groups.

Optimizers like those of `torch.optim`::

    GRDA(model.parameters(), lr=0.1, c=0.005, mu=0.51)
    GroupedGRDA(model.parameters(), [[(layer.weight, 0), (layer.bias, 0)]], lr=0.1, c=0.02, mu=0.51)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from lumpnet.pruners.training.columns import Columns, Rows


def growth(k: int, lr: float, c: float, mu: float) -> float:
    """What step k (from 1) adds to the threshold: `c lr^(mu + 1/2) (k^mu - (k-1)^mu)`."""
    return float(c * lr ** (mu + 0.5) * (k**mu - (k - 1) ** mu))


class GRDA(Optimizer):
    """`v <- v - lr grad(w)`, from `v = w` on; `w = sign(v) max(|v| - l, 0)`, with a threshold l that grows (`growth`). Without c it is SGD.

    mu is between 1/2 and 1 (near 1/2 for large tasks), c small. Neither momentum nor weight decay. Raises `ValueError` for numbers out of range.
    """

    def __init__(self, params: Iterable[Any], lr: float = 0.1, c: float = 0.005, mu: float = 0.51):
        if not (lr > 0 and c >= 0 and 0 < mu < 1):
            raise ValueError(f"lr is {lr!r}, c is {c!r} and mu is {mu!r}: use lr above 0, c of 0 or more, mu between 0 and 1")
        super().__init__(params, {"lr": lr, "c": c, "mu": mu, "k": 0, "threshold": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            group["k"] += 1
            group["threshold"] += growth(group["k"], group["lr"], group["c"], group["mu"])
            for p in group["params"]:
                if p.grad is not None:
                    self._dual(p).sub_(p.grad, alpha=group["lr"])
            self._project(group)
        return loss

    def _dual(self, p: Tensor) -> Tensor:
        state = self.state[p]
        if "v" not in state:
            state["v"] = p.detach().clone()
        found: Tensor = state["v"]
        return found

    def _project(self, group: dict[str, Any]) -> None:
        for p in group["params"]:
            v = self._dual(p)
            p.copy_(v.sign() * (v.abs() - group["threshold"]).clamp(min=0))


class GroupedGRDA(GRDA):
    """A reconstruction of the structured method: `w_g = max(0, 1 - l sqrt(d_g) / |v_g|) v_g` for groups of d_g numbers, `w = v` for all other numbers.

    groups: each a `Columns`, or (parameter, axis) pairs whose slices k together are one group for every k. least[i] of the groups i, those of the
    largest `|v_g|`, are never removed: they shrink by half at most.
    """

    def __init__(
        self,
        params: Iterable[Any],
        groups: Sequence[Columns | Sequence[tuple[Tensor, int]]],
        lr: float = 0.1,
        c: float = 0.005,
        mu: float = 0.51,
        least: Sequence[int] | None = None,
    ):
        super().__init__(params, lr, c, mu)
        if len(self.param_groups) != 1:
            raise ValueError("parameters with options of their own: groups of numbers take one lr, c and mu")
        self.columns = [one if isinstance(one, Columns) else Columns(tuple(Rows(p, axis) for p, axis in one)) for one in groups]
        self.least = [0] * len(self.columns) if least is None else list(least)

    def _project(self, group: dict[str, Any]) -> None:
        for p in group["params"]:
            p.copy_(self._dual(p))
        for columns, least in zip(self.columns, self.least, strict=True):
            columns.scale(shrunk(columns.norms(2), columns.size, group["threshold"], least))


def shrunk(norms: np.ndarray, size: int, threshold: float, least: int = 0) -> np.ndarray:
    """(groups,) factors `max(0, 1 - l sqrt(size) / norms)`; of the `least` groups with the largest norms (the first of equals), 1/2 or more."""
    factors: np.ndarray = np.maximum(0.0, 1 - np.divide(threshold * size**0.5, norms, out=np.full(len(norms), np.inf), where=norms > 0))
    strongest = np.argsort(-norms, kind="stable")[:least]
    factors[strongest] = np.maximum(factors[strongest], 0.5)
    return factors
