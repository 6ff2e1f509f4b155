"""opaque: operators of ONNX that were carried along go back as they came."""

from __future__ import annotations

import onnx
from onnx import helper

from lumpnet.lower.onnx.writing import OPSET, Step, writes

MOST_OUTPUTS = 1024


@writes("opaque")
def opaque(step: Step) -> None:
    target = str(step.attrs["target"])
    if not target.startswith("onnx::"):
        step.refuse(f"{target} is an operator of PyTorch")
    operator, version = target.removeprefix("onnx::"), step.attrs["kwargs"]["version"]
    found = onnx.defs.get_schema(operator, OPSET, "").since_version
    if found != version:
        hint = "convert the model with onnx.version_converter.convert_version(model, 21) and lift it again"
        step.refuse(f"{operator} has changed since its version {version}; opset {OPSET} has version {found}", hint)
    operands, inputs = iter(step.inputs), []
    for entry in step.attrs["args"]:
        inputs.append("" if entry is None else step.param(entry["param"]) if "param" in entry else next(operands).name)
    kwargs, output = step.attrs["kwargs"], int(step.attrs["output"])
    if not 0 <= output < kwargs["outputs"] <= MOST_OUTPUTS:
        step.refuse(f"output {output} of {kwargs['outputs']}")
    outputs = [step.node.name if k == output else f"{step.node.name}{step.marker}{k}" for k in range(kwargs["outputs"])]
    proto = helper.make_node(operator, inputs, outputs, name=step.node.name)
    for name in sorted(kwargs["attributes"]):
        proto.attribute.append(helper.make_attribute(name, kwargs["attributes"][name]))
    step.out.nodes.append(proto)
