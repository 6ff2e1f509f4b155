"""What the changed checker is asked: every triple of files that the tests of the checker know, thousands of drawn ones, and exact arithmetic by itself."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction as F
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from codemutant_engine import ROOT, Case
from codemutant_readers import readers
from codemutant_rules import effects, masks, shortcuts
from codemutant_tables import tables

RECORDED = ("tests/check", "tests/mutants/test_forgeries.py", "tests/hostile/test_hostile.py")
LEFT_OUT = "not random and not damage and not real_commands and not pool_of and not command"
DRAWN = 30
DAMAGED = 1200


def recorded(folder: Path) -> None:
    """Run the tests of the checker and keep what they ask it."""
    paths = [str(ROOT), str(Path(__file__).parent)]
    environment = os.environ | {"LUMPNET_RECORD": str(folder), "PYTHONPATH": os.pathsep.join(paths), "LUMPNET_SEED": "1", "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-x", "-p", "codemutant_recorder", "-p", "no:cacheprovider", "-k", LEFT_OUT, *RECORDED]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the tests that are recorded fail: {done.stdout[-2000:]}{done.stderr[-500:]}")


def drawn(folder: Path, seed: int) -> None:
    """Lumpings guessed around every operator, and damaged triples."""
    sys.path.insert(0, str(ROOT / "tests/mutants"))
    import mutant_single
    from mutant_campaign import bases
    from mutant_operators import BROKEN, OPERATORS

    rng = random.Random(seed)
    found = []
    for name in mutant_single.CASES:
        found += [(f"{name}-{k}", t.files()) for k in range(DRAWN) if (t := mutant_single.draw(name, rng)) is not None]
    with tempfile.TemporaryDirectory() as scratch:
        pool = bases(rng, Path(scratch))
    found += [(f"base-{k}", files) for k, (_, files) in enumerate(pool)]
    names = sorted(OPERATORS)
    for k in range(DAMAGED):
        triple = rng.choice(pool)[0].copy()
        try:
            if OPERATORS[names[k % len(names)]](triple, rng):
                found.append((f"{names[k % len(names)].replace(' ', '-')}-{k}", triple.files()))
        except BROKEN:
            continue
    for name, files in found:
        (folder / name).mkdir()
        for file, data in zip(("g.safetensors", "h.safetensors", "c.json"), files, strict=True):
            (folder / name / file).write_bytes(data)


def triples(folder: Path) -> Iterator[Case]:
    for place in sorted(folder.iterdir()):
        yield Case(place.name, partial(_verdict, place))


def _verdict(place: Path, check: Callable[..., Any]) -> str:
    return said(check(place / "g.safetensors", place / "h.safetensors", place / "c.json"))


def said(verdict: Any) -> str:
    """The verdict without the words of a refusal."""
    if "the checker stopped" in getattr(verdict, "reason", ""):
        return f"{type(verdict).__name__} stopped"
    more = (verdict.statements, verdict.rounding, verdict.vouched_by) if hasattr(verdict, "statements") else ()
    return type(verdict).__name__ + "".join(map(str, more))


def forged(folder: Path) -> list[Case]:
    """The certificates written by hand: those of every rule, and the forged ones, each refused at the condition that it violates."""
    sys.path.insert(0, str(ROOT / "tests/check"))
    import test_refuses
    import test_refuses_conditions
    import test_refuses_recurrent
    from catalog import CASES

    found: list[tuple[str, Any, str | None]] = []
    for tests in (test_refuses, test_refuses_recurrent, test_refuses_conditions):
        for law, (name, breaking, message) in tests.FORGERIES.items():
            found.append((f"forged: {law}", CASES[name]().broken(breaking), message))
    found += [(f"malformed: {what}", triple, message) for what, (triple, message) in test_refuses_conditions.malformed().items()]
    found += [(f"by hand: {name}", make(), None) for name, make in CASES.items()]
    cases = []
    for k, (name, triple, message) in enumerate(found):
        place = folder / f"{k}"
        place.mkdir()
        triple.write(place)
        cases.append(Case(name, partial(_verdict, place) if message is None else partial(_refusal, place, message), forged=True))
    return cases


def bounded(folder: Path) -> list[Case]:
    """Bounded certificates that claim just what the checker finds, a little less, and those that are refused."""
    sys.path.insert(0, str(ROOT / "tests/check"))
    import bounded as written
    import test_bounded

    from lumpnet.certificate import Effect

    cases = []

    def enter(name: str, triple: Any, forged: bool, message: str | None = None) -> None:
        place = folder / f"{len(cases)}"
        place.mkdir()
        triple.write(place)
        cases.append(Case(f"bounded: {name}", partial(_verdict, place) if message is None else partial(_refusal, place, message), forged=forged))

    for name, (build, _) in written.CASES.items():
        for box in (written.UNIT, None):
            triple = build()
            triple.effect = Effect(0.0, 0.0, box)
            (folder / "asked").mkdir(exist_ok=True)
            own = test_bounded.everything_found(triple, folder / "asked")
            less = [(np.nextafter(own.alpha, 0), own.beta), (own.alpha, np.nextafter(own.beta, 0))]
            for k, (alpha, beta) in enumerate([(own.alpha, own.beta), *less]):
                if k == 0 or (alpha, beta) != (own.alpha, own.beta):
                    triple = build()
                    triple.effect = Effect(float(alpha), float(beta), box)
                    enter(f"{name}, {'all inputs' if box is None else 'a box'}, {k}", triple, k > 0)
    for make, distance in written.BELOW.items():
        triple = make()
        triple.effect = Effect(distance * 0.99, 0.0, written.UNIT)
        enter(make.__name__, triple, True)
    for what, (name, breaking, message) in test_bounded.REFUSED.items():
        triple = written.CASES[name][0]()
        triple.effect = Effect(1e6, 0.0, written.UNIT)
        enter(what, triple.broken(breaking), True, message)
    for k, (change, _) in enumerate(test_bounded.UNREADABLE):
        place = folder / f"unreadable{k}"
        place.mkdir()
        written.merged().write(place)
        (place / "c.json").write_bytes(test_bounded.changed(place / "c.json", change))
        cases.append(Case(f"bounded: unreadable {k}", partial(_verdict, place)))
    return cases


def hostile(folder: Path) -> list[Case]:
    """Spoiled files, each beside good ones that it is bound to."""
    sys.path.insert(0, str(ROOT / "tests/hostile"))
    from hostile_files import CERTIFICATE, NETWORK, certificate, rebound, triple

    original, reduced, claim = triple()
    spoiled: dict[str, tuple[bytes, bytes, bytes]] = {}
    for what, spoil in NETWORK.items():
        for k, files in enumerate(((spoil(original), reduced), (original, spoil(reduced)))):
            spoiled[f"network {k}: {what}"] = (*files, rebound(*files, claim))
    changes: dict[str, Any] = {"schema_version": "2.0", "original": {"sha256": "0" * 64}, "reduced": {"sha256": "0" * 64}}
    more = {f"{key} = {value}": certificate(lambda c, key=key, value=value: c.update({key: value})) for key, value in changes.items()}
    spoiled |= {f"certificate: {what}": (original, reduced, spoil(claim)) for what, spoil in (CERTIFICATE | more).items()}
    cases = []
    for k, (what, files) in enumerate(spoiled.items()):
        place = folder / f"{k}"
        place.mkdir()
        for file, data in zip(("g.safetensors", "h.safetensors", "c.json"), files, strict=True):
            (place / file).write_bytes(data)
        if sum(map(len, files)) < 1 << 18:
            cases.append(Case(f"hostile {what}", partial(_verdict, place)))
    return cases


def _refusal(place: Path, message: str, check: Callable[..., Any]) -> str:
    try:
        said = check(place / "g.safetensors", place / "h.safetensors", place / "c.json")
    except Exception as problem:
        return f"{type(problem).__name__} {re.search(message, str(problem)) is not None}"
    return f"{type(said).__name__} {re.search(message, getattr(said, 'reason', '')) is not None}"


def by_hand(folder: Path) -> list[Case]:
    """What is written for the checker and for single lines of it."""
    for name in ("forged", "hostile", "effects", "masks", "readers", "bounded"):
        (folder / name).mkdir()
    found = [
        *forged(folder / "forged"),
        *bounded(folder / "bounded"),
        *effects(folder / "effects"),
        *masks(folder / "masks"),
        *shortcuts(),
        *tables(),
        *arithmetic(),
    ]
    return [*found, *readers(folder / "readers"), *hostile(folder / "hostile")]


@contextmanager
def by_chance(folder: Path, seed: int) -> Iterator[Callable[[], list[Case]]]:
    """What tests ask on their way, and what is drawn: made meanwhile, in a process whose checker nobody changes, and waited for where it is wanted."""
    target = folder / "recorded"
    target.mkdir(parents=True)
    command, environment = [sys.executable, __file__, str(target), str(seed)], os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)

    def wait() -> list[Case]:
        if process.wait() != 0:
            raise RuntimeError("nothing was recorded or drawn")
        return list(triples(target))

    try:
        yield wait
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()


# --- arithmetic ----------------------------------------------------------------------------------


def arithmetic() -> list[Case]:
    questions = (_sums, _roundings, _orders, _reals, _distinct, _taps)
    return [Case(f"arithmetic: {question.__name__}", partial(_asked, question), forged=True) for question in questions]


def _asked(question: Callable[[Any, np.random.Generator], str], check: Callable[..., Any]) -> str:
    return question(sys.modules["lumpnet.check.numbers"], np.random.default_rng(7))


def _floats(rng: np.random.Generator, dtype: str, count: int) -> np.ndarray:
    """Usual, tiny, huge and zero ones."""
    kind = np.float32 if dtype == "float32" else np.float64
    bits = rng.integers(0, 1 << (31 if dtype == "float32" else 63), count).astype(np.uint32 if dtype == "float32" else np.uint64)
    wild = bits.view(kind)
    usual = (rng.integers(-99, 99, count) / 8).astype(kind)
    return np.where(np.isfinite(wild) & (rng.random(count) < 0.5), wild * rng.choice([-1, 1], count).astype(kind), usual).astype(kind)


def _sums(numbers: Any, rng: np.random.Generator) -> str:
    for _ in range(60):
        dtype, n = str(rng.choice(["float32", "float64"])), int(rng.integers(1, 9))
        x = _floats(rng, dtype, 2 * n).reshape(n, 2, 1)
        starts = np.array(sorted({0, *rng.integers(0, n, 2).tolist()}))
        factors = None if rng.random() < 0.4 else np.array([int(v) << int(rng.choice([0, 0, 50, 70])) for v in rng.integers(-9, 9, n)], object)
        whole, exponent = numbers.segment_sums(x, starts, factors)
        for k, (a, b) in enumerate(zip(starts, [*starts[1:], n], strict=True)):
            for r in range(2):
                exact = sum((F(float(x[u, r, 0])) * (1 if factors is None else factors[u]) for u in range(a, b)), F(0))
                if F(int(whole[k, r, 0])) * F(2) ** exponent != exact:
                    return "a wrong sum"
        wide = np.array([2.0 ** int(rng.integers(55, 63)), -1.0, 2.0**10 - 1, 1.0]).reshape(4, 1, 1)
        whole, exponent = numbers.segment_sums(np.repeat(wide, 3, 0), np.zeros(1, np.int64), None)
        if F(int(whole[0, 0, 0])) * F(2) ** exponent != 3 * sum(F(v) for v in wide.ravel().tolist()):
            return "a wrong sum near the budget"
        product = numbers.times(np.array([3, -(1 << 40)]), np.array([int(rng.integers(1, 1 << 62)), 5], object))
        if [int(v) for v in product][1] != -5 << 40:
            return "a wrong product"
    return "sums"


def _roundings(numbers: Any, rng: np.random.Generator) -> str:
    for _ in range(300):
        dtype = str(rng.choice(["float32", "float64"]))
        kind = np.float32 if dtype == "float32" else np.float64
        base = _floats(rng, dtype, 1)[0]
        with np.errstate(all="ignore"):
            up = np.nextafter(base, kind(np.inf))
        if not np.isfinite(up):
            continue
        low, high = F(float(base)), F(float(up))
        odd = int(np.array(base).view(np.int32 if dtype == "float32" else np.int64)) & 1
        nearer = {F(0): (base,), F(1, 3): (base,), F(1, 2): (up,) if odd else (base,), F(2, 3): (up,), F(1): (up,)}
        share = list(nearer)[int(rng.integers(5))]
        value = low + (high - low) * share
        scale = F(2) ** (value.denominator.bit_length() - 1) if value.denominator & (value.denominator - 1) == 0 else None
        top, exponent, bottom = (int(value * scale), -(int(scale).bit_length() - 1), None) if scale else (value.numerator, 0, value.denominator)
        x = np.array([top], object if abs(top) >= 1 << 62 or rng.random() < 0.5 else np.int64)
        under = None if bottom is None else np.array([bottom], object)
        for stored in (base, up, kind(-base)):
            fits = not numbers.misfits(x, exponent, under, np.array([stored]), "nearest")[0]
            if fits != (stored in nearer[share]) and not (base == 0 and share == 0):
                return f"{stored!r} for {float(value)!r}"
            if (not numbers.misfits(x, exponent, under, np.array([stored]), "none")[0]) != (F(float(stored)) == value):
                return f"{stored!r} is exactly {float(value)!r}"
    for dtype, least in (("float32", -149), ("float64", -1074)):
        smallest = np.ldexp(np.dtype(dtype).type(1), least)
        spacing = 23 if dtype == "float32" else 52
        for power in (0, 1, least + spacing, least + spacing + 1):  # below a power of two floats are twice as dense, but not below the smallest normal one
            base = np.ldexp(np.ones(1, dtype), power)
            under = np.nextafter(base, np.zeros(1, dtype))
            for eighths in range(6):
                exact = F(float(base[0])) - F(2) ** (power - spacing) * F(eighths, 8)
                gaps = [abs(F(float(v[0])) - exact) for v in (base, under)]
                top, down = exact.numerator, exact.denominator.bit_length() - 1
                for stored, mine, other in ((base, gaps[0], gaps[1]), (under, gaps[1], gaps[0])):
                    said = not numbers.misfits(np.array([top], object), -down, None, stored, "nearest")[0]
                    if said != (mine < other or (mine == other and stored is base)):
                        return f"{float(exact)!r} beside a power of two"
        for quarters, wanted in ((1, (True, False)), (2, (True, False)), (3, (False, True)), (4, (False, True)), (5, (False, True)), (6, (False, False))):
            for stored, fits in zip((np.zeros(1, dtype), np.array([smallest])), wanted, strict=True):
                if numbers.misfits(np.array([quarters]), least - 2, None, stored, "nearest")[0] == fits:
                    return f"{quarters} quarters of the smallest number"
        largest = np.finfo(dtype).max
        half = (F(float(largest)) - F(float(np.nextafter(largest, np.dtype(dtype).type(0))))) / 2
        for beyond, wanted in ((half, True), (half - 1, False)):
            if numbers.misfits(np.array([int(F(float(largest)) + beyond)], object), 0, None, np.array([largest]), "nearest")[0] != wanted:
                return "the largest number"
    return "roundings"


def _taps(numbers: Any, rng: np.random.Generator) -> str:
    """Which taps of a transposed convolution are read, for kernels that no machine integer holds as a row, too."""
    taps_read = sys.modules["lumpnet.check.rules.affine"].taps_read
    for n, kernel, stride, padding, dilation, count in (
        (3, 4, 2, 1, 3, 12),
        (5, 2, 7, 0, 1, 30),
        (2, 70, 1, 3, 1, 65),
        (4, 62, 1, 0, 1, 65),
        (4, 63, 1, 0, 1, 66),
    ):
        rows = {tuple(any(q * stride + t * dilation == p + padding for q in range(n)) for t in range(kernel)) for p in range(count)}
        found = [tuple(row) for row in taps_read(n, kernel, stride, padding, dilation, count).tolist()]
        if len(found) != len(rows) or set(found) != rows:
            return f"wrong taps of {kernel}"
    return "taps"


def _distinct(numbers: Any, rng: np.random.Generator) -> str:
    """Ids so large that no one number holds a combination of them, too."""
    distinct = sys.modules["lumpnet.check.relation"].distinct
    for top in (3, 1 << 40):
        for width in (1, 2, 3):
            ids = [np.append(rng.integers(0, 3, 20), top) for _ in range(width)]
            columns, first, which = distinct(*ids)
            rows = list(zip(*(array.tolist() for array in ids), strict=True))
            if (
                sorted(columns) != sorted(set(rows))
                or [columns[k] for k in which] != rows
                or any(rows.index(c) != at for c, at in zip(columns, first, strict=True))
            ):
                return f"wrong combinations of {width} ids below {top}"
    return "combinations"


def _orders(numbers: Any, rng: np.random.Generator) -> str:
    far = numbers.order(np.array([(1 << 62) - 1, 1 - (1 << 62)]), 0, np.array([1 - (1 << 62), (1 << 62) - 1]), np.array([1, 1]))
    if far.tolist() != [1, -1]:
        return "numbers of either sign at the budget"
    extremes = [sign * v for v in ((1 << 63) - 1, (1 << 63) - (1 << 12), (1 << 62) + 1, 1 << 62, (1 << 62) - 1, 1 << 61, 1 << 60, 3, 1, 0) for sign in (1, -1)]
    for x in extremes:
        for shift in (-64, -63, -62, -2, -1, 0, 1, 2, 61, 62, 63, 64):
            said = numbers.order(np.full(len(extremes), x), 0, np.array(extremes), np.full(len(extremes), shift))
            if said.tolist() != [(x > v) - (x < v) for v in (F(v) * F(2) ** shift for v in extremes)]:
                return f"{x} beside extremes times 2^{shift}"
    for _ in range(300):
        x, y = (int(v) >> int(rng.integers(0, 62)) for v in rng.integers(-(1 << 62), 1 << 62, 2))
        e, f = (int(v) for v in rng.integers(-80, 80, 2)) if rng.random() < 0.5 else (0, 0)
        if rng.random() < 0.3:
            y, f = x, e
        if rng.random() < 0.2:
            x, e = y * 4, f - 2
        kind = object if rng.random() < 0.3 or abs(x) >= 1 << 62 else np.int64
        said = int(numbers.order(np.array([x, 0], kind), e, np.array([y, 1], np.int64 if abs(y) < 1 << 62 else object), np.array([f, f]))[0])
        gap = F(x) * F(2) ** e - F(y) * F(2) ** f
        if said != (gap > 0) - (gap < 0):
            return f"{x}*2^{e} against {y}*2^{f} is {said}"
    return "orders"


def _reals(numbers: Any, rng: np.random.Generator) -> str:
    surd = sys.modules["lumpnet.certificate"].Surd

    def near(a: F, b: F, r: F) -> F:
        import math

        return a + b * F(math.isqrt(int(r * (1 << 400))), 1 << 200)

    parts = [F(n, d) for n in range(-4, 5) for d in (1, 2)]
    roots = [F(1), F(2), F(3), F(4), F(8), F(1, 2), F(9, 4), F(12)]
    reals = [(a, b, r) for a in parts[::3] for b in parts[::2] if b for r in roots]
    for _ in range(1500):
        one, two = (reals[int(k)] for k in rng.integers(0, len(reals), 2))
        x, y = surd(*one), surd(*two) if rng.random() < 0.8 else two[0]
        value, other = near(*one), near(*two) if isinstance(y, surd) else y
        if numbers.same(x, y) != numbers.same(y, x) or numbers.same(x, y) != (abs(value - other) < F(1, 1 << 100)):
            return f"{x} is {y}"
        if numbers.compare(x, two[0]) != (0 if abs(value - two[0]) < F(1, 1 << 100) else 1 if value > two[0] else -1):
            return f"{x} against {two[0]}"
        total = numbers.add_reals(x, y)
        if total is None:
            if not isinstance(y, surd) or x.r == y.r:
                return "no sum"
        elif abs((near(total.a, total.b, total.r) if isinstance(total, surd) else total) - value - other) > F(1, 1 << 100):
            return f"{x} + {y}"
        if not numbers.same(numbers.scale_real(F(0), x), F(0)) or numbers.same(numbers.scale_real(F(0), x), F(1)):
            return "nothing of a number is a number"
        scaled = numbers.scale_real(two[1], x)
        if not numbers.same(scaled, surd(two[1] * x.a, two[1] * x.b, x.r)):
            return f"{two[1]} * {x}"
    return "reals"


if __name__ == "__main__":
    recorded(Path(sys.argv[1]))
    drawn(Path(sys.argv[1]), int(sys.argv[2]))
