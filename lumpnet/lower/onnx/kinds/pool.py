"""Pools. ceil_mode is written as padding at the end, on whose meaning all runtimes agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lumpnet.lower.onnx.writing import Step, writes

MOST_REGIONS = 4096


def _reach(step: Step) -> list[int]:
    """Padding behind the input, axis by axis, that makes the last window end where it does."""
    a, out = step.attrs, [int(n or 0) for n in step.node.shape[2:]]
    dilation = a.get("dilation", [1] * len(out))
    axes = zip(step.inputs[0].shape[2:], out, a["kernel"], a["stride"], a["padding"], dilation, strict=True)
    return [max(p, (c - 1) * s + (k - 1) * d + 1 - int(n or 0) - p) for n, c, k, s, p, d in axes]


def _attrs(step: Step, before: Sequence[int], after: Sequence[int]) -> dict[str, Any]:
    return {"kernel_shape": list(step.attrs["kernel"]), "strides": list(step.attrs["stride"]), "pads": [*before, *after]}


@writes("max_pool")
def max_pool(step: Step) -> None:
    a, after = step.attrs, _reach(step)
    attrs = _attrs(step, a["padding"], after) | {"dilations": list(a["dilation"])}
    if any(p >= k for p, k in zip(after, a["kernel"], strict=True)):
        attrs |= {"pads": [*a["padding"], *a["padding"]], "ceil_mode": int(a["ceil_mode"])}
    step.last("MaxPool", [step.x()], **attrs)


@writes("avg_pool")
def avg_pool(step: Step) -> None:
    """Padding that is counted becomes zeros of the value; what ceil_mode adds behind it is never counted."""
    a, after, divisor = step.attrs, _reach(step), step.attrs["divisor_override"]
    before, x = list(a["padding"]), step.x()
    none = [0] * len(before)
    if divisor is not None:
        x = _zeros(step, x, before, after)
        area = 1
        for k in a["kernel"]:
            area *= k
        mean = step.op("AveragePool", [x], **_attrs(step, none, none))
        step.last("Div", [step.op("Mul", [mean, step.const("area", area)]), step.const("divisor", divisor)])
        return
    if a["count_include_pad"] and any(before):
        x = _zeros(step, x, before, before)
        before, after = none, [e - p for e, p in zip(after, a["padding"], strict=True)]
    step.last("AveragePool", [x], count_include_pad=0, **_attrs(step, before, after))


def _zeros(step: Step, x: str, before: Sequence[int], after: Sequence[int]) -> str:
    return step.op("Pad", [x, step.ints("pads", [0, 0, *before, 0, 0, *after])]) if any(before) or any(after) else x


@writes("adaptive_avg_pool", "adaptive_max_pool")
def adaptive(step: Step) -> None:
    """One position is a global pool; regions of equal size are windows; others are cut out, axis by axis."""
    operator = {"adaptive_avg_pool": "Average", "adaptive_max_pool": "Max"}[step.node.kind]
    sizes, counts = [int(n or 0) for n in step.inputs[0].shape[2:]], list(step.attrs["output_size"])
    if all(o == 1 for o in counts):
        step.last(f"Global{operator}Pool", [step.x()])
    elif all(n % o == 0 for n, o in zip(sizes, counts, strict=True)):
        kernel = [n // o for n, o in zip(sizes, counts, strict=True)]
        step.last(f"{operator}Pool", [step.x()], kernel_shape=kernel, strides=kernel)
    else:
        _regions(step, {"Average": "ReduceMean", "Max": "ReduceMax"}[operator], sizes, counts)


def _regions(step: Step, operator: str, sizes: Sequence[int], counts: Sequence[int]) -> None:
    if sum(counts) > MOST_REGIONS:
        step.refuse(f"an adaptive pool of {sum(counts)} regions")
    x = step.x()
    for axis, (n, o) in enumerate(zip(sizes, counts, strict=True), 2):
        where, parts = step.ints(f"axis{axis}", [axis]), []
        for i in range(o):
            bounds = [step.ints(f"{axis}_{i}{side}", [at]) for side, at in (("from", i * n // o), ("to", -(-(i + 1) * n // o)))]
            parts.append(step.op(operator, [step.op("Slice", [x, *bounds, where]), where], keepdims=1))
        x = step.op("Concat", parts, axis=axis)
    step.last("Identity", [x])
