"""concat: `aten.cat` along any axis but the batch."""

from __future__ import annotations

from lumpnet.ir import FLOATS
from lumpnet.lift.torch.call import Call
from lumpnet.lift.torch.operands import Form, is_batched
from lumpnet.lift.torch.registry import converts


@converts("aten.cat.default")
def concat(call: Call) -> Form | None:
    items = call["tensors"]
    if not items or not all(is_batched(v) and v.dtype in FLOATS for v in items):
        return None
    axis = call["dim"] % len(items[0].shape)
    return Form("concat", tuple(items), {"axis": axis}) if axis > 0 else None
