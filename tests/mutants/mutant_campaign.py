"""A campaign: damage correct triples, ask the checker, and decide the truth of every proof by exact evaluation."""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import mutant_single
from mutant_meaning import Exact, Roots, Undefined, exactly, outputs
from mutant_operators import BROKEN, OPERATORS
from mutant_pool import pool
from mutant_rebuild import misrounded, quotient_params
from mutant_triples import Net, Triple, check

from lumpnet.errors import LumpnetError
from lumpnet.verdict import Proved, Unknown

ANSWERS = ("refuted", "unknown", "unreadable", "accepted")


def fresh_seed() -> int:
    """A new seed each time, or the one that LUMPNET_SEED asks for."""
    return int(os.environ.get("LUMPNET_SEED") or random.SystemRandom().randrange(1 << 32))


class Judge:
    """Decides whether two networks are equal, remembering what it has evaluated."""

    def __init__(self) -> None:
        self.roots = Roots()
        self.seen: dict[bytes, list[Exact]] = {}

    def outputs(self, net: Net, on: Net) -> list[Exact]:
        """On the points of the network `on`: an integer that one of its tables lacks is outside of every claim."""
        data = net.data() + (b"" if net is on else on.data())
        if data not in self.seen:
            if len(self.seen) > 200:
                self.seen.clear()
            self.seen[data] = outputs(net, self.roots, on=on)
        return self.seen[data]

    def differs(self, t: Triple) -> str | None:
        """How what was proved of the triple is false, or None. Raises `Undefined` where a network has no values."""
        if [v["name"] for v in t.g.graph["inputs"]] != [v["name"] for v in t.h.graph["inputs"]]:
            return "the inputs differ"
        if t.g.graph["outputs"] != t.h.graph["outputs"]:
            return "the outputs differ"
        if t.rounding == "nearest":
            exact = quotient_params(t.g, t.h, t.lumpings)
            wrong = misrounded(t.h, exact)
            if wrong is not None:
                return f"not the quotient's rounding: {wrong}"
            its = outputs(t.h, self.roots, {name: {role: exactly(x) for role, x in p.items()} for name, p in exact.items()}, on=t.g)
        else:
            its = self.outputs(t.h, t.g)
        mine = self.outputs(t.g, t.g)
        if len(mine) == len(its) and all(a.same(b) for a, b in zip(mine, its, strict=True)):
            return None
        return "the outputs differ at a sampled input"


@dataclass
class Result:
    """Counts by operator and answer; `wrong` are proofs of something false, `stopped` internal errors of the checker."""

    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    wrong: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    undefined: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    mutants: int = 0

    def __iadd__(self, other: Result) -> Result:
        for name, counts in other.counts.items():
            self.counts[name].update(counts)
        self.kinds.update(other.kinds)
        for mine, its in ((self.wrong, other.wrong), (self.stopped, other.stopped), (self.undefined, other.undefined)):
            mine += its
        self.mutants += other.mutants
        return self

    def totals(self) -> Counter[str]:
        return sum(self.counts.values(), Counter())

    def table(self) -> str:
        names = sorted(self.counts)
        lines = [f"{'operator':42}" + "".join(f"{answer:>12}" for answer in ANSWERS)]
        total = self.totals()
        for name in names:
            lines.append(f"{name:42}" + "".join(f"{self.counts[name][answer]:>12}" for answer in ANSWERS))
        lines.append(f"{'all':42}" + "".join(f"{total[answer]:>12}" for answer in ANSWERS))
        return "\n".join(lines)


Base = tuple[Triple, tuple[bytes, bytes, bytes]]


def bases(rng: random.Random, folder: Path) -> list[Base]:
    """Correct triples: the pool's, and one around every kind of operator."""
    found = [(t, t.files()) for t in pool(rng.randrange(1 << 30), 2)]
    for name in mutant_single.CASES:
        for _ in range(20):
            triple = mutant_single.draw(name, rng)
            if triple is not None and _proved(files := triple.files(), folder):
                triple.label = f"around {name}"
                found.append((triple, files))
                break
    return found


def _proved(files: tuple[bytes, bytes, bytes], folder: Path) -> bool:
    with suppress(LumpnetError):
        return isinstance(check(files, folder), Proved)
    return False


def _applies(name: str, triple: Triple, rng: random.Random) -> bool:
    """Whether the operator found what it changes; a triple that is odd already may give it nothing to hold on to."""
    with suppress(*BROKEN):
        return OPERATORS[name](triple, rng)
    return False


def campaign(seed: int, mutants: int, folder: Path, only: set[str] | None = None, until_wrong: bool = False) -> Result:
    """At least `mutants` effective mutants (files that differ from the correct triple's). `until_wrong` stops at the first finding."""
    rng, result, judge = random.Random(seed), Result(), Judge()
    names = sorted(only or OPERATORS)
    found: list[Base] = []
    barren: Counter[tuple[int, str]] = Counter()
    turn = 0
    while result.mutants < mutants:
        if turn % (40 * len(names)) == 0:
            judge = Judge()
            found, barren = bases(rng, folder), Counter[tuple[int, str]]()
        name = names[turn % len(names)]
        turn += 1
        for at in rng.sample(range(len(found)), len(found)):
            if barren[at, name] == 3:
                continue
            base, clean = found[at]
            mutant, done = base.copy(), name
            if not _applies(name, mutant, rng):
                barren[at, name] += 1
                continue
            if rng.random() < 0.15:
                second = rng.choice(names)
                extra = mutant.copy()
                if _applies(second, extra, rng):
                    mutant, done = extra, f"{name} + {second}"
            files = mutant.files()
            if files == clean:
                continue
            result.mutants += 1
            result.kinds.update({node["kind"] for node in mutant.g.nodes})
            examine(result, judge, mutant, files, folder, name, f"seed {seed}, mutant {result.mutants}: {base.label}, {done}")
            break
        if until_wrong and result.wrong:
            break
    return result


def examine(result: Result, judge: Judge, mutant: Triple, files: tuple[bytes, bytes, bytes], folder: Path, name: str, story: str) -> None:
    try:
        verdict = check(files, folder)
    except LumpnetError:
        result.counts[name]["unreadable"] += 1
        return
    if not isinstance(verdict, Proved):
        result.counts[name]["unknown" if isinstance(verdict, Unknown) else "refuted"] += 1
        if isinstance(verdict, Unknown) and "the checker stopped" in verdict.reason:
            result.stopped.append(f"{story}: {verdict.reason}")
        return
    result.counts[name]["accepted"] += 1
    try:
        if mutant.spoil is not None and mutant.spoil[0] == "c":
            mutant.certificate = json.loads(files[2])
        bound = [mutant.certificate[role]["sha256"] for role in ("original", "reduced")]
        other = bound != [hashlib.sha256(data).hexdigest() for data in files[:2]]
        why = "a file that is not the bound one" if other else judge.differs(mutant)
    except Undefined as problem:
        result.undefined.append(f"{story}: {problem}")
    except Exception as problem:  # whatever the judge cannot evaluate, the checker should not have proved
        result.wrong.append(f"{story}: the judge stops with {type(problem).__name__}: {problem}")
    else:
        if why is not None:
            result.wrong.append(f"{story}: {why}")
            keep = os.environ.get("LUMPNET_KEEP")
            if keep:
                place = Path(keep) / f"{len(list(Path(keep).glob('*')))}"
                place.mkdir(parents=True)
                for file, data in zip(("g.safetensors", "h.safetensors", "c.json"), files, strict=True):
                    (place / file).write_bytes(data)
                (place / "story").write_text(result.wrong[-1])
