"""An example as people look at it: a picture where its shape is one, numbers else. Drawn of rectangles, as nothing may be fetched or embedded."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lumpnet.figures import count
from lumpnet.report.markup import Markup, joined, svg, tag

Array = np.ndarray[Any, Any]
SIDE, NUMBERS = 64, 64
"""Pixels a side and numbers, at most; larger pictures are averaged."""


def picture(x: Array, low: float, high: float, side: int = SIDE, caption: bool = True) -> Markup:
    """One example without its batch axis; low is drawn black and high white."""
    image = pixels(x)
    if image is None:
        return _numbers(x)
    small = shrunk(image, side)
    size = f"{image.shape[0]} x {image.shape[1]}"
    averaged = "" if small.shape == image.shape else f", drawn as averages of {-(-image.shape[0] // small.shape[0])} x {-(-image.shape[1] // small.shape[1])}"
    title = f"{size} pixels{averaged}; black is {low:.3g}, white {high:.3g}"
    grey = np.clip((small - low) / (high - low if high > low else 1.0), 0, 1)
    drawn = svg(small.shape[1], small.shape[0], title, *_rows((255 * grey).round().astype(int)), class_="pixels")
    return tag("figure", drawn, tag("figcaption", title) if caption else None)


def pixels(x: Array) -> Array | None:
    """(height, width) or (height, width, 3) for one and three channels, and for a row of numbers that make a square; None for what is no picture."""
    if x.ndim == 3 and x.shape[0] in (1, 3) and min(x.shape[1:]) > 1:
        return x[0] if x.shape[0] == 1 else np.moveaxis(x, 0, -1)
    if x.ndim == 2 and min(x.shape) > 3:
        return x
    side = math.isqrt(x.size)
    return x.reshape(side, side) if x.ndim == 1 and side * side == x.size and side > 3 else None


def shrunk(image: Array, side: int) -> Array:
    """Averages of blocks, so that no side is longer."""
    out: Array = image.astype(np.float64)
    for axis in (0, 1):
        block = -(-out.shape[axis] // side)
        starts = np.arange(0, out.shape[axis], block)
        sizes = np.minimum(starts + block, out.shape[axis]) - starts
        out = np.add.reduceat(out, starts, axis=axis) / sizes.reshape([-1 if k == axis else 1 for k in range(out.ndim)])
    return out


def _rows(levels: Array) -> list[Markup]:
    """One path a colour, one rectangle a run of equal pixels."""
    paths: dict[str, list[str]] = {}
    for y, row in enumerate(levels):
        colours = [f"#{c:02x}{c:02x}{c:02x}" for c in row.tolist()] if row.ndim == 1 else ["#{:02x}{:02x}{:02x}".format(*c) for c in row.tolist()]
        begin = 0
        for end in range(1, len(colours) + 1):
            if end == len(colours) or colours[end] != colours[begin]:
                paths.setdefault(colours[begin], []).append(f"M{begin} {y}h{end - begin}v1h-{end - begin}z")
                begin = end
    return [tag("path", d="".join(path), fill=colour) for colour, path in sorted(paths.items())]


def _numbers(x: Array) -> Markup:
    """The first numbers, in the order in which they are stored."""
    flat = x.reshape(-1)
    texts = ", ".join(f"{float(v):.6g}" for v in flat[:NUMBERS])
    more = f", … ({count(flat.size)} in all)" if flat.size > NUMBERS else ""
    shape = " x ".join(map(str, x.shape)) or "1"
    return joined(tag("p", f"{count(flat.size)} numbers ({shape}):", class_="note"), tag("p", tag("code", texts + more)))
