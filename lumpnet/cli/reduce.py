"""`lumpnet reduce`: write the smaller network and its certificate, say what left and why."""

from __future__ import annotations

import math
import os
import textwrap
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.table import Table

from lumpnet.api import Reduction, verdict_line
from lumpnet.api import reduce as run
from lumpnet.bounds import CLAIM
from lumpnet.cli.console import above, below, count, fail, out, percent, print_json, printable, progress, reported, visible
from lumpnet.cli.model import Given
from lumpnet.domain import read_domain
from lumpnet.executing import AsExecuted
from lumpnet.lump.relaxed import Goal
from lumpnet.network import beside
from lumpnet.pruning import Pruning
from lumpnet.quotient.explain import RULES


def reduce(
    given: Given,
    target: Path,
    certificate: Path | None,
    require: str,
    dtype: str | None,
    domain: str | None = None,
    near: Mapping[str, Any] = MappingProxyType({}),
    report: Path | None = None,
    *,
    json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Returns the exit code of the checker's verdict; networks and certificate are written only for a proved one, the report always."""
    if target.suffix not in (".safetensors", ".onnx"):
        what = "a lumpnet network file or an ONNX model, so its name ends in .safetensors or .onnx"
        fail(f"{target}: the output is {what}. Try: -o {target.with_suffix('.safetensors')}")
    certificate = certificate or target.with_name(f"{target.name}.cert.json")
    networks = [p for p in beside(target) if p != target] if target.suffix == ".onnx" or not given.is_network else []
    files = (target, certificate, *networks)
    if len({os.path.realpath(p) for p in (*given.files(), *files)}) < len(given.files()) + len(files):
        fail("the model, the output and the certificate are three different files. Try: another -o or --certificate")
    for path in files:
        if path.is_dir() or not path.parent.is_dir():
            fail(f"{path}: cannot be written. Expected a file in an existing folder. Try: another -o or --certificate.")
    if require == "exact" and any(x is not None for x in near.values()):
        fail("--require exact rounds no weight, and merging what is only nearly redundant changes weights. Try: leave one of them out")
    try:
        _ = Goal(**near) if any(x is not None for x in near.values()) else None
    except ValueError as problem:
        fail(f"--tolerance, --budget and --size: {problem}")
    reported(report, (*given.files(), *files))
    box = None if domain is None else read_domain(domain)
    with progress(not json and not quiet) as tell:
        tell("lift")
        result = run(*given.arguments(), require=require, dtype=dtype, domain=box, folder=target.parent, progress=tell, **near)
        tell("execute")
        apart = None if box is None else result.executed(box)
    if result.verdict.exit_code == 0:
        result.save(target, certificate)
        if target.suffix == ".safetensors" and networks:
            result.original.save(networks[0])
    if report is not None:
        result.save_report(report, names=(given.model, target.name, certificate.name), executed=apart, options={"domain": domain})
    if json:
        print_json(result.as_dict() | ({} if apart is None else {"executed": apart.as_dict()}))
        return result.verdict.exit_code
    if not quiet:
        print_sizes(result)
        print_rules(result, verbose)
        if result.moved is not None:
            what = "rounded weights move" if result.certificate.moved is None else "merges and rounded weights move"
            for line in textwrap.wrap(f"{what} an output {visible(result.moved)}", max(40, out.width)):
                out.print(printable(line), soft_wrap=True)
        if apart is not None:
            print_executed(apart, str(domain), result.certificate.moved is not None)
        for who in getattr(result.verdict, "vouched_by", ()):
            out.print(f"vouched for by: {printable(who)}")
        if result.verdict.exit_code == 0:
            out.print(f"wrote {', '.join(printable(p) for p in files[:-1])} and {printable(files[-1])}", soft_wrap=True)
        if report is not None:
            out.print(f"report: {printable(report)}", soft_wrap=True)
    out.print(printable(verdict_line(result.verdict)), soft_wrap=True)
    return result.verdict.exit_code


def print_executed(apart: AsExecuted, domain: str, near: bool) -> None:
    """What floating point adds to the equality, or, of units that are only nearly redundant, to the bound: certified above, observed below."""
    off = [f"the {which} at most {above(e.bound)} off" for which, e in (("original", apart.original), ("reduced", apart.reduced)) if e.bound is not None]
    certified = apart.reason or f"at most {above(apart.bound or 0.0)} apart"
    out.print(f"executed in {apart.dtype} on {printable(domain)}, the two networks round differently:")
    _entry("certified", f"{certified} ({', '.join(off)})" if off else certified)
    _entry("observed", _seen(apart))
    if off:
        _entry("for", CLAIM)
    for assumed in sorted({a for a in (apart.original.assumes, apart.reduced.assumes) if a and off}):
        _entry("assumed", assumed)
    same = "the same units as without a domain: what is claimed of the real functions is claimed for every input"
    _entry("merged", "units that are only nearly redundant: what is claimed of the real functions is claimed on the domain" if near else same)
    out.print()


def _seen(apart: AsExecuted) -> str:
    if apart.observed is None:
        return "nothing: the networks could not be run here"
    how = f"{count(apart.tried)} inputs tried with torch here"
    if math.isinf(apart.observed):
        return f"one of them overflows where the other does not ({how}; --json has the input)"
    return f"{below(apart.observed)} apart at the worst of {how} (--json has it)"


def _entry(title: str, text: str) -> None:
    for k, line in enumerate(textwrap.wrap(visible(text), max(40, out.width - 13))):
        out.print(f"  {title if k == 0 else '':<10} {printable(line)}", soft_wrap=True)


def print_sizes(result: Reduction | Pruning) -> None:
    before, after = result.original.size, result.network.size
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "before", "after", ""):
        table.add_column(column, justify="left" if not table.columns else "right")
    for name in ("units", "parameters", "bytes", "multiply_adds"):
        a, b = getattr(before, name), getattr(after, name)
        table.add_row(
            {"units": "hidden units", "bytes": "bytes of weights", "multiply_adds": "multiply-adds"}.get(name, name), count(a), count(b), percent(a, b)
        )
    out.print(table)


def print_rules(result: Reduction, verbose: bool = True) -> None:
    """Units removed, per layer and rule."""
    used = [rule for rule in RULES if rule in result.totals()]
    if not used:
        out.print("\nNo exact redundancy: every unit is needed. The network is unchanged.")
    else:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("layer", overflow="fold")
        table.add_column("units", justify="right")
        for rule in used:
            table.add_column(rule, justify="right")
        for layer, rules in result.rules.items():
            if rules or verbose:
                kept = _units(result, layer)
                table.add_row(printable(layer), f"{kept + sum(rules.values())} -> {kept}", *(str(rules.get(rule, "")) for rule in used))
        table.add_row("total", "", *(str(result.totals()[rule]) for rule in used), style="bold")
        out.print()
        out.print(table)
    for operator, reason in result.pinned:
        out.print(f"pinned: {printable(operator)}: {printable(reason)}")
    if result.declined:
        out.print(f"declined, because weights would have been rounded: {result.declined} more units (--require nearest removes them)")
    out.print()


def _units(result: Reduction, layer: str) -> int:
    from lumpnet.ops.sites import sites

    for site in sites(result.network.graph):
        if site.node.name == layer:
            return site.units
    return 0
