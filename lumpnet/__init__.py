"""lumpnet makes neural networks smaller and proves that nothing changed.

The front door. Names load on first use, so that `python -m lumpnet.check`
starts where only numpy is installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from lumpnet.api import Network, Reduction, check, lift, lower, reduce
    from lumpnet.errors import LumpnetError
    from lumpnet.verdict import Proved, Refuted, Unknown

_HOME = {
    "reduce": "lumpnet.api",
    "check": "lumpnet.api",
    "lift": "lumpnet.api",
    "lower": "lumpnet.api",
    "Network": "lumpnet.api",
    "Reduction": "lumpnet.api",
    "LumpnetError": "lumpnet.errors",
    "Proved": "lumpnet.verdict",
    "Refuted": "lumpnet.verdict",
    "Unknown": "lumpnet.verdict",
}

__all__ = ["LumpnetError", "Network", "Proved", "Reduction", "Refuted", "Unknown", "check", "lift", "lower", "reduce"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'lumpnet' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value
