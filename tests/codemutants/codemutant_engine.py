"""The checker with one change, in memory: imported anew from changed trees, asked about a corpus until one answer is wrong."""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.util
import random
import resource
import signal
import sys
import threading
import types
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codemutant_changes import Change, changes

ROOT = Path(__file__).resolve().parents[2]
ALIKE = 2
"""Questions with one answer that run the same lines of a file are alike: so many of them are asked about a change there, beside all the forged ones."""
SECONDS = 5.0
BYTES = 1 << 30
"""Of processor time and of memory for one question: a change that makes the checker turn for ever, or grow, is noticed."""


def sources() -> dict[str, Path]:
    """The checker's modules, by name."""
    paths = [ROOT / "lumpnet/certificate.py", *sorted((ROOT / "lumpnet/check").rglob("*.py"))]
    names = [".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for p in paths]
    return {name: path for name, path in zip(names, paths, strict=True) if not name.endswith("__main__")}


class Loader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the checker's modules from prepared code."""

    def __init__(self) -> None:
        self.paths = sources()
        self.trees = {name: ast.parse(path.read_text(), str(path)) for name, path in self.paths.items()}
        self.code = {name: compile(tree, str(self.paths[name]), "exec") for name, tree in self.trees.items()}
        self.changed: dict[str, types.CodeType] = {}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in self.code:
            return None
        package = self.paths[name].name == "__init__.py"
        return importlib.util.spec_from_file_location(
            name, self.paths[name], loader=self, submodule_search_locations=[str(self.paths[name].parent)] if package else None
        )

    def create_module(self, spec: Any) -> None:
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        exec(self.changed.get(module.__name__) or self.code[module.__name__], module.__dict__)

    def fresh(self, change: Change | None = None) -> Callable[..., Any]:
        """`check_files` of the checker with this change."""
        for name in [n for n in sys.modules if n in self.code or n.startswith("lumpnet.check")]:
            del sys.modules[name]
        self.changed = {}
        if change is not None:
            with change.made():
                self.changed = {change.file: compile(self.trees[change.file], str(self.paths[change.file]), "exec")}
        return importlib.import_module("lumpnet.check.run").check_files  # type: ignore[no-any-return]

    def changes(self) -> list[Change]:
        """Made of the trees themselves: one at a time."""
        return [change for name, tree in self.trees.items() for change in changes(name, tree)]


class TooLong(BaseException):
    """The question took more time than it may."""


@contextmanager
def limited() -> Iterator[None]:
    """What is asked inside may take `SECONDS`, and `BYTES` beside what the process has."""

    def stop(*args: Any) -> None:
        raise TooLong

    before, bounds = signal.signal(signal.SIGVTALRM, stop), resource.getrlimit(resource.RLIMIT_DATA)
    now = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (now + BYTES, bounds[1]))
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
        resource.setrlimit(resource.RLIMIT_DATA, bounds)


@dataclass
class Case:
    """One question and the right answer. `lines` are those that run for it, by file."""

    name: str
    ask: Callable[[Callable[..., Any]], str]
    answer: str = ""
    lines: dict[str, frozenset[int]] = field(default_factory=dict)
    forged: bool = False


def answer(case: Case, check: Callable[..., Any]) -> str:
    try:
        with limited():
            return case.ask(check)
    except TooLong:
        return "too long"
    except Exception as problem:
        return type(problem).__name__


@dataclass
class Found:
    """What became of the changes: `survived` maps keys to their changes; `accepting` counts those killed by a forgery that they let pass."""

    killed: int = 0
    accepting: int = 0
    survived: dict[str, Change] = field(default_factory=dict)
    unreached: dict[str, Change] = field(default_factory=dict)


class Engine:
    def __init__(self, cases: Iterable[Case]):
        self.loader = Loader()
        sys.meta_path.insert(0, self.loader)
        self.imported = self._traced(lambda: self.loader.fresh())[1]
        self.killers: dict[tuple[str, str], list[Case]] = defaultdict(list)
        self.cases: list[Case] = []
        self.add(cases)

    def add(self, cases: Iterable[Case]) -> None:
        """More questions; the unchanged checker answers them first, twice alike."""
        check, order = self.loader.fresh(), random.Random(1)
        for case in (new := list(cases)):
            case.answer, case.lines = self._traced(lambda case=case: answer(case, check))  # type: ignore[misc]
            again = answer(case, check)
            if again != case.answer:
                raise RuntimeError(f"{case.name} is answered {case.answer}, then {again}")
        self.cases = sorted([*self.cases, *new], key=lambda case: (not case.forged, order.random()))
        self.asking: dict[tuple[str, int], dict[int, None]] = defaultdict(dict)
        for file in self.loader.code:
            for number in self._unlike(file):
                for line in self.cases[number].lines[file]:
                    self.asking[file, line][number] = None

    def _unlike(self, file: str) -> list[int]:
        """The questions that are asked about changes of this file: one of every likeness, then the second ones, and so on."""
        seen, turns = Counter[Any](), []
        for number, case in enumerate(self.cases):
            if file in case.lines:
                likeness = case.lines[file], case.answer
                turns.append((seen[likeness], number))
                seen[likeness] += 1
        return [number for turn, number in sorted(turns) if turn < ALIKE or self.cases[number].forged]

    def close(self) -> None:
        sys.meta_path.remove(self.loader)
        for name in [n for n in sys.modules if n in self.loader.code]:
            del sys.modules[name]

    def _traced(self, call: Callable[[], Any]) -> tuple[Any, dict[str, frozenset[int]]]:
        lines: dict[str, set[int]] = defaultdict(set)
        wanted = {str(path): name for name, path in self.loader.paths.items()}

        def local(frame: Any, event: str, arg: Any) -> Any:
            if event == "line":
                lines[wanted[frame.f_code.co_filename]].add(frame.f_lineno)
            return local

        def trace(frame: Any, event: str, arg: Any) -> Any:
            if frame.f_code.co_filename not in wanted:
                return None
            lines[wanted[frame.f_code.co_filename]].add(frame.f_lineno)
            return local

        before, in_threads = sys.gettrace(), threading.gettrace()
        sys.settrace(trace)
        threading.settrace(trace)  # the checker reads its files in threads
        try:
            result = call()
        finally:
            sys.settrace(before)
            threading.settrace(in_threads)  # type: ignore[arg-type]
        return result, {name: frozenset(found) for name, found in lines.items()}

    def reached(self, change: Change) -> list[Case]:
        """The cases for which the change may matter: those that run its lines, or any that use what is made when the file is imported."""
        numbers = {number: None for line in change.lines for number in self.asking[change.file, line]}
        if self.imported.get(change.file, frozenset()) & set(change.lines):
            numbers |= {number: None for (file, _), found in self.asking.items() if file == change.file for number in found}
            numbers |= {number: None for number, case in enumerate(self.cases) if case.forged}
        return [self.cases[number] for number in numbers]

    def wrong(self, change: Change) -> Case | None:
        """The first case whose answer the change spoils."""
        cases, place = self.reached(change), (change.file, change.key.split(": ")[1])
        try:
            check = self.loader.fresh(change)
        except Exception:
            return Case("import", lambda check: "", "imports")
        for case in [*self.killers[place], *cases]:
            said = answer(case, check)
            if said != case.answer:
                killers = self.killers[place]
                if case in killers:
                    killers.remove(case)
                killers.insert(0, case)
                del killers[12:]
                return Case(case.name, case.ask, "accepted" if said.startswith("Proved") and not case.answer.startswith("Proved") else said)
        return None

    def run(self, wanted: list[Change], progress: Callable[[int, Change, Found], None] = lambda *args: None) -> Found:
        found = Found()
        for done, change in enumerate(wanted):
            killer = self.wrong(change)
            if killer is not None:
                found.killed += 1
                found.accepting += killer.answer == "accepted"
            else:
                (found.survived if self.reached(change) else found.unreached)[change.key] = change
            progress(done + 1, change, found)
        return found


def sample(all_changes: list[Change], count: int | None, seed: int) -> list[Change]:
    return all_changes if count is None else random.Random(seed).sample(all_changes, min(count, len(all_changes)))
