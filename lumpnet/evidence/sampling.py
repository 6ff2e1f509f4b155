"""Differential runs: two modules on the same random inputs. Evidence, not proof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from lumpnet.ir import Graph
from lumpnet.ops import get
from lumpnet.ops.sites import sites


@dataclass(frozen=True)
class Agreement:
    """The largest absolute difference of any output over `inputs` random inputs."""

    inputs: int
    deviation: float
    magnitude: float

    def __str__(self) -> str:
        return f"compared on {self.inputs} inputs, largest difference {self.deviation:.3g} (outputs up to {self.magnitude:.3g})"


def compare(
    one: torch.nn.Module, two: torch.nn.Module, example_inputs: Sequence[Any], inputs: int = 64, seed: int = 0, choices: Sequence[int | None] = ()
) -> Agreement:
    """Run both in evaluation mode on `inputs` random inputs shaped like the examples (batch axis 0).

    Half precision is lifted in float32, so `two` gets it so. Real numbers are normal.
    Integers are below `choices` where that is known, else among the example's own.
    """
    generator = torch.Generator().manual_seed(seed)
    known = [*choices, *[None] * (len(example_inputs) - len(choices))]
    batch = [_random(x, inputs, limit, generator) for x, limit in zip(example_inputs, known, strict=True)]
    widened = [x.float() if x.dtype in (torch.float16, torch.bfloat16) else x for x in batch]
    outputs = [_run(one, batch), _run(two, widened)]
    deviation = max(float((a.double() - b.double()).abs().max()) if a.numel() else 0.0 for a, b in zip(*outputs, strict=True))
    magnitude = max(float(a.double().abs().max()) if a.numel() else 0.0 for a in outputs[0])
    return Agreement(inputs, deviation, magnitude)


def _random(example: torch.Tensor, inputs: int, limit: int | None, generator: torch.Generator) -> torch.Tensor:
    shape = (inputs, *example.shape[1:])
    if example.is_floating_point() or not example.numel():
        return torch.randn(shape, generator=generator).to(example.dtype)
    if limit is not None:
        return torch.randint(limit, shape, generator=generator).to(example.dtype)
    return example.reshape(-1).cpu()[torch.randint(example.numel(), shape, generator=generator)]


def choices(graph: Graph) -> list[int | None]:
    """Per input, how many integers every operator that looks something up by it knows; None where none does."""
    found: dict[str, list[int]] = {value.name: [] for value in graph.inputs}
    for site in sites(graph):
        limit = get(site.node.kind).choices(site)
        for name in site.node.inputs if limit is not None else ():
            if name in found and limit is not None:
                found[name].append(limit)
    return [min(limits, default=None) for limits in found.values()]


def _run(module: torch.nn.Module, batch: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            out = module(*batch)
    finally:
        module.train(training)
    return [out] if isinstance(out, torch.Tensor) else list(out)
