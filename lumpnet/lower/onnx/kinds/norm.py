"""Normalisations. A scale or shift that the node lacks is written as ones and zeros of its own."""

from __future__ import annotations

import numpy as np

from lumpnet.lower.onnx.kinds.arithmetic import along
from lumpnet.lower.onnx.writing import Step, writes


@writes("batch_norm")
def batch_norm(step: Step) -> None:
    """`num_batches_tracked` counts training steps; ONNX has no place for it, and the function does not use it."""
    n = step.tensors["var"].shape
    if step.single("eps") is not None:
        inputs = [step.x(), _scale(step, n), _shift(step, n), step.param("mean"), step.param("var")]
        step.last("BatchNormalization", inputs, epsilon=step.attrs["eps"])
        return
    behind = [1] * (len(step.inputs[0].shape) - 2)
    shape = step.ints("shape", [-1, *behind])
    root = step.op("Sqrt", [step.op("Add", [step.param("var"), step.const("eps", step.attrs["eps"])])])
    value = step.op("Sub", [step.x(), step.op("Reshape", [step.param("mean"), shape])])
    value = step.op("Div", [value, step.op("Reshape", [root, shape])])
    value = step.op("Mul", [value, step.op("Reshape", [_scale(step, n), shape])])
    step.last("Add", [value, step.op("Reshape", [_shift(step, n), shape])])


@writes("layer_norm", "rms_norm")
def layer_norm(step: Step) -> None:
    dims = step.attrs["dims"]
    shape = tuple(int(d or 0) for d in step.inputs[0].shape[-dims:])
    if step.node.kind == "layer_norm" and step.single("eps") is not None:
        bias = step.param("bias")
        step.last("LayerNormalization", [step.x(), _scale(step, shape), bias], axis=-dims, epsilon=step.attrs["eps"])
        return
    axes, value = step.ints("axes", range(-dims, 0)), step.x()
    if step.node.kind == "layer_norm":
        value = step.op("Sub", [value, step.op("ReduceMean", [value, axes], keepdims=1)])
    square = step.op("ReduceMean", [step.op("Mul", [value, value]), axes], keepdims=1)
    value = step.op("Div", [value, step.op("Sqrt", [step.op("Add", [square, step.const("eps", step.attrs["eps"])])])])
    value = step.op("Mul", [value, _scale(step, shape)])
    step.last("Add", [value, _shift(step, shape)])


@writes("group_norm", "instance_norm")
def group_norm(step: Step) -> None:
    channels = int(step.inputs[0].shape[1] or 0)
    scale, shift = _scale(step, (channels,)), _shift(step, (channels,))
    if step.single("eps") is None:
        _grouped(step, channels)
    elif step.node.kind == "group_norm":
        step.last("GroupNormalization", [step.x(), scale, shift], num_groups=step.attrs["groups"], epsilon=step.attrs["eps"])
    else:
        step.last("InstanceNormalization", [step.x(), scale, shift], epsilon=step.attrs["eps"])


def _grouped(step: Step, channels: int) -> None:
    """By hand, where eps has more digits than an attribute holds."""
    sizes, groups = [int(d or 0) for d in step.inputs[0].shape[1:]], step.attrs.get("groups", channels)
    axes = step.ints("axes", [2])
    value = step.op("Reshape", [step.x(), step.ints("grouped", [0, groups, -1])])
    value = step.op("Sub", [value, step.op("ReduceMean", [value, axes], keepdims=1)])
    square = step.op("ReduceMean", [step.op("Mul", [value, value]), axes], keepdims=1)
    value = step.op("Div", [value, step.op("Sqrt", [step.op("Add", [square, step.const("eps", step.attrs["eps"])])])])
    value = step.op("Reshape", [value, step.ints("whole", [0, *sizes])])
    shape = step.ints("shape", [-1] + [1] * (len(sizes) - 1))
    value = step.op("Mul", [value, step.op("Reshape", [_scale(step, (channels,)), shape])])
    step.last("Add", [value, step.op("Reshape", [_shift(step, (channels,)), shape])])


def _scale(step: Step, shape: tuple[int, ...]) -> str:
    return step.param("weight") or step.const("ones", np.ones(shape))


def _shift(step: Step, shape: tuple[int, ...]) -> str:
    return step.param("bias") or step.const("zeros", np.zeros(shape))


__all__ = ["along"]
