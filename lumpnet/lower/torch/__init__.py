"""PyTorch out: the original tree of modules where it still exists, plain functions elsewhere."""

from lumpnet.lower.torch.build import lower_graph
from lumpnet.lower.torch.network import LoweredNetwork

__all__ = ["LoweredNetwork", "lower_graph"]
