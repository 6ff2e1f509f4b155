"""What a hand-written network computes, by PyTorch in float64: the oracle for what the checker proves."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as nn
from forge import N, Net


def outputs(net: Net, inputs: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """The network's outputs; inputs are float64 with a batch axis."""
    values = dict(inputs)
    for name, node in net.nodes.items():
        params = {role: torch.as_tensor(value).double() for role, value in net.stored(name).items()}
        values[name] = _apply(node, [values[i] for i in node.inputs], params)
    return [values[name] for name in net.outputs]


def random_inputs(net: Net, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randint(-8, 9, (5, *shape[1:]), generator=generator).double() / 2 for name, shape in net.inputs.items()}


def _along(value: torch.Tensor, axis: int | None, rank: int) -> torch.Tensor:
    return value if value.ndim == 0 or axis is None else value.reshape([-1 if k == axis else 1 for k in range(rank)])


def _apply(node: N, ins: list[torch.Tensor], p: dict[str, torch.Tensor]) -> torch.Tensor:
    x, a = ins[0], node.attrs
    match node.kind:
        case "linear":
            return nn.linear(x, p["weight"], p.get("bias"))
        case "conv":
            return nn.conv2d(x, p["weight"], p.get("bias"), a["stride"], a["padding"], a["dilation"], a["groups"])
        case "batch_norm":
            return nn.batch_norm(x, p["mean"], p["var"], p.get("weight"), p.get("bias"), False, 0.0, a["eps"])
        case "add":
            return ins[0] + ins[1]
        case "mul":
            return ins[0] * ins[1]
        case "mul_constant":
            return x * _along(p["factor"], a["axis"], x.ndim)
        case "add_constant":
            return x + _along(p["term"], a["axis"], x.ndim)
        case "constant":
            return _along(p["value"], a["axis"], len(a["shape"]) + 1).expand(len(x), *a["shape"])
        case "div_constant":
            return x / _along(p["divisor"], a["axis"], x.ndim)
        case "concat":
            return torch.cat(ins, a["axis"])
        case "reshape":
            return x.reshape(x.shape[0], *a["shape"])
        case "permute":
            return x.permute(a["dims"])
        case "index_select":
            return x[(*[slice(None)] * a["axis"], a["index"])]
        case "max_pool":
            return nn.max_pool2d(x, a["kernel"], a["stride"], a["padding"], a["dilation"], a["ceil_mode"])
        case "avg_pool":
            return nn.avg_pool2d(x, a["kernel"], a["stride"], a["padding"], a["ceil_mode"], a["count_include_pad"], a["divisor_override"])
        case "adaptive_avg_pool":
            return nn.adaptive_avg_pool2d(x, a["output_size"])
        case "adaptive_max_pool":
            return nn.adaptive_max_pool2d(x, a["output_size"])
        case "mean":
            return x.mean(a["axes"], a["keepdim"])
        case "softmax":
            return x.softmax(a["axis"])
        case "opaque":
            return nn.layer_norm(x, [2], p["0"])
        case _:
            return _elementwise(node.kind, a)(x)


def _elementwise(kind: str, a: dict[str, Any]) -> Any:
    return {
        "identity": lambda x: x,
        "dropout": lambda x: x,
        "relu": torch.relu,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "silu": nn.silu,
        "gelu": lambda x: nn.gelu(x, approximate=a["approximate"]),
        "leaky_relu": lambda x: nn.leaky_relu(x, a["slope"]),
        "hardtanh": lambda x: x.clamp(a["min"], a["max"]),
    }[kind]
