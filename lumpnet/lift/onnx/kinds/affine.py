"""Gemm, MatMul, Conv, ConvTranspose: linear maps with stored weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpnet.lift.onnx.call import Call, NoRule
from lumpnet.lift.onnx.kinds.folded import exact_product
from lumpnet.lift.onnx.kinds.pool import paddings
from lumpnet.lift.onnx.operands import Answer, Const, Val
from lumpnet.lift.onnx.registry import converts


@converts("Gemm")
def gemm(call: Call) -> Answer:
    """alpha A B + beta C with a stored B; numbers other than one are operators of their own unless they fold exactly."""
    x, weight, addend = call.val(0), call.const(1), call.input(2)
    if call.attrs["transA"] or x.axes != 2 or weight.array.ndim != 2:
        raise NoRule
    alpha, beta = call.number("alpha"), call.number("beta")
    weight = weight if call.attrs["transB"] else weight.transposed()
    if isinstance(addend, Val):
        return _plus_value(call, x, weight, addend)
    bias = _bias(call, addend, weight.array.shape[0])
    scaled = _times(call, weight, alpha)
    shifted = _times(call, bias, beta) if bias else None
    if scaled is not None and (shifted is not None or bias is None):
        return call.emit("linear", [x], weight=scaled, bias=shifted)
    if bias is not None and shifted is None:
        raise NoRule
    y = call.emit("linear", [x], part="product", weight=weight)
    y = call.emit("mul_constant", [y], {"axis": 1}, part="" if bias is None else "scaled", factor=call.literal(alpha))
    return y if shifted is None else call.emit("add_constant", [y], {"axis": x.rank - 1}, term=shifted)


def _plus_value(call: Call, x: Val, weight: Const, addend: Val) -> Val:
    if call.number("alpha") != 1 or call.number("beta") != 1 or addend.rank != x.rank or addend.dtype != call.lifting.dtype:
        raise NoRule
    return call.emit("add", [call.emit("linear", [x], part="product", weight=weight), addend])


def _bias(call: Call, c: Any, n: int) -> Const | None:
    """C as one number a row of the weight. Raises `NoRule` where it is more."""
    if c is None:
        return None
    if not isinstance(c, Const) or not c.floating or c.spread or c.array.size not in (1, n) or c.array.shape[-1:] not in ((), (1,), (n,)):
        raise NoRule
    return c.moved(np.array(np.broadcast_to(c.array.reshape(-1), (n,))), "bias")


def _times(call: Call, c: Const, factor: float) -> Const | None:
    """c * factor, `None` where that would be rounded."""
    if factor == 1:
        return c
    product = exact_product(c.array, np.asarray(factor, c.array.dtype))
    return None if product is None else c.moved(product, f"times{factor}")


@converts("MatMul")
def matmul(call: Call) -> Answer:
    """A stored factor on the right acts on the last axis; on the left, on the last but one."""
    a, b = call.inputs
    if isinstance(a, Val) and isinstance(b, Val):
        return _of_values(call, call.val(0), call.val(1))
    if isinstance(a, Val):
        return _right(call, call.val(0), call.const(1))
    return _left(call, call.const(0), call.val(1))


def _of_values(call: Call, a: Val, b: Val) -> Val:
    if a.rank != b.rank or a.rank < 3:
        raise NoRule
    return call.emit("matmul", [a, b])


def _right(call: Call, x: Val, weight: Const) -> Val:
    w, matrix = weight.array, _as_matrix(weight, x.axes)
    if x.axes < 2:
        raise NoRule
    if w.ndim > 1:
        return call.emit("linear", [x], weight=matrix.transposed())
    y = call.emit("linear", [x], part="column", weight=Const(w.reshape(1, -1), f"{weight.name}.row" if weight.name else ""))
    return call.emit("reshape", [y], {"shape": y.sizes[:-1]})


def _left(call: Call, weight: Const, x: Val) -> Val:
    if x.rank < 3 or weight.array.ndim < 2:
        raise NoRule
    matrix, swap = _as_matrix(weight, x.axes), {"dims": [*range(x.rank - 2), x.rank - 1, x.rank - 2]}
    y = call.emit("permute", [x], swap, part="turned")
    return call.emit("permute", [call.emit("linear", [y], part="product", weight=matrix)], swap)


def _as_matrix(weight: Const, rank: int) -> Const:
    """The constant without leading axes of size 1. Raises `NoRule` for a stack of matrices."""
    w = weight.array
    if w.ndim > rank or any(d != 1 for d in w.shape[:-2]):
        raise NoRule
    return weight.moved(w.reshape(w.shape[-2:]), "matrix") if w.ndim > 2 else weight


@converts("Conv")
def conv(call: Call) -> Answer:
    """Padding that differs between the two ends is a pad of its own."""
    x, weight = call.val(0), call.const(1)
    count = call.positions(x, "conv")
    kernel, (stride, dilation) = _kernel(call, weight, count), _steps(call, count)
    before, after = paddings(call, x, kernel, stride, dilation)
    if before != after:
        pads = [[0, 0], *([b, a] for b, a in zip(before, after, strict=True))]
        x = call.emit("pad", [x], {"pads": pads, "mode": "constant", "value": 0.0}, part="pad")
        before = [0] * count
    attrs = {"stride": stride, "padding": before, "dilation": dilation, "groups": _groups(call)}
    return call.emit("conv", [x], attrs, weight=weight, bias=_vector(call, 2, weight.array.shape[0]))


@converts("ConvTranspose")
def conv_transpose(call: Call) -> Answer:
    x, weight = call.val(0), call.const(1)
    count = call.positions(x, "conv_transpose")
    kernel, (stride, dilation) = _kernel(call, weight, count), _steps(call, count)
    extra = list(call.get("output_padding") or [0] * count)
    if call.get("output_shape") or call.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or len(extra) != count or min(extra) < 0:
        raise NoRule
    before, after = paddings(call, x, kernel, stride, dilation)
    if before != after:
        extra = [e + b - a for e, b, a in zip(extra, before, after, strict=True)]
    if any(not 0 <= e < max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise NoRule
    attrs = {"stride": stride, "padding": before, "output_padding": extra, "dilation": dilation, "groups": _groups(call)}
    return call.emit("conv_transpose", [x], attrs, weight=weight, bias=_vector(call, 2, weight.array.shape[1] * attrs["groups"]))


def _kernel(call: Call, weight: Const, count: int) -> list[int]:
    shape = list(weight.array.shape)
    if len(shape) != count + 2 or list(call.get("kernel_shape") or shape[2:]) != shape[2:] or 0 in shape:
        call.refuse(f"a weight of shape {shape} and the kernel {call.get('kernel_shape')}", f"a weight with {count} spatial axes", "check the model")
    return shape[2:]


def _steps(call: Call, count: int) -> tuple[list[int], list[int]]:
    found = [list(call.get(name) or [1] * count) for name in ("strides", "dilations")]
    if any(len(v) != count or min(v) < 1 for v in found):
        call.refuse(f"strides and dilations {found}", f"{count} positive numbers each", "check the model")
    return found[0], found[1]


def _groups(call: Call) -> int:
    if call.attrs["group"] < 1:
        call.refuse(f"{call.attrs['group']} groups", "at least one", "check the model")
    return int(call.attrs["group"])


def _vector(call: Call, k: int, n: int) -> Const | None:
    if call.input(k) is None:
        return None
    c = call.const(k)
    if c.array.shape != (n,):
        call.refuse(f"a bias of shape {c.array.shape}", f"({n},)", "check the model")
    return c
