"""conv_transpose: transposed convolutions in 1 to 3 dimensions with stored weights."""

from __future__ import annotations

from typing import Any

from lumpnet.lift.torch.call import Call
from lumpnet.lift.torch.operands import Form, Param
from lumpnet.lift.torch.registry import converts

LISTS = ("stride", "padding", "output_padding", "dilation")


@converts("aten.conv_transpose1d.default", "aten.conv_transpose2d.input", "aten.conv_transpose3d.input")
def conv_transpose(call: Call) -> Form | None:
    """(batch, in, *spatial) -> (batch, out, *spatial); the weight is stored as (in, out / groups, *kernel)."""
    x, weight, bias = call.batched("input"), call["weight"], call["bias"]
    if x is None or x.shape is None or not isinstance(weight, Param) or len(x.shape) != weight.tensor.ndim:
        return None
    if bias is not None and not isinstance(bias, Param):
        return None
    attrs: dict[str, Any] = {name: call.ints(name, len(x.shape) - 2) for name in LISTS} | {"groups": call["groups"]}
    return Form("conv_transpose", (x,), attrs, {"weight": weight} | ({"bias": bias} if bias else {})) if None not in attrs.values() else None
