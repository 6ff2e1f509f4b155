"""The report of a reduction: what its certificate claims, layer by layer."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lumpnet.api import Reduction
from lumpnet.bounds import CLAIM
from lumpnet.certificate import DROPPED, Lumping, dumps
from lumpnet.executing import AsExecuted
from lumpnet.figures import above, below, count
from lumpnet.ops import Site
from lumpnet.ops.sites import counted, sites
from lumpnet.quotient.explain import RULES
from lumpnet.report.charts import Point, curve, interval
from lumpnet.report.marks import CONSTANT, KEPT, MERGED, UNREAD, Layer, layers
from lumpnet.report.markup import Markup, joined, name, prose, tag
from lumpnet.report.page import Page, facts, headline, items, section
from lumpnet.report.shared import basename, origin, sizes, worst_input
from lumpnet.verdict import Proved, Refuted, word

PINNED, WRITTEN = 24, 14
"""Pinned operators named, characters of a rational."""
SENTENCES = {
    "none": "The reduced network computes the same real function as the original, for every input.",
    "bounded": "The exact quotient computes the same real function, for every input; its weights were rounded, and what that changes is bounded.",
    "nearest": "The exact quotient computes the same real function, for every input; the weights emitted are its correct roundings.",
}
COMMAND = "python -m lumpnet.check ORIGINAL REDUCED CERTIFICATE"


def page(
    result: Reduction,
    names: Sequence[object] = ("original", "reduced", "certificate"),
    executed: AsExecuted | None = None,
    options: Mapping[str, object] | None = None,
    points: Sequence[Point] = (),
) -> Page:
    """names: of the original, the reduced network, the certificate. executed: what `Reduction.executed` says; points: a trade-off to draw."""
    names = [basename(given) for given in names]
    parts = [
        _headline(result, names[0]),
        _claims(result, executed),
        None if executed is None else _executed(executed),
        sizes(result.original.size, result.network.size, ("original", "reduced")),
        _layers(result),
        _stays(result),
        None if executed is None else _observed(result, executed),
        section("Size against deviation", curve(points)) if points else None,
        _origin(result, names, options or {}),
    ]
    return Page(f"lumpnet reduce: {word(result.verdict)}", tuple(part for part in parts if part is not None))


def _headline(result: Reduction, given: object) -> Markup:
    verdict = result.verdict
    kicker = joined("lumpnet reduce, report on ", name(given))
    if isinstance(verdict, Proved):
        extra = "" if verdict.rounding == "none" else f", rounding {verdict.rounding}"
        return headline(kicker, "holds", f"{word(verdict)}{extra}: proved", prose(_sentence(verdict)))
    if isinstance(verdict, Refuted):
        said = f"The certificate is wrong ({verdict.what}): {verdict.reason}. This says nothing about the networks."
        return headline(kicker, "refuted", "refuted", prose(said))
    return headline(kicker, "unknown", "unknown: nothing is claimed", prose(verdict.reason))


def _sentence(verdict: Proved) -> str:
    """What is proved, in words; a bound says what it is itself."""
    return SENTENCES[verdict.rounding] if verdict.claim == "exact" else "; ".join(verdict.statements)


def _claims(result: Reduction, executed: AsExecuted | None) -> Markup:
    verdict, rows = result.verdict, list[tuple[object, object]]()
    if isinstance(verdict, Proved):
        moved = None if result.moved is None else prose(f"move an output {result.moved}")
        rows += [
            ("claimed", items(verdict.statements) if verdict.statements else prose(_sentence(verdict))),
            ("rounded weights" if verdict.claim == "exact" else "merges and rounded weights", moved),
            ("for which inputs", _inputs(result)),
            (
                "proved by",
                f"{', '.join(verdict.vouched_by) or 'lumpnet.check'}: the independent checker, exactly, from both files and the certificate",
            ),
        ]
    return section("What is claimed", facts([*rows, ("not claimed", items(_not_claimed(result, executed)))]))


def _inputs(result: Reduction) -> str:
    effect = result.certificate.effect
    if result.certificate.moved is not None and effect is not None and effect.box is not None:
        return "every input in the domain; no data was used"
    return "every input at which the values of the original are defined; no data was used"


def _not_claimed(result: Reduction, executed: AsExecuted | None) -> Iterator[str]:
    if not isinstance(result.verdict, Proved):
        yield "anything about these two networks"
        return
    if result.verdict.rounding == "nearest":
        yield "how far the rounded weights move an output"
    if executed is None or executed.bound is None:
        yield "that both give the same bits when they run: floating point adds fewer terms in another order"
    yield "that the network file is the model it was lifted from (the lift is tested, not proved)"
    yield "that the original is any good at its task"


def _executed(apart: AsExecuted) -> Markup:
    overflowed = apart.observed is not None and math.isinf(apart.observed)
    rows = [
        ("certified", prose(apart.reason) if apart.bound is None else f"at most {above(apart.bound)} apart"),
        ("observed", _seen(apart, overflowed)),
        ("for", CLAIM if apart.bound is not None else None),
        ("assumed", apart.original.assumes or apart.reduced.assumes or None),
    ]
    lead = f"Equal functions still round differently in {apart.dtype}: how far apart two executions can be on the domain."
    drawn = None if apart.observed is None or overflowed else interval(apart.observed, apart.bound, word="observed")
    return section("As executed", drawn, facts(rows), lead=lead)


def _seen(apart: AsExecuted, overflowed: bool) -> str:
    if apart.observed is None:
        return "nothing: the networks could not be run here"
    tried = f"{count(apart.tried)} inputs tried with torch"
    return f"one overflows where the other does not ({tried})" if overflowed else f"{below(apart.observed)} apart at the worst of {tried}"


def _observed(result: Reduction, apart: AsExecuted) -> Markup | None:
    if not apart.inputs:
        return None
    inputs = {key: np.asarray(x) for key, x in apart.inputs.items()}
    lead = "Of the inputs tried, the one at which the two executions are furthest apart."
    return worst_input(inputs, {}, (result.original.graph, result.network.graph), lead, double=False)


def _layers(result: Reduction) -> Markup:
    graph = result.original.graph
    found = [_layer(result, site) for site in counted(sites(graph), graph.outputs)]
    lead = "One mark for each hidden unit, in the order of the original's weights."
    nothing = None if any(result.rules.values()) else tag("p", "No exact redundancy was found.")
    return section("Layer by layer", nothing, layers(found), lead=lead)


def _layer(result: Reduction, site: Site) -> Layer:
    where = site.node.name
    lumping, rules = result.certificate.lumpings.get(where), result.rules.get(where, {})
    marks = np.full(site.units, UNREAD if lumping == DROPPED else KEPT)
    merges: tuple[str, ...] = ()
    if isinstance(lumping, Lumping) and len(lumping.classes) == site.units:
        classes = np.array(lumping.classes, dtype=np.int64)
        marks = np.where(classes < 0, CONSTANT, np.where(classes >= lumping.columns, UNREAD, MERGED))
        marks[list(lumping.representatives[: lumping.columns])] = KEPT
        merges = tuple(_merges(lumping, marks))
    if sum(rules.values()) == site.units:  # what is left of the layer are stored constants
        marks = np.where(marks == KEPT, CONSTANT, marks)
    note = ", ".join(f"{count(rules[rule])} {rule}" for rule in RULES[2:] if rules.get(rule))
    return Layer(where, site.node.kind, marks, merges, f"of these: {note}" if note else "")


def _merges(lumping: Lumping, marks: Any) -> Iterator[str]:
    """By representative, the units that follow it."""
    members: dict[int, list[int]] = {}
    for unit in np.flatnonzero(marks == MERGED).tolist():
        members.setdefault(lumping.representatives[lumping.classes[unit]], []).append(unit)
    for kept, units in sorted(members.items()):
        more = f" and {count(len(units) - 8)} more" if len(units) > 8 else ""
        yield f"into unit {kept}: unit {', '.join(f'{u}{_how(lumping, u, kept)}' for u in units[:8])}{more}"


def _how(lumping: Lumping, unit: int, kept: int) -> str:
    ratio = lumping.scale.get(unit, Fraction(1)) / lumping.scale.get(kept, Fraction(1))
    text = str(ratio) if len(str(ratio)) <= WRITTEN else f"{float(ratio):.4g}…"
    shift = lumping.offset.get(unit, Fraction(0)) != lumping.offset.get(kept, Fraction(0))
    return (f" = {text} times it" if ratio != 1 else "") + (" and a constant" if shift else "")


def _stays(result: Reduction) -> Markup | None:
    said: list[object] = [joined(name(operator), f": {prose(reason)}") for operator, reason in result.pinned[:PINNED]]
    said += [f"{count(len(result.pinned) - PINNED)} more operators, not listed"] if len(result.pinned) > PINNED else []
    said += [f"{count(result.declined)} more units were left, because weights would have been rounded"] if result.declined else []
    return section("What had to stay, and why", items(said)) if said else None


def _origin(result: Reduction, names: Sequence[object], options: Mapping[str, object]) -> Markup:
    certificate = hashlib.sha256(dumps(result.certificate)).hexdigest()
    files = list(zip(("original", "reduced", "certificate"), names, (result.original.sha256, result.network.sha256, certificate), strict=True))
    require = {key: result.certificate.annotations.get(key) for key in ("require", "dtype")}
    return origin(files, {**require, **options}, result.seconds, joined(tag("code", COMMAND), " and compare the hashes"))
