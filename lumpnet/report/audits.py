"""The report of an audit: how far two networks can be apart on a domain, and where that comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lumpnet.audit.result import About, Audit, Observed
from lumpnet.bounds.relaxed import Units
from lumpnet.figures import above, below, count
from lumpnet.ops.sites import counted, sites
from lumpnet.report.charts import Point, curve, histogram, interval, way
from lumpnet.report.marks import CONSTANT, KEPT, MERGED, REMOVED, UNSURE, Layer, layers
from lumpnet.report.markup import Markup, joined, name, prose, tag
from lumpnet.report.page import Page, facts, headline, items, section
from lumpnet.report.pictures import picture
from lumpnet.report.shared import basename, domain_words, origin, sizes, span, worst_input

SMALL = 28
"""Pixels a side of a flipped example."""
OUTCOME = {"equivalent": "holds", "bounded": "holds", "refuted": "refuted", "unknown": "unknown"}


def page(found: Audit, names: Sequence[object] | None = None, options: Mapping[str, object] | None = None, points: Sequence[Point] = ()) -> Page:
    """names: of the original and of the other network, where they were not given as files; points: a trade-off to draw."""
    about = found.about
    names = [basename(given) for given in names or (about.names if about is not None else ("the original", "the other network"))]
    parts = [
        _headline(found, names),
        _claims(found, about),
        _interval(found),
        *([] if about is None else [sizes(about.networks[0].size, about.networks[1].size, ("original", "other")), _layers(about)]),
        _way(found),
        None if found.observed is None else _histogram(found, found.observed),
        _worst(found, about),
        _flips(found, about),
        section("Size against deviation", curve(points)) if points else None,
        None if about is None else _origin(found, about, names, options or {}),
    ]
    return Page(f"lumpnet audit: {found.verdict}", tuple(part for part in parts if part is not None))


def _headline(found: Audit, names: Sequence[object]) -> Markup:
    kicker = joined("lumpnet audit, ", name(names[1]), " against ", name(names[0]))
    words = {"equivalent": "equivalent: proved", "bounded": "bounded: proved", "refuted": "refuted", "unknown": "unknown"}
    return headline(kicker, OUTCOME[found.verdict], words[found.verdict], prose(_sentence(found)))


def _sentence(found: Audit) -> str:
    if found.verdict == "equivalent":
        return "The two networks compute the same real function."
    if found.verdict == "bounded":
        bound = [] if found.upper_bound is None else [f"no output differs by more than {above(found.upper_bound)}"]
        same = ["the predicted class never changes"] if found.top1 is not None else []
        return f"On the domain, {', and '.join([*bound, *same])}."
    if found.verdict == "refuted" and found.epsilon is not None and found.lower_bound > found.epsilon:
        return f"It is false that they stay within {found.epsilon:g}: at one input of the domain they differ by at least {below(found.lower_bound)}."
    if found.verdict == "refuted" and found.top1 is not None and found.top1.classes is not None:
        one, two = found.top1.classes
        return f"It is false that the predicted class never changes: at one input of the domain class {one} becomes class {two}."
    return f"Not decided: {found.reason.rstrip('.')}." if found.verdict == "unknown" else f"{found.reason.rstrip('.')}."


def _claims(found: Audit, about: About | None) -> Markup:
    top = None if found.upper_bound is None else f"no output differs by more than {above(found.upper_bound)}"
    low = f"at one input some output differs by at least {below(found.lower_bound)}" if found.lower_bound > 0 else None
    claimed = ["the same real function, for every input"] if found.verdict == "equivalent" else [text for text in (top, low, _top1(found)) if text is not None]
    proofs = list(_proofs(found))
    rows = [
        ("claimed", items(claimed) if claimed else "nothing"),
        ("asked", f"whether every output stays within {found.epsilon:g}" if found.epsilon is not None else None),
        ("for which inputs", _inputs(found, about)),
        ("proved by", items(proofs) if proofs else None),
        ("not claimed", items(_not_claimed(found))),
    ]
    return section("What is claimed", facts(rows))


def _inputs(found: Audit, about: About | None) -> object:
    if found.verdict == "equivalent":
        return "every input; the domain played no part"
    return None if about is None or not about.ends else domain_words(about.ends)


def _proofs(found: Audit) -> Iterator[str]:
    if found.verdict == "equivalent":
        yield "the structure of the two networks: laid side by side, their difference is zero"
        return
    if found.upper_bound is not None:
        where = f"{count(found.boxes)} boxes that cover the domain" if found.boxes > 1 else "the whole domain"
        yield f"above: linear bounds of the difference on {where}, in real arithmetic with every rounding enclosed"
    if found.lower_bound > 0:
        yield "below: what the networks compute at the input that is shown here, with every rounding enclosed"
    if found.top1 is not None and found.top1.verdict == "same":
        yield "the class: linear bounds of the scores of both networks on boxes that cover the domain, strict everywhere"
    if found.top1 is not None and found.top1.verdict == "different":
        yield "the class: interval arithmetic through both networks at one input, strict in both"


def _top1(found: Audit) -> str | None:
    if found.top1 is None or found.verdict == "equivalent":
        return None
    if found.top1.verdict == "same":
        return "the predicted class is the same" + (f": class {found.top1.classes[0]} everywhere" if found.top1.classes is not None else "")
    if found.top1.verdict == "different" and found.top1.classes is not None:
        return f"the predicted class changes: class {found.top1.classes[0]} becomes class {found.top1.classes[1]} at one input"
    return None


def _not_claimed(found: Audit) -> Iterator[str]:
    if found.verdict != "equivalent":
        yield "anything outside of the domain"
        if found.upper_bound is None:
            yield "any upper bound of the difference"
        if found.top1 is None:
            yield "that the predicted class stays the same (it was not asked for)"
        elif found.top1.verdict == "unknown":
            yield prose(f"whether the predicted class stays the same: {found.top1.reason}")
    yield "what floating point adds when the networks run: this is about real arithmetic on the stored weights"
    yield "that the original is any good at its task"


def _interval(found: Audit) -> Markup:
    seen = found.observed
    observed = None if seen is None or not seen.within.any() or found.verdict == "equivalent" else float(seen.deviations[seen.within].max())
    low, top = below(found.lower_bound), "no upper bound is known" if found.upper_bound is None else f"at most {above(found.upper_bound)}"
    drawn = interval(found.lower_bound, found.upper_bound, observed, found.epsilon)
    notes = [f"At least {low}, {top}.", *([f"In haste: {found.cut}."] if found.cut else [])]
    return section("The largest difference over the domain lies in this interval", drawn, *(tag("p", note, class_="note") for note in notes))


def _layers(about: About) -> Markup:
    graph = about.networks[0].graph
    changes = {change.operator: change for change in about.changes}
    found = []
    for site in counted(sites(graph), graph.outputs):
        marks, merges = _matched(about.match.get(site.node.name), site.units)
        change = changes.get(site.node.name)
        note = f"weights of kept units changed by up to {above(change.weights)} (sum of one unit)" if change is not None and change.weights else ""
        found.append(Layer(site.node.name, site.node.kind, marks, merges, note))
    lead = "One mark for each hidden unit of the original, in its order: which unit of the other network it was matched with. The bounds do not rely on it."
    return section("Layer by layer", layers(found), lead=lead)


def _matched(entry: tuple[str, Units | None] | None, units: int) -> tuple[Any, tuple[str, ...]]:
    """Marks, and merges in words."""
    if entry is None:
        return np.full(units, UNSURE), ()
    relation = entry[1]
    if relation is None or len(relation.of) != units:
        return np.full(units, KEPT if relation is None else UNSURE), ()
    of, offset = np.asarray(relation.of), np.asarray(relation.offset)
    _, first = np.unique(of, return_index=True)
    marks = np.full(units, MERGED)
    marks[first] = KEPT
    marks[of < 0] = np.where(offset[of < 0] != 0, CONSTANT, REMOVED)
    groups = {int(of[u]): [] for u in np.flatnonzero(marks == MERGED)}  # type: dict[int, list[int]]
    for unit in np.flatnonzero(marks == MERGED).tolist():
        groups[int(of[unit])].append(unit)
    keepers = {int(of[u]): int(u) for u in first}
    scale = np.asarray(relation.scale)
    return marks, tuple(_merge(keepers[c], members, scale) for c, members in sorted(groups.items()))


def _merge(kept: int, members: list[int], scale: Any) -> str:
    how = [f"{u}" + (f" = {scale[u] / scale[kept]:.4g} times it" if scale[u] != scale[kept] and scale[kept] else "") for u in members[:8]]
    more = f" and {count(len(members) - 8)} more" if len(members) > 8 else ""
    return f"into unit {kept}: unit {', '.join(how)}{more}"


def _way(found: Audit) -> Markup | None:
    """The operators in the order of the graph, which is that of their names' first appearance there."""
    if not found.residuals:
        return None
    order = {} if found.about is None else {node.name: k for k, node in enumerate(found.about.networks[0].graph.nodes)}
    steps = [(s.operator, s.share, str(s).partition(", ")[2]) for s in sorted(found.residuals, key=lambda s: order.get(s.operator, 0))]
    unknown = sum(share is None for _, share, _ in steps)
    lead = "The certified bound, dealt out to the operators whose changes it comes from, in proportion to what they add to one bound over the whole domain."
    if unknown:
        lead = f"{'There is no bound, so the shares are' if unknown == len(steps) else f'{count(unknown)} shares are'} not known."
    return section("Where the difference enters, on its way to the output", way(steps), lead=lead)


def _histogram(found: Audit, seen: Observed) -> Markup:
    flips = None if seen.flips is None else f"{count(seen.flips)} of {count(seen.examples)} examples change their predicted class"
    lead = "Both networks executed in float64 on the given examples: evidence, not proof."
    drawn = histogram(seen.deviations, seen.within, found.upper_bound) if seen.examples else None
    return section("Seen on the data", drawn, None if flips is None else tag("p", f"{flips}."), lead=lead)


def _worst(found: Audit, about: About | None) -> Markup | None:
    if found.witness is None or about is None:
        return None
    lead = f"Here the difference is at least {below(found.lower_bound)}, with every rounding enclosed. No input of the domain is known to be worse."
    return worst_input(found.witness, about.ends, (about.networks[0].graph, about.networks[1].graph), lead)


def _flips(found: Audit, about: About | None) -> Markup | None:
    shown = []
    if found.top1 is not None and found.top1.inputs is not None and found.top1.classes is not None:
        for x in list(found.top1.inputs.values())[:1]:
            shown.append(_flip(x, about, f"certified: {found.top1.classes[0]} becomes {found.top1.classes[1]}"))
    flipped = () if found.observed is None else found.observed.flipped
    shown += [_flip(f.x, about, f"example {count(f.index)}: {f.classes[0]} becomes {f.classes[1]}") for f in flipped]
    if not shown:
        return None
    left = 0 if found.observed is None else (found.observed.flips or 0) - len(flipped)
    more = tag("p", f"{count(left)} more, not drawn.", class_="note") if left > 0 else None
    return section("Examples whose predicted class changes", tag("div", *shown, class_="gallery"), more)


def _flip(x: Any, about: About | None, says: str) -> Markup:
    ends = next(iter(about.ends.values())) if about is not None else (x, x)
    return tag("div", tag("p", says), picture(x, *span(ends), SMALL, caption=False))


def _origin(found: Audit, about: About, names: Sequence[object], options: Mapping[str, object]) -> Markup:
    files = [(role, given, network.sha256) for role, given, network in zip(("original", "other"), names, about.networks, strict=True)]
    return origin(files, {**about.options, **options}, found.phases or {"audit": found.seconds})
