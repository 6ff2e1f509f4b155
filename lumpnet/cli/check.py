"""`lumpnet check`: the independent checker's verdict on three files, and who vouches for what."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import Any

from lumpnet.api import check as run
from lumpnet.api import verdict_line
from lumpnet.cli.console import out, print_json, printable, progress
from lumpnet.ir import write_whole
from lumpnet.verdict import Proved, Refuted, Verdict, word


def check(original: Path, reduced: Path, certificate: Path, *, smt: bool, json: bool, quiet: bool) -> int:
    with progress(not json and not quiet) as tell:
        tell("checking")
        verdict = run(str(original), str(reduced), str(certificate), smt=smt)
    witness = _save_witness(verdict, certificate)
    if json:
        print_json(as_dict(verdict))
        return verdict.exit_code
    out.print(printable(verdict_line(verdict)), soft_wrap=True)
    if witness is not None:
        out.print(f"witness: {printable(verdict.witness)}\nsaved as {printable(witness)}")  # type: ignore[union-attr]
    if isinstance(verdict, Proved) and not quiet:
        for line in verdict.statements:
            out.print(f"  proved: {printable(line)}")
        for line in verdict.vouched_by:
            out.print(f"  vouched for by: {printable(line)}")
    return verdict.exit_code


def _save_witness(verdict: Verdict, certificate: Path) -> Path | None:
    """An input on which the networks differ is saved beside the certificate."""
    if not isinstance(verdict, Refuted) or verdict.witness is None:
        return None
    path = certificate.with_name(f"{certificate.name}.witness.json")
    write_whole(path, dumps(verdict.witness, indent=2).encode())
    return path


def as_dict(verdict: Verdict) -> dict[str, Any]:
    """The object that `--json` prints; `rounding` is null unless something is proved."""
    return {
        "verdict": word(verdict),
        "rounding": getattr(verdict, "rounding", None),
        "reason": getattr(verdict, "reason", None),
        "witness": getattr(verdict, "witness", None),
        "claims": list(getattr(verdict, "statements", ())),
        "vouched_by": list(getattr(verdict, "vouched_by", ())),
    }
