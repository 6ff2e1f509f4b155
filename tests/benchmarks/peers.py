"""Side by side with others on the same networks: torch-pruning's dependency graph, onnxsim's certify.

    python -m tests.benchmarks.peers dependency-graph [resnet34] [resnet50]
    python -m tests.benchmarks.peers certify [--timeout 60]

The other tools are not dependencies of lumpnet: run this in an environment that has lumpnet and
`torch-pruning` (1.6.1) or `onnxsim` (0.8.1). Each line gives seconds of both in one
process, on a network that half of the units of are redundant where that matters.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import lumpnet
from lumpnet.network import Network, lift
from lumpnet.verdict import Proved
from tests.benchmarks.networks import perceptron

MLPS = [(4, 8, 2), (16, 32, 4), (64, 64, 10), (128, 128, 10), (784, 64, 10), (784, 256, 10), (784, 1024, 10), (784, 1024, 1024, 10), (4096, 4096, 4096, 10)]


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    out = work()
    return time.perf_counter() - start, out


def dependency_graph(names: list[str]) -> None:
    """Trace, find what hangs together and prune half of the channels by magnitude, against: lift, lump, lower, with certificate and check."""
    import torch_pruning as tp

    from tests.architectures import ResNet34, ResNet50, widen

    example = torch.zeros(1, 3, 224, 224)
    print(f"{'':<24}{'torch-pruning':>28}{'lumpnet':>36}\n{'':<24}{'graph':>10}{'prune half':>12}{'':>6}{'lift':>8}{'reduce':>8}{'check':>8}{'lower':>8}")
    for name, build in (("resnet34", ResNet34), ("resnet50", ResNet50)):
        if names and name not in names:
            continue
        for state, model in (("untouched", build().eval()), ("widened", widen(build(width=32), 2.0).eval())):
            graph, dependencies = timed(lambda model=model: tp.DependencyGraph().build_dependency(model, example_inputs=example))
            del dependencies
            pruner = tp.pruner.MagnitudePruner(copied(model), example, importance=tp.importance.MagnitudeImportance(), pruning_ratio=0.5)
            prune, _ = timed(pruner.step)
            lifting, network = timed(lambda model=model: lift(model, torch.zeros(2, 3, 224, 224)))
            found = lumpnet.reduce(network)
            assert isinstance(found.verdict, Proved)
            lower, _ = timed(lambda found=found: found.model)
            reduce = found.seconds["lump"] + found.seconds["certify"]
            print(
                f"{name + ' ' + state:<24}{graph:>10.2f}{prune:>12.2f}{'':>6}{lifting:>8.2f}{reduce:>8.2f}{found.seconds['check']:>8.2f}{lower:>8.2f}",
                flush=True,
            )


def copied(model: torch.nn.Module) -> torch.nn.Module:
    import copy

    return copy.deepcopy(model)


def certify(timeout: float) -> None:
    """Prove that a perceptron, half of whose hidden units are copies, equals its reduction. onnxsim needs a batch of fixed size, and is told the box 0:1."""
    import onnx
    from onnxsim.certify import certify as prove

    from lumpnet.network import onnx_bytes

    print(f"{'':<24}{'weights':>12}{'onnxsim certify':>40}{'lumpnet reduce':>16}{'check':>8}")
    for widths in MLPS:
        original = Network(perceptron(widths, redundant=True))
        seconds, found = timed(lambda original=original: lumpnet.reduce(original))
        assert isinstance(found.verdict, Proved)
        one, two = (of_one_example(onnx.load_from_string(onnx_bytes(n))) for n in (found.original, found.network))
        spent, report = timed(lambda one=one, two=two: prove(one, two, {"x": (0.0, 1.0)}, timeout_ms=int(1000 * timeout), total_timeout_ms=int(1000 * timeout)))
        answer = ", ".join(sorted({str(s) for s in report.outputs.values()}))
        size = sum(int(np.prod(t.shape)) for t in original.graph.tensors.values())
        check = found.seconds["check"]
        print(f"{'-'.join(map(str, widths)):<24}{size:>12,}{answer[:28]:>30}{spent:>8.2f} s{seconds - check:>14.3f} s{check:>6.3f} s", flush=True)


def of_one_example(model: Any) -> Any:
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    del model.graph.value_info[:]
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["dependency-graph", "certify"])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--timeout", type=float, default=60)
    given = parser.parse_args()
    if given.what == "certify":
        certify(given.timeout)
    else:
        dependency_graph(given.names)


if __name__ == "__main__":
    main()
