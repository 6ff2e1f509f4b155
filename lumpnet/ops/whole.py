"""Operators that need their operands whole: products and quotients of values, and opaque calls. All pin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lumpnet.errors import GraphError, NoExactValue
from lumpnet.ir import Shape
from lumpnet.ops.base import Params, Pin, Site
from lumpnet.ops.registry import register


@register
class Matmul(Pin):
    """(..., n, k) @ (..., k, m), the leading axes equal."""

    kind = "matmul"

    def infer(self, shapes: Sequence[Shape], attrs: Any, params: Params) -> Shape:
        a, b = shapes
        if len(a) != len(b) or len(a) < 3 or a[:-2] != b[:-2] or a[-1] != b[-2]:
            raise GraphError("matmul", f"operands of shapes {a} and {b}", "(..., n, k) and (..., k, m)")
        return (*a[:-1], b[-1])

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        return np.asarray(xs[0] @ xs[1])

    def why_pinned(self, site: Site) -> str:
        return "a product of two values adds up products of their units"


@register
class Div(Pin):
    kind = "div"

    def infer(self, shapes: Sequence[Shape], attrs: Any, params: Params) -> Shape:
        a, b = shapes
        if len(a) != len(b) or any(m != n and 1 not in (m, n) for m, n in zip(a, b, strict=True)):
            raise GraphError("div", f"operands of shapes {a} and {b}", "equal shapes, or size 1 along positions")
        return tuple(n if m == 1 else m for m, n in zip(a, b, strict=True))

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        if xs[1].dtype == object and not xs[1].all():
            raise NoExactValue(site.node.name, "it divides by zero")
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(xs[0] / xs[1])

    def why_pinned(self, site: Site) -> str:
        return "no rule for the quotient of two values"


@register
class Opaque(Pin):
    """An operator lumpnet has no rule for; it is carried along as it is, on whole operands."""

    kind = "opaque"

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        raise NoExactValue(site.node.name, f"{site.attrs['target']} is not evaluated here")

    def why_pinned(self, site: Site) -> str:
        return f"no rule for {site.attrs['target']}"
