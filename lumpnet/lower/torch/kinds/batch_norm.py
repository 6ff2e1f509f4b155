"""batch_norm. As a module it can be trained again; as a function it keeps its statistics."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from lumpnet.ir import Node
from lumpnet.lower.torch.registry import Attrs, Tensors, dimensions, empty, rebuilds, runs

MOMENTUM = 0.1
SLOTS = {"weight": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var", "num_batches_tracked": "num_batches_tracked"}
RANKS = {1: (2, 3), 2: (4,), 3: (5,)}


@runs("batch_norm")
def batch_norm(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    momentum = attrs.get("momentum", MOMENTUM) or 0.0
    return F.batch_norm(values[0], tensors["mean"], tensors["var"], tensors.get("weight"), tensors.get("bias"), False, momentum, attrs["eps"])


@rebuilds("batch_norm", "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", slots=SLOTS)
def batch_norm_module(node: Node, tensors: Tensors) -> nn.Module | None:
    assert node.module is not None
    if len(node.shape) not in RANKS[dimensions(node.module.type)]:
        return None
    options = {"eps": node.attrs["eps"], "momentum": node.attrs.get("momentum", MOMENTUM), "affine": "weight" in tensors}
    return empty(getattr(nn, node.module.type), tensors["mean"].shape[0], **options)
