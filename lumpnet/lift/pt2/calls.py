"""The calls of a program: a target that is on the list, arguments that are data, results with new names."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from lumpnet.errors import LiftError
from lumpnet.lift.pt2.fields import Fields, brief
from lumpnet.lift.pt2.operators import ARITHMETIC, FUNCTIONS

MAX_CALLS = 200_000
MAX_INT = 1 << 63
KEYWORD = 2
_TARGET = re.compile(r"torch\.ops\.aten\.(\w{1,80})\.(\w{1,40})", re.ASCII)
_PLACE = {"as_memory_format": "memory_format", "as_layout": "layout", "as_device": "device", "as_scalar_type": "dtype"}


@dataclass(frozen=True)
class Ref:
    """A tensor or number computed before, by name."""

    name: str


@dataclass(frozen=True)
class Named:
    """An argument that torch has a constant for: a dtype, memory format, layout or device."""

    kind: str
    value: int | str


@dataclass(frozen=True)
class Call:
    """`operator` is (name, overload) of an aten operator, or (name, "") of arithmetic on sizes.

    `arguments` are (name, value, by keyword); a value is a `Ref`, a `Named`, a
    number, text, `None` or a list of them. `several` tells a tuple or list of
    results from a single one; `stack` has (key, path, type text) of the
    enclosing modules.
    """

    where: str
    operator: tuple[str, str]
    arguments: tuple[tuple[str, Any, bool], ...]
    results: tuple[str | None, ...]
    several: bool
    stack: tuple[tuple[str, str, str], ...]


def read_calls(graph: Fields, known: set[str]) -> tuple[Call, ...]:
    """The calls in order; each reads what stands before it. Raises `FileError`, and `LiftError` for an operator that is not on the list."""
    nodes = graph.each("nodes")
    if len(nodes) > MAX_CALLS:
        graph.refuse(f"{len(nodes)} calls", f"at most {MAX_CALLS}")
    seen, calls = set(known), []
    for node in nodes:
        call = _call(node, seen)
        fresh = [name for name in call.results if name]
        if len(set(fresh)) < len(fresh) or not seen.isdisjoint(fresh):
            node.refuse("it gives a name that is taken", "a new name for every result")
        seen.update(fresh)
        calls.append(call)
    return tuple(calls)


def _call(node: Fields, seen: set[str]) -> Call:
    metadata = node.below("metadata") if "metadata" in node.data else Fields(node.where, {})
    stack = tuple(_frame(metadata, text) for text in metadata.get("nn_module_stack", str, "").split(";") if text)
    operator = _operator(node, stack)
    arguments = tuple((given.get("name", str), _argument(given.below("arg"), seen), given.data.get("kind") == KEYWORD) for given in node.each("inputs"))
    results, several = _results(node.each("outputs"))
    return Call(_place(node, stack), operator, arguments, results, several, stack)


def _frame(metadata: Fields, text: str) -> tuple[str, str, str]:
    parts = text.split(",", 2)
    if len(parts) != 3:
        metadata.refuse(f"a module stack {brief(text)}", "key, path and type")
    return parts[0], parts[1], parts[2]


def _place(node: Fields, stack: tuple[tuple[str, str, str], ...]) -> str:
    path = stack[-1][1] if stack and not stack[-1][0].startswith("_empty") else ""
    return f"layer {path!r}" if path else node.where


def _operator(node: Fields, stack: tuple[tuple[str, str, str], ...]) -> tuple[str, str]:
    target = node.get("target", str)
    found = _TARGET.fullmatch(target)
    if found and (found[1] in FUNCTIONS or found[1].removesuffix("_") in FUNCTIONS):
        return found[1], found[2]
    if target.removeprefix("_operator.") in ARITHMETIC and target.startswith("_operator."):
        return target.removeprefix("_operator."), ""
    hint = "replace torch.cond, loops, random and custom operators by tensor operations, or lift the module in Python"
    raise LiftError(_place(node, stack), f"the program calls {brief(target)}, which is not on the list", "functions of torch.ops.aten", hint)


def _argument(arg: Fields, seen: set[str]) -> Any:
    kind, value = arg.union()
    if kind == "as_none":
        return None
    if kind in ("as_tensor", "as_optional_tensor", "as_sym_int", "as_sym_float", "as_sym_bool"):
        return _one(arg.below(kind), seen)
    if kind in ("as_tensors", "as_optional_tensors", "as_sym_ints", "as_sym_floats", "as_sym_bools"):
        return [_one(item, seen) for item in arg.each(kind)]
    if kind in ("as_int", "as_float", "as_bool", "as_string"):
        return _plain(arg, kind, value)
    if kind in ("as_ints", "as_floats", "as_bools"):
        return [_plain(arg, kind[:-1], item) for item in arg.get(kind, list)]
    if kind == "as_device":
        return Named("device", arg.below(kind).get("type", str))
    if kind in _PLACE:
        return Named(_PLACE[kind], arg.get(kind, int))
    raise LiftError(arg.where, f"an argument of kind {brief(kind)}", "tensors, numbers, texts and lists of them", "lift the module in Python")


def _one(item: Fields, seen: set[str]) -> Any:
    """A tensor or number by name, or a number."""
    if "name" in item.data or "as_name" in item.data:
        return _ref(item, item.get("name" if "name" in item.data else "as_name", str), seen)
    kind, value = item.union()
    if kind == "as_tensor":
        return _ref(item, item.below(kind).get("name", str), seen)
    return None if kind == "as_none" else _plain(item, kind, value)


def _ref(item: Fields, name: str, seen: set[str]) -> Ref:
    if name not in seen:
        item.refuse(f"it reads {brief(name)}, which no earlier call gives", "calls in order, without cycles")
    return Ref(name)


def _plain(place: Fields, kind: str, value: Any) -> Any:
    if kind == "as_int" and type(value) is int and -MAX_INT <= value < MAX_INT:
        return value
    if kind == "as_float" and type(value) in (int, float):
        return float(value)
    if kind == "as_float" and value in ("Infinity", "-Infinity", "NaN"):
        return {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}[value]
    if kind == "as_bool" and type(value) is bool:
        return value
    if kind == "as_string" and type(value) is str and len(value) <= 64:
        return value
    place.refuse(f"{kind} is {brief(value)}", "a value of its kind, integers of 64 bits")


def _results(outputs: list[Fields]) -> tuple[tuple[str | None, ...], bool]:
    """The names of the results, and whether the call gives a tuple or list."""
    if len(outputs) == 1:
        kind, _ = outputs[0].union()
        if kind == "as_tensors":
            return tuple(item.get("name", str) for item in outputs[0].each(kind)), True
        return ((None if kind == "as_none" else _name(outputs[0])),), False
    return tuple(None if output.union()[0] == "as_none" else _name(output) for output in outputs), bool(outputs)


def _name(output: Fields) -> str:
    kind, _ = output.union()
    if kind not in ("as_tensor", "as_sym_int", "as_sym_bool", "as_sym_float"):
        output.refuse(f"a result of kind {brief(kind)}", "tensors and numbers")
    fields = output.below(kind)
    return fields.get("name" if "name" in fields.data else "as_name", str)
