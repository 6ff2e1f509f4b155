"""Which converter speaks for which exported operator; operators are named as torch prints them."""

from __future__ import annotations

from collections.abc import Callable

from lumpnet.ir import Shape
from lumpnet.lift.torch.call import Call
from lumpnet.lift.torch.operands import Form, Items, Operand, Param, Parts, Val

Converter = Callable[[Call], Form | Operand | None]
Emit = Callable[[Form, Shape, str], Val]
Expander = Callable[[Call, Emit], Operand | Items | None]
Folder = Callable[[Call], Param | None]
Splitter = Callable[[Call], Parts | None]

CONVERTERS: dict[str, Converter] = {}
EXPANDERS: dict[str, Expander] = {}
FOLDERS: dict[str, Folder] = {}
SPLITTERS: dict[str, Splitter] = {}


def converts(*targets: str) -> Callable[[Converter], Converter]:
    """Register a converter. It answers a `Form`, an operand to use instead, or `None`: no rule, so opaque."""

    def register(converter: Converter) -> Converter:
        CONVERTERS.update(dict.fromkeys(targets, converter))
        return converter

    return register


def folds(*targets: str) -> Callable[[Folder], Folder]:
    """Register an exact evaluation on parameters alone. It answers `None` where the result would be rounded."""

    def register(folder: Folder) -> Folder:
        FOLDERS.update(dict.fromkeys(targets, folder))
        return folder

    return register


def expands(*targets: str) -> Callable[[Expander], Expander]:
    """Register a converter into any number of nodes, made by `emit(form, shape, name)`. It answers `None`, having made none: no rule."""

    def register(expander: Expander) -> Expander:
        EXPANDERS.update(dict.fromkeys(targets, expander))
        return expander

    return register


def splits(*targets: str) -> Callable[[Splitter], Splitter]:
    """Register a converter of an operator with several outputs that speaks for all of them, or answers `None`."""

    def register(splitter: Splitter) -> Splitter:
        SPLITTERS.update(dict.fromkeys(targets, splitter))
        return splitter

    return register
