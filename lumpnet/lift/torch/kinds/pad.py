"""pad: constant, reflecting, replicating and circular; a negative amount is a selection."""

from __future__ import annotations

from lumpnet.lift.torch.call import Call, kernel_scalar
from lumpnet.lift.torch.kinds.select import Read, selected
from lumpnet.lift.torch.operands import Form, Operand
from lumpnet.lift.torch.registry import converts


@converts("aten.pad.default", "aten.constant_pad_nd.default")
def pad(call: Call) -> Form | Operand | None:
    """Amounts come from the last axis on, before and after; the batch is not padded."""
    x, mode = call.batched("self"), call.get("mode", "constant")
    value = kernel_scalar(call.get("value") or 0, call.dtype) if mode == "constant" else 0.0
    amounts = call["pad"]
    if x is None or x.shape is None or value is None or not all(type(n) is int for n in amounts) or len(amounts) // 2 > len(x.shape) - 1:
        return None
    return _padded(x, [list(amounts[k : k + 2]) for k in range(0, len(amounts), 2)], mode, value)


def _padded(x: Read, amounts: list[list[int]], mode: str, value: float) -> Form | Operand | None:
    assert x.shape is not None
    shape = x.shape
    pads = [[0, 0] for _ in shape[1:]]
    for k, (before, after) in enumerate(amounts):
        axis, size = len(shape) - 1 - k, int(shape[len(shape) - 1 - k] or 0)
        pads[axis - 1] = [max(before, 0), max(after, 0)]
        if min(before, after) < 0:
            cut = selected(x, axis, range(max(-before, 0), size + min(after, 0)))
            if cut is None or (mode != "constant" and any(pads[axis - 1])):
                return None
            x = cut
    if not any(n for pair in pads for n in pair):
        return x
    return Form("pad", (x,), {"pads": pads, "mode": mode, "value": value})


@converts("aten.reflection_pad1d.default", "aten.reflection_pad2d.default", "aten.reflection_pad3d.default")
def reflection(call: Call) -> Form | Operand | None:
    return _named(call, "reflect")


@converts("aten.replication_pad1d.default", "aten.replication_pad2d.default", "aten.replication_pad3d.default")
def replication(call: Call) -> Form | Operand | None:
    return _named(call, "replicate")


def _named(call: Call, mode: str) -> Form | Operand | None:
    x, amounts = call.batched("self"), call["padding"]
    if x is None or not all(type(n) is int for n in amounts):
        return None
    return _padded(x, [list(amounts[k : k + 2]) for k in range(0, len(amounts), 2)], mode, 0.0)
