"""What older files say with attributes, and operators whose meaning has changed since."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from oracle import verdict_on

FORMS: list[tuple[str, int, dict[str, Any], tuple[Any, ...], set[str]]] = [
    ("Softmax", 11, {"axis": 1}, (2, 3), {"agrees (opaque)"}),
    ("Softmax", 11, {"axis": 2}, (2, 3), {"agrees"}),
    ("Softmax", 9, {}, (5,), {"agrees"}),
    ("Slice", 9, {"starts": [1], "ends": [9], "axes": [2]}, (2, 3), {"agrees"}),
    ("Clip", 9, {"min": -0.5}, (4,), {"agrees"}),
    ("Clip", 9, {"min": 0.0}, (4,), {"agrees"}),
    ("Clip", 9, {}, (4,), {"agrees"}),
    ("Dropout", 9, {"ratio": 0.3}, (4,), {"agrees"}),
    ("Pad", 9, {"pads": [0, 0, 1, 0, 0, 2], "value": 0.5}, (2, 3), {"agrees", "agrees (opaque)"}),
    ("Unsqueeze", 11, {"axes": [1, 3]}, (2, 3), {"agrees"}),
    ("Squeeze", 11, {"axes": [1]}, (1, 3), {"agrees"}),
    ("ReduceSum", 11, {"axes": [2], "keepdims": 0}, (2, 3), {"agrees", "agrees (opaque)"}),
    ("ReduceMean", 13, {"axes": [-1]}, (2, 3), {"agrees"}),
    ("Split", 11, {"axis": 1, "split": [3]}, (3, 2), {"agrees"}),
    ("Upsample", 9, {"mode": "nearest"}, (2, 3, 3), {"agrees", "refused"}),
    ("Flatten", 9, {"axis": 1}, (2, 3), {"agrees"}),
    ("Gemm", 9, {"transB": 1}, (4,), {"agrees"}),
]
MORE = {
    "Upsample": [np.array([1, 1, 2, 3], np.float32)],
    "Gemm": [np.arange(8, dtype=np.float32).reshape(2, 4) / 8, np.ones(2, np.float32)],
}


@pytest.mark.parametrize(("operator", "opset", "attrs", "shape", "verdicts"), FORMS)
@pytest.mark.parametrize("first", ["N", 1])
def test_old_forms_agree(operator: str, opset: int, attrs: dict[str, Any], shape: tuple[int, ...], verdicts: set[str], first: object) -> None:
    tensors = [numpy_helper.from_array(array, f"c{k}") for k, array in enumerate(MORE.get(operator, []))]
    node = helper.make_node(operator, ["x", *(t.name for t in tensors)], ["y"], **attrs)
    infos = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [first, *shape]), helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    model = helper.make_model(helper.make_graph([node], "g", infos[:1], infos[1:], tensors), opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    assert verdict_on(model.SerializeToString(), 0) in verdicts
