"""embedding: `aten.embedding` with a stored table."""

from __future__ import annotations

from lumpnet.lift.torch.call import Call
from lumpnet.lift.torch.operands import Deferred, Form, Param, Val
from lumpnet.lift.torch.registry import converts


@converts("aten.embedding.default")
def embedding(call: Call) -> Form | None:
    """(batch, ...) integers -> (batch, ..., units). The padding index (-1: none) matters in training only."""
    x, table = call["indices"], call["weight"]
    if not isinstance(x, Val | Deferred) or not isinstance(table, Param) or str(table.tensor.dtype) != f"torch.{call.dtype}":
        return None
    return Form("embedding", (x,), {"padding_idx": call["padding_idx"]}, {"weight": table}, dtypes=("int32", "int64"))
