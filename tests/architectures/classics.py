"""More architectures, with the layers and order of the usual implementations: plain stacks, fires, bottlenecks, wide and dense blocks, U-Nets, gates.

Each tells its `channels()`, as in `models`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.architectures.models import as_trained
from tests.architectures.widening import Channels, Read


def chain(layers: list[tuple[Any, Any]], last: list[Any]) -> list[Channels]:
    """Layers (and norms) one after another, each read by the next; `last` read the last."""
    readers = [[layer] for layer, _ in layers[1:]] + [last]
    return [Channels([writer], [], read, scales=True) for writer, read in zip(layers, readers, strict=True)]


class Plain(nn.Module):
    """Convolutions and pools, then three linear layers: AlexNet, VGG. `plan` has channels, or "M" for a pool; `first` is the first kernel, stride, padding."""

    def __init__(self, plan: list[Any], pool: int, positions: int, hidden: int, classes: int, norms: bool = False, seed: int = 0):
        super().__init__()
        layers: list[nn.Module] = []
        into = 3
        for item in plan:
            if item == "M":
                layers.append(nn.MaxPool2d(pool, 2))
                continue
            out, kernel, stride, padding = item
            layers += [nn.Conv2d(into, out, kernel, stride, padding), *([nn.BatchNorm2d(out)] if norms else []), nn.ReLU()]
            into = out
        self.features, self.avgpool = nn.Sequential(*layers), nn.AdaptiveAvgPool2d(positions)
        wide = [nn.Linear(into * positions**2, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, classes)]
        self.classifier = nn.Sequential(*wide)
        as_trained(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))

    def channels(self) -> list[Channels]:
        layers = list(self.features)
        convs = [(a, b if isinstance(b, nn.BatchNorm2d) else None) for a, b in zip(layers, [*layers[1:], None], strict=True) if isinstance(a, nn.Conv2d)]
        first, second, third = self.classifier[0], self.classifier[3], self.classifier[6]
        n = convs[-1][0].out_channels
        seen = Read(first, [n], 0, first.in_features // n)
        return [*chain(convs, [seen]), *chain([(first, None), (second, None)], [third])]


def alexnet(width: float = 1.0, classes: int = 1000) -> Plain:
    a, b, c, d = (round(n * width) for n in (64, 192, 384, 256))
    plan = [(a, 11, 4, 2), "M", (b, 5, 1, 2), "M", (c, 3, 1, 1), (d, 3, 1, 1), (d, 3, 1, 1), "M"]
    return Plain(plan, 3, 6 if width == 1 else 2, round(4096 * width), classes)


def vgg16(width: float = 1.0, classes: int = 1000, norms: bool = False) -> Plain:
    plan: list[Any] = []
    for n, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        plan += [(round(n * width), 3, 1, 1)] * count + ["M"]
    return Plain(plan, 2, 7 if width == 1 else 2, round(4096 * width), classes, norms)


class Fire(nn.Module):
    def __init__(self, into: int, squeeze: int, one: int, three: int):
        super().__init__()
        self.squeeze, self.one, self.three = nn.Conv2d(into, squeeze, 1), nn.Conv2d(squeeze, one, 1), nn.Conv2d(squeeze, three, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.one(x)), F.relu(self.three(x))], 1)


class SqueezeNet(nn.Module):
    """Version 1.1; `width` 1 is the published network."""

    FIRES = ((16, 64), (16, 64), "M", (32, 128), (32, 128), "M", (48, 192), (48, 192), (64, 256), (64, 256))

    def __init__(self, width: float = 1.0, classes: int = 1000, seed: int = 0):
        super().__init__()
        into = round(64 * width)
        layers: list[nn.Module] = [nn.Conv2d(3, into, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)]
        for item in self.FIRES:
            if item == "M":
                layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
            else:
                squeeze, expand = (round(n * width) for n in item)
                layers.append(Fire(into, squeeze, expand, expand))
                into = 2 * expand
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(), nn.Conv2d(into, classes, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        as_trained(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        return torch.flatten(self.classifier(self.features(x)), 1)

    def channels(self) -> list[Channels]:
        fires = [m for m in self.features if isinstance(m, Fire)]
        found = [Channels([(self.features[0], None)], [], [fires[0].squeeze], scales=True)]
        for fire, after in zip(fires, [*(f.squeeze for f in fires[1:]), self.classifier[1]], strict=True):
            join = [fire.one.out_channels, fire.three.out_channels]
            found.append(Channels([(fire.squeeze, None)], [], [fire.one, fire.three], scales=True))
            found += [Channels([(layer, None)], [], [Read(after, join, k)], scales=True) for k, layer in enumerate((fire.one, fire.three))]
        return found


class Bottleneck(nn.Module):
    def __init__(self, into: int, mid: int, out: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(into, mid, 1, bias=False), nn.BatchNorm2d(mid)
        self.conv2, self.bn2 = nn.Conv2d(mid, mid, 3, stride, 1, bias=False), nn.BatchNorm2d(mid)
        self.conv3, self.bn3 = nn.Conv2d(mid, out, 1, bias=False), nn.BatchNorm2d(out)
        self.downsample = nn.Sequential(nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out)) if stride != 1 or into != out else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(y)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet50(nn.Module):
    """`width` 64 and `blocks` (3, 4, 6, 3) are the published network."""

    def __init__(self, width: int = 64, classes: int = 1000, blocks: tuple[int, ...] = (3, 4, 6, 3), seed: int = 0):
        super().__init__()
        self.conv1, self.bn1, self.maxpool = nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.MaxPool2d(3, 2, 1)
        into, made = width, []
        for k, count in enumerate(blocks):
            mid = width * 2**k
            for i in range(count):
                made.append(Bottleneck(into, mid, 4 * mid, 2 if k and i == 0 else 1))
                into = 4 * mid
        self.blocks, self.avgpool, self.fc = nn.Sequential(*made), nn.AdaptiveAvgPool2d(1), nn.Linear(into, classes)
        as_trained(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        return self.fc(torch.flatten(self.avgpool(self.blocks(x)), 1))

    def channels(self) -> list[Channels]:
        found = [c for b in self.blocks for c in chain([(b.conv1, b.bn1), (b.conv2, b.bn2)], [b.conv3])]
        stream = Channels([(self.conv1, self.bn1)], [], [], scales=True)
        for b in self.blocks:
            stream.readers.append(b.conv1)
            if b.downsample is not None:
                stream.readers.append(b.downsample[0])
                found.append(stream)
                stream = Channels([(b.downsample[0], b.downsample[1])], [], [], scales=True)
            stream.writers.append((b.conv3, b.bn3))
        stream.readers.append(self.fc)
        return [*found, stream]


class WideBlock(nn.Module):
    """Norm and ReLU first."""

    def __init__(self, into: int, out: int, stride: int):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(into), nn.Conv2d(into, out, 3, stride, 1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(out), nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(into, out, 1, stride, bias=False) if stride != 1 or into != out else None

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.bn1(x))
        return self.conv2(F.relu(self.bn2(self.conv1(h)))) + (x if self.shortcut is None else self.shortcut(h))


class WideResNet(nn.Module):
    """WRN-(6 `count` + 4)-`factor`; count 4 and factor 10 are WRN-28-10."""

    def __init__(self, count: int = 4, factor: int = 10, base: int = 16, classes: int = 100, seed: int = 0):
        super().__init__()
        self.conv = nn.Conv2d(3, base, 3, 1, 1, bias=False)
        into, made = base, []
        for k in range(3):
            for i in range(count):
                made.append(WideBlock(into, base * factor * 2**k, 2 if k and i == 0 else 1))
                into = base * factor * 2**k
        self.blocks, self.bn, self.fc = nn.Sequential(*made), nn.BatchNorm2d(into), nn.Linear(into, classes)
        as_trained(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn(self.blocks(self.conv(x))))
        return self.fc(x.mean((2, 3)))

    def channels(self) -> list[Channels]:
        found = [Channels([(b.conv1, b.bn2)], [], [b.conv2], scales=True) for b in self.blocks]
        stream = Channels([(self.conv, None)], [], [], scales=False)
        for b in self.blocks:
            stream.norms.append(Read(b.bn1, [b.bn1.num_features], 0))
            stream.readers.append(b.conv1)
            if b.shortcut is not None:
                stream.readers.append(b.shortcut)
                found.append(stream)
                stream = Channels([(b.shortcut, None)], [], [], scales=False)
            stream.writers.append((b.conv2, None))
        stream.norms.append(Read(self.bn, [self.bn.num_features], 0))
        stream.readers.append(self.fc)
        return [*found, stream]


class DenseBlock(nn.Module):
    """Every layer reads all before it, joined, through a norm and a ReLU of its own; a transition reads them all."""

    def __init__(self, width: int = 64, growth: int = 32, count: int = 6, classes: int = 10, seed: int = 0):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, 2, 1, bias=False)
        sizes = [width + growth * k for k in range(count + 1)]
        self.norms = nn.ModuleList(nn.BatchNorm2d(n) for n in sizes)
        self.convs = nn.ModuleList(nn.Conv2d(n, growth, 3, 1, 1, bias=False) for n in sizes[:-1])
        self.transition, self.fc = nn.Conv2d(sizes[-1], sizes[-1] // 2, 1, bias=False), nn.Linear(sizes[-1] // 2, classes)
        as_trained(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.conv(x)]
        for norm, conv in zip(self.norms, self.convs, strict=False):
            parts.append(conv(F.relu(norm(torch.cat(parts, 1)))))
        x = self.transition(F.relu(self.norms[-1](torch.cat(parts, 1))))
        return self.fc(F.avg_pool2d(x, 2).mean((2, 3)))

    def channels(self) -> list[Channels]:
        writers = [self.conv, *self.convs]
        widths = [w.out_channels for w in writers]
        joins = [widths[: k + 1] for k in range(len(self.norms))]
        readers = [*self.convs, self.transition]
        found = [Channels([(self.transition, None)], [], [self.fc], scales=True)]
        for k, writer in enumerate(writers):
            norms = [Read(norm, join, k) for norm, join in zip(self.norms, joins, strict=True) if k < len(join)]
            reads = [Read(layer, join, k) for layer, join in zip(readers, joins, strict=True) if k < len(join)]
            found.append(Channels([(writer, None)], [], reads, scales=False, norms=norms))
        return found


class Level(nn.Module):
    """Down, the inner levels, up again, and joined with what did not go down."""

    def __init__(self, into: int, width: int, depth: int):
        super().__init__()
        self.enter, self.bn1 = nn.Conv2d(into, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.inner = Level(width, 2 * width, depth - 1) if depth else None
        if self.inner is not None:
            self.up = nn.ConvTranspose2d(2 * width, width, 2, 2)
            self.leave, self.bn2 = nn.Conv2d(2 * width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.enter(x)))
        if self.inner is None:
            return x
        return F.relu(self.bn2(self.leave(torch.cat([self.up(self.inner(F.max_pool2d(x, 2))), x], 1))))

    def channels(self, above: Any) -> list[Channels]:
        """`above` reads what leaves."""
        if self.inner is None:
            return [Channels([(self.enter, self.bn1)], [], [above], scales=True)]
        join = [self.up.out_channels, self.enter.out_channels]
        side = Channels([(self.enter, self.bn1)], [], [self.inner.enter, Read(self.leave, join, 1)], scales=True)
        up = Channels([(self.up, None)], [], [Read(self.leave, join, 0)], scales=True)
        return [side, up, Channels([(self.leave, self.bn2)], [], [above], scales=True), *self.inner.channels(self.up)]


class UNet(nn.Module):
    """Width 64 and depth 4 are the usual size."""

    def __init__(self, width: int = 64, depth: int = 4, classes: int = 2, seed: int = 0):
        super().__init__()
        self.level, self.out = Level(3, width, depth), nn.Conv2d(width, classes, 1)
        as_trained(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.level(x))

    def channels(self) -> list[Channels]:
        return self.level.channels(self.out)


class Gated(nn.Module):
    """Squeeze and excite between two convolutions: channels times a sigmoid of two layers on their means, broadcast over positions."""

    def __init__(self, width: int = 64, squeezed: int = 16, classes: int = 10, seed: int = 0):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width)
        self.down, self.up = nn.Conv2d(width, squeezed, 1), nn.Conv2d(squeezed, width, 1)
        self.conv2, self.bn2, self.fc = nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.Linear(width, classes)
        as_trained(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        gate = torch.sigmoid(self.up(F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))))
        x = F.relu(self.bn2(self.conv2(x * gate)))
        return self.fc(x.mean((2, 3)))

    def channels(self) -> list[Channels]:
        return [
            Channels([(self.down, None)], [], [self.up], scales=True),
            Channels([(self.conv1, self.bn1)], [], [self.down, self.conv2], scales=True, gates=[self.up]),
            Channels([(self.conv2, self.bn2)], [], [self.fc], scales=True),
        ]
