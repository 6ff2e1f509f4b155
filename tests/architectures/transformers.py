"""A pre-norm encoder of torch's own layers and a tied GPT, and redundancy planted into their heads and hidden units."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH, HEADS, HIDDEN, TOKENS, VOCABULARY = 16, 4, 24, 6, 20


class Encoder(nn.Module):
    """Input (batch, TOKENS, 5): `nn.TransformerEncoder`, norm first, and a head on the mean of the tokens."""

    def __init__(self, layers: int = 2):
        super().__init__()
        self.embed = nn.Linear(5, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, HIDDEN, batch_first=True, norm_first=True, activation="gelu")
        self.layers = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(WIDTH), enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(self.embed(x)).mean(1))

    def blocks(self) -> list[tuple[Tensor, Tensor, nn.Linear, nn.Linear, nn.Linear]]:
        """Packed weight and bias of queries, keys, values; output projection; the two layers of the MLP."""
        return [(b.self_attn.in_proj_weight, b.self_attn.in_proj_bias, b.self_attn.out_proj, b.linear1, b.linear2) for b in self.layers.layers]


class Block(nn.Module):
    def __init__(self, by_hand: bool):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.c_attn, self.c_proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.c_fc, self.mlp_proj = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)
        self.by_hand = by_hand
        self.register_buffer("bias", torch.tril(torch.ones(TOKENS, TOKENS)).view(1, 1, TOKENS, TOKENS))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attend(self.ln_1(x))
        return x + self.mlp_proj(F.gelu(self.c_fc(self.ln_2(x))))

    def attend(self, x: Tensor) -> Tensor:
        b, t, c = x.size()
        q, k, v = self.c_attn(x).split(WIDTH, dim=2)
        q, k, v = (p.view(b, t, HEADS, c // HEADS).transpose(1, 2) for p in (q, k, v))
        if self.by_hand:
            a = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
            a = a.masked_fill(self.bias[:, :, :t, :t] == 0, float("-inf"))
            y = F.softmax(a, dim=-1) @ v
        else:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).contiguous().view(b, t, c))


class GPT(nn.Module):
    """Input (batch, TOKENS) of integers; the output layer has the embedding's weights."""

    def __init__(self, layers: int = 2, by_hand: bool = False):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(VOCABULARY, WIDTH), nn.Parameter(torch.randn(TOKENS, WIDTH))
        self.h = nn.ModuleList(Block(by_hand) for _ in range(layers))
        self.ln_f, self.lm_head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.wte(tokens) + self.wpe
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))

    def blocks(self) -> list[tuple[Tensor, Tensor, nn.Linear, nn.Linear, nn.Linear]]:
        return [(b.c_attn.weight, b.c_attn.bias, b.c_proj, b.c_fc, b.mlp_proj) for b in self.h]


def trained(model: nn.Module, seed: int) -> nn.Module:
    """Biases and norms without any coincidence."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.add_(torch.randn(p.shape, generator=generator) * 0.1) if "norm" not in name else p.add_(torch.rand(p.shape, generator=generator))
    return model.eval()


def plant(model: Encoder | GPT) -> None:
    """In every block: head 2 does what head 0 does, nobody reads head 1, hidden unit 5 is unit 3, nobody reads 7, unit 9 is constantly zero."""
    d = WIDTH // HEADS
    head = [slice(h * d, (h + 1) * d) for h in range(HEADS)]
    with torch.no_grad():
        for weight, bias, out, fc, proj in model.blocks():
            q, k, v = ((weight[i * WIDTH : (i + 1) * WIDTH], bias[i * WIDTH : (i + 1) * WIDTH]) for i in range(3))
            for (w, b), scale, shift in ((q, 2.0, 0.0), (k, 0.5, 0.75), (v, -4.0, 0.0)):
                w[head[2]], b[head[2]] = scale * w[head[0]], scale * b[head[0]] + shift
            v[1][head[2]] = torch.tensor([1.5, -2.0, 0.25, 3.0])
            out.weight[:, head[1]] = 0
            fc.weight[5], fc.bias[5] = fc.weight[3], fc.bias[3]
            proj.weight[:, 7] = 0
            fc.weight[9], fc.bias[9] = 0, 0
