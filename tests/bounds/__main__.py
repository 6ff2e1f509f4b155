"""`python -m tests.bounds --outputs 1000000 [--seed N]`: executed networks against the certified bound; exit code 1 for a violation."""

from __future__ import annotations

import argparse
import sys

from tests.bounds.campaign import main


def command() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bounds")
    parser.add_argument("--outputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    tally = main(asked.outputs, asked.seed)
    for what, count in sorted(tally.compared.items()):
        print(f"{count:>12,}  {what}")
    for reason, count in tally.without.most_common(12):
        print(f"{count:>12,}  without a bound: {reason}")
    print(
        f"{tally.outputs:,} outputs of {tally.networks:,} networks, {len(tally.violations)} violations, largest error / bound {tally.ratio:.6f} ({tally.where})"
    )
    for violation in tally.violations[:20]:
        print(f"violated: {violation}")
    return bool(tally.violations)


if __name__ == "__main__":
    sys.exit(command())
