"""Reductions over positions."""

from __future__ import annotations

from lumpnet.lift.onnx.call import Call, NoRule
from lumpnet.lift.onnx.operands import Answer
from lumpnet.lift.onnx.registry import converts

KINDS = {"ReduceMean": "mean", "ReduceSum": "sum", "ReduceMax": "amax", "ReduceMin": "amin"}


@converts(*KINDS)
def reduction(call: Call) -> Answer:
    """Without axes it reduces all, or none under `noop_with_empty_axes`. With one example the batch axis of size 1 may be among them."""
    x = call.val(0)
    given, keep = call.ints("axes", 1), bool(call.attrs["keepdims"])
    if not given and call.get("noop_with_empty_axes", 0):
        return call.passed(x)
    axes = sorted({call.axis(a, x.rank) for a in given}) if given else list(range(call.bare, x.rank))
    if axes[0] == 0:
        if not (call.lifting.one and keep):
            call.refuse("it reduces over the batch", "reductions of every example by itself", "move the batch to axis 0, and reduce other axes")
        axes = axes[1:]
    if not axes:
        raise NoRule
    return call.emit(KINDS[call.kind], [x], {"axes": axes, "keepdim": keep})
