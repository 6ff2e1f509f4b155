"""Charts of plain numbers: an interval, shares on a way, a histogram, a trade-off curve, bars in tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lumpnet.figures import above, below, count
from lumpnet.report.markup import Markup, joined, name, svg, tag
from lumpnet.report.page import table

Array = np.ndarray[Any, Any]
WIDTH, LEFT, RIGHT = 400, 40, 20
BINS, POINTS, ROWS, DECADES, LONG = 24, 64, 60, 8, 18
"""Bars of a histogram, points of a curve, operators on the way to the output, powers of ten, characters beside a bar, at most."""


@dataclass(frozen=True)
class Point:
    """One candidate of a trade-off: its share of the original's size, and its deviation: certified above (None: no bound), attained below, measured on data."""

    size: float
    certified: float | None
    attained: float | None = None
    measured: float | None = None
    label: str = ""


def interval(attained: float, certified: float | None, observed: float | None = None, epsilon: float | None = None, word: str = "attained") -> Markup:
    """[attained, certified] to scale, from 0: reached, open, ruled out."""
    ends = [x for x in (attained, certified, observed) if x is not None]
    top = max([*ends, epsilon if epsilon is not None and epsilon <= 4 * max(ends) else 0.0]) or 1.0
    whole = WIDTH - LEFT - RIGHT
    reach = certified if certified is not None else top

    def x(value: float) -> float:
        return LEFT + 0.92 * whole * min(value / top, 1.0)

    parts = [
        tag("rect", x=LEFT, y=24, width=float(whole), height=20, class_="free"),
        tag("rect", x=x(attained), y=24, width=(LEFT + whole if certified is None else x(reach)) - x(attained), height=20, class_="open"),
        tag("rect", x=LEFT, y=30, width=x(attained) - LEFT, height=8, class_="reached"),
        tag("path", d=f"M{x(attained):.2f} 20v28", class_="edge"),
        _label(x(attained), 15, f"{word} {below(attained)}"),
    ]
    if certified is not None:
        parts += [tag("path", d=f"M{x(certified):.2f} 20v28", class_="edge"), _label(x(certified), 60, f"certified {above(certified)}")]
    else:
        parts += [_label(LEFT + whole, 60, "no upper bound")]
    if observed is not None:
        parts += [tag("circle", cx=x(observed), cy=34, r=4.5, class_="constant")]
    if epsilon is not None and epsilon <= top:
        parts += [tag("path", d=f"M{x(epsilon):.2f} 18v32", class_="dashed")]
    parts += [tag("text", "0", x=LEFT, y=60, text_anchor="middle", class_="quiet")] if certified is None or x(certified) > LEFT + 90 else []
    says = f"largest difference: {word} {below(attained)}, {'no upper bound' if certified is None else f'certified {above(certified)}'}"
    keys = [
        (_swatch("rect", "reached"), "reached by an input: a difference this large exists") if attained > 0 else None,
        (_swatch("rect", "open"), "open: not excluded, not reached") if certified is None or certified > attained else None,
        (_swatch("rect", "free"), "excluded by the certified bound") if certified is not None else None,
        (_swatch("circle", "constant"), f"largest seen on data in the domain: {observed:.3g}") if observed is not None else None,
        (_swatch("path", "dashed"), f"asked for: {epsilon:g}{'' if epsilon <= top else ' (beyond the picture)'}") if epsilon is not None else None,
    ]
    return joined(svg(WIDTH, 68, says, *parts, class_="chart"), tag("ul", *(tag("li", *key) for key in keys if key), class_="legend"))


def intervals(rows: Sequence[tuple[str, float, float | None, float | None]]) -> Markup:
    """(name, attained, certified or None, measured or None), one bar each, by powers of ten: what is open between both ends, what data showed."""
    values = [v for _, *row in rows for v in row if v is not None and 0 < v < math.inf]
    least, most = (math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))) if values else (-1, 0)
    least = max(least, most - DECADES)
    begin, low = 130, 14 + 18 * len(rows)

    def x(value: float) -> float:
        return begin + (WIDTH - begin - RIGHT) * min(max(math.log10(value) - least, 0.0) / max(most - least, 1), 1.0) if value > 0 else float(begin)

    parts = [tag("path", d=f"M{begin} 8V{low}H{WIDTH - RIGHT}", class_="axis")]
    for power in range(least, most + 1):
        parts += [tag("path", d=f"M{x(10.0**power):.2f} 8V{low}", class_="grid")]
        parts += [tag("text", f"{10.0**power:g}", x=x(10.0**power), y=low + 15, text_anchor="middle", class_="quiet")]
    for k, (who, attained, certified, measured) in enumerate(rows):
        y, end = 10 + 18 * k, WIDTH - RIGHT if certified is None or not math.isfinite(certified) else x(certified)
        parts += [tag("text", who if len(who) <= LONG else f"{who[: LONG - 1]}…", x=begin - 6, y=y + 11, text_anchor="end")]
        parts += [tag("rect", x=x(attained), y=y + 2, width=max(end - x(attained), 1.0), height=10, class_="open" if certified is not None else "unsure")]
        parts += [tag("path", d=f"M{x(attained):.2f} {y}v14", class_="edge")] if attained > 0 else []
        parts += [tag("circle", cx=x(measured), cy=y + 7, r=4, class_="constant")] if measured else []
    keys = [(_swatch("rect", "open"), "from attained by an input to certified for all: how far off the worst case is")]
    keys += [(_swatch("rect", "unsure"), "no upper bound")] if any(row[2] is None for row in rows) else []
    keys += [(_swatch("circle", "constant"), "largest on the data")] if any(row[3] for row in rows) else []
    chart = svg(WIDTH, low + 22, f"deviation of {len(rows)} candidates", *parts, class_="chart")
    return joined(chart, tag("ul", *(tag("li", *key) for key in keys), class_="legend"))


def _label(x: float, y: float, text: str) -> Markup:
    anchor = "start" if x < LEFT + 50 else "end" if x > WIDTH - 70 else "middle"
    return tag("text", text, x=LEFT if anchor == "start" else x, y=y, text_anchor=anchor)


SWATCHES: dict[str, dict[str, object]] = {
    "rect": {"x": 0.5, "y": 1.5, "width": 9, "height": 7},
    "circle": {"cx": 5, "cy": 5, "r": 4.5},
    "path": {"d": "M5 0v10"},
}


def _swatch(shape: str, class_: str) -> Markup:
    how = SWATCHES[shape]
    return tag("svg", tag(shape, class_=class_, **how), viewBox="0 0 10 10", class_="key", aria_hidden="true")


def bars(before: float, after: float) -> Markup:
    """Two numbers in a table's cell: the second within the first."""
    top = max(before, after) or 1
    return tag(
        "svg",
        tag("rect", x=0, y=2, width=100 * before / top, height=7, class_="unsure"),
        tag("rect", x=0, y=11, width=100 * after / top, height=7, class_="kept"),
        viewBox="0 0 100 20",
        preserveAspectRatio="none",
        class_="row",
        aria_hidden="true",
    )


def way(steps: Sequence[tuple[str, float | None, str]]) -> Markup:
    """(operator, what its change adds or None, a note), from the input to the output: each bar begins where the one before ended."""
    rows: list[tuple[object, str, Markup]] = []
    known = [share for _, share, _ in steps if share is not None]
    whole, so_far = sum(known), 0.0
    for operator, share, note in steps[:ROWS]:
        if share is None:
            rows.append((joined(name(operator), _small(note)), "unknown", _step(0, 0)))
            continue
        part = share / whole if whole else 0.0
        rows.append(
            (joined(name(operator), _small(note)), f"{above(share)} ({_percent(part)})" if whole else "0", _step(so_far / whole if whole else 0.0, part))
        )
        so_far += share
    rest = steps[ROWS:]
    if rest:
        rows.append((f"{count(len(rest))} more operators, not drawn", above(sum(share or 0.0 for _, share, _ in rest)), _step(so_far / (whole or 1.0), 0)))
    if known:
        rows.append(("all together", above(whole), _step(0, 1 if whole else 0)))
    body = [[what, number, tag("div", bar, class_="bar")] for what, number, bar in rows]
    return table(("enters at (input first)", "adds", "so far"), body, numbers=(1,))


def _percent(part: float) -> str:
    return "<1%" if 0 < part < 0.005 else f"{part:.0%}"


def _small(note: str) -> Markup | None:
    return tag("span", f": {note}", class_="note") if note else None


def _step(begin: float, part: float) -> Markup:
    return tag(
        "svg",
        tag("rect", x=0, y=4, width=100, height=12, class_="ground"),
        tag("rect", x=100 * begin, y=4, width=max(100 * part, 0.6 if part else 0.0), height=12, class_="removed"),
        viewBox="0 0 100 20",
        preserveAspectRatio="none",
        class_="row",
        aria_hidden="true",
    )


def histogram(values: Array, inside: Array, certified: float | None = None) -> Markup:
    """How many examples deviate by how much, by powers of ten; those in the domain stand in front of all."""
    top = float(values.max(initial=0.0)) or 1.0
    edges = np.linspace(0, top, BINS + 1)
    mine, others = (np.histogram(values[side], edges)[0] for side in (inside, ~inside))
    most, low, high = int((mine + others).max(initial=1)) or 1, 150, 16

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * value / top

    def tall(n: int) -> float:
        return (low - high) * (math.log10(n) + 0.3) / (math.log10(most) + 0.3) if n else 0.0

    wide = x(edges[1]) - LEFT - 1
    parts = [tag("path", d=f"M{LEFT} {high}V{low}H{WIDTH - RIGHT}", class_="axis")]
    for n in (10**p for p in range(int(math.log10(most)) + 1)):
        parts += [tag("path", d=f"M{LEFT} {low - tall(n):.2f}H{WIDTH - RIGHT}", class_="grid")]
        parts += [tag("text", count(n), x=LEFT - 5, y=low - tall(n) + 4, text_anchor="end", class_="quiet")]
    for k, (a, b) in enumerate(zip(mine.tolist(), others.tolist(), strict=True)):
        for n, class_ in ((a + b if b else 0, "merged"), (a, "kept")):
            parts += [tag("rect", x=x(edges[k]) + 0.5, y=low - tall(n), width=wide, height=tall(n), class_=class_)] if n else []
    parts += [tag("text", f"{t:.4g}", x=x(t), y=low + 15, text_anchor="middle", class_="quiet") for t in _ticks(top)]
    parts += [tag("text", "largest difference of one example", x=(LEFT + WIDTH) / 2, y=low + 30, text_anchor="middle", class_="quiet")]
    keys = [(_swatch("rect", "kept"), f"{count(int(inside.sum()))} examples in the domain")]
    keys += [(_swatch("rect", "merged"), f"{count(int((~inside).sum()))} outside of it, for which nothing is certified")] if not inside.all() else []
    chart = svg(WIDTH, 184, f"deviations of {count(len(values))} examples, up to {top:.3g}", *parts, class_="chart")
    beyond = "" if certified is None or certified <= top else f" The certified bound, {above(certified)}, is {certified / top:,.3g} times as far to the right."
    note = tag("p", f"Median {float(np.median(values)):.3g}, largest {float(values.max(initial=0.0)):.3g}.{beyond}", class_="note")
    return joined(chart, tag("ul", *(tag("li", *key) for key in keys), class_="legend"), note)


def _ticks(top: float, n: int = 4) -> list[float]:
    """Round numbers from 0 to at most top."""
    raw = top / n
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * k for k in (1, 2, 2.5, 5, 10) if unit * k >= raw * (1 - 1e-9))
    return [k * step for k in range(int(top / step + 1e-9) + 1)]


SERIES = (
    ("certified", "kept", "certified above", "M{x} {y}m-5-4h10l-5 9z"),
    ("attained", "removed", "attained by an input", "M{x} {y}m-5 4h10l-5-9z"),
    ("measured", "constant", "measured on the data", "M{x} {y}m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z"),
)
"""Field of a point, class, words, marker."""


def curve(points: Sequence[Point]) -> Markup:
    """Deviation (by powers of ten) against the size that is left."""
    shown = sorted(points, key=lambda p: (p.size, p.label))[:POINTS]
    values = [v for p in shown for v in (p.certified, p.attained, p.measured) if v is not None and 0 < v < math.inf]
    least, most = (math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))) if values else (-1, 0)
    most = max(most, least + 1)
    widest, low, high = max([1.0, *(p.size for p in shown)]), 200, 14

    def x(size: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * size / widest

    def y(value: float) -> float:
        return low if value <= 0 else low - 18 - (low - 18 - high) * (math.log10(value) - least) / (most - least)

    parts = [tag("path", d=f"M{LEFT} {high}V{low}H{WIDTH - RIGHT}", class_="axis")]
    for power in range(least, most + 1, max(1, (most - least) // 5)):
        parts += [tag("path", d=f"M{LEFT} {y(10.0**power):.2f}H{WIDTH - RIGHT}", class_="grid")]
        parts += [tag("text", f"{10.0**power:g}", x=LEFT - 5, y=y(10.0**power) + 4, text_anchor="end", class_="quiet")]
    parts += [tag("text", "0", x=LEFT - 5, y=low + 3, text_anchor="end", class_="quiet")]
    parts += [tag("text", f"{100 * t:.0f} %", x=x(t), y=low + 15, text_anchor="middle", class_="quiet") for t in _ticks(widest)]
    parts += [tag("text", "size that is left", x=(LEFT + WIDTH) / 2, y=low + 30, text_anchor="middle", class_="quiet")]
    keys = []
    for field, class_, says, marker in SERIES:
        at = [(x(p.size), y(v)) for p in shown if (v := getattr(p, field)) is not None and v < math.inf]
        if at:
            parts += [tag("path", d="M" + "L".join(f"{a:.2f} {b:.2f}" for a, b in at), class_=f"line {class_}")]
            parts += [tag("path", d="".join(marker.format(x=f"{a:.2f}", y=f"{b:.2f}") for a, b in at), class_=class_)]
            key = tag("svg", tag("path", d=marker.format(x=5, y=5), class_=class_), viewBox="0 0 10 10", class_="key", aria_hidden="true")
            keys.append(tag("li", key, says))
    chart = svg(WIDTH, 234, f"deviation against size, {len(shown)} candidates", *parts, class_="chart")
    return joined(chart, tag("ul", *keys, class_="legend"), _points(shown, len(points)))


def _points(shown: Sequence[Point], given: int) -> Markup:
    def number(write: Callable[[float], str], value: float | None) -> str:
        return "unknown" if value is None or not math.isfinite(value) else write(value)

    rows = [
        (name(p.label), f"{100 * p.size:.1f} %", number(above, p.certified), number(below, p.attained), number(lambda v: f"{v:.3g}", p.measured)) for p in shown
    ]
    more = tag("p", f"{count(given - len(shown))} more points are not drawn.", class_="note") if given > len(shown) else None
    return joined(table(("candidate", "size", "certified", "attained", "measured"), rows, numbers=(1, 2, 3, 4)), more)
