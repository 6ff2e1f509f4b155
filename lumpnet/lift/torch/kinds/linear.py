"""linear: `aten.linear` with stored weights."""

from __future__ import annotations

from lumpnet.lift.torch.call import Call
from lumpnet.lift.torch.operands import Form, Param
from lumpnet.lift.torch.registry import converts


@converts("aten.linear.default")
def linear(call: Call) -> Form | None:
    """(..., in) -> (..., out) on the last axis."""
    x, weight, bias = call.batched("input"), call["weight"], call["bias"]
    if x is None or x.shape is None or len(x.shape) < 2 or not isinstance(weight, Param) or weight.tensor.ndim != 2:
        return None
    if bias is not None and not isinstance(bias, Param):
        return None
    return Form("linear", (x,), {}, {"weight": weight} | ({"bias": bias} if bias else {}))
