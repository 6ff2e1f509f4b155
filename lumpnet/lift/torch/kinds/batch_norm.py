"""batch_norm: with stored statistics, as in eval mode."""

from __future__ import annotations

from torch import nn

from lumpnet.errors import LiftError
from lumpnet.lift.torch.call import Call
from lumpnet.lift.torch.operands import Form, Param
from lumpnet.lift.torch.registry import converts


@converts("aten._native_batch_norm_legit_no_training.default", "aten.batch_norm.default", "aten.native_batch_norm.default")
def batch_norm(call: Call) -> Form | None:
    """`eps` is rounded to the tensor's dtype, as the kernel does. Raises `LiftError` without statistics, or where var + eps <= 0."""
    x, mean, var = call.batched("input"), call["running_mean"], call["running_var"]
    if call.get("training", False):
        raise _no_statistics(call)
    eps = call.scalar("eps")
    roles = {"weight": call["weight"], "bias": call["bias"], "mean": mean, "var": var}
    if x is None or eps is None or not all(p is None or isinstance(p, Param) for p in roles.values()):
        return None
    if not bool((var.tensor.double() + eps > 0).all()):
        raise LiftError(
            f"layer {call.path!r}", "var + eps is not positive", "a positive variance plus eps in every channel", "repair the running statistics of this layer"
        )
    params = {role: p for role, p in roles.items() if p is not None}
    return Form("batch_norm", (x,), {"eps": eps, "momentum": _momentum(call)}, params)


@converts("aten._native_batch_norm_legit.no_stats", "aten._native_batch_norm_legit.default", "aten._native_batch_norm_legit_functional.default")
def batch_norm_of_the_batch(call: Call) -> None:
    """Raises `LiftError`: the output of one sample depends on the others."""
    raise _no_statistics(call)


def _no_statistics(call: Call) -> LiftError:
    return LiftError(
        f"layer {call.path!r}",
        "batch normalisation uses the statistics of the batch",
        "stored running statistics",
        "train with track_running_stats=True and lift the module in eval mode",
    )


def _momentum(call: Call) -> float | None:
    """No meaning in eval mode, kept for training; torch writes a cumulative average as `None`."""
    if isinstance(call.module, nn.modules.batchnorm._BatchNorm):
        return call.module.momentum
    return float(call["momentum"])
