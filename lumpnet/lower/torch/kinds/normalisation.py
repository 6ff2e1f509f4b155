"""layer_norm, rms_norm, group_norm, instance_norm."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from lumpnet.ir import Node
from lumpnet.lower.torch.registry import Attrs, Tensors, dimensions, empty, rebuilds, runs

SLOTS = {"weight": "weight", "bias": "bias"}


@runs("layer_norm")
def layer_norm(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return F.layer_norm(values[0], values[0].shape[-attrs["dims"] :], tensors.get("weight"), tensors.get("bias"), attrs["eps"])


@runs("rms_norm")
def rms_norm(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return F.rms_norm(values[0], values[0].shape[-attrs["dims"] :], tensors.get("weight"), attrs["eps"])


@runs("group_norm")
def group_norm(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return F.group_norm(values[0], attrs["groups"], tensors.get("weight"), tensors.get("bias"), attrs["eps"])


@runs("instance_norm")
def instance_norm(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return F.instance_norm(values[0], weight=tensors.get("weight"), bias=tensors.get("bias"), eps=attrs["eps"])


@rebuilds("layer_norm", "LayerNorm", slots=SLOTS)
def layer_norm_module(node: Node, tensors: Tensors) -> nn.Module:
    return empty(nn.LayerNorm, _normalised(node), eps=node.attrs["eps"], elementwise_affine="weight" in tensors, bias="bias" in tensors)


@rebuilds("rms_norm", "RMSNorm", slots={"weight": "weight"})
def rms_norm_module(node: Node, tensors: Tensors) -> nn.Module:
    return empty(nn.RMSNorm, _normalised(node), eps=node.attrs["eps"], elementwise_affine="weight" in tensors)


@rebuilds("group_norm", "GroupNorm", slots=SLOTS)
def group_norm_module(node: Node, tensors: Tensors) -> nn.Module:
    return empty(nn.GroupNorm, node.attrs["groups"], int(node.shape[1] or 0), eps=node.attrs["eps"], affine="weight" in tensors)


@rebuilds("instance_norm", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", slots=SLOTS)
def instance_norm_module(node: Node, tensors: Tensors) -> nn.Module | None:
    assert node.module is not None
    if dimensions(node.module.type) != len(node.shape) - 2:
        return None
    return empty(getattr(nn, node.module.type), int(node.shape[1] or 0), eps=node.attrs["eps"], affine="weight" in tensors)


def _normalised(node: Node) -> list[int]:
    return [int(n or 0) for n in node.shape[-node.attrs["dims"] :]]
