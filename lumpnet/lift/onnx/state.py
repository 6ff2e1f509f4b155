"""The tensors of the graph under construction, by the names they keep."""

from __future__ import annotations

import numpy as np

from lumpnet.errors import LiftError
from lumpnet.lift.onnx.operands import Const


class State:
    """One array a name. A tensor of another content that wants a taken name gets a number behind it."""

    def __init__(self) -> None:
        self.tensors: dict[str, np.ndarray] = {}

    def key(self, const: Const, fallback: str, dtype: str, where: str) -> str:
        """The name under which the graph stores `const`, in the network's float type. Raises `LiftError` where that would round."""
        array = const.array
        if array.dtype.kind == "f" and array.dtype != dtype:
            with np.errstate(over="ignore"):
                converted = array.astype(dtype)
            if not np.array_equal(converted.astype(array.dtype), array, equal_nan=True):
                raise LiftError(where, f"a constant of {array.dtype} in a network of {dtype}", "one float type throughout", "export in one float type")
            array = converted
        count, wanted = 0, const.name or fallback
        name = wanted
        while name in self.tensors and not _same(self.tensors[name], array):
            count += 1
            name = f"{wanted}_{count}"
        self.tensors.setdefault(name, np.ascontiguousarray(array).reshape(array.shape))
        return name


def _same(one: np.ndarray, two: np.ndarray) -> bool:
    return one is two or (one.shape == two.shape and one.dtype == two.dtype and one.tobytes() == two.tobytes())
