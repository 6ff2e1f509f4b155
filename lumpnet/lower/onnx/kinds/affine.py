"""linear, conv, conv_transpose, embedding."""

from __future__ import annotations

from typing import Any

from lumpnet.lower.onnx.writing import Step, writes


@writes("linear")
def linear(step: Step) -> None:
    """Two axes are a Gemm; more are a product with the transposed weight, then the bias."""
    weight, bias = step.param("weight"), step.param("bias")
    if len(step.inputs[0].shape) == 2:
        step.last("Gemm", [step.x(), weight, bias], transB=1)
        return
    across = step.op("Transpose", [weight], perm=[1, 0])
    if not bias:
        step.last("MatMul", [step.x(), across])
    else:
        step.last("Add", [step.op("MatMul", [step.x(), across]), bias])


@writes("conv")
def conv(step: Step) -> None:
    step.last("Conv", [step.x(), step.param("weight"), step.param("bias")], **_windows(step))


@writes("conv_transpose")
def conv_transpose(step: Step) -> None:
    attrs = _windows(step) | {"output_padding": list(step.attrs["output_padding"])}
    step.last("ConvTranspose", [step.x(), step.param("weight"), step.param("bias")], **attrs)


def _windows(step: Step) -> dict[str, Any]:
    a = step.attrs
    return {
        "kernel_shape": list(step.tensors["weight"].shape[2:]),
        "strides": list(a["stride"]),
        "pads": [*a["padding"], *a["padding"]],
        "dilations": list(a["dilation"]),
        "group": a["groups"],
    }


@writes("embedding")
def embedding(step: Step) -> None:
    step.last("Gather", [step.param("weight"), step.x()], axis=0)
