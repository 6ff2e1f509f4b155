"""`python -m tests.codemutants`: change the checker's code, one small thing at a time, and see whether its tests' corpus notices.

Changes that nothing notices must be argued for in `tests/check/survivors.txt`; the command ends with 1 where one is not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]
FURTHER = (1, 2, 3)
"""Seeds of drawn questions: the later ones for what nobody argues for and the earlier ones did not notice."""
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
    from codemutant_corpus import by_chance, by_hand
    from codemutant_engine import Engine, Found, sample

    parser = argparse.ArgumentParser("python -m tests.codemutants", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sample", type=int, help="so many of the changes that nobody argues for, drawn by the seed (all, in hours)")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", nargs="*", default=[""], help="changes whose key contains one of these")
    parser.add_argument("--list", action="store_true", help="print the survivors that are argued for, too")
    options = parser.parse_args()
    known, began = argued(), time.monotonic()

    def say(text: str) -> None:
        print(f"{text} ({time.monotonic() - began:.0f} s)", flush=True)

    def progress(done: int, change: Change, found: Found) -> None:
        if done % 200 == 0:
            say(f"{done} changes: {found.killed} noticed, {len(found.survived) + len(found.unreached)} not")

    with tempfile.TemporaryDirectory() as folder, by_chance(Path(folder), FURTHER[0]) as more_questions:
        engine = Engine(by_hand(Path(folder)))
        every = engine.loader.changes()
        if stale := known.keys() - {change.key for change in every}:
            print("\n".join(["argued for in tests/check/survivors.txt, yet no change of the code:", *sorted(stale)]))
            return 2
        asked = [c for c in every if any(part in c.key for part in options.only) and (options.sample is None or c.key not in known)]
        wanted = sample(asked, options.sample, options.seed)
        say(f"{len(engine.cases)} questions written by hand, {len(wanted)} changes drawn by the seed {options.seed}")
        found = engine.run(wanted, progress)
        left = {**found.survived, **found.unreached}
        for seed in FURTHER:
            again = [change for change in left.values() if seed == FURTHER[0] or change.key not in known]
            if not again:
                break
            with nullcontext(more_questions) if seed == FURTHER[0] else by_chance(Path(folder) / str(seed), seed) as questions:
                engine.add(questions())
            say(f"{len(engine.cases)} questions with those that are recorded and drawn, for {len(again)} changes that are left")
            more = engine.run(again, progress)
            for change in again:
                if change.key in known and change.key not in more.survived and change.key not in more.unreached:
                    say(f"ARGUED, YET NOTICED {change.key}")
            found.killed, found.accepting = found.killed + more.killed, found.accepting + more.accepting
            asked_now = {change.key for change in again}
            left = {key: change for key, change in left.items() if key not in asked_now} | more.survived | more.unreached
    for key in left:
        if options.list or key not in known:
            say(f"SURVIVED {key}" + (f": {known[key]}" if key in known else ""))
    open_ones = [key for key in left if key not in known]
    noticed = f"{found.killed} noticed ({found.accepting} by a false certificate that they let pass)"
    say(f"{len(wanted)} changes: {noticed}, {len(left) - len(open_ones)} argued, {len(open_ones)} open; seed {options.seed}")
    return bool(open_ones)


if __name__ == "__main__":
    sys.exit(main())
