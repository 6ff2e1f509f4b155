"""The ways in which torch programs spell attention; and some that only look like it."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TOKENS, WIDTH, HEADS = 5, 8, 2
Core = Callable[[Tensor, Tensor, Tensor], Tensor]
MASK = torch.ones(TOKENS, TOKENS, dtype=torch.bool).tril()


class Packed(nn.Module):
    """One projection for queries, keys and values (batch, tokens, 3 * width), heads on axis 1, then `core`."""

    def __init__(self, core: Core, split: str = "chunk"):
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.core, self.split = core, split
        self.register_buffer("seen", MASK.view(1, 1, TOKENS, TOKENS))
        self.register_buffer("gap", torch.zeros(TOKENS, TOKENS).masked_fill(~MASK, -math.inf))

    def forward(self, x: Tensor) -> Tensor:
        b, t, c = x.shape
        match self.split:
            case "chunk":
                parts = [p.view(b, t, HEADS, c // HEADS).transpose(1, 2) for p in self.qkv(x).chunk(3, -1)]
            case "split":
                parts = [p.reshape(b, t, HEADS, c // HEADS).permute(0, 2, 1, 3) for p in self.qkv(x).split(c, dim=2)]
            case "unbind":
                parts = list(self.qkv(x).view(b, t, 3, HEADS, c // HEADS).permute(2, 0, 3, 1, 4).unbind(0))
            case _:
                y = self.qkv(x).view(b, t, 3, HEADS, c // HEADS).permute(2, 0, 3, 1, 4)
                parts = [y[0], y[1], y[2]]
        y = self.core(*parts) if not isinstance(self.core, str) else getattr(self, self.core)(*parts)
        return self.out(y.transpose(1, 2).reshape(b, t, c))

    def buffered(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        a = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        a = a.masked_fill(self.seen[:, :, : q.shape[2], : q.shape[2]] == 0, float("-inf"))
        return F.dropout(F.softmax(a, dim=-1), 0.1, self.training) @ v

    def where(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return torch.where(self.seen, q @ k.transpose(-2, -1) / 2, torch.tensor(-math.inf)).softmax(-1) @ v

    def added(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return ((q @ k.mT) + self.gap).softmax(-1) @ v

    def upside_down(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return (q @ k.mT).masked_fill(self.seen.mT == 0, -math.inf).softmax(-1) @ v

    def not_all_of_it(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return (q @ k.mT).masked_fill(self.seen == 0, -1e9).softmax(-1) @ v

    def by_mask(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=self.seen)


class Separate(nn.Module):
    """Grouped queries: more heads than keys."""

    def __init__(self, kv: int = 2, heads: int = 4, d: int = 3):
        super().__init__()
        self.q, self.k, self.v, self.o = nn.Linear(WIDTH, heads * d), nn.Linear(WIDTH, kv * d), nn.Linear(WIDTH, kv * d), nn.Linear(heads * d, WIDTH)
        self.heads, self.kv = heads, kv

    def forward(self, x: Tensor) -> Tensor:
        b, t, _ = x.shape
        parts = [layer(x).view(b, t, n, -1).transpose(1, 2) for layer, n in ((self.q, self.heads), (self.k, self.kv), (self.v, self.kv))]
        y = F.scaled_dot_product_attention(*parts, is_causal=True, enable_gqa=True, scale=0.25)
        return self.o(y.transpose(1, 2).flatten(2))


class Single(nn.Module):
    """No heads at all; the keys come from another value."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.kv = nn.Linear(WIDTH, 4), nn.Linear(WIDTH, 8)

    def forward(self, x: Tensor) -> Tensor:
        k, v = self.kv(x[:, :3]).chunk(2, -1)
        return F.scaled_dot_product_attention(self.q(x), k, v)


class Torch(nn.Module):
    """`nn.MultiheadAttention` on one value."""

    def __init__(self, weights: bool = False, first: bool = True, **options: bool):
        super().__init__()
        self.attn = nn.MultiheadAttention(WIDTH, HEADS, batch_first=first, **options)
        self.weights, self.first = weights, first

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.first else x.transpose(0, 1)
        y = self.attn(x, x, x, need_weights=self.weights)[0]
        return y if self.first else y.transpose(0, 1)


def hand(scale: float) -> Core:
    return lambda q, k, v: ((q @ k.transpose(-2, -1)) * scale).softmax(-1) @ v


def layer(first: bool) -> nn.Module:
    return nn.TransformerEncoderLayer(WIDTH, HEADS, 16, batch_first=True, norm_first=first)


FORMS: dict[str, Callable[[], nn.Module]] = {
    "torch": Torch,
    "torch without bias": lambda: Torch(bias=False),
    "torch, tokens first": lambda: Torch(first=False),
    "pre-norm layer": lambda: layer(True),
    "post-norm layer": lambda: layer(False),
    "chunk": lambda: Packed(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)),
    "split": lambda: Packed(lambda q, k, v: F.scaled_dot_product_attention(q, k, v), "split"),
    "unbind": lambda: Packed(lambda q, k, v: F.scaled_dot_product_attention(q, k, v), "unbind"),
    "index": lambda: Packed(lambda q, k, v: F.scaled_dot_product_attention(q, k, v), "index"),
    "grouped": Separate,
    "single": Single,
    "by hand": lambda: Packed(hand(0.5), "unbind"),
    "by hand, unscaled": lambda: Packed(lambda q, k, v: (q @ k.mT).softmax(-1) @ v),
    "by hand, halved": lambda: Packed(lambda q, k, v: (q @ k.mT / 2).softmax(-1) @ v),
    "over features instead of tokens": lambda: Packed(lambda q, k, v: ((q.mT @ k).softmax(-1) @ v.mT).mT, "unbind"),
    "masked by a buffer": lambda: Packed("buffered"),  # type: ignore[arg-type]
    "masked by where": lambda: Packed("where"),  # type: ignore[arg-type]
    "masked by a sum": lambda: Packed("added"),  # type: ignore[arg-type]
}
"""Each becomes linear layers, selections and one attention."""

OTHERS: dict[str, Callable[[], nn.Module]] = {
    "weights asked for": lambda: Torch(weights=True),
    "zero key appended": lambda: Torch(add_zero_attn=True),
    "bias key appended": lambda: Torch(add_bias_kv=True),
    "masked": lambda: Packed("by_mask"),  # type: ignore[arg-type]
    "divided by three": lambda: Packed(lambda q, k, v: (q @ k.mT / 3).softmax(-1) @ v),
    "softmax over queries": lambda: Packed(lambda q, k, v: (q @ k.mT).softmax(-2) @ v),
    "softmax over heads": lambda: Packed(lambda q, k, v: (q @ k.mT).softmax(1) @ v),
    "looks ahead": lambda: Packed("upside_down"),  # type: ignore[arg-type]
    "hides a little": lambda: Packed("not_all_of_it"),  # type: ignore[arg-type]
    "soft cap": lambda: Packed(lambda q, k, v: ((q @ k.mT).tanh() * 3).softmax(-1) @ v),
}
"""None of these is an attention."""


def build(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return make().eval()
