"""Other people's pruning methods, one file each, in one interface (floor 5).

`lumpnet.prune(model, example_inputs, method=..., keep=...)` runs one. A package of your own adds a method by a
class and an entry point::

    @dataclass(frozen=True)
    class Smallest(lumpnet.pruners.Pruner):
        norm: str = "l1"  # an option

        def prune(self, task):
            return lumpnet.pruners.best_units(task, lambda layer: ...)

    [project.entry-points."lumpnet.pruners"]
    smallest = "my_package:Smallest"
"""

from importlib import import_module
from pkgutil import iter_modules

from lumpnet.lump.layers import Layer
from lumpnet.pruners.base import GONE, Change, Pruned, Pruner, Task
from lumpnet.pruners.data import Data
from lumpnet.pruners.merging import Classes, merged
from lumpnet.pruners.registry import available, from_texts, get, make
from lumpnet.pruners.selection import best_units, best_weights

for _module in iter_modules(__path__):  # importing registers
    import_module(f"{__name__}.{_module.name}")

__all__ = [
    "GONE",
    "Change",
    "Classes",
    "Data",
    "Layer",
    "Pruned",
    "Pruner",
    "Task",
    "available",
    "best_units",
    "best_weights",
    "from_texts",
    "get",
    "make",
    "merged",
]
