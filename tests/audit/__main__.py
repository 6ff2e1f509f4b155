"""`python -m tests.audit --evaluations 100000 [--seed N]`: inputs that try to contradict what audits print; exit code 1 for a violation."""

from __future__ import annotations

import argparse
import secrets
import sys

from tests.audit.campaign import campaign, told


def command(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.audit")
    parser.add_argument("--evaluations", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--timeout", type=float, default=0.3, help="seconds that an audit may search")
    asked = parser.parse_args(arguments)
    seed = secrets.randbelow(2**31) if asked.seed is None else asked.seed
    print(f"seed {seed}", flush=True)
    tally = campaign(seed, asked.evaluations, asked.timeout)
    print("\n".join(told(tally, seed)))
    return int(bool(tally.violations))


if __name__ == "__main__":
    sys.exit(command())
