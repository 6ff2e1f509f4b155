"""Attention: per head `softmax(scale q k^T + causal mask) v`; the units of a head stay or leave with it (THEORY section 2).

Heads that attend alike and read one class of value units make one class of
output units. What softmax does not see is free: constants in the keys, and how a
scale is shared between queries and keys. Its weights sum to one, so any row of
the values passes. Heads that stay keep one common width; the scale is an
attribute, so it does not follow the width.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from lumpnet.errors import GraphError, NoExactValue
from lumpnet.exact import ONE, ZERO, constant_array
from lumpnet.ir import Shape
from lumpnet.ops.base import Kept, Op, Params, Piece, Site
from lumpnet.ops.heads import Heads
from lumpnet.ops.registry import register
from lumpnet.partition import Demand, Lumping, normal_form


@register
class Attention(Op):
    """Operands (batch, T, heads*d), (batch, S, kv_heads*d), (batch, S, kv_heads*dv); query head h reads key/value head h // (heads / kv_heads)."""

    kind = "attention"

    def infer(self, shapes: Sequence[Shape], attrs: Any, params: Params) -> Shape:
        q, k, v = shapes
        heads, kv = attrs["heads"], attrs["kv_heads"]
        fits = len(q) == len(k) == len(v) == 3 and k[1] == v[1] and bool(k[1]) and 0 < kv <= heads and heads % kv == 0
        if not fits or (attrs["causal"] and q[1] != k[1]):
            raise GraphError(
                "attention", f"{heads} heads on {kv}, of shapes {q}, {k}, {v}", "(batch, T, heads*d), (batch, S, kv_heads*d), (batch, S, kv_heads*dv)"
            )
        wide, deep, values = (int(s[2] or 0) for s in shapes)
        if not wide or not values or deep % kv or values % kv or wide * kv != deep * heads:
            raise GraphError("attention", f"{heads} heads on {kv}, of shapes {q}, {k}, {v}", "heads of one width d for queries and keys")
        return (q[0], q[1], values // kv * heads)

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        if any(x.dtype == object for x in xs):
            raise NoExactValue(site.node.name, "softmax is irrational")
        heads, kv = site.attrs["heads"], site.attrs["kv_heads"]
        q, k, v = (x.reshape(*x.shape[:2], n, -1).transpose(0, 2, 1, 3) for x, n in zip(xs, (heads, kv, kv), strict=True))
        k, v = (np.repeat(x, heads // kv, axis=1) for x in (k, v))
        scores = q @ k.swapaxes(-1, -2) * site.attrs["scale"]
        if site.attrs["causal"]:
            scores = np.where(np.tri(scores.shape[-2], scores.shape[-1], dtype=bool), scores, -np.inf)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        out = weights / weights.sum(axis=-1, keepdims=True) @ v
        return np.asarray(out.transpose(0, 2, 1, 3).reshape(*xs[0].shape[:2], -1))

    def unit_axis(self, site: Site) -> int | None:
        return 2 if set(site.in_axes) <= {None, 2} else None

    def why_pinned(self, site: Site) -> str:
        return f"its heads lie on axis 2 while its operands' units lie on axes {site.in_axes}"

    def forward(self, site: Site, ins: Sequence[Lumping]) -> Lumping:
        """Output units are one class where their heads attend alike and their values are one class; the row is that of the value."""
        heads, v, n = Heads(site, ins), ins[2], site.units
        keys: list[Hashable] = [None] * n
        scale, offset, value = constant_array(n, ONE), constant_array(n, ZERO), constant_array(n, None)
        for j in range(n):
            head = j // heads.dv
            i = head // heads.each * heads.dv + j % heads.dv
            value[j] = v.value[i]
            if v.present[i]:
                keys[j], scale[j], offset[j] = (heads.forms[head], int(v.classes[i])), v.scale[i], v.offset[i]
        return normal_form(keys, scale, offset, value)

    def demands(
        self, site: Site, ins: Sequence[Lumping], out: Lumping, free: Sequence[np.ndarray], free_out: np.ndarray
    ) -> tuple[list[Demand | None], Demand | None]:
        """Blocks that stay keep their constants, but for equally many positions in each; blocks merge whole."""
        heads, (q, k, v) = Heads(site, ins), ins
        read = [x.present & ~f for x, f in zip((*ins, out), (*free, free_out), strict=True)]
        stays = np.any([mask.reshape(heads.blocks, -1).any(axis=1) for mask in read], axis=0)
        if not stays.any():
            return [None, None, None], None
        needed = heads.q(read[0]).any(axis=1) | heads.kv(read[1])
        without = heads.dropped(heads.silent() & ~needed, stays, 1)
        without_v = heads.dropped(_dead(heads, v, read[3]) & ~heads.kv(read[2]), stays, 1)
        place, place_v = heads.alike(out, without, without_v)
        keep, keep_v = ~without & stays[:, None], ~without_v & stays[:, None]
        queries = _stay(q, heads.by_head(place), heads.wide(keep))
        outputs = _stay(out, heads.by_head(place_v), heads.wide(keep_v))
        return [queries, _stay(k, place.ravel(), keep.ravel()), _stay(v, place_v.ravel(), keep_v.ravel())], outputs

    def alive(self, site: Site, ins: Sequence[Lumping], out: Lumping, alive_out: np.ndarray) -> list[np.ndarray]:
        """A head that is read is there as a whole, but for equally many positions in each that no score or output has."""
        heads, (q, k, v) = Heads(site, ins), ins
        stays = np.asarray(heads.q(alive_out).any(axis=(1, 2)))
        there = stays[:, None] & ~heads.dropped(heads.silent(), stays, 1)
        there_v = stays[:, None] & ~heads.dropped(_dead(heads, v, alive_out), stays, 1)
        return [q.present & heads.wide(there), k.present & there.ravel(), v.present & there_v.ravel()]

    def links(self, site: Site) -> list[tuple[np.ndarray, np.ndarray]]:
        """Every unit of a block with every output unit of it: what represents one of them represents all."""
        kv = site.attrs["kv_heads"]
        sizes = [int(s[2] or 0) for s in (*site.in_shapes, site.shape)]
        *operands, out = (np.arange(n).reshape(kv, -1) for n in sizes)
        return [(np.repeat(x, out.shape[1], axis=1).ravel(), np.tile(out, (1, x.shape[1])).ravel()) for x in operands]

    def brought(self, site: Site, free: Sequence[np.ndarray], alive_out: np.ndarray) -> np.ndarray:
        """A value that is read elsewhere brings its outputs; a block that is read elsewhere comes whole."""
        kv = site.attrs["kv_heads"]
        q, k, v = ((~f).reshape(kv, -1) for f in free)
        out = alive_out.reshape(kv, -1, v.shape[1]) | v[:, None, :]
        whole = (q.any(axis=1) | k.any(axis=1)) & ~out.any(axis=(1, 2))
        return np.asarray(out | whole[:, None, None]).ravel()

    def quotient(self, site: Site, ins: Sequence[Kept], out: Kept) -> Piece:
        kv = site.attrs["kv_heads"]
        left = len(np.unique(ins[1].units // (len(ins[1].lumping) // kv)))
        return Piece(self.kind, (0, 1, 2), dict(site.attrs) | {"heads": left * (site.attrs["heads"] // kv), "kv_heads": left}, {})


def _dead(heads: Heads, v: Lumping, alive_out: np.ndarray) -> np.ndarray:
    """(blocks, dv) bool: the value is a constant, or no head's output of it is read."""
    return np.asarray(heads.kv(~v.present) | ~heads.q(alive_out).any(axis=1))


def _stay(x: Lumping, label: np.ndarray, keep: np.ndarray) -> Demand:
    """Constants stay by scale one: what sets two of them apart is an offset."""
    return Demand(label, keep & ~x.present, constant_array(len(x), ONE))
