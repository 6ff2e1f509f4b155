"""`python -m proofs [-v] [RULE ...]`: prove the lemmas, replay the converses, one line each.

Exit code 0 if every lemma holds, 1 if any does not, 2 for a rule that does not exist.
With `-v` every counterexample is told.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Sequence

from proofs.lemma import Counterexample, Fails, Lemma, Report
from proofs.registry import every, of_rule, rules

WIDTH = 80


def line(report: Report) -> str:
    match report.outcome:
        case Fails():
            result = "NOT SHOWN"
        case holds:
            count = len(holds.counterexamples)
            result = f"proved, {count} counterexample{'s' if count != 1 else ''}"
    return f"{report.name:32} {report.prover:6} {report.seconds:7.2f}  {result}"


def details(report: Report, verbose: bool) -> list[str]:
    """Why a lemma fails, always; what the counterexamples are, if asked."""
    match report.outcome:
        case Fails(reason):
            return _wrapped(reason)
        case holds:
            return [text for example in holds.counterexamples for text in _wrapped(_told(example))] if verbose else []


def _told(example: Counterexample) -> str:
    return f"without {example.drops!r} ({example.story}): {example.found}, not {example.claimed}"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="    ", subsequent_indent="    ")


def table(lemmas: Sequence[Lemma], verbose: bool) -> int:
    """Print the table as the proofs come in; returns the exit code."""
    print(f"{'lemma':32} {'prover':6} {'seconds':>7}  result")
    reports = []
    for lemma in lemmas:
        reports.append(lemma.report())
        print("\n".join([line(reports[-1]), *details(reports[-1], verbose)]), flush=True)
    failed = sum(isinstance(report.outcome, Fails) for report in reports)
    seconds = sum(report.seconds for report in reports)
    print(f"{len(reports)} lemmas, {failed} not shown, {seconds:.1f} seconds")
    return 1 if failed else 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m proofs", description="Prove the lemmas and replay their converses.")
    parser.add_argument("rules", nargs="*", metavar="RULE", help=f"one of: {', '.join(rules())} (default: all)")
    parser.add_argument("-v", "--verbose", action="store_true", help="tell every counterexample")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.rules) - set(rules()))
    if unknown:
        parser.error(f"no rule {unknown[0]!r}")
    chosen = [lemma for rule in options.rules for lemma in of_rule(rule)] if options.rules else every()
    return table(chosen, options.verbose)


if __name__ == "__main__":
    sys.exit(main())
