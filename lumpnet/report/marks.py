"""A layer as a strip, one mark a unit: what happened to it has a colour and a shape.

Strips are capped: beyond `UNITS` units a layer is drawn as `CELLS` columns that show shares, beyond `LAYERS` layers only counts remain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from lumpnet.figures import count
from lumpnet.report.markup import Markup, joined, name, svg, tag
from lumpnet.report.page import folded, items

Array = np.ndarray[Any, Any]
UNITS, CELLS, LAYERS, NAMED = 256, 32, 64, 24
"""Units drawn one by one, columns of a longer strip, layers drawn, merges named."""
ACROSS, PITCH, SIZE = 32, 10, 8

KEPT, MERGED, CONSTANT, UNREAD, REMOVED, UNSURE = range(6)
NAMES = ("kept", "merged", "constant", "unread", "removed", "unsure")
SAYS = (
    "kept",
    "merged into another unit",
    "constant: folded into what reads it",
    "unread: observed by no output",
    "removed by the candidate",
    "not known",
)
SHORT = ("kept", "merged", "constant", "unread", "removed", "not known")
SHAPES = (
    "M{x} {y}h8v8h-8z",
    "M{x} {y}l8 8h-8z",
    "M{x} {m}a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    "M{x} {y}h8v8h-8zm2 2v4h4v-4z",
    "M{x} {y}h2l2 2 2-2h2v2l-2 2 2 2v2h-2l-2-2-2 2h-2v-2l2-2-2-2z",
    "M{x} {m}m0-1h8v2h-8z",
)


@dataclass(frozen=True, eq=False)
class Layer:
    """`marks`: one of the constants above for each unit, in order. `merges`: which unit went where, in words; `note`: a sentence more."""

    name: str
    kind: str
    marks: Array
    merges: tuple[str, ...] = ()
    note: str = ""


def layers(found: Sequence[Layer]) -> Markup:
    """A legend of the marks that occur, and the strips."""
    used = sorted({int(m) for layer in found for m in np.unique(layer.marks)})
    rest = found[LAYERS:]
    more = None if not rest else tag("p", f"{count(len(rest))} more layers are not drawn: {_counts(np.concatenate([r.marks for r in rest]))}.", class_="note")
    return joined(legend(used), tag("div", *(_drawn(layer) for layer in found[:LAYERS]), class_="layers"), more)


def legend(used: Sequence[int]) -> Markup:
    return tag("ul", *(tag("li", _key(mark), SAYS[mark]) for mark in used), class_="legend")


def _key(mark: int) -> Markup:
    return tag("svg", tag("path", d=SHAPES[mark].format(x=0, y=0, m=4), class_=NAMES[mark]), viewBox="0 0 8 8", class_="key", aria_hidden="true")


def _drawn(layer: Layer) -> Markup:
    title = tag("h3", name(layer.name), f" ({layer.kind})")
    merges = None
    if layer.merges:
        more = len(layer.merges) - NAMED
        texts = [*layer.merges[:NAMED], *([f"{count(more)} more, not listed"] if more > 0 else [])]
        merges = folded(f"which units merged ({count(len(layer.merges))} groups)", items(texts))
    note = tag("p", layer.note) if layer.note else None
    return tag("div", title, tag("p", _counts(layer.marks)), strip(layer.marks, _counts(layer.marks)), note, merges, class_="layer")


def _counts(marks: Array) -> str:
    found = np.bincount(marks, minlength=len(SAYS))
    parts = [f"{count(int(n))} {SHORT[k]}" for k, n in enumerate(found) if n]
    return f"{count(len(marks))} units: " + (", ".join(parts) or "none")


def strip(marks: Array, title: str) -> Markup:
    return _one_by_one(marks, title) if len(marks) <= UNITS else _shares(marks, title)


def _one_by_one(marks: Array, title: str) -> Markup:
    """Rows of `ACROSS` marks; all marks of a kind are one path."""
    paths = [[] for _ in SHAPES]  # type: list[list[str]]
    for unit, mark in enumerate(marks.tolist()):
        x, y = unit % ACROSS * PITCH, unit // ACROSS * PITCH
        paths[mark].append(SHAPES[mark].format(x=x, y=y, m=y + SIZE // 2))
    rows = -(-len(marks) // ACROSS)
    drawn = [tag("path", d="".join(path), class_=NAMES[mark]) for mark, path in enumerate(paths) if path]
    return svg(ACROSS * PITCH, max(1, rows) * PITCH, title, *drawn, class_="strip")


def _shares(marks: Array, title: str) -> Markup:
    """Columns of neighbouring units, each divided as they are."""
    height, edges = 30, np.linspace(0, len(marks), CELLS + 1).round().astype(int)
    paths = [[] for _ in SHAPES]  # type: list[list[str]]
    for cell, (begin, end) in enumerate(pairwise(edges.tolist())):
        y = 0.0
        for mark, n in enumerate(np.bincount(marks[begin:end], minlength=len(SHAPES)).tolist()):
            tall = height * n / (end - begin)
            if n:
                paths[mark].append(f"M{cell * PITCH} {y:.2f}h9v{tall:.2f}h-9z")
            y += tall
    drawn = [tag("path", d="".join(path), class_=NAMES[mark]) for mark, path in enumerate(paths) if path]
    each = tag("p", f"Each of the {CELLS} columns stands for about {round(len(marks) / CELLS):,} neighbouring units and shows their shares.")
    return joined(svg(CELLS * PITCH, height, title, *drawn, class_="strip"), each)
