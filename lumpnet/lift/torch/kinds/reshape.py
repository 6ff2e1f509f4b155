"""reshape: whatever keeps the elements of each sample in row-major order."""

from __future__ import annotations

from lumpnet.lift.torch.call import Call
from lumpnet.lift.torch.operands import Form, Operand
from lumpnet.lift.torch.registry import converts

NAMES = ("view.default", "_unsafe_view.default", "reshape.default", "flatten.using_ints", "unflatten.int")
AXES = ("squeeze.default", "squeeze.dim", "squeeze.dims", "unsqueeze.default")


@converts(*(f"aten.{name}" for name in NAMES + AXES))
def reshape(call: Call) -> Form | Operand | None:
    """`shape` is the output's, without the batch. A reshape to the same shape is no node."""
    x = call.batched("self")
    if x is None or call.shape is None or call.shape[:1] != (None,):
        return None
    return x if call.shape == x.shape else Form("reshape", (x,), {"shape": list(call.shape[1:])})
