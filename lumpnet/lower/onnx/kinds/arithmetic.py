"""Sums, products and quotients of values and constants; reductions over positions."""

from __future__ import annotations

from lumpnet.lower.onnx.writing import Step, writes

PAIRS = {"add": "Add", "mul": "Mul", "div": "Div", "matmul": "MatMul"}
CONSTANTS = {"add_constant": ("Add", "term"), "mul_constant": ("Mul", "factor"), "div_constant": ("Div", "divisor")}
REDUCTIONS = {"mean": "ReduceMean", "sum": "ReduceSum", "amax": "ReduceMax", "amin": "ReduceMin"}


@writes(*PAIRS)
def pair(step: Step) -> None:
    step.last(PAIRS[step.node.kind], [step.x(0), step.x(1)])


@writes(*CONSTANTS)
def constant(step: Step) -> None:
    operator, role = CONSTANTS[step.node.kind]
    step.last(operator, [step.x(), along(step, role, step.attrs["axis"])])


def along(step: Step, role: str, axis: int) -> str:
    """A tensor (n,) broadcast along `axis` of the operand; a scalar as it is."""
    tensor, behind = step.tensors[role], len(step.inputs[0].shape) - 1 - axis
    if tensor.ndim == 0 or behind == 0:
        return step.param(role)
    return step.op("Reshape", [step.param(role), step.ints("shape", [tensor.size] + [1] * behind)])


@writes(*REDUCTIONS)
def reduction(step: Step) -> None:
    step.last(REDUCTIONS[step.node.kind], [step.x(), step.ints("axes", step.attrs["axes"])], keepdims=int(step.attrs["keepdim"]))


@writes("constant")
def stored(step: Step) -> None:
    """One number a unit, repeated over positions and as often as the operand has examples."""
    shape, axis = list(step.attrs["shape"]), step.attrs["axis"]
    value = step.op("Reshape", [step.param("value"), step.ints("aligned", [-1] + [1] * (len(shape) - axis))])
    batch = step.op("Shape", [step.x()], start=0, end=1)
    step.last("Expand", [value, step.op("Concat", [batch, step.ints("sizes", shape)], axis=0)])
