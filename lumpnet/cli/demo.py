"""`lumpnet demo`: the main job on an embedded network.

The story is the one users have: a network pruned to 95 % zeros that is no faster
than before, because zeros are stored and multiplied like any other number. The
demo removes what can be removed without changing the function, has the
certificate checked, and measures.
"""

from __future__ import annotations

import tempfile
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from lumpnet.api import Reduction, reduce, verdict_line
from lumpnet.cli.console import out, print_json, printable, progress
from lumpnet.cli.reduce import print_rules, print_sizes
from lumpnet.network import Network, lower

ROUNDS = 30


def demo(json: bool, quiet: bool) -> int:
    """Returns the exit code of the checker's verdict."""
    folder = files("lumpnet.cli")
    images = load_file(str(folder / "demo_images.safetensors"))
    network = Network.load(str(folder / "demo.safetensors"))
    with progress(not json and not quiet) as tell:
        result = reduce(network, require="exact", progress=tell)
        tell("measuring")
        measured = _measure(network, result, images["images"].float() / 16, images["labels"])
    if json:
        print_json(result.as_dict() | {"measured": measured})
        return result.verdict.exit_code
    if not quiet:
        _tell(network, result, measured)
    out.print(printable(verdict_line(result.verdict)), soft_wrap=True)
    if not quiet:
        _keep(network, result)
    return result.verdict.exit_code


def _measure(network: Network, result: Reduction, images: torch.Tensor, labels: torch.Tensor) -> dict[str, Any]:
    """Accuracy, speed of one batch (best of interleaved runs) and the deviation seen on the test images."""
    before, after = lower(network).eval(), result.model.eval()
    with torch.no_grad():
        one, two = before(images), after(images)
        seconds = _race([before, after], images)
    return {
        "images": len(images),
        "accuracy_before": float((one.argmax(1) == labels).double().mean()),
        "accuracy_after": float((two.argmax(1) == labels).double().mean()),
        "largest_deviation": float((one.double() - two.double()).abs().max()),
        "largest_output": float(one.double().abs().max()),
        "seconds_before": seconds[0],
        "seconds_after": seconds[1],
    }


def _race(modules: list[torch.nn.Module], batch: torch.Tensor) -> list[float]:
    """The best wall time of each module on the batch, the modules taking turns."""
    best = [float("inf")] * len(modules)
    for _ in range(ROUNDS):
        for k, module in enumerate(modules):
            start = time.perf_counter()
            module(batch)
            best[k] = min(best[k], time.perf_counter() - start)
    return best


def _tell(network: Network, result: Reduction, measured: dict[str, Any]) -> None:
    tensors = [t for name, t in network.graph.tensors.items() if name not in network.graph.buffers]
    weights = [t for t in tensors if t.ndim > 1]
    zeros = sum(int((t == 0).sum()) for t in weights) / sum(t.size for t in weights)
    out.print("A small CNN for handwritten digits, trained with L1 and pruned by magnitude.")
    out.print(f"{zeros:.1%} of its weights are zero, and it is no faster for it: zeros are stored")
    out.print("and multiplied like other numbers. What can leave without changing the function?\n")
    print_sizes(result)
    print_rules(result)
    out.print(f"on {measured['images']} test images:")
    out.print(f"  accuracy           {measured['accuracy_before']:.4f} -> {measured['accuracy_after']:.4f}")
    out.print(f"  time of one batch  {1000 * measured['seconds_before']:.2f} ms -> {1000 * measured['seconds_after']:.2f} ms (this machine, best of {ROUNDS})")
    out.print(f"  largest deviation  {measured['largest_deviation']:.2g} seen, with outputs up to {measured['largest_output']:.3g}")
    out.print("  (the functions are equal; float32 adds the fewer terms in another order)\n")


def _keep(network: Network, result: Reduction) -> None:
    """Leave the three files for the reader to check again."""
    folder = Path(tempfile.mkdtemp(prefix="lumpnet-demo-"))
    network.save(folder / "original.safetensors")
    result.save(folder / "reduced.safetensors", folder / "certificate.json")
    out.print("\nCheck it yourself, with nothing but Python and numpy:")
    out.print(f"  cd {printable(folder)}")
    out.print("  python -m lumpnet.check original.safetensors reduced.safetensors \\\n      certificate.json")
