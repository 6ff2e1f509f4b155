"""mean, sum, amax, amin: over axes of fixed size."""

from __future__ import annotations

from lumpnet.lift.torch.call import Call
from lumpnet.lift.torch.operands import Form
from lumpnet.lift.torch.registry import converts


@converts("aten.mean.dim")
def mean(call: Call) -> Form | None:
    return _over(call, "mean", call["dim"])


@converts("aten.sum.dim_IntList")
def sum_(call: Call) -> Form | None:
    return _over(call, "sum", call["dim"])


@converts("aten.amax.default")
def amax(call: Call) -> Form | None:
    return _over(call, "amax", call["dim"])


@converts("aten.amin.default")
def amin(call: Call) -> Form | None:
    return _over(call, "amin", call["dim"])


@converts("aten.max.dim")
def max_(call: Call) -> Form | None:
    """The values; the positions of the largest are read from the call itself."""
    return _over(call, "amax", [call["dim"]])


@converts("aten.min.dim")
def min_(call: Call) -> Form | None:
    return _over(call, "amin", [call["dim"]])


def _over(call: Call, kind: str, dims: list[int]) -> Form | None:
    x = call.batched("self")
    if x is None or x.shape is None or not dims or call.get("dtype") is not None:
        return None
    axes = [d % len(x.shape) for d in dims]
    if 0 in axes or any(not x.shape[a] for a in axes):
        return None
    return Form(kind, (x,), {"axes": sorted(axes), "keepdim": call["keepdim"]})
