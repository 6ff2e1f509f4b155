"""permute: transpositions that leave the batch on axis 0."""

from __future__ import annotations

from collections.abc import Callable

from lumpnet.lift.torch.call import Call
from lumpnet.lift.torch.operands import Form, Operand
from lumpnet.lift.torch.registry import converts


@converts("aten.permute.default")
def permute(call: Call) -> Form | Operand | None:
    return _form(call, lambda rank: [d % rank for d in call["dims"]])


@converts("aten.transpose.int")
def transpose(call: Call) -> Form | Operand | None:
    return _form(call, lambda rank: _swapped(rank, call["dim0"] % rank, call["dim1"] % rank))


@converts("aten.t.default")
def t(call: Call) -> Form | Operand | None:
    return _form(call, lambda rank: list(range(rank))[::-1])


def _swapped(rank: int, a: int, b: int) -> list[int]:
    dims = list(range(rank))
    dims[a], dims[b] = dims[b], dims[a]
    return dims


def _form(call: Call, order: Callable[[int], list[int]]) -> Form | Operand | None:
    """A permutation that moves nothing is no node."""
    x = call.batched("self")
    if x is None or x.shape is None:
        return None
    dims = order(len(x.shape))
    if dims == sorted(dims):
        return x
    return Form("permute", (x,), {"dims": dims}) if dims[0] == 0 else None
