"""One small writer file per family of operators; importing fills the registry."""

from lumpnet.lower.onnx.kinds import activation, affine, arithmetic, norm, opaque, pool, shaping

__all__ = ["activation", "affine", "arithmetic", "norm", "opaque", "pool", "shaping"]
