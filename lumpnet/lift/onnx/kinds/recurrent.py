"""RNN, LSTM, GRU: one node a direction, from the zero state; the sequence may have time on axis 0."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lumpnet.lift.onnx.call import Call, NoRule
from lumpnet.lift.onnx.operands import Answer, Const, Val
from lumpnet.lift.onnx.registry import converts

ORDER = {"RNN": [0], "LSTM": [0, 2, 3, 1], "GRU": [1, 0, 2]}
"""Where torch's gates stand in ONNX's order: i, f, g, o in i, o, f, c; r, z, n in z, r, h."""
USUAL = {"RNN": ["Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}
DIRECTIONS = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}


@converts(*ORDER)
def recurrent(call: Call) -> Answer:
    """The outputs Y and Y_h; the last cell state has no place."""
    x, first = call.input(0), bool(call.get("layout", 0))
    if not isinstance(x, Val) or x.dtype != call.lifting.dtype or x.rank != 3 or x.bare or x.at != (0 if first else 1):
        raise NoRule
    if call.used(2):
        call.refuse("its last cell state is used", "the sequence or the last hidden state", "return what the network needs only")
    ways = DIRECTIONS.get(call.attrs["direction"])
    if ways is None or call.get("clip") is not None or call.get("input_forget", 0) or not _from_zero(call):
        raise NoRule
    attrs, layers = _nonlinearity(call, len(ways)), []
    for k, back in enumerate(ways):
        params = _parameters(call, k, len(ways))
        layer = call.emit(
            call.kind.lower(),
            [x],
            attrs[k] | {"reverse": back},
            part=f"layer{k}",
            weight_ih=params["weight_ih"],
            weight_hh=params["weight_hh"],
            bias_ih=params.get("bias_ih"),
            bias_hh=params.get("bias_hh"),
        )
        layers.append(layer)
    return [_sequence(call, layers, first), _last(call, layers, ways, first) if call.used(1) else None]


def _from_zero(call: Call) -> bool:
    """No lengths, no peepholes, and an initial state that is left out or zero."""
    states = [call.input(k) for k in (5, 6)]
    return call.input(4) is None and call.input(7) is None and all(s is None or (isinstance(s, Const) and not s.array.any()) for s in states)


def _nonlinearity(call: Call, count: int) -> list[dict[str, Any]]:
    given = call.get("activations") or USUAL[call.kind] * count
    each = len(USUAL[call.kind])
    if len(given) != each * count or call.get("activation_alpha") or call.get("activation_beta"):
        raise NoRule
    found: list[dict[str, Any]] = []
    for k in range(count):
        part = [str(name).lower() for name in given[k * each : (k + 1) * each]]
        if call.kind == "RNN" and part[0] in ("tanh", "relu"):
            found.append({"nonlinearity": part[0]})
        elif part == [name.lower() for name in USUAL[call.kind]]:
            found.append({"linear_before_reset": bool(call.attrs["linear_before_reset"])} if call.kind == "GRU" else {})
        else:
            raise NoRule
    return found


def _parameters(call: Call, k: int, count: int) -> dict[str, Const]:
    """Weights and biases of direction k in torch's order of gates."""
    into, own = call.const(1), call.const(2)
    n, gates = own.array.shape[-1], len(ORDER[call.kind])
    if into.array.ndim != 3 or own.array.shape != (count, gates * n, n) or into.array.shape[:2] != (count, gates * n):
        call.refuse(f"weights of shapes {into.array.shape} and {own.array.shape}", f"({count}, {gates} x {n}, ...)", "check the model")
    found = {"weight_ih": _gates(call, into, into.array[k], k), "weight_hh": _gates(call, own, own.array[k], k)}
    if call.input(3) is not None:
        bias = call.const(3)
        if bias.array.shape != (count, 2 * gates * n):
            call.refuse(f"biases of shape {bias.array.shape}", f"({count}, {2 * gates * n})", "check the model")
        halves = bias.array[k].reshape(2, -1)
        found |= {role: _gates(call, bias, halves[i], k, f".{'wr'[i]}") for i, role in enumerate(("bias_ih", "bias_hh"))}
    return found


def _gates(call: Call, source: Const, array: np.ndarray, k: int, half: str = "") -> Const:
    blocks = array.reshape(len(ORDER[call.kind]), -1, *array.shape[1:])[ORDER[call.kind]]
    return Const(np.ascontiguousarray(blocks.reshape(array.shape)), f"{source.name}.{k}{half}" if source.name else "")


def _sequence(call: Call, layers: list[Val], first: bool) -> Val:
    """Y: time, directions, batch, units; or batch, time, directions, units."""
    steps, n = layers[0].sizes
    parts = [call.emit("reshape", [y], {"shape": [steps, 1, n]}, part="" if len(layers) == 1 else f"way{k}") for k, y in enumerate(layers)]
    y = parts[0] if len(parts) == 1 else call.emit("concat", parts, {"axis": 2})
    return replace(y, at=0 if first else 2)


def _last(call: Call, layers: list[Val], ways: list[bool], first: bool) -> Val:
    """Y_h: directions, batch, units; or batch, directions, units."""
    ends = [
        call.emit("index_select", [y], {"axis": 1, "index": [0 if back else y.sizes[0] - 1]}, part="" if len(layers) == 1 else f"end{k}", out=1)
        for k, (y, back) in enumerate(zip(layers, ways, strict=True))
    ]
    y = ends[0] if len(ends) == 1 else call.emit("concat", ends, {"axis": 1}, out=1)
    return replace(y, at=0 if first else 1)
