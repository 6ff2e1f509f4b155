"""Traps for attention: what looks like a copy of a head, and is none."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F
from trap import accepted, reduced, refused

from lumpnet.network import lift

T, D = 4, 2


class TwoHeads(nn.Module):
    """Heads of width 2 over separate projections; `between` acts on queries and keys of shape (batch, T, 4) before the heads part."""

    def __init__(self, between=lambda q, k: (q, k), core=F.scaled_dot_product_attention):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.q, self.k, self.v, self.o = nn.Linear(3, 2 * D), nn.Linear(3, 2 * D), nn.Linear(3, 2 * D), nn.Linear(2 * D, 2)
        with torch.no_grad():
            for p in self.parameters():
                p.copy_(torch.randint(-9, 10, p.shape, generator=generator) / 4 + 1 / 8)
            for layer in (self.q, self.k, self.v):
                layer.weight[D:], layer.bias[D:] = layer.weight[:D], layer.bias[:D]
        self.between, self.core = between, core

    def forward(self, x):
        q, k = self.between(self.q(x), self.k(x))
        parts = [p.view(x.shape[0], T, 2, D).transpose(1, 2) for p in (q, k, self.v(x))]
        return self.o(self.core(*parts).transpose(1, 2).reshape(x.shape[0], T, 2 * D))


def heads(model):
    found = reduced(model.eval(), torch.randn(2, T, 3))
    return [n.attrs["heads"] for n in found.network.graph.nodes if n.kind == "attention"]


def changed(part, rows, number):
    model = TwoHeads()
    with torch.no_grad():
        getattr(getattr(model, part), "weight" if isinstance(rows, tuple) else "bias")[rows] += number
    return model


def test_the_control_two_equal_heads_are_one():
    assert heads(TwoHeads()) == [1]


def test_key_and_value_offsets_are_not_seen():
    assert heads(changed("k", slice(D, None), 1.0)) == [1]
    assert heads(changed("v", slice(D, None), 1.0)) == [1]


def test_query_offsets_are():
    assert heads(changed("q", slice(D, None), 1.0)) == [2]


def test_another_scale_is_another_head():
    model = TwoHeads()
    with torch.no_grad():
        model.q.weight[D:] *= 2
        model.q.bias[D:] *= 2
    assert heads(model) == [2]
    with torch.no_grad():
        model.k.weight[D:] /= 2
    assert heads(model) == [1]


def test_a_key_offset_in_front_of_a_rotation_is_seen():
    """Rotary encodings turn keys by their position: an offset is no longer the same for all keys."""
    angle = torch.arange(T)[:, None].float()

    def turned(x):
        y = x.view(x.shape[0], T, 2, D)
        return torch.stack([y[..., 0] * angle.cos() - y[..., 1] * angle.sin(), y[..., 0] * angle.sin() + y[..., 1] * angle.cos()], -1).flatten(2)

    model = TwoHeads(lambda q, k: (turned(q), turned(k)))
    with torch.no_grad():
        model.k.bias[D:] += 1
    assert heads(model) == [2]


def test_a_key_offset_in_front_of_a_normalisation_is_seen():
    model = TwoHeads(lambda q, k: (q, F.normalize(k.view(k.shape[0], T, 2, D), dim=-1).flatten(2)))
    with torch.no_grad():
        model.k.bias[D:] += 1
    assert heads(model) == [2]


def test_an_appended_zero_key_sees_key_offsets():
    """A key behind the projection has score 0, whatever is added to the others: this is no attention with a rule."""

    def core(q, k, v):
        return F.scaled_dot_product_attention(q, F.pad(k, (0, 0, 0, 1)), F.pad(v, (0, 0, 0, 1)))

    model = TwoHeads(core=core)
    with torch.no_grad():
        model.k.bias[D:] += 1
    assert heads(model) in ([], [2])


def test_a_cap_on_the_scores_sees_key_offsets():
    model = TwoHeads(core=lambda q, k, v: ((q @ k.mT).tanh()).softmax(-1) @ v)
    with torch.no_grad():
        model.k.bias[D:] += 1
    assert heads(model) == []


def test_one_head_looks_ahead():
    """Half of the heads under a causal mask: two attentions, of which none is the other."""

    def core(q, k, v):
        one = F.scaled_dot_product_attention(q[:, :1], k[:, :1], v[:, :1], is_causal=True)
        return torch.cat([one, F.scaled_dot_product_attention(q[:, 1:], k[:, 1:], v[:, 1:])], 1)

    assert heads(TwoHeads(core=core)) == [1, 1]


def test_forgeries_of_the_same():
    graph = lift(TwoHeads().eval(), torch.randn(2, T, 3)).graph
    pair = {D + i: (i, 1, 0) for i in range(D)}
    accepted(graph, {"q": pair, "k": pair, "v": pair, "attention": pair})
    other = lift(changed("q", slice(D, None), 1.0).eval(), torch.randn(2, T, 3)).graph
    shifted = {D + i: (i, 1, 1) for i in range(D)}
    refused(other, {"q": shifted, "k": pair, "v": pair, "attention": pair})
    keys = lift(changed("k", slice(D, None), 1.0).eval(), torch.randn(2, T, 3)).graph
    accepted(keys, {"q": pair, "k": shifted, "v": pair, "attention": pair})
