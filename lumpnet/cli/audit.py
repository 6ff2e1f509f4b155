"""`lumpnet audit`: an interval that holds the largest difference of two networks on a domain, and the input that attains its lower end."""

from __future__ import annotations

import io
import math
import textwrap
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lumpnet.audit.api import audit as run
from lumpnet.audit.result import Audit, short
from lumpnet.cli.console import count, fail, out, print_json, printable, progress, reported, visible
from lumpnet.domain import read_array, read_domain
from lumpnet.figures import above, below
from lumpnet.ir import write_whole

EXIT = {"equivalent": 0, "bounded": 0, "refuted": 1, "unknown": 3}
SHOWN = 8
"""Operators whose residuals are printed."""


def audit(
    model: Path,
    other: Path,
    domain: str,
    epsilon: float | None,
    top1: bool,
    data: Path | None,
    timeout: float,
    certificate: Path | None = None,
    report: Path | None = None,
    *,
    json: bool,
    quiet: bool,
) -> int:
    """Returns the exit code of the verdict; the witness of a refutation is saved beside OTHER."""
    if epsilon is not None and not (math.isfinite(epsilon) and epsilon >= 0):
        fail(f"--epsilon {epsilon}: Expected a number of 0 or more. Try: --epsilon 0.001")
    if not (math.isfinite(timeout) and timeout > 0):
        fail(f"--timeout {timeout}: Expected seconds. Try: --timeout 60")
    reported(report, [path for path in (model, other, data, certificate) if path is not None])
    box = read_domain(domain)
    examples = None if data is None else read_array(str(data))
    with progress(not json and not quiet) as tell:

        def told(boxes: int, upper: float | None, lower: float) -> None:
            tell(f"{count(boxes)} boxes, largest difference between {below(lower)} and {'?' if upper is None else above(upper)}")

        tell("lift, attack")
        found = run(model, other, domain=box, epsilon=epsilon, top1=top1, data=examples, timeout=timeout, certificate=certificate, progress=told)
    saved = _save(found, other)
    if report is not None:
        found.save_report(report, options={"domain": domain, "data": data})
    if json:
        print_json(found.as_dict() | {"witness_file": None if saved is None else str(saved)})
        return EXIT[found.verdict]
    if not quiet:
        _print(found)
        if report is not None:
            out.print(f"report: {printable(report)}", soft_wrap=True)
    out.print(printable(found.line()), soft_wrap=True)
    if saved is not None:
        out.print(f"witness saved as {printable(saved)}", soft_wrap=True)
    return EXIT[found.verdict]


def _print(found: Audit) -> None:
    top = "no upper bound" if found.upper_bound is None else f"at most {above(found.upper_bound)}"
    _entry("certified", f"{top}, in real arithmetic")
    _entry("attained", f"{below(found.lower_bound)}" + (f" at {short(found.witness)}" if found.witness else ""))
    if found.top1 is not None:
        _entry("top-1", found.top1_line())
    if found.observed is not None:
        _entry("observed", found.observed_line())
    for k, source in enumerate(found.residuals[:SHOWN]):
        _entry("enters by" if k == 0 else "", str(source))
    if found.lossless is not None:
        _entry("by lumping", str(found.lossless))
    _entry("effort", f"{count(found.boxes)} boxes in {found.seconds:.1f} s")
    out.print()


def _entry(title: str, text: str) -> None:
    for k, line in enumerate(textwrap.wrap(visible(text), max(40, out.width - 13))):
        out.print(f"  {title if k == 0 else '':<10} {printable(line)}", soft_wrap=True)


def _save(found: Audit, other: Path) -> Path | None:
    """The input that refutes, for `numpy.load`: one array by input, one example."""
    if found.verdict != "refuted":
        return None
    exceeds = found.epsilon is not None and found.lower_bound > found.epsilon
    inputs = found.witness if exceeds or found.top1 is None else found.top1.inputs
    if inputs is None:
        return None
    path = other.with_name(f"{other.name}.witness.npz")
    write_whole(path, npz(inputs))
    return path


def npz(arrays: Mapping[str, np.ndarray[Any, Any]]) -> bytes:
    """As `numpy.savez`, for any names."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
    return whole.getvalue()
