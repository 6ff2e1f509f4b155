"""A device that this machine does not have: tensors of the processor that say they are on it, and that do not meet tensors which are not.

With it audits run as on CUDA where there is none: whatever is made without a device, left on the other side, or read from there
without being fetched raises as it would.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("cuda", 0)
CPU = torch.device("cpu")
MEETS = {Tensor.__getitem__, Tensor.__setitem__}
"""What takes indices from the processor."""


class Elsewhere(Tensor):
    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return DEVICE

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is Tensor.numpy or func is Tensor.__array__:
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        if func not in MEETS and any(not isinstance(x, Elsewhere) and x.ndim for x in tensors):
            raise RuntimeError(f"{func} of tensors on two devices")
        to = CPU if func is Tensor.cpu else asked(func, args, kwargs)
        with torch._C.DisableTorchFunctionSubclass():
            found = func(*tree_map(here, args), **tree_map(here, kwargs))
        return tree_map(lambda x: moved(x, to or DEVICE), found)


class Pretended(TorchFunctionMode):
    """Tensors that are made with the device, or sent there."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        to = asked(func, args, kwargs)
        if to != DEVICE or any(isinstance(x, Elsewhere) for x in tree_leaves((args, kwargs))):
            return func(*args, **kwargs)
        return tree_map(lambda x: moved(x, DEVICE), func(*tree_map(here, args), **tree_map(here, kwargs)))


def asked(func: Any, args: Any, kwargs: Any) -> torch.device | None:
    """The device that a call names."""
    named = [x for x in (*args[1:2], kwargs.get("device")) if isinstance(x, torch.device)] if func is Tensor.to else [kwargs.get("device")]
    return next((torch.device(x) for x in named if x is not None), None)


def here(x: Any) -> Any:
    return CPU if isinstance(x, torch.device) or (isinstance(x, str) and x == str(DEVICE)) else x


def moved(x: Any, to: torch.device) -> Any:
    if not isinstance(x, Tensor):
        return x
    with torch._C.DisableTorchFunctionSubclass():
        return x.as_subclass(Elsewhere if to == DEVICE else Tensor)


@contextmanager
def elsewhere() -> Iterator[None]:
    """Inside of it there is a device `cuda:0`."""
    there = {"is_available": lambda: True, "device_count": lambda: 1, "current_device": lambda: 0}
    with patch.multiple(torch.cuda, **there), Pretended():
        yield
