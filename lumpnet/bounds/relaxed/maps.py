"""Linear maps between flat values, applied forwards to numbers and backwards to coefficients, in float64 by torch.

Every map stands for a real matrix T. What it computes with is a float matrix W
with `|T - W| <= rel u V`, V >= |W| entry by entry; `absolute` applies V. A product with
it, in either direction, sums at most `terms` products, so by the theorem of
`bounds.rounding` it is at most `(terms + rel + ...) u V |x|` off.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


class Map:
    """(..., n_in) -> (..., n_out). `terms`: the most products in one sum, forwards or backwards."""

    n_in: int
    n_out: int
    terms: int
    rel: float

    def apply(self, x: Tensor) -> Tensor:
        """W x, (..., n_in) to (..., n_out)."""
        raise NotImplementedError

    def back(self, a: Tensor) -> Tensor:
        """a W, (..., n_out) to (..., n_in)."""
        raise NotImplementedError

    def absolute(self, x: Tensor) -> Tensor:
        """V x for x >= 0."""
        raise NotImplementedError

    def radius(self, x: Tensor) -> Tensor:
        """At least |W| x for x >= 0, and at most V x."""
        return self.absolute(x)

    def rows(self, index: Tensor) -> Tensor:
        """The rows of W with these numbers, (..., n_in)."""
        return self.back(torch.nn.functional.one_hot(index, self.n_out).double())

    def dense(self) -> Tensor:
        """W, (n_out, n_in)."""
        return self.back(torch.eye(self.n_out, dtype=torch.float64))


@dataclass(eq=False)
class Dense(Map):
    """`magnitude` is V where it is not |W|."""

    weight: Tensor
    rel: float = 0.0
    magnitude: Tensor | None = None

    def __post_init__(self) -> None:
        self.n_out, self.n_in = self.weight.shape
        self.terms = max(1, self.n_out, self.n_in)

    @cached_property
    def _absolute(self) -> Tensor:
        return self.weight.abs() if self.magnitude is None else torch.maximum(self.magnitude, self.weight.abs())

    def apply(self, x: Tensor) -> Tensor:
        return x @ self.weight.T

    def back(self, a: Tensor) -> Tensor:
        return a @ self.weight

    def absolute(self, x: Tensor) -> Tensor:
        return x @ self._absolute.T

    def radius(self, x: Tensor) -> Tensor:
        return self.absolute(x) if self.magnitude is None else x @ self.weight.abs().T

    def rows(self, index: Tensor) -> Tensor:
        return self.weight[index]

    def dense(self) -> Tensor:
        return self.weight


@dataclass(eq=False)
class Diagonal(Map):
    weight: Tensor
    rel: float = 0.0

    def __post_init__(self) -> None:
        self.n_in = self.n_out = len(self.weight)
        self.terms = 1

    def apply(self, x: Tensor) -> Tensor:
        return x * self.weight

    def back(self, a: Tensor) -> Tensor:
        return a * self.weight

    def absolute(self, x: Tensor) -> Tensor:
        return x * self.weight.abs()


@dataclass(eq=False)
class Gather(Map):
    """out[i] = scale[i] in[index[i]], or 0 where index[i] is -1."""

    index: Tensor
    size: int
    scale: Tensor | None = None

    def __post_init__(self) -> None:
        self.n_in, self.n_out = self.size, len(self.index)
        self.rel, read = 0.0, self.index[self.index >= 0]
        self.terms = max(1, int(torch.bincount(read).max())) if len(read) else 1
        ones = torch.where(self.index < 0, 0.0, 1.0).double()
        self._factor = None if self.scale is None and bool((self.index >= 0).all()) else ones if self.scale is None else ones * self.scale
        self._at = self.index.clamp(min=0)
        self._order = self.scale is None and self.n_in == self.n_out and bool((self.index == torch.arange(self.n_in)).all())

    @property
    def identity(self) -> bool:
        return self._order

    def apply(self, x: Tensor) -> Tensor:
        if self._order:
            return x
        out = x[..., self._at]
        return out if self._factor is None else out * self._factor

    def back(self, a: Tensor) -> Tensor:
        if self._order:
            return a
        a = a if self._factor is None else a * self._factor
        return torch.zeros(*a.shape[:-1], self.n_in, dtype=a.dtype, device=a.device).index_add_(a.ndim - 1, self._at, a)

    def absolute(self, x: Tensor) -> Tensor:
        out = x[..., self._at]
        return out if self._factor is None else out * self._factor.abs()


@dataclass(eq=False)
class Function(Map):
    """A linear function of torch on a batch of arrays, whose transpose torch knows: convolutions, averages.

    `run(x, w)` reads the weight it is given; equal `what` means equal `run`. `turned(a, like, w)` is its transpose, for a batch shaped like `like`;
    without one it is derived, which runs the function too.
    """

    run: Callable[[Tensor, Tensor | None], Tensor]
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    terms: int
    what: object
    weight: Tensor | None = None
    rel: float = 0.0
    magnitude: Tensor | None = None
    turned: Callable[[Tensor, Tensor, Tensor | None], Tensor] | None = None

    def __post_init__(self) -> None:
        self.n_in, self.n_out = math.prod(self.in_shape), math.prod(self.out_shape)

    def apply(self, x: Tensor) -> Tensor:
        return self._run(x, self.weight)

    def absolute(self, x: Tensor) -> Tensor:
        weight = self.magnitude if self.magnitude is not None else None if self.weight is None else self.weight.abs()
        return self._run(x, weight)

    def radius(self, x: Tensor) -> Tensor:
        return self.absolute(x) if self.magnitude is None or self.weight is None else self._run(x, self.weight.abs())

    def back(self, a: Tensor) -> Tensor:
        flat = a.reshape(-1, *self.out_shape)
        if self.turned is not None:
            like = torch.zeros((), dtype=a.dtype, device=a.device).expand(len(flat), *self.in_shape)
            return self.turned(flat, like, self.weight).reshape(*a.shape[:-1], self.n_in)
        with torch.enable_grad():
            x = torch.zeros(len(flat), *self.in_shape, dtype=a.dtype, device=a.device, requires_grad=True)
            (out,) = torch.autograd.grad(self.run(x, self.weight), x, flat)
        return out.reshape(*a.shape[:-1], self.n_in)

    def _run(self, x: Tensor, weight: Tensor | None) -> Tensor:
        return self.run(x.reshape(-1, *self.in_shape), weight).reshape(*x.shape[:-1], self.n_out)


@dataclass(eq=False)
class Chain(Map):
    """`second` after `first`. V of the chain is the product of both, and each rounding of the first passes the second."""

    first: Map
    second: Map

    def __post_init__(self) -> None:
        self.n_in, self.n_out = self.first.n_in, self.second.n_out
        self.terms, self.rel = self.first.terms + self.second.terms + 1, self.first.rel + self.second.rel + 1

    def apply(self, x: Tensor) -> Tensor:
        return self.second.apply(self.first.apply(x))

    def back(self, a: Tensor) -> Tensor:
        return self.first.back(self.second.back(a))

    def absolute(self, x: Tensor) -> Tensor:
        return self.second.absolute(self.first.absolute(x))

    def radius(self, x: Tensor) -> Tensor:
        return self.second.radius(self.first.radius(x))


@dataclass(eq=False)
class Difference(Map):
    """`one - two`, computed apart: V is the sum of both."""

    one: Map
    two: Map

    def __post_init__(self) -> None:
        self.n_in, self.n_out = self.one.n_in, self.one.n_out
        self.terms, self.rel = max(self.one.terms, self.two.terms) + 1, max(self.one.rel, self.two.rel) + 1

    def apply(self, x: Tensor) -> Tensor:
        return self.one.apply(x) - self.two.apply(x)

    def back(self, a: Tensor) -> Tensor:
        return self.one.back(a) - self.two.back(a)

    def absolute(self, x: Tensor) -> Tensor:
        return self.one.absolute(x) + self.two.absolute(x)

    def radius(self, x: Tensor) -> Tensor:
        return self.one.radius(x) + self.two.radius(x)
