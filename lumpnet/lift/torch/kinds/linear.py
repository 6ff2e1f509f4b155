"""linear: `aten.linear` with stored weights, and the products that decompositions make of it."""

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


@converts("aten.addmm.default", "aten.mm.default")
def product(call: Call) -> Form | None:
    """(batch, in) times a stored matrix (in, out), plus a stored vector."""
    added = str(call.target) == "aten.addmm.default"
    x, matrix, bias = call.batched("mat1" if added else "self"), call["mat2"], call["self"] if added else None
    if x is None or x.shape is None or len(x.shape) != 2 or not isinstance(matrix, Param):
        return None
    if added and (
        not isinstance(bias, Param) or bias.tensor.ndim != 1 or call["beta"] != 1 or call["alpha"] != 1 or bias.tensor.shape != matrix.tensor.shape[1:]
    ):
        return None
    weight = Param(matrix.tensor.t(), f"t({matrix.text})", matrix.sources)
    return Form("linear", (x,), {}, {"weight": weight} | ({"bias": bias} if isinstance(bias, Param) else {}))
