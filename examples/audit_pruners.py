"""How far off are the controls that every pruning paper compares itself with? Certified, with the input where it is worst, and where it comes from.

    python examples/audit_pruners.py [--keep 0.75] [--seconds 3]

Prunes the digits network that ships with lumpnet by four data-free methods, and by torch-pruning
where that is installed, and audits each result over all images with pixels between 0 and 1.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from typing import Any

import torch

import lumpnet

DEMO = Path(lumpnet.__file__).parent / "cli" / "demo.safetensors"
DOMAIN = lumpnet.Box(0, 1)


def foreign(network: lumpnet.Network, keep: float) -> Any:
    """The same network pruned by torch-pruning, lifted again; None where it is not installed."""
    try:
        import torch_pruning
    except ImportError:
        return None
    (value,) = network.graph.inputs
    example = torch.zeros(2, *(int(d or 0) for d in value.shape[1:]))
    model = copy.deepcopy(lumpnet.lower(network))
    last = [m for m in model.modules() if isinstance(m, torch.nn.Linear)][-1]
    pruner = torch_pruning.pruner.MagnitudePruner(model, example, torch_pruning.importance.MagnitudeImportance(), pruning_ratio=1 - keep, ignored_layers=[last])
    pruner.step()
    return lumpnet.lift(model, example)


def above(audit: lumpnet.Audit) -> float:
    return float("inf") if audit.upper_bound is None else audit.upper_bound


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keep", type=float, default=0.75)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    original = lumpnet.Network.load(DEMO)
    candidates = {method: lumpnet.prune(original, method=method, keep=options.keep).network for method in ("magnitude", "random", "merge_similar", "folding")}
    other = foreign(original, options.keep)
    if other is not None:
        candidates["torch-pruning"] = other
    print(f"{'method':<16}{'units':>6}{'seen':>9}{'certified':>11}   where the difference enters (share of what all changes add)")
    for method, network in candidates.items():
        audit = lumpnet.audit(original, network, domain=DOMAIN, timeout=options.seconds)
        whole = sum(source.share or 0 for source in audit.residuals) or 1
        told = ", ".join(f"{source.operator} {(source.share or 0) / whole:.0%}" for source in audit.residuals[:3])
        print(
            f"{method:<16}{network.size.units:>6}{audit.lower_bound:>9.3g}{above(audit):>11.3g}   {told}",
            flush=True,
        )
    exact = lumpnet.reduce(original, require="exact")
    audit = lumpnet.audit(original, exact.network, domain=DOMAIN, timeout=60, boxes=1)  # one box is enough, whatever its time
    print(f"{'exact lumping':<16}{exact.network.size.units:>6}{audit.lower_bound:>9.3g}{above(audit):>11.3g}   what the certificate proves to be 0")


if __name__ == "__main__":
    main()
