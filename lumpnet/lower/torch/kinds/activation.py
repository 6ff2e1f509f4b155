"""relu, tanh, sigmoid, silu, gelu, leaky_relu, hardtanh, softmax, dropout, identity."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lumpnet.ir import Node
from lumpnet.lower.torch.registry import Attrs, Tensors, makes, rebuilds, runs
from lumpnet.lower.torch.step import Identity


@runs("relu")
def relu(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return torch.relu(values[0])


@runs("tanh")
def tanh(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return torch.tanh(values[0])


@runs("sigmoid")
def sigmoid(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return torch.sigmoid(values[0])


@runs("silu")
def silu(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return F.silu(values[0])


@runs("gelu")
def gelu(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return F.gelu(values[0], approximate=attrs["approximate"])


@runs("leaky_relu")
def leaky_relu(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return F.leaky_relu(values[0], attrs["slope"])


@runs("hardtanh")
def hardtanh(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return F.hardtanh(values[0], attrs["min"], attrs["max"])


@runs("softmax")
def softmax(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return torch.softmax(values[0], attrs["axis"])


@rebuilds("relu", "ReLU")
@rebuilds("tanh", "Tanh")
@rebuilds("sigmoid", "Sigmoid")
@rebuilds("silu", "SiLU")
def plain_module(node: Node, tensors: Tensors) -> nn.Module:
    assert node.module is not None
    module: nn.Module = getattr(nn, node.module.type)()
    return module


@rebuilds("gelu", "GELU")
def gelu_module(node: Node, tensors: Tensors) -> nn.Module:
    return nn.GELU(node.attrs["approximate"])


@rebuilds("leaky_relu", "LeakyReLU")
def leaky_relu_module(node: Node, tensors: Tensors) -> nn.Module:
    return nn.LeakyReLU(node.attrs["slope"])


@rebuilds("hardtanh", "Hardtanh")
def hardtanh_module(node: Node, tensors: Tensors) -> nn.Module | None:
    least, most = node.attrs["min"], node.attrs["max"]
    return nn.Hardtanh(least, most) if least < most else None


@rebuilds("hardtanh", "ReLU6")
def relu6_module(node: Node, tensors: Tensors) -> nn.Module | None:
    return nn.ReLU6() if (node.attrs["min"], node.attrs["max"]) == (0.0, 6.0) else None


@rebuilds("softmax", "Softmax")
def softmax_module(node: Node, tensors: Tensors) -> nn.Module:
    return nn.Softmax(node.attrs["axis"])


@rebuilds("dropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout")
def dropout_module(node: Node, tensors: Tensors) -> nn.Module:
    assert node.module is not None
    module: nn.Module = getattr(nn, node.module.type)(node.attrs["p"])
    return module


@makes("dropout")
def dropout(attrs: Attrs) -> nn.Module:
    return nn.Dropout(attrs["p"])


@makes("identity")
def identity(attrs: Attrs) -> nn.Module:
    return Identity()
