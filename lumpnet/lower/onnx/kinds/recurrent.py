"""rnn, lstm, gru: one layer, one direction, time first, gates in ONNX's order."""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpnet.lower.onnx.writing import Step, writes

OPERATORS = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}
ORDER = {"rnn": [0], "lstm": [0, 3, 1, 2], "gru": [1, 0, 2]}
"""Where ONNX's gates stand in torch's order: i, o, f, c of i, f, g, o; z, r, h of r, z, n."""


@writes(*OPERATORS)
def recurrent(step: Step) -> None:
    kind, n = step.node.kind, step.tensors["weight_hh"].shape[-1]
    index = step.ints("order", [gate * n + i for gate in ORDER[kind] for i in range(n)])
    front = step.ints("front", [0])
    weights = [step.op("Unsqueeze", [step.op("Gather", [step.param(role), index], axis=0), front]) for role in ("weight_ih", "weight_hh")]
    biases = [step.op("Gather", [_bias(step, role, n), index], axis=0) for role in ("bias_ih", "bias_hh")]
    bias = step.op("Unsqueeze", [step.op("Concat", biases, axis=0), front])
    attrs: dict[str, Any] = {"hidden_size": n, "direction": "reverse" if step.attrs["reverse"] else "forward"}
    if kind == "rnn":
        attrs["activations"] = [{"tanh": "Tanh", "relu": "Relu"}[step.attrs["nonlinearity"]]]
    if kind == "gru":
        attrs["linear_before_reset"] = int(step.attrs["linear_before_reset"])
    sequence = step.op(OPERATORS[kind], [step.op("Transpose", [step.x()], perm=[1, 0, 2]), *weights, bias], **attrs)
    step.last("Transpose", [step.op("Squeeze", [sequence, step.ints("direction", [1])])], perm=[1, 0, 2])


def _bias(step: Step, role: str, n: int) -> str:
    return step.param(role) or step.const(f"no_{role}", np.zeros(len(ORDER[step.node.kind]) * n))
