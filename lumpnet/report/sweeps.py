"""The report of a sweep: what each size costs, for the whole network and layer by layer."""

from __future__ import annotations

from collections.abc import Mapping

from lumpnet.figures import above, below, count
from lumpnet.report.charts import curve, intervals
from lumpnet.report.markup import Markup, joined, name, prose, tag
from lumpnet.report.page import Page, facts, folded, headline, items, section, table
from lumpnet.report.shared import basename, origin
from lumpnet.sweeping import RELAXED, Candidate, Sweep

LAYERS = 60
"""Layers shown."""
BY = {"certificate": "its certificate", "audit": "an audit", None: "nothing"}


def page(found: Sweep, options: Mapping[str, object] | None = None) -> Page:
    """options: what else was asked, for the last section."""
    parts = [_headline(found), _claims(found), *_side_by_side(found), *_curves(found), _layers(found), _candidates(found), _origin(found, options or {})]
    return Page("lumpnet sweep", tuple(part for part in parts if part is not None))


def _headline(found: Sweep) -> Markup:
    bounded = [c for c in found.candidates if c.certified is not None]
    said = f"{count(len(bounded))} of {count(len(found.candidates))} smaller networks have a certified bound on what they change."
    outcome, words = ("holds", "bounded: proved") if len(bounded) == len(found.candidates) else ("unknown", "not all bounded")
    return headline(joined("lumpnet sweep, ", name(basename(found.name))), outcome, words, said)


def _claims(found: Sweep) -> Markup:
    rows = [
        ("claimed", "of each candidate: on the domain, no output differs from the original's by more than its certified number"),
        ("attained", "at one input of the domain some output differs by at least this"),
        ("measured", None if found.of["data"] is None else "the largest difference on the data given: evidence, not proof"),
        ("not claimed", items(["that both give the same bits when they run", "that the original is any good at its task"])),
    ]
    return section("What is claimed", facts(rows))


def _side_by_side(found: Sweep) -> list[Markup]:
    """All methods at one size."""
    whole = [c for c in found.candidates if c.layer is None]
    sizes = dict.fromkeys(c.size for c in whole if c.certified != 0) if len({c.method for c in whole}) > 1 else {}
    pictures = {size: intervals([(c.method, c.attained, c.certified, c.measured) for c in whole if c.size == size]) for size in sizes}
    return [section(f"All methods, {size:.0%} of the units", picture) for size, picture in pictures.items()]


def _curves(found: Sweep) -> list[Markup]:
    methods = dict.fromkeys(c.method for c in found.candidates if c.layer is None)
    return [section(f"Size against deviation: {'relaxed lumping' if method == RELAXED else method}", curve(found.points(method))) for method in methods]


def _layers(found: Sweep) -> Markup | None:
    by_layer: dict[str, list[Candidate]] = {}
    for c in found.candidates:
        if c.layer is not None:
            by_layer.setdefault(c.layer, []).append(c)
    if not by_layer:
        return None
    sizes = list(dict.fromkeys(c.size for own in by_layer.values() for c in own))
    rows = [(name(layer), *(_cell(next((c for c in own if c.size == size), None)) for size in sizes)) for layer, own in list(by_layer.items())[:LAYERS]]
    more = tag("p", f"{count(len(by_layer) - LAYERS)} more layers are not shown.", class_="note") if len(by_layer) > LAYERS else None
    lead = "One layer made smaller, the others whole: the difference that is certified, and below it the one attained."
    return section("Layer by layer", table(("layer", *(f"{size:.0%}" for size in sizes)), rows, numbers=range(1, len(sizes) + 1)), more, lead=lead)


def _cell(candidate: Candidate | None) -> Markup | str:
    return "" if candidate is None else joined(tag("div", _bound(candidate)), tag("div", below(candidate.attained), class_="note"))


def _bound(candidate: Candidate) -> str:
    return "unknown" if candidate.certified is None else above(candidate.certified)


def _candidates(found: Sweep) -> Markup:
    data = found.of["data"] is not None
    head = ["method", "layer", "asked", "units", "parameters", "multiply-adds", "certified", "by", "attained", *(("measured", "flips") if data else ())]
    head.append("what became of the units")
    rows = []
    for c in found.candidates:
        measured = ("" if c.measured is None else f"{c.measured:.3g}", "" if c.flips is None else count(c.flips)) if data else ()
        sizes = (f"{c.size:.0%}", count(c.units), count(c.parameters), count(c.multiply_adds))
        rows.append((name(c.method), name(c.layer or ""), *sizes, _bound(c), BY[c.by], below(c.attained), *measured, prose(c.relation)))
    reasons = [joined(name(c.method), f" {c.size:.0%}: ", prose(c.reason)) for c in found.candidates if c.reason]
    return section("All candidates", folded("the numbers", table(head, rows, numbers=(2, 3, 4, 5, 6, 8, 9, 10))), items(reasons) if reasons else None)


def _origin(found: Sweep, options: Mapping[str, object]) -> Markup:
    asked = {key: found.of[key] for key in ("boxes", "seed")}
    return origin([("original", found.name, found.original.sha256)], asked | dict(options), {"all candidates": found.seconds})
