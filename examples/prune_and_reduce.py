"""From a pruned model to a smaller one with a certificate, in the steps of an ordinary project.

    python examples/prune_and_reduce.py [FOLDER]

1. prune whole channels and hidden units of a small CNN with torch.nn.utils.prune (masks: nothing gets smaller);
2. let lumpnet remove them: no data, no fine-tuning, the same function;
3. keep the three files: original network, reduced network, certificate;
4. let the independent checker read them again, and train the smaller model on.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils import prune

import lumpnet


def pruned_model() -> nn.Sequential:
    """A CNN for 3x16x16 images, half of whose channels and hidden units are masked, bias included."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(64, 10),
    )
    for layer in (model[0], model[2], model[6]):
        prune.ln_structured(layer, "weight", amount=0.5, n=2, dim=0)
        dead = (layer.weight.flatten(1) == 0).all(1)
        prune.custom_from_mask(layer, "bias", (~dead).float())
    return model


def main(folder: Path) -> None:
    model, images = pruned_model(), torch.randn(2, 3, 16, 16)

    result = lumpnet.reduce(model, images, require="exact")
    print(result.summary())

    result.original.save(folder / "original.safetensors")
    result.save(folder / "reduced.safetensors", folder / "certificate.json")
    verdict = lumpnet.check(folder / "original.safetensors", folder / "reduced.safetensors", folder / "certificate.json")
    print(f"checked again from the files: {type(verdict).__name__}")

    smaller = result.model
    print(f"first layer: {tuple(model[0].weight.shape)} -> {tuple(smaller.get_submodule('0').weight.shape)}")
    with torch.no_grad():
        print(f"largest difference seen: {(model.eval()(images) - smaller.eval()(images)).abs().max():.1e}")
    optimizer = torch.optim.SGD(smaller.train().parameters(), lr=0.1)
    smaller(images).square().mean().backward()
    optimizer.step()
    print("and trained one step further")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            main(Path(scratch))
