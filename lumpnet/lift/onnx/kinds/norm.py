"""Normalisations with stored statistics or over axes."""

from __future__ import annotations

from lumpnet.lift.onnx.call import Call, NoRule
from lumpnet.lift.onnx.operands import Answer, Const, Val
from lumpnet.lift.onnx.registry import converts


@converts("BatchNormalization")
def batch_norm(call: Call) -> Answer:
    x = call.val(0)
    if call.get("training_mode", 0) or any(call.used(k) for k in range(1, len(call.proto.output))):
        call.refuse("it is in training mode", "stored statistics", "export the model in evaluation mode")
    if call.get("spatial", 1) != 1:
        raise NoRule
    weight, bias, mean, var = (_per_channel(call, k, x) for k in range(1, 5))
    return call.emit("batch_norm", [x], {"eps": call.number("epsilon")}, weight=weight, bias=bias, mean=mean, var=var)


def _per_channel(call: Call, k: int, x: Val) -> Const:
    c = call.const(k)
    if x.rank < 2 or c.array.shape != (x.shape[1],):
        raise NoRule
    return c


@converts("LayerNormalization")
def layer_norm(call: Call) -> Answer:
    x = call.val(0)
    axis = call.axis(call.attrs["axis"], x.rank)
    if axis == 0 or call.attrs["stash_type"] != 1:
        raise NoRule
    weight, bias = _trailing(call, 1, x, axis), _trailing(call, 2, x, axis) if call.input(2) is not None else None
    return call.emit("layer_norm", [x], {"dims": x.rank - axis, "eps": call.number("epsilon")}, weight=weight, bias=bias)


@converts("RMSNormalization")
def rms_norm(call: Call) -> Answer:
    x = call.val(0)
    axis = call.axis(call.attrs["axis"], x.rank)
    if axis == 0 or call.attrs["stash_type"] != 1:
        raise NoRule
    return call.emit("rms_norm", [x], {"dims": x.rank - axis, "eps": call.number("epsilon")}, weight=_trailing(call, 1, x, axis))


def _trailing(call: Call, k: int, x: Val, axis: int) -> Const:
    c = call.const(k)
    if c.array.shape != tuple(x.shape[axis:]):
        raise NoRule
    return c


@converts("GroupNormalization")
def group_norm(call: Call) -> Answer:
    """From opset 21 on its scale is one number a channel."""
    x = call.val(0)
    if call.lifting.source.opset < 21:
        raise NoRule
    attrs = {"groups": int(call.attrs["num_groups"]), "eps": call.number("epsilon")}
    return call.emit("group_norm", [x], attrs, weight=_per_channel(call, 1, x), bias=_per_channel(call, 2, x))


@converts("InstanceNormalization")
def instance_norm(call: Call) -> Answer:
    x = call.val(0)
    return call.emit("instance_norm", [x], {"eps": call.number("epsilon")}, weight=_per_channel(call, 1, x), bias=_per_channel(call, 2, x))
