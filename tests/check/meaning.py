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
    out = {}
    for name, shape in net.inputs.items():
        if name in net.choices:
            out[name] = torch.randint(net.choices[name], (5, *shape[1:]), generator=generator)
        else:
            out[name] = torch.randint(-8, 9, (5, *shape[1:]), generator=generator).double() / 2
    return out


def _along(value: torch.Tensor, axis: int | None, rank: int) -> torch.Tensor:
    return value if value.ndim == 0 or axis is None else value.reshape([-1 if k == axis else 1 for k in range(rank)])


def _apply(node: N, ins: list[torch.Tensor], p: dict[str, torch.Tensor]) -> torch.Tensor:
    x, a = ins[0], node.attrs
    match node.kind:
        case "linear":
            return nn.linear(x, p["weight"], p.get("bias"))
        case "conv":
            return (nn.conv1d, nn.conv2d, nn.conv3d)[x.ndim - 3](x, p["weight"], p.get("bias"), a["stride"], a["padding"], a["dilation"], a["groups"])
        case "conv_transpose":
            run = (nn.conv_transpose1d, nn.conv_transpose2d, nn.conv_transpose3d)[x.ndim - 3]
            return run(x, p["weight"], p.get("bias"), a["stride"], a["padding"], a["output_padding"], a["groups"], a["dilation"])
        case "embedding":
            return nn.embedding(x, p["weight"])
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
            return (nn.max_pool1d, nn.max_pool2d, nn.max_pool3d)[x.ndim - 3](x, a["kernel"], a["stride"], a["padding"], a["dilation"], a["ceil_mode"])
        case "avg_pool":
            run = (nn.avg_pool2d, nn.avg_pool3d)[x.ndim - 4]
            return run(x, a["kernel"], a["stride"], a["padding"], a["ceil_mode"], a["count_include_pad"], a["divisor_override"])
        case "adaptive_avg_pool":
            return (nn.adaptive_avg_pool1d, nn.adaptive_avg_pool2d, nn.adaptive_avg_pool3d)[x.ndim - 3](x, a["output_size"])
        case "adaptive_max_pool":
            return nn.adaptive_max_pool2d(x, a["output_size"])
        case "mean":
            return x.mean(a["axes"], a["keepdim"])
        case "attention":
            q, k, v = (t.unflatten(2, (a[key], -1)).transpose(1, 2) for t, key in zip(ins, ("heads", "kv_heads", "kv_heads"), strict=True))
            scores = q @ k.repeat_interleave(a["heads"] // a["kv_heads"], 1).mT * a["scale"]
            if a["causal"]:
                scores = scores.masked_fill(~torch.ones_like(scores[0, 0], dtype=torch.bool).tril(), -torch.inf)
            return (scores.softmax(-1) @ v.repeat_interleave(a["heads"] // a["kv_heads"], 1)).transpose(1, 2).flatten(2)
        case "layer_norm":
            return nn.layer_norm(x, x.shape[-a["dims"] :], p.get("weight"), p.get("bias"), a["eps"])
        case "rms_norm":
            return nn.rms_norm(x, x.shape[-a["dims"] :], p.get("weight"), a["eps"])
        case "group_norm":
            return nn.group_norm(x, a["groups"], p.get("weight"), p.get("bias"), a["eps"])
        case "instance_norm":
            return nn.instance_norm(x, None, None, p.get("weight"), p.get("bias"), True, 0.0, a["eps"])
        case "matmul":
            return ins[0] @ ins[1]
        case "div":
            return ins[0] / ins[1]
        case "sum":
            return x.sum(a["axes"], a["keepdim"])
        case "amax":
            return x.amax(a["axes"], a["keepdim"])
        case "amin":
            return x.amin(a["axes"], a["keepdim"])
        case "prelu":
            return nn.prelu(x, p["slope"])
        case "upsample":
            for axis, scale in enumerate(a["scales"]):
                x = x.repeat_interleave(scale, axis + 2)
            return x
        case "pad":
            pads = a["pads"] if x.ndim == 2 or any(a["pads"][0]) else a["pads"][1:]
            amounts = [n for pair in reversed(pads) for n in pair]
            return nn.pad(x, amounts, a["mode"], a["value"] if a["mode"] == "constant" else None)
        case "softmax":
            return x.softmax(a["axis"])
        case "rnn" | "lstm" | "gru":
            return _recurrent(node.kind, x, a, p)
        case "opaque":
            return nn.layer_norm(x, [2], p["0"])
        case _:
            return _elementwise(node.kind, a)(x)


def _recurrent(kind: str, x: torch.Tensor, a: dict[str, Any], p: dict[str, torch.Tensor]) -> torch.Tensor:
    """torch's cells, one step after the other; the GRU that torch lacks by its formula."""
    n, rows = p["weight_hh"].shape[1], len(p["weight_hh"])
    h = c = x.new_zeros(len(x), n)
    bias = [p.get(role, x.new_zeros(rows)) for role in ("bias_ih", "bias_hh")]
    found = []
    for u in reversed(x.unbind(1)) if a["reverse"] else x.unbind(1):
        if kind == "lstm":
            h, c = torch.lstm_cell(u, (h, c), p["weight_ih"], p["weight_hh"], *bias)
        elif kind == "rnn":
            h = (torch.rnn_relu_cell if a["nonlinearity"] == "relu" else torch.rnn_tanh_cell)(u, h, p["weight_ih"], p["weight_hh"], *bias)
        elif a["linear_before_reset"]:
            h = torch.gru_cell(u, h, p["weight_ih"], p["weight_hh"], *bias)
        else:
            r, z, k = (u @ p["weight_ih"].T + bias[0] + bias[1]).chunk(3, 1)
            one, two, three = p["weight_hh"].chunk(3)
            r, z = torch.sigmoid(r + h @ one.T), torch.sigmoid(z + h @ two.T)
            h = (1 - z) * torch.tanh(k + (r * h) @ three.T) + z * h
        found.append(h)
    return torch.stack(found[::-1] if a["reverse"] else found, 1)


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
        "elu": lambda x: nn.elu(x, a["alpha"]),
        "selu": nn.selu,
        "celu": lambda x: nn.celu(x, a["alpha"]),
        "softplus": lambda x: nn.softplus(x, a["beta"], a["threshold"]),
        "softsign": nn.softsign,
        "hardswish": nn.hardswish,
        "hardsigmoid": lambda x: (a["alpha"] * x + a["beta"]).clamp(0, 1),
        "mish": nn.mish,
        "logsigmoid": nn.logsigmoid,
        "pow": lambda x: x ** a["exponent"],
    }.get(kind) or getattr(torch, kind)
