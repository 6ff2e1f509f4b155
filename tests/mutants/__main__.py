"""`python -m tests.mutants --count N --seed S`: damage N triples, ask the checker, judge every proof exactly.

Prints progress and the totals by verdict, and ends with 1 if anything false was proved. Runs of `CHUNK` mutants have seeds of their own, counted
from S, so `--count 10000 --seed S+k` repeats the k-th.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

CHUNK = 10_000


def main() -> int:
    from mutant_campaign import ANSWERS, Result, campaign, fresh_seed

    from lumpnet.check.rules import KINDS

    parser = argparse.ArgumentParser("python -m tests.mutants", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000, help="how many mutants (20000)")
    parser.add_argument("--seed", type=int, default=fresh_seed(), help="the first seed (fresh)")
    options = parser.parse_args()
    total, began, seed = Result(), time.monotonic(), options.seed
    print(f"{options.count} mutants from seed {seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        while total.mutants < options.count:
            found = campaign(seed, min(CHUNK, options.count - total.mutants), Path(folder))
            total += found
            answers = ", ".join(f"{total.totals()[answer]} {answer}" for answer in ANSWERS)
            rate = total.mutants / (time.monotonic() - began)
            print(f"seed {seed}: {total.mutants} mutants ({rate:.0f} a second): {answers}; wrongly accepted {len(total.wrong)}", flush=True)
            for story in (*found.wrong, *found.stopped):
                print(f"  !! {story}", flush=True)
            seed += 1
    print(total.table())
    print("mutants whose original holds an operator of the kind:")
    print(", ".join(f"{kind} {total.kinds[kind]}" for kind in sorted(KINDS)))
    print(f"proofs not judged because a network has no values there: {len(total.undefined)}")
    print(f"{total.mutants} mutants, {len(total.wrong)} wrongly accepted, {len(total.stopped)} stopped the checker, {time.monotonic() - began:.0f} s")
    return bool(total.wrong or total.stopped)


if __name__ == "__main__":
    sys.exit(main())
