"""matmul: of two values, sample by sample."""

from __future__ import annotations

from lumpnet.lift.torch.call import Call
from lumpnet.lift.torch.operands import Form, is_batched
from lumpnet.lift.torch.registry import converts


@converts("aten.matmul.default", "aten.bmm.default")
def matmul(call: Call) -> Form | None:
    """(batch, ..., n, k) @ (batch, ..., k, m) with equal leading axes."""
    a, b = call["self"], call.get("other", call.get("mat2"))
    if not is_batched(a) or not is_batched(b) or len(a.shape) != len(b.shape) or len(a.shape) < 3 or a.shape[:-2] != b.shape[:-2]:
        return None
    return Form("matmul", (a, b))
