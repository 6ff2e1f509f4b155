"""Operators that change nothing about a value: copies, casts between floats, dropout in evaluation."""

from __future__ import annotations

import numpy as np

from lumpnet.lift.onnx.call import Call
from lumpnet.lift.onnx.operands import Answer, Const, Val
from lumpnet.lift.onnx.registry import converts
from lumpnet.lift.onnx.tensors import HALVES, NAMES


@converts("Identity")
def identity(call: Call) -> Answer:
    return call.emit("identity", [call.val(0)])


@converts("Cast", "CastLike")
def cast(call: Call) -> Answer:
    """Between floats the number stays itself: rounding on the way is as in any other operator, and a note says so."""
    x = call.val(0)
    target = call.input(1) if call.kind == "CastLike" else None
    if isinstance(target, Const | Val):
        name, half = (target.array.dtype.name, False) if isinstance(target, Const) else (target.dtype, False)
    else:
        name, half = NAMES.get(call.attrs["to"], ""), call.attrs["to"] in HALVES
    if name not in ("float32", "float64"):
        return None
    if half or name != x.dtype:
        call.lifting.notes.append("casts to a narrower float type round as every operator does; the network is read in real arithmetic")
    return call.passed(x)


@converts("Dropout")
def dropout(call: Call) -> Answer:
    """Training mode is refused unless nothing is dropped."""
    x, training = call.val(0), call.input(2)
    ratio = float(call.attrs["ratio"]) if "ratio" in call.attrs else call.scalar(1)
    ratio = 0.5 if ratio is None else ratio
    on = training is not None and (not isinstance(training, Const) or bool(np.any(training.array)))
    if on or not 0 <= ratio <= 1:
        call.refuse("it drops at random", "dropout in evaluation", "export the model in evaluation mode")
    return call.emit("dropout", [x], {"p": ratio})
