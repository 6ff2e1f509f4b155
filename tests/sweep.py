"""`python -m tests.sweep FOLDER`: every ONNX file of a folder goes the whole way, or says why not.

lift, reduce (which checks), lower, lift again (the identical network), and compare
with onnxruntime on random inputs: the file against what is written of the original
and of the reduced network, and against the graph in double precision where every
operator has a rule. Exit code 1 where two of them disagree.
"""

from __future__ import annotations

import sys
import textwrap
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lumpnet.api import Reduction, reduce
from lumpnet.errors import LumpnetError
from lumpnet.evidence.sampling import choices
from lumpnet.ir import Graph
from lumpnet.lift.onnx import lift_onnx
from lumpnet.network import onnx_bytes
from lumpnet.ops.sites import run
from lumpnet.verdict import Proved

WIDTH = 80
TOLERANCE = 1e-3
HEAD = f"{'file':<25} {'lifted':>6} {'reduced':>13} {'pinned':>6} {'agreement':>12} {'seconds':>8}"


@dataclass
class Row:
    """One file's way. `deviation` is relative to the largest output; `reason` says where it ended, if it did."""

    name: str
    nodes: int | None = None
    units: tuple[int, int] | None = None
    pinned: list[str] = field(default_factory=list)
    deviation: float | None = None
    seconds: float = 0.0
    reason: str = ""

    @property
    def bad(self) -> bool:
        return self.deviation is not None and not self.deviation <= TOLERANCE

    def lines(self) -> list[str]:
        units = f"{self.units[0]} -> {self.units[1]}" if self.units else "-"
        agreement = "-" if self.deviation is None else f"{'DIFFERS ' if self.bad else ''}{self.deviation:.0e}"
        name, rest = (self.name, []) if len(self.name) <= 25 else ("", [self.name])
        first = f"{name:<25} {self.nodes or 'no':>6} {units:>13} {len(self.pinned):>6} {agreement:>12} {self.seconds:>8.2f}"
        return [*rest, first, *(line for text in self._remarks() for line in textwrap.wrap(text, WIDTH, initial_indent="    ", subsequent_indent="      "))]

    def _remarks(self) -> list[str]:
        return [*(f"pinned: {p}" for p in self.pinned), *([self.reason] if self.reason else [])]


def sweep(path: Path) -> Row:
    """The whole way of one file. Raises nothing that lumpnet means to say."""
    row, start = Row(path.name), time.perf_counter()
    try:
        graph = lift_onnx(path)
        row.nodes = len(graph.nodes)
        result = reduce(str(path))
        row.units = (result.original.size.units, result.network.size.units)
        row.pinned = [f"{operator}: {why}" for operator, why in result.pinned]
        if not isinstance(result.verdict, Proved):
            row.reason = f"not proved: {getattr(result.verdict, 'reason', '')}"
        row.deviation = agreement(path.read_bytes() if path.stat().st_size < 1 << 31 else str(path), path, result)
    except LumpnetError as error:
        row.reason = ("refused: " if row.nodes is None else "not written: ") + str(error)
    row.seconds = time.perf_counter() - start
    return row


def agreement(data: Any, path: Path, result: Reduction, batches: tuple[int, ...] = (1, 4)) -> float:
    """The largest deviation of anything made of the file from what onnxruntime computes of it, relative to its largest output."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)

    def session(model: Any) -> Any:
        return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])

    graph, rng, worst = result.original.graph, np.random.default_rng(0), 0.0
    models = [session(onnx_bytes(network)) for network in (result.original, result.network)]
    original = session(str(path))
    for batch in batches[:1] if any(" of 1" in n or "to 1;" in n for n in graph.notes) else batches:
        inputs = _inputs(graph, batch, rng)
        truth = original.run(None, {i.name: inputs[i.name].astype(_type(i.type)) for i in original.get_inputs()})
        made = [model.run(None, inputs) for model in models]
        if not any(n.kind == "opaque" for n in graph.nodes):
            values = run(graph, {k: v.astype(np.float64) if v.dtype.kind == "f" else v for k, v in inputs.items()})
            made.append([values[name] for name in graph.outputs])
        for outputs in made:
            worst = max(worst, *(_deviation(a, b) for a, b in zip(truth, outputs, strict=True)))
    return worst


def _inputs(graph: Graph, batch: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Normal numbers; integers that every table knows."""

    def one(shape: tuple[int, ...], dtype: str, most: int | None) -> np.ndarray:
        return rng.normal(size=shape).astype(dtype) if dtype.startswith("float") else rng.integers(0, most or 2, size=shape).astype(dtype)

    return {v.name: one((batch, *(int(d or 0) for d in v.shape[1:])), v.dtype, most) for v, most in zip(graph.inputs, choices(graph), strict=True)}


def _type(text: str) -> str:
    """onnxruntime's word for a type, in numpy's."""
    return {"float": "float32", "double": "float64", "float16": "float16"}.get(text[7:-1], text[7:-1])


def _deviation(a: np.ndarray, b: np.ndarray) -> float:
    if a.shape != b.shape:
        return float("inf")
    scale = max(float(np.abs(a).max(initial=0)), 1.0)
    return float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max(initial=0)) / scale


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("usage: python -m tests.sweep FOLDER", file=sys.stderr)
        return 2
    rows = []
    print(HEAD, flush=True)
    for path in sorted(Path(arguments[0]).rglob("*.onnx")):
        rows.append(sweep(path))
        print("\n".join(rows[-1].lines()), flush=True)
    refused, bad = sum(r.nodes is None for r in rows), sum(r.bad for r in rows)
    print(f"{len(rows)} files: {len(rows) - refused} lifted, {refused} refused, {bad} disagree with onnxruntime")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
