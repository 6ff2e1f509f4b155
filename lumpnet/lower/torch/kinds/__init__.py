"""One file per family of operator kinds; importing the package registers them all."""

from lumpnet.lower.torch.kinds import activation, attention, batch_norm, conv, elementwise, linear, opaque, pool, shaping

__all__ = ["activation", "attention", "batch_norm", "conv", "elementwise", "linear", "opaque", "pool", "shaping"]
