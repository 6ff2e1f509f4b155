"""Expressions of parameters alone, evaluated where the result is exact."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import torch

from lumpnet.ir import FLOATS
from lumpnet.lift.torch.call import Call, kernel_scalar
from lumpnet.lift.torch.operands import Param
from lumpnet.lift.torch.registry import folds

MOVES = (
    "view.default",
    "_unsafe_view.default",
    "reshape.default",
    "flatten.using_ints",
    "unflatten.int",
    "squeeze.default",
    "squeeze.dim",
    "squeeze.dims",
    "unsqueeze.default",
    "permute.default",
    "transpose.int",
    "t.default",
    "expand.default",
    "select.int",
    "slice.Tensor",
    "index_select.default",
    "flip.default",
    "cat.default",
    "stack.default",
    "repeat.default",
    "narrow.default",
    "diagonal.default",
    "movedim.int",
    "movedim.intlist",
)


@folds(*(f"aten.{name}" for name in MOVES))
def moved(call: Call) -> Param:
    """Moving numbers about is exact."""
    return _param(call, call.evaluate(), f"{_name(call)}({', '.join(p.text for p in _operands(call))})")


@folds("aten.neg.default")
def negated(call: Call) -> Param:
    return _param(call, call.evaluate(), f"-{_factor(call['self'])}")


@folds("aten._to_copy.default", "aten.to.dtype")
def converted(call: Call) -> Param | None:
    """Exact where the conversion back gives the same numbers."""
    before, after = call["self"].tensor, call.evaluate()
    return _param(call, after, call["self"].text) if torch.equal(after.to(before.dtype), before) else None


@folds("aten.mul.Tensor", "aten.mul.Scalar")
def multiplied(call: Call) -> Param | None:
    a, b, product = call["self"], _as_param(call), call.evaluate()
    if b is None or not product.is_floating_point() or not exact_product(a.tensor, b.tensor, product):
        return None
    return _param(call, product, f"{_factor(a)} * {_factor(b)}")


@folds("aten.add.Tensor")
def added(call: Call) -> Param | None:
    a, b, total = call["self"], call["other"], call.evaluate()
    if not isinstance(b, Param) or call["alpha"] != 1 or not exact_sum(a.tensor, b.tensor, total):
        return None
    return _param(call, total, f"{a.text} + {b.text}")


def exact_product(a: torch.Tensor, b: torch.Tensor, product: torch.Tensor) -> bool:
    """Whether every product is exact: in double precision for float32 (48 bits suffice), as fractions for float64."""
    if product.dtype == torch.float32 and torch.float64 not in (a.dtype, b.dtype):
        return torch.equal(a.double() * b.double(), product.double())
    x, y = a.double().expand(product.shape), b.double().expand(product.shape)
    plain = ((x.abs() <= 1) & (x == x.round())) | ((y.abs() <= 1) & (y == y.round()))  # a factor 0, 1 or -1
    if not bool(torch.isfinite(product).all()):
        return False
    return all(Fraction(p) * Fraction(q) == Fraction(r) for p, q, r in _rest(x, y, product, ~plain))


def _rest(x: torch.Tensor, y: torch.Tensor, product: torch.Tensor, where: torch.Tensor) -> Iterator[tuple[float, float, float]]:
    parts: list[np.ndarray] = [t[where].detach().numpy() for t in (x, y, product.double())]
    for p, q, r in zip(*parts, strict=True):
        yield float(p), float(q), float(r)


def exact_sum(a: torch.Tensor, b: torch.Tensor, total: torch.Tensor) -> bool:
    """Whether every sum is exact: Knuth's two-sum leaves no error term."""
    if not total.is_floating_point() or not a.dtype == b.dtype == total.dtype:
        return False
    part = total - a
    error = (a - (total - part)) + (b - part)
    return bool(torch.isfinite(total).all()) and bool((error == 0).all())


def _as_param(call: Call) -> Param | None:
    """The second operand; a number in the code as the kernel sees it."""
    other = call["other"]
    if isinstance(other, Param):
        return other
    number = kernel_scalar(other, call.dtype) if call.dtype in FLOATS else None
    return None if number is None else Param(torch.tensor(number, dtype=getattr(torch, call.dtype)), str(other))


def _param(call: Call, tensor: torch.Tensor, text: str) -> Param:
    sources = dict.fromkeys(s for p in _operands(call) for s in p.sources)
    return Param(tensor, text, tuple(sources))


def _operands(call: Call) -> list[Param]:
    return [p for p in call.operands.values() if isinstance(p, Param)]


def _name(call: Call) -> str:
    return str(call.target).split(".")[1].lstrip("_")


def _factor(param: Param) -> str:
    return f"({param.text})" if " + " in param.text else param.text
