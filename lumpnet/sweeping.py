"""What `lumpnet.sweep` does: one network made smaller to many sizes, each with what it costs, certified above, attained below, measured on data.

Every candidate is a task of its own, whose answer depends on nothing but the network and the options: not on the machine's speed (audits end
after so many boxes, not after so many seconds), nor on how many run at once, nor where among machines alike (float kernels differ between
processors). So a sweep may be interrupted, resumed and spread. What a resumed file says of candidates already made is believed: it is a
cache of one's own, no proof.
"""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from lumpnet import __version__
from lumpnet.api import Reduction, reduce
from lumpnet.audit.api import audit
from lumpnet.audit.explained import explained
from lumpnet.bounds import execution_dtype
from lumpnet.certificate import strict_json
from lumpnet.domain import Domain
from lumpnet.domain import boxes as ends_of
from lumpnet.errors import FileError, LumpnetError, PruneError
from lumpnet.figures import above, below, count
from lumpnet.ir import write_whole
from lumpnet.lump.relaxed import points, rooms
from lumpnet.network import Network, as_network, lower
from lumpnet.parallel import spread
from lumpnet.pruners import Data, available
from lumpnet.pruners.data import data_for
from lumpnet.pruning import Pruning, prune
from lumpnet.report.charts import Point
from lumpnet.shown import Shown
from lumpnet.verdict import Proved, word

FORMAT, VERSION = "lumpnet-sweep", "1.0"
RELAXED = "relaxed"
"""The method that is lumpnet's own: `reduce(size=...)`."""
SIZES = (1.0, 0.9, 0.75, 0.6, 0.45, 0.3)
LARGEST = 1 << 26
"""Bytes of a file that is resumed."""
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Candidate:
    """A smaller network: how it was asked for (`size` is the share of hidden units, or of those of `layer`), how large it is, how far off.

    `certified`: no output differs by more than this on the domain (None: no bound), says the `certificate` or an `audit` (`by`); `attained`: at
    some input of the domain one does differ by this; `measured`: the largest difference on the data, and `flips` how many of their classes change;
    `accuracy` of labelled data. `relation` says what became of the original's units (`audit.explained`). `verdict` is that on the certificate:
    of a pruner's result, that its compaction is exact; `reason` why nothing is claimed or done. `making` are the seconds that it took to
    make it, `seconds` all, with audit and measuring.
    """

    method: str
    layer: str | None
    size: float
    units: int
    parameters: int
    multiply_adds: int
    certified: float | None
    by: str | None
    attained: float
    measured: float | None
    flips: int | None
    accuracy: float | None
    relation: str
    verdict: str
    reason: str | None
    making: float = field(compare=False)
    seconds: float = field(compare=False)

    @property
    def key(self) -> tuple[str, str | None, float]:
        return self.method, self.layer, self.size


@dataclass(frozen=True, eq=False)
class Task:
    """A candidate to be made, with all that it takes: the network file's bytes (n,) uint8, the domain, the data."""

    key: tuple[str, str | None, float]
    network: np.ndarray
    domain: Domain
    data: Data | None
    train: Data | None
    boxes: int
    seed: int


@dataclass(frozen=True, eq=False)
class Sweep(Shown):
    """The result of `sweep`: candidates in the order of the question. `of` says of what: hashes of the network, the domain, the data; and the options."""

    drawn_by = "lumpnet.report.sweeps"

    name: str
    original: Network
    candidates: tuple[Candidate, ...]
    of: Mapping[str, Any]
    accuracy: float | None
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """The object that `lumpnet sweep --json` prints."""
        size = self.original.size
        whole = {"units": size.units, "parameters": size.parameters, "multiply_adds": size.multiply_adds, "accuracy": self.accuracy}
        return _document(self.of, self.candidates) | {"original": whole, "seconds": self.seconds}

    def points(self, method: str = RELAXED, layer: str | None = None) -> list[Point]:
        """For `lumpnet.report`: the trade-off curve of a method, or of one layer."""
        units = self.original.size.units or 1
        return [
            Point(c.units / units, c.certified, c.attained, c.measured, f"{c.method} {c.size:g}")
            for c in self.candidates
            if (c.method, c.layer) == (method, layer)
        ]

    def summary(self) -> str:
        """A table for people."""
        lines = [f"{'method':<16}{'layer':<16}{'size':>7}{'units':>9}{'certified':>11}{'attained':>10}{'measured':>10}"]
        for c in self.candidates:
            numbers = f"{c.size:>7.0%}{count(c.units):>9}{certified(c):>11}{below(c.attained):>10}{'' if c.measured is None else f'{c.measured:.3g}':>10}"
            lines.append(f"{c.method:<16}{c.layer or '':<16}{numbers}")
        return "\n".join(lines)


def certified(candidate: Candidate) -> str:
    """The bound as people read it."""
    return "unknown" if candidate.certified is None else str(above(candidate.certified))


def sweep(
    model: Any,
    example_inputs: Any = None,
    *,
    domain: Domain,
    sizes: Sequence[float] = SIZES,
    methods: Sequence[str] = (RELAXED,),
    layers: bool = False,
    data: Any = None,
    train: Any = None,
    boxes: int = 1,
    seed: int = 0,
    jobs: int = 1,
    backend: str = "loky",
    out: str | Path | None = None,
    progress: Progress = lambda text: None,
) -> Sweep:
    """Make a model smaller to every size, by every method, and say what each costs on the domain.

    model as for `reduce`. methods: "relaxed" (lumpnet's own) and those of `lumpnet.pruners.available()`, with their defaults; sizes: shares in (0, 1]
    of the hidden units that stay. layers: besides, every layer alone that can be merged, the others left whole. data as for `prune`: what
    each candidate changes there is measured; train: what pruners that need examples get (None: data). boxes: how many the audit of a candidate
    bounds (0: the bound is the certificate's alone). jobs, backend as for `lumpnet.parallel.spread`; the numbers do not depend on them.
    out: a JSON file that is written after each candidate and resumed from. Raises
    `FileError` where that is not a file of this sweep, `PruneError`, and `LumpnetError` subclasses for models and domains that do not fit.
    """
    began = time.monotonic()
    shares = _shares(sizes)
    _known(methods)
    if min(boxes, seed) < 0 or jobs < 1:
        raise LumpnetError("sweep", f"boxes={boxes}, seed={seed}, jobs={jobs}", "boxes and seed from 0 on, jobs from 1 on", "jobs=2")
    progress("lift")
    original = as_network(model, example_inputs)
    examples = None if data is None else data_for(original.graph.inputs, data)
    lessons = examples if train is None else data_for(original.graph.inputs, train)
    ends = ends_of(domain, original.graph.inputs)
    of = _of(original, ends, examples, boxes, seed) | {"train": _digest_of(lessons)}
    done = {} if out is None else _resumed(Path(out), of)
    asked: list[tuple[str, str | None, float]] = [(method, None, share) for method in methods for share in shares]
    if layers:
        found = rooms(original.graph, points(original.graph, ends))
        asked += [(RELAXED, room.layer.makers[0], share) for room in found for share in shares if share < 1]
    binary = np.frombuffer(original.data, np.uint8)
    todo = [Task(key, binary, domain, examples, lessons, boxes, seed) for key in asked if key not in done]

    def told() -> None:
        progress(f"{count(sum(key in done for key in asked))} of {count(len(asked))} candidates")

    told()
    for _, candidate in spread(candidate_of, todo, jobs, backend):
        done[candidate.key] = candidate
        told()
        if out is not None:
            write_whole(out, [_dumped(_document(of, [done[key] for key in asked if key in done]))])
    name = Path(model).name if isinstance(model, str | Path) else type(model).__name__
    accuracy = None if examples is None else _accuracy(original, examples)
    result = Sweep(name, original, tuple(done[key] for key in asked), of, accuracy, round(time.monotonic() - began, 3))
    if out is not None:
        write_whole(out, [_dumped(result.as_dict())])
    return result


def candidate_of(task: Task) -> Candidate:
    """Make it, audit it along its own relation, measure it."""
    began = time.monotonic()
    (method, layer, size), original = task.key, _loaded(task.network)
    result: Reduction | Pruning
    if method == RELAXED:
        result = reduce(original, domain=task.domain, size=size, layer=layer)
    else:
        result = prune(original, method=method, keep=size, data=None if task.train is None else _given(task.train), seed=task.seed)
    made = time.monotonic()
    examples = None if task.data is None or len(task.data.inputs) != 1 else next(iter(task.data.inputs.values()))
    found = audit(
        original,
        result.network,
        domain=task.domain,
        certificate=result.certificate if isinstance(result, Reduction) else result.relation,
        boxes=task.boxes,
        timeout=math.inf,
        jobs=1,
        seed=task.seed,
        lossless=False,
        data=examples,
    )
    bounds = [(bound, by) for bound, by in ((_claimed(result), "certificate"), (found.upper_bound, "audit")) if bound is not None]
    bound, by = min(bounds) if bounds else (None, None)
    assert found.about is not None
    relation = str(explained(original.graph, result.network.graph, found.about.match, task.domain))
    accuracy, observed = None if task.data is None else _accuracy(result.network, task.data), found.observed
    after, verdict = result.network.size, result.verdict
    return Candidate(
        *task.key,
        units=after.units,
        parameters=after.parameters,
        multiply_adds=after.multiply_adds,
        certified=None if bound is None else float(bound),
        by=by,
        attained=float(found.lower_bound),
        measured=None if observed is None else observed.largest,
        flips=None if observed is None else observed.flips,
        accuracy=accuracy,
        relation=relation,
        verdict=word(verdict),
        reason=getattr(verdict, "reason", None) or (found.reason if bound is None else _idle(result)),
        making=round(made - began, 3),
        seconds=round(time.monotonic() - began, 3),
    )


def _idle(result: Reduction | Pruning) -> str | None:
    """Why a pruner has changed nothing."""
    if isinstance(result, Reduction) or result.changes or not result.skipped:
        return None
    operators, why = result.skipped[0]
    return f"nothing was pruned: {operators[0]}: {why}"


def _claimed(result: Reduction | Pruning) -> float | None:
    """What the certificate bounds the difference from the original by; a pruner's certificate is about its compaction."""
    verdict, effect = result.verdict, result.certificate.effect
    if isinstance(result, Pruning) or not isinstance(verdict, Proved):
        return None
    if verdict.claim == "exact" and verdict.rounding == "none":
        return 0.0
    return effect.alpha if effect is not None and not effect.beta else None


def _loaded(binary: np.ndarray) -> Network:
    with tempfile.TemporaryDirectory(prefix="lumpnet-") as folder:
        path = Path(folder) / "network.safetensors"
        binary.tofile(path)
        return Network.load(path)


def _given(data: Data) -> Any:
    return data.inputs if data.labels is None else (data.inputs, data.labels)


def _accuracy(network: Network, data: Data) -> float | None:
    """The share of the labels that are the largest entry of the only output; None where this is no classifier, or nothing is labelled."""
    graph = network.graph
    if data.labels is None or len(graph.outputs) != 1 or len(graph.value(graph.outputs[0]).shape) != 2:
        return None
    import torch

    model, wide = lower(network), getattr(np, execution_dtype(graph))
    inputs = [torch.from_numpy(x.astype(wide) if x.dtype.kind == "f" else x) for x in data.inputs.values()]
    with torch.no_grad():
        classes = torch.cat([model(*part).argmax(1) for part in zip(*(torch.split(x, 256) for x in inputs), strict=True)])
    return float(np.mean(classes.numpy() == data.labels))


def _shares(sizes: Sequence[float]) -> list[float]:
    """Each once, the largest first. Raises `LumpnetError`."""
    found = sorted({float(size) for size in sizes}, reverse=True)
    if not found or not all(0 < size <= 1 for size in found):
        raise LumpnetError("sizes", f"{', '.join(map(str, sizes)) or 'none'}", "shares above 0 and at most 1", "0.9, 0.75, 0.5")
    return found


def _known(methods: Sequence[str]) -> None:
    names = (RELAXED, *available())
    for method in methods:
        if method not in names:
            raise PruneError(f"method {method!r}", "no method of this name", f"one of {', '.join(names)}", RELAXED)


def _of(original: Network, ends: Mapping[str, tuple[np.ndarray, np.ndarray]], data: Data | None, boxes: int, seed: int) -> dict[str, Any]:
    return {
        "lumpnet": __version__,
        "model": original.sha256,
        "domain": _digest([x for pair in ends.values() for x in pair]),
        "data": _digest_of(data),
        "boxes": boxes,
        "seed": seed,
    }


def _digest_of(data: Data | None) -> str | None:
    return None if data is None else _digest([*data.inputs.values(), *([] if data.labels is None else [data.labels])])


def _digest(arrays: Sequence[np.ndarray]) -> str:
    whole = hashlib.sha256()
    for x in arrays:
        whole.update(f"{x.dtype} {x.shape} ".encode())
        whole.update(np.ascontiguousarray(x).tobytes())
    return whole.hexdigest()


def _document(of: Mapping[str, Any], candidates: Sequence[Candidate]) -> dict[str, Any]:
    return {"format": FORMAT, "schema_version": VERSION, "of": dict(of), "candidates": [asdict(c) for c in candidates]}


def _dumped(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=2, allow_nan=False).encode("ascii") + b"\n"


def _resumed(path: Path, of: Mapping[str, Any]) -> dict[tuple[str, str | None, float], Candidate]:
    """The candidates that the file holds. Raises `FileError` where it is no file of this sweep."""
    hint = "another output file, or delete this one"
    if not path.exists():
        if not path.parent.is_dir():
            raise FileError(str(path), "cannot be written", "a file in an existing folder", "another output file")
        return {}
    try:
        given = strict_json(path.read_bytes()[: LARGEST + 1], str(path), FileError, LARGEST)
    except OSError as error:
        raise FileError(str(path), f"cannot be read ({error.strerror})", "a file written by lumpnet sweep", hint) from error
    if not isinstance(given, dict) or given.get("format") != FORMAT or given.get("schema_version") != VERSION:
        raise FileError(str(path), "something else than a sweep, which is not overwritten", "a file written by lumpnet sweep, to resume from", hint)
    if given.get("of") != dict(of):
        theirs = given["of"] if isinstance(given.get("of"), dict) else {}
        other = ", ".join(key for key, value in of.items() if theirs.get(key, ...) != value)
        raise FileError(str(path), f"the candidates of another sweep (other: {other})", "the file of this sweep, to resume from", hint)
    try:
        found = [_candidate(entry) for entry in given["candidates"]]
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(str(path), f"not readable as candidates ({error})", "a file written by lumpnet sweep", hint) from error
    return {candidate.key: candidate for candidate in found}


_KINDS: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (float, int), "None": (type(None),)}


def _candidate(entry: Any) -> Candidate:
    """Raises `TypeError` or `KeyError` for what is none."""
    if not isinstance(entry, dict) or set(entry) != {f.name for f in fields(Candidate)}:
        raise TypeError("an entry with other keys")
    for f in fields(Candidate):
        kinds = tuple(kind for part in str(f.type).split(" | ") for kind in _KINDS[part])
        if type(entry[f.name]) not in kinds:
            raise TypeError(f"{f.name} is {entry[f.name]!r}"[:80])
    return Candidate(**entry)


__all__ = ["Candidate", "Sweep", "sweep"]
