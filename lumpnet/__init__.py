"""lumpnet makes neural networks smaller and proves that nothing changed.

The front door. Names load on first use, so that `python -m lumpnet.check`
starts where only numpy is installed.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from lumpnet.api import Reduction, check, reduce
    from lumpnet.audit.api import audit
    from lumpnet.audit.result import Audit
    from lumpnet.domain import Box
    from lumpnet.errors import LumpnetError
    from lumpnet.network import Network, lift, lower
    from lumpnet.pruning import Pruning, prune
    from lumpnet.sweeping import Sweep, sweep
    from lumpnet.verdict import Proved, Refuted, Unknown

_HOME = {
    "Audit": "lumpnet.audit.result",
    "Box": "lumpnet.domain",
    "reduce": "lumpnet.api",
    "Network": "lumpnet.network",
    "Reduction": "lumpnet.api",
    "Pruning": "lumpnet.pruning",
    "prune": "lumpnet.pruning",
    "Sweep": "lumpnet.sweeping",
    "sweep": "lumpnet.sweeping",
    "LumpnetError": "lumpnet.errors",
    "Proved": "lumpnet.verdict",
    "Refuted": "lumpnet.verdict",
    "Unknown": "lumpnet.verdict",
}

__all__ = [
    "Audit",
    "Box",
    "LumpnetError",
    "Network",
    "Proved",
    "Pruning",
    "Reduction",
    "Refuted",
    "Sweep",
    "Unknown",
    "audit",
    "check",
    "lift",
    "lower",
    "prune",
    "reduce",
    "sweep",
]


class _Room(ModuleType):
    """A package that is also the function of its name: `lumpnet.check(original, reduced, certificate)`, `lumpnet.lift(model, example_inputs)`."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        name = self.__name__.rpartition(".")[2]
        return getattr(import_module(_ROOMS[name]), name)(*args, **options)


class _Door(ModuleType):
    """This module. Python binds `lumpnet.check` to the package when it is imported; here it becomes callable, and knows nothing of it."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _ROOMS and isinstance(value, ModuleType):
            value.__class__ = _Room
        super().__setattr__(name, value)


_ROOMS = {"audit": "lumpnet.audit.api", "check": "lumpnet.api", "lift": "lumpnet.network", "lower": "lumpnet.network"}
sys.modules[__name__].__class__ = _Door


def __getattr__(name: str) -> Any:
    if name in (*_ROOMS, "pruners"):
        return import_module(f"lumpnet.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'lumpnet' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value
