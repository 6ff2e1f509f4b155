"""`python -m tests.codemutants`: change the checker's code, one small thing at a time, and see whether its tests' corpus notices.

Changes that nothing notices must be argued for in `tests/check/survivors.txt`; the command ends with 1 where one is not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]
SURVIVORS = HERE.parent / "check" / "survivors.txt"


def argued() -> dict[str, str]:
    """Changes that may survive, and why."""
    found, reason = {}, ""
    for line in SURVIVORS.read_text().splitlines():
        if line.startswith("## "):
            reason = line[3:]
        elif line and not line.startswith("#"):
            found[line] = reason
    return found


def main() -> int:
    from codemutant_changes import Change
    from codemutant_corpus import corpus
    from codemutant_engine import Engine, Found, sample

    parser = argparse.ArgumentParser("python -m tests.codemutants", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sample", type=int, help="so many changes, drawn by the seed (all)")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", default="", help="changes whose key contains this")
    parser.add_argument("--list", action="store_true", help="print the survivors that are argued for, too")
    options = parser.parse_args()
    known = argued()
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        cases = corpus(Path(folder), 1)
        engine = Engine(cases)
        proved = sum(case.answer.startswith("Proved") for case in cases)
        print(f"corpus: {len(cases)} questions, {proved} of them are to be proved; {time.monotonic() - began:.0f} s", flush=True)
        wanted = sample([c for c in engine.loader.changes() if options.only in c.key], options.sample, options.seed)
        print(f"{len(wanted)} changes, seed {options.seed}", flush=True)

        def progress(done: int, change: Change, found: Found) -> None:
            word = "SURVIVED" if change.key in found.survived else "UNREACHED" if change.key in found.unreached else ""
            if word and (options.list or change.key not in known):
                print(f"{word} {change.key}" + (f" ({known[change.key]})" if change.key in known else ""), flush=True)
            if done % 200 == 0:
                print(
                    f"{done} changes: {found.killed} noticed, {len(found.survived)} not, {len(found.unreached)} not reached ({time.monotonic() - began:.0f} s)",
                    flush=True,
                )

        found = engine.run(wanted, progress)
    left = {**found.survived, **found.unreached}
    open_ones = [key for key in left if key not in known]
    print(
        f"{len(wanted)} changes: {found.killed} noticed ({found.accepting} by a false certificate they let pass), {len(left) - len(open_ones)} argued, ", end=""
    )
    print(f"{len(open_ones)} open; {time.monotonic() - began:.0f} s")
    return bool(open_ones)


if __name__ == "__main__":
    sys.exit(main())
