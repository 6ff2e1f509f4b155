"""`lumpnet sweep`: what every size costs, certified above, attained below, measured on data."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

from rich.table import Table

from lumpnet.cli.console import below, count, fail, out, print_json, printable, progress, reported, visible
from lumpnet.cli.model import Given
from lumpnet.domain import read_domain
from lumpnet.sweeping import RELAXED, SIZES, Sweep, certified
from lumpnet.sweeping import sweep as run


def sweep(
    given: Given,
    domain: str,
    sizes: str | None,
    methods: list[str],
    layers: bool,
    data: Path | None,
    train: Path | None,
    boxes: int,
    seed: int,
    jobs: int,
    backend: str,
    target: Path | None,
    report: Path | None,
    *,
    json: bool,
    quiet: bool,
) -> int:
    """Returns 0 where every candidate has a certified bound, 3 where some have none."""
    shares = _sizes(sizes)
    read = [*given.files(), *(path for path in (data, train) if path is not None)]
    if target is not None and os.path.realpath(target) in {os.path.realpath(path) for path in read}:
        fail(f"{target}: the output would overwrite another file of this command. Try: another -o")
    reported(report, [*read, *([target] if target is not None else [])])
    box = read_domain(domain)
    with progress(not json and not quiet) as tell:
        model, example_inputs = given.arguments()
        found = run(
            model,
            example_inputs,
            domain=box,
            sizes=shares,
            methods=methods or [RELAXED],
            layers=layers,
            data=data,
            train=train,
            boxes=boxes,
            seed=seed,
            jobs=jobs,
            backend=backend,
            out=target,
            progress=tell,
        )
    if report is not None:
        found.save_report(report, options={"domain": domain, "data": data})
    bounded = sum(c.certified is not None for c in found.candidates)
    if json:
        print_json(found.as_dict())
    else:
        if not quiet:
            _print(found)
            for title, path in (("curve", target), ("report", report)):
                if path is not None:
                    out.print(f"{title}: {printable(path)}", soft_wrap=True)
        out.print(f"{'bounded' if bounded == len(found.candidates) else 'unknown'}: {bounded} of {len(found.candidates)} candidates have a certified bound")
    return 0 if bounded == len(found.candidates) else 3


def _sizes(text: str | None) -> tuple[float, ...]:
    if text is None:
        return SIZES
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        fail(f"--sizes {text}: Expected shares of the hidden units, between commas. Try: --sizes 0.9,0.75,0.5")


def _print(found: Sweep) -> None:
    several = len({c.method for c in found.candidates}) > 1
    by_layer, data, labels = any(c.layer for c in found.candidates), found.of["data"] is not None, found.accuracy is not None
    table = Table(box=None, pad_edge=False, header_style="bold")
    heads = [*(["method"] if several else []), *(["layer"] if by_layer else []), "size", "units", "certified", "attained"]
    heads += [*(["measured", "flips"] if data else []), *(["accuracy"] if labels else [])]
    for k, head in enumerate(heads):
        table.add_column(head, justify="left" if k < several + by_layer else "right", overflow="fold")
    for c in found.candidates:
        row = [*([c.method] if several else []), *([c.layer or "all"] if by_layer else []), f"{c.size:.0%}", count(c.units), certified(c), below(c.attained)]
        row += ["" if c.measured is None else f"{c.measured:.3g}", "" if c.flips is None else count(c.flips)] if data else []
        row += ["" if c.accuracy is None else f"{c.accuracy:.1%}"] if labels else []
        table.add_row(*map(printable, row))
    out.print(table)
    out.print()
    units = f"{count(found.original.size.units)} hidden units before"
    means = "On the domain every output differs by at most what is certified, and at some input one differs by what is attained."
    said = f"{units}{'' if found.accuracy is None else f', accuracy {found.accuracy:.1%}'}. {means}"
    for line in textwrap.wrap(said, max(40, out.width)):
        out.print(line, soft_wrap=True)
    for reason in dict.fromkeys(c.reason for c in found.candidates if c.reason):
        for line in textwrap.wrap(visible(reason), max(40, out.width)):
            out.print(printable(line), soft_wrap=True)


__all__ = ["sweep"]
