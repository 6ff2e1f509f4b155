"""Operators that move entries: concat, reshape, permute, index_select, pad, upsample."""

from __future__ import annotations

from lumpnet.lower.onnx.writing import Step, writes

MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@writes("concat")
def concat(step: Step) -> None:
    step.last("Concat", [v.name for v in step.inputs], axis=step.attrs["axis"])


@writes("reshape")
def reshape(step: Step) -> None:
    """0 stands for the batch, which stays."""
    if 0 in step.attrs["shape"]:
        step.refuse("a value without entries")
    step.last("Reshape", [step.x(), step.ints("shape", [0, *step.attrs["shape"]])])


@writes("permute")
def permute(step: Step) -> None:
    step.last("Transpose", [step.x()], perm=list(step.attrs["dims"]))


@writes("index_select")
def index_select(step: Step) -> None:
    step.last("Gather", [step.x(), step.ints("index", step.attrs["index"])], axis=step.attrs["axis"])


@writes("pad")
def pad(step: Step) -> None:
    before, after = zip(*step.attrs["pads"], strict=True)
    inputs = [step.x(), step.ints("pads", [0, *before, 0, *after])]
    if step.attrs["mode"] == "constant":
        inputs.append(step.const("value", step.attrs["value"]))
    step.last("Pad", inputs, mode=MODES[step.attrs["mode"]])


@writes("upsample")
def upsample(step: Step) -> None:
    scales = step.const("scales", [1, 1, *step.attrs["scales"]], "float32")
    attrs = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    step.last("Resize", [step.x(), "", scales], **attrs)
