"""Pools. Windows are (begin, count): whatever padding gives the same windows is the same pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lumpnet.lift.onnx.call import Call, NoRule
from lumpnet.lift.onnx.operands import Answer, Val
from lumpnet.lift.onnx.registry import converts
from lumpnet.ops.windows import positions


def paddings(call: Call, x: Val, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> tuple[list[int], list[int]]:
    """Padding before and behind each spatial axis, `auto_pad` worked out."""
    mode, count = call.get("auto_pad", "NOTSET"), len(kernel)
    if mode in ("NOTSET", "", "VALID"):
        pads = list(call.get("pads") or [0] * 2 * count) if mode != "VALID" else [0] * 2 * count
        if len(pads) != 2 * count or min(pads) < 0:
            call.refuse(f"pads {pads}", f"{2 * count} numbers of at least 0", "check the model")
        return pads[:count], pads[count:]
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        call.refuse(f"auto_pad {mode!r}", "NOTSET, VALID, SAME_UPPER or SAME_LOWER", "check the model")
    axes = zip(x.sizes[1:], kernel, stride, dilation, strict=True)
    total = [max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0) for n, k, s, d in axes]
    less, more = [t // 2 for t in total], [t - t // 2 for t in total]
    return (less, more) if mode == "SAME_UPPER" else (more, less)


def _windows(call: Call, x: Val) -> tuple[dict[str, Any], list[int], list[int]]:
    """Kernel, stride and dilation, and the padding at both ends."""
    count = call.positions(x, "pool")
    kernel = list(call.attrs["kernel_shape"])
    stride, dilation = list(call.get("strides") or [1] * count), list(call.get("dilations") or [1] * count)
    if any(len(v) != count or min(v) < 1 for v in (kernel, stride, dilation)):
        call.refuse(f"kernel, strides and dilations {kernel}, {stride}, {dilation}", f"{count} positive numbers each", "check the model")
    if set(dilation) != {1} and call.get("auto_pad", "NOTSET").startswith("SAME"):
        call.refuse("auto_pad with dilation, which runtimes read differently", "padding in numbers", "export with pads")
    before, after = paddings(call, x, kernel, stride, dilation)
    if any(p >= k for p, k in zip([*before, *after], kernel * 2, strict=True)):
        call.refuse(f"the padding {[*before, *after]} reaches over the kernel {kernel}", "padding smaller than the kernel", "check the model")
    return {"kernel": kernel, "stride": stride, "dilation": dilation}, before, after


def _counts(call: Call, x: Val, window: dict[str, Any], before: Sequence[int], after: Sequence[int]) -> list[int]:
    """Windows on each axis. Refuses where ceil_mode lets a last window start in the padding, which runtimes read differently."""
    counts = []
    for n, k, s, d, b, a in zip(x.sizes[1:], window["kernel"], window["stride"], window["dilation"], before, after, strict=True):
        room = n + b + a - (k - 1) * d - 1
        if room < 0:
            call.refuse(f"a window of {k} on {n} positions", "windows that fit their input", "check the model")
        count = room // s + 1
        if call.get("ceil_mode", 0) and room % s:
            if count * s >= n + b:
                call.refuse("ceil_mode adds a window that starts in the padding", "windows that start in the input", "export without ceil_mode")
            count += 1
        counts.append(count)
    return counts


def _symmetric(x: Val, window: dict[str, Any], before: Sequence[int], counts: Sequence[int]) -> bool | None:
    """The ceil_mode under which padding `before` at both ends gives these windows; `None` where neither does."""
    axes = list(zip(x.sizes[1:], window["kernel"], window["stride"], before, window["dilation"], strict=True))
    fits = [ceil for ceil in (False, True) if [positions(*axis, ceil_mode=ceil) for axis in axes] == list(counts)]
    small = all(2 * p <= k for p, k in zip(before, window["kernel"], strict=True))
    return fits[0] if fits and small else None


@converts("MaxPool")
def max_pool(call: Call) -> Answer:
    x = call.val(0)
    window, before, after = _windows(call, x)
    ceil = _symmetric(x, window, before, _counts(call, x, window, before, after))
    if ceil is None:
        raise NoRule
    return call.emit("max_pool", [x], window | {"padding": before, "ceil_mode": ceil})


@converts("AveragePool")
def avg_pool(call: Call) -> Answer:
    """Counted padding is a pad with zeros of its own, unless it is the same at both ends."""
    x = call.val(0)
    window, before, after = _windows(call, x)
    if set(window.pop("dilation")) != {1}:
        raise NoRule
    full = window | {"dilation": [1] * len(before)}
    counts, padded = _counts(call, x, full, before, after), any([*before, *after])
    if not call.get("count_include_pad", 0) or not padded:
        ceil = _symmetric(x, full, before, counts)
        if ceil is None or (call.get("count_include_pad", 0) and call.get("ceil_mode", 0)):
            raise NoRule
        return call.emit("avg_pool", [x], window | {"padding": before, "ceil_mode": ceil, "count_include_pad": False, "divisor_override": None})
    if call.get("ceil_mode", 0):
        raise NoRule
    small = all(2 * p <= k for p, k in zip(before, window["kernel"], strict=True))
    if before != after or not small:
        pads = [[0, 0], *([b, a] for b, a in zip(before, after, strict=True))]
        x = call.emit("pad", [x], {"pads": pads, "mode": "constant", "value": 0.0}, part="pad")
        before = [0] * len(before)
    counted = any(before)
    return call.emit("avg_pool", [x], window | {"padding": before, "ceil_mode": False, "count_include_pad": counted, "divisor_override": None})


@converts("GlobalAveragePool", "GlobalMaxPool")
def global_pool(call: Call) -> Answer:
    x = call.val(0)
    kind = {"GlobalAveragePool": "adaptive_avg_pool", "GlobalMaxPool": "adaptive_max_pool"}[call.kind]
    return call.emit(kind, [x], {"output_size": [1] * call.positions(x, kind)})
