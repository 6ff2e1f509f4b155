"""embedding."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from lumpnet.ir import Node
from lumpnet.lower.torch.registry import Attrs, Tensors, empty, rebuilds, runs


@runs("embedding")
def embedding(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return F.embedding(values[0], tensors["weight"], _padding(attrs))


@rebuilds("embedding", "Embedding", slots={"weight": "weight"})
def embedding_module(node: Node, tensors: Tensors) -> nn.Module:
    return empty(nn.Embedding, *tensors["weight"].shape, padding_idx=_padding(node.attrs))


def _padding(attrs: Attrs) -> int | None:
    """The entry that is not trained, if there is one."""
    index: int = attrs.get("padding_idx", -1)
    return index if index >= 0 else None
