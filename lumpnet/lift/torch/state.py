"""Which stored tensor is which: names, ties, and the names of folded tensors.

`torch.export` may exchange the names of tied parameters, so a tensor is known
by where it lies in memory, never by the name the export gives it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from lumpnet.errors import LiftError
from lumpnet.lift.torch.operands import Param

Identity = tuple[Any, ...]


def identity(tensor: torch.Tensor) -> Identity:
    """Equal for two tensors that are the same elements of the same storage in the same arrangement."""
    if tensor.numel() == 0:
        return ("empty", id(tensor))
    strides = tuple(step for size, step in zip(tensor.shape, tensor.stride(), strict=True) if size > 1)
    return (tensor.untyped_storage().data_ptr(), tensor.storage_offset(), tuple(tensor.shape), strides, tensor.dtype)


class State:
    """The tensors of one network: every name of each in `state_dict` order, and the key each was given."""

    def __init__(self, parameters: Iterable[tuple[str, torch.Tensor]], buffers: Iterable[tuple[str, torch.Tensor]]):
        stored, state = list(parameters), list(buffers)
        self.named = dict(stored + state)
        self.names: dict[Identity, list[str]] = {}
        for name, tensor in self.named.items():
            self.names.setdefault(identity(tensor), []).append(name)
        self.state = {name for name, _ in state}
        self.keys: dict[Identity, str] = {}
        self.tensors: dict[str, np.ndarray] = {}
        self.buffers: set[str] = set()
        self.notes: list[str] = []

    def key(self, param: Param, path: str, role: str, node: str) -> str:
        """The name under which the graph stores `param`, decided at its first use.

        A stored tensor keeps a name of its own: the one under the module `path`
        that uses it, else the first in `state_dict` order. A weight or bias that is
        folded from tensors of its own module is called `path.role` where that is
        free, other folded tensors after their first source. Raises `LiftError`.
        """
        where = identity(param.tensor)
        if where not in self.keys:
            names = self.names.get(where)
            self.keys[where] = self._own(names, path) if names else self._new(param, path, role, node)
            self._store(self.keys[where], param, names)
        return self.keys[where]

    def sibling(self, param: Param, last: str, other: str) -> Param | None:
        """The buffer stored beside `param`: `bn.num_batches_tracked` beside `bn.running_mean`."""
        for name in self.names.get(identity(param.tensor), []):
            head, dot, tail = name.rpartition(".")
            if tail == last and head + dot + other in self.named:
                return Param(self.named[head + dot + other])
        return None

    def _own(self, names: list[str], path: str) -> str:
        return next((n for n in names if n.startswith(f"{path}.")), names[0])

    def _new(self, param: Param, path: str, role: str, node: str) -> str:
        if param.local:
            return self._free(f"{node}.{role}")
        wanted = f"{path}.{role}"
        own = bool(path) and role in ("weight", "bias") and all(source.startswith(f"{path}.") for source in param.sources)
        name = wanted if own and self._is_free(wanted) else self._free(f"{param.sources[0]}_folded")
        self.notes.append(f"folded: {name} = {param.text}")
        return name

    def _is_free(self, name: str) -> bool:
        return name not in self.named and name not in self.tensors

    def _free(self, name: str) -> str:
        count, found = 0, name
        while not self._is_free(found):
            count += 1
            found = f"{name}_{count}"
        return found

    def _store(self, key: str, param: Param, names: list[str] | None) -> None:
        if param.tensor.dtype in (torch.float16, torch.bfloat16) or param.tensor.is_complex():
            raise LiftError(f"tensor {key!r}", f"its dtype is {param.tensor.dtype}", "float32 or float64", "lift module.float()")
        self.tensors[key] = param.tensor.detach().cpu().contiguous().numpy().copy()
        sources = names or list(param.sources)
        if all(name in self.state for name in sources) or not param.tensor.is_floating_point():
            self.buffers.add(key)
