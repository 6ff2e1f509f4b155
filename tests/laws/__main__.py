"""Look for networks on which the search is less coarse than the brute-force reference: no false claim, but units that could have left.

python -m tests.laws [--count 1000] [--seed S] [FAMILY ...]
"""

from __future__ import annotations

import argparse
import os

from lumpnet.testing import FAMILIES
from tests.laws.test_recovery import case
from tests.reference import reference_counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("families", nargs="*", default=sorted(FAMILIES))
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(5), "big"))
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    equal = coarser = finer = 0
    for k in range(given.count):
        one = case.__wrapped__(given.families[k % len(given.families)], "planted", given.seed + k)
        wanted = reference_counts(one.graph)
        above = {v: (n, wanted[v]) for v, n in one.counts.items() if n > wanted[v]}
        equal, finer = equal + (one.counts == wanted), finer + bool(above)
        coarser += not above and one.counts != wanted
        if above:
            print(f"{one.label}: (product, reference) {above}", flush=True)
    print(f"{given.count} networks: {equal} equal to the reference, {coarser} coarser (and provable), {finer} finer")


if __name__ == "__main__":
    main()
