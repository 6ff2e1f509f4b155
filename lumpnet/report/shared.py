"""Sections that reports of reductions and of audits have alike: sizes, the worst input, where everything came from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lumpnet import __version__
from lumpnet.bounds import execution_dtype
from lumpnet.errors import LumpnetError
from lumpnet.figures import count, percent
from lumpnet.ir import Graph
from lumpnet.quotient.explain import Size
from lumpnet.report.charts import bars
from lumpnet.report.markup import Markup, joined, name, tag
from lumpnet.report.page import facts, section, table
from lumpnet.report.pictures import picture

Array = np.ndarray[Any, Any]
Ends = Mapping[str, tuple[Array, Array]]
INPUTS, OUTPUTS, LONGEST = 8, 12, 24
"""Inputs shown, output entries listed, and how many are listed whole."""


def basename(text: object) -> str:
    """A file's name without its folders, also inside of `ball:CENTER.npy:RADIUS`."""
    return re.sub(r"[^:]*[/\\]", "", str(text))


def domain_words(ends: Ends) -> Markup:
    """Which inputs a box holds."""
    parts = []
    for given, (low, high) in list(ends.items())[:INPUTS]:
        if len(np.unique(low)) == len(np.unique(high)) == 1:
            span = f"between {float(low.flat[0]):.6g} and {float(high.flat[0]):.6g}"
        else:
            span = f"between ends of its own, all from {float(low.min()):.6g} to {float(high.max()):.6g}, {float((high - low).max()):.3g} apart at most"
        parts.append(joined("every entry of ", name(given), f" ({' x '.join(map(str, low.shape)) or 'a number'}) {span}"))
    more = f"; {count(len(ends) - INPUTS)} more inputs" if len(ends) > INPUTS else ""
    return joined(*(joined("; " if k else "", part) for k, part in enumerate(parts)), more)


def sizes(before: Size, after: Size, names: tuple[str, str]) -> Markup:
    rows = []
    for field, says in (("units", "hidden units"), ("parameters", "parameters"), ("bytes", "bytes of weights"), ("multiply_adds", "multiply-adds")):
        a, b = getattr(before, field), getattr(after, field)
        change = "same" if a == b else percent(a, b) if a > b else f"+{100 * (b - a) / a:.1f} %" if a else "-"
        rows.append((says, count(a), count(b), change, tag("div", bars(a, b), class_="bar")))
    return section("Sizes", tag("div", table(("", *names, "change", ""), rows, numbers=(1, 2, 3)), class_="sizes"))


def worst_input(inputs: Mapping[str, Array], ends: Ends, graphs: tuple[Graph, Graph], lead: object, double: bool = True) -> Markup:
    """An example, and what both networks answer to it: in float64, or as their weights are stored."""
    shown = []
    for given, x in list(inputs.items())[:INPUTS]:
        shown.append(joined(tag("h3", name(given)), picture(x, *span(ends.get(given, (x, x))))))
    answers, how = run(graphs, list(inputs.values()), double), "float64" if double else "the format of their weights"
    told = tag("p", "The networks could not be run here.", class_="note") if answers is None else _answers(*answers, how)
    return section("The worst input found", tag("div", tag("div", *shown), tag("div", told), class_="sides"), lead=lead)


def span(ends: tuple[Array, Array]) -> tuple[float, float]:
    """The least and the largest number of a box."""
    low, high = ends
    return (float(low.min()), float(high.max())) if low.size else (0.0, 1.0)


def _answers(one: Array, two: Array, how: str) -> Markup:
    off = np.abs(one - two)
    order = np.argsort(-off, kind="stable")[:OUTPUTS] if len(one) > LONGEST else np.arange(len(one))
    rows = [(count(int(k)), _number(one[k]), _number(two[k]), _number(off[k])) for k in order]
    said = f"The {OUTPUTS} of {count(len(one))} output entries that differ most" if len(one) > LONGEST else "All output entries"
    return joined(tag("p", f"{said}, executed in {how}:", class_="note"), table(("output", "original", "other", "apart"), rows, numbers=(0, 1, 2, 3)))


def _number(x: float) -> str:
    return f"{float(x):.4g}"


def run(graphs: Sequence[Graph], inputs: Sequence[Array], double: bool) -> tuple[Array, Array] | None:
    """All outputs of both networks for one example, in a row; None where torch cannot run them."""
    import torch

    from lumpnet.lower.torch import lower_graph

    found = []
    try:
        for graph in graphs:
            wide = np.float64 if double or execution_dtype(graph) == "float64" else np.float32
            batch = [torch.from_numpy(np.asarray(x, wide if x.dtype.kind == "f" else x.dtype)[None]) for x in inputs]
            with torch.no_grad():
                out = lower_graph(graph).to(torch.from_numpy(np.zeros(1, wide)).dtype)(*batch)
            found.append(np.concatenate([o.detach().double().numpy().reshape(-1) for o in ([out] if isinstance(out, torch.Tensor) else out)]))
    except (LumpnetError, RuntimeError):
        return None
    return (found[0], found[1]) if len(found[0]) == len(found[1]) else None


def origin(files: Sequence[tuple[str, object, str]], options: Mapping[str, object], seconds: Mapping[str, float], check: object = None) -> Markup:
    """(role, name, SHA-256) of every file, and how the answer was made."""
    rows = [(role, name(basename(given)), tag("span", sha256, class_="hash")) for role, given, sha256 in files]
    spent = ", ".join(f"{phase} {s:.3g}" for phase, s in seconds.items())
    said = "; ".join(f"{key} {basename(value)[:80]}" for key, value in options.items() if value is not None and value is not False)
    terms = [("lumpnet", __version__), ("options", said or "none"), ("seconds", f"{spent} (in all {sum(seconds.values()):.3g})"), ("check it yourself", check)]
    return section("Where this comes from", table(("", "name", "SHA-256 of the network file"), rows), facts(terms))
