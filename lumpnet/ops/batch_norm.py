"""Batch norm in evaluation: `a_i (x_i - mean_i) + bias_i`, `a_i = gamma_i / sqrt(v_i)`, `v_i = var_i + eps`.

The factor is irrational in general, so two channels stay together only where
the *ratio* is rational: v_j / v_i the square of a rational; and where the
offset is: v_i itself a square, or (offset_j - mean_j) / scale_j equal (THEORY section 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lumpnet.errors import GraphError, NoExactValue
from lumpnet.exact import ONE, ZERO, Number, SquareClasses, Surd, square_root, surd
from lumpnet.ir import Shape
from lumpnet.ops.base import Kept, ParamAxes, Params, Piece, Site
from lumpnet.ops.registry import register
from lumpnet.ops.unary import Image, Unary


@register
class BatchNorm(Unary):
    kind = "batch_norm"

    def infer(self, shapes: Sequence[Shape], attrs: Any, params: Params) -> Shape:
        if len(shapes[0]) < 2 or any(p.shape != (shapes[0][1],) for role, p in params.items() if role != "num_batches_tracked"):
            raise GraphError("batch_norm", f"parameters do not fit an operand of shape {shapes[0]}", "one entry a channel")
        return tuple(shapes[0])

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        x = np.moveaxis(xs[0], 1, -1)
        if x.dtype == object:
            roots = [square_root(_variance(site, i)) for i in range(x.shape[-1])]
            if None in roots:
                raise NoExactValue(site.node.name, "the standard deviation is irrational")
            root = np.array(roots, dtype=object)
        else:
            root = np.sqrt(site.params["var"] + site.attrs["eps"])
        y = (x - site.params["mean"]) / root
        if "weight" in site.params:
            y = y * site.params["weight"]
        if "bias" in site.params:
            y = y + site.params["bias"]
        return np.moveaxis(y, -1, 1)

    def unit_axis(self, site: Site) -> int | None:
        return 1 if site.in_axes[0] == 1 and _positive(site) else None

    def why_pinned(self, site: Site) -> str:
        if site.in_axes[0] != 1:
            return f"acts on axis 1 while the operand's units lie on axis {site.in_axes[0]}"
        return "var + eps is not positive everywhere"

    def row(self, site: Site, unit: int, scale: Fraction, offset: Fraction) -> Image:
        factor, mean, beta, core = _numbers(site, unit)
        moved = mean if offset is ZERO else mean - offset
        if not core:
            return (core, None), factor if scale is ONE else factor * scale, beta - factor * moved
        return (core, moved if scale is ONE else moved / scale), factor if scale is ONE else factor * scale, beta

    def constant(self, site: Site, unit: int, c: Number) -> Number | None:
        if isinstance(c, Surd):
            return None
        v = _variance(site, unit)
        return surd(_entry(site, "bias", unit), _gamma(site, unit) * (c - _entry(site, "mean", unit)) / v, v)

    def always(self, site: Site, unit: int) -> Number | None:
        return None if _gamma(site, unit) else _entry(site, "bias", unit)

    def moves_all(self, site: Site) -> bool:
        return "weight" not in site.params or bool(site.params["weight"].all())

    def rescale(self, site: Site, unit: int, scale: Fraction) -> Fraction:
        return scale * _split(site, unit)[0] / (_gamma(site, unit) or ONE)

    def param_axes(self, site: Site) -> ParamAxes | None:
        return dict.fromkeys(("weight", "bias", "mean", "var"), (0, None))

    def quotient(self, site: Site, ins: Sequence[Kept], out: Kept) -> Piece:
        params = {role: p if role == "num_batches_tracked" else p[out.units] for role, p in site.params.items()}
        return Piece(self.kind, (0,), dict(site.attrs), dict(params))


def _entry(site: Site, role: str, unit: int) -> Fraction:
    return Fraction(site.params[role].item(unit)) if role in site.params else ZERO


def _gamma(site: Site, unit: int) -> Fraction:
    return _entry(site, "weight", unit) if "weight" in site.params else ONE


def _variance(site: Site, unit: int) -> Fraction:
    return _entry(site, "var", unit) + site.once("eps", lambda: Fraction(site.attrs["eps"]))


def _positive(site: Site) -> bool:
    """Whether `var + eps` is positive in every channel."""
    if site.attrs["eps"] >= 0 and (site.params["var"] > 0).all():
        return True
    return all(_variance(site, i) > 0 for i in range(site.params["var"].size))


def _numbers(site: Site, unit: int) -> tuple[Fraction, Fraction, Fraction, int]:
    """(factor, mean, bias, k): the unit is `factor / sqrt(core k) * (x - mean) + bias`; core 0 is 1."""
    known: dict[int, tuple[Fraction, Fraction, Fraction, int]] = site.once("numbers", dict)
    if unit not in known:
        outer, core = _split(site, unit)
        cores: dict[Fraction, int] = site.once("cores", lambda: {ONE: 0})
        known[unit] = _gamma(site, unit) / outer, _entry(site, "mean", unit), _entry(site, "bias", unit), cores.setdefault(core, len(cores))
    return known[unit]


def _split(site: Site, unit: int) -> tuple[Fraction, Fraction]:
    """(outer, core) with `v_unit = outer^2 * core`; equal cores mean that the ratio of roots is rational."""
    return site.once("squares", SquareClasses).split(_variance(site, unit))
