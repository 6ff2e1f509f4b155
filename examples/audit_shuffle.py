"""A pruner that forgets a channel shuffle, caught: where the pruned network stops being the original, certified and named.

    python examples/audit_shuffle.py [--seconds 5]

Two of eight channels are dead, so removing them changes nothing, if the layer behind the shuffle loses the columns that read
them there. Keeping the same column numbers on both sides of the shuffle is the mistake: planted by hand here, and made by
torch-pruning 1.6.1 where that is installed.
"""

from __future__ import annotations

import argparse
import copy

import torch
from torch import Tensor, nn

import lumpnet

DEAD, KEPT = [0, 5], [1, 2, 3, 4, 6, 7]
EXAMPLE = torch.zeros(2, 1, 6, 6)


class Shuffle(nn.Module):
    """ShuffleNet's: two groups of channels, interleaved."""

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.shuffle = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), Shuffle()
        self.second, self.head = nn.Conv2d(8, 6, 3, padding=1), nn.Linear(6, 3)
        with torch.no_grad():
            for p in (self.first.weight, self.first.bias, self.norm.weight, self.norm.bias):
                p[DEAD] = 0

    def forward(self, x: Tensor) -> Tensor:
        x = self.shuffle(torch.relu(self.norm(self.first(x))))
        return self.head(torch.relu(self.second(x)).mean((2, 3)))


def pruned(model: Net, columns: list[int]) -> Net:
    """Without the dead channels; the second layer keeps these columns."""
    out = copy.deepcopy(model)
    out.first, out.norm, out.second = nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Conv2d(6, 6, 3, padding=1)
    for name in ("first", "norm"):
        out.get_submodule(name).load_state_dict({k: v[KEPT] if v.ndim else v for k, v in model.get_submodule(name).state_dict().items()})
    out.second.load_state_dict({"weight": model.second.weight[:, columns], "bias": model.second.bias})
    return out.eval()


def followed(model: Net) -> list[int]:
    """The columns, in the order in which the smaller shuffle brings the kept channels."""
    before, after = (model.shuffle(torch.tensor(c).reshape(1, -1, 1, 1)).flatten().tolist() for c in (list(range(8)), KEPT))
    return [before.index(channel) for channel in after]


def foreign(model: Net) -> nn.Module | None:
    """torch-pruning's; None where it is not installed."""
    try:
        import torch_pruning
    except ImportError:
        return None
    out = copy.deepcopy(model)
    by = torch_pruning.importance.MagnitudeImportance()
    torch_pruning.pruner.MagnitudePruner(out, EXAMPLE, by, pruning_ratio=0.25, ignored_layers=[out.second, out.head]).step()
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    torch.manual_seed(0)
    model = Net().eval()
    candidates = {"columns followed through": pruned(model, followed(model)), "columns as they were": pruned(model, KEPT), "torch-pruning": foreign(model)}
    for name, candidate in candidates.items():
        if candidate is None:
            print(f"{name}: not installed; the line above is what it does (pip install torch-pruning==1.6.1)")
            continue
        audit = lumpnet.audit(model, candidate, domain=lumpnet.Box(0, 1), example_inputs=EXAMPLE, timeout=options.seconds, epsilon=1e-6)
        print(f"{name}: {audit.verdict}, {audit.interval()}")
        for source in audit.residuals:
            print(f"    enters by {source}")


if __name__ == "__main__":
    main()
