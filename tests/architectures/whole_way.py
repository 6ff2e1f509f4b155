"""The whole way of a network: lift, reduce, check, lower, lift again; with the time and memory of each phase.

python -m tests.architectures.whole_way [resnet34] [mobilenet_v2] ... [untouched] [widened] [--profile]
"""

from __future__ import annotations

import cProfile
import pstats
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

import lumpnet
from lumpnet.api import Reduction
from lumpnet.network import lift
from lumpnet.verdict import Proved
from tests.architectures import DenseBlock, Gated, MobileNetV2, ResNet34, ResNet50, SqueezeNet, UNet, WideResNet, alexnet, vgg16, widen
from tests.architectures.memory import forget, peak

FULL: dict[str, tuple[Callable[[], Any], int]] = {
    "resnet34": (ResNet34, 224),
    "mobilenet_v2": (MobileNetV2, 224),
    "alexnet": (alexnet, 224),
    "vgg16": (vgg16, 224),
    "vgg16_bn": (lambda: vgg16(norms=True), 224),
    "squeezenet": (SqueezeNet, 224),
    "resnet18": (lambda: ResNet34(blocks=(2, 2, 2, 2)), 224),
    "resnet50": (ResNet50, 224),
    "wrn28_10": (WideResNet, 32),
    "dense_block": (DenseBlock, 64),
    "unet": (UNet, 128),
    "gated": (Gated, 64),
}


@dataclass
class Phases:
    """Seconds and peak memory (MiB of resident memory) by phase, in order."""

    seconds: dict[str, float] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    phase: str = ""

    def begin(self, phase: str) -> None:
        if self.phase:
            self.memory[self.phase] = max(peak(), self.memory.get(self.phase, 0))
        self.phase = phase
        forget()

    def progress(self, text: str) -> None:
        """For `lumpnet.reduce`: its phases, without its steps."""
        if text in ("lift", "lump", "certify", "check"):
            self.begin(text)

    def timed(self, phase: str, work: Callable[[], Any]) -> Any:
        self.begin(phase)
        start = time.perf_counter()
        out = work()
        self.seconds[phase] = time.perf_counter() - start
        return out


def whole_way(model: torch.nn.Module, size: int) -> tuple[Reduction, Phases]:
    """Reduce and require: proved, the same floats up to rounding, and the lowered network lifts to the network that was checked."""
    phases = Phases()
    example = torch.zeros(2, 3, size, size)
    found = lumpnet.reduce(model, example, progress=phases.progress)
    phases.seconds |= found.seconds
    assert isinstance(found.verdict, Proved), found.verdict
    lowered = phases.timed("lower", lambda: found.model)
    again = phases.timed("lift again", lambda: lift(lowered, example))
    assert again.data == found.network.data
    inputs = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        one, two = phases.timed("run", lambda: (model(inputs), lowered(inputs)))
    torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-4 * float(one.abs().max()))
    phases.begin("end")
    return found, phases


def hidden(found: Reduction) -> tuple[int, int]:
    return found.original.size.units, found.network.size.units


def report(name: str, found: Reduction, phases: Phases) -> str:
    lines = [f"{name}: {found.original.size.units} hidden units -> {found.network.size.units}, rounding {found.rounding}, removed {found.totals()}"]
    lines += [f"  {phase:<12}{seconds:>9.2f} s {phases.memory.get(phase, 0):>8} MiB" for phase, seconds in phases.seconds.items()]
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    for name, (build, size) in FULL.items():
        if any(a in FULL for a in arguments) and name not in arguments:
            continue
        for state in ("untouched", "widened"):
            if {"untouched", "widened"} & set(arguments) and state not in arguments:
                continue
            base = build()
            model = base if state == "untouched" else widen(base)
            profile = cProfile.Profile()
            if "--profile" in arguments:
                profile.enable()
            found, phases = whole_way(model, size)
            profile.disable()
            print(report(f"{name} {state}", found, phases), flush=True)
            if state == "widened":
                want = lift(base, torch.zeros(2, 3, size, size)).size.units
                print(f"  the network before widening has {want} hidden units", flush=True)
            if "--profile" in arguments:
                pstats.Stats(profile).sort_stats("cumulative").print_stats(45)


if __name__ == "__main__":
    main(sys.argv[1:])
