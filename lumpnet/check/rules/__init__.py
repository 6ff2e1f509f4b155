"""What the checker knows of each operator kind: its shape, and its obligation in the checker's own words, one table from every file here."""

from importlib import import_module
from pkgutil import iter_modules

from lumpnet.check.graph import Kind

KINDS: dict[str, Kind] = {}
for _module in iter_modules(__path__):
    KINDS.update(import_module(f"{__name__}.{_module.name}").KINDS)

__all__ = ["KINDS"]
