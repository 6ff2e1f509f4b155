"""How far apart two networks come when they are executed: a search, whose answer is a lower bound with its input."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

Array = np.ndarray[Any, Any]
Bounds = Mapping[str, tuple[Array, Array]]
Batch = dict[str, Array]
MAX_BATCH, MAX_NUMBERS = 256, 1 << 21
ROUNDS = 12


@dataclass(frozen=True, eq=False)
class Difference:
    """`largest` over the outputs, at one example `inputs` (without batch axis), executed alone; infinite where one overflowed and the other did not."""

    largest: float
    inputs: dict[str, Array]
    tried: int


def able_to_differ(one: torch.nn.Module, two: torch.nn.Module, box: Bounds, dtypes: tuple[str, str], seed: int = 0) -> Difference:
    """The largest difference that a search over the box finds, both modules executed by torch in their dtypes.

    Corners, the centre, random and scaled points, then steps from the best to the sides of the box.
    box holds lower and upper by input, without batch, in the order of the modules' arguments and in a
    dtype that both hold. What is reported is replayed: the input alone, as a batch of one.
    """
    rng, best, tried = np.random.default_rng(seed), None, 0
    for batch in _candidates(box, rng):
        best, tried = _better(best, _largest(one, two, batch, dtypes), batch), tried + _length(batch)
    for _ in range(ROUNDS):
        assert best is not None
        batch = _around(best[1], box, rng)
        best, tried = _better(best, _largest(one, two, batch, dtypes), batch), tried + _length(batch)
    assert best is not None
    return Difference(float(_largest(one, two, best[1], dtypes)[0]), {name: x[0] for name, x in best[1].items()}, tried)


def _candidates(box: Bounds, rng: np.random.Generator) -> Iterator[Batch]:
    numbers = max(1, sum(low.size for low, _ in box.values()))
    n = max(2, min(MAX_BATCH, MAX_NUMBERS // numbers))
    share = {name: np.zeros((1, *low.shape)) for name, (low, _) in box.items()}
    for constant in (0.0, 1.0, 0.5):
        yield _at(box, {name: s + constant for name, s in share.items()})
    yield {name: np.clip(np.zeros_like(low), low, high)[None] for name, (low, high) in box.items()}
    yield _at(box, {name: rng.integers(0, 2, size=(n, *low.shape)).astype(float) for name, (low, _) in box.items()})
    yield _at(box, {name: rng.random((n, *low.shape)) for name, (low, _) in box.items()})
    scale = 2.0 ** -rng.integers(0, 30, size=n)
    for corner in (0, 1):  # geometric, towards a corner
        far = {name: rng.random((n, *low.shape)) * scale.reshape(-1, *[1] * low.ndim) for name, (low, _) in box.items()}
        yield _at(box, {name: 1 - x if corner else x for name, x in far.items()})


def _around(best: Batch, box: Bounds, rng: np.random.Generator) -> Batch:
    """Some entries moved to a side of the box, or to another place."""
    n = max(2, min(64, MAX_NUMBERS // max(1, sum(low.size for low, _ in box.values()))))
    rate, out = 10.0 ** rng.uniform(-2.5, -0.3, size=n), {}
    for name, (low, high) in box.items():
        shape, wide = (n, *low.shape), (n, *[1] * low.ndim)
        moved = np.where(rng.random(wide) < 0.6, rng.integers(0, 2, size=shape), rng.random(shape))
        change = (rng.random(shape) < rate.reshape(wide)) | (low.size == 1)
        out[name] = np.where(change, _at({name: (low, high)}, {name: moved})[name], best[name])
    return out


def _at(box: Bounds, share: Batch) -> Batch:
    """Points of the box, `share` of the way up, in its dtype and inside."""
    out = {}
    for name, (low, high) in box.items():
        x = low.astype(np.float64) * (1 - share[name]) + high.astype(np.float64) * share[name]
        out[name] = np.clip(x.astype(low.dtype), low, high)
    return out


def _largest(one: torch.nn.Module, two: torch.nn.Module, batch: Batch, dtypes: tuple[str, str]) -> Array:
    """The largest difference of any output, example by example."""
    n, outs = _length(batch), []
    for module, dtype in zip((one, two), dtypes, strict=True):
        with torch.no_grad():
            answer = module(*(torch.from_numpy(np.ascontiguousarray(x)).to(getattr(torch, dtype)) for x in batch.values()))
        outs.append([answer] if isinstance(answer, torch.Tensor) else list(answer))
    worst = np.zeros(n)
    for a, b in zip(*outs, strict=True):
        a, b = a.double().numpy().reshape(n, -1), b.double().numpy().reshape(n, -1)
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        with np.errstate(invalid="ignore"):
            off = np.where(same, 0.0, np.abs(a - b))
        worst = np.maximum(worst, np.where(np.isnan(off), math.inf, off).max(axis=1, initial=0))
    return worst


def _better(best: tuple[float, Batch] | None, found: Array, batch: Batch) -> tuple[float, Batch]:
    k = int(found.argmax())
    if best is not None and found[k] <= best[0]:
        return best
    return float(found[k]), {name: x[k : k + 1] for name, x in batch.items()}


def _length(batch: Batch) -> int:
    return len(next(iter(batch.values())))
