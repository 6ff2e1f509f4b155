"""add, mul, add_constant, mul_constant, div_constant; a difference is a sum with the negative."""

from __future__ import annotations

from typing import Any

import torch

from lumpnet.ir import FLOATS, Shape
from lumpnet.lift.torch.call import Call, kernel_scalar
from lumpnet.lift.torch.operands import Deferred, Form, Param, Val, is_batched
from lumpnet.lift.torch.registry import converts


@converts("aten.add.Tensor", "aten.add.Scalar")
def add(call: Call) -> Form | None:
    """`alpha` other than 1 has no rule."""
    return _binary(call, "add", "term") if call.get("alpha", 1) == 1 else None


@converts("aten.mul.Tensor", "aten.mul.Scalar")
def mul(call: Call) -> Form | None:
    return _binary(call, "mul", "factor")


@converts("aten.sub.Tensor", "aten.sub.Scalar")
def sub(call: Call) -> Form | None:
    return _difference(call, call["self"], call["other"])


@converts("aten.rsub.Tensor", "aten.rsub.Scalar")
def rsub(call: Call) -> Form | None:
    return _difference(call, call["other"], call["self"])


@converts("aten.neg.default")
def neg(call: Call) -> Form | None:
    x = call["self"]
    return _negative(call, x) if is_batched(x) and x.shape == call.shape else None


@converts("aten.div.Tensor", "aten.div.Scalar")
def div(call: Call) -> Form | None:
    """By a value, or by a constant that is not zero."""
    x, constant = call["self"], call["other"]
    if is_batched(x) and is_batched(constant):
        return Form("div", (x, constant)) if compatible(x.shape, constant.shape) else None
    form = _constant(call, "div_constant", "divisor", x, constant) if is_batched(x) and not is_batched(constant) else None
    return form if form is not None and bool(form.params["divisor"].tensor.all()) else None


def _difference(call: Call, a: Any, b: Any) -> Form | None:
    """`a - b` as `a + (-1) b`: a negative is exact."""
    if call.get("alpha", 1) != 1:
        return None
    if is_batched(b):
        minus = _negative(call, b)
        if minus is None:
            return None
        if is_batched(a):
            return Form("add", (a, minus)) if compatible(a.shape, b.shape) else None
        return _constant(call, "add_constant", "term", minus, a)
    if is_batched(a):
        return _constant(call, "add_constant", "term", a, _opposite(b))
    return None


def _negative(call: Call, x: Val | Deferred) -> Form | None:
    found = _number(-1, x.shape, call.dtype)
    return Form("mul_constant", (x,), {"axis": found[1]}, {"factor": found[0]}, x.shape) if found is not None else None


def _opposite(constant: object) -> object:
    if isinstance(constant, Param) and constant.tensor.is_floating_point():
        return Param(-constant.tensor, f"-({constant.text})" if " " in constant.text else f"-{constant.text}", constant.sources, constant.local)
    return -constant if isinstance(constant, int | float) and not isinstance(constant, bool) else constant


def _binary(call: Call, kind: str, role: str) -> Form | None:
    a, b = call["self"], call["other"]
    if is_batched(a) and is_batched(b):
        return Form(kind, (a, b)) if compatible(a.shape, b.shape) else None
    x, constant = (a, b) if is_batched(a) else (b, a)
    return _constant(call, f"{kind}_constant", role, x, constant) if is_batched(x) else None


def compatible(a: Shape, b: Shape) -> bool:
    """Equal up to size-1 axes beyond axis 1, where one operand is repeated."""
    return len(a) == len(b) and a[:2] == b[:2] and all(p == q or 1 in (p, q) for p, q in zip(a[2:], b[2:], strict=True))


def _constant(call: Call, kind: str, role: str, x: Val | Deferred | Form, constant: object) -> Form | None:
    found = _along_one_axis(constant, x.shape, call.dtype) if isinstance(constant, Param) else _number(constant, x.shape, call.dtype)
    if found is None or call.shape != x.shape:
        return None
    param, axis = found
    return Form(kind, (x,), {"axis": axis}, {role: param})


def _number(constant: object, shape: Shape | None, dtype: str) -> tuple[Param, int] | None:
    """A number in the code, rounded as the kernel does; the axis of a scalar has no meaning and is 1."""
    value = kernel_scalar(constant, dtype) if dtype in FLOATS else None
    if value is None or shape is None or len(shape) < 2:
        return None
    return Param(torch.tensor(value, dtype=getattr(torch, dtype)), local=True), 1


def _along_one_axis(param: Param, shape: Shape | None, dtype: str) -> tuple[Param, int] | None:
    """A stored tensor that is a scalar or varies along one axis, without its size-1 axes."""
    tensor = param.tensor
    if shape is None or len(shape) < 2 or tensor.ndim > len(shape) or tensor.dtype != getattr(torch, dtype):
        return None
    long = [i for i, size in enumerate(tensor.shape) if size != 1]
    if len(long) > 1:
        return None
    if long:
        axis = len(shape) - tensor.ndim + long[0]
        return Param(tensor.reshape(-1), param.text, param.sources), axis
    return Param(tensor.reshape(()), param.text, param.sources), 1
