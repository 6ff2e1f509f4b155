"""`lumpnet check`: the independent checker's verdict on three files, and who vouches for what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lumpnet.api import check as run
from lumpnet.api import verdict_line
from lumpnet.cli.console import out, print_json, printable, progress
from lumpnet.verdict import Proved, Verdict, word


def check(original: Path, reduced: Path, certificate: Path, *, smt: bool, json: bool, quiet: bool) -> int:
    with progress(not json and not quiet) as tell:
        tell("checking")
        verdict = run(str(original), str(reduced), str(certificate), smt=smt)
    if json:
        print_json(as_dict(verdict))
        return verdict.exit_code
    out.print(printable(verdict_line(verdict)))
    if isinstance(verdict, Proved) and not quiet:
        for line in verdict.statements:
            out.print(f"  proved: {printable(line)}")
        for line in verdict.vouched_by:
            out.print(f"  vouched for by: {printable(line)}")
    return verdict.exit_code


def as_dict(verdict: Verdict) -> dict[str, Any]:
    """The object that `--json` prints; `rounding` is null unless something is proved."""
    return {
        "verdict": word(verdict),
        "rounding": getattr(verdict, "rounding", None),
        "reason": getattr(verdict, "reason", None),
        "claims": list(getattr(verdict, "statements", ())),
        "vouched_by": list(getattr(verdict, "vouched_by", ())),
    }
