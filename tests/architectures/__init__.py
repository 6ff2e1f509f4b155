"""ResNet-34 and MobileNetV2, any size, and widening them with redundancy that an exact reduction must find again."""

from tests.architectures.models import MobileNetV2, ResNet34
from tests.architectures.widening import Channels, widen

__all__ = ["Channels", "MobileNetV2", "ResNet34", "widen"]
