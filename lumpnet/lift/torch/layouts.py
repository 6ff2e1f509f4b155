"""Which values are other values in another order, while a model is lifted.

Torch moves batch, heads and tokens about; a value whose batch is not axis 0 has
no place in a graph, but it is an arrangement of one that has. What is followed
here are arrangements; a converter that can act on the base value does so, and
the moves in between are left unread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lumpnet.lift.arrangement import Arrangement, Extent, Step, base
from lumpnet.lift.torch.call import Call
from lumpnet.lift.torch.names import Stack
from lumpnet.lift.torch.operands import Deferred, Form, Val, is_batched

Emit = Callable[[Stack, Form], Val]
Place = tuple[Val, Arrangement]
"""A base value, and the arrangement of it that is meant."""

RESHAPES = (
    *("view.default", "_unsafe_view.default", "reshape.default", "flatten.using_ints", "unflatten.int"),
    *("squeeze.default", "squeeze.dim", "squeeze.dims", "unsqueeze.default"),
)


@dataclass
class Layouts:
    """`known` are the values with a base other than themselves; `made` the values that are an arrangement, by the base's reference."""

    emit: Emit
    known: dict[Val | Deferred, Place] = field(default_factory=dict)
    made: dict[tuple[str | int, Arrangement], Val] = field(default_factory=dict)

    def of(self, operand: object) -> Place | None:
        """The base of a value and its arrangement; a value in its place is its own base where nothing else is known."""
        if isinstance(operand, Val | Deferred) and operand in self.known:
            return self.known[operand]
        if isinstance(operand, Val) and is_batched(operand) and all(operand.shape[1:]):
            return operand, base([int(n or 0) for n in operand.shape[1:]])
        return None

    def note(self, value: Val, form: Form) -> None:
        """Remember what a new node is an arrangement of, if it only moves entries."""
        source = self.of(form.inputs[0]) if form.kind in ("index_select", "reshape", "permute") else None
        arranged = _after(source[1], (form.kind, dict(form.attrs))) if source is not None else None
        if source is not None and arranged is not None:
            self.known[value] = source[0], arranged
            self.made.setdefault((source[0].ref, arranged), value)

    def moved(self, call: Call, sizes: tuple[Extent, ...] | None) -> Place | None:
        """What a call that only moves entries makes of its operand; `sizes` is the output's shape."""
        move = MOVES.get(str(call.target))
        source = self.of(call.get("self")) if move is not None and sizes is not None else None
        arranged = move(call, source[1], sizes) if move is not None and source is not None and sizes is not None else None
        return (source[0], arranged) if source is not None and arranged is not None and arranged.sizes == sizes else None

    def part(self, call: Deferred, item: int) -> Place | None:
        """What one of the results of a call that takes its operand apart is an arrangement of."""
        if str(call.node.target) != "aten.unbind.int":
            return None
        source: Any = call.node.args[0]
        place, dim = self.of(call.operands[source]), call.node.args[1] if len(call.node.args) > 1 else 0
        arranged = place[1].select(int(str(dim)) % len(place[1].dims), item) if place is not None else None
        return (place[0], arranged) if place is not None and arranged is not None else None

    def make(self, stack: Stack, place: Place) -> Val | None:
        """The value itself, from nodes that are there where they are; None where the batch is not its axis 0."""
        value, wanted = place
        steps = wanted.as_batch_first()
        if steps is None or (value.ref, wanted) in self.made:
            return self.made.get((value.ref, wanted))
        found, here = value, base(wanted.shape)
        for kind, attrs in steps:
            after = _after(here, (kind, attrs))
            known = self.made.get((value.ref, after)) if after is not None else None
            shape = (None, *(after.sizes[1:] if after is not None else ()))
            found = known or self.emit(stack, Form(kind, (found,), attrs, shape=shape))  # type: ignore[arg-type]
            assert after is not None
            here = after
        return found


def _after(arranged: Arrangement, step: Step) -> Arrangement | None:
    kind, attrs = step
    match kind:
        case "index_select":
            return arranged.restrict(attrs["axis"], attrs["index"])
        case "reshape":
            return arranged.reshape([(1,), *attrs["shape"]])
        case _:
            return arranged.permute(attrs["dims"])


Move = Callable[[Call, Arrangement, tuple[Extent, ...]], Arrangement | None]


def _permute(call: Call, x: Arrangement, sizes: tuple[Extent, ...]) -> Arrangement | None:
    return x.permute([d % len(x.dims) for d in call["dims"]])


def _transpose(call: Call, x: Arrangement, sizes: tuple[Extent, ...]) -> Arrangement | None:
    order = list(range(len(x.dims)))
    a, b = call["dim0"] % len(order), call["dim1"] % len(order)
    order[a], order[b] = order[b], order[a]
    return x.permute(order)


def _select(call: Call, x: Arrangement, sizes: tuple[Extent, ...]) -> Arrangement | None:
    dim = call["dim"] % len(x.dims)
    size: Any = x.sizes[dim]
    return x.select(dim, call["index"] % size) if type(call["index"]) is int and type(size) is int else None


def _slice(call: Call, x: Arrangement, sizes: tuple[Extent, ...]) -> Arrangement | None:
    bounds, dim = (call["start"], call["end"], call["step"]), call["dim"] % len(x.dims)
    size = x.sizes[dim]
    if type(size) is not int or not all(b is None or type(b) is int for b in bounds):
        return None
    return x.restrict(dim, range(*slice(*bounds).indices(size)))


MOVES: dict[str, Move] = {f"aten.{name}": lambda call, x, sizes: x.reshape(sizes) for name in RESHAPES} | {
    "aten.permute.default": _permute,
    "aten.transpose.int": _transpose,
    "aten.t.default": lambda call, x, sizes: x.permute(range(len(x.dims))[::-1]),
    "aten.select.int": _select,
    "aten.slice.Tensor": _slice,
}
COPIES = ("clone.default", "alias.default", "detach.default", "contiguous.default", "lift_fresh_copy.default", "lift_fresh.default", "lift.default")
FOLLOWED = frozenset(MOVES) | {f"aten.{name}" for name in COPIES}
"""Calls through which an arrangement is followed; others read a node."""
