"""relu, tanh, sigmoid, silu, gelu, leaky_relu, hardtanh, softmax, dropout, identity, and the table of functions of one number."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lumpnet.ir import Node
from lumpnet.lower.torch.registry import Attrs, Tensors, empty, makes, rebuilds, runs
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


FUNCTIONS: dict[str, Callable[[Tensor, Attrs], Tensor]] = {
    "abs": lambda x, a: x.abs(),
    "sign": lambda x, a: x.sign(),
    "exp": lambda x, a: x.exp(),
    "log": lambda x, a: x.log(),
    "sqrt": lambda x, a: x.sqrt(),
    "reciprocal": lambda x, a: x.reciprocal(),
    "erf": lambda x, a: x.erf(),
    "sin": lambda x, a: x.sin(),
    "cos": lambda x, a: x.cos(),
    "softsign": lambda x, a: F.softsign(x),
    "elu": lambda x, a: F.elu(x, a["alpha"]),
    "selu": lambda x, a: F.selu(x),
    "celu": lambda x, a: F.celu(x, a["alpha"]),
    "softplus": lambda x, a: F.softplus(x, a["beta"], a["threshold"]),
    "hardswish": lambda x, a: F.hardswish(x),
    "hardsigmoid": lambda x, a: F.hardsigmoid(x) if torch_ramp(a) else (a["alpha"] * x + a["beta"]).clamp(0, 1),
    "mish": lambda x, a: F.mish(x),
    "logsigmoid": lambda x, a: F.logsigmoid(x),
    "floor": lambda x, a: x.floor(),
    "ceil": lambda x, a: x.ceil(),
    "round": lambda x, a: x.round(),
    "pow": lambda x, a: x.pow(a["exponent"]),
}
MODULES: dict[tuple[str, str], Callable[[Attrs], nn.Module]] = {
    ("softsign", "Softsign"): lambda a: nn.Softsign(),
    ("elu", "ELU"): lambda a: nn.ELU(a["alpha"]),
    ("selu", "SELU"): lambda a: nn.SELU(),
    ("celu", "CELU"): lambda a: nn.CELU(a["alpha"]),
    ("softplus", "Softplus"): lambda a: nn.Softplus(a["beta"], a["threshold"]),
    ("hardswish", "Hardswish"): lambda a: nn.Hardswish(),
    ("hardsigmoid", "Hardsigmoid"): lambda a: nn.Hardsigmoid(),
    ("mish", "Mish"): lambda a: nn.Mish(),
    ("logsigmoid", "LogSigmoid"): lambda a: nn.LogSigmoid(),
}


def torch_ramp(attrs: Attrs) -> bool:
    """Torch's own hard sigmoid, whose slope 1/6 is stored as the nearest number of float32 or float64."""
    return attrs["alpha"] in (1 / 6, float(np.float32(1 / 6))) and attrs["beta"] == 0.5


def _register(kind: str, function: Callable[[Tensor, Attrs], Tensor]) -> None:
    runs(kind)(lambda values, tensors, attrs: function(values[0], attrs))


for _kind, _function in FUNCTIONS.items():
    _register(_kind, _function)


@rebuilds("softsign", "Softsign")
@rebuilds("elu", "ELU")
@rebuilds("selu", "SELU")
@rebuilds("celu", "CELU")
@rebuilds("softplus", "Softplus")
@rebuilds("hardswish", "Hardswish")
@rebuilds("hardsigmoid", "Hardsigmoid")
@rebuilds("mish", "Mish")
@rebuilds("logsigmoid", "LogSigmoid")
def table_module(node: Node, tensors: Tensors) -> nn.Module | None:
    assert node.module is not None
    if node.kind == "hardsigmoid" and not torch_ramp(node.attrs):
        return None
    return MODULES[node.kind, node.module.type](node.attrs)


@runs("prelu")
def prelu(values: Sequence[Tensor], tensors: Tensors, attrs: Attrs) -> Tensor:
    return F.prelu(values[0], tensors["slope"])


@rebuilds("prelu", "PReLU", slots={"slope": "weight"})
def prelu_module(node: Node, tensors: Tensors) -> nn.Module:
    return empty(nn.PReLU, len(tensors["slope"]))


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
