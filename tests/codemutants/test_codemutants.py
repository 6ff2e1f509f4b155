"""Changes of the checker's code are found, made and noticed; those that nothing notices are argued for."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from codemutant_changes import Change, changes
from codemutant_corpus import arithmetic, forged
from codemutant_engine import ROOT, Engine, Loader, sample

pytestmark = pytest.mark.slow  # the engine exchanges modules of the checker in its own process

HERE = Path(__file__).resolve().parent
SOURCE = '''
MAX_SIZE = 3
def f(x: tuple[int, ...]) -> bool:
    """Words with 1 < 2."""
    if x[0] > 2 and not x:
        where = x[1] + 1
        raise Refusal("here", f"{where}", "3")
    if len(x) > MAX_SIZE:
        raise Unsure("long")
    return x == (1, 2)
def shown(x: int) -> str:
    return "one" if x == 1 else "more"
'''
FOUND = {
    "if x[0] > 2 and (not x) | never": "if False:",
    "if x[0] > 2 and (not x) | always": "if True:",
    "x[0] > 2 and (not x) | and becomes or": "if x[0] > 2 or not x:",
    "x[0] > 2 and (not x) | without x[0] > 2": "if not x:",
    "x[0] > 2 and (not x) | without not x": "if x[0] > 2:",
    "x[0] > 2 | comparison 0 becomes GtE": "if x[0] >= 2 and (not x):",
    "0 | becomes 1": "if x[1] > 2 and (not x):",
    "2 | becomes 3": "if x[0] > 3 and (not x):",
    "2 | becomes 1": "if x[0] > 1 and (not x):",
    "not x | not dropped": "if x[0] > 2 and x:",
    "return x == (1, 2) | returns None": "return None",
    "return x == (1, 2) | returns True": "return True",
    "return x == (1, 2) | returns False": "return False",
    "x == (1, 2) | comparison 0 becomes NotEq": "return x != (1, 2)",
    "(1, 2) | without 1": "return x == (2,)",
    "(1, 2) | without 2": "return x == (1,)",
}


def test_changes_are_small_and_leave_words_and_bounds_alone() -> None:
    """Arguments of errors, what is said before a refusal, functions that make words, and `MAX_SIZE`."""
    tree = ast.parse(SOURCE)
    found = {c.key.removeprefix("m: f: "): c for c in changes("m", tree)}
    assert all(key in found for key in FOUND)
    assert {key.split(" #")[0] for key in found} - FOUND.keys() == {"1 | becomes 2", "1 | becomes 0"}
    for key, line in FOUND.items():
        with found[key].made():
            assert line in ast.unparse(tree), key
    assert ast.unparse(tree) == ast.unparse(ast.parse(SOURCE)), "a change is taken back"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    cases = [*forged(tmp_path_factory.mktemp("forged")), *arithmetic()]
    wanted = ("a member's collapsed row", "a constant is the bias", "columns have", "outputs are the identity", "a reshape keeps", "arithmetic")
    found = Engine([case for case in cases if any(word in case.name for word in wanted)])
    yield found
    found.close()


def change(engine: Engine, key: str) -> Change:
    (found,) = (c for c in engine.loader.changes() if c.key == key)
    return found


@pytest.mark.parametrize(
    "key",
    [
        "lumpnet.check.run: _same_interface: if not relations[name].identity | never",
        "lumpnet.check.rules.affine: Affine.offsets: if shift[unit] != self.out.offset_of(unit) | never",
        "lumpnet.check.rules.affine: Affine.check: self.members() | dropped",
        "lumpnet.check.numbers: segment_sums: longest > 1 | comparison 0 becomes GtE",
        "lumpnet.check.relation: carry: if len(moved) | never",
    ],
)
def test_a_lost_condition_is_noticed(engine: Engine, key: str) -> None:
    """All but the fourth, which changes nothing: the corpus tells the two apart."""
    noticed = engine.wrong(change(engine, key)) is not None
    assert noticed == ("segment_sums" not in key)


def test_what_runs_in_threads_is_seen(engine: Engine) -> None:
    """Changes are asked only what runs their lines, and the checker reads its files in threads."""
    reading = change(engine, "lumpnet.check.files: read_network_file: if size < 10 | never")
    assert len(engine.reached(reading)) == sum(not case.name.startswith("arithmetic") for case in engine.cases) >= 5


def test_the_checker_is_itself_again_afterwards(engine: Engine) -> None:
    key = "lumpnet.check.run: _same_interface: if not relations[name].identity | never"
    assert engine.wrong(change(engine, key)) is not None
    check = engine.loader.fresh()
    assert all(case.ask(check) == case.answer for case in engine.cases if not case.name.startswith("arithmetic"))


def test_what_is_argued_for_exists() -> None:
    """A survivor whose code has gone needs no argument."""
    keys = {c.key for c in Loader().changes()}
    lines = (HERE.parent / "check" / "survivors.txt").read_text().splitlines()
    argued = [line for line in lines if line and not line.startswith("#")]
    assert len(argued) == len(set(argued))
    assert set(argued) <= keys, sorted(set(argued) - keys)[:5]
    assert not argued or next(line for line in lines if line and not line.startswith("# ")).startswith("## ")


def test_a_sample_is_repeated_by_its_seed() -> None:
    every = Loader().changes()
    assert len(every) > 4000
    assert [c.key for c in sample(every, 50, 7)] == [c.key for c in sample(every, 50, 7)] != [c.key for c in sample(every, 50, 8)]


@pytest.mark.slow
def test_a_sample_of_changes_is_noticed_or_argued_for(seed: int) -> None:
    command = [sys.executable, "-m", "tests.codemutants", "--sample", os.environ.get("LUMPNET_CHANGES", "150"), "--seed", str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
