"""What `lumpnet.prune` does: a method of `lumpnet.pruners`, then exact lumping of what the method left behind.

Pruning changes the function, and nothing here says by how much: that is an audit's
question. What is certified is the second step: the smaller network computes
what the pruned network of full size computes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lumpnet.api import Progress, Reduction, reduce, verdict_line
from lumpnet.certificate import DROPPED, IDENTITY, Certificate, Lumping, dumps
from lumpnet.errors import LumpnetError, PruneError
from lumpnet.ir import Graph, write_whole
from lumpnet.network import ONNX, Network, as_network, onnx_bytes
from lumpnet.ops.sites import sites
from lumpnet.pruners import Change, Pruned, Task, get, make
from lumpnet.pruners.data import data_for
from lumpnet.quotient.explain import measure, size_lines, sizes
from lumpnet.verdict import Verdict, word

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class Pruning:
    """The result of `prune`.

    `original` is the model, `masked` the network after the method (units no longer read, or equal; few methods change its layers), `network`
    its exact reduction. `changes` says what the method did, layer by layer; `skipped` are (operators, reason) that it left alone.
    """

    method: str
    keep: float
    seed: int
    options: Mapping[str, Any]
    original: Network
    compaction: Reduction
    changes: tuple[Change, ...]
    skipped: tuple[tuple[tuple[str, ...], str], ...]
    seconds: dict[str, float]

    @property
    def masked(self) -> Network:
        return self.compaction.original

    @property
    def network(self) -> Network:
        return self.compaction.network

    @cached_property
    def model(self) -> torch.nn.Module:
        """The pruned network as an `nn.Module`."""
        return self.compaction.model

    @property
    def certificate(self) -> Certificate:
        """Of the equality of `masked` and `network`."""
        return self.compaction.certificate

    @cached_property
    def relation(self) -> Certificate:
        """`certificate`, with the units in the order that they have in `original`: which unit became which, for `lumpnet.audit(certificate=...)`. No claim."""
        lumpings, followed = dict(self.certificate.lumpings), {s.node.name: s for s in sites(self.masked.graph)}
        for change in self.changes:
            if change.what != "order" or change.scores is None:
                continue
            place = change.scores.astype(np.int64)
            for value, at in change.at.items():
                found, site = lumpings.get(value, DROPPED), followed[value]
                if found == IDENTITY:
                    all_units = tuple(range(site.units))
                    found = Lumping(site.axis or 1, site.units, all_units, all_units)
                if isinstance(found, Lumping):
                    now = np.arange(site.units)
                    now[at] = at[place]
                    lumpings[value] = _seen_by(found, now.tolist())
        return replace(self.certificate, lumpings=lumpings)

    @property
    def verdict(self) -> Verdict:
        """What the checker says of `certificate`. It says nothing about `original`."""
        return self.compaction.verdict

    def save(self, out: str | Path) -> None:
        """Write the pruned network and what its certificate needs (`files`). Raises `FileError`, and `LiftError` for what ONNX cannot say."""
        whole, *networks, masked, certificate = files(out)
        if networks:
            data = onnx_bytes(self.network)
            self.network.save(networks[0])
            write_whole(whole, data)
        else:
            self.network.save(whole)
        self.masked.save(masked)
        write_whole(certificate, dumps(self.certificate))

    def as_dict(self) -> dict[str, Any]:
        """The object that `lumpnet prune --json` prints."""
        return {
            "method": self.method,
            "keep": self.keep,
            "keeps_at_least": get(self.method).keeps_at_least,
            "seed": self.seed,
            "options": dict(self.options),
            "verdict": word(self.verdict),
            "rounding": self.compaction.rounding,
            "reason": getattr(self.verdict, "reason", None),
            **sizes(self.original.size, self.network.size),
            "changes": [change.as_dict() for change in self.changes],
            "skipped": [{"operators": list(operators), "reason": reason} for operators, reason in self.skipped],
            "seconds": self.seconds,
        }

    def summary(self) -> str:
        """A few lines for people."""
        share = f"{'at least ' if get(self.method).keeps_at_least else ''}{self.keep:g}"
        lines = [
            f"pruned by {self.method}, keep {share} of {what(self.changes)}: the function has changed, by how much is for an audit to say",
            *size_lines(self.original.size, self.network.size),
        ]
        lines += [f"left alone: {', '.join(operators)}: {reason}" for operators, reason in self.skipped]
        return "\n".join([*lines, compaction_line(self.verdict)])

    __str__ = summary


def _seen_by(lumping: Lumping, now: list[int]) -> Lumping:
    """The lumping of units in another order: unit k is its unit `now[k]`."""
    scale = {k: lumping.scale[unit] for k, unit in enumerate(now) if unit in lumping.scale}
    offset = {k: lumping.offset[unit] for k, unit in enumerate(now) if unit in lumping.offset}
    return replace(lumping, classes=tuple(lumping.classes[unit] for unit in now), scale=scale, offset=offset)


def files(out: str | Path) -> tuple[Path, ...]:
    """What `Pruning.save` writes: the output, its network file where it has another format, the network before exact lumping, the certificate."""
    path = Path(out)
    beside = (path.with_suffix(".safetensors"),) if path.suffix == ONNX else ()
    return (path, *beside, path.with_suffix(".masked.safetensors"), path.with_name(f"{path.name}.cert.json"))


def what(changes: tuple[Change, ...]) -> str:
    """What was counted: units or weights."""
    return " and ".join(dict.fromkeys(change.what for change in changes if change.what != "order")) or "nothing"


def compaction_line(verdict: Verdict) -> str:
    """The verdict on the step from the masked network to the smaller one."""
    return f"masked -> pruned: {verdict_line(verdict)}"


def prune(
    model: torch.nn.Module | str | Path | Network,
    example_inputs: Any = None,
    *,
    method: str,
    keep: float,
    data: Any = None,
    seed: int = 0,
    folder: str | Path | None = None,
    progress: Progress = lambda text: None,
    **options: Any,
) -> Pruning:
    """Prune a model by a method of `lumpnet.pruners.available()`, and remove exactly what that made redundant.

    model as for `reduce`; it is left alone. keep in (0, 1] is the share of units (or weights) that stay, layer by layer, rounded up; with
    methods that find it themselves (`keeps_at_least`), the least share. data, for methods that look at examples: an array, arrays by input
    name, a `.npy` or `.npz` file, a pair (any of these, labels), or a `DataLoader` of such; the other methods do not look at it. options are the method's
    own. The same arguments give the same network. Raises `PruneError` for what the method does not take, and `LumpnetError` subclasses for models that
    cannot be read.
    """
    chosen, share = make(method, options), _share(keep)
    if isinstance(seed, bool) or not isinstance(seed, Integral) or seed < 0:
        raise PruneError("seed", f"{seed!r}", "an integer from 0 on", "seed=0")
    progress("lift")
    original = as_network(model, example_inputs)
    examples = None if data is None else data_for(original.graph.inputs, data)
    for need in chosen.needs:
        if examples is None or (need == "labels" and examples.labels is None):
            raise PruneError(
                f"pruner {method!r}", f"no {need}", "examples (and labels, where it says so)", "data=X or data=(X, y); --data FILE.npy or FILE.npz"
            )
    progress(method)
    start = time.perf_counter()
    found = _run(method, lambda: chosen.prune(Task(original.graph, share, seed, examples, progress)), original.graph)
    seconds = {method: round(time.perf_counter() - start, 6)}
    compaction = reduce(Network(found.graph), folder=folder, progress=progress)
    return Pruning(method, float(keep), seed, dict(options), original, compaction, tuple(found.changes), tuple(found.skipped), seconds | compaction.seconds)


def _share(keep: Any) -> Fraction:
    """The share as it is written in decimals: 0.3 of 10 are 3."""
    if isinstance(keep, bool) or not isinstance(keep, Real) or not 0 < float(keep) <= 1:
        raise PruneError("keep", f"{keep!r}", "a share of what stays, above 0 and at most 1", "keep=0.5")
    return Fraction(repr(float(keep)))


def _run(method: str, work: Any, before: Graph) -> Pruned:
    """The method's answer, if it is one. Raises `PruneError`."""
    try:
        found = work()
    except (LumpnetError, MemoryError):
        raise
    except Exception as error:  # whatever a method raises
        raise PruneError(f"pruner {method!r}", f"it failed ({type(error).__name__}: {error})", hint="lumpnet.prune in Python, for the traceback") from error
    if not isinstance(found, Pruned):
        raise PruneError(f"pruner {method!r}", f"it answers {type(found).__name__}", "a lumpnet.pruners.Pruned")
    interface = [(list(g.inputs), [(v.shape, v.dtype) for v in map(g.value, g.outputs)]) for g in (before, found.graph)]
    if interface[0] != interface[1]:
        raise PruneError(f"pruner {method!r}", "it answers a network with other inputs or outputs", "the inputs and the shapes of the outputs of the model")
    measure(found.graph)  # raises GraphError where shapes do not fit
    return found
