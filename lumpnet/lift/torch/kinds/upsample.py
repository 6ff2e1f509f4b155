"""upsample: nearest neighbours, where the kernel repeats every position a whole number of times."""

from __future__ import annotations

import torch

from lumpnet.lift.torch.call import Call
from lumpnet.lift.torch.operands import Form
from lumpnet.lift.torch.registry import converts

MAX_SIZE = 1 << 16


@converts("aten.upsample_nearest1d.vec", "aten.upsample_nearest2d.vec", "aten.upsample_nearest3d.vec")
def upsample(call: Call) -> Form | None:
    """The kernel computes source positions in floating point, so what it reads is asked of the kernel itself, axis by axis."""
    x = call.batched("input")
    if x is None or x.shape is None or call.shape is None or len(x.shape) != len(call.shape):
        return None
    sizes = [(int(n or 0), int(m or 0)) for n, m in zip(x.shape[2:], call.shape[2:], strict=True)]
    if any(not 0 < n <= m <= MAX_SIZE or m % n for n, m in sizes):
        return None
    scales = [m // n for n, m in sizes]
    for k, (n, _) in enumerate(sizes):
        given = call["scale_factors"]
        read = _reads(n, scales[k], None if given is None else float(given[k]), call.dtype)
        if not torch.equal(read, torch.arange(n).repeat_interleave(scales[k])):
            return None
    return Form("upsample", (x,), {"scales": scales, "mode": "nearest"})


def _reads(size: int, scale: int, factor: float | None, dtype: str) -> torch.Tensor:
    """Which position each output position of an axis of this size reads."""
    line = torch.arange(size, dtype=getattr(torch, dtype)).view(1, 1, size)
    out: torch.Tensor = torch.ops.aten.upsample_nearest1d.vec(line, [size * scale] if factor is None else None, None if factor is None else [factor])
    return out.view(-1).long()
