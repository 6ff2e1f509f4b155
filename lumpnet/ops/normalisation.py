"""Normalisations by statistics of the input itself: they mix units, or divide each by its own spread. All pin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lumpnet.errors import GraphError, NoExactValue
from lumpnet.ir import Shape
from lumpnet.ops.base import Params, Pin, Site
from lumpnet.ops.registry import register


class Normalisation(Pin):
    """weight and bias, where there are any, lie on the axes of `affine`."""

    reason = ""

    def affine(self, shape: Shape, attrs: Any) -> tuple[int, ...]:
        """The axes of weight and bias. Raises `GraphError` for attributes that do not fit the shape."""
        return (1,)

    def standard(self, x: np.ndarray, attrs: Any) -> np.ndarray:
        raise NotImplementedError

    def infer(self, shapes: Sequence[Shape], attrs: Any, params: Params) -> Shape:
        (x,) = shapes
        want = tuple(x[k] for k in self.affine(x, attrs))
        if any(p.shape != want for p in params.values()):
            raise GraphError(self.kind, f"parameters {[p.shape for p in params.values()]} on an operand of shape {x}", f"the shape {want}")
        return tuple(x)

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        (x,), axes = xs, self.affine(site.shape, site.attrs)
        if x.dtype == object:
            raise NoExactValue(site.node.name, "its deviation is irrational")
        aligned = [n if k in axes else 1 for k, n in enumerate(x.shape)]
        y = self.standard(x, site.attrs)
        for role, combine in (("weight", np.multiply), ("bias", np.add)):
            y = combine(y, site.params[role].reshape(aligned)) if role in site.params else y
        return np.asarray(y)

    def why_pinned(self, site: Site) -> str:
        return self.reason


def _centred(x: np.ndarray, axes: tuple[int, ...], eps: float) -> np.ndarray:
    away = x - x.mean(axis=axes, keepdims=True)
    return np.asarray(away / np.sqrt((away**2).mean(axis=axes, keepdims=True) + eps))


def _last(shape: Sequence[Any], attrs: Any) -> tuple[int, ...]:
    return tuple(range(len(shape) - attrs["dims"], len(shape)))


@register
class LayerNorm(Normalisation):
    kind = "layer_norm"
    reason = "layer norm centres and divides its units together"

    def affine(self, shape: Shape, attrs: Any) -> tuple[int, ...]:
        if not 1 <= attrs["dims"] < len(shape):
            raise GraphError(self.kind, f"the last {attrs['dims']} axes of {shape}", "axes after the batch")
        return _last(shape, attrs)

    def standard(self, x: np.ndarray, attrs: Any) -> np.ndarray:
        return _centred(x, _last(x.shape, attrs), attrs["eps"])


@register
class RmsNorm(LayerNorm):
    kind = "rms_norm"
    reason = "RMS norm divides its units together"

    def standard(self, x: np.ndarray, attrs: Any) -> np.ndarray:
        return np.asarray(x / np.sqrt((x**2).mean(axis=_last(x.shape, attrs), keepdims=True) + attrs["eps"]))


@register
class GroupNorm(Normalisation):
    kind = "group_norm"
    reason = "group norm centres and divides the channels of a group together"

    def affine(self, shape: Shape, attrs: Any) -> tuple[int, ...]:
        if len(shape) < 2 or attrs["groups"] < 1 or int(shape[1] or 0) % attrs["groups"]:
            raise GraphError(self.kind, f"{attrs['groups']} groups of an operand of shape {shape}", "a divisor of axis 1")
        return (1,)

    def standard(self, x: np.ndarray, attrs: Any) -> np.ndarray:
        parts = x.reshape(len(x), attrs["groups"], -1)
        return _centred(parts, (2,), attrs["eps"]).reshape(x.shape)


@register
class InstanceNorm(Normalisation):
    kind = "instance_norm"
    reason = "instance norm divides every channel by its own deviation plus a constant, which no scale passes"

    def affine(self, shape: Shape, attrs: Any) -> tuple[int, ...]:
        if len(shape) < 3:
            raise GraphError(self.kind, f"an operand of shape {shape}", "(batch, channels, positions)")
        return (1,)

    def standard(self, x: np.ndarray, attrs: Any) -> np.ndarray:
        return _centred(x, tuple(range(2, x.ndim)), attrs["eps"])
