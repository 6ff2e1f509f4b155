"""Straight lines around what is not linear, on a batch of boxes, sound in floating point.

A slope may be any float: the offset is chosen for the slope as it is. Offsets are
computed in float64 from a few operations on numbers of size at most `s` and moved
outward by `NUDGE s`, which is more than those operations err.

The relaxations of a *difference* `e = f(z + d) - f(z)` are those that make a
certified difference tight (ReluDiff, NeuroDiff, VeryDiff): for relu, with
`z <= u'`, `x = z + d <= u` (and `l'`, `l` below),

    e <= max(0, d + min(u', 0))   for d >= 0,     e <= max(d, -max(l', 0))   for d <= 0,

both of them one convex function of d, whose chord over the range of d is an
upper line; `e(d, z) = -e'(-d, x)` gives the lower one. Also `e <= relu(u) - relu(l')`, and the
difference of two single relaxations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lumpnet.bounds.functions import MARGIN
from lumpnet.bounds.relaxed.devices import fetched, placed

NUDGE = 2.0**-48
LEAST = 2.0**-1060
"""More than products of two numbers lose by underflow, added where they are not 0."""
Bounds = tuple[Tensor, Tensor]


@dataclass(eq=False)
class Lines:
    """`sum low[k] p_k + under <= value <= sum high[k] p_k + over` over the operands p_k; a slope None is 0.

    Where `free`, the lower line holds with any first slope in [0, 1], all else as it is. Where `chord`, the upper line has the first operand only,
    and max(p_0, 0) is above the value; where `both`, the lower line too, and min(p_0, 0) is below it.
    """

    low: list[Tensor | None]
    high: list[Tensor | None]
    under: Tensor
    over: Tensor
    free: Tensor | None = None
    chord: Tensor | None = None
    both: bool = False


def relu(z: Bounds) -> tuple[Bounds, Lines]:
    low, top = z
    active, dead = low >= 0, top <= 0
    steep = torch.where(active, 1.0, torch.where(dead, 0.0, top / (top - low).clamp(min=1e-300)))
    steep = torch.nan_to_num(steep.clamp(0, 1))
    size = torch.maximum(low.abs(), top.abs())
    over = torch.where(active | dead, 0.0, torch.maximum(-steep * low, top - steep * top) + NUDGE * size)
    flat = torch.where(active | (~dead & (top > -low)), 1.0, 0.0).double()
    return (low.clamp(min=0), top.clamp(min=0)), Lines([flat], [steep], torch.zeros_like(over), over, ~(active | dead), ~(active | dead))


def relu_difference(d: Bounds, z: Bounds) -> tuple[Bounds, Lines]:
    """e = relu(z + d) - relu(z): operands d and z."""
    (dl, du), (lz, uz) = d, z
    size = torch.maximum(dl.abs(), du.abs()) + torch.maximum(lz.abs(), uz.abs())
    nudge = NUDGE * size
    lx, ux = lz + dl - nudge, uz + du + nudge
    up = _rise(dl, du, lz, uz, nudge)
    down = _rise(-du, -dl, lx, ux, nudge)
    cap = ux.clamp(min=0) - lz.clamp(min=0) + nudge
    floor = lx.clamp(min=0) - uz.clamp(min=0) - nudge
    active, dead = (lz >= 0) & (lx >= 0), (uz <= 0) & (ux <= 0)
    zero, one = torch.zeros_like(dl), torch.ones_like(dl)

    ends_hi, ends_lo = torch.maximum(up[2], up[3]), -torch.maximum(down[2], down[3])
    hi, lo = torch.minimum(ends_hi + nudge, cap), torch.maximum(ends_lo - nudge, floor)
    hi, lo = torch.where(dead, zero, torch.where(active, du, hi)), torch.where(dead, zero, torch.where(active, dl, lo))

    middle_d, middle_z = (dl + du) / 2, (lz + uz) / 2
    fz, fx = _single(lz, uz), _single(lx, ux)
    high = _Choice(middle_d, middle_z, upper=True)
    high.offer(up[0], zero, up[1])
    high.offer(zero, zero, cap)
    high.offer(fx[1], fx[1] - fz[0], fx[2] + nudge)
    low = _Choice(middle_d, middle_z, upper=False)
    low.offer(down[0], zero, -down[1])
    low.offer(zero, zero, floor)
    low.offer(fx[0], fx[0] - fz[1], -fz[2] - nudge)
    for choice in (low, high):
        choice.fix(active, one, zero, zero)
        choice.fix(dead, zero, zero, zero)
    chord = (high.offset == up[1]) & (high.z == 0) & (low.offset == -down[1]) & (low.z == 0) & ~(active | dead)
    return (lo, hi), Lines([low.d, low.z], [high.d, high.z], low.offset, high.offset, chord=chord, both=True)


def bend(d: Bounds | None, z: Bounds) -> Bounds:
    """Where relu(z), and relu(z + d) if there is a d, are not linear: from a z below which both are 0 to one above which neither is."""
    if d is None:
        return torch.zeros_like(z[0]), torch.zeros_like(z[0])
    nudge = 2 * NUDGE * (torch.maximum(d[0].abs(), d[1].abs()) + torch.maximum(z[0].abs(), z[1].abs()))
    return -d[1].clamp(min=0) - nudge, (-d[0]).clamp(min=0) + nudge


def _rise(dl: Tensor, du: Tensor, lz: Tensor, uz: Tensor, nudge: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The chord of the convex bound above e as a function of d: slope, offset, and its values at both ends."""

    def above(d: Tensor) -> Tensor:
        return torch.where(d >= 0, (d + uz.clamp(max=0)).clamp(min=0), torch.maximum(d, -lz.clamp(min=0)))

    at_low, at_high = above(dl), above(du)
    width = du - dl
    slope = torch.where(width > 0, (at_high - at_low) / width.clamp(min=1e-300), 0.0).clamp(0, 1)
    slope = torch.nan_to_num(slope)
    offset = torch.maximum(at_low - slope * dl, at_high - slope * du) + nudge
    return slope, offset, at_low, at_high


def _single(low: Tensor, top: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The lower and the upper slope of one relu, and the upper offset; the lower one is 0."""
    lines = relu((low, top))[1]
    (flat,), (steep,) = lines.low, lines.high
    assert flat is not None
    assert steep is not None
    return flat, steep, lines.over


class _Choice:
    """The line that is tightest in the middle of the box, entry by entry."""

    def __init__(self, d: Tensor, z: Tensor, upper: bool):
        self.at, self.upper = (d, z), upper
        self.d: Tensor
        self.z: Tensor
        self.offset: Tensor
        self.value: Tensor | None = None

    def offer(self, d: Tensor, z: Tensor, offset: Tensor) -> None:
        value = d * self.at[0] + z * self.at[1] + offset
        if self.value is None:
            self.d, self.z, self.offset, self.value = d, z, offset, value
            return
        better = value < self.value if self.upper else value > self.value
        self.d, self.z, self.offset = torch.where(better, d, self.d), torch.where(better, z, self.z), torch.where(better, offset, self.offset)
        self.value = torch.where(better, value, self.value)

    def fix(self, where: Tensor, d: Tensor, z: Tensor, offset: Tensor) -> None:
        self.d, self.z, self.offset = torch.where(where, d, self.d), torch.where(where, z, self.z), torch.where(where, offset, self.offset)


# -- smooth curves --------------------------------------------------------------------------

BENDS = {"sigmoid": 0.0963, "tanh": 0.7699, "silu": 0.5001, "gelu": 0.798, "gelu_tanh": 0.82}
"""Bounds on |f''|, which the tests confirm on a fine grid by torch's derivatives in float64."""
SLOPES = {"sigmoid": (0.0, 0.25), "tanh": (0.0, 1.0), "silu": (-0.1, 1.1), "gelu": (-0.13, 1.13), "gelu_tanh": (-0.13, 1.13)}
_PARTS = 16
_LEAST = 2.0**-7


def curve(f: Callable[[np.ndarray], np.ndarray], name: str, z: Bounds, parts: int = _PARTS) -> tuple[Bounds, Lines]:
    """Chord slope; on each part a function with |f''| <= C is within C h^2 / 8 of its chord, so the ends of the parts bound `f - slope z`."""
    low, top = z
    points, h = _grid(low, top, parts)
    values, margin = _evaluated(f, points), MARGIN * (1 + torch.maximum(low.abs(), top.abs()))
    bend = BENDS[name] * (h * h / 8) * (1 + NUDGE) + margin
    slope = torch.nan_to_num((values[..., -1] - values[..., 0]) / (top - low).clamp(min=1e-300)).clamp(-2, 2)
    left = values - slope[..., None] * points
    size = NUDGE * (values.abs().amax(-1) + 2 * torch.maximum(low.abs(), top.abs()))
    under, over = left.amin(-1) - bend - size, left.amax(-1) + bend + size
    lo, hi = values.amin(-1) - bend - size, values.amax(-1) + bend + size
    return (lo, hi), Lines([slope], [slope], under, over)


def curve_difference(f: Callable[[np.ndarray], np.ndarray], name: str, d: Bounds, z: Bounds) -> tuple[Bounds, Lines]:
    """`e = s d` for a slope s of f between z and z + d: each part's chord slope, give or take C h."""
    (dl, du), (lz, uz) = d, z
    low, top = torch.minimum(lz, lz + dl) - _LEAST, torch.maximum(uz, uz + du) + _LEAST
    points, h = _grid(low, top)
    values = _evaluated(f, points)
    chords = (values[..., 1:] - values[..., :-1]) / h[..., None]
    reach = torch.maximum(low.abs(), top.abs())
    off = BENDS[name] * h + 4 * MARGIN * (1 + reach) / h + 1e-8  # h itself is at most 1e-9 and 2^-40 of the reach too large
    least, most = SLOPES[name]
    return _sloped((chords.amin(-1) - off).clamp(least, most), (chords.amax(-1) + off).clamp(least, most), d)


def any_difference(name: str, d: Bounds) -> tuple[Bounds, Lines]:
    """The same without a look at the function: it has no other slopes anywhere."""
    least, most = SLOPES[name]
    return _sloped(torch.full_like(d[0], least), torch.full_like(d[0], most), d)


def _sloped(flat: Tensor, steep: Tensor, d: Bounds) -> tuple[Bounds, Lines]:
    """Lines for `e = s d` with any s from `flat` to `steep`; operands d and z."""
    dl, du = d

    def above(t: Tensor) -> Tensor:
        return torch.maximum(flat * t, steep * t)

    nudge = NUDGE * 2 * (dl.abs() + du.abs()) + LEAST * ((dl != 0) | (du != 0)).double()
    width = (du - dl).clamp(min=1e-300)
    at_low, at_high = above(dl), above(du)
    up = torch.nan_to_num((at_high - at_low) / width).clamp(-2, 2)
    over = torch.maximum(at_low - up * dl, at_high - up * du) + nudge
    under_low, under_high = torch.minimum(flat * dl, steep * dl), torch.minimum(flat * du, steep * du)
    down = torch.nan_to_num((under_high - under_low) / width).clamp(-2, 2)
    under = torch.minimum(under_low - down * dl, under_high - down * du) - nudge
    zero = None
    lo, hi = torch.minimum(under_low, under_high) - nudge, torch.maximum(at_low, at_high) + nudge
    return (lo, hi), Lines([down, zero], [up, zero], under, over)


def _grid(low: Tensor, top: Tensor, parts: int = _PARTS) -> tuple[Tensor, Tensor]:
    """Points from low to top, and an upper bound on the distance of neighbours."""
    share = torch.linspace(0, 1, parts + 1, dtype=torch.float64)
    points = low[..., None] + (top - low)[..., None] * share
    points[..., 0], points[..., -1] = low, top
    h = (top - low) / parts * (1 + 1e-9) + 2.0**-40 * torch.maximum(low.abs(), top.abs()) + 1e-300
    return points, h


def _evaluated(f: Callable[[np.ndarray], np.ndarray], x: Tensor) -> Tensor:
    return placed(np.ascontiguousarray(f(fetched(x))))


# -- products, softmax ------------------------------------------------------------------------


def product(x: Bounds, y: Bounds) -> tuple[Bounds, Lines]:
    """McCormick's lines, those through the nearer corner."""
    (a, b), (c, e) = x, y
    one, two = torch.maximum(a.abs(), b.abs()), torch.maximum(c.abs(), e.abs())
    nudge = 4 * NUDGE * one * two + LEAST * ((one > 0) & (two > 0)).double()
    corners = torch.stack([a * c, a * e, b * c, b * e])
    lo, hi = corners.amin(0) - nudge, corners.amax(0) + nudge
    # c x + a y - a c <= xy <= e x + a y - a e
    return (lo, hi), Lines([c, a], [e, a], -(a * c) - nudge, -(a * e) + nudge)


def product_difference(d: Bounds, y: Bounds, f: Bounds, z: Bounds) -> Bounds:
    """(y + d)(z + f) - y z = d (z + f) + y f."""
    nudge = NUDGE * (z[0].abs() + z[1].abs() + f[0].abs() + f[1].abs())
    other = (z[0] + f[0] - nudge, z[1] + f[1] + nudge)
    (one, _), (two, _) = product(d, other), product(y, f)
    size = NUDGE * (one[0].abs() + one[1].abs() + two[0].abs() + two[1].abs())
    return one[0] + two[0] - size, one[1] + two[1] + size


def softmax_difference(d: Bounds, axis: int) -> Bounds:
    """Softmax does not see a common shift and is 1/2-Lipschitz in the maximum norm: a quarter of the spread of d, and at most 1."""
    (dl, du) = d
    spread = du.amax(axis, keepdim=True) - dl.amin(axis, keepdim=True)
    reach = ((spread * 0.25) * (1 + 1e-9) + LEAST * (spread > 0).double()).clamp(max=1.0).expand_as(dl)
    return -reach, reach
