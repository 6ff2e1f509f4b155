"""Inputs on which two networks are far apart: found in float64 by torch, believed after interval arithmetic has enclosed both networks there.

A point is rounded into the type of its input and clipped into the box first, so that it
can be saved and run again. The certified difference at a point is the near end of the enclosure of |F - G|.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.overrides import TorchFunctionMode

from lumpnet.audit.search import CLOSE
from lumpnet.bounds import Range, ranges
from lumpnet.bounds.outward import add_down
from lumpnet.domain import Box
from lumpnet.errors import LumpnetError
from lumpnet.ir import Graph
from lumpnet.lower.torch import lower_graph

Array = np.ndarray[Any, Any]
Ends = Mapping[str, tuple[Array, Array]]
Objective = Callable[[Tensor, Tensor], Tensor]
STARTS, STEPS = 128, 24
SHARES = [share for share in (1.0, 0.5, 0.25, 0.12, 0.06, 0.03) for _ in range(8)]
"""How soft relu is at each step of `Attack.climb_softly`."""
NOISE = 2.0**-30
"""Differences that are no more than this part of the values are taken for rounding by who looks for more."""
NUMBERS = 1 << 22
"""Entries of a batch of points, at most."""


class Space:
    """The box as one flat row of float64: all inputs, one after the other."""

    def __init__(self, ends: Ends):
        self.ends = dict(ends)
        self.sizes = [low.size for low, _ in ends.values()]
        self.low, self.high = (torch.from_numpy(np.concatenate([e[k].astype(np.float64).reshape(-1) for e in ends.values()])) for k in (0, 1))

    def tensors(self, x: Tensor) -> list[Tensor]:
        """(N, n) -> the inputs of a network, in float64."""
        parts = torch.split(x, self.sizes, dim=1)
        return [part.reshape(len(x), *low.shape) for part, (low, _) in zip(parts, self.ends.values(), strict=True)]

    def arrays(self, x: Tensor) -> dict[str, Array]:
        """One point (n,) by input, in the types of the inputs, where it lies."""
        parts = [part[0].numpy() for part in self.tensors(x[None])]
        return {name: part.astype(low.dtype) for part, (name, (low, _)) in zip(parts, self.ends.items(), strict=True)}

    def representable(self, x: Tensor) -> Tensor:
        """The points (N, n) rounded to the types of the inputs, inside of the box."""
        columns = []
        for part, (low, high) in zip(torch.split(x, self.sizes, dim=1), self.ends.values(), strict=True):
            rounded = part.numpy().astype(low.dtype)
            columns.append(torch.from_numpy(np.clip(rounded, low.reshape(-1), high.reshape(-1)).astype(np.float64)))
        return torch.cat(columns, 1)

    def random(self, n: int, rng: np.random.Generator) -> Tensor:
        """Corners, points anywhere, and points some of whose entries are at an end."""
        share = rng.random((n, len(self.low)))
        corner, kind = rng.integers(0, 2, size=share.shape), rng.integers(0, 3, size=(n, 1))
        share = np.where((kind == 0) | ((kind == 1) & (rng.random(share.shape) < 0.5)), corner, share)
        t = torch.from_numpy(share)
        return self.low * (1 - t) + self.high * t


def _apart(f: Tensor, g: Tensor) -> Tensor:
    return (f - g).abs().amax(1)


def _each(f: Tensor, g: Tensor) -> Tensor:
    """Every point has its own output and its own sign."""
    both = torch.cat([f - g, g - f], 1)
    return both.gather(1, (torch.arange(len(f)) % both.shape[1])[:, None])[:, 0]


class Softened(TorchFunctionMode):
    """Relu bends over a share of what its operand varies, taken over all points, units, and down to a power of 2: the same in two networks that are alike."""

    def __init__(self, share: float):
        super().__init__()
        self.share = share

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not torch.relu:
            return func(*args, **(kwargs or {}))
        width = self.share * float(args[0].detach().std(0, correction=0).mean())
        if not 1e-100 < width < 1e100:
            return torch.relu(args[0])
        width = 2.0 ** math.floor(math.log2(width))
        return softplus(args[0] / width) * width


class _AsStored:
    """A module of a graph that runs in the types of its inputs."""

    def __init__(self, module: nn.Module, graph: Graph):
        self.module, self.dtypes = module, [getattr(torch, value.dtype) for value in graph.inputs]

    def __call__(self, *xs: Tensor) -> Any:
        return self.module(*(x.to(dtype) for x, dtype in zip(xs, self.dtypes, strict=True)))


def _outputs(modules: Sequence[Any], xs: Sequence[Tensor]) -> list[Tensor]:
    """Of each module all outputs in a row."""
    found = []
    for module in modules:
        out = module(*xs)
        found.append(torch.cat([o.reshape(len(o), -1).double() for o in ([out] if isinstance(out, Tensor) else out)], 1))
    return found


class Attack:
    """Both networks, and the worst point so far. Calling it with points (N, n) answers the largest certified difference seen, and its point.

    It climbs until `until`, as `time.monotonic()` tells, and believes nothing for which there is no time by then: the candidate waits.
    """

    def __init__(self, original: Graph, other: Graph, ends: Ends, seed: int = 0):
        self.graphs, self.space, self.rng = (original, other), Space(ends), np.random.default_rng(seed)
        self.best, self.point = 0.0, self.space.representable((self.space.low / 2 + self.space.high / 2)[None])[0]
        self.seen, self.candidate = 0.0, self.point
        self.highest, self.scale = self.point, 0.0
        self.until, self.cost = math.inf, 0.0
        self.modules = self._modules()

    def _modules(self) -> list[Any]:
        """Both networks in float64, or as they are stored where an operator has numbers of that type inside; none where torch does not run one of them."""
        for wide in (True, False):
            try:
                modules = [lower_graph(graph).requires_grad_(False) for graph in self.graphs]
                found = [module.double() if wide else _AsStored(module, graph) for module, graph in zip(modules, self.graphs, strict=True)]
                with torch.no_grad():
                    _outputs(found, self.space.tensors(self.point[None]))
            except (LumpnetError, RuntimeError, TypeError, ValueError, IndexError):
                continue
            return found
        return []

    def __call__(self, x: Tensor, steps: int = 0) -> tuple[float, Tensor]:
        """`steps` of them climb from these points and as many others."""
        self._look(x)
        if steps and self.modules:
            x = x[: self.many]
            self._ascend(torch.cat([x, self.space.random(len(x), self.rng)]), _apart, 0.1, steps)
        self.believe()
        return self.best, self.point

    def climb(self, objective: Objective | None = None, starts: int = STARTS, steps: int = STEPS) -> Tensor:
        """Projected signed gradient steps from many points at once; the points passed last (N, n), none where torch cannot run the networks."""
        if not self.modules:
            return self.point[None][:0]
        x = torch.cat([self.point[None], self.space.random(min(starts, self.many), self.rng)])
        x = self._ascend(x, objective or _apart, 0.5, steps)
        self.believe()
        return self.space.representable(x)

    def climb_softly(self, starts: int = STARTS) -> None:
        """Climb with relus that grow hard again, each point to a row of its own.

        Where a unit differs by almost a constant, the difference is almost a step, whose gradient does not say where it rises.
        """
        if self.modules:
            self._ascend(self.space.random(min(starts, self.many), self.rng), _each, 0.5, len(SHARES), 0.9, SHARES)
            self.believe()

    def _ascend(self, x: Tensor, objective: Objective, reach: float, steps: int, less: float = 0.8, shares: Sequence[float] = ()) -> Tensor:
        """Steps along the gradient's signs, the first one this share of the box, inside of it, with relus softened by shares."""
        width = self.space.high - self.space.low
        for k in range(steps):
            if self.until < math.inf and time.monotonic() >= self.until:
                break
            with Softened(shares[k]) if shares else nullcontext():
                gradient = self._gradient(x, objective)
            x = x + gradient.sign() * width * (reach * less**k)
            x = torch.minimum(torch.maximum(x, self.space.low), self.space.high)
            self._look(x)
        return x

    def outputs(self, x: Tensor) -> list[Tensor]:
        """The outputs of both networks (N, m), all in a row, in float64."""
        return _outputs(self.modules, self.space.tensors(x))

    def enclosed(self, x: Tensor) -> tuple[Range, Range] | None:
        """What both networks can be at a point (n,), outputs in a row; None where an operator has no rule."""
        box = {name: Box(a.astype(np.float64), a.astype(np.float64)) for name, a in self.space.arrays(x).items()}
        found = []
        for graph in self.graphs:
            known = ranges(graph, dict(zip((v.name for v in graph.inputs), box.values(), strict=True)))
            outs = [known[name] for name in graph.outputs]
            rows = [o for o in outs if isinstance(o, Range)]
            if len(rows) < len(outs):
                return None
            found.append(Range(np.concatenate([o.lo.reshape(-1) for o in rows]), np.concatenate([o.hi.reshape(-1) for o in rows])))
        return found[0], found[1]

    def certified(self, x: Tensor) -> float:
        """A number that |F - G| reaches at a point (n,) in some output, in real arithmetic."""
        found = self.enclosed(x)
        if found is None:
            return 0.0
        f, g = found
        near = np.maximum(add_down(f.lo, -g.hi), add_down(g.lo, -f.hi))
        return max(0.0, float(near.max(initial=0.0)))

    @cached_property
    def many(self) -> int:
        """Points executed at once."""
        return max(1, NUMBERS // max(1, *(math.prod(int(d or 1) for d in v.shape) for graph in self.graphs for v in graph.values())))

    def _look(self, x: Tensor) -> None:
        for part in torch.split(self.space.representable(x), self.many) if self.modules else ():
            with torch.no_grad():
                f, g = self.outputs(part)
            off = torch.nan_to_num((f - g).abs().amax(1), nan=0.0, posinf=0.0)
            self.scale = max(self.scale, float(f.abs().amax()))
            at = int(off.argmax())
            if float(off[at]) > self.seen:
                self.seen, self.highest = float(off[at]), part[at]
                self.candidate = self.highest

    def believe(self) -> None:
        if self.candidate is self.point or (self.until < math.inf and time.monotonic() + self.cost > self.until):
            return
        began = time.monotonic()
        self.trust(self.certified(self.candidate), self.candidate)
        self.cost = time.monotonic() - began
        self.candidate = self.point

    @property
    def doubtful(self) -> bool:
        """Whether some of what was seen at `highest`, more than rounding, is lost in intervals, as it is in deep networks."""
        return max(self.best * CLOSE, NOISE * self.scale) < self.seen

    def trust(self, near: float, point: Tensor) -> None:
        """`near` is certified to be reached at the point."""
        if near > self.best:
            self.best, self.point = near, point

    def _gradient(self, x: Tensor, objective: Objective) -> Tensor:
        with torch.enable_grad():
            x = x.clone().requires_grad_(True)
            total = objective(*self.outputs(x)).sum()
            if not total.requires_grad:
                return torch.zeros_like(x)
            (gradient,) = torch.autograd.grad(total, x)
        return torch.nan_to_num(gradient)
