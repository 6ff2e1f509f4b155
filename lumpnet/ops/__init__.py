"""One operator kind, one class, every rule (THEORY section 2). Knows no torch module and no ONNX node."""

from importlib import import_module
from pkgutil import iter_modules

from lumpnet.ops.base import Kept, Op, Piece, Pin, Site, size
from lumpnet.ops.registry import get, kinds

for _module in iter_modules(__path__):  # importing registers
    import_module(f"{__name__}.{_module.name}")

__all__ = ["Kept", "Op", "Piece", "Pin", "Site", "get", "kinds", "size"]
