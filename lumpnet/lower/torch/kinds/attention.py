"""attention."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from lumpnet.lower.torch.registry import Attrs, Tensors, runs


@runs("attention")
def attention(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    """Heads side by side on the last axis; the scale is the stored one, whatever the width."""
    heads, kv = attrs["heads"], attrs["kv_heads"]
    q, k, v = (x.reshape(x.shape[0], x.shape[1], n, -1).transpose(1, 2) for x, n in zip(values, (heads, kv, kv), strict=True))
    y = F.scaled_dot_product_attention(q, k, v, is_causal=attrs["causal"], scale=attrs["scale"], enable_gqa=heads != kv)
    return y.transpose(1, 2).flatten(2)
