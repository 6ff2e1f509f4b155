"""A second opinion from Z3 (THEORY section 6), which reads the two network files in words of its own.

Z3 runs in a child process with limited memory and time; whatever goes wrong
there is "unknown". It is asked for the equality of the whole networks, where
they are tiny, and for the obligation of every node. An input on which it says
that the networks differ counts only after a replay in exact arithmetic.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

import lumpnet
from lumpnet.certificate import loads
from lumpnet.errors import LumpnetError
from lumpnet.evidence.smt_worker import DONE
from lumpnet.ir import Graph, load_network
from lumpnet.ops.sites import run
from lumpnet.verdict import Proved, Refuted, Unknown, Verdict

WORKER = "lumpnet.evidence.smt_worker"
WHOLE_SHARE = 0.5
"""The part of the time that the question about the whole networks may take."""

Witness = dict[str, Any]
"""`inputs` (name -> nested lists of rationals in text, one example), `output`, `index` there, and the `original` and `reduced` values."""


@dataclass(frozen=True)
class Whole:
    """What became of the question about the whole networks: proved, different (with a replayed witness), skipped or unknown, and why."""

    answer: str
    reason: str = ""
    witness: Witness | None = None


@dataclass(frozen=True)
class Nodes:
    """What became of the node obligations. `left` counts those neither proved nor refuted by reason; `problem` says why there are no more answers."""

    proved: int = 0
    refuted: tuple[str, ...] = ()
    left: tuple[tuple[str, int], ...] = ()
    problem: str = ""


def prove_equal(original: bytes, reduced: bytes, seconds: float = 60, memory_mb: int = 2048) -> Verdict:
    """Whether two tiny networks (file contents) compute the same real function, for every input.

    `Refuted` carries a witness that was replayed in exact arithmetic. Everything else that is not a proof is `Unknown`; nothing is raised.
    """
    try:
        with _files(original, reduced) as paths:
            whole = _ask_whole(paths, seconds, memory_mb)
    except OSError as problem:
        return Unknown(f"Z3 was not asked: {problem}")
    if whole.answer == "proved":
        return Proved("exact", "none", ("the two networks compute the same real function, for every input",), (_whole_sentence(whole),))
    if whole.witness is not None:
        return Refuted(f"the networks differ: {_told(whole.witness)}", "equality", whole.witness)
    return Unknown(_whole_sentence(whole))


def second_opinion(verdict: Verdict, original: bytes, reduced: bytes, certificate: bytes, seconds: float = 60, memory_mb: int = 2048) -> Verdict:
    """The checker's verdict on two network files and a certificate (file contents), with what Z3 says of them.

    A proof stays one unless Z3 contradicts it: a refuted node obligation makes it `Unknown`, a replayed difference of networks whose weights
    were not rounded makes it `Refuted`. Z3 never turns another verdict into a proof. Nothing is raised.
    """
    if _bounded(certificate):  # the questions are about equality
        return replace(verdict, vouched_by=(*verdict.vouched_by, "Z3 was not asked about a bound")) if isinstance(verdict, Proved) else verdict
    rounding = _rounding(certificate)
    started = time.monotonic()
    try:
        with _files(original, reduced, certificate) as paths:
            whole = _ask_whole(paths[:2], seconds * WHOLE_SHARE, memory_mb)
            nodes = _ask_nodes(paths, seconds - (time.monotonic() - started), memory_mb) if rounding else Nodes(problem="the certificate is not readable")
    except OSError as problem:
        whole, nodes = Whole("skipped", str(problem)), Nodes(problem="not asked")
    return _with_proof(verdict, whole, nodes) if isinstance(verdict, Proved) else _without_proof(verdict, whole, nodes, rounding)


def within(
    original: bytes, other: bytes, box: Mapping[str, tuple[np.ndarray, np.ndarray]], bounds: Sequence[float], seconds: float = 60, memory_mb: int = 2048
) -> list[Verdict]:
    """For each bound whether no output of two tiny networks (file contents) differs by more than it, for all inputs in the box (ends without batch, by name).

    `Refuted` carries a witness inside of the box that passes the bound in exact arithmetic. Everything else that is not a proof is `Unknown`;
    nothing is raised.
    """
    ends = {
        name: dict(zip(("lower", "upper"), ([str(Fraction(float(v))) for v in end.reshape(-1)] for end in pair), strict=True)) for name, pair in box.items()
    }
    try:
        with _files(original, other, json.dumps({"bounds": [str(Fraction(b)) for b in bounds], "box": ends}).encode()) as paths:
            findings, problem = _ask("apart", paths, seconds, memory_mb)
            findings += [{"answer": "unknown", "reason": problem or "an answer that cannot be read"}] * (len(bounds) - len(findings))
            return [_within(finding, bound, ends, paths) for finding, bound in zip(findings, bounds, strict=True)]
    except (OSError, ValueError) as problem:
        return [Unknown(f"Z3 was not asked: {problem}")] * len(bounds)


def _within(finding: dict[str, Any], bound: float, ends: Mapping[str, Mapping[str, Sequence[str]]], paths: Sequence[Path]) -> Verdict:
    answer = finding.get("answer")
    if answer == "none":
        return Proved("bounded", "none", (f"no output differs by more than {bound!r} on the box",), ("Z3",))
    if answer != "some":
        return Unknown(f"Z3: {finding.get('reason', 'no reason given')}")
    witness = farther(paths[0], paths[1], finding.get("inputs"), Fraction(bound), ends)
    return Unknown("Z3: an input that exact arithmetic does not confirm") if witness is None else Refuted(_told(witness), "bound", witness)


def _bounded(certificate: bytes) -> bool:
    try:
        return loads(certificate).verdict != "exact"
    except LumpnetError:
        return False


def _rounding(certificate: bytes) -> str | None:
    try:
        return loads(certificate).rounding
    except LumpnetError:
        return None


# -- joining the two opinions -------------------------------------------------------------


def _with_proof(verdict: Proved, whole: Whole, nodes: Nodes) -> Verdict:
    if whole.witness is not None and verdict.rounding == "none":
        reason = f"the networks differ, although the checker accepted the certificate (report this): {_told(whole.witness)}"
        return Refuted(reason, "equality", whole.witness)
    if nodes.refuted:
        return Unknown(f"the checker proved the certificate and Z3 refutes the obligation of {', '.join(nodes.refuted)}: one of the two is wrong, report this")
    rounded = verdict.rounding != "none"
    return replace(verdict, vouched_by=(*verdict.vouched_by, _whole_sentence(whole), _nodes_sentence(nodes, rounded)))


def _without_proof(verdict: Refuted | Unknown, whole: Whole, nodes: Nodes, rounding: str | None) -> Verdict:
    """Where weights were rounded the claim is about the quotient, so that a difference of the emitted network refutes nothing."""
    if whole.witness is not None and rounding != "nearest":
        return Refuted(f"the networks differ: {_told(whole.witness)}. The checker said: {verdict.reason}", "equality", whole.witness)
    sentence = _whole_sentence(whole)
    if whole.witness is not None:
        sentence = f"Z3: the emitted network differs from the original, which rounding alone may explain: {_told(whole.witness)}"
    if whole.answer == "proved" and isinstance(verdict, Refuted) and verdict.what == "certificate":
        sentence += " (the networks are equal; the certificate is wrong)"
    return replace(verdict, reason=f"{verdict.reason} {sentence}. {_nodes_sentence(nodes, rounding == 'nearest')}.")


def _whole_sentence(whole: Whole) -> str:
    if whole.answer == "proved":
        return "Z3: equality of the whole networks proved" + (f", for any functions {whole.reason}" if whole.reason else "")
    if whole.witness is not None:
        return f"Z3: the emitted network differs from the original by rounding (a witness): {_told(whole.witness)}"
    return f"Z3: {'not asked' if whole.answer == 'skipped' else 'no answer'} about the whole networks: {whole.reason}"


def _nodes_sentence(nodes: Nodes, rounded: bool) -> str:
    total = nodes.proved + len(nodes.refuted) + sum(count for _, count in nodes.left)
    if not total:
        return f"Z3: no node obligations: {nodes.problem or 'none is claimed'}"
    about = " for the exact quotient (the rounding of its weights is the checker's word)" if rounded else ""
    parts = [f"Z3: {nodes.proved} of {total} node obligations proved{about}"]
    if nodes.refuted:
        parts.append(f"refuted: {', '.join(nodes.refuted)}")
    parts += [f"{count} left out: {reason}" for reason, count in nodes.left]
    return "; ".join([*parts, nodes.problem] if nodes.problem else parts)


def _told(witness: Witness) -> str:
    original, reduced = _short(witness["original"]), _short(witness["reduced"])
    inputs = json.dumps(witness["inputs"])
    where = f" for the input {inputs}" if len(inputs) <= 400 else ""
    entry = f"entry {witness['index']} of output {witness['output']!r}"
    return f"{entry} is {original} in the original, {reduced} in the reduced network{where} (replayed in exact arithmetic)"


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"about {float(Fraction(text)):.17g}"


# -- asking the child process -------------------------------------------------------------


@contextmanager
def _files(*contents: bytes) -> Iterator[list[Path]]:
    with tempfile.TemporaryDirectory(prefix="lumpnet-") as folder:
        paths = [Path(folder) / name for name in ("original.safetensors", "reduced.safetensors", "third.json")[: len(contents)]]
        for path, data in zip(paths, contents, strict=True):
            path.write_bytes(data)
        yield paths


def _ask_whole(paths: Sequence[Path], seconds: float, memory_mb: int) -> Whole:
    findings, problem = _ask("whole", paths, seconds, memory_mb)
    if problem or len(findings) != 1:
        return Whole("unknown", problem or "an answer that cannot be read")
    (finding,) = findings
    answer = finding.get("answer")
    if answer == "proved":
        return Whole("proved", ", ".join(map(str, finding.get("uninterpreted", ()))))
    if answer == "counterexample":
        witness = replayed(paths[0], paths[1], finding.get("inputs"))
        return Whole("different", "", witness) if witness is not None else Whole("unknown", _not_replayed(finding))
    return Whole("skipped" if answer == "skipped" else "unknown", str(finding.get("reason", "no reason given")))


def _not_replayed(finding: dict[str, Any]) -> str:
    functions = ", ".join(map(str, finding.get("uninterpreted", ())))
    return "a counterexample that exact arithmetic does not confirm" + (f" (it depends on what {functions} is)" if functions else "")


def _ask_nodes(paths: Sequence[Path], seconds: float, memory_mb: int) -> Nodes:
    findings, problem = _ask("nodes", paths, seconds, memory_mb)
    left = Counter(str(f.get("reason", "no reason given")) for f in findings if f.get("answer") not in ("proved", "refuted"))
    refuted = tuple(f"node {f.get('node')!r} ({f.get('place')})" for f in findings if f.get("answer") == "refuted")
    return Nodes(sum(f.get("answer") == "proved" for f in findings), refuted, tuple(sorted(left.items())), problem)


def _ask(question: str, paths: Sequence[Path], seconds: float, memory_mb: int) -> tuple[list[dict[str, Any]], str]:
    """The worker's findings, and what went wrong (empty: nothing). A crash discards the findings; running out of time keeps those that were complete."""
    if seconds <= 0:
        return [], "no time left"
    command = [sys.executable, "-P", "-m", WORKER, question, str(seconds), str(memory_mb), *map(str, paths)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, env=_environment(), check=False)
    except subprocess.TimeoutExpired as late:
        return _complete(late.stdout or b""), f"stopped after {seconds:.3g} seconds"
    if done.returncode != 0:
        return [], f"the solver's process failed ({_last_line(done.stderr) or f'exit code {done.returncode}'})"
    findings = _complete(done.stdout)
    if not findings or findings[-1] != DONE:
        return [], "an answer that cannot be read"
    return findings[:-1], ""


def _environment() -> dict[str, str]:
    """One thread a library (each would reserve memory), and this very package."""
    home = str(Path(lumpnet.__file__).parent.parent)
    path = os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def _complete(output: bytes) -> list[dict[str, Any]]:
    """The JSON objects on complete lines; nothing at all where one of them is something else."""
    try:
        findings = [json.loads(line) for line in output.split(b"\n")[:-1]]
    except (ValueError, RecursionError):
        return []
    return findings if all(isinstance(finding, dict) for finding in findings) else []


def _last_line(stderr: bytes) -> str:
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:200] if lines else ""


# -- replaying a witness ------------------------------------------------------------------


def replayed(original: Path, reduced: Path, inputs: Any) -> Witness | None:
    """The witness that these inputs are, computed in exact arithmetic on both network files; None where they are none."""
    try:
        graphs = [load_network(path) for path in (original, reduced)]
        point = {name: _exact(entry["shape"], entry["values"]) for name, entry in inputs.items()}
        for name, (one, two) in zip(graphs[0].outputs, zip(*(_outputs(graph, point) for graph in graphs), strict=True), strict=True):
            if (found := _first_difference(name, one, two)) is not None:
                return {"inputs": {name: _texts(x[0]) for name, x in point.items()}, **found}
    except (LumpnetError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, MemoryError):
        return None
    return None


def farther(original: Path, other: Path, inputs: Any, bound: Fraction, ends: Mapping[str, Mapping[str, Sequence[str]]]) -> Witness | None:
    """The witness that these inputs are of a difference beyond the bound, inside of the ends, in exact arithmetic; None where they are none."""
    try:
        graphs = [load_network(path) for path in (original, other)]
        point = {name: _exact(entry["shape"], entry["values"]) for name, entry in inputs.items()}
        sides = [(x, Fraction(a), Fraction(b)) for name, e in ends.items() for x, a, b in zip(point[name].flat, e["lower"], e["upper"], strict=True)]
        if not all(low <= x <= high for x, low, high in sides):
            return None
        for name, (one, two) in zip(graphs[0].outputs, zip(*(_outputs(graph, point) for graph in graphs), strict=True), strict=True):
            if (found := _first_difference(name, one, two, bound)) is not None:
                return {"inputs": {name: _texts(x[0]) for name, x in point.items()}, **found}
    except (LumpnetError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, MemoryError):
        return None
    return None


def _exact(shape: Sequence[int], values: Sequence[str]) -> np.ndarray:
    """One example with a batch axis, as `Fraction`s."""
    out = np.empty(len(values), dtype=object)
    out[:] = [Fraction(text) for text in values]
    return out.reshape(1, *shape)


def _outputs(graph: Graph, point: dict[str, np.ndarray]) -> list[np.ndarray]:
    values = run(graph, {value.name: point[value.name] for value in graph.inputs})
    return [values[name] for name in graph.outputs]


def _first_difference(name: str, one: np.ndarray, two: np.ndarray, beyond: Fraction = Fraction(0)) -> dict[str, Any] | None:
    """Raises `ValueError` where the outputs are not exact numbers of one shape."""
    if one.shape != two.shape or any(type(x) not in (int, Fraction) for x in (*one.flat, *two.flat)):
        raise ValueError("outputs that cannot be compared")
    for index in np.ndindex(*one.shape):
        if abs(one[index] - two[index]) > beyond:
            return {"output": name, "index": list(index[1:]), "original": str(one[index]), "reduced": str(two[index])}
    return None


def _texts(x: Any) -> Any:
    """Nested lists of rationals in text."""
    return [_texts(part) for part in x] if isinstance(x, np.ndarray) else str(x)
