"""Common architectures, any size, and widening them with redundancy that an exact reduction must find again."""

from tests.architectures.classics import DenseBlock, Gated, ResNet50, SqueezeNet, UNet, WideResNet, alexnet, vgg16
from tests.architectures.models import MobileNetV2, ResNet34
from tests.architectures.widening import Channels, widen

__all__ = [
    "Channels", "DenseBlock", "Gated", "MobileNetV2", "ResNet34", "ResNet50", "SqueezeNet", "UNet", "WideResNet", "alexnet", "vgg16", "widen",
]  # fmt: skip
