"""layer_norm, rms_norm, group_norm, instance_norm: by the statistics of each sample."""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpnet.lift.torch.call import Call
from lumpnet.lift.torch.operands import Form, Param
from lumpnet.lift.torch.registry import converts


@converts("aten.layer_norm.default", "aten.native_layer_norm.default")
def layer_norm(call: Call) -> Form | None:
    return _form(call, "layer_norm", dims=len(call["normalized_shape"]), eps=call.scalar("eps"))


@converts("aten.rms_norm.default", "aten._fused_rms_norm.default")
def rms_norm(call: Call) -> Form | None:
    """Without an eps, torch takes the smallest step above one."""
    eps = call.scalar("eps") if call["eps"] is not None else float(np.finfo(call.dtype).eps)
    return _form(call, "rms_norm", dims=len(call["normalized_shape"]), eps=eps)


@converts("aten.group_norm.default")
def group_norm(call: Call) -> Form | None:
    return _form(call, "group_norm", groups=call["num_groups"], eps=call.scalar("eps"))


@converts("aten.native_group_norm.default")
def native_group_norm(call: Call) -> Form | None:
    return _form(call, "group_norm", groups=call["group"], eps=call.scalar("eps"))


@converts("aten.instance_norm.default")
def instance_norm(call: Call) -> Form | None:
    """By the input's own statistics; with stored ones it has no rule."""
    return _form(call, "instance_norm", eps=call.scalar("eps")) if call["use_input_stats"] else None


def _form(call: Call, kind: str, **attrs: Any) -> Form | None:
    x = call.batched("input")
    given = {role: call.get(role) for role in ("weight", "bias") if call.get(role) is not None}
    if x is None or x.shape is None or x.shape != call.shape or attrs["eps"] is None or attrs.get("dims", 1) >= len(x.shape):
        return None
    return Form(kind, (x,), attrs, given) if all(isinstance(p, Param) for p in given.values()) else None
