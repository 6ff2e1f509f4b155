"""One operator kind, one class, every rule (THEORY section 2). Knows no torch module and no ONNX node."""

from lumpnet.ops import (  # noqa: F401  (importing registers)
    add,
    attention,
    batch_norm,
    concat,
    constant,
    constants,
    conv,
    gelu,
    hardtanh,
    identity,
    index_select,
    layout,
    leaky_relu,
    linear,
    mean,
    mul,
    pools,
    relu,
    sigmoid,
    silu,
    tanh,
    whole,
)
from lumpnet.ops.base import Kept, Op, Piece, Pin, Site, size
from lumpnet.ops.registry import get, kinds

__all__ = ["Kept", "Op", "Piece", "Pin", "Site", "get", "kinds", "size"]
