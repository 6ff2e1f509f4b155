"""Which converter speaks for which ONNX operator, and which operators on constants are evaluated."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lumpnet.lift.onnx.operands import Answer, Const

if TYPE_CHECKING:
    from lumpnet.lift.onnx.call import Call

Converter = Callable[["Call"], Answer]
Folder = Callable[["Call"], Const | list[Const] | None]

CONVERTERS: dict[str, Converter] = {}
FOLDERS: dict[str, Folder] = {}


def converts(*operators: str) -> Callable[[Converter], Converter]:
    """Register a converter. It answers the operator's outputs, or `None`: no rule, so opaque."""

    def register(converter: Converter) -> Converter:
        CONVERTERS.update(dict.fromkeys(operators, converter))
        return converter

    return register


def folds(*operators: str) -> Callable[[Folder], Folder]:
    """Register an exact evaluation on constants. It answers `None` where the result would be rounded."""

    def register(folder: Folder) -> Folder:
        FOLDERS.update(dict.fromkeys(operators, folder))
        return folder

    return register
