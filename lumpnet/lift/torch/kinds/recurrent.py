"""rnn, lstm, gru: one node per layer and direction, from a zero state; directions are joined by concat, the last state is a position of a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.fx import Node as FxNode

from lumpnet.lift.torch.call import Call
from lumpnet.lift.torch.kinds.select import entry
from lumpnet.lift.torch.operands import Deferred, Form, Items, Operand, Param, Stacked, Val
from lumpnet.lift.torch.registry import Emit, expands

ZEROS = ("aten.zeros.default", "aten.zeros_like.default", "aten.new_zeros.default")
SQUEEZES = ("aten.squeeze.dim", "aten.squeeze.dims")
BACKWARD = "lumpnet_backward"
"""The mark of a lowered step that runs from the last position to the first, between two flips."""
KINDS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "aten.lstm.input": ("lstm", 4, {}),
    "aten.gru.input": ("gru", 3, {"linear_before_reset": True}),
    "aten.rnn_tanh.input": ("rnn", 1, {"nonlinearity": "tanh"}),
    "aten.rnn_relu.input": ("rnn", 1, {"nonlinearity": "relu"}),
}


@expands(*KINDS)
def recurrent(call: Call, emit: Emit) -> Items | None:
    """Layers without projections, batch first, from states that the model fills with zeros."""
    kind, gates, attrs = KINDS[str(call.target)]
    x = call.batched("input")
    states = call["hx"] if isinstance(call["hx"], list) else [call["hx"]]
    if x is None or x.shape is None or len(x.shape) != 3 or not call["batch_first"] or call["train"] or not all(map(_is_zero, states)):
        return None
    roles = ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if call["has_biases"] else ()))
    directions = 2 if call["bidirectional"] else 1
    count = call["num_layers"] * directions
    cells = _cells(call["params"], roles, count, x.dtype)
    if cells is None or not _is_wanted(call, count) or any(cell["weight_hh"].tensor.shape[0] != gates * cell["weight_hh"].tensor.shape[1] for cell in cells):
        return None
    backward = _runs_backward(call)
    last: list[Val] = []
    below: Val | Deferred = x
    for layer in range(call["num_layers"]):
        found = []
        for way in range(directions):
            cell = cells[layer * directions + way]
            form = Form(kind, (below,), attrs | {"reverse": bool(way) != backward}, cell)
            shape = (None, x.shape[1], cell["weight_hh"].tensor.shape[1])
            found.append(emit(form, shape, f"l{layer}{'_reverse' if way else ''}"))
        last += found
        if layer + 1 < call["num_layers"] or _is_read(call, 0):
            below = found[0] if directions == 1 else _joined(found, emit)
    ends = tuple((value, 0 if (k % directions == 1) != backward else int(x.shape[1] or 0) - 1) for k, value in enumerate(last))
    return Items(below, ends={1: ends})


def _cells(params: Sequence[Operand], roles: tuple[str, ...], count: int, dtype: str) -> list[dict[str, Param]] | None:
    """The tensors of every layer and direction by role."""
    tensors = [p for p in params if isinstance(p, Param) and str(p.tensor.dtype) == f"torch.{dtype}"]
    if len(tensors) != len(params) or len(tensors) != count * len(roles):
        return None
    return [dict(zip(roles, tensors[k * len(roles) :], strict=False)) for k in range(count)]


def _joined(found: list[Val], emit: Emit) -> Val:
    width = sum(int(v.shape[2] or 0) for v in found)
    return emit(Form("concat", tuple(found), {"axis": 2}), (*found[0].shape[:2], width), "concat")


def _is_zero(state: Operand) -> bool:
    return isinstance(state, Deferred) and str(state.node.target) in ZEROS


def _is_read(call: Call, item: int) -> bool:
    return any(user.args[1] == item for user in call.node.users)


def _is_wanted(call: Call, count: int) -> bool:
    """Whether the sequence or a single last hidden state is read. Other states come from an opaque call beside the node."""
    states = [reader for user in call.node.users if user.args[1] == 1 for reader in user.users]
    return _is_read(call, 0) or any(_takes_one(reader, count) for reader in states)


def _takes_one(reader: FxNode, count: int) -> bool:
    """One of `count` slices along axis 0: a selection, or dropping the axis where there is one."""
    target, along = str(reader.target), len(reader.args) > 1 and reader.args[1] in (0, -3, [0], [-3])
    return along and (target == "aten.select.int" or (target in SQUEEZES and count == 1))


def _runs_backward(call: Call) -> bool:
    return call.module is not None and vars(call.module).get(BACKWARD) is True


@expands("aten.flip.default")
def turned(call: Call, emit: Emit) -> Operand | None:
    """The two flips around a lowered layer that runs backward are what `reverse` says."""
    operand: Operand = call["self"]
    return operand if _runs_backward(call) else None


@expands("aten.select.int", *SQUEEZES)
def last_state(call: Call, emit: Emit) -> Operand | None:
    """One layer's and direction's last state: a position of its sequence."""
    states = call["self"]
    if not isinstance(states, Stacked) or not _takes_one(call.node, len(states.ends)):
        return None
    value, position = states.ends[call.get("index", 0)]
    one = entry(value, 1, position)
    assert isinstance(one, Form)
    assert one.shape is not None
    return emit(one, one.shape, one.kind)
