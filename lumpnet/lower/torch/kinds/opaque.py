"""opaque: the recorded torch calls, made again (the markers are described at `lumpnet.lift.torch.opaque`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lumpnet.errors import GraphError
from lumpnet.lower.torch.registry import Attrs, Tensors, runs


@runs("opaque")
def opaque(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    """Raises `GraphError` for an operator that this torch lacks, or that is no function."""
    frame = _Frame(values, tensors)
    for call in attrs["args"] if attrs["target"] == "sequence" else [attrs]:
        frame.results.append(frame.call(call))
    result = frame.results[-1]
    chosen: Tensor = result if attrs["output"] is None else result[attrs["output"]]
    return chosen


@dataclass
class _Frame:
    values: Sequence[Tensor]
    tensors: Tensors
    results: list[Any] = field(default_factory=list)

    def call(self, call: Attrs) -> Any:
        args = [self._value(a) for a in call["args"]]
        return _function(call["target"])(*args, **{k: self._value(v) for k, v in call["kwargs"].items()})

    def _value(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [self._value(v) for v in value]
        return MARKERS[next(iter(value))](self, value) if isinstance(value, Mapping) else value

    def step(self, marker: Mapping[str, int]) -> Any:
        result = self.results[marker["step"]]
        return result[marker["output"]] if "output" in marker else result

    def dtype(self, marker: Mapping[str, str]) -> torch.dtype:
        if marker["dtype"] != "input":
            found: torch.dtype = getattr(torch, marker["dtype"])
            return found
        return next(t.dtype for t in [*self.values, *self.tensors.values()] if t.is_floating_point())

    def device(self) -> torch.device:
        return next((t.device for t in [*self.values, *self.tensors.values()]), torch.device("cpu"))


MARKERS: dict[str, Callable[[_Frame, Mapping[str, Any]], Any]] = {
    "input": lambda frame, m: frame.values[m["input"]],
    "param": lambda frame, m: frame.tensors[m["param"]],
    "batch": lambda frame, m: m["batch"] * frame.values[0].shape[0],
    "step": lambda frame, m: frame.step(m),
    "output": lambda frame, m: frame.step(m),
    "dtype": lambda frame, m: frame.dtype(m),
    "device": lambda frame, m: frame.device(),
    "memory_format": lambda frame, m: getattr(torch, m["memory_format"]),
    "float": lambda frame, m: float(m["float"]),
}


def _function(target: str) -> Any:
    namespace, name, overload = target.split(".")
    try:
        found = getattr(getattr(getattr(torch.ops, namespace), name), overload)
    except AttributeError as error:
        raise GraphError(
            f"operator {target}",
            "this torch has none of that name",
            "an operator of the torch that lifted the network",
            "install the extension or the torch version that defines it",
        ) from error
    if any(argument.name == "filename" for argument in found._schema.arguments):
        raise GraphError(
            f"operator {target}", "it opens a file", "operators that are functions of tensors", "do not run this network: it was not written by a lift"
        )
    if found._schema.is_mutable:
        raise GraphError(f"operator {target}", "it changes its arguments", "operators that are functions", "lift the network again")
    return found
