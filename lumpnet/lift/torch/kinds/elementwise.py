"""add, mul, add_constant, mul_constant."""

from __future__ import annotations

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


def _binary(call: Call, kind: str, role: str) -> Form | None:
    a, b = call["self"], call["other"]
    if is_batched(a) and is_batched(b):
        return Form(kind, (a, b)) if compatible(a.shape, b.shape) else None
    x, constant = (a, b) if is_batched(a) else (b, a)
    return _constant(call, f"{kind}_constant", role, x, constant) if is_batched(x) else None


def compatible(a: Shape, b: Shape) -> bool:
    """Equal up to size-1 axes beyond axis 1, where one operand is repeated."""
    return len(a) == len(b) and a[:2] == b[:2] and all(p == q or 1 in (p, q) for p, q in zip(a[2:], b[2:], strict=True))


def _constant(call: Call, kind: str, role: str, x: Val | Deferred, constant: object) -> Form | None:
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
