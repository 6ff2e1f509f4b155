"""What the checker knows of each operator kind: its shape, and its obligation in the checker's own words."""

from lumpnet.check.graph import Kind
from lumpnet.check.rules import affine, arithmetic, attention, constant, elementwise, entries, layout, norm, pinned, pooling

KINDS: dict[str, Kind] = {}
for _module in (affine, arithmetic, attention, constant, elementwise, entries, layout, norm, pinned, pooling):
    KINDS.update(_module.KINDS)

__all__ = ["KINDS"]
