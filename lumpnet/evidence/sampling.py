"""Differential runs: two modules on the same random inputs. Evidence, not proof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Agreement:
    """The largest absolute difference of any output over `inputs` random inputs."""

    inputs: int
    deviation: float
    magnitude: float

    def __str__(self) -> str:
        return f"compared on {self.inputs} inputs, largest difference {self.deviation:.3g} (outputs up to {self.magnitude:.3g})"


def compare(one: torch.nn.Module, two: torch.nn.Module, example_inputs: Sequence[Any], inputs: int = 64, seed: int = 0) -> Agreement:
    """Run both in evaluation mode on `inputs` normal random inputs shaped like the examples (batch axis 0)."""
    generator = torch.Generator().manual_seed(seed)
    batch = [torch.randn((inputs, *x.shape[1:]), generator=generator).to(x.dtype) for x in example_inputs]
    outputs = [_run(module, batch) for module in (one, two)]
    deviation = max(float((a.double() - b.double()).abs().max()) if a.numel() else 0.0 for a, b in zip(*outputs, strict=True))
    magnitude = max(float(a.double().abs().max()) if a.numel() else 0.0 for a in outputs[0])
    return Agreement(inputs, deviation, magnitude)


def _run(module: torch.nn.Module, batch: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            out = module(*batch)
    finally:
        module.train(training)
    return [out] if isinstance(out, torch.Tensor) else list(out)
