"""The table of operator kinds."""

from __future__ import annotations

from lumpnet.errors import GraphError
from lumpnet.ops.base import Op

_TABLE: dict[str, Op] = {}


def register(cls: type[Op]) -> type[Op]:
    _TABLE[cls.kind] = cls()
    return cls


def get(kind: str) -> Op:
    """The operator of this kind. Raises `GraphError` for a kind nobody registered."""
    if kind not in _TABLE:
        raise GraphError(f"operator kind {kind!r}", "it is not registered", f"one of {', '.join(sorted(_TABLE))}", "lift the model again with this version")
    return _TABLE[kind]


def kinds() -> tuple[str, ...]:
    return tuple(sorted(_TABLE))
