"""softmax: along one axis."""

from __future__ import annotations

from lumpnet.lift.torch.call import Call
from lumpnet.lift.torch.operands import Form
from lumpnet.lift.torch.registry import converts


@converts("aten.softmax.int", "aten._softmax.default")
def softmax(call: Call) -> Form | None:
    x = call.batched("self")
    if x is None or x.shape is None or call.get("dtype") is not None or call.get("half_to_float", False):
        return None
    axis = call["dim"] % len(x.shape)
    return Form("softmax", (x,), {"axis": axis}) if axis > 0 else None
