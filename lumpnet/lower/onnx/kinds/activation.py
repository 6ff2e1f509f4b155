"""Pointwise functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpnet.lower.onnx.writing import Step, writes

PLAIN = {
    "relu": "Relu",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "abs": "Abs",
    "sign": "Sign",
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "reciprocal": "Reciprocal",
    "erf": "Erf",
    "sin": "Sin",
    "cos": "Cos",
    "softsign": "Softsign",
    "selu": "Selu",
    "hardswish": "HardSwish",
    "mish": "Mish",
    "floor": "Floor",
    "ceil": "Ceil",
    "round": "Round",
}


@writes(*PLAIN)
def plain(step: Step) -> None:
    step.last(PLAIN[step.node.kind], [step.x()])


@writes("leaky_relu")
def leaky_relu(step: Step) -> None:
    if step.single("slope") is not None:
        step.last("LeakyRelu", [step.x()], alpha=step.attrs["slope"])
    else:
        step.last("PRelu", [step.x(), step.const("slope", step.attrs["slope"])])


@writes("prelu")
def prelu(step: Step) -> None:
    rank, slope = len(step.inputs[0].shape), step.tensors["slope"]
    name = step.param("slope")
    if slope.size > 1 and rank > 2:
        name = step.op("Reshape", [name, step.ints("shape", [slope.size] + [1] * (rank - 2))])
    step.last("PRelu", [step.x(), name])


@writes("hardtanh")
def hardtanh(step: Step) -> None:
    step.last("Clip", [step.x(), step.const("min", step.attrs["min"]), step.const("max", step.attrs["max"])])


@writes("gelu")
def gelu(step: Step) -> None:
    step.last("Gelu", [step.x()], approximate=step.attrs["approximate"])


@writes("silu")
def silu(step: Step) -> None:
    step.last("Mul", [step.x(), step.op("Sigmoid", [step.x()])])


@writes("elu", "celu")
def elu(step: Step) -> None:
    """alpha (exp(x / beta) - 1) below zero, beta 1 for elu and alpha for celu."""
    operator = {"elu": "Elu", "celu": "Celu"}[step.node.kind]
    if step.single("alpha") is not None and (operator == "Elu" or step.dtype == np.float32):
        step.last(operator, [step.x()], alpha=step.attrs["alpha"])
        return
    alpha, zero = step.const("alpha", step.attrs["alpha"]), step.const("zero", 0)
    inner = step.op("Min", [step.x(), zero])
    inner = step.op("Div", [inner, alpha]) if operator == "Celu" else inner
    low = step.op("Mul", [step.op("Sub", [step.op("Exp", [inner]), step.const("one", 1)]), alpha])
    step.last("Add", [step.op("Relu", [step.x()]), low])


@writes("softplus")
def softplus(step: Step) -> None:
    """log(1 + exp(beta x)) / beta, and x itself where beta x is above the threshold."""
    beta, threshold = step.const("beta", step.attrs["beta"]), step.attrs["threshold"]
    scaled = step.op("Mul", [step.x(), beta])
    soft = step.op("Softplus", [scaled])
    above = step.op("Greater", [scaled, step.const("threshold", threshold)])
    step.last("Where", [above, step.x(), step.op("Div", [soft, beta])])


@writes("hardsigmoid")
def hardsigmoid(step: Step) -> None:
    attrs: dict[str, Any] = {name: step.single(name) for name in ("alpha", "beta")}
    if None not in attrs.values():
        step.last("HardSigmoid", [step.x()], **attrs)
        return
    line = step.op("Add", [step.op("Mul", [step.x(), step.const("alpha", step.attrs["alpha"])]), step.const("beta", step.attrs["beta"])])
    step.last("Clip", [line, step.const("min", 0), step.const("max", 1)])


@writes("logsigmoid")
def logsigmoid(step: Step) -> None:
    step.last("Neg", [step.op("Softplus", [step.op("Neg", [step.x()])])])


@writes("pow")
def pow(step: Step) -> None:
    step.last("Pow", [step.x(), step.const("exponent", step.attrs["exponent"])])


@writes("softmax")
def softmax(step: Step) -> None:
    step.last("Softmax", [step.x()], axis=step.attrs["axis"])


@writes("identity")
def identity(step: Step) -> None:
    step.last("Identity", [step.x()])


@writes("dropout")
def dropout(step: Step) -> None:
    step.last("Dropout", [step.x(), step.const("ratio", step.attrs["p"], np.float64)])
