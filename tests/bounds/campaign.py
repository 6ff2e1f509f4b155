"""The campaign: executions of many networks against the bound, counted."""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lumpnet.bounds import executed
from lumpnet.domain import Domain, boxes
from lumpnet.errors import LumpnetError
from lumpnet.ir import Graph
from lumpnet.ops import get
from lumpnet.ops.sites import sites
from tests.bounds.cases import case
from tests.bounds.executions import REFUSALS, all_ways, by_onnxruntime, by_torch, inside, nearly, real, widened, worst

EXAMPLES, MANY, NUMBERS = 47, 100, 2000
"""Inputs a network: for every way to execute it, and for torch and onnxruntime with everything at once; fewer for more numbers in all outputs."""


@dataclass
class Tally:
    """Numbers compared, by library and format; violations; the largest error / bound with its place."""

    compared: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    without: Counter[str] = field(default_factory=Counter)
    networks: int = 0
    ratio: float = 0.0
    where: str = ""

    def add(self, what: str, where: str, found: tuple[int, int, float]) -> None:
        count, violations, ratio = found
        self.compared[what] += count
        if violations:
            self.violations.append(f"{where}: {violations} of {count}")
        if ratio > self.ratio:
            self.ratio, self.where = ratio, where

    @property
    def outputs(self) -> int:
        return self.compared.total()


def check(name: str, graph: Graph, domain: Domain, seed: int, tally: Tally, many: int = 0) -> None:
    """Every way to execute one network in float32 and float64, on inputs of the box."""
    rng = np.random.default_rng([seed, 5])
    wide = widened(graph)
    small = sum(get(s.node.kind).multiply_adds(s) for s in sites(graph)) < 1500
    certain = {dtype: executed(g, domain, dtype) for dtype, g in (("float32", graph), ("float64", wide))}
    size = sum(math.prod(int(d or 1) for d in graph.value(name).shape) for name in graph.outputs)
    examples, many = (max(3, min(n, NUMBERS // size)) * (n > 0) for n in (EXAMPLES, many))
    tally.networks += 1
    for dtype, g in (("float32", graph), ("float64", wide)):
        bound = certain[dtype]
        if bound.reason is not None or certain["float64"].reason is not None:
            tally.without[(bound.reason or certain["float64"].reason or "").split(":")[-1][:60]] += 1
            continue
        box = boxes(domain, graph.inputs)  # float32 numbers: both formats hold them
        xs = inside(box, examples, rng)
        few = {k: v[:1] for k, v in xs.items()}
        exact = real(wide, {k: v.astype(np.float64) for k, v in few.items()}) if small else None
        for way, run in all_ways(g, rng, small, full=many > 0):
            where = f"{name} {seed}: {way} in {dtype}"
            try:
                outputs = run({k: v.astype(dtype) for k, v in xs.items()})
            except REFUSALS:
                tally.without["a library cannot run it"] += 1
                continue
            what = f"{way.split(',')[0]} {dtype}"
            tally.add(what, where, worst(outputs, nearly(g, xs), bound, g, certain["float64"]))
            if exact is not None:
                tally.add(f"{what}, against rationals", where, worst([y[:1] for y in outputs], exact, bound, g))
        if many:
            xs = inside(box, many, rng)
            truth = nearly(g, xs)
            for way, run in (("torch", by_torch(g)), ("onnxruntime", by_onnxruntime(g))):
                with suppress(*REFUSALS):
                    if run is None:
                        continue
                    outputs = run({k: v.astype(dtype) for k, v in xs.items()})
                    tally.add(f"{way} {dtype}", f"{name} {seed}: {way}, {many} at once, {dtype}", worst(outputs, truth, bound, g, certain["float64"]))


def forged_cases() -> Iterator[tuple[str, Graph, Domain, int]]:
    """Graphs of the ONNX forge that lift, without end."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "onnxio"))
    import onnx_forge_steps  # noqa: F401  (fills the forge)
    from onnx_forge import forged

    from lumpnet.lift.onnx import lift_onnx
    from tests.bounds.cases import random_box

    seed = 0
    while True:
        seed += 1
        try:
            graph = lift_onnx(forged(seed, 1 + seed % 4))
        except LumpnetError:
            continue
        if all(v.dtype == "float32" for v in graph.inputs) and not any(" of 1" in n or "to 1;" in n for n in graph.notes):
            yield "forged", graph, random_box(np.random.default_rng([seed, 9]), graph), seed


def main(outputs: int, start: int, tell: bool = True) -> Tally:
    """Networks until so many outputs were compared; the same start gives the same networks."""
    tally, seed, forge, begun = Tally(), start, forged_cases(), time.monotonic()
    while tally.outputs < outputs:
        check(*case(seed), seed, tally, MANY)
        for _ in range(2):
            check(*next(forge), tally)
        seed += 1
        if tell and seed % 50 == 0:
            print(f"{time.monotonic() - begun:6.0f} s  {tally.outputs:>10,} outputs  {len(tally.violations)} violations  ratio {tally.ratio:.6f}", flush=True)
    return tally
