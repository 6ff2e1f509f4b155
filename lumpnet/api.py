"""What Python users call: lift, reduce, check, lower.

`reduce` never reports a verdict of its own: it writes both network files and the
certificate and reports what the independent checker said of them.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lumpnet.bounds import Deviation, Moved, execution_dtype, moved
from lumpnet.certificate import Certificate, Effect, Moves, dumps, loads
from lumpnet.check import check_files
from lumpnet.check.run import check_read
from lumpnet.domain import Domain, boxes
from lumpnet.executing import AsExecuted, as_executed, common
from lumpnet.ir import Graph, write_whole
from lumpnet.lift.files import FOREIGN
from lumpnet.lump.relaxed import Goal, points, relax
from lumpnet.network import ONNX, Network, as_network, batches, beside, file_of, lower, onnx_bytes, read_whole
from lumpnet.quotient import certificate as claim
from lumpnet.quotient import plan
from lumpnet.quotient.explain import measure, pinned, removed, size_lines, sizes
from lumpnet.quotient.plan import settled
from lumpnet.quotient.refit import refitted
from lumpnet.shown import Shown
from lumpnet.verdict import Proved, Refuted, Unknown, Verdict, word

if TYPE_CHECKING:
    import torch

LIFT, LIFT_ONNX = "torch-1", "onnx-1"
"""Versions of the lifts: annotations of the certificate, so that a later lift can tell difference from disagreement."""

Progress = Callable[[str], None]


def _quiet(text: str) -> None:
    return None


@dataclass(frozen=True, eq=False)
class Reduction(Shown):
    """The result of `reduce`: both networks, the certificate, and the checker's verdict on them."""

    drawn_by = "lumpnet.report.reduction"

    original: Network
    network: Network
    certificate: Certificate
    verdict: Verdict
    rules: dict[str, dict[str, int]]
    pinned: list[tuple[str, str]]
    declined: int
    seconds: dict[str, float] = field(compare=False)
    moved: Moved | None = None
    """What rounded weights do at the outputs; None where none is rounded."""

    @cached_property
    def model(self) -> torch.nn.Module:
        """The reduced network as an `nn.Module`."""
        return lower(self.network)

    @property
    def rounding(self) -> str:
        """What is proved of it, or else what the certificate claims."""
        return self.verdict.rounding if isinstance(self.verdict, Proved) else self.certificate.rounding

    def totals(self) -> dict[str, int]:
        """Rule -> hidden units removed."""
        total: dict[str, int] = {}
        for rules in self.rules.values():
            for rule, count in rules.items():
                total[rule] = total.get(rule, 0) + count
        return total

    def executed(self, domain: Domain, seed: int = 0) -> AsExecuted:
        """How far both networks can be apart when they run in floating point on inputs of the domain (see `AsExecuted`). Raises `DomainError`."""
        return as_executed(self.original, self.network, self.verdict, self.certificate.effect, domain, seed)

    def save(self, out: str | Path, certificate: str | Path | None = None) -> None:
        """Write the reduced network and, beside it or where told, the certificate.

        An `.onnx` file comes with the network files that the certificate binds (`beside`).
        Raises `FileError`, and `LiftError` for what ONNX cannot say.
        """
        if Path(out).suffix == ONNX:
            data = onnx_bytes(self.network)
            original, reduced = beside(out)
            self.original.save(original)
            self.network.save(reduced)
            write_whole(out, data)
        else:
            self.network.save(out)
        write_whole(certificate or f"{out}.cert.json", dumps(self.certificate))

    def as_dict(self) -> dict[str, Any]:
        """The object that `lumpnet reduce --json` prints."""
        claimed = self.certificate.effect
        return {
            "verdict": word(self.verdict),
            "rounding": self.rounding,
            "reason": getattr(self.verdict, "reason", None),
            **sizes(self.original.size, self.network.size),
            "bound": None if claimed is None or claimed.beta else claimed.alpha,
            "effect": None if self.moved is None else self.moved.as_dict(),
            "rules": self.totals(),
            "declined": self.declined,
            "pinned": [{"operator": operator, "reason": reason} for operator, reason in self.pinned],
            "seconds": self.seconds,
        }

    def summary(self) -> str:
        """A few lines for people."""
        lines = [verdict_line(self.verdict), *size_lines(self.original.size, self.network.size)]
        totals = self.totals()
        lines.append("removed by rule: " + (", ".join(f"{rule} {count}" for rule, count in sorted(totals.items())) or "nothing (no exact redundancy found)"))
        lines += [f"pinned: {operator}: {reason}" for operator, reason in self.pinned]
        if self.declined:
            lines.append(f"declined because a weight would have been rounded: {self.declined} more units (--require nearest removes them)")
        if self.moved is not None:
            what = "rounded weights move" if self.certificate.moved is None else "merges and rounded weights move"
            lines.append(f"{what} an output {self.moved}")
        lines += [f"vouched for by: {who}" for who in getattr(self.verdict, "vouched_by", ())]
        return "\n".join(lines)


def verdict_line(verdict: Verdict) -> str:
    """One line that says which claim holds, or why none is made."""
    if isinstance(verdict, Proved):
        if verdict.claim == "bounded":
            return f"bounded: {verdict.statements[0]} (checked)"
        if verdict.rounding == "none":
            return "exact: the reduced network computes the same real function, for every input (checked)"
        if verdict.rounding == "bounded":
            return "exact, rounding bounded: the exact quotient computes the same real function; what its rounded weights change is bounded (checked)"
        return "exact, rounding nearest: the exact quotient computes the same real function; the weights emitted are its correct roundings (checked)"
    if isinstance(verdict, Refuted):
        return f"refuted ({verdict.what}): {verdict.reason}"
    return f"unknown: {verdict.reason}"


def reduce(
    model: torch.nn.Module | str | Path | Network,
    example_inputs: Any = None,
    *,
    require: str = "nearest",
    dtype: str | None = None,
    domain: Domain | None = None,
    tolerance: float | None = None,
    budget: float | None = None,
    size: float | None = None,
    layer: str | None = None,
    folder: str | Path | None = None,
    progress: Progress = _quiet,
) -> Reduction:
    """Remove every unit that exact lumping can remove, and certify the result.

    With one of tolerance, budget and size, merge units that are only nearly redundant, too (`lumpnet.lump.relaxed.Goal`): the verdict is then
    `bounded`, and the certificate says by how much the outputs can differ on the domain, or on every input by a multiple of its size. With layer,
    only units that this operator makes, and size is a share of these. Not with require="exact" (`ValueError`).

    model is an `nn.Module` (with example_inputs), a network or ONNX file, or a `Network`.
    require="exact" declines merges whose weights would have to be rounded;
    dtype "float64" emits wider weights; domain says for which inputs the effect of rounded weights is
    bounded (None: for every input, by a multiple of its size); the reduced network's file stands in a
    scratch folder inside `folder` (the system's for temporary files) until it is saved. Data-free and deterministic. Raises
    `LumpnetError` subclasses for models that cannot be read.
    """
    if require not in ("nearest", "exact"):
        raise ValueError(f"require is {require!r}: use 'nearest' or 'exact'")
    if dtype not in (None, "float32", "float64"):
        raise ValueError(f"dtype is {dtype!r}: use 'float32' or 'float64'")
    goal = None if all(x is None for x in (tolerance, budget, size, layer)) else Goal(tolerance, budget, size, layer)
    if goal is not None and require == "exact":
        raise ValueError("require='exact' rounds no weight, and merging what is only nearly redundant changes weights: leave one of them out")
    seconds: dict[str, float] = {}
    with _timed("lift", seconds, progress):
        original = as_network(model, example_inputs).filed(folder)
    if goal is not None:
        result = _relaxed(
            original, goal, require, dtype, domain, folder, seconds, progress, {"require": require, "dtype": dtype or "as stored"} | _source(model)
        )
        if result is not None:
            return result
    with _timed("lump", seconds, progress):
        found = plan(original.graph, require, dtype, progress)
        declined = 0
        if require == "exact" and found.declined:
            loose = plan(original.graph, "nearest", dtype, progress)
            declined = measure(found.quotient.graph).units - measure(loose.quotient.graph).units
    with _timed("certify", seconds, progress):
        network = Network(found.quotient.graph).filed(folder)
        per_node = {name: dict(count) for name, count in removed(found.outcome, found.kept).items()}
        totals: dict[str, int] = {}
        for count in per_node.values():
            for rule, units in count.items():
                totals[rule] = totals.get(rule, 0) + units
        notes = {"lift": LIFT, "lift_onnx": LIFT_ONNX, "require": require, "dtype": dtype or "as stored"} | _source(model)
        bounded = _moved(original.graph, network, found.quotient.inexact, domain)
        written = claim(
            found.outcome, found.kept, (original.sha256, network.sha256), found.quotient.rounding, totals, notes, bounded.effect if bounded else None
        )
    with _timed("check", seconds, progress):
        verdict = check_read(file_of(original), file_of(network), dumps(written))
        if written.effect is not None and not isinstance(verdict, Proved):  # the equality does not fall with the bound
            bounded, written = Moved(reason=f"no bound: {verdict.reason}"), replace(written, effect=None)
            verdict = check_read(file_of(original), file_of(network), dumps(written))
    return Reduction(original, network, written, verdict, per_node, pinned(found.outcome.sites), declined, seconds, bounded)


def _relaxed(
    original: Network,
    goal: Goal,
    require: str,
    dtype: str | None,
    domain: Domain | None,
    folder: str | Path | None,
    seconds: dict[str, float],
    progress: Progress,
    notes: dict[str, Any],
) -> Reduction | None:
    """The reduction of the original with some of its units moved; None where no merge is worth it."""
    box = None if domain is None else boxes(domain, original.graph.inputs)
    deviation, stored, sample = Deviation(file_of(original), box), execution_dtype(original.graph), points(original.graph, box)
    for share, fitted in _ATTEMPTS["budget" if goal.budget is not None else "size" if goal.size is not None else "tolerance"]:
        with _timed("relax", seconds, progress):
            part = goal if goal.budget is None else replace(goal, budget=goal.budget * share)
            near = relax(original.graph, sample, part, deviation.of, progress)
        with _timed("lump", seconds, progress):
            near = settled(near, progress)
            found = plan(near.graph, require, dtype or stored, progress, near.stay)
        if not near.moves:
            break
        with _timed("certify", seconds, progress):
            graph, taken = refitted(original.graph, found, near.stay, sample) if fitted else (found.quotient.graph, ())
            inexact = {place: mask for place, mask in found.quotient.inexact.items() if place[0] not in taken}
            network = Network(graph).filed(folder)
            hashes, rounding = (original.sha256, network.sha256), "nearest" if inexact else "none"
            per_node = {name: dict(count) for name, count in removed(found.outcome, found.kept).items()}
            totals = {rule: sum(count.get(rule, 0) for count in per_node.values()) for rule in dict.fromkeys(r for count in per_node.values() for r in count)}
            written = claim(
                found.outcome,
                found.kept,
                hashes,
                rounding,
                totals,
                notes | {"goal": {key: value for key, value in asdict(goal).items() if value is not None}},
                moved=Moves(near.moves, taken),
            )
            bounded = deviation.claim(written, file_of(network), inexact)
            effect = bounded.effect or Effect(0.0)
            written = replace(written, effect=effect)
        with _timed("check", seconds, progress):
            verdict = Unknown(str(bounded.reason)) if bounded.effect is None else check_read(file_of(original), file_of(network), dumps(written))
        result = Reduction(original, network, written, verdict, per_node, pinned(found.outcome.sites), found.declined, seconds, bounded)
        if isinstance(verdict, Proved) and (goal.budget is None or effect.alpha + effect.beta <= goal.budget):
            return result
    return result if goal.budget is None and near.moves else None


_ATTEMPTS = {"budget": ((1.0, False), (0.97, False), (0.7, False)), "size": ((1.0, True), (1.0, False)), "tolerance": ((1.0, False),)}
"""The share of the budget that merges may take (what is left pays for rounding), and whether the readers of merged units are fitted."""


def _moved(original: Graph, network: Network, inexact: Mapping[tuple[str, str], Any], domain: Domain | None) -> Moved | None:
    if not inexact:
        return None
    return moved(file_of(network), inexact, None if domain is None else common(domain, original, network.graph))


def check(original: Any, reduced: Any, certificate: Certificate | str | Path, *, example_inputs: Any = None, smt: bool = False) -> Verdict:
    """What the independent checker says of a certificate.

    original and reduced are network files, `Network`s, or models: `.pt2` and ONNX files
    and `nn.Module`s are lifted again (modules with example_inputs) and must give the
    bound network file byte for byte; the lift itself is trusted, that of a module
    compared with it on sampled inputs. With smt=True, Z3 is asked for a second opinion. Raises `LumpnetError`
    for files that cannot be read.
    """
    vouched: list[str] = []
    with tempfile.TemporaryDirectory(prefix="lumpnet-") as folder:
        paths = [_asfile_of(model, example_inputs, Path(folder) / f"{name}.safetensors") for name, model in (("original", original), ("reduced", reduced))]
        written = _asfile_of(certificate, None, Path(folder) / "certificate.json")
        verdict = check_files(paths[0], paths[1], written)
        for which, model, path in zip(("original", "reduced"), (original, reduced), paths, strict=True):
            if isinstance(model, Network) or ((is_file := isinstance(model, str | Path)) and not _foreign(model)):
                continue
            differs = _other_lift(which, path, written, _lift_key(model))
            if differs is not None:
                return differs
            if is_file:
                vouched.append(f"lift of the {which} from {Path(model).name}: trusted")
                continue
            from lumpnet.evidence.sampling import choices, compare  # loads torch

            lifted = Network.load(path)
            agreement = compare(model, lower(lifted), batches(example_inputs), choices=choices(lifted.graph))
            vouched.append(f"lift of the {which}: trusted, {agreement}")
        if smt:
            from lumpnet.evidence.smt import second_opinion  # loads z3

            verdict = second_opinion(verdict, read_whole(paths[0]), read_whole(paths[1]), read_whole(written))
    if isinstance(verdict, Proved) and vouched:
        verdict = replace(verdict, vouched_by=(*verdict.vouched_by, *vouched))
    return verdict


def _asfile_of(thing: Any, example_inputs: Any, path: Path) -> Path:
    """The thing's own path if it is a certificate or network file, else `path` with it written there."""
    if isinstance(thing, str | Path) and not _foreign(thing):
        return Path(thing)
    path.write_bytes(dumps(thing) if isinstance(thing, Certificate) else as_network(thing, example_inputs).data)
    return path


def _foreign(path: str | Path) -> bool:
    """Whether this is a model file, to be lifted before anything can be said of it."""
    return Path(path).suffix.lower() in FOREIGN


def _lift_key(model: Any) -> str:
    """Under which annotation a certificate has the version of the lift that reads such a model."""
    return "lift_onnx" if isinstance(model, str | Path) and Path(model).suffix.lower() == ONNX else "lift"


def _source(model: Any) -> dict[str, Any]:
    """Which file the original was lifted from: an annotation."""
    if not isinstance(model, str | Path) or not _foreign(model):
        return {}
    return {"source": {"format": Path(model).suffix[1:].lower(), "sha256": hashlib.sha256(read_whole(model)).hexdigest()}}


def _other_lift(which: str, path: Path, certificate: Path, kind: str) -> Verdict | None:
    """A verdict against a model that no longer lifts to the bound network file."""
    bound = loads(read_whole(certificate))
    if hashlib.sha256(read_whole(path)).hexdigest() == getattr(bound, which):
        return None
    version, here = bound.annotations.get(kind), {"lift": LIFT, "lift_onnx": LIFT_ONNX}[kind]
    if version != here:
        return Unknown(f"the {which} was lifted by version {version!r}, this is {here!r}: lift and reduce again, or check the network files")
    return Refuted(f"the {which} model lifts to another network than the one the certificate binds: the certificate is for another model", "files")


@contextmanager
def _timed(phase: str, seconds: dict[str, float], progress: Progress) -> Iterator[None]:
    progress(phase)
    start = time.perf_counter()
    yield
    seconds[phase] = round(time.perf_counter() - start, 6)
