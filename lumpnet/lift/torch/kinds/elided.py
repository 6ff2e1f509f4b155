"""Operators that change nothing about a value: copies, and dropout in eval mode, which export writes as a copy."""

from __future__ import annotations

from torch import nn

from lumpnet.lift.torch.call import Call
from lumpnet.lift.torch.layouts import COPIES
from lumpnet.lift.torch.operands import Deferred, Form, Operand, Param, Val
from lumpnet.lift.torch.registry import converts

CASTS = ("_to_copy.default", "to.dtype")


@converts(*(f"aten.{name}" for name in COPIES))
def copied(call: Call) -> Form | Operand:
    """The operand itself; a node only where a dropout or identity module made the copy."""
    x = call.batched("self")
    if x is not None and isinstance(call.module, nn.modules.dropout._DropoutNd) and "p" in vars(call.module):
        return Form("dropout", (x,), {"p": call.module.p})
    if x is not None and isinstance(call.module, nn.Identity):
        return Form("identity", (x,))
    operand: Operand = call["self"]
    return operand


@converts("aten.dropout.default", "aten.feature_dropout.default", "aten.alpha_dropout.default", "aten.feature_alpha_dropout.default")
def dropout(call: Call) -> Form | Operand | None:
    if call["train"]:
        return None
    x = call.batched("input")
    operand: Operand = call["input"]
    return Form("dropout", (x,), {"p": float(call["p"])}) if x is not None else operand


@converts(*(f"aten.{name}" for name in CASTS))
def cast(call: Call) -> Operand | None:
    return unchanged(call)


def unchanged(call: Call) -> Operand | None:
    """The operand, where the call gives it the dtype and shape that it already has."""
    operand = call["self"]
    same = isinstance(operand, Val | Deferred) and operand.shape is not None and (operand.shape, operand.dtype) == (call.shape, call.dtype)
    return operand if same or _same_parameter(call, operand) else None


def _same_parameter(call: Call, operand: object) -> bool:
    return isinstance(operand, Param) and tuple(operand.tensor.shape) == call.shape and str(operand.tensor.dtype) == f"torch.{call.dtype}"
