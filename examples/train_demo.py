"""Train the network of ``lumpnet demo``: a small digits CNN, trained with an L1 penalty and pruned by magnitude.

The training knows nothing of lumpnet. It is what a user does who wants a sparse network:

1. train a small residual CNN on scikit-learn's bundled 8x8 digits, with an L1 penalty on every parameter
   (on the BatchNorm scales this is "network slimming");
2. prune by global unstructured magnitude with ``torch.nn.utils.prune`` in several rounds, fine-tuning after each;
3. lift the masked model, as it is, into the network file that the package ships.

The script also counts, by plain rules of its own, hidden units that such a network can lose without any change of its function.

    python examples/train_demo.py --out demo.safetensors --images demo_images.safetensors

A run is repeatable on one machine and one torch build: one thread, deterministic algorithms, a fixed seed.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import prune

import lumpnet

SHIPPED = Path(__file__).resolve().parents[1] / "lumpnet" / "cli"
SEED = 20
TEST_SHARE = 0.25
BATCH = 64
L1 = 2e-3  # times the sum of all absolute parameters, during the dense training and the pruning rounds
SPARSITIES = (0.5, 0.7, 0.8, 0.87, 0.91, 0.93, 0.94, 0.95)  # share of zeros among the prunable parameters after each round
DENSE_EPOCHS, ROUND_EPOCHS, FINAL_EPOCHS = 80, 50, 120  # the last round is fine-tuned longer and without the penalty


class ResidualBlock(nn.Module):
    """conv-BN-ReLU-conv-BN, plus the input, then ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(h)) + x)


class DemoNet(nn.Module):
    """A small residual CNN for 1x8x8 images with values in [0, 1]."""

    def __init__(self, stem: int = 16, width: int = 24, hidden: int = 64, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, stem, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.conv2 = nn.Conv2d(stem, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.pool = nn.MaxPool2d(2)
        self.block = ResidualBlock(width)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(width * 4, hidden)
        self.dropout = nn.Dropout(0.2)
        self.fc2 = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.pool(torch.relu(self.bn2(self.conv2(x))))
        x = self.flatten(self.pool(self.block(x)))
        return self.fc2(self.dropout(torch.relu(self.fc1(x))))


def prunable(model: nn.Module) -> list[tuple[nn.Module, str]]:
    """Weights and biases of every conv, linear and BatchNorm layer; the ten output biases stay."""
    pairs: list[tuple[nn.Module, str]] = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.Linear):
            pairs.append((module, "weight"))
            if module.bias is not None and name != "fc2":
                pairs.append((module, "bias"))
    return pairs


def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Train images, train labels, test images, test labels; images are uint8, N x 1 x 8 x 8, values 0..16."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    data = load_digits()
    images = torch.from_numpy(data.images).to(torch.uint8).unsqueeze(1)
    labels = torch.from_numpy(data.target).to(torch.uint8)
    train, test = train_test_split(range(len(labels)), test_size=TEST_SHARE, random_state=SEED, stratify=data.target)
    return images[train], labels[train], images[test], labels[test]


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    model.eval()
    with torch.no_grad():
        return float((model(images.float() / 16).argmax(1) == labels).double().mean())


def fit(model: nn.Module, images: Tensor, labels: Tensor, epochs: int, lr: float, l1: float) -> None:
    """Adam with a one-cycle learning rate; images are shifted by at most one pixel at random."""
    padded, targets = F.pad(images.float() / 16, (1, 1, 1, 1)), labels.long()
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    steps = math.ceil(len(labels) / BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * steps)
    model.train()
    for _ in range(epochs):
        for index in torch.randperm(len(labels)).split(BATCH):
            dy, dx = (int(v) for v in torch.randint(0, 3, (2,)))
            loss = F.cross_entropy(model(padded[index, :, dy : dy + 8, dx : dx + 8]), targets[index])
            loss = loss + l1 * sum(p.abs().sum() for p in model.parameters())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def prune_to(model: nn.Module, share: float) -> None:
    """Prune by global unstructured magnitude until ``share`` of the prunable parameters is zero; earlier masks are kept."""
    pairs = prunable(model)
    total = sum(getattr(module, name).numel() for module, name in pairs)
    gone = sum(int((getattr(module, f"{name}_mask") == 0).sum()) for module, name in pairs if hasattr(module, f"{name}_mask"))
    prune.global_unstructured(pairs, pruning_method=prune.L1Unstructured, amount=round(share * total) - gone)


def sparsity(model: nn.Module) -> tuple[int, int]:
    """Zeros and size of the weights of the conv and linear layers."""
    weights = [m.weight for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return sum(int((w == 0).sum()) for w in weights), sum(w.numel() for w in weights)


def never_positive(bn: nn.BatchNorm2d, channel: int) -> bool:
    """Whether a channel that enters BatchNorm as 0 leaves it <= 0.

    It leaves as beta - gamma * mean / sqrt(var + eps), which is <= 0 when beta * sqrt(var + eps) <= gamma * mean. Both sides are
    compared by their signed squares, which are rational, so no rounding decides.
    """
    beta, gamma, mean, var = (Fraction(float(t[channel])) for t in (bn.bias, bn.weight, bn.running_mean, bn.running_var))
    return beta * abs(beta) * (var + Fraction(bn.eps)) <= gamma * mean * abs(gamma * mean)


def removable_units(model: DemoNet) -> dict[str, list[int]]:
    """Per layer, the hidden units that can go with no change of the function, by plain rules repeated until nothing more falls.

    A unit goes when it is exactly 0 after its ReLU whatever the image (no live incoming weight and a constant that is <= 0), or
    when no live unit reads it. The two layers that meet in the residual sum share their channels: such a channel goes only in
    both at once. Constants above 0, equal units and anything else that needs more than these rules count as not removable.
    """
    b = model.block
    w1, w2, wa, wb = ((conv.weight != 0).flatten(2).any(2) for conv in (model.conv1, model.conv2, b.conv1, b.conv2))  # out x in
    width, hidden = len(w2), len(model.fc1.weight)
    wf = (model.fc1.weight != 0).view(hidden, width, -1).any(2)
    wo = model.fc2.weight != 0
    bias_low = model.fc1.bias <= 0
    # a BatchNorm scale of 0 cuts its channel off from the conv before it
    for weight, bn in ((w1, model.bn1), (w2, model.bn2), (wa, b.bn1), (wb, b.bn2)):
        weight &= (bn.weight != 0)[:, None]
    low = {bn: torch.tensor([never_positive(bn, c) for c in range(len(bn.weight))]) for bn in (model.bn1, model.bn2, b.bn1, b.bn2)}
    live = {name: torch.ones(len(w), dtype=torch.bool) for name, w in (("conv1", w1), ("sum", w2), ("block.conv1", wa), ("fc1", wf))}
    while True:
        before = {name: flags.clone() for name, flags in live.items()}
        # exactly zero: nothing live comes in and the constant is <= 0
        zero1 = ~w1.any(1) & low[model.bn1]
        zero_skip = ~(w2 & live["conv1"]).any(1) & low[model.bn2]
        zero_a = ~(wa & live["sum"]).any(1) & low[b.bn1]
        zero_sum = zero_skip & ~(wb & live["block.conv1"]).any(1) & low[b.bn2]
        zero_f = ~(wf & live["sum"]).any(1) & bias_low
        # unread: nothing live looks at it
        unread1 = ~(w2 & live["sum"][:, None]).any(0)
        unread_skip = ~(wa & live["block.conv1"][:, None]).any(0)
        unread_a = ~(wb & live["sum"][:, None]).any(0)
        unread_sum = ~(wf & live["fc1"][:, None]).any(0)
        unread_f = ~wo.any(0)
        live["conv1"] &= ~(zero1 | unread1)
        live["block.conv1"] &= ~(zero_a | unread_a)
        live["sum"] &= ~((zero_skip | unread_skip) & (zero_sum | unread_sum))
        live["fc1"] &= ~(zero_f | unread_f)
        if all(torch.equal(before[name], live[name]) for name in live):
            break
    layers = {"conv1": "conv1", "conv2": "sum", "block.conv1": "block.conv1", "block.conv2": "sum", "fc1": "fc1"}
    return {layer: (~live[name]).nonzero().flatten().tolist() for layer, name in layers.items()}


def wipe(model: DemoNet, gone: Mapping[str, list[int]]) -> DemoNet:
    """A plain DemoNet, without masks, whose removable units are forced to 0: to check the count by running it."""
    wiped = DemoNet()
    paths = {key: key.rpartition(".") for key in wiped.state_dict()}
    wiped.load_state_dict({key: getattr(model.get_submodule(path), name) for key, (path, _, name) in paths.items()})
    with torch.no_grad():
        for name, bn in (("conv1", wiped.bn1), ("conv2", wiped.bn2), ("block.conv1", wiped.block.bn1), ("block.conv2", wiped.block.bn2)):
            bn.weight[gone[name]] = 0
            bn.bias[gone[name]] = 0
        wiped.fc1.weight[gone["fc1"]] = 0
        wiped.fc1.bias[gone["fc1"]] = 0
    return wiped.eval()


def train(images: Tensor, labels: Tensor, report: tuple[Tensor, Tensor]) -> DemoNet:
    """The whole recipe; the accuracy on ``report`` is printed after every round and used for nothing."""
    model = DemoNet()
    fit(model, images, labels, DENSE_EPOCHS, 5e-3, L1)
    print(f"dense: accuracy {accuracy(model, *report):.4f}")
    for share in SPARSITIES:
        prune_to(model, share)
        last = share == SPARSITIES[-1]
        fit(model, images, labels, FINAL_EPOCHS if last else ROUND_EPOCHS, 3e-3, 0.0 if last else L1)
        test = accuracy(model, *report)
        print(f"pruned to {share:.1%}: accuracy {test:.4f}, removable units {sum(map(len, removable_units(model).values()))}")
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=SHIPPED / "demo.safetensors", help="where the network file goes")
    parser.add_argument("--images", type=Path, default=SHIPPED / "demo_images.safetensors", help="where the test images and labels go")
    args = parser.parse_args()

    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    print(f"seed {SEED}, torch {torch.__version__}")

    started = time.perf_counter()
    images, labels, test_images, test_labels = digits()
    print(f"{len(labels)} training images, {len(test_labels)} test images")
    model = train(images, labels, (test_images, test_labels))
    print(f"trained in {time.perf_counter() - started:.0f} s")

    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.images.parent.mkdir(parents=True, exist_ok=True)
    model.eval()
    network = lumpnet.lift(model, torch.zeros(2, 1, 8, 8))
    network.save(args.out)
    save_file({"images": test_images.contiguous(), "labels": test_labels.contiguous()}, args.images, metadata={"about": "digits test images, scale 1/16"})

    saved = lumpnet.lower(lumpnet.Network.load(args.out))  # the accuracy below is the saved file's
    gone = removable_units(model)
    sizes = {name: len(model.get_submodule(name).weight) for name in gone}
    zeros, weights = sparsity(model)
    with torch.no_grad():
        inputs = test_images.float() / 16
        deviation = float((model(inputs) - wipe(model, gone)(inputs)).abs().max())
    print(f"parameters: {sum(p.numel() for p in model.parameters())}")
    print(f"test accuracy: {accuracy(saved, test_images, test_labels):.4f}")
    print(f"zero weights in conv and linear layers: {zeros} of {weights} ({zeros / weights:.2%})")
    for name, units in gone.items():
        print(f"  {name}: {len(units)} of {sizes[name]} units exactly removable")
    count, total = sum(map(len, gone.values())), sum(sizes.values())
    print(f"exactly removable hidden units: {count} of {total} ({count / total:.1%})")
    print(f"largest difference of a logit on the test images with those units wiped: {deviation:g}")
    for path in (args.out, args.images):
        print(f"wrote {path} ({path.stat().st_size} bytes)")


if __name__ == "__main__":
    main()
