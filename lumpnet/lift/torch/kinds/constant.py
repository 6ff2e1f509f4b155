"""Expansion: nothing where the shape stays, else stored numbers repeated over the batch: `bias.view(1, -1, 1, 1).expand(len(x), -1, h, w)`."""

from __future__ import annotations

from lumpnet.lift.torch.call import Call
from lumpnet.lift.torch.kinds.elided import unchanged
from lumpnet.lift.torch.operands import Form, Operand, Param
from lumpnet.lift.torch.registry import converts


@converts("aten.expand.default")
def expand(call: Call) -> Form | Operand | None:
    return unchanged(call) or _repeated(call)


def _repeated(call: Call) -> Form | None:
    """Numbers that vary along one axis beyond the batch; others have no rule."""
    stored, shape = call["self"], call.shape
    if not isinstance(stored, Param) or shape is None or len(shape) < 2:
        return None
    first, long = len(shape) - stored.tensor.ndim, [k for k, size in enumerate(stored.tensor.shape) if size != 1]
    if len(long) > 1 or (long and long[0] + first == 0):
        return None
    axis = long[0] + first if long else 1
    value = stored.tensor.reshape(-1).expand(int(shape[axis] or 0))
    param = Param(value, stored.text, stored.sources, stored.local)
    return Form("constant", (call.source,), {"shape": list(shape[1:]), "axis": axis}, {"value": param}, dtypes=(call.source.dtype,))
