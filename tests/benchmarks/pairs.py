"""Audits of the public pairs: ACAS Xu and MNIST networks against their 16-bit twins.

    python -m tests.benchmarks.pairs FOLDER [decide] [one-shot] [images] [random] [--timeout 60] [--jobs 1]

FOLDER holds `acasxu/`, `mnist/` and `domains/`. `decide`: whether all five outputs stay within
epsilon, in seconds of processor time without imports; beside it the same question about the one output that the
peers compare, and the least seconds that a peer took for that one (ReluDiff, NeuroDiff, alpha-beta-CROWN and a
prototype in float arithmetic, one thread each; published seconds times threads for 8, 2_9). `one-shot`:
bounds without splitting. `images`: MNIST images, every output: decided at the root, and how tight after a search.
`random`: networks of two hidden layers with normal weights on [-1, 1], rounded to 16 bits or moved by 1 %: how tight.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lumpnet.audit.attack import Attack
from lumpnet.audit.matching import matched
from lumpnet.audit.search import Search, State, single_threaded
from lumpnet.bounds.relaxed import Program, pair, tape
from lumpnet.certificate import strict_json
from lumpnet.domain import Box, read_domain
from lumpnet.errors import DomainError
from lumpnet.executing import common
from lumpnet.ir import Graph
from lumpnet.network import Network
from lumpnet.testing.draft import Draft

PEERS: dict[tuple[int, str], tuple[tuple[float | None, float | None], tuple[float | None, float | None]]] = {
    (4, "1_1"): ((0.03, 0.30), (0.0, 0.1)),
    (3, "1_1"): ((0.22, 4.41), (0.0, 0.5)),
    (5, "1_1"): ((0.40, 4.36), (0.2, 0.5)),
    (16, "1_1"): ((0.29, 0.78), (0.3, 0.7)),
    (1, "1_1"): ((0.10, 0.23), (0.3, 0.7)),
    (9, "3_3"): ((4.29, 37.4), (0.8, 3.7)),
    (13, "1_1"): ((10.8, 27.1), (13.4, 34.6)),
    (1, "3_3"): ((32.0, None), (5.7, None)),
    (14, "5_1"): ((3.97, None), (0.3, 1.5)),
    (8, "2_9"): ((71.7 * 12, 1116.0 * 12), (None, None)),
}
"""property, network -> seconds of the best peer and of the prototype, for epsilon .05 and .01; None: not decided in 60 s."""
ONE_SHOT = {"acasxu_phi4": 0.035, "acasxu_phi3": 0.119, "acasxu_phi5": 5.2, "acasxu_phi1": 49.0, "mnist_image0_r3": 0.0037, "mnist_image2_r10": 0.0188}
"""The prototype's bounds without splitting: of the target output for ACAS Xu, of all outputs for MNIST."""


class Pair:
    def __init__(self, folder: Path, name: str, domain: str):
        files = folder / f"{name}.onnx", folder / f"{name}_16bit.onnx"
        self.one, self.two = (Network.load(file).graph for file in files)
        path = folder / "domains" / f"{domain}.json"
        self.domain = read_domain(str(path))
        target = strict_json(path.read_bytes(), str(path), DomainError, 1 << 24).get("target_output")
        self.target = int(target) if target is not None else None

    def program(self) -> Program:
        return pair(tape(self.one), tape(self.two), matched(self.one, self.two))

    def search(self, epsilon: float | None, seconds: float, jobs: int, target: bool = False) -> tuple[State, float]:
        """How it ended, and seconds of processor time: programs, attack and search."""
        began = time.process_time()
        with single_threaded():
            attack = Attack(self.one, self.two, common(self.domain, self.one, self.two), 0)
            outputs = int(self.one.value(self.one.outputs[0]).shape[1] or 0)
            rows = torch.tensor([self.target, outputs + self.target]) if target and self.target is not None else None
            attack.climb()
            if epsilon is None:
                attack.climb_softly()
            state = Search(self.program(), attack, epsilon, rows=rows, jobs=jobs).run(attack.space.low, attack.space.high, seconds)
        return state, time.process_time() - began


def decide(folder: Path, seconds: float, jobs: int) -> None:
    print(f"{'property':<10}{'network':<9}{'epsilon':>8}{'all outputs':>13}{'boxes':>8}{'target only':>13}{'best peer':>11}{'prototype':>11}")
    for (number, network), figures in PEERS.items():
        both = Pair(folder, f"acasxu/acasxu_{network}", f"acasxu_phi{number}") if (folder / f"domains/acasxu_phi{number}.json").exists() else None
        for k, epsilon in enumerate((0.05, 0.01)):
            if both is None:
                continue
            state, took = both.search(epsilon, seconds, jobs)
            one, alone = both.search(epsilon, seconds, jobs, target=True)
            row = f"{number:<10}{network:<9}{epsilon:>8}{_seconds(state, took, epsilon):>13}{state.boxes:>8}{_seconds(one, alone, epsilon):>13}"
            print(f"{row}{_figure(figures[0][k]):>11}{_figure(figures[1][k]):>11}", flush=True)


def one_shot(folder: Path) -> None:
    print(f"{'domain':<20}{'bound':>12}{'prototype':>11}{'ratio':>8}")
    for domain, prototype in ONE_SHOT.items():
        mnist = domain.startswith("mnist")
        both = Pair(folder, "mnist/mnist_relu_3_100" if mnist else "acasxu/acasxu_1_1", domain)
        state, _ = both.search(None, 0.0, 1, target=not mnist)
        print(f"{domain:<20}{state.upper:>12.4g}{prototype:>11.4g}{state.upper / prototype:>8.3f}", flush=True)


def images(folder: Path, seconds: float, jobs: int) -> None:
    print(f"{'domain':<24}{'root':>10}{'lower':>10}{'upper':>10}{'ratio':>8}{'seconds':>9}")
    for path in _domains(folder, "mnist_image*.json"):
        both = Pair(folder, "mnist/mnist_relu_3_100", path.stem)
        root, _ = both.search(None, 0.0, jobs)
        state, took = both.search(None, seconds, jobs)
        ratio = state.upper / state.lower if state.lower else float("inf")
        print(f"{path.stem:<24}{root.upper:>10.3g}{state.lower:>10.3g}{state.upper:>10.3g}{ratio:>8.2f}{took:>9.2f}", flush=True)


def random(seconds: float, jobs: int) -> None:
    print(f"{'inputs':<8}{'units':<7}{'seed':<6}{'change':<9}{'lower':>10}{'upper':>10}{'ratio':>8}{'boxes':>9}{'seconds':>9}")
    for n, units, seed, change in product((2, 4, 8), (16, 32, 64), range(3), ("rounded", "moved")):
        one, two = drawn(n, units, seed, change)
        began = time.process_time()
        with single_threaded():
            attack = Attack(one, two, {"x": Box(-1, 1).on(one.inputs[0])}, 0)
            attack.climb()
            attack.climb_softly()
            program = pair(tape(one), tape(two), matched(one, two))
            state = Search(program, attack, None, jobs=jobs).run(attack.space.low, attack.space.high, seconds)
        row = f"{n:<8}{units:<7}{seed:<6}{change:<9}{state.lower:>10.3g}{state.upper:>10.3g}{state.upper / state.lower:>8.2f}"
        print(f"{row}{state.boxes:>9}{time.process_time() - began:>9.2f}", flush=True)


def drawn(n: int, units: int, seed: int, change: str) -> tuple[Graph, Graph]:
    """A network of normal weights, variances of 2 by inputs, and its copy."""
    rng = np.random.default_rng([seed, n, units])
    weights = [np.float32(rng.normal(size=shape) * np.sqrt(2 / shape[1])) for shape in ((units, n), (units, units), (2, units))]
    biases = [np.float32(rng.normal(size=len(w)) * 0.1) for w in weights]

    def copied(x: np.ndarray) -> np.ndarray:
        return np.float32(x.astype(np.float16) if change == "rounded" else x + rng.normal(size=x.shape) * 0.01 * np.abs(x).mean())

    graphs = []
    for ws, bs in ((weights, biases), ([copied(w) for w in weights], [copied(b) for b in biases])):
        draft, last = Draft({"x": (None, n)}), "x"
        for k, (w, b) in enumerate(zip(ws, bs, strict=True)):
            last = draft.add("linear", [last], weight=w, bias=b)
            last = draft.add("relu", [last]) if k < 2 else last
        draft.outputs.append(last)
        graphs.append(draft.freeze())
    return graphs[0], graphs[1]


def _domains(folder: Path, pattern: str) -> Iterator[Path]:
    yield from sorted((folder / "domains").glob(pattern))


def _seconds(state: State, took: float, epsilon: float) -> str:
    decided = state.upper <= epsilon or state.lower > epsilon
    return f"{took:.2f}" if decided else f"({took:.0f}) {state.upper:.2g}"


def _figure(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:g}"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m tests.benchmarks.pairs", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("tables", nargs="*")
    parser.add_argument("--timeout", type=float, default=60.0)
    parser.add_argument("--jobs", type=int, default=1)
    options: Any = parser.parse_args(arguments)
    tables = options.tables or ["decide", "one-shot", "images", "random"]
    if "one-shot" in tables:
        one_shot(options.folder)
    if "images" in tables:
        images(options.folder, options.timeout, options.jobs)
    if "random" in tables:
        random(options.timeout, options.jobs)
    if "decide" in tables:
        decide(options.folder, options.timeout, options.jobs)


if __name__ == "__main__":
    main()
