"""mean: over axes of fixed size."""

from __future__ import annotations

from lumpnet.lift.torch.call import Call
from lumpnet.lift.torch.operands import Form
from lumpnet.lift.torch.registry import converts


@converts("aten.mean.dim")
def mean(call: Call) -> Form | None:
    x, dims = call.batched("self"), call["dim"]
    if x is None or x.shape is None or not dims or call["dtype"] is not None:
        return None
    axes = [d % len(x.shape) for d in dims]
    return Form("mean", (x,), {"axes": sorted(axes), "keepdim": call["keepdim"]}) if 0 not in axes else None
