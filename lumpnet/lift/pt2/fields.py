"""Plain data read strictly: a field is there and has its type, or the file is refused."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

from lumpnet.errors import FileError
from lumpnet.lift.pt2.archive import HINT

T = TypeVar("T")
MISSING: Any = object()


class Fields:
    """One JSON object and its place in the file."""

    def __init__(self, where: str, data: object):
        self.where = where
        self.data = data if isinstance(data, dict) else self.refuse(f"{brief(data)} in place of an object", "a JSON object")

    def refuse(self, found: str, expected: str) -> NoReturn:
        """Raises `FileError`."""
        raise FileError(self.where, found, expected, HINT)

    def get(self, name: str, kind: type[T], default: T | Any = MISSING) -> T:
        """The field, of exactly this type. Raises `FileError`, also for a field that is missing and has no default."""
        value = self.data.get(name, default)
        if value is MISSING:
            self.refuse(f"no field {name!r}", "the fields that torch.export.save writes")
        if type(value) is not kind and value is not default:
            self.refuse(f"the field {name!r} is {brief(value)}", f"a value of type {kind.__name__}")
        return value

    def below(self, name: str) -> Fields:
        return Fields(f"{self.where}: {name}", self.get(name, dict))

    def each(self, name: str) -> list[Fields]:
        """The objects of a list."""
        return [Fields(f"{self.where}: {name}[{i}]", item) for i, item in enumerate(self.get(name, list))]

    def union(self) -> tuple[str, Any]:
        """The one entry of an object that is one of several things."""
        if len(self.data) != 1:
            self.refuse(f"{len(self.data)} entries in place of one", "an object with one key, its kind")
        ((kind, value),) = self.data.items()
        return kind, value


def brief(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
