"""What Python users call: lift, reduce, check, lower.

`reduce` never reports a verdict of its own: it writes both network files and the
certificate and reports what the independent checker said of them.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lumpnet.certificate import Certificate, dumps, loads
from lumpnet.check import check_files
from lumpnet.check.files import read_network_file
from lumpnet.check.graph import read_graph
from lumpnet.check.outcome import Unsure
from lumpnet.check.rules import KINDS
from lumpnet.errors import FileError, LumpnetError
from lumpnet.ir import Graph, load_network, network_bytes, write_whole
from lumpnet.quotient import certificate as claim
from lumpnet.quotient import plan
from lumpnet.quotient.explain import Size, measure, pinned, removed
from lumpnet.verdict import Proved, Refuted, Unknown, Verdict, word

if TYPE_CHECKING:
    import torch

LIFT = "torch-1"
"""Version of the lift: an annotation of the certificate, so that a later lift can tell difference from disagreement."""

Progress = Callable[[str], None]


def _quiet(text: str) -> None:
    return None


@dataclass(frozen=True, eq=False)
class Network:
    """A lifted network: the graph and its file."""

    graph: Graph

    @cached_property
    def data(self) -> bytes:
        """The bytes of the network file."""
        return network_bytes(self.graph)

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def size(self) -> Size:
        return measure(self.graph)

    def save(self, path: str | Path) -> None:
        """Write the network file (.safetensors). Raises `FileError`."""
        write_whole(path, self.data)

    @staticmethod
    def load(path: str | Path) -> Network:
        """Read a network file, once the checker's strict reader has found it well formed; nothing in it is executed.

        Raises `FileError`, `GraphError`. Operators the checker has no rule for may pass.
        """
        with suppress(Unsure):
            read_graph(read_network_file(path), KINDS)
        return Network(load_network(path))


def lift(model: torch.nn.Module, example_inputs: Any) -> Network:
    """Lift an `nn.Module` in evaluation mode, the batch dynamic.

    example_inputs is a tensor or a tuple of tensors, batch first. Raises
    `LiftError` where the graph would not be the module's function.
    """
    from lumpnet.lift.torch import lift_module

    return Network(lift_module(model, _inputs(example_inputs)))


def lower(network: Network) -> torch.nn.Module:
    """The network as an `nn.Module` with the original's submodule and parameter names."""
    from lumpnet.lower.torch import lower_graph

    return lower_graph(network.graph)


@dataclass(frozen=True, eq=False)
class Reduction:
    """The result of `reduce`: both networks, the certificate, and the checker's verdict on them."""

    original: Network
    network: Network
    certificate: Certificate
    verdict: Verdict
    rules: dict[str, dict[str, int]]
    pinned: list[tuple[str, str]]
    declined: int
    seconds: dict[str, float] = field(compare=False)

    @cached_property
    def model(self) -> torch.nn.Module:
        """The reduced network as an `nn.Module`."""
        return lower(self.network)

    @property
    def rounding(self) -> str:
        return self.certificate.rounding

    def totals(self) -> dict[str, int]:
        """Rule -> hidden units removed."""
        total: dict[str, int] = {}
        for rules in self.rules.values():
            for rule, count in rules.items():
                total[rule] = total.get(rule, 0) + count
        return total

    def save(self, out: str | Path, certificate: str | Path | None = None) -> None:
        """Write the reduced network file and, beside it or where told, the certificate."""
        self.network.save(out)
        write_whole(certificate or f"{out}.cert.json", dumps(self.certificate))

    def as_dict(self) -> dict[str, Any]:
        """The object that `lumpnet reduce --json` prints."""
        before, after = self.original.size, self.network.size
        return {
            "verdict": word(self.verdict),
            "rounding": self.rounding,
            "reason": getattr(self.verdict, "reason", None),
            "units_before": before.units,
            "units_after": after.units,
            "parameters_before": before.parameters,
            "parameters_after": after.parameters,
            "multiply_adds_before": before.multiply_adds,
            "multiply_adds_after": after.multiply_adds,
            "bound": None,
            "rules": self.totals(),
            "declined": self.declined,
            "pinned": [{"operator": operator, "reason": reason} for operator, reason in self.pinned],
            "seconds": self.seconds,
        }

    def summary(self) -> str:
        """A few lines for people."""
        before, after = self.original.size, self.network.size
        lines = [
            f"{verdict_line(self.verdict)}",
            f"hidden units   {before.units:>12,} -> {after.units:,}",
            f"parameters     {before.parameters:>12,} -> {after.parameters:,}",
            f"multiply-adds  {before.multiply_adds:>12,} -> {after.multiply_adds:,}",
        ]
        totals = self.totals()
        lines.append("removed by rule: " + (", ".join(f"{rule} {count}" for rule, count in sorted(totals.items())) or "nothing (no exact redundancy found)"))
        lines += [f"pinned: {operator}: {reason}" for operator, reason in self.pinned]
        if self.declined:
            lines.append(f"declined because a weight would have been rounded: {self.declined} more units (--require nearest removes them)")
        lines += [f"vouched for by: {who}" for who in getattr(self.verdict, "vouched_by", ())]
        return "\n".join(lines)

    __str__ = summary


def verdict_line(verdict: Verdict) -> str:
    """One line that says which claim holds, or why none is made."""
    if isinstance(verdict, Proved):
        if verdict.rounding == "none":
            return "exact: the reduced network computes the same real function, for every input (checked)"
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
    progress: Progress = _quiet,
) -> Reduction:
    """Remove every unit that exact lumping can remove, and certify the result.

    model is an `nn.Module` (with example_inputs), a network file or a `Network`.
    require="exact" declines merges whose weights would have to be rounded;
    dtype "float64" emits wider weights. Data-free and deterministic. Raises
    `LumpnetError` subclasses for models that cannot be read.
    """
    if require not in ("nearest", "exact"):
        raise ValueError(f"require is {require!r}: use 'nearest' or 'exact'")
    if dtype not in (None, "float32", "float64"):
        raise ValueError(f"dtype is {dtype!r}: use 'float32' or 'float64'")
    seconds: dict[str, float] = {}
    with _timed("lift", seconds, progress):
        original = as_network(model, example_inputs)
        original.sha256  # noqa: B018  (hashing belongs to reading)
    with _timed("lump", seconds, progress):
        found = plan(original.graph, require, dtype, progress)
        declined = 0
        if require == "exact" and found.declined:
            loose = plan(original.graph, "nearest", dtype, progress)
            declined = measure(found.quotient.graph).units - measure(loose.quotient.graph).units
    with _timed("certify", seconds, progress):
        network = Network(found.quotient.graph)
        per_node = {name: dict(count) for name, count in removed(found.outcome, found.kept).items()}
        totals: dict[str, int] = {}
        for count in per_node.values():
            for rule, units in count.items():
                totals[rule] = totals.get(rule, 0) + units
        notes = {"lift": LIFT, "require": require, "dtype": dtype or "as stored"}
        written = claim(found.outcome, found.kept, (original.sha256, network.sha256), found.quotient.rounding, totals, notes)
    with _timed("check", seconds, progress):
        verdict = check(original, network, written)
    return Reduction(original, network, written, verdict, per_node, pinned(found.outcome.sites), declined, seconds)


def check(original: Any, reduced: Any, certificate: Certificate | str | Path, *, example_inputs: Any = None, smt: bool = False) -> Verdict:
    """What the independent checker says of a certificate.

    original and reduced are network files, `Network`s, or `nn.Module`s (which are
    lifted again with example_inputs and must give the bound network file byte
    for byte; the lift itself is trusted, and compared with the module on sampled
    inputs). With smt=True, Z3 is asked for a second opinion. Raises `LumpnetError`
    for files that cannot be read.
    """
    vouched: list[str] = []
    with tempfile.TemporaryDirectory(prefix="lumpnet-") as folder:
        paths = [_as_file(model, example_inputs, Path(folder) / f"{name}.safetensors") for name, model in (("original", original), ("reduced", reduced))]
        written = _as_file(certificate, None, Path(folder) / "certificate.json")
        verdict = check_files(paths[0], paths[1], written)
        for which, model, path in zip(("original", "reduced"), (original, reduced), paths, strict=True):
            if isinstance(model, str | Path | Network):
                continue
            differs = _other_lift(which, path, written)
            if differs is not None:
                return differs
            from lumpnet.evidence.sampling import choices, compare  # loads torch

            lifted = Network.load(path)
            agreement = compare(model, lower(lifted), _inputs(example_inputs), choices=choices(lifted.graph))
            vouched.append(f"lift of the {which}: trusted, {agreement}")
        if smt:
            from lumpnet.evidence.smt import second_opinion  # loads z3

            verdict = second_opinion(verdict, _read(paths[0]), _read(paths[1]), _read(written))
    if isinstance(verdict, Proved) and vouched:
        verdict = replace(verdict, vouched_by=(*verdict.vouched_by, *vouched))
    return verdict


def _as_file(thing: Any, example_inputs: Any, path: Path) -> Path:
    """The thing's own path if it is a file, else `path` with it written there."""
    if isinstance(thing, str | Path):
        return Path(thing)
    path.write_bytes(dumps(thing) if isinstance(thing, Certificate) else as_network(thing, example_inputs).data)
    return path


def _other_lift(which: str, path: Path, certificate: Path) -> Verdict | None:
    """A verdict against a model that no longer lifts to the bound network file."""
    bound = loads(_read(certificate))
    if hashlib.sha256(_read(path)).hexdigest() == getattr(bound, which):
        return None
    version = bound.annotations.get("lift")
    if version != LIFT:
        return Unknown(f"the {which} was lifted by version {version!r}, this is {LIFT!r}: lift and reduce again, or check the network files")
    return Refuted(f"the {which} model lifts to another network than the one the certificate binds: the certificate is for another model", "files")


def as_network(model: Any, example_inputs: Any = None) -> Network:
    """A `Network` from a `Network`, a network file or an `nn.Module` with example inputs."""
    if isinstance(model, Network):
        return model
    if isinstance(model, str | Path):
        if Path(model).suffix != ".safetensors":
            raise FileError(
                str(model),
                "this kind of file is not read here",
                "a lumpnet network file (.safetensors)",
                "lumpnet.lift(module, example_inputs).save(path) in Python",
            )
        return Network.load(model)
    if example_inputs is None:
        raise LumpnetError("lumpnet.reduce", "a module without example inputs", "a batch of example inputs", "lumpnet.reduce(model, torch.zeros(2, 3, 32, 32))")
    return lift(model, example_inputs)


def _inputs(example_inputs: Any) -> tuple[Any, ...]:
    return tuple(example_inputs) if isinstance(example_inputs, Sequence) else (example_inputs,)


def _read(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise FileError(str(path), f"cannot be read ({error.strerror})", "a readable file", "check the path") from error


@contextmanager
def _timed(phase: str, seconds: dict[str, float], progress: Progress) -> Iterator[None]:
    progress(phase)
    start = time.perf_counter()
    yield
    seconds[phase] = round(time.perf_counter() - start, 6)
