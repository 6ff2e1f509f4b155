"""One figure of an example: points of several series over two axes, as an HTML file without scripts. Drawn with what draws lumpnet's reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lumpnet.report.markup import Markup, joined, svg, tag
from lumpnet.report.page import Page, section

CLASSES = ("kept", "removed", "constant", "merged")
LEFT, RIGHT, HIGH, LOW = 60, 380, 15, 200
Points = Sequence[tuple[float, float]]


def figure(path: Path, title: str, x: str, y: str, series: Mapping[str, Points], note: str = "", lines: bool = False) -> None:
    """Write the figure; at most four series."""
    every = [point for points in series.values() for point in points]
    (x0, x1), (y0, y1) = (_range([point[k] for point in every]) for k in (0, 1))

    def place(point: tuple[float, float]) -> tuple[float, float]:
        return LEFT + (RIGHT - LEFT) * (point[0] - x0) / (x1 - x0), LOW - (LOW - HIGH) * (point[1] - y0) / (y1 - y0)

    parts: list[Markup] = [tag("path", d=f"M{LEFT} {HIGH}V{LOW}H{RIGHT}", class_="axis")]
    for k in range(5):
        across, up = x0 + (x1 - x0) * k / 4, y0 + (y1 - y0) * k / 4
        a, b = place((across, up))
        parts += [tag("path", d=f"M{LEFT} {b:.2f}H{RIGHT}", class_="grid"), tag("text", f"{up:.3g}", x=LEFT - 5, y=b + 4, text_anchor="end", class_="quiet")]
        parts += [tag("text", f"{across:.3g}", x=a, y=LOW + 15, text_anchor="middle", class_="quiet")]
    parts += [tag("text", f"{x} (across), {y} (up)", x=(LEFT + RIGHT) / 2, y=LOW + 30, text_anchor="middle", class_="quiet")]
    keys = []
    for (name, points), class_ in zip(series.items(), CLASSES, strict=False):
        at = [place(point) for point in points]
        parts += [tag("path", d="M" + "L".join(f"{a:.2f} {b:.2f}" for a, b in at), class_=f"line {class_}")] if lines else []
        parts += [tag("circle", cx=a, cy=b, r=2.0 if lines else 4.0, class_=class_) for a, b in at]
        keys += [tag("li", tag("svg", tag("circle", cx=5, cy=5, r=4.5, class_=class_), viewBox="0 0 10 10", class_="key", aria_hidden="true"), name)]
    chart = joined(svg(RIGHT + 20, LOW + 40, title, *parts, class_="chart"), tag("ul", *keys, class_="legend"))
    path.write_text(Page(title, (section(title, chart, lead=note or None),)).html(), encoding="utf-8")


def _range(values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
