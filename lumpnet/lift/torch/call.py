"""One exported operator call, read by the names of the operator's schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.fx import Node as FxNode
from torch.fx.node import map_arg

from lumpnet.ir import FLOATS, Shape
from lumpnet.lift.torch.operands import Deferred, Operand, Param, Val, is_batched


@dataclass(frozen=True)
class Call:
    """`shape` and `dtype` describe the (first) output; `shape` is `None` where it has no place in a graph.

    `source` is an input of the network, of which a converter may read the batch size.
    `module` is the innermost `nn.Module` whose forward made the call, `path` its dotted path.
    """

    node: FxNode
    operands: Mapping[FxNode, Operand]
    module: nn.Module | None
    path: str
    shape: Shape | None
    dtype: str
    source: Val

    @property
    def target(self) -> Any:
        return self.node.target

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """Every argument of the schema by name, defaults filled in, operands in place of exported nodes."""
        schema = self.target._schema.arguments
        bound = {a.name: a.default_value for a in schema if a.has_default_value()}
        bound |= {a.name: value for a, value in zip(schema, self.node.args, strict=False)} | dict(self.node.kwargs)
        return {name: self._replace(value) for name, value in bound.items()}

    def _replace(self, value: Any) -> Any:
        if isinstance(value, FxNode):
            return self.operands[value]
        if isinstance(value, list | tuple):
            return [self._replace(v) for v in value]
        return value

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self.arguments.get(name, default)

    def batched(self, name: str) -> Val | Deferred | None:
        """The argument, if it is a floating value with the batch on axis 0."""
        value = self.arguments.get(name)
        return value if isinstance(value, Val | Deferred) and is_batched(value) and value.dtype in FLOATS else None

    def ints(self, name: str, count: int) -> list[int] | None:
        """The argument as `count` integers: one integer stands for all, as in torch."""
        value = self.arguments[name]
        items = value if isinstance(value, list) else [value]
        if not all(type(i) is int for i in items):
            return None
        return items * count if len(items) == 1 else items if len(items) == count else None

    def scalar(self, name: str) -> float | None:
        """The argument rounded to the value that the kernel uses in the output's dtype; `None` if it is no finite number."""
        return kernel_scalar(self.arguments[name], self.dtype)

    def evaluate(self) -> Any:
        """Run the operator on the parameters it reads."""
        args, kwargs = map_arg((self.node.args, self.node.kwargs), lambda n: self._tensor(n))
        with torch.no_grad():
            return self.target(*args, **kwargs)

    def _tensor(self, node: FxNode) -> torch.Tensor:
        operand = self.operands[node]
        assert isinstance(operand, Param)
        return operand.tensor


def kernel_scalar(value: object, dtype: str) -> float | None:
    """A Python number as a kernel of `dtype` sees it: rounded to nearest, once. `None` where not a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    with np.errstate(over="ignore"):
        rounded = float(np.dtype(dtype).type(value))
    return rounded if np.isfinite(rounded) else None
