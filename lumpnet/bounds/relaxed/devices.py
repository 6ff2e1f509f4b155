"""Where bounds are computed: programs are made on a device of torch, and boxes are bounded on theirs.

The margins of `program` hold for sums in any order, with or without fused multiply-adds, of IEEE float64: for CUDA's own kernels and for cuBLAS.
They do not hold for the transforms among cuDNN's convolutions, which is turned off, nor for float64 emulated in fewer
bits, which is refused. Curves and intervals of single operators are computed by numpy, wherever the rest is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

ROOM = 32
"""How much more than on a processor is bounded at once elsewhere."""


def usable(device: str) -> torch.device:
    """Raises `ValueError` for a device that torch does not have here, or on which the margins would not hold."""
    try:
        found = torch.device(device)
    except RuntimeError:
        found = torch.device("meta")
    if found.type not in ("cpu", "cuda"):
        raise ValueError(f"device is {device!r}: use 'cpu' or 'cuda'")
    if found.type == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available() or (found.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device is {device!r}: torch has no such device here, use 'cpu'")
    if emulated := sorted(name for name in os.environ if name.startswith("CUBLAS_EMUL")):
        raise ValueError(f"device is {device!r}: {emulated[0]} may replace float64 by fewer bits, unset it")
    return torch.device("cuda", torch.cuda.current_device() if found.index is None else found.index)


@contextmanager
def on(device: torch.device) -> Iterator[None]:
    """New tensors are made on this device."""
    if device == current():
        yield
        return
    with torch.device(device), torch.backends.cudnn.flags(enabled=False):
        yield


def current() -> torch.device:
    return torch.get_default_device()


def room(device: torch.device) -> int:
    """How much is bounded at once, as a multiple of what a cache holds."""
    return 1 if device.type == "cpu" else ROOM


def placed(x: np.ndarray) -> Tensor:
    """An array where tensors are made now; on a processor it is shared, not copied."""
    return torch.from_numpy(x).to(current())


def fetched(x: Tensor) -> np.ndarray:
    found: np.ndarray = x.cpu().numpy()
    return found
