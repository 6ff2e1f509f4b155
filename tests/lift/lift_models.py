"""Models for the tests of lifting and lowering: one small network per situation, with an example input."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import prune

Case = tuple[nn.Module, tuple[torch.Tensor, ...]]


def randomised(module: nn.Module) -> nn.Module:
    """Statistics and affine parameters away from 0 and 1."""
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            assert part.running_mean is not None
            assert part.running_var is not None
            nn.init.normal_(part.running_mean)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
            if part.affine:
                nn.init.normal_(part.weight)
                nn.init.normal_(part.bias)
    return module.eval()


def mlp() -> Case:
    net = nn.Sequential(
        nn.Linear(6, 8),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(8, 7, bias=False),
        nn.Tanh(),
        nn.Linear(7, 5),
        nn.Sigmoid(),
        nn.Identity(),
        nn.Linear(5, 4),
        nn.Softmax(-1),
    )
    return net, (torch.randn(3, 6),)


def cnn() -> Case:
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU6(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 6, (3, 1), stride=(1, 2), padding="valid", dilation=1),
        nn.BatchNorm2d(6, affine=False, momentum=None),
        nn.Hardtanh(-2, 1.5),
        nn.AvgPool2d(2, stride=1, padding=1, count_include_pad=False),
        nn.AdaptiveAvgPool2d((2, 2)),
        nn.Dropout2d(0.1),
        nn.Flatten(),
        nn.Linear(24, 5),
    )
    return net, (torch.randn(2, 3, 12, 12),)


def conv1d() -> Case:
    net = nn.Sequential(
        nn.Conv1d(4, 6, 3, padding="same", dilation=2),
        nn.BatchNorm1d(6),
        nn.GELU(),
        nn.MaxPool1d(2, ceil_mode=True),
        nn.AvgPool1d(2),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(6, 2),
    )
    return net, (torch.randn(2, 4, 11),)


def conv3d() -> Case:
    net = nn.Sequential(
        nn.Conv3d(2, 4, 3),
        nn.BatchNorm3d(4),
        nn.SiLU(),
        nn.MaxPool3d(2),
        nn.AvgPool3d(1),
        nn.AdaptiveMaxPool3d(1),
        nn.Flatten(),
        nn.LeakyReLU(0.1),
        nn.Linear(4, 3),
    )
    return net, (torch.randn(2, 2, 7, 7, 7),)


def upwards() -> Case:
    net = nn.Sequential(
        nn.ConvTranspose2d(3, 6, 3, stride=2, padding=1, output_padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.ConvTranspose2d(6, 4, (2, 3), stride=(2, 1), groups=2, bias=False),
        nn.Flatten(2),
        nn.ConvTranspose1d(4, 8, 2, dilation=2, groups=4),
        nn.Tanh(),
    )
    return net, (torch.randn(2, 3, 3, 4),)


class Normalised(nn.Module):
    """Every normalisation by a sample's own statistics, as modules and as functions; a product and a quotient of two values."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True), nn.InstanceNorm2d(4))
        self.layer, self.plain, self.rms = nn.LayerNorm((4, 4)), nn.LayerNorm(4, elementwise_affine=False, eps=1e-3), nn.RMSNorm(4)
        self.rms_eps, self.group = nn.RMSNorm(4, eps=1e-4, elementwise_affine=False), nn.GroupNorm(1, 4, affine=False)
        self.shift = nn.Parameter(torch.randn(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.group(self.first(x)).permute(0, 2, 3, 1)
        h = self.rms(self.layer(h)) + self.rms_eps(self.plain(h))
        h = F.layer_norm(h, (4,), bias=self.shift)
        return torch.matmul(h.softmax(2), h.transpose(-1, -2).sigmoid()) / (h.sigmoid().mean(3, keepdim=True) + 1)


def normalised() -> Case:
    return Normalised(), (torch.randn(2, 3, 3, 4),)


def lookup() -> Case:
    net = nn.Sequential(nn.Embedding(11, 4, padding_idx=2), nn.Linear(4, 3), nn.Softmax(1), nn.Linear(3, 2))
    return net, (torch.randint(0, 11, (2, 3)),)


class Residual(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += x
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.layer1 = nn.Sequential(Residual(8), Residual(8))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, 4)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.fc(torch.flatten(self.pool(self.layer1(self.stem(image))), 1))


def resnet() -> Case:
    return ResNet(), (torch.randn(2, 3, 8, 8),)


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.pool, self.down, self.up = nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, 2, 1), nn.Conv2d(2, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(self.up(F.silu(self.down(self.pool(x)))))


def mobilenet() -> Case:
    net = nn.Sequential(
        nn.Conv2d(4, 8, 1),
        nn.BatchNorm2d(8),
        nn.ReLU6(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False),
        nn.BatchNorm2d(8),
        SqueezeExcite(8),
        nn.Conv2d(8, 6, 1, groups=2),
        nn.Flatten(2),
    )
    return net, (torch.randn(2, 4, 5, 5),)


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(2, 3, 1), nn.Conv2d(2, 4, 3, padding=1)
        self.head = nn.Conv2d(9, 2, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        joined = torch.cat([self.a(x), self.b(x), x], dim=1)
        return self.head(joined), joined.mean((-1, -2), keepdim=True)


def concat() -> Case:
    return Branches(), (torch.randn(2, 2, 4, 4),)


class Tied(nn.Module):
    """The first use is not the first in `state_dict` order."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.first = nn.Linear(4, 4), nn.Linear(4, 4)
        self.first.weight = self.last.weight
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.last(self.act(self.first(self.act(x)))))


def tied() -> Case:
    return Tied(), (torch.randn(2, 4),)


class Shared(nn.Module):
    """The same block twice."""

    def __init__(self) -> None:
        super().__init__()
        self.block = SqueezeExcite(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.block(self.block(x)) + x


def shared() -> Case:
    return Shared(), (torch.randn(2, 3, 4, 4),)


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(5, 4))
        self.gain = nn.Parameter(torch.randn(5, 1, 1))
        self.shift = nn.Parameter(torch.randn(1))
        self.register_buffer("pe", torch.randn(6), persistent=False)
        self.pad = nn.Conv2d(1, 5, 3, padding=1, padding_mode="circular")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = F.relu(F.linear(x, self.w, None)) * 0.3 + 1
        h = F.dropout(F.leaky_relu(h, 0.2), 0.5, self.training)
        h = h.unsqueeze(1).unsqueeze(3) + self.shift
        h = (self.pad(h) * self.gain).clamp(-1, 0.7)
        h = h.view(h.shape[0], -1).unflatten(1, (5, 5)).transpose(1, 2).contiguous()
        h = F.gelu(h.reshape(h.size(0), 25), approximate="tanh").unsqueeze(2).squeeze(2)
        return torch.cat([h[:, :6] + self.pe, F.hardtanh(h)], -1) * torch.tensor(2.0)


def functional() -> Case:
    return Functional(), (torch.randn(2, 4),)


def pruned() -> Case:
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    prune.l1_unstructured(net[0], "weight", 0.4)
    prune.random_unstructured(net[3], "weight", 0.5)
    prune.random_unstructured(net[3], "bias", 1)
    return net, (torch.randn(2, 2, 4, 4),)


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(3, 8)
        self.position = nn.Parameter(torch.randn(1, 5, 8))
        self.cls = nn.Parameter(torch.randn(1, 1, 8))
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.norm = nn.LayerNorm(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.cat([self.cls.expand(x.shape[0], -1, -1), self.embed(x)], 1) + self.position
        return self.norm(self.layer(h))[:, 0] / 2


def transformer() -> Case:
    return Transformer(), (torch.randn(2, 4, 3),)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 4)
        self.lstm = nn.LSTM(4, 5, batch_first=True, num_layers=2, dropout=0.1)
        self.fc = nn.Linear(5, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        out, (h, _) = self.lstm(self.embed(tokens))
        return self.fc(out[:, -1] + h[-1])


def recurrent() -> Case:
    return Recurrent(), (torch.randint(0, 11, (2, 3)),)


class Shuffle(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv2d(4, 6, 1), nn.Conv2d(3, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.conv(x)
        b, c, *size = h.shape
        h = h.view(b, 2, c // 2, *size).transpose(1, 2).contiguous().view(b, c, *size)
        left, right = h.chunk(2, dim=1)
        return self.out(left) - self.out(right)


class Bidirectional(nn.Module):
    """Every way to read a recurrent layer: the sequence, the last step, single last states, one without biases, one that is flipped."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.LSTM(4, 5, batch_first=True, num_layers=2, bidirectional=True)
        self.two = nn.GRU(10, 3, batch_first=True, bias=False)
        self.three = nn.RNN(3, 4, batch_first=True, nonlinearity="relu", bidirectional=True)
        self.head = nn.Linear(4 + 4 + 3 + 3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, (h, _) = self.one(x)
        z, last = self.two(torch.tanh(y))
        _, ends = self.three(z.flip(1), torch.zeros(2, x.shape[0], 4))
        return self.head(torch.cat([ends[0], ends[-1], z[:, -1], last.squeeze(0)], 1)) + h[2].sum(1, keepdim=True)


def bidirectional() -> Case:
    return Bidirectional(), (torch.randn(2, 6, 4),)


class States(nn.Module):
    """A cell state that is read, and a state that is given: the sequence is lifted, these calls stay whole."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.LSTM(4, 5, batch_first=True), nn.GRU(5, 3, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, (_, c) = self.one(x)
        return self.two(y, torch.tanh(c[:, :, :3]))[0]


def states() -> Case:
    return States(), (torch.randn(2, 6, 4),)


def shuffle() -> Case:
    return Shuffle(), (torch.randn(2, 4, 3, 3),)


class Gate(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a * b


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.gate = nn.Linear(3, 4), nn.Linear(5, 4), Gate()

    def forward(self, a: torch.Tensor, left: torch.Tensor) -> torch.Tensor:
        return self.gate(self.left(a), self.right(left).sigmoid()) + self.right(left)


def two_inputs() -> Case:
    return TwoInputs(), (torch.randn(2, 3), torch.randn(2, 5))


class Spectral(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))
        self.out = nn.ConvTranspose1d(3, 2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.fc(x).unsqueeze(2)).log_softmax(1)


def inexact() -> Case:
    return Spectral(), (torch.randn(2, 4),)


def functions() -> Case:
    layers = (nn.Softsign(), nn.ELU(0.5), nn.SELU(), nn.CELU(2), nn.Softplus(2, 5), nn.Hardswish(), nn.Hardsigmoid(), nn.Mish(), nn.LogSigmoid())
    return nn.Sequential(*(part for layer in layers for part in (nn.Linear(4, 4), layer))), (torch.randn(2, 4),)


class Selections(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("order", torch.tensor([2, 0, 1]))
        self.shuffle, self.gate, self.out = nn.ChannelShuffle(2), nn.GLU(1), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.gate(self.shuffle(x))[:, :, ::2]
        h = h[:, self.order].flip(1).roll(1, 2) - h[:, 1:2] / 3
        return -self.out(torch.stack(h.unbind(1), 1)).abs() + 1


class Frames(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pads = nn.Sequential(
            nn.ConstantPad2d((1, 0, 2, 1), 0.3), nn.Conv2d(2, 4, 3), nn.PReLU(4), nn.ReflectionPad2d(1), nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular")
        )
        self.ups = nn.Sequential(nn.ReplicationPad2d((0, 1, 1, 0)), nn.PReLU(), nn.Upsample(scale_factor=2), nn.ZeroPad2d((0, 0, 1, 1)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = F.pad(self.ups(self.pads(x)), (-1, 2, 0, 0, 1, 0), value=2.0)
        return torch.cat([h.sum((2, 3)), h.amax((2, 3)), h.amin(dim=2, keepdim=True).squeeze(2).max(2)[0]], 1)


def frames() -> Case:
    return Frames(), (torch.randn(2, 2, 5, 5),)


def selections() -> Case:
    return Selections(), (torch.randn(2, 6, 8),)


def lone_layer() -> Case:
    return nn.Linear(3, 2), (torch.randn(1, 3),)


class Mixing(nn.Module):
    """Batch sizes that are multiples, values without a batch, several outputs of one call."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        flat = x.transpose(1, 2).reshape(-1, x.shape[1])
        flat = (flat - flat.mean(0)).view(x.shape[0], -1, x.shape[1])
        values, indices = x.max(dim=1)
        filled = x.masked_fill(x > 0, float("-inf")).exp() + torch.zeros(x.shape[0], 1, 1)
        return flat + filled.transpose(1, 2), values + indices


def mixing() -> Case:
    return Mixing(), (torch.randn(2, 3, 4),)


def double() -> Case:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.LeakyReLU(0.3), nn.Linear(4, 2)).double()
    return net, (torch.randn(2, 3, dtype=torch.float64),)


MODELS: dict[str, Callable[[], Case]] = {
    f.__name__: f
    for f in (
        mlp, cnn, conv1d, conv3d, upwards, normalised, lookup, resnet, mobilenet, concat, tied, shared, functional, pruned,
        transformer, recurrent, bidirectional, states, shuffle, selections, functions, frames, two_inputs, inexact, lone_layer, mixing, double,
    )
}  # fmt: skip


def build(name: str) -> Case:
    torch.manual_seed(sorted(MODELS).index(name))
    module, inputs = MODELS[name]()
    return randomised(module), inputs
