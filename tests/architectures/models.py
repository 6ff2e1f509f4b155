"""The two networks, with the layers, order and names of the usual implementations.

Each model tells its `channels()`: which layers write, pass and read one set of channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.architectures.widening import Channels


class BasicBlock(nn.Module):
    def __init__(self, into: int, out: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(into, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.downsample = nn.Sequential(nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out)) if stride != 1 or into != out else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet34(nn.Module):
    """Input (batch, 3, size, size). `width` is 64 and `blocks` (3, 4, 6, 3) in the published network."""

    def __init__(self, width: int = 64, classes: int = 1000, blocks: tuple[int, ...] = (3, 4, 6, 3), seed: int = 0):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        into = width
        self.stages = len(blocks)
        for k, count in enumerate(blocks):
            out = width * 2**k
            layers = [BasicBlock(into if i == 0 else out, out, 2 if k and i == 0 else 1) for i in range(count)]
            setattr(self, f"layer{k + 1}", nn.Sequential(*layers))
            into = out
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(into, classes)
        as_trained(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for k in range(self.stages):
            x = getattr(self, f"layer{k + 1}")(x)
        return self.fc(torch.flatten(self.avgpool(x), 1))

    def channels(self) -> list[Channels]:
        """Inside every block, and the stream of every stage: all that write to it, all that read it."""
        inner = [Channels([(b.conv1, b.bn1)], [], [b.conv2], scales=True) for b in self._blocks()]
        streams = [Channels([(self.conv1, self.bn1)], [], [], scales=True)]
        for b in self._blocks():
            if b.downsample is not None:
                streams[-1].readers += [b.conv1, b.downsample[0]]
                streams.append(Channels([(b.downsample[0], b.downsample[1])], [], [], scales=True))
            else:
                streams[-1].readers.append(b.conv1)
            streams[-1].writers.append((b.conv2, b.bn2))
        streams[-1].readers.append(self.fc)
        return inner + streams

    def _blocks(self) -> list[BasicBlock]:
        return [m for m in self.modules() if isinstance(m, BasicBlock)]


def normed(into: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU6."""
    return nn.Sequential(nn.Conv2d(into, out, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(out), nn.ReLU6())


class InvertedResidual(nn.Module):
    def __init__(self, into: int, out: int, stride: int, expansion: int):
        super().__init__()
        hidden = into * expansion
        self.residual = stride == 1 and into == out
        expand = [normed(into, hidden, 1)] if expansion != 1 else []
        self.conv = nn.Sequential(*expand, normed(hidden, hidden, 3, stride, hidden), nn.Conv2d(hidden, out, 1, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(nn.Module):
    """Input (batch, 3, size, size). `width` 1 is the published network; `blocks` are (expansion, channels, count, stride)."""

    BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))

    def __init__(self, width: float = 1.0, classes: int = 1000, blocks: tuple[tuple[int, int, int, int], ...] = BLOCKS, seed: int = 0):
        super().__init__()
        into = round(32 * width)
        features: list[nn.Module] = [normed(3, into, 3, 2)]
        for expansion, channels, count, stride in blocks:
            for i in range(count):
                features.append(InvertedResidual(into, round(channels * width), stride if i == 0 else 1, expansion))
                into = round(channels * width)
        last = max(round(1280 * width), 16)
        self.features = nn.Sequential(*features, normed(into, last, 1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))
        as_trained(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(torch.flatten(x, 1))

    def channels(self) -> list[Channels]:
        """The expanded channels of every block (ReLU6: no scales), and the linear streams between blocks."""
        first = self.features[0]
        groups = [Channels([(first[0], first[1])], [], [], scales=False)]
        for block in self.features[1:-1]:
            *expand, deep, project, norm = block.conv
            if expand:
                groups[-1].readers.append(expand[0][0])
                groups.insert(0, Channels([(expand[0][0], expand[0][1])], [(deep[0], deep[1])], [project], scales=False))
            else:
                groups[-1].passing.append((deep[0], deep[1]))
                groups[-1].readers.append(project)
            if block.residual:
                groups[-1].writers.append((project, norm))
            else:
                groups.append(Channels([(project, norm)], [], [], scales=True))
        last = self.features[-1]
        groups[-1].readers.append(last[0])
        return [*groups, Channels([(last[0], last[1])], [], [self.classifier[1]], scales=False)]


def as_trained(model: nn.Module, seed: int) -> None:
    """Weights and statistics without any coincidence: random float32 numbers, positive variances."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                module.weight.normal_(0, module.weight[0].numel() ** -0.5, generator=generator)
                if module.bias is not None:
                    module.bias.normal_(0, 1 if isinstance(module, nn.Linear) else 0.1, generator=generator)
            if isinstance(module, nn.BatchNorm2d):
                module.weight.normal_(1, 0.1, generator=generator)
                module.bias.normal_(0, 0.1, generator=generator)
                module.running_mean.normal_(0, 0.1, generator=generator)
                module.running_var.uniform_(0.5, 1.5, generator=generator)
    model.eval()
