"""Changes of structure: of JSON trees, of network files, of archives, of protobuf messages. What a fuzzer of bytes finds by chance only."""

from __future__ import annotations

import copy
import io
import json
import random
import struct
import zipfile
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

Spot = tuple[Any, Any]
"""A list or object, and the place in it."""

ODD: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3, 31, 32, 64, 255, 1 << 16, (1 << 31) - 1, 1 << 31, 1 << 32, 1 << 40, 1 << 53, 1 << 62, (1 << 63) - 1, -(1 << 63),
    0.0, -0.0, 0.5, 1.5, 1e-320, 1e300, -1e308, "", "x", "identity", "dropped", "-1/3", "1/2", "0", [], {}, [[]], [0], [1, 1], [0, 1], [-1], [None], {"0": "1"},
]  # fmt: skip


def tree(root: Any, rng: random.Random, words: list[str]) -> Any:
    """A copy of plain data after one to three changes."""
    holder = [copy.deepcopy(root)]
    for _ in range(rng.choice([1, 1, 2, 3])):
        spots = list(_spots(holder))
        owner, key = rng.choice(spots)
        what = rng.randrange(9)
        if what == 0 and len(spots) > 1 and owner is not holder:
            del owner[key]
        elif what == 1 and isinstance(owner, list) and owner is not holder:
            owner.insert(rng.randrange(len(owner) + 1), copy.deepcopy(owner[key]))
        elif what == 2:
            other, place = rng.choice(spots)
            owner[key] = copy.deepcopy(other[place])
        elif what == 3 and isinstance(owner, dict):
            owner[rng.choice([*words, *map(str, owner)])] = copy.deepcopy(owner[key])
        elif what in (4, 5) and isinstance(owner[key], int | float):
            owner[key] = _number(owner[key], rng)
        elif what in (4, 5, 6) and isinstance(owner[key], str):
            owner[key] = rng.choice([*words, owner[key][:-1], owner[key] * 2])
        else:
            owner[key] = copy.deepcopy(rng.choice(ODD))
    return holder[0]


def _spots(owner: Any) -> Iterator[Spot]:
    for key in list(owner) if isinstance(owner, dict) else range(len(owner)):
        yield owner, key
        if isinstance(owner[key], dict | list):
            yield from _spots(owner[key])


def _number(value: Any, rng: random.Random) -> Any:
    return rng.choice([value + 1, value - 1, -value, value * 2, value // 2 if isinstance(value, int) else value / 3, value + (1 << 31), 0])


def text(data: bytes, rng: random.Random, words: list[str]) -> bytes:
    return json.dumps(tree(json.loads(data), rng, words)).encode()


def network(data: bytes, rng: random.Random, words: list[str]) -> bytes:
    """The header, the graph in it, or the numbers behind it."""
    (length,) = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8 : 8 + length]), bytearray(data[8 + length :])
    what = rng.random()
    if what < 0.75:
        header["__metadata__"]["lumpnet"] = text(header["__metadata__"]["lumpnet"].encode(), rng, words).decode()
    elif what < 0.9:
        header = tree(header, rng, words)
    elif body:
        at = rng.randrange(len(body))
        body[at : at + 4] = rng.choice([b"\0\0\xc0\x7f", b"\0\0\0\x80", b"\xff\xff\x7f\x7f", b"\1\0\0\0", bytes(4)])[: len(body) - at]
    head = json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + body


def archive(data: bytes, rng: random.Random, words: list[str]) -> bytes:
    """One member of a zip archive: its JSON, its bytes, its name, or whether it is there."""
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        members = {name: old.read(name) for name in old.namelist()}
    name = rng.choice(sorted(members))
    models = [n for n in members if n.endswith(".json")]
    what = rng.random()
    if what < 0.85 and models:
        name = rng.choice([*models, max(models, key=lambda n: len(members[n]))])
        members[name] = text(members[name], rng, words)
    elif what < 0.9:
        del members[name]
    elif what < 0.94:
        members[rng.choice([name + "x", name[:-1], f"{name}/x", name.upper()])] = members.pop(name)
    else:
        content = bytearray(members[name])
        content[rng.randrange(len(content) + 1) :][:4] = rng.randbytes(4)
        members[name] = bytes(content[: rng.choice([len(content), len(content) // 2])])
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as new:
        for member, content in members.items():
            new.writestr(member, content)
    return out.getvalue()


def message(root: Message, rng: random.Random, words: list[str]) -> None:
    """One field somewhere in a protobuf message, in place."""
    spots = [(owner, field) for owner in _messages(root) for field, _ in owner.ListFields()]
    if not spots:
        return
    owner, field = rng.choice(spots)
    if field.is_repeated:
        _repeated(getattr(owner, field.name), field, rng, words)
    elif field.type == FieldDescriptor.TYPE_MESSAGE or rng.random() < 0.2:
        owner.ClearField(field.name)
    else:
        setattr(owner, field.name, _scalar(getattr(owner, field.name), field, rng, words))


def _messages(owner: Message) -> Iterator[Message]:
    yield owner
    for field, value in owner.ListFields():
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for child in value if field.is_repeated else [value]:
                yield from _messages(child)


def _repeated(values: Any, field: Any, rng: random.Random, words: list[str]) -> None:
    at, other, what = rng.randrange(len(values)), rng.randrange(len(values)), rng.randrange(4)
    if what == 0:
        del values[at]
    elif field.type == FieldDescriptor.TYPE_MESSAGE:
        values[other].CopyFrom(copy.deepcopy(values[at])) if what == 1 else values.add().CopyFrom(values[at])
    elif what == 1:
        values.append(values[at])
    elif what == 2:
        values[at], values[other] = values[other], values[at]
    else:
        values[at] = _scalar(values[at], field, rng, words)


def _scalar(value: Any, field: Any, rng: random.Random, words: list[str]) -> Any:
    if field.enum_type is not None:
        return rng.choice(field.enum_type.values).number
    if isinstance(value, str):
        return rng.choice([*words, value[:-1], value * 2])
    if isinstance(value, bytes):
        return rng.choice([value[:-1], value * 2, b"", value[:4] + b"\0\0\xc0\x7f" + value[8:], rng.choice(words).encode()])
    if isinstance(value, float):
        return rng.choice([0.0, -1.0, 1.0, 0.5, float("nan"), float("inf"), -value, value * 2])
    low, high = (-(1 << 31), (1 << 31) - 1) if "32" in str(field.cpp_type) or field.cpp_type == FieldDescriptor.CPPTYPE_INT32 else (-(1 << 63), (1 << 63) - 1)
    if field.cpp_type in (FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64):
        low = 0
    return min(max(rng.choice([value + 1, value - 1, -value, value * 2, 0, 1, -1, 2, 1 << 31, 1 << 62, -(1 << 63)]), low), high)
