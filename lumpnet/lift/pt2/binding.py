"""From the data of a call to what torch takes: the operator by name, constants, arguments by position and keyword."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch

from lumpnet.errors import LiftError
from lumpnet.lift.pt2.calls import Call, Named, Ref
from lumpnet.lift.pt2.document import DTYPES

FORMATS = {1: torch.contiguous_format, 2: torch.channels_last, 3: torch.channels_last_3d, 4: torch.preserve_format}


def target_of(call: Call) -> Any:
    """The operator, looked up in `torch.ops.aten` or among arithmetic. Raises `LiftError` where this torch has none of the name."""
    name, overload = call.operator
    if not overload:
        return getattr(operator, name)
    packet = getattr(torch.ops.aten, name, None)
    if packet is None or overload not in packet.overloads():
        hint = "load the program with the torch that wrote it"
        raise LiftError(call.where, f"torch has no operator aten.{name}.{overload}", "an operator of this torch", hint)
    return getattr(packet, overload)


def bind(call: Call, target: Any, known: Callable[[str], Any], device: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """By position what was so, and what the schema wants by keyword by keyword; `known` gives what a name stands for."""
    schema = getattr(target, "_schema", None)
    by_keyword = {a.name for a in schema.arguments if a.kwarg_only} if schema else set()
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for name, value, keyword in call.arguments:
        if schema and (keyword or name in by_keyword):
            kwargs[name] = argument(value, known, device)
        else:
            args.append(argument(value, known, device))
    return tuple(args), kwargs


def argument(value: Any, known: Callable[[str], Any], device: str) -> Any:
    if isinstance(value, Ref):
        return known(value.name)
    if isinstance(value, list):
        return [argument(item, known, device) for item in value]
    return _constant(value, device) if isinstance(value, Named) else value


def _constant(named: Named, device: str) -> Any:
    if named.kind == "dtype" and named.value in DTYPES:
        return getattr(torch, DTYPES[int(named.value)])
    if named.kind == "memory_format" and named.value in FORMATS:
        return FORMATS[int(named.value)]
    if named.kind == "layout":
        return torch.strided
    if named.kind == "device":
        return torch.device(device)
    raise ValueError(f"{named.kind} number {named.value}")


def stopped(where: str, error: Exception) -> LiftError:
    """Torch's refusal as ours."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    found = f"torch refuses it ({type(error).__name__}: {lines[0].rstrip('.')[:200] if lines else 'no message'})"
    return LiftError(where, found, "calls that torch's operators accept for every batch size", "export and save the module again, or lift it in Python")
