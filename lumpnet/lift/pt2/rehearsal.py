"""The calls of a document tried once for one batch size, on torch's tensors without data.

Recording calls for every batch size needs the heavier half of torch. What
torch refuses already for one batch is refused here, in half the time.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch

from lumpnet.errors import LiftError
from lumpnet.lift.pt2.binding import argument, bind, stopped, target_of
from lumpnet.lift.pt2.calls import MAX_INT, Call
from lumpnet.lift.pt2.document import Document
from lumpnet.lift.pt2.effort import check_effort
from lumpnet.lift.pt2.weights import Weights

BATCH = 8209
"""A prime, and another one than `replay.HINT`: a program that fixes its batch size fails at one of them."""


def rehearse(document: Document, weights: Weights) -> None:
    """Raises `LiftError` where a call is none of torch's, or an output has no batch on axis 0."""
    for call in document.calls:
        target_of(call)
    values = {given.name: _input(document, weights, given) for given in document.inputs}
    with torch.no_grad(), _without_compiler():
        for call in document.calls:
            try:
                _call(call, values)
            except LiftError:
                raise
            except (NotImplementedError, ImportError, AttributeError):
                return  # an operator that needs more than shapes, or more of torch than is loaded here: recording it will tell
            except Exception as error:
                raise stopped(call.where, error) from error
    for name in document.outputs:
        shape = tuple(getattr(values[name], "shape", ()))
        if shape[:1] != (BATCH,):
            shown = tuple("batch" if n == BATCH else n for n in shape)
            hint = "move the batch to axis 0 before the value is returned"
            raise LiftError(document.where, f"its output of shape {shown} does not keep the batch on axis 0", "outputs of shape (batch, ...)", hint)


@contextmanager
def _without_compiler() -> Iterator[None]:
    """Rules of shapes are marked as nothing to compile; reading the mark imports torch's compiler, which takes longer than the rules."""
    name = "torch._dynamo"
    if name in sys.modules:
        yield
        return
    sys.modules[name] = SimpleNamespace(disable=lambda rule, *_, **__: rule)  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


def _input(document: Document, weights: Weights, given: Any) -> torch.Tensor:
    sizes, dtype = [BATCH if size is None else size for size in given.sizes], given.dtype
    if given.kind != "user_input":
        sizes, dtype = list(weights.tensors[given.stored].shape), weights.tensors[given.stored].dtype
    try:
        return torch.empty(sizes, dtype=getattr(torch, dtype), device="meta")
    except Exception as error:
        raise stopped(f"{document.where}: input {given.name!r}", error) from error


def _call(call: Call, values: dict[str, Any]) -> None:
    target = target_of(call)
    args, kwargs = bind(call, target, values.__getitem__, "meta")
    check_effort(call, {name: argument(value, values.__getitem__, "meta") for name, value, _ in call.arguments})
    schema = getattr(target, "_schema", None)
    if schema and any(a.name == "device" for a in schema.arguments):
        kwargs.setdefault("device", torch.device("meta"))
    if target is torch.ops.aten.view.default:
        target = torch.ops.aten.reshape.default  # strides, which views depend on, are not those of the CPU here
    result = target(*args, **kwargs)
    if isinstance(result, int) and not -MAX_INT <= result < MAX_INT:
        raise ValueError("a number beyond 64 bits")
    if call.several:
        for i, name in enumerate(call.results):
            if name:
                values[name] = operator.getitem(result, i)
    elif call.results and call.results[0]:
        values[call.results[0]] = result
