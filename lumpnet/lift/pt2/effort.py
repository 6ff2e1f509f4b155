"""A few bytes may ask torch for endless work even on tensors without data: those calls are refused before they are made."""

from __future__ import annotations

from typing import Any

import torch

from lumpnet.errors import LiftError
from lumpnet.lift.pt2.calls import Call

MAX_STEPS = 1 << 12
"""Time steps of a recurrent layer, which torch computes one by one."""

MAX_TERMS = 32
RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")


def check_effort(call: Call, arguments: dict[str, Any]) -> None:
    """Raises `LiftError` for splits into other pieces than the file names, and for endless sequences."""
    name, tensor = call.operator[0].removeprefix("unsafe_"), arguments.get("self")
    pieces = _pieces(name, tensor, arguments) if isinstance(tensor, torch.Tensor) else None
    if pieces is not None and pieces != len(call.results):
        raise _refused(call, f"{pieces} pieces where the file names {len(call.results)}", "as many results as the call gives")
    operand = arguments.get("input")
    steps = operand.shape[1 if arguments.get("batch_first") else 0] if isinstance(operand, torch.Tensor) and operand.ndim == 3 else 0
    if name in RECURRENT and steps > MAX_STEPS:
        raise _refused(call, f"a recurrent layer on a sequence of {steps} steps", f"at most {MAX_STEPS}")


def _pieces(name: str, tensor: torch.Tensor, arguments: dict[str, Any]) -> int | None:
    """Into how many pieces a tensor is cut; `None` where the call says so itself or cuts nothing."""
    if name not in ("unbind", "chunk", "split", "tensor_split") or not tensor.ndim:
        return None
    size = tensor.shape[arguments.get("dim", 0)]
    if not isinstance(size, int):
        return 0
    count = arguments.get({"chunk": "chunks", "split": "split_size", "tensor_split": "sections"}.get(name, ""))
    if name == "unbind":
        return size
    if type(count) is not int or count < 1:
        return None
    if name == "tensor_split":
        return count
    step = count if name == "split" else -(-size // count)
    return max(1, -(-size // step)) if step else count


def check_sizes(call: Call, value: Any) -> None:
    """Raises `LiftError` for numbers that grow into long expressions of the batch size."""
    for item in value if isinstance(value, tuple | list) else [value]:
        for size in item.shape if isinstance(item, torch.Tensor) else [item]:
            expression = getattr(getattr(size, "node", None), "expr", None)
            if expression is not None and expression.count_ops() > MAX_TERMS:
                raise _refused(call, "a size is a long expression of the batch size", f"expressions of at most {MAX_TERMS} operations")


def _refused(call: Call, found: str, expected: str) -> LiftError:
    return LiftError(call.where, found, expected, "export and save the module again, or lift it in Python")
