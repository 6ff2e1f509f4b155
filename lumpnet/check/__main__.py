"""`python -m lumpnet.check ORIGINAL REDUCED CERTIFICATE [--json]`: exit 0 proved, 1 refuted, 3 unknown, 2 unreadable or misused."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from lumpnet.check.run import check_files
from lumpnet.errors import LumpnetError
from lumpnet.verdict import Proved, Refuted, Unknown, Verdict


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m lumpnet.check", description="Check that a certificate proves two network files equal.")
    for name in ("original", "reduced", "certificate"):
        parser.add_argument(name, metavar=name.upper())
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    try:
        verdict = check_files(options.original, options.reduced, options.certificate)
    except LumpnetError as error:
        print(ascii_line(" ".join(str(error).split())), file=sys.stderr)
        return 2
    report = _report(verdict)
    if options.json:
        print(json.dumps(report))
    else:
        print(ascii_line(f"{report['verdict']} (rounding: {report['rounding']}): {'; '.join(report['claims']) or report['reason']}"))
    return verdict.exit_code


def _report(verdict: Verdict) -> dict[str, Any]:
    match verdict:
        case Proved():
            return _json(verdict.claim, verdict.rounding, "every obligation holds", verdict.statements, verdict.vouched_by)
        case Refuted():
            return _json("refuted", None, f"the {verdict.what} is refuted: {verdict.reason}")
        case Unknown():
            return _json("unknown", None, verdict.reason)


def _json(verdict: str, rounding: str | None, reason: str, claims: tuple[str, ...] = (), vouched_by: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"verdict": verdict, "rounding": rounding, "reason": reason, "claims": list(claims), "vouched_by": list(vouched_by)}


def ascii_line(text: str) -> str:
    """The text on one line of printable ASCII: names come from files and are shown, not obeyed."""
    return "".join(c if " " <= c <= "~" else ascii(c)[1:-1] for c in text)


if __name__ == "__main__":
    sys.exit(main())
