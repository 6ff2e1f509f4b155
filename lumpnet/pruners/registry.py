"""The table of pruning methods: those that lumpnet ships, and those that installed packages bring (entry points of the group `lumpnet.pruners`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from lumpnet.errors import PruneError
from lumpnet.pruners.base import Pruner

GROUP = "lumpnet.pruners"
_PLAIN = (bool, int, float, str)
_TABLE: dict[str, type[Pruner]] = {}


def register(cls: type[Pruner]) -> type[Pruner]:
    """A class decorator; lumpnet's own methods use it."""
    _TABLE[cls.name] = cls
    return cls


def available() -> tuple[str, ...]:
    """The names of all methods, in order. Nothing of another package is loaded."""
    return tuple(sorted({*_TABLE, *_foreign()}))


def get(name: str) -> type[Pruner]:
    """The method of this name; a shipped one before any other. Raises `PruneError`."""
    if name in _TABLE:
        return _TABLE[name]
    if name not in _foreign():
        raise PruneError(f"pruner {name!r}", "no method of this name", f"one of {', '.join(available())}", f"a package with an entry point in {GROUP!r}")
    point = _foreign()[name]
    try:
        found = point.load()
    except Exception as error:  # whatever another package raises while it loads
        raise PruneError(f"pruner {name!r}", f"{point.value} cannot be loaded ({type(error).__name__}: {error})", "an importable class") from error
    if not (isinstance(found, type) and issubclass(found, Pruner)):
        raise PruneError(f"pruner {name!r}", f"{point.value} is {found!r}", "a subclass of lumpnet.pruners.Pruner")
    return found


def _foreign() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def make(name: str, options: Mapping[str, Any]) -> Pruner:
    """The method with its options. Raises `PruneError` for those that it does not have."""
    method = get(name)
    known = _fields(method)
    strange = sorted(set(options) - set(known))
    if strange:
        takes = f"its options {', '.join(known)}" if known else "no options"
        raise PruneError(f"pruner {name!r}", f"it has no option {strange[0]!r}", takes)
    for option, value in options.items():
        wanted = type(known[option])
        if wanted in _PLAIN and not (type(value) is wanted or (wanted is float and type(value) is int)):
            raise PruneError(f"pruner {name!r}", f"{option} is {value!r}", f"a value of type {wanted.__name__}, as {known[option]!r}")
    try:
        return method(**options)
    except TypeError as error:
        raise PruneError(f"pruner {name!r}", f"it cannot be made of these options ({error})") from error


def _fields(method: type[Pruner]) -> dict[str, Any]:
    """The options of a method with their defaults."""
    return {f.name: f.default for f in dataclasses.fields(method)} if dataclasses.is_dataclass(method) else {}


def from_texts(name: str, texts: Sequence[str]) -> dict[str, Any]:
    """`option=value` texts as the options of a method, each of its default's type. Raises `PruneError`."""
    known, found = _fields(get(name)), {}
    for text in texts:
        option, is_pair, value = text.partition("=")
        if not is_pair:
            raise PruneError(f"option {text!r}", "no value", "NAME=VALUE", f"{text}=VALUE")
        found[option] = _parsed(name, option, value, type(known[option])) if option in known else value
    return found


def _parsed(name: str, option: str, text: str, wanted: type) -> Any:
    try:
        return {"true": True, "false": False}[text.lower()] if wanted is bool else wanted(text) if wanted in _PLAIN else text
    except (KeyError, ValueError) as error:
        raise PruneError(f"pruner {name!r}", f"{option} is {text!r}", f"a value of type {wanted.__name__}") from error
