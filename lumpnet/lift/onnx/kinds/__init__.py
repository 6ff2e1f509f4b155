"""One small converter file per family of operators; importing fills the registry."""

from lumpnet.lift.onnx.kinds import activation, affine, arithmetic, elided, folded, norm, pool, reduction, selection, shaping, sizes

__all__ = ["activation", "affine", "arithmetic", "elided", "folded", "norm", "pool", "reduction", "selection", "shaping", "sizes"]
