"""Convolution, 1d to 3d. The linear rule for every tap; zero padding breaks offsets (THEORY section 2).

With one group it is an affine map with taps. Depthwise (one input channel a
group) its columns are shared: group g reads channel g only. Wider groups pin.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lumpnet.errors import GraphError
from lumpnet.exact import ONE, ZERO, Number, Surd
from lumpnet.ir import Shape
from lumpnet.ops import rows, windows
from lumpnet.ops.base import Kept, Op, Params, Piece, Site
from lumpnet.ops.linear import affine_params
from lumpnet.ops.registry import register
from lumpnet.ops.unary import Image, Unary
from lumpnet.partition import Demand, Lumping


@register
class Conv(Op):
    kind = "conv"
    counts_units = True

    def infer(self, shapes: Sequence[Shape], attrs: Any, params: Params) -> Shape:
        weight, (x,) = params["weight"], shapes
        if len(x) != weight.ndim or x[1] != weight.shape[1] * attrs["groups"] or weight.shape[0] % attrs["groups"]:
            raise GraphError("conv", f"weight {weight.shape} in {attrs['groups']} groups on an operand of shape {x}", "matching channels")
        axes = zip(x[2:], weight.shape[2:], attrs["stride"], attrs["padding"], attrs["dilation"], strict=True)
        return (x[0], weight.shape[0], *(windows.positions(int(n or 0), *rest) for n, *rest in axes))

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        weight, attrs, counts = site.params["weight"], site.attrs, [int(n or 0) for n in site.shape[2:]]
        x = windows.pad(xs[0], attrs["padding"], attrs["padding"], 0)
        groups = attrs["groups"]
        outs = []
        for w, part in zip(np.split(weight, groups), np.split(x, groups, axis=1), strict=True):
            views = windows.taps(part, w.shape[2:], attrs["stride"], attrs["dilation"], counts)
            flat = w.reshape(*w.shape[:2], -1)
            terms = [np.moveaxis(np.tensordot(view, flat[:, :, t], axes=(1, 1)), -1, 1) for t, (_, view) in enumerate(views)]
            outs.append(np.add.reduce(terms))
        y = np.concatenate(outs, axis=1)
        if "bias" in site.params:
            y = y + site.params["bias"].reshape(-1, *[1] * len(counts))
        return y

    def unit_axis(self, site: Site) -> int | None:
        if site.in_axes[0] not in (None, 1) or (site.attrs["groups"] > 1 and not _depthwise(site)):
            return None
        return 1

    def why_pinned(self, site: Site) -> str:
        if site.in_axes[0] not in (None, 1):
            return f"acts on axis 1 while the operand's units lie on axis {site.in_axes[0]}"
        return f"{site.attrs['groups']} groups of {site.params['weight'].shape[1]} channels: only depthwise groups have a rule"

    def forward(self, site: Site, ins: Sequence[Lumping]) -> Lumping:
        if _depthwise(site):
            return _DEPTHWISE.forward(site, ins)
        return rows.forward(_weight(site), site.params.get("bias"), ins[0])

    def demands(
        self, site: Site, ins: Sequence[Lumping], out: Lumping, free: Sequence[np.ndarray], free_out: np.ndarray
    ) -> tuple[list[Demand | None], Demand | None]:
        if _depthwise(site):
            return _DEPTHWISE.demands(site, ins, out, free, free_out)
        return [rows.demands(_weight(site), border(site), ins[0], out, free_out)], None

    def alive(self, site: Site, ins: Sequence[Lumping], out: Lumping, alive_out: np.ndarray) -> list[np.ndarray]:
        if _depthwise(site):
            return _DEPTHWISE.alive(site, ins, out, alive_out)
        return [rows.alive(_weight(site), ins[0], out, alive_out)]

    def links(self, site: Site) -> list[tuple[np.ndarray, np.ndarray]]:
        return _DEPTHWISE.links(site) if _depthwise(site) else []

    def declined(self, site: Site, ins: Sequence[Kept], out: Kept, role: str, mask: np.ndarray) -> list[Demand | None]:
        return [rows.declined(_weight(site), ins[0], out, role, mask)]

    def rounding_cost(self, site: Site, members: np.ndarray, scales: np.ndarray, out: Kept, dtype: str) -> int:
        if _depthwise(site):
            return 0
        return rows.rounding_cost(_weight(site), members, scales, out.units, dtype)

    def quotient(self, site: Site, ins: Sequence[Kept], out: Kept) -> Piece:
        if _depthwise(site):
            return _DEPTHWISE.quotient(site, ins, out)
        params = dict(site.params) | affine_params(_weight(site), site.params.get("bias"), ins[0], out)
        params["weight"] = params["weight"].reshape(len(out.units), len(ins[0].units), *site.params["weight"].shape[2:])
        return Piece(self.kind, (0,), dict(site.attrs), params)


def _weight(site: Site) -> np.ndarray:
    weight = site.params["weight"]
    return weight.reshape(*weight.shape[:2], -1)


def _depthwise(site: Site) -> bool:
    return bool(site.attrs["groups"] > 1 and site.params["weight"].shape[1] == 1)


def border(site: Site) -> np.ndarray:
    """(taps,) bool: taps that some output position reads in the zero padding."""
    a, kernel = site.attrs, site.params["weight"].shape[2:]
    sizes, counts = [int(n or 0) for n in site.in_shapes[0][2:]], [int(n or 0) for n in site.shape[2:]]
    return windows.border_taps(sizes, kernel, a["stride"], a["padding"], a["dilation"], counts)


class _Depthwise(Unary):
    """Output channel j = i * multiplier + l reads channel i through its own taps."""

    def source(self, site: Site) -> np.ndarray:
        multiplier = site.params["weight"].shape[0] // site.attrs["groups"]
        return np.asarray(np.arange(site.params["weight"].shape[0]) // multiplier)

    def slots(self, site: Site) -> list[Hashable]:
        multiplier = site.params["weight"].shape[0] // site.attrs["groups"]
        return [j % multiplier for j in range(site.params["weight"].shape[0])]

    def _taps(self, site: Site, unit: int) -> list[Fraction]:
        return [Fraction(float(w)) for w in site.params["weight"][unit].reshape(-1)]

    def _bias(self, site: Site, unit: int) -> Fraction:
        return Fraction(float(site.params["bias"][unit])) if "bias" in site.params else ZERO

    def _at_border(self, site: Site, unit: int) -> bool:
        return bool((site.params["weight"][unit].reshape(-1)[border(site)] != 0).any())

    def row(self, site: Site, unit: int, scale: Fraction, offset: Fraction) -> Image:
        taps = self._taps(site, unit)
        pivot = next((w for w in taps if w), ONE)
        key: Hashable = tuple(w / pivot for w in taps)
        if self._at_border(site, unit):
            return (key, offset / scale), scale * pivot, self._bias(site, unit)
        return (key, "free"), scale * pivot, sum(taps) * offset + self._bias(site, unit)

    def constant(self, site: Site, unit: int, c: Number) -> Number | None:
        taps = self._taps(site, unit)
        if c != 0 and self._at_border(site, unit):
            return None
        total = sum(taps, ZERO)
        if isinstance(c, Surd):
            moved = c.times(total)
            return moved.plus(self._bias(site, unit)) if isinstance(moved, Surd) else moved + self._bias(site, unit)
        return total * c + self._bias(site, unit)

    def always(self, site: Site, unit: int) -> Number | None:
        return None if site.params["weight"][unit].any() else self._bias(site, unit)

    def rescale(self, site: Site, unit: int, scale: Fraction) -> Fraction:
        return scale / next((w for w in self._taps(site, unit) if w), ONE)

    def quotient(self, site: Site, ins: Sequence[Kept], out: Kept) -> Piece:
        params = {role: tensor[out.units] for role, tensor in site.params.items()}
        return Piece("conv", (0,), dict(site.attrs) | {"groups": len(ins[0].units)}, dict(params))


_DEPTHWISE = _Depthwise()
