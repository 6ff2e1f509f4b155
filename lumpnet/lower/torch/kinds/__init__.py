"""One file per family of operator kinds; importing the package registers them all."""

from lumpnet.lower.torch.kinds import activation, batch_norm, conv, conv_transpose, elementwise, embedding, linear, opaque, pool, shaping

__all__ = ["activation", "batch_norm", "conv", "conv_transpose", "elementwise", "embedding", "linear", "opaque", "pool", "shaping"]
