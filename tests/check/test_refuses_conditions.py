"""One forgery a condition: what would pass if just that line of the checker were missing, found by changing its code.

`MALFORMED` are networks that are none; original and reduced are the same file, so nothing but the reader refuses them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from catalog import CASES, hidden, sandwich
from catalog_recurrent import recurrent
from forge import F, N, Net, Triple, lump, set_entry

from lumpnet.errors import FileError
from lumpnet.verdict import Proved, Refuted

Breaking = Callable[[Triple], Any]
FORGERIES: dict[str, tuple[str, Breaking, str]] = {}
MALFORMED: dict[str, tuple[list[tuple[Any, ...]], N, str]] = {}


def forge(law: str, case: str, breaking: Breaking, message: str) -> None:
    FORGERIES[law] = (case, breaking, message)


def bad(
    what: str, kind: str, inputs: list[tuple[Any, ...]], shape: tuple[Any, ...], attrs: dict[str, Any], message: str, **params: tuple[int, ...] | list[float]
) -> None:
    """A node that is none; parameters by their shape (filled with ones) or their numbers; `shape` is what it would have."""
    stored = {role: np.ones(p, "float32") if isinstance(p, tuple) else np.array(p, "float32") for role, p in params.items()}
    MALFORMED[f"{kind}: {what}"] = (inputs, N(kind, shape, [f"x{k}" for k in range(len(inputs))], attrs, stored), message)


def malformed() -> dict[str, tuple[Triple, str]]:
    out = {}
    for what, (inputs, node, message) in MALFORMED.items():
        choices = {"x0": 2} if node.kind == "embedding" else {}
        net = Net({f"x{k}": shape for k, shape in enumerate(inputs)}, {"y": node}, ["y"], choices=choices)
        out[what] = (Triple(net, net, {}), message)
    return out


def conv(axes: int, groups: int = 1, **changes: Any) -> dict[str, Any]:
    return {"stride": [1] * axes, "padding": [0] * axes, "dilation": [1] * axes, "groups": groups} | changes


def turned(axes: int, groups: int = 1, **changes: Any) -> dict[str, Any]:
    return conv(axes, groups) | {"output_padding": [0] * axes} | changes


# --- affine layers that are none -----------------------------------------------------------------
WEIGHT, CHANNELS, BIAS, NOTHING = "a weight of shape", "groups on|in 1 groups|in 2 groups", "a bias of shape", "larger than its padded input"
bad("no axes", "conv", [(None, 2)], (None, 2), conv(0), WEIGHT, weight=(2, 2))
bad("four axes", "conv", [(None, 1, 1, 1, 1, 1)], (None, 1, 1, 1, 1, 1), conv(4), WEIGHT, weight=(1, 1, 1, 1, 1, 1))
bad("another rank", "conv", [(None, 2, 3, 3)], (None, 2, 3), conv(1), WEIGHT, weight=(2, 2, 1))
bad("no taps", "conv", [(None, 1, 3)], (None, 1, 4), conv(1), WEIGHT, weight=(1, 1, 0))
bad("no taps in one axis", "conv", [(None, 1, 3, 3)], (None, 1, 3, 4), conv(2), WEIGHT, weight=(1, 1, 1, 0))
bad("other channels", "conv", [(None, 2, 3)], (None, 2, 3), conv(1), CHANNELS, weight=(2, 1, 1))
bad("rows that groups do not divide", "conv", [(None, 2, 3)], (None, 3, 3), conv(1, 2), CHANNELS, weight=(3, 1, 1))
bad("a bias too many", "conv", [(None, 1, 3)], (None, 2, 3), conv(1), BIAS, weight=(2, 1, 1), bias=(3,))
bad("a bias that broadcasts", "conv", [(None, 1, 3)], (None, 2, 3), conv(1), BIAS, weight=(2, 1, 1), bias=(1,))
bad("a kernel larger than the input", "conv", [(None, 1, 2)], (None, 1, 0), conv(1), NOTHING, weight=(1, 1, 3))
bad("a kernel larger in one axis", "conv", [(None, 1, 2, 5)], (None, 1, 0, 3), conv(2), NOTHING, weight=(1, 1, 3, 3))
bad("a stride too many", "conv", [(None, 1, 3)], (None, 1, 3), conv(1, stride=[1, 1]), "zip", weight=(1, 1, 1))
bad("no axes", "conv_transpose", [(None, 2)], (None, 2), turned(0), WEIGHT, weight=(2, 2))
bad("four axes", "conv_transpose", [(None, 1, 1, 1, 1, 1)], (None, 1, 1, 1, 1, 1), turned(4), WEIGHT, weight=(1, 1, 1, 1, 1, 1))
bad("another rank", "conv_transpose", [(None, 2, 3, 3)], (None, 2, 3), turned(1), WEIGHT, weight=(2, 2, 1))
bad("no taps", "conv_transpose", [(None, 1, 3)], (None, 1, 2), turned(1), WEIGHT, weight=(1, 1, 0))
bad("no rows", "conv_transpose", [(None, 1, 3)], (None, 0, 3), turned(1), WEIGHT, weight=(1, 0, 1))
bad("no positions", "conv_transpose", [(None, 1, 0)], (None, 1, 2), turned(1), WEIGHT, weight=(1, 1, 3))
bad("other channels", "conv_transpose", [(None, 2, 3)], (None, 1, 3), turned(1), CHANNELS, weight=(1, 1, 1))
bad("channels that groups do not divide", "conv_transpose", [(None, 3, 4)], (None, 2, 4), turned(1, 2), CHANNELS, weight=(3, 1, 1))
bad("a bias too short", "conv_transpose", [(None, 2, 3)], (None, 2, 3), turned(1, 2), BIAS, weight=(2, 1, 1), bias=(1,))
bad("padding that leaves nothing", "conv_transpose", [(None, 1, 2)], (None, 1, 0), turned(1, padding=[1]), "leaves nothing", weight=(1, 1, 1))
bad("nothing in one axis", "conv_transpose", [(None, 1, 2, 2)], (None, 1, 0, 2), turned(2, padding=[1, 0]), "leaves nothing", weight=(1, 1, 1, 1))
bad("much output padding", "conv_transpose", [(None, 1, 2)], (None, 1, 3), turned(1, output_padding=[1]), "output padding", weight=(1, 1, 1))
bad("a fixed batch for features", "linear", [(2,)], (3,), {}, WEIGHT, weight=(3, 2))
bad("a batch for features", "linear", [(None,)], (2,), {}, WEIGHT, weight=(2, 1))
bad("three axes", "linear", [(None, 2)], (None, 2), {}, WEIGHT, weight=(2, 2, 1))
bad("other features", "linear", [(None, 3)], (None, 2), {}, WEIGHT, weight=(2, 2))
bad("a bias too long", "linear", [(None, 2)], (None, 2), {}, BIAS, weight=(2, 2), bias=(3,))
bad("a bias of two axes", "linear", [(None, 2)], (None, 2), {}, BIAS, weight=(2, 2), bias=(2, 1))

# --- parameters per unit -------------------------------------------------------------------------
for _role in ("weight", "bias", "mean", "var"):
    _sizes: dict[str, Any] = {"mean": (2,), "var": (2,)} | {_role: (1,)}
    bad(f"a {_role} that broadcasts", "batch_norm", [(None, 2)], (None, 2), {"eps": 1.0}, "one per channel", **_sizes)
bad("no channels", "batch_norm", [(None,)], (None,), {"eps": 1.0}, "one per channel", mean=(1,), var=(1,))
bad("a variance of zero", "batch_norm", [(None, 2)], (None, 2), {"eps": 0.0}, "not positive", mean=(2,), var=[1, 0])
bad("a variance that eps makes zero", "batch_norm", [(None, 2)], (None, 2), {"eps": 0.5}, "not positive", mean=(2,), var=[1, -0.5])
bad("a variance below zero", "batch_norm", [(None, 2)], (None, 2), {"eps": 0.5}, "not positive", mean=(2,), var=[1, -2])
bad("other channels", "prelu", [(None, 2)], (None, 2), {}, "slopes of shape", slope=(3,))
bad("two axes", "prelu", [(None, 2)], (None, 2), {}, "slopes of shape", slope=(2, 1))
bad("no channels", "prelu", [(None,)], (None,), {}, "slopes of shape", slope=(1,))
for _kind, _role in (("add_constant", "term"), ("mul_constant", "factor"), ("div_constant", "divisor")):
    bad("numbers without an axis", _kind, [(None, 2)], (None, 2), {"axis": None}, "without an axis", **{_role: (2,)})
    bad("an axis that is not there", _kind, [(None, 2)], (None, 2), {"axis": 2}, "on axis 2", **{_role: ()})
    bad("other units", _kind, [(None, 2)], (None, 2), {"axis": 1}, "on axis 1", **{_role: (1,)})
bad("zero", "div_constant", [(None, 2)], (None, 2), {"axis": 1}, "a divisor that is zero", divisor=[1, 0])
bad("an axis that is not there", "constant", [(None, 2)], (None, 2), {"shape": [2], "axis": 2}, "on axis 2", value=(2,))
bad("other units", "constant", [(None, 2)], (None, 2), {"shape": [2], "axis": 1}, "a value of shape", value=(1,))
bad("no table", "embedding", [(None,)], (None, 2), {}, "a table of shape", weight=(2,))
bad("a table of three axes", "embedding", [(None,)], (None, 2), {}, "a table of shape", weight=(2, 2, 2))
bad("no entries", "embedding", [(None,)], (None, 2), {}, "a table of shape", weight=(0, 2))
bad("as many axes as the value", "layer_norm", [(None, 2)], (None, 2), {"dims": 2, "eps": 1.0}, "the last 2 axes")
bad("other features", "layer_norm", [(None, 2)], (None, 2), {"dims": 1, "eps": 1.0}, "not of shape", weight=(1,))
bad("another bias", "layer_norm", [(None, 2)], (None, 2), {"dims": 1, "eps": 1.0}, "not of shape", weight=(2,), bias=(1,))
bad("groups that do not divide", "group_norm", [(None, 3, 2)], (None, 3, 2), {"groups": 2, "eps": 1.0}, "2 groups of")
bad("no channels", "group_norm", [(None,)], (None,), {"groups": 1, "eps": 1.0}, "1 groups of")
bad("other channels", "group_norm", [(None, 2)], (None, 2), {"groups": 1, "eps": 1.0}, "not of shape", weight=(1,))
bad("no positions", "instance_norm", [(None, 2)], (None, 2), {"eps": 1.0}, "1 groups of")

# --- windows -------------------------------------------------------------------------------------


def window(*kernel: int, **changes: Any) -> dict[str, Any]:
    count = len(kernel)
    return {"kernel": list(kernel), "stride": [1] * count, "padding": [0] * count, "dilation": [1] * count, "ceil_mode": False} | changes


WINDOWS, SIZES, FACTORS = "windows \\[", "an output size", "factors \\["
bad("no axes", "max_pool", [(None, 2)], (None, 2), window(), WINDOWS)
bad("four axes", "max_pool", [(None, 1, 1, 1, 1, 1)], (None, 1, 1, 1, 1, 1), window(1, 1, 1, 1), WINDOWS)
bad("another rank", "max_pool", [(None, 1, 2, 2)], (None, 1, 2), window(1), WINDOWS)
bad("a stride too many", "max_pool", [(None, 1, 2)], (None, 1, 2), window(1, stride=[1, 1]), WINDOWS)
bad("a window larger than the input", "max_pool", [(None, 1, 2)], (None, 1, 0), window(3), "larger than their input")
bad("a window larger in one axis", "max_pool", [(None, 1, 2, 3)], (None, 1, 0, 1), window(3, 3), "larger than their input")
for _kind in ("adaptive_avg_pool", "adaptive_max_pool"):
    bad("no axes", _kind, [(None, 2)], (None, 2), {"output_size": []}, SIZES)
    bad("four axes", _kind, [(None, 1, 1, 1, 1, 1)], (None, 1, 1, 1, 1, 1), {"output_size": [1] * 4}, SIZES)
    bad("another rank", _kind, [(None, 1, 2, 2)], (None, 1, 2), {"output_size": [2]}, SIZES)
    bad("nothing to pool", _kind, [(None, 1, 0)], (None, 1, 2), {"output_size": [2]}, SIZES)
for _kind in ("mean", "sum", "amax", "amin"):
    bad("no axes", _kind, [(None, 2)], (None, 2), {"axes": [], "keepdim": False}, "axes \\[\\]")
    bad("an axis twice", _kind, [(None, 2)], (None,), {"axes": [1, 1], "keepdim": False}, "axes \\[1, 1\\]")
    bad("an axis that is not there", _kind, [(None, 2)], (None, 2), {"axes": [2], "keepdim": False}, "axes \\[2\\]")
    bad("nothing", _kind, [(None, 0)], (None,), {"axes": [1], "keepdim": False}, "over no element")
    bad("one axis that is not there", _kind, [(None, 2)], (None,), {"axes": [1, 2], "keepdim": False}, "axes \\[1, 2\\]")
    bad("nothing along one axis", _kind, [(None, 0, 2)], (None,), {"axes": [1, 2], "keepdim": False}, "over no element")
bad("no axes", "upsample", [(None, 2)], (None, 2), {"scales": [], "mode": "nearest"}, FACTORS)
bad("four axes", "upsample", [(None, 1, 1, 1, 1, 1)], (None, 1, 1, 1, 1, 1), {"scales": [1] * 4, "mode": "nearest"}, FACTORS)
bad("another rank", "upsample", [(None, 1, 2, 2)], (None, 1, 2, 2), {"scales": [1], "mode": "nearest"}, FACTORS)
bad("another mode", "upsample", [(None, 1, 2)], (None, 1, 4), {"scales": [2], "mode": "linear"}, "mode = ")

# --- places --------------------------------------------------------------------------------------


def frame(mode: str, *pads: list[int]) -> dict[str, Any]:
    return {"mode": mode, "pads": list(pads), "value": 0.0}


bad("a pair too few", "pad", [(None, 2, 2)], (None, 2, 3), frame("constant", [0, 1]), "1 pairs for")
bad("a pair too many", "pad", [(None, 2)], (None, 3), frame("constant", [0, 1], [0, 1]), "2 pairs for")
bad("three in a pair", "pad", [(None, 2)], (None, 3), frame("constant", [0, 1, 0]), "pads = ")
bad("a reflection of the whole axis", "pad", [(None, 2)], (None, 4), frame("reflect", [2, 0]), "reflect padding")
bad("a reflection behind", "pad", [(None, 2)], (None, 4), frame("reflect", [0, 2]), "reflect padding")
bad("more than one turn", "pad", [(None, 2)], (None, 5), frame("circular", [0, 3]), "circular padding")
bad("copies of nothing", "pad", [(None, 0)], (None, 1), frame("replicate", [1, 0]), "replicate padding")
bad("a reflection of nothing", "pad", [(None, 0)], (None, 1), frame("reflect", [1, 0]), "reflect padding")
bad("an axis that is not there", "index_select", [(None, 2)], (None, 2, 1), {"axis": 2, "index": [0]}, "entries of axis 2")
bad("nothing", "index_select", [(None, 2)], (None, 0), {"axis": 1, "index": []}, "entries of axis 1")
bad("an entry that is not there", "index_select", [(None, 2)], (None, 1), {"axis": 1, "index": [2]}, "entries of axis 1")
bad("one entry that is not there", "index_select", [(None, 2)], (None, 2), {"axis": 1, "index": [0, 2]}, "entries of axis 1")
bad("other elements", "reshape", [(None, 2, 3)], (None, 5), {"shape": [5]}, "elements per example")
bad("an axis twice", "permute", [(None, 2, 2)], (None, 2, 2), {"dims": [0, 1, 1]}, "not a permutation")
bad("the first axis moved", "permute", [(2, 3)], (3, 2), {"dims": [1, 0]}, "not a permutation")
bad("an axis left out", "permute", [(None, 2, 2)], (None, 2), {"dims": [0, 1]}, "not a permutation")
bad("an axis that is not there", "concat", [(None, 2), (None, 2)], (None, 2, 4), {"axis": 2}, "on axis 2")
bad("another rank", "concat", [(None, 2), (None, 2, 1)], (None, 4), {"axis": 1}, "on axis 1")
bad("another size in front", "concat", [(None, 2, 2), (None, 3, 2)], (None, 2, 4), {"axis": 2}, "on axis 2")
bad("another size behind", "concat", [(None, 2, 2), (None, 2, 3)], (None, 4, 2), {"axis": 1}, "on axis 1")
bad("an axis that is not there", "softmax", [(None, 2)], (None, 2), {"axis": 2}, "axis 2 of")
bad("nothing", "softmax", [(None, 0)], (None, 0), {"axis": 1}, "axis 1 of")

# --- two operands --------------------------------------------------------------------------------
for _kind in ("add", "mul", "div"):
    bad("other sizes", _kind, [(None, 2), (None, 3)], (None, 2), {}, "of the shapes")
    bad("another rank", _kind, [(None, 2), (None, 1, 2)], (None, 2), {}, "of the shapes")
    bad("other sizes in one axis", _kind, [(None, 2, 2), (None, 2, 3)], (None, 2, 2), {}, "of the shapes")
bad("another rank", "matmul", [(None, 2, 2), (None, 2)], (None, 2, 2), {}, "inputs of the shapes")
bad("no rows", "matmul", [(2, 2), (2, 2)], (2, 2), {}, "inputs of the shapes")
bad("other examples", "matmul", [(None, 2, 2, 2), (None, 3, 2, 2)], (None, 2, 2, 2), {}, "inputs of the shapes")
bad("other sums", "matmul", [(None, 2, 2), (None, 3, 2)], (None, 2, 2), {}, "inputs of the shapes")
bad("limits in disorder", "hardtanh", [(None, 2)], (None, 2), {"min": 1.0, "max": 0.5}, "min above max")


for _key, _value in (("target", 5), ("args", {}), ("kwargs", []), ("output", -1)):
    _call = {"target": "t", "args": [], "kwargs": {}, "output": None} | {_key: _value}
    bad(f"{_key} of another type", "opaque", [(None, 2)], (None, 2), _call, f"{_key} = ")


# --- attributes beyond their range ---------------------------------------------------------------
def beyond(kind: str, shape: tuple[Any, ...], attrs: dict[str, Any], changes: dict[str, Any], **params: tuple[int, ...]) -> None:
    """One node a change; each would leave the shape as it is, or makes it of another size that nobody asks for."""
    for key, value in changes.items():
        bad(f"{key} = {value!r}", kind, [shape], shape, attrs | {key: value}, f"{key} = ", **params)


LINE = (None, 1, 4)
ONES = {"stride": [0], "dilation": [0], "padding": [-1], "groups": 0}
beyond("conv", LINE, conv(1), ONES, weight=(1, 1, 1))
beyond("conv_transpose", LINE, turned(1), ONES | {"output_padding": [-1]}, weight=(1, 1, 1))
beyond("max_pool", LINE, window(1), {"kernel": [0], "stride": [0], "padding": [-1], "dilation": [0], "ceil_mode": 0})
_average = {key: value for key, value in window(1).items() if key != "dilation"} | {"count_include_pad": True, "divisor_override": None}
beyond("avg_pool", LINE, _average, {"kernel": [0], "stride": [0], "padding": [-1], "ceil_mode": 1, "count_include_pad": 1, "divisor_override": 0})
beyond("adaptive_avg_pool", LINE, {"output_size": [4]}, {"output_size": [-1]})
beyond("adaptive_max_pool", LINE, {"output_size": [4]}, {"output_size": [-1]})
for _kind in ("mean", "sum", "amax", "amin"):
    beyond(_kind, LINE, {"axes": [2], "keepdim": True}, {"axes": [0], "keepdim": 1})
beyond("upsample", LINE, {"scales": [1], "mode": "nearest"}, {"scales": [0], "mode": "bilinear"})
beyond("pad", (None, 4), frame("constant", [0, 0]), {"pads": [[-1, 1]], "mode": "edge", "value": None})
beyond("index_select", LINE, {"axis": 2, "index": [0, 1, 2, 3]}, {"axis": 0, "index": [0, 1, 2, -1]})
beyond("reshape", LINE, {"shape": [1, 4]}, {"shape": [-1, 4]})
beyond("permute", LINE, {"dims": [0, 1, 2]}, {"dims": [0, 1, -1]})
beyond("concat", LINE, {"axis": 1}, {"axis": 0})
beyond("softmax", LINE, {"axis": 1}, {"axis": 0})
beyond("layer_norm", LINE, {"dims": 1, "eps": 1.0}, {"dims": 0, "eps": None})
beyond("rms_norm", LINE, {"dims": 1, "eps": 1.0}, {"dims": 0, "eps": True})
beyond("group_norm", LINE, {"groups": 1, "eps": 1.0}, {"groups": 0, "eps": "1"})
beyond("instance_norm", LINE, {"eps": 1.0}, {"eps": []})
beyond("batch_norm", LINE, {"eps": 1.0}, {"eps": False}, mean=(1,), var=(1,))
beyond("constant", LINE, {"shape": [1, 4], "axis": 1}, {"shape": [-1, 4], "axis": 0}, value=(1,))
beyond("add_constant", LINE, {"axis": 1}, {"axis": -1}, term=(1,))
beyond("mul_constant", LINE, {"axis": 1}, {"axis": True}, factor=(1,))
beyond("pad", LINE, frame("constant", [0, 0], [0, 0]), {"pads": [[0, 0], [-1, 1]]})
beyond("gelu", LINE, {"approximate": "none"}, {"approximate": "sigmoid"})
beyond("leaky_relu", LINE, {"slope": 0.5}, {"slope": True})
beyond("hardtanh", LINE, {"min": 0.0, "max": 1.0}, {"min": False, "max": True})
beyond("dropout", LINE, {"p": 0.5}, {"p": None})
for _kind, _key in (("elu", "alpha"), ("celu", "alpha"), ("pow", "exponent")):
    beyond(_kind, LINE, {_key: 1.0}, {_key: True})
beyond("softplus", LINE, {"beta": 1.0, "threshold": 20.0}, {"beta": True, "threshold": None})
beyond("hardsigmoid", LINE, {"alpha": 0.25, "beta": 0.5}, {"alpha": True, "beta": None})

# --- attention and time --------------------------------------------------------------------------


def heads(heads: int, kv: int, causal: bool = False, scale: Any = 0.5) -> dict[str, Any]:
    return {"heads": heads, "kv_heads": kv, "scale": scale, "causal": causal}


ROW, HEADS = "queries, keys and values", "query heads and"
bad("queries without positions", "attention", [(None, 2), (None, 3, 2), (None, 3, 2)], (None, 3, 2), heads(1, 1), ROW)
bad("values of other positions", "attention", [(None, 3, 2), (None, 3, 2), (None, 4, 2)], (None, 3, 2), heads(1, 1), ROW)
bad("no keys", "attention", [(None, 3, 2), (None, 0, 2), (None, 0, 2)], (None, 3, 2), heads(1, 1), ROW)
bad("a mask that is not square", "attention", [(None, 3, 2), (None, 4, 2), (None, 4, 2)], (None, 3, 2), heads(1, 1, True), "a causal mask")
bad("key heads that do not divide", "attention", [(None, 3, 6), (None, 3, 4), (None, 3, 4)], (None, 3, 6), heads(3, 2), HEADS)
bad("other queries", "attention", [(None, 3, 3), (None, 3, 2), (None, 3, 2)], (None, 3, 2), heads(1, 1), HEADS)
bad("keys that heads do not divide", "attention", [(None, 3, 2), (None, 3, 3), (None, 3, 2)], (None, 3, 2), heads(2, 2), HEADS)
bad("values that heads do not divide", "attention", [(None, 3, 2), (None, 3, 2), (None, 3, 3)], (None, 3, 2), heads(2, 2), HEADS)
bad("heads of no width", "attention", [(None, 3, 0), (None, 3, 0), (None, 3, 1)], (None, 3, 1), heads(1, 1), HEADS)
bad("values of no width", "attention", [(None, 3, 1), (None, 3, 1), (None, 3, 0)], (None, 3, 0), heads(1, 1), HEADS)
for _what, _attrs in (("heads", heads(0, 1)), ("kv_heads", heads(1, 0)), ("causal", heads(1, 1, 0)), ("scale", heads(1, 1, False, True))):  # type: ignore[arg-type]
    bad(f"{_what} beyond its range", "attention", [(None, 3, 2)] * 3, (None, 3, 2), _attrs, f"{_what} = ")
_unit: dict[str, Any] = {"weight_ih": (2, 1), "weight_hh": (2, 2)}
_rnn = {"nonlinearity": "tanh", "reverse": False}
bad("no steps", "rnn", [(None, 0, 1)], (None, 0, 2), _rnn, "a weight_hh of shape", **_unit)
bad("no time", "rnn", [(None, 1)], (None, 1, 2), _rnn, "a weight_hh of shape", **_unit)
bad("no units", "rnn", [(None, 3, 1)], (None, 3, 0), _rnn, "a weight_hh of shape", weight_ih=(0, 1), weight_hh=(0, 0))
bad("a state of three axes", "rnn", [(None, 3, 1)], (None, 3, 2), _rnn, "a weight_hh of shape", weight_ih=(2, 1), weight_hh=(2, 2, 1))
bad("other features", "rnn", [(None, 3, 2)], (None, 3, 2), _rnn, "a weight_ih of shape", **_unit)
bad("gates too many", "rnn", [(None, 3, 1)], (None, 3, 2), _rnn, "a weight_hh of shape|a weight_ih of shape", weight_ih=(4, 1), weight_hh=(4, 2))
bad("a bias that broadcasts", "rnn", [(None, 3, 1)], (None, 3, 2), _rnn, "a bias_ih of shape", bias_ih=(1,), **_unit)
bad("another function", "rnn", [(None, 3, 1)], (None, 3, 2), _rnn | {"nonlinearity": "sigmoid"}, "nonlinearity = ", **_unit)


@pytest.mark.parametrize("what", MALFORMED)
def test_what_is_no_network_is_refused_as_unreadable(what: str, tmp_path: Path) -> None:
    triple, message = malformed()[what]
    with pytest.raises(FileError, match=message):
        triple.verdict(tmp_path)


# --- which axis ----------------------------------------------------------------------------------
def replaced(make: Callable[[], Triple]) -> Breaking:
    """Another triple altogether, where a case would only be in the way."""

    def breaking(triple: Triple) -> None:
        new = make()
        triple.g, triple.h, triple.lumpings, triple.rounding = new.g, new.h, new.lumpings, new.rounding

    return breaking


def alone(law: str, make: Callable[[], Triple], message: str) -> None:
    forge(law, "identical", replaced(make), message)


def crosswise() -> Triple:
    """h is lumped along its channels and read along its positions; both are two, so classes and units fit in number."""

    def net(first: Any, second: Any, last: Any, units: int) -> Net:
        return Net(
            {"x": (None, 1, 2)},
            {
                "h": N("conv", (None, units, 2), ["x"], conv(1), {"weight": np.array(first, "float32").reshape(units, 1, 1)}),
                "v": N("linear", (None, units, 2), ["h"], {}, {"weight": second}),
                "y": N("conv", (None, 1, 2), ["v"], conv(1), {"weight": np.array(last, "float32").reshape(1, units, 1)}),
            },
            ["y"],
        )

    merged = lump([0, 0], 1, [0])
    return Triple(net([1, 1], [[1, 1], [1, 1]], [1, 1], 2), net([1], [[2, 0], [5, 5]], [2], 1), {"h": merged, "v": merged})


alone("what is lumped on one axis is not read on another", crosswise, "is lumped on axis 1")


def one_number(kind: str, role: str, mine: float, its: float) -> Callable[[], Triple]:
    def net(value: float) -> Net:
        return Net({"x": (None,)}, {"y": N(kind, (None,), ["x"], {"axis": None}, {role: np.array(value, "float32")})}, ["y"])

    return lambda: Triple(net(mine), net(its), {})


alone("the batch has no units: another term", one_number("add_constant", "term", 1, 2), "no unit axis 0")
alone("the batch has no units: another factor", one_number("mul_constant", "factor", 1, 2), "no unit axis 0")
alone("the batch has no units: another divisor", one_number("div_constant", "divisor", 1, 2), "no unit axis 0")


# --- sums and products ---------------------------------------------------------------------------
def linear(inputs: str, weight: Any, bias: Any = None) -> N:
    weight = np.array(weight, "float32")
    return N("linear", (None, len(weight)), [inputs], {}, {"weight": weight} | ({} if bias is None else {"bias": bias}))


def pair(kind: str, h: N, k: N, last: Any, bias: Any = None, inputs: str = "h k") -> Net:
    """x (2) -> h, k -> v -> y"""
    width = max(h.shape[1], k.shape[1])
    nodes = {"h": h, "k": k, "v": N(kind, (None, width), inputs.split()), "y": linear("v", last, bias)}
    return Net({"x": (None, 2)}, nodes, ["y"])


ROW, OTHER = [1, 2], [3, -1]
TWO, SHIFTED = lump([0, 0], 1, [0]), lump([0, 0], 1, [0], {}, {1: 3})


def two_rows(kind: str, first: Any, second: Any, h: Any, k: Any, v: Any, last: Any, reduced: tuple[Any, Any, Any]) -> Callable[[], Triple]:
    """Layers of two rows each (weight, bias) under guessed lumpings, and the reduced network with one row each."""
    (w, b), (u, c) = first, second
    one, two, three = reduced
    return lambda: Triple(
        pair(kind, linear("x", w, b), linear("x", u, c), last), pair(kind, linear("x", *one), linear("x", *two), three), {"h": h, "k": k, "v": v}
    )


SAME, PLAIN = ([ROW, ROW], [0, 0]), ([OTHER, OTHER], [0, 0])
REDUCED = (([ROW], [0]), ([OTHER], [0]), [[2]])
FOLLOW = "unit 1 is claimed to follow unit 0"
alone("a shifted factor is another product", two_rows("mul", ([ROW, ROW], [0, 3]), PLAIN, SHIFTED, TWO, TWO, [[1, 1]], REDUCED), FOLLOW)
alone("a shifted gate is another product", two_rows("mul", SAME, ([OTHER, OTHER], [0, 3]), TWO, SHIFTED, TWO, [[1, 1]], REDUCED), FOLLOW)
alone(
    "other columns in the first operand are another sum",
    two_rows("add", ([ROW, OTHER], [0, 0]), PLAIN, lump([0, 1], 1, [0, 1]), TWO, TWO, [[1, 1]], REDUCED),
    FOLLOW,
)
alone(
    "other columns in the second operand are another sum",
    two_rows("add", SAME, ([OTHER, ROW], [0, 0]), TWO, lump([0, 1], 1, [0, 1]), TWO, [[1, 1]], REDUCED),
    FOLLOW,
)
alone(
    "a column times a constant is no product of two columns",
    two_rows("mul", ([ROW, OTHER], [0, 0]), ([OTHER, [0, 0]], [0, 1]), lump([0, 1], 1, [0, 1]), lump([0, -1], 1, [0], {}, {1: 1}), TWO, [[1, 1]], REDUCED),
    FOLLOW,
)
LAST = lump([1, 0], 1, [1, 0])
alone(
    "one operand under a scale is not the sum's column",
    two_rows("add", ([ROW, [2, 4]], [0, 0]), PLAIN, lump([0, 0], 1, [0], {1: 2}), TWO, LAST, [[0, 1]], (REDUCED[0], REDUCED[1], [[1]])),
    "reads its column by",
)
alone(
    "the other operand under a scale is not the sum's column",
    two_rows("add", SAME, ([OTHER, [6, -2]], [0, 0]), TWO, lump([0, 0], 1, [0], {1: 2}), LAST, [[0, 1]], (REDUCED[0], REDUCED[1], [[1]])),
    "reads its column by",
)
alone(
    "a shifted operand is not the sum's column",
    two_rows("add", ([ROW, ROW], [0, 3]), PLAIN, lump([0, 0], 1, [0], {}, {1: 3}), TWO, LAST, [[0, 1]], (REDUCED[0], REDUCED[1], [[1]])),
    "reads its column by",
)


def chosen(weight: Any, bias: Any, lumping: Any) -> Callable[[], Triple]:
    """A selection that represents its column by its second unit."""

    def net(w: Any, b: Any, index: list[int], last: Any) -> Net:
        v = N("index_select", (None, len(index)), ["h"], {"axis": 1, "index": index})
        return Net({"x": (None, 2)}, {"h": linear("x", w, b), "v": v, "y": linear("v", last)}, ["y"])

    return lambda: Triple(net(weight, bias, [0, 1], [[0, 1]]), net([ROW], [0], [0], [[1]]), {"h": lumping, "v": LAST})


alone("a chosen unit that is shifted is not the column", chosen([ROW, ROW], [0, 3], lump([0, 0], 1, [0], {}, {1: 3})), "reads its column by")
alone("a chosen unit that is scaled is not the column", chosen([ROW, [2, 4]], [0, 0], lump([0, 0], 1, [0], {1: 2})), "reads its column by")


def beside(scale: int, shift: int, term: bool) -> Callable[[], Triple]:
    """A sum whose second operand has gone, represented by a unit that is not the live operand plus a constant."""
    weight = np.array([ROW, scale * np.array(ROW)], "float32")

    def make() -> Triple:
        g = pair("add", linear("x", weight, [0, shift]), linear("x", [[0, 0], [0, 0]], [0, 5]), [[0, 1]])
        v = N("add_constant", (None, 1), ["h"], {"axis": 1}, {"term": [5 + shift]}) if term else N("identity", (None, 1), ["h"])
        h = Net({"x": (None, 2)}, {"h": linear("x", [ROW], [0]), "v": v, "y": linear("v", [[1]])}, ["y"])
        lumping = lump([0, 0], 1, [0], {1: scale} if scale != 1 else {}, {1: shift} if shift else {})
        return Triple(g, h, {"h": lumping, "k": lump([-1, -1], 0, [], {}, {1: 5}), "v": LAST})

    return make


alone("a scaled operand beside a constant is not the column plus it", beside(2, 0, True), "unit 1 is not its live operand plus")
alone("the constant of an operand that has gone is added", beside(1, 0, False), "the reduced term of column 0")
alone("a shift counts beside the constant", lambda: beside(1, 3, True)().broken(set_entry("h", "v", "term", 0, 5)), "the reduced term of column 0")


def crossed_term() -> Triple:
    """(2, 2): the operand that has gone is constant along axis 1, and the reduced node adds along axis 2."""

    def net(nodes: dict[str, N]) -> Net:
        return Net({"x": (None, 2, 2)}, nodes, ["y"])

    layer = {"weight": np.zeros((2, 2, 1), "float32"), "bias": [5, 6]}
    g = net({"k": N("conv", (None, 2, 2), ["x"], conv(1), layer), "y": N("add", (None, 2, 2), ["x", "k"])})
    h = net({"y": N("add_constant", (None, 2, 2), ["x"], {"axis": 2}, {"term": [5, 6]})})
    return Triple(g, h, {"k": lump([-1, -1], 0, [], {}, {0: 5, 1: 6})})


alone("the reduced term acts on the unit axis", crossed_term, "the reduced term acts on axis 2")


def term_across() -> Triple:
    """(2, 2): lumped along axis 1, shifted along axis 2."""

    def net(units: int, term: Any, last: Any) -> Net:
        nodes = {
            "h": N("conv", (None, units, 2), ["x"], conv(1), {"weight": np.ones((units, 1, 1), "float32")}),
            "v": N("add_constant", (None, units, 2), ["h"], {"axis": 2}, {"term": np.array(term, "float32")}),
            "y": N("conv", (None, 1, 2), ["v"], conv(1), {"weight": np.array(last, "float32").reshape(1, units, 1), "bias": [0 if units == 2 else 4]}),
        }
        return Net({"x": (None, 1, 2)}, nodes, ["y"])

    return Triple(net(2, [1, 5], [1, 1]), net(1, 1, [2]), {"h": TWO, "v": lump([0, 0], 1, [0], {}, {1: 4})})


alone("a term acts on the axis that is lumped", term_across, "its term acts on axis 2")


def unrepresented(kind: str, role: str, scale: int, shift: int, stored: float) -> Callable[[], Triple]:
    weight = np.array([ROW, scale * np.array(ROW)], "float32")

    def net(w: Any, b: Any, last: Any) -> Net:
        v = N(kind, (None, len(w)), ["h"], {"axis": None}, {role: np.array(stored, "float32")})
        return Net({"x": (None, 2)}, {"h": linear("x", w, b), "v": v, "y": linear("v", last)}, ["y"])

    lumping = lump([0, 0], 1, [0], {1: scale} if scale != 1 else {}, {1: shift} if shift else {})
    return lambda: Triple(net(weight, [0, shift], [[0, 1]]), net([ROW], [0], [[1]]), {"h": lumping, "v": LAST})


UNREAD = "does not read its column as the reduced operator does"
alone("a term beside a scale is no term alone", unrepresented("add_constant", "term", 2, 0, 5), UNREAD)
alone("a factor beside a shift is no factor alone", unrepresented("mul_constant", "factor", 1, 3, 5), UNREAD)
alone("a divisor beside a shift is no divisor alone", unrepresented("div_constant", "divisor", 1, 3, 5), UNREAD)
alone("a factor times a scale is another factor", unrepresented("mul_constant", "factor", 2, 0, 5), "the reduced factor of column 0")


def broadcast(kind: str) -> Callable[[], Triple]:
    """(2) with (1): the single unit meets both, and is lumped as if it were one of two."""
    wide, narrow = linear("x", [ROW, ROW]), linear("x", [OTHER])
    return lambda: Triple(pair(kind, wide, narrow, [[1, 1]]), pair(kind, linear("x", [ROW]), narrow, [[2]]), {"h": TWO, "v": TWO})


for _kind in ("add", "mul"):
    alone(f"no operand of {_kind} is broadcast along the units", broadcast(_kind), "is broadcast along the unit axis")


TIED = "unit 1 and its representative 0 differ"


def layered(rows: Any, bias: Any, lumping: Any, kept: tuple[Any, Any], last: Any, reduced: tuple[Any, Any]) -> Callable[[], Triple]:
    """x (2) -> h -> y (1) and its reduction, weights and biases as they are given."""

    def net(first: Any, b: Any, second: Any, c: Any) -> Net:
        return Net({"x": (None, 2)}, {"h": linear("x", first, b), "y": linear("h", second, c)}, ["y"])

    return lambda: Triple(net(rows, bias, last, [0]), net(*kept, *reduced), {"h": lumping})


KEPT = ([ROW], [0])
alone("a row that differs in every weight is no member", layered([ROW, OTHER], [0, 0], TWO, KEPT, [[1, 1]], ([[2]], [0])), TIED)
alone("an equal row is no double", layered([ROW, ROW], [0, 0], lump([0, 0], 1, [0], {1: 2}), KEPT, [[1, 1]], ([[3]], [0])), TIED)
CONSTANT = lump([0, -1], 1, [0], {}, {1: 5})
for _weight in (1, -1, 2):
    alone(
        f"weights {_weight} throughout are no constant",
        layered([ROW, [_weight, _weight]], [0, 5], CONSTANT, KEPT, [[1, 1]], ([[1]], [5])),
        "unit 1 has a non-zero weight",
    )
alone(
    "a representative that is shifted by one",
    layered([ROW, ROW], [0, 0], lump([0, 0], 1, [0], {}, {0: 1, 1: 1}), KEPT, [[1, 0]], ([[1]], [1])),
    "an offset for representative 0",
)
alone(
    "a live operand beside a constant is no constant",
    two_rows("add", SAME, ([OTHER, [0, 0]], [0, 5]), TWO, lump([0, -1], 1, [0], {}, {1: 5}), lump([0, -1], 1, [0], {}, {1: 5}), [[1, 1]], REDUCED),
    "unit 1 claims",
)
alone(
    "a constant beside a live operand is no constant",
    two_rows("add", ([ROW, [0, 0]], [0, 5]), PLAIN, lump([0, -1], 1, [0], {}, {1: 5}), TWO, lump([0, -1], 1, [0], {}, {1: 5}), [[1, 1]], REDUCED),
    "unit 1 claims",
)

alone(
    "two constants are not nothing",
    two_rows("add", ([ROW, [0, 0]], [0, 5]), ([OTHER, [0, 0]], [0, 7]), CONSTANT, lump([0, -1], 1, [0], {}, {1: 7}), lump([0, -1], 1, [0]), [[1, 1]], REDUCED),
    "unit 1 claims",
)


# --- groups --------------------------------------------------------------------------------------
def channels(units: int, rows: Any, **params: Any) -> N:
    return N("conv", (None, units, 1), ["x"], conv(1), {"weight": np.array(rows, "float32").reshape(units, -1, 1), **params})


def grouped(first: Any, weight: Any, groups: int) -> Net:
    weight = np.array(weight, "float32")[:, :, None]
    nodes = {"h": channels(len(first), first), "y": N("conv", (None, len(weight), 1), ["h"], conv(1, groups), {"weight": weight})}
    return Net({"x": (None, 2, 1)}, nodes, ["y"])


alone(
    "a dense layer reads nothing that the groups do not read",
    lambda: Triple(grouped([ROW, OTHER], [[2], [3]], 2), grouped([ROW, OTHER], [[2, 5], [0, 3]], 1), {}),
    "as no input class of its group has that column",
)
alone(
    "a group reads the columns of its place",
    lambda: Triple(grouped([ROW, OTHER, ROW, ROW], [[2, 0], [3, 0]], 2), grouped([ROW, OTHER], [[2], [3]], 2), {"h": lump([0, 1, 0, 0], 2, [0, 1])}),
    "as the reduced layer does not read that class",
)
alone(
    "a group reads no column before its place",
    lambda: Triple(grouped([OTHER, OTHER, ROW, ROW], [[0, 2], [3, 0]], 2), grouped([ROW, OTHER], [[2], [3]], 2), {"h": lump([1, 1, 0, 0], 2, [2, 0])}),
    "as the reduced layer does not read that class",
)


def rows_of_groups(weight: Any, lumping: Any, reps: list[int], groups: int = 2) -> Callable[[], Triple]:
    """Four channels in two groups of two rows; some rows are claimed to be one, and nothing reads them but through the claim."""
    first = [ROW, OTHER, [5, 1], [1, 5]]

    def net(w: Any, last: Any, g: int) -> Net:
        w = np.array(w, "float32")[:, :, None]
        nodes = {"h": channels(4, first), "v": N("conv", (None, len(w), 1), ["h"], conv(1, g), {"weight": w})}
        last = np.array(last, "float32").reshape(1, len(w), 1)
        return Net({"x": (None, 2, 1)}, nodes | {"y": N("conv", (None, 1, 1), ["v"], conv(1), {"weight": last})}, ["y"])

    full = np.zeros((4, 4))
    for row, own in enumerate(weight):
        full[row, row // 2 * 2 : row // 2 * 2 + 2] = own
    kept = full[reps]
    last = [[1] * 4, [sum(c == k for c in lumping.classes) for k in range(len(reps))]]
    return lambda: Triple(net(weight, last[0], groups), net(kept, last[1], 1), {"v": lumping})


alone("rows of the second group differ", rows_of_groups([[1, 2], [3, 4], [5, 6], [5, 7]], lump([0, 1, 2, 2], 3, [0, 1, 2]), [0, 1, 2]), "unit 3 and its rep")
alone("equal rows of two groups differ", rows_of_groups([[1, 2], [3, 4], [1, 2], [5, 7]], lump([0, 1, 0, 2], 3, [0, 1, 3]), [0, 1, 3]), "unit 2 and its rep")


def six_rows(member: int, rep: int) -> Callable[[], Triple]:
    """Three channels in three groups of two rows, all of one weight: rows of different groups are different."""
    first = [ROW, OTHER, [5, 1]]
    others = [row for row in range(6) if row != member]

    def net(weight: Any, last: Any, groups: int) -> Net:
        w = np.array(weight, "float32")[:, :, None]
        nodes = {"h": channels(3, first), "v": N("conv", (None, len(w), 1), ["h"], conv(1, groups), {"weight": w})}
        last = np.array(last, "float32").reshape(1, len(w), 1)
        return Net({"x": (None, 2, 1)}, nodes | {"y": N("conv", (None, 1, 1), ["v"], conv(1), {"weight": last})}, ["y"])

    def make() -> Triple:
        lumping = lump([others.index(rep if row == member else row) for row in range(6)], 5, others)
        return Triple(net([[2]] * 6, [1] * 6, 3), net([2 * np.eye(3)[row // 2] for row in others], [1 + (row == rep) for row in others], 1), {"v": lumping})

    return make


alone("a row of the first group is none of the third", six_rows(1, 4), "unit 1 and its representative 4 differ")
alone("a row of the third group is none of the first", six_rows(4, 1), "unit 4 and its representative 1 differ")


def scaled_groups(second: float, rep: int) -> Callable[[], Triple]:
    """h1 is twice h0; each goes through a weight of its own."""

    def net(first: Any, weight: Any, last: Any) -> Net:
        w, groups = np.array(weight, "float32").reshape(-1, 1, 1), len(weight)
        nodes = {"h": channels(groups, first), "v": N("conv", (None, groups, 1), ["h"], conv(1, groups), {"weight": w})}
        last = np.array(last, "float32").reshape(1, groups, 1)
        return Net({"x": (None, 2, 1)}, nodes | {"y": N("conv", (None, 1, 1), ["v"], conv(1), {"weight": last})}, ["y"])

    g = net([ROW, [2, 4]], [6, second], [1, 1])
    h = net([ROW], [6 if rep == 0 else 2 * second], [2])
    return lambda: Triple(g, h, {"h": lump([0, 0], 1, [0], {1: 2}), "v": lump([0, 0], 1, [rep])})


alone("a group's scale counts for a member", scaled_groups(6, 0), "unit 1 and its representative 0 differ")
alone("a group's scale counts for a representative", scaled_groups(6, 1), "unit 0 and its representative 1 differ")


def left_over_across() -> Triple:
    """(2, 2): numbers of the channels, written along the positions."""
    nothing = {"weight": np.zeros((2, 2, 1), "float32")}
    g = Net(
        {"x": (None, 2, 2)},
        {"h": N("conv", (None, 2, 2), ["x"], conv(1), nothing), "y": N("conv", (None, 2, 2), ["h"], conv(1), nothing | {"bias": [5, 6]})},
        ["y"],
    )
    h = Net({"x": (None, 2, 2)}, {"y": N("constant", (None, 2, 2), ["x"], {"shape": [2, 2], "axis": 2}, {"value": [5, 6]})}, ["y"])
    return Triple(g, h, {"h": "dropped"})


alone("what is left of a layer lies along its units", left_over_across, "the reduced constant lies along axis 2")


# --- places --------------------------------------------------------------------------------------
SWAPPED = lump([1, 0], 2, [1, 0])


def moved(kind: str, attrs: dict[str, Any], shape: tuple[Any, ...]) -> Callable[[], Triple]:
    """The hidden channels change places in the reduced network, and the output claims that they do not."""

    def net(first: Any) -> Net:
        nodes = {"h": N("conv", (None, 2, 2), ["x"], conv(1), {"weight": np.array(first, "float32").reshape(2, 2, 1)}), "y": N(kind, shape, ["h"], attrs)}
        return Net({"x": (None, 2, 2)}, nodes, ["y"])

    return lambda: Triple(net([ROW, OTHER]), net([OTHER, ROW]), {"h": SWAPPED})


COLUMN = "claims column 0 of the reduced value"
alone("a reshape keeps the order of its channels", moved("reshape", {"shape": [4]}, (None, 4)), COLUMN)
alone("a permutation keeps the order of its channels", moved("permute", {"dims": [0, 2, 1]}, (None, 2, 2)), COLUMN)
alone("a selection of positions keeps the order of its channels", moved("index_select", {"axis": 2, "index": [0]}, (None, 2, 1)), COLUMN)
alone("a function keeps the order of its channels", moved("tanh", {}, (None, 2, 2)), COLUMN)
alone("a mean keeps the order of its channels", moved("mean", {"axes": [2], "keepdim": False}, (None, 2)), COLUMN)
alone("a frame keeps the order of its channels", moved("pad", frame("constant", [0, 0], [0, 1]), (None, 2, 3)), COLUMN)


def flattened() -> Triple:
    """The second channel is a ghost; the claim finds it in the place of the first channel's second position."""

    def net(rows: Any, last: Any) -> Net:
        first = np.array(rows, "float32").reshape(len(rows), 2, 1)
        nodes = {
            "h": N("conv", (None, len(rows), 2), ["x"], conv(1), {"weight": first}),
            "v": N("reshape", (None, 2 * len(rows)), ["h"], {"shape": [2 * len(rows)]}),
        }
        return Net({"x": (None, 2, 2)}, nodes | {"y": linear("v", last)}, ["y"])

    g, h = net([ROW, OTHER], [[1, 0, 1, 0]]), net([ROW], [[1, 1]])
    return Triple(g, h, {"h": lump([0, 1], 1, [0, 1]), "v": lump([0, 2, 1, 3], 2, [0, 2, 1, 3])})


alone("a ghost that is reshaped gives no column", flattened, "claims column 1")


def joined(first: str, lumpings: dict[str, Any]) -> Callable[[], Triple]:
    """(h, k) side by side; one of them has gone, and the claim reads the other in its place."""

    def net(names: str, units: int) -> Net:
        rows = {"h": [ROW, OTHER], "k": [[5, 1], [1, 5]]}
        nodes = {name: linear("x", rows[name]) for name in sorted(names)}
        nodes |= {"v": N("concat", (None, units), list(names), {"axis": 1}), "y": linear("v", np.eye(2, units) + np.eye(2, units, 2))}
        return Net({"x": (None, 2)}, nodes, ["y"])

    def make() -> Triple:
        g, h = net(first + ("k" if first == "h" else "h"), 4), net("h", 2)
        g.nodes["y"] = linear("v", [[1, 0, 0, 0], [0, 1, 0, 0]])
        h.nodes["y"] = linear("v", [[1, 0], [0, 1]])
        return Triple(g, h, {"k": "dropped"} | lumpings)

    return make


alone("an operand that was dropped gives no column", joined("k", {"v": lump([0, 1, 2, 3], 2, [0, 1, 2, 3])}), "claims column 0")
alone("an operand that is dropped leaves the order of the others", joined("h", {"v": lump([1, 0, 2, 3], 2, [1, 0, 2, 3])}), "claims column")


# --- functions and windows -----------------------------------------------------------------------
def carried(kind: str, attrs: dict[str, Any], scale: float, shift: float, constant: tuple[float, float], **more: Any) -> Callable[[], Triple]:
    """Units 1 (shift), 2 and 7 (scale) and 3 (constant before and behind) pass the operator as if it changed nothing about them."""
    return lambda: sandwich(kind, hidden(s=scale, t=scale, o=shift, c=constant[1]), attrs, s=scale, t=scale, o=shift, c=constant[0], **more)


HALF = "unit 2 claims"
for _kind, _attrs in (("relu", {}), ("leaky_relu", {"slope": 0.5})):
    alone(f"{_kind} passes no half in the mirror", carried(_kind, _attrs, -0.5, 0, (0, 0)), HALF)
    alone(f"{_kind} passes no shift", carried(_kind, _attrs, 2, 0.5, (0, 0)), "unit 1 claims")
for _kind in ("tanh", "erf", "sin", "softsign", "round"):
    alone(f"{_kind} passes no half", carried(_kind, {}, 0.5, 0, (0, 0)), HALF)
    alone(f"{_kind} passes no shift", carried(_kind, {}, -1, 1, (0, 0)), "unit 1 claims")
for _kind, _attrs in (("silu", {}), ("gelu", {"approximate": "none"}), ("selu", {}), ("mish", {}), ("hardswish", {}), ("floor", {}), ("ceil", {}), ("exp", {})):
    alone(f"{_kind} passes no double", carried(_kind, _attrs, 2, 0, (1, 1) if _kind == "exp" else (0, 0)), HALF)
    alone(f"{_kind} passes no shift", carried(_kind, _attrs, 1, 1, (1, 1) if _kind == "exp" else (0, 0)), "unit 1 claims")
UNIT = {"min": -1.0, "max": 1.0}
alone("a cut that is not symmetric has no mirror", carried("hardtanh", {"min": -1.0, "max": 2.0}, -1, 0, (0, 0)), HALF)
alone("a cut passes no double", carried("hardtanh", {"min": -1.0, "max": 1.0}, 2, 0, (0, 0)), HALF)
for _kind, _attrs, _before, _behind in (
    ("relu", {}, -2, -2), ("leaky_relu", {"slope": 0.5}, -2, -2), ("hardtanh", UNIT, 2, 2), ("hardtanh", UNIT, -2, -2),
    ("tanh", {}, 1, 1), ("sigmoid", {}, 0, 0), ("silu", {}, 1, 1), ("gelu", {"approximate": "tanh"}, 1, 1), ("abs", {}, -2, -2), ("sign", {}, 2, 2),
    ("exp", {}, 0, 0), ("exp", {}, 1, 1), ("log", {}, 1, 1), ("sqrt", {}, 4, 4), ("sqrt", {}, 2, 2), ("reciprocal", {}, 2, 2), ("erf", {}, 1, 1),
    ("sin", {}, 1, 1), ("cos", {}, 0, 0), ("cos", {}, 1, 1), ("softsign", {}, 1, 1), ("elu", {"alpha": 1.0}, -1, -1), ("celu", {"alpha": 1.0}, -1, -1),
    ("selu", {}, 1, 1), ("hardswish", {}, 1, 1), ("hardswish", {}, -1, -1), ("hardswish", {}, -4, -4), ("mish", {}, 1, 1), ("floor", {}, 1.5, 1.5),
    ("ceil", {}, 1.5, 1.5), ("round", {}, 1.5, 1.5), ("logsigmoid", {}, 1, 1), ("pow", {"exponent": 2}, 3, 3), ("pow", {"exponent": 0.5}, 4, 2),
    ("hardsigmoid", {"alpha": 0.25, "beta": 0.5}, 1, 1), ("hardsigmoid", {"alpha": 0.25, "beta": 0.5}, 0, 0),
    ("softplus", {"beta": 1.0, "threshold": 20.0}, 20, 20), ("softplus", {"beta": -1.0, "threshold": 1.0}, 5, 5),
):  # fmt: skip
    alone(f"{_kind} {_attrs} of {_before} is not {_behind}", carried(_kind, _attrs, 1, 0, (_before, _behind)), "unit 3 claims")

GRID = {"spatial": (2, 3)}
for _kind in ("max_pool", "amax", "amin", "adaptive_max_pool"):
    _attrs = {"amax": {"axes": [3], "keepdim": True}, "amin": {"axes": [3], "keepdim": True}, "adaptive_max_pool": {"output_size": [2, 1]}}.get(
        _kind, window(1, 3)
    )
    alone(f"{_kind} passes no half in the mirror", carried(_kind, _attrs, -0.5, 0, (0, 0), after=(2, 1), **GRID), HALF)


def averaged(**changes: Any) -> dict[str, Any]:
    attrs = window(2, 2, count_include_pad=True, divisor_override=None) | changes
    attrs.pop("dilation")
    return attrs


FRAME = averaged(padding=[0, 1], stride=[1, 2], kernel=[1, 2])
for _what, _scale, _shift, _constant, _unit in (("shift", 1, 3, (0, 0), 1), ("constant", 1, 0, (7, 7), 3)):
    alone(
        f"an average of one column between padding passes no {_what}",
        carried("avg_pool", FRAME, _scale, _shift, _constant, spatial=(2, 1), after=(2, 1)),
        f"unit {_unit} claims",
    )
alone("an average with counted padding is no constant 0", carried("avg_pool", FRAME, 1, 0, (7, 0), spatial=(2, 1), after=(2, 1)), "unit 3 claims")
alone("an average of zeros is no constant", carried("avg_pool", FRAME, 1, 0, (0, 7), spatial=(2, 1), after=(2, 1)), "unit 3 claims")
BESIDE = averaged(kernel=[1, 1], padding=[0, 1], count_include_pad=False)
alone("an average over padding only passes no shift", carried("avg_pool", BESIDE, 1, 3, (0, 0), spatial=(2, 1), after=(2, 3)), "unit 1 claims")
for _axis in (0, 1):
    _pads, _after = [[1, 0], [0, 1]][_axis], [(4, 2), (2, 4)][_axis]
    alone(
        f"a window of padding only along axis {_axis} has no maximum",
        carried("max_pool", window(1, 1, padding=_pads), 2, 0, (0, 0), spatial=(2, 2), after=_after),
        "padding only",
    )
for _override, _kernel in ((3, [2, 2]), (2, [2, 2]), (1, [1, 2])):
    alone(
        f"{_kernel} over {_override} is no average",
        carried("avg_pool", averaged(kernel=_kernel, divisor_override=_override), 1, 3, (0, 0), spatial=(3, 3), after=(4 - _kernel[0], 4 - _kernel[1])),
        "unit 1 claims",
    )
alone(
    "an override counts every window alike",
    carried("avg_pool", averaged(kernel=[1, 2], padding=[0, 1], divisor_override=2), 1, 3, (0, 0), spatial=(2, 3), after=(2, 4)),
    "unit 1 claims",
)


# --- attention -----------------------------------------------------------------------------------
def attends(rows: list[Any], heads: int, kv: int, last: Any, causal: bool = False) -> Net:
    """q, k, v by their rows of (weight, weight, bias)."""
    nodes = {}
    for name, own in zip("qkv", rows, strict=True):
        own = np.array(own, "float32")
        nodes[name] = N("linear", (None, 3, len(own)), ["x"], {}, {"weight": own[:, :2], "bias": own[:, 2]})
    width = len(rows[2]) // kv * heads
    nodes["a"] = N("attention", (None, 3, width), ["q", "k", "v"], {"heads": heads, "kv_heads": kv, "scale": 0.5, "causal": causal})
    nodes["y"] = N("linear", (None, 3, 1), ["a"], {}, {"weight": np.array(last, "float32")})
    return Net({"x": (None, 3, 2)}, nodes, ["y"])


Q, K, V = [1, 2, 1], [3, 1, 0], [1, 1, 1]
POOLED = lump([0, 0], 1, [0], axis=2)


def merged(q: Any, k: Any, v: Any, lumpings: dict[str, Any]) -> Callable[[], Triple]:
    """Two heads of width one that are claimed to be one."""
    return lambda: Triple(attends([q, k, v], 2, 2, [[1, 1]]), attends([q[:1], k[:1], v[:1]], 1, 1, [[2]]), {"a": POOLED} | lumpings)


APART, DOUBLED, LIFTED = lump([0, 1], 1, [0, 1], axis=2), lump([0, 0], 1, [0], {1: 2}, {}, 2), lump([0, 0], 1, [0], {}, {1: 3}, 2)
alone("other queries are another head", merged([Q, [5, 7, 0]], [K, K], [V, V], {"q": APART, "k": POOLED, "v": POOLED}), FOLLOW)
alone("other keys are another head", merged([Q, Q], [K, [5, 7, 0]], [V, V], {"q": POOLED, "k": APART, "v": POOLED}), FOLLOW)
alone("other values are another unit", merged([Q, Q], [K, K], [V, [5, 7, 0]], {"q": POOLED, "k": POOLED, "v": APART}), FOLLOW)
alone(
    "a query that is shifted is another head",
    merged([Q, [1, 2, 4]], [K, K], [V, V], {"q": LIFTED, "k": POOLED, "v": POOLED}),
    FOLLOW,
)
alone("doubled keys are another head", merged([Q, Q], [K, [6, 2, 0]], [V, V], {"q": POOLED, "k": DOUBLED, "v": POOLED}), FOLLOW)
alone("doubled queries are another head", merged([Q, [2, 4, 2]], [K, K], [V, V], {"q": DOUBLED, "k": POOLED, "v": POOLED}), FOLLOW)
alone(
    "a constant query is another head",
    merged([Q, [0, 0, 1]], [K, K], [V, V], {"q": lump([0, -1], 1, [0], {}, {1: 1}, 2), "k": POOLED, "v": POOLED}),
    FOLLOW,
)
alone("a constant key is another head", merged([Q, Q], [K, [0, 0, 1]], [V, V], {"q": POOLED, "k": lump([0, -1], 1, [0], {}, {1: 1}, 2), "v": POOLED}), FOLLOW)


EVERY = [[1, 1, 1], [2, 1, 0], [5, 1, 0], [1, 5, 0]]
QUIET, WIDE = lump([0, -1, 1, 2], 2, [0, 2, 3], {}, {}, 2), lump([0, 2, 1, 3], 2, [0, 2, 1, 3], axis=2)
alone(
    "a product that goes belongs to a head",
    lambda: Triple(
        attends([[Q, [0, 0, 0], [2, 1, 0], [1, 1, 2]], [K, [1, 0, 2], [1, 3, 0], [2, 2, 1]], EVERY], 2, 2, [[1, 1, 1, 1]]),
        attends([[Q, [2, 1, 0]], [K, [1, 3, 0]], EVERY], 2, 2, [[1, 1, 1, 1]]),
        {"q": QUIET, "k": WIDE},
    ),
    "claims column 2",
)


FIRST_QUIET = lump([-1, 0, -1, 0], 1, [1], {}, {2: 3}, 2)
alone(
    "a shift in the first place of two is seen",
    lambda: Triple(
        attends([[[0, 0, 0], Q, [0, 0, 3], Q], [K] * 4, [V, V]], 2, 2, [[1, 1]]),
        attends([[Q], [K], [V]], 1, 1, [[2]]),
        {"a": POOLED, "q": FIRST_QUIET, "k": lump([0] * 4, 1, [0], axis=2), "v": POOLED},
    ),
    FOLLOW,
)


def two_wide(q: list[Any], shifts: dict[int, Any]) -> Callable[[], Triple]:
    """Two heads of width two over the same two keys; the second one's queries are shifted."""
    k, v = [K, [5, 7, 0]], [V, V]
    ones = lump([0, 1, 0, 1], 2, [0, 1], {}, shifts, 2)
    plain = lump([0, 1, 0, 1], 2, [0, 1], {}, {}, 2)
    return lambda: Triple(attends([q, k * 2, v], 2, 2, [[1, 1]]), attends([q[:2], k, v[:1]], 1, 1, [[2]]), {"a": POOLED, "q": ones, "k": plain, "v": POOLED})


ANY = [Q, [2, 1, 0]]
alone("half a shift of the queries is seen", two_wide([*ANY, [1, 2, 1.5], [2, 1, 0]], {2: 0.5}), FOLLOW)
alone("a shift in the second place is seen", two_wide([*ANY, Q, [2, 1, 3]], {3: 3}), FOLLOW)


# --- batch norms ---------------------------------------------------------------------------------
def normed(rows: Any, shifts: Any, h: Any, v: Any, last: Any, reduced: tuple[Any, Any, Any, Any], **params: Any) -> Callable[[], Triple]:
    """x (2) -> h -> batch norm -> y; `reduced` are the rows, the biases, the last weights and the last bias of the reduced network."""

    def net(w: Any, b: Any, second: Any, c: Any, kept: slice | list[int]) -> Net:
        plain = {"weight": [1, 1], "bias": [0, 0], "mean": [0, 0], "var": [1, 1]} | params
        norm = N("batch_norm", (None, len(w)), ["h"], {"eps": 0.0}, {role: np.array(p, "float32")[kept] for role, p in plain.items()})
        return Net({"x": (None, 2)}, {"h": linear("x", w, b), "v": norm, "y": linear("v", second, c)}, ["y"])

    first, shift, second, c = reduced
    reps = list(v.representatives[: v.columns])
    return lambda: Triple(net(rows, shifts, last, [0], slice(None)), net(first, shift, second, c, reps), {"h": h, "v": v})


SINGLE, ALONE = ([ROW], [0], [[2]], [0]), ([ROW], [0], [[1]], [0])
DOUBLE, FIXED = lump([0, 0], 1, [0], {1: 2}), lump([0, -1], 1, [0], {}, {1: 1})
UNLIKE = "represents column 0"
alone("channels of two columns are not tied", normed([ROW, OTHER], [0, 0], lump([0, 1], 1, [0, 1]), TWO, [[1, 1]], SINGLE), "is claimed to follow unit 0")
alone("a channel that is scaled is not the column", normed([ROW, [2, 4]], [0, 0], DOUBLE, LAST, [[0, 1]], ALONE), UNLIKE)
alone("a channel that is shifted is not the column", normed([ROW, ROW], [0, 3], SHIFTED, LAST, [[0, 1]], ALONE), UNLIKE)
alone("a channel that varies is no constant", normed([ROW, ROW], [0, 0], TWO, lump([0, -1], 1, [0]), [[1, 1]], ALONE), "unit 1 is claimed to be constant")
for _role, _value in (("weight", 2), ("mean", 1), ("bias", 1), ("var", 4)):
    _usual = 1 if _role in ("weight", "var") else 0
    alone(f"another {_role} is another channel", normed([ROW, ROW], [0, 0], TWO, TWO, [[1, 1]], SINGLE, **{_role: [_usual, _value]}), "unit 1 claims")
    _claim = normed([ROW, [0, 0]], [0, 1], FIXED, FIXED, [[1, 1]], ([ROW], [0], [[1]], [1]), **{_role: [_usual, _value]})
    alone(f"another {_role} is another constant", _claim, "unit 1 claims the constant")


# --- more functions ------------------------------------------------------------------------------
def turned_into(
    kind: str, attrs: dict[str, Any], before: float, behind: float, shift: float = 0, constant: tuple[float, float] = (0, 0)
) -> Callable[[], Triple]:
    """Units 2 and 7 are `before` times their representatives, and claimed to be `behind` times (and `shift` beside) after the function."""
    offsets = {unit: value for unit, value in ((2, shift), (3, constant[1]), (7, shift)) if value}
    scales = {unit: behind for unit in (2, 7) if behind != 1}
    out = lump([0, 0, 0, -1, 1, 2, 3, 3], 2, [0, 4, 5, 6], scales, offsets)
    return lambda: sandwich(kind, out, attrs, s=before, t=before, c=constant[0])


alone("an even function does not swallow a double", turned_into("cos", {}, 2, 1, 0, (0, 1)), HALF)
alone("a ramp whose middle is another has no mirror", turned_into("hardsigmoid", {"alpha": 0.25, "beta": 0.25}, -1, -1, 1, (0, 0.25)), HALF)
alone("a root is no first power", turned_into("pow", {"exponent": 0.5}, 2, 2), HALF)
alone("a root passes no square", turned_into("pow", {"exponent": 0.5}, 4, 2), HALF)
alone("a reciprocal passes no shift", carried("reciprocal", {}, 1, 1, (1, 1)), "unit 1 claims")
alone("a reciprocal turns the scale over", turned_into("reciprocal", {}, 2, 2, 0, (1, 1)), HALF)
alone("a sign keeps no scale", turned_into("sign", {}, 2, 2), HALF)
alone("a sign keeps the sign", turned_into("sign", {}, -2, 1), HALF)
for _before, _behind in ((9, 18), (3.75, 4.21875), (2.25, 2.25), (-9, 9), (-3.75, 0.46875), (-2.25, 0)):
    alone(f"hardswish of {_before} is not {_behind}", carried("hardswish", {}, 1, 0, (_before, _behind)), "unit 3 claims")
for _kind, _point, _value in (("exp", 0, 1), ("log", 1, 0), ("erf", 0, 0), ("sin", 0, 0), ("cos", 0, 1), ("selu", 0, 0), ("mish", 0, 0)):
    for _before, _behind in ((_point - 1, _value), (_point + 1, _value), (_point, _value - 1), (_point, _value + 1)):
        alone(f"{_kind} of {_before} is not {_behind} either", carried(_kind, {}, 1, 0, (_before, _behind)), "unit 3 claims")

# --- slopes --------------------------------------------------------------------------------------


def bent(slope: Any, h: Any, v: Any, bias: Any, weight: Any = (ROW, ROW)) -> Callable[[], Triple]:
    def net(w: Any, b: Any, p: Any, last: Any) -> Net:
        v = N("prelu", (None, len(w)), ["h"], {}, {"slope": np.array(p, "float32")})
        return Net({"x": (None, 2)}, {"h": linear("x", w, b), "v": v, "y": linear("v", last)}, ["y"])

    return lambda: Triple(net(weight, bias, slope, [[1, 1]]), net([ROW], [0], slope[:1], [[2]]), {"h": h, "v": v})


for _scale in (-0.5, -2):
    _both = lump([0, 0], 1, [0], {1: _scale})
    alone(f"slopes pass no scale {_scale}", bent([0.5, 0.5], _both, _both, [0, 0], [ROW, _scale * np.array(ROW)]), "unit 1 claims")
alone(
    "what is shifted below zero is no constant",
    bent([0.5, 0.5], lump([0, 0], 1, [0], {}, {1: -3}), lump([0, -1], 1, [0], {}, {1: -1.5}), [0, -3]),
    "unit 1 claims",
)


def bent_across() -> Triple:
    """(2, 2): slopes along axis 1, a constant along axis 2."""

    def net(units: int, weight: Any, bias: Any, slope: Any, last: Any, c: float) -> Net:
        nodes = {
            "h": N("linear", (None, 2, units), ["x"], {}, {"weight": weight, "bias": bias}),
            "v": N("prelu", (None, 2, units), ["h"], {}, {"slope": slope}),
            "y": N("linear", (None, 2, 1), ["v"], {}, {"weight": last, "bias": [c]}),
        }
        return Net({"x": (None, 2, 2)}, nodes, ["y"])

    g, h = net(2, [ROW, [0, 0]], [0, -4], [0.5, 0.25], [[1, 1]], 0), net(1, [ROW], [0], [0.5], [[1]], -1)
    return Triple(g, h, {"h": lump([0, -1], 1, [0], {}, {1: -4}, 2), "v": lump([0, -1], 1, [0], {}, {1: -1}, 2)})


alone("slopes lie along the axis that is lumped", bent_across, "its slopes vary along axis 1")

# --- transposed convolutions, tables, time -------------------------------------------------------


def upwards(taps: list[float]) -> Callable[[], Triple]:
    """A constant channel of 5 through these taps; its share is claimed to be one number at all positions."""
    layer = {"weight": np.zeros((1, 1, 1), "float32"), "bias": [5]}
    up = N("conv_transpose", (None, 1, len(taps) + 1), ["h"], turned(1), {"weight": np.array(taps, "float32").reshape(1, 1, -1)})
    g = Net({"x": (None, 1, 2)}, {"h": N("conv", (None, 1, 2), ["x"], conv(1), layer), "y": up}, ["y"])
    number = N("constant", (None, 1, len(taps) + 1), ["x"], {"shape": [1, len(taps) + 1], "axis": 1}, {"value": [5 * taps[-1]]})
    return lambda: Triple(g, Net({"x": (None, 1, 2)}, {"y": number}, ["y"]), {"h": lump([-1], 0, [], {}, {0: 5})})


for _taps in ([0, 1], [1, 0], [1, 1], [0, 0, 1], [1, 0, 0]):
    alone(f"taps {_taps} read another number at an end", upwards(_taps), "weighs the input's offsets differently")


def table(entries: Any, lumping: Any) -> Callable[[], Triple]:
    def net(numbers: Any, last: Any) -> Net:
        e = N("embedding", (None, len(numbers[0])), ["x"], {}, {"weight": np.array(numbers, "float32")})
        return Net({"x": (None,)}, {"e": e, "y": linear("e", last)}, ["y"], choices={"x": 2})

    return lambda: Triple(net(entries, [[1, 1]]), net([row[:1] for row in entries], [[2]]), {"e": lumping})


for _shift in (-1, 1):
    alone(f"equal columns are not shifted by {_shift}", table([[3, 3], [4, 4]], lump([0, 0], 1, [0], {}, {1: _shift})), "unit 1 is not")
alone("a column is no double of itself", table([[3, 3], [4, 4]], lump([0, 0], 1, [0], {1: 2})), "unit 1 is not")

TANH, RELU = {"reverse": False, "nonlinearity": "tanh"}, {"reverse": False, "nonlinearity": "relu"}
for _kind, _attrs, _scale in (("rnn", RELU, -0.5), ("rnn", RELU, -1), ("rnn", TANH, 2), ("rnn", TANH, 0.5), ("lstm", {"reverse": False}, 2)):
    alone(f"{_kind} {_attrs.get('nonlinearity', '')} turns no {_scale}", lambda k=_kind, a=_attrs, s=_scale: recurrent(k, a, s, 1), "unit 2 claims scale")
for _case, _bias in (("rnn_tanh", -8.0), ("rnn_tanh", 0.25), ("rnn_relu", 1.0), ("rnn_relu", 0.25)):
    forge(
        f"{_case}: a unit with the bias {_bias} does not stay zero",
        _case,
        lambda t, b=_bias: (set_entry("g", "r", "bias_ih", 3, b)(t), set_entry("g", "r", "weight_ih", (3, 3), 0)(t)),
        "unit 3 claims to stay zero",
    )


# --- the same operator on equal values -----------------------------------------------------------
def same(
    kind: str, shape: tuple[Any, ...], mine: dict[str, Any], its: dict[str, Any], before: Any = (None, 2), **params: tuple[Any, Any]
) -> Callable[[], Triple]:
    """One node between identities; attributes and parameters (original's, reduced network's; None: there is none) may differ."""

    def net(attrs: dict[str, Any], which: int) -> Net:
        stored = {role: np.array(p[which], "float32") for role, p in params.items() if p[which] is not None}
        inputs = before if isinstance(before, list) else [before]
        return Net({f"x{k}": x for k, x in enumerate(inputs)}, {"y": N(kind, shape, [f"x{k}" for k in range(len(inputs))], attrs, stored)}, ["y"])

    return lambda: Triple(net(mine, 0), net(its, 1), {})


ORDER = {"axis": 1, "index": [0, 1]}
alone("units are chosen in their order", same("index_select", (None, 2), ORDER, ORDER | {"index": [1, 0]}), "claims column 1")
alone("padding stays on its side", same("pad", (None, 3), frame("constant", [1, 0]), frame("constant", [0, 1])), "the reduced pads|claims column")
alone(
    "padding stays around its axis",
    same("pad", (None, 2, 3), frame("constant", [0, 0], [1, 0]), frame("constant", [0, 0], [0, 1]), (None, 2, 2)),
    "claims column",
)
alone("heads stay as many", same("attention", (None, 3, 2), heads(2, 2), heads(1, 1), [(None, 3, 2)] * 3), "claims column")
EYE = np.eye(2)
alone(
    "groups stay as many where the weights are as many",
    same("conv_transpose", (None, 2, 3), turned(1, 2), turned(1, 1), (None, 2, 3), weight=([[[2]], [[3]]], [[[2], [4]], [[5], [3]]])),
    "as no input class of its group has that column",
)
alone("a bias that the original lacks", same("linear", (None, 2), {}, {}, weight=(EYE, EYE), bias=(None, [0, 1])), "the reduced bias of unit 1")
alone("a bias that the reduced network lacks", same("linear", (None, 2), {}, {}, weight=(EYE, EYE), bias=([0, 1], None)), "the reduced bias of unit 1")
MIXES = "around an operator that mixes units"
_norms: dict[str, dict[str, Any]] = {"layer_norm": {"dims": 1}, "rms_norm": {"dims": 1}, "group_norm": {"groups": 1}}
for _kind, _attrs in _norms.items():
    _eps = _attrs | {"eps": 0.5}
    alone(f"{_kind}: another weight", same(_kind, (None, 2), _eps, _eps, weight=([1, 2], [1, 3])), MIXES)
    alone(f"{_kind}: a weight that the original lacks", same(_kind, (None, 2), _eps, _eps, weight=(None, [1, 2])), MIXES)
    alone(f"{_kind}: a weight that the reduced network lacks", same(_kind, (None, 2), _eps, _eps, weight=([1, 2], None)), MIXES)
    alone(f"{_kind}: another eps", same(_kind, (None, 2), _eps, _attrs | {"eps": 0.25}), "the reduced eps")
alone("one slope for another number of them", same("prelu", (None, 2), {}, {}, slope=([0.5], [0.5, 0.25])), "the reduced slope of column 1")
alone("slopes for one of them", same("prelu", (None, 2), {}, {}, slope=([0.5, 0.25], [0.5])), "the reduced slope of column 1")
for _kind, _role in (("add_constant", "term"), ("mul_constant", "factor"), ("div_constant", "divisor")):
    _axis = {"axis": 1}
    alone(f"one {_role} for two", same(_kind, (None, 2), _axis, _axis, **{_role: ([3, 4], 3)}), f"the reduced {_role} of column 1")
    alone(f"two of {_role} for one", same(_kind, (None, 2), _axis, _axis, **{_role: (3, [3, 4])}), f"the reduced {_role} of column 1")
for _kind in ("matmul", "div", "mul", "add"):
    _two = [(None, 2, 2), (None, 2, 2)]

    def _exchanged(kind: str = _kind, two: Any = _two) -> Triple:
        triple = same(kind, (None, 2, 2), {}, {}, two)()
        triple.h.nodes["y"].inputs.reverse()
        return triple

    alone(f"the operands of {_kind} keep their places", _exchanged, "the reduced node is")


def opaque(mine: np.ndarray, its: np.ndarray, dtypes: tuple[str, str] = ("float32", "float32")) -> Callable[[], Triple]:
    call = {"target": "aten.layer_norm.default", "args": [{"input": 0}, [2], {"param": "0"}], "kwargs": {}, "output": None}

    def net(tensor: np.ndarray, dtype: str) -> Net:
        return Net({"x": (None, 2)}, {"y": N("opaque", (None, 2), ["x"], call, {"0": tensor}, dtype)}, ["y"])

    return lambda: Triple(net(mine, dtypes[0]), net(its, dtypes[1]), {})


BYTES = "the reduced tensor '0' is another one"
ZEROS = np.zeros(2, "float32")
alone("bytes of another type are another tensor", opaque(ZEROS, np.zeros(2, "int32")), BYTES)
alone("bytes of another shape are another tensor", opaque(ZEROS, np.zeros((1, 2), "float32")), BYTES)
alone("other bytes are another tensor", opaque(ZEROS, np.array([0, -0.0], "float32")), BYTES)
alone("an opaque result of another type is another result", opaque(ZEROS, ZEROS, ("int64", "int32")), "dtype")

# --- padding of units, joined values -------------------------------------------------------------


def around(mode: str, pads: list[list[int]]) -> Callable[[], Triple]:
    """(2, 3) is lumped along axis 1 and padded there, and elsewhere too or with copies."""

    def net(units: int, first: Any, last: float) -> Net:
        after = (None, units + sum(pads[0]), 3 + sum(pads[1]))
        nodes = {
            "h": N("conv", (None, units, 3), ["x"], conv(1), {"weight": np.array(first, "float32").reshape(units, 2, 1), "bias": [5] * units}),
            "v": N("pad", after, ["h"], {"mode": mode, "pads": pads, "value": 0.0}),
            "y": N("conv", (None, 1, after[2]), ["v"], conv(1), {"weight": np.full((1, after[1], 1), last, "float32")}),
        }
        return Net({"x": (None, 2, 3)}, nodes, ["y"])

    lumping = lump([0, 0, *range(1, 1 + sum(pads[0]))], 1 + sum(pads[0]), [0, *range(2, 2 + sum(pads[0]))])
    return lambda: Triple(net(2, [ROW, ROW], 1), net(1, [ROW], 1), {"h": TWO, "v": lumping})


alone("units are not padded with copies", around("replicate", [[0, 1], [0, 0]]), "it pads the unit axis 1 with copies")
alone("units are not padded together with positions", around("constant", [[0, 1], [0, 1]]), "it pads the unit axis 1 with copies, or positions with it")


def sequences(first: Any, second: Any, joined: Any, shifts: Any = (0, 0), scales: Any = (1, 1)) -> Callable[[], Triple]:
    """(1, 3 units) and (1, 3 units) one behind the other; each is what its lumping says."""

    def net(rows: Any, width: int) -> Net:
        nodes = {name: N("linear", (None, 1, width), ["x"], {}, {"weight": np.array(w, "float32"), "bias": b}) for name, (w, b) in rows.items()}
        nodes["v"] = N("concat", (None, 2, width), ["h", "k"], {"axis": 1})
        nodes["y"] = N("linear", (None, 2, 1), ["v"], {}, {"weight": np.ones((1, width), "float32")})
        return Net({"x": (None, 1, 2)}, nodes, ["y"])

    def rows(lumping: Any, shift: float, scale: float) -> tuple[Any, Any]:
        own = [ROW, OTHER]
        found = [np.array(own[c]) * (scale if c == lumping.classes[0] and k != lumping.representatives[c] else 1) for k, c in enumerate(lumping.classes)]
        return found, [shift if k not in lumping.representatives else 0 for k in range(3)]

    small = {"h": ([ROW, OTHER], [0, 0]), "k": ([ROW, OTHER], [0, 0])}
    full = {"h": rows(first, shifts[0], scales[0]), "k": rows(second, shifts[1], scales[1])}
    return lambda: Triple(net(full, 3), net(small, 2), {"h": first, "k": second, "v": joined})


LEFT, RIGHT = lump([0, 0, 1], 2, [0, 2], axis=2), lump([0, 1, 1], 2, [0, 1], axis=2)
RAISED = lump([0, 0, 1], 2, [0, 2], {}, {1: 3}, 2)
LARGER = lump([0, 0, 1], 2, [0, 2], {1: 2}, {}, 2)
alone("the second sequence has other classes", sequences(LEFT, RIGHT, LEFT), "the lumping of 'k'")
alone("the first sequence has other classes", sequences(RIGHT, LEFT, LEFT), "the lumping of 'h'")
alone("the second sequence is shifted", sequences(LEFT, RAISED, LEFT, (0, 3)), "the lumping of 'k'")
alone("the second sequence is scaled", sequences(LEFT, LARGER, LEFT, (0, 0), (1, 2)), "the lumping of 'k'")


def side_by_side(v: Any, h: Any, k: Any, rows: Any, last: Any, reduced: Any) -> Callable[[], Triple]:
    def net(first: Any, second: Any, final: Any) -> Net:
        width = len(first) + len(second)
        nodes = {"h": linear("x", first), "k": linear("x", second), "v": N("concat", (None, width), ["h", "k"], {"axis": 1}), "y": linear("v", final)}
        return Net({"x": (None, 2)}, nodes, ["y"])

    return lambda: Triple(net(*rows, last), net(*reduced), {"h": h, "k": k, "v": v})


FOUR = ([ROW, OTHER], [[5, 1], [1, 5]])
alone(
    "units of two operands are two columns",
    side_by_side(
        lump([0, 1, 0, 2], 3, [0, 1, 3]),
        "identity",
        "identity",
        ([ROW, OTHER], [[5, 1], [1, 5]]),
        [[1, 1, 1, 1]],
        ([ROW, OTHER], [[5, 1], [1, 5]], [[2, 1, 0, 1]]),
    ),
    "unit 2 is claimed to follow unit 0|the reduced value has shape",
)
alone(
    "units of two operands under one lumping are two columns",
    side_by_side(lump([0, 0, 0, 0], 1, [0]), TWO, lump([0, 0], 0, [0]), ([ROW, ROW], [OTHER, OTHER]), [[1, 1, 1, 1]], ([ROW], [[1, 1]], [[4, 0]])),
    "reduced nodes|follow unit 0",
)
alone(
    "a ghost of an operand gives no column",
    side_by_side(
        lump([0, 2, 1, 3], 2, [0, 2, 1, 3]),
        lump([0, 1], 1, [0, 1]),
        lump([1, 0], 1, [1, 0]),
        ([ROW, OTHER], [[5, 1], [1, 5]]),
        [[1, 0, 1, 0]],
        ([ROW], [[1, 5]], [[1, 1]]),
    ),
    "claims column 1",
)


alone(
    "columns of two operands are two columns",
    side_by_side(lump([0, 0, 1, 0], 2, [0, 2]), TWO, TWO, ([ROW, ROW], [OTHER, OTHER]), [[1, 1, 1, 1]], ([ROW], [OTHER], [[3, 1]])),
    "unit 3 is claimed to follow unit 0",
)
alone(
    "a ghost behind a kept operand is not its last column",
    side_by_side(lump([2, 1, 0], 2, [2, 1, 0]), "identity", lump([0, 1], 1, [0, 1]), ([ROW], [OTHER, [5, 1]]), [[0, 1, 1]], ([ROW], [OTHER], [[1, 1]])),
    "claims column 0",
)


def padded(h: Any, v: Any, rows: Any, pads: tuple[list[int], list[int]], last: Any, kept: Any, reduced: Any) -> Callable[[], Triple]:
    """Units of a layer between units of padding 7."""

    def net(first: Any, pair: list[int], final: Any) -> Net:
        frame = {"mode": "constant", "pads": [pair], "value": 7.0}
        v = N("pad", (None, len(first) + sum(pair)), ["h"], frame)
        return Net({"x": (None, 2)}, {"h": linear("x", first), "v": v, "y": linear("v", final)}, ["y"])

    return lambda: Triple(net(rows, pads[0], last), net(kept, pads[1], reduced), {"h": h, "v": v})


ONE_LEFT = lump([0, 1], 1, [0, 1])
alone(
    "a ghost is no padding in front",
    padded(ONE_LEFT, lump([2, 1, 0], 2, [2, 1, 0]), [ROW, OTHER], ([1, 0], [1, 0]), [[0, 1, 1]], [ROW], [[1, 1]]),
    "unit 2 claims column",
)
alone(
    "a ghost is no padding behind",
    padded(ONE_LEFT, lump([0, 1, 2], 2, [0, 1, 2]), [ROW, OTHER], ([0, 1], [0, 1]), [[1, 1, 0]], [ROW], [[1, 1]]),
    "claims column 1",
)
alone(
    "the padding in front is no unit",
    padded("identity", lump([1, 0, 2], 3, [1, 0, 2]), [ROW, OTHER], ([1, 0], [1, 0]), [[1, 2, 3]], [ROW, OTHER], [[2, 1, 3]]),
    "unit 0 claims column 0",
)
for _rep, _scale in ((1, 2), (0, F(1, 2))):
    _mine, _before = [ROW, [2, 4]] if _rep else [[2, 4], ROW], lump([0, 0], 1, [1 - _rep], {_rep: 2})
    alone(
        f"a padded unit {_rep} under a scale is not the column",
        padded(_before, lump([0, 1, 1, 2], 3, [0, 1 + _rep, 3], {2 - _rep: F(1, 2)}), _mine, ([1, 1], [1, 1]), [[0, 1, 1, 0]], [ROW], [[0, 1.5, 0]]),
        "does not read its column by scale 1",
    )


def forgotten(kind: str, attrs: dict[str, Any], constant: tuple[float, float]) -> Callable[[], Triple]:
    """Unit 1 is shifted before the function, and claimed to be equal behind it."""
    return lambda: sandwich(kind, hidden(s=1, t=1, c=constant[1]), attrs, s=1, t=1, o=1, c=constant[0])


for _kind, _attrs in (("reciprocal", {}), ("pow", {"exponent": 2}), ("sign", {}), ("abs", {}), ("relu", {}), ("tanh", {}), ("exp", {}), ("cos", {})):
    _at = (0, 1) if _kind in ("exp", "cos") else (0, 0) if _kind in ("tanh",) else (1, 1)
    alone(f"{_kind} does not swallow a shift", forgotten(_kind, _attrs, _at), "unit 1 claims")
alone("a double under slopes is not three times it", bent([0.5, 0.5], DOUBLE, lump([0, 0], 1, [0], {1: 3}), [0, 0], [ROW, [2, 4]]), "unit 1 claims")
alone(
    "a product that nothing is known of is no column in the first place",
    two_rows("mul", ([ROW, ROW], [3, 0]), PLAIN, lump([0, 0], 1, [1], {}, {0: 3}), TWO, lump([0, 0], 1, [1]), [[1, 1]], REDUCED),
    "unit 0 is claimed to follow unit 1",
)


def three_and_three() -> Triple:
    """The second unit adds the first column of its second operand, and the reduced network the second one."""
    g = pair("add", linear("x", [ROW, OTHER, OTHER]), linear("x", [ROW, ROW, OTHER]), [[1, 1, 0]])
    h = pair("add", linear("x", [ROW, OTHER]), linear("x", [ROW, OTHER]), [[1, 1]])
    return Triple(g, h, {"h": lump([0, 1, 1], 2, [0, 1]), "k": lump([0, 0, 1], 2, [0, 2]), "v": lump([0, 1, 2], 2, [0, 1, 2])})


alone("operands in different columns are no column", three_and_three, "claims column 1")


def over_rows(kind: str) -> Callable[[], Triple]:
    """(3, 2) over its first axis: two units that are themselves before it change places behind it."""

    def net(last: Any) -> Net:
        return Net({"x": (None, 3, 2)}, {"v": N(kind, (None, 2), ["x"], {"axes": [1], "keepdim": False}), "y": linear("v", last)}, ["y"])

    return lambda: Triple(net([[1, 2]]), net([[2, 1]]), {"v": SWAPPED})


for _kind in ("mean", "sum", "amax"):
    alone(f"a {_kind} keeps the order of what is not lumped", over_rows(_kind), "unit 0 claims column")
alone("what is joined has other classes", sequences(LEFT, LEFT, lump([0, 1, 1], 2, [0, 2], axis=2)), "the lumping of 'h'")


def one_entry() -> Triple:
    """A table of one entry, where the original has three equal ones."""

    def net(entries: int) -> Net:
        return Net({"x": (None,)}, {"y": N("embedding", (None, 1), ["x"], {}, {"weight": np.full((entries, 1), 5, "float32")})}, ["y"], choices={"x": 3})

    return Triple(net(3), net(1), {})


alone("a table keeps its entries", one_entry, "a reduced table of 1 entries")
HEADS_OF_THREE = [Q, [2, 1, 0], [1, 3, 0]]
FOURTH = lump([0, 1, 2, 1], 3, [0, 1, 2], axis=2)
alone(
    "a head in the second place attends as its own",
    lambda: Triple(
        attends([[Q, [1, 3, 0], [1, 3, 0], [2, 1, 0]], [*EVERY[:3], EVERY[1]], [*EVERY[:3], EVERY[1]]], 4, 4, [[1, 1, 1, 0]]),
        attends([HEADS_OF_THREE, EVERY[:3], EVERY[:3]], 3, 3, [[1, 1, 1]]),
        {"q": lump([0, 2, 2, 1], 3, [0, 3, 2], axis=2), "k": FOURTH, "v": FOURTH, "a": lump([0, 1, 2, 3], 3, [0, 1, 2, 3], axis=2)},
    ),
    "claims column 1",
)


# --- a scale is another behind it ----------------------------------------------------------------
FACES: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "avg_pool": (averaged(), (1, 2)),
    "max_pool": (window(2, 2), (1, 2)),
    "adaptive_avg_pool": ({"output_size": [1, 1]}, (1, 1)),
    "adaptive_max_pool": ({"output_size": [1, 1]}, (1, 1)),
    "upsample": ({"scales": [2, 2], "mode": "nearest"}, (4, 6)),
    "mean": ({"axes": [3], "keepdim": True}, (2, 1)),
    "sum": ({"axes": [3], "keepdim": True}, (2, 1)),
    "pad": (frame("constant", [0, 0], [1, 0], [0, 0]), (3, 3)),
}
for _kind, (_attrs, _after) in FACES.items():
    alone(
        f"twice is not three times behind {_kind}",
        lambda k=_kind, a=_attrs, s=_after: sandwich(k, hidden(s=3, t=3, c=0), a, s=2, t=2, c=0, spatial=(2, 3), after=s),
        HALF,
    )
alone(
    "twice is not three times behind an average that is none",
    lambda: sandwich("avg_pool", hidden(s=3, t=3, c=0), averaged(divisor_override=1), s=2, t=2, c=0, spatial=(2, 3), after=(1, 2)),
    HALF,
)
alone(
    "padding is no constant that is another",
    lambda: sandwich("pad", hidden(s=2, t=3, c=5), frame("constant", [0, 0], [1, 0], [0, 0]), c=5, spatial=(2, 3), after=(3, 3)),
    "unit 3 claims",
)


alone("slopes pass no shift", bent([0.5, 0.5], SHIFTED, SHIFTED, [0, 3]), "unit 1 claims")


def beside_constants() -> Triple:
    """Two units beside constants that have gone: the second one is a ghost before, and claimed to be the first behind."""
    g = pair("add", linear("x", [ROW, OTHER]), linear("x", [[0, 0], [0, 0]], [5, 5]), [[1, 1]])
    h = Net({"x": (None, 2)}, {"h": linear("x", [ROW]), "v": N("add_constant", (None, 1), ["h"], {"axis": 1}, {"term": [5]}), "y": linear("v", [[2]])}, ["y"])
    return Triple(g, h, {"h": lump([0, 1], 1, [0, 1]), "k": lump([-1, -1], 0, [], {}, {0: 5, 1: 5}), "v": TWO})


alone("what stands beside constants is not one for that", beside_constants, FOLLOW)


def other_floats() -> Triple:
    """A call that gives integers, between networks of other floats."""
    call = {"target": "aten.argmax.default", "args": [{"input": 0}], "kwargs": {}, "output": None}

    def net(dtype: str) -> Net:
        return Net({"x": (None, 2)}, {"o": N("opaque", (None, 2), ["x"], call, {}, "int64"), "y": N("relu", (None, 2), ["x"])}, ["y", "o"], dtype)

    return Triple(net("float32"), net("float64"), {})


alone("an opaque call may depend on the float that it reads", other_floats, "dtype float64 in the reduced network")


# --- a scale that is written though it is one ----------------------------------------------------
def written() -> Triple:
    """Unit 1 says that it is once its representative, and behind the function it claims to be twice it."""

    def net(rows: Any, last: Any) -> Net:
        return Net({"x": (None, 2)}, {"h": linear("x", rows), "v": N("relu", (None, len(rows)), ["h"]), "y": linear("v", last)}, ["y"])

    g, h = net([ROW, ROW, [2, 4]], [[1, 1, 1]]), net([ROW], [[5]])
    return Triple(g, h, {"h": lump([0, 0, 0], 1, [0], {1: 1, 2: 2}), "v": lump([0, 0, 0], 1, [0], {1: 2, 2: 2})})


alone("a scale of one is one", written, "unit 1 claims")

# --- numbers of all sizes ------------------------------------------------------------------------
TINY = 2.0**-60
FOURFOLD = lump([0, 0, 0, 0], 1, [0])


def uneven(rows: Any, v: Any, kept: Any, last: Any, bias: Any = (0, 0, 0)) -> Callable[[], Triple]:
    """Four equal units, and rows of weights whose sums float64 does not hold."""

    def net(first: Any, weight: Any, b: Any, final: Any) -> Net:
        nodes = {"h": linear("x", first), "v": linear("h", weight, list(b)), "y": linear("v", final)}
        return Net({"x": (None, 2)}, nodes, ["y"])

    reps = list(v.representatives[: v.columns])
    return lambda: Triple(net([ROW] * 4, rows, bias, np.ones((1, len(rows)))), net([ROW], kept, np.array(bias)[reps], last), {"h": FOURFOLD, "v": v})


EXACTLY, NEARLY, NOTHING_BUT = [1, 0, 0, 0], [1, TINY, 0, 0], [TINY, 1, -1, 0]
alone(
    "a row that float64 rounds is decided exactly beside one that it does not",
    uneven([EXACTLY, NEARLY, EXACTLY], lump([0, 1, 0], 2, [0, 1]), [[1], [1]], [[2, 1]]),
    "the reduced weight of unit 1 towards column 0",
)
for _first, _second in ((EXACTLY, NEARLY), (NEARLY, EXACTLY), (NEARLY, [1, -TINY, 0, 0])):
    _sum = [[sum(_first)]]
    alone(f"{_second} is not {_first}", uneven([_first, _second, [0] * 4], lump([0, 0, -1], 1, [0]), _sum, [[2]]), "unit 1 and its representative 0 differ")
CONSTANTS = lump([0, -1, -1], 1, [0], {}, {1: 5, 2: 6})
for _one, _other, _unit in ((NOTHING_BUT, [0] * 4, 1), ([1, 0, -1, 0], NOTHING_BUT, 2), (NOTHING_BUT, NOTHING_BUT, 1)):
    alone(
        f"{_one} or {_other} is not nothing",
        uneven([EXACTLY, _one, _other], CONSTANTS, [[1]], [[1]], (0, 5, 6)),
        f"unit {_unit} has a non-zero weight",
    )
alone("what is kept is kept to the last bit", uneven([NEARLY, [0] * 4, [0] * 4], lump([0, -1, -1], 1, [0]), [[1]], [[1]]), "towards column 0 .* is")
alone(
    "nothing kept reads a little of a ghost",
    layered([ROW, OTHER, OTHER, OTHER], [0] * 4, lump([0, 1, 1, 1], 1, [0, 1]), KEPT, [[1, TINY, 1, -1]], ([[1]], [0])),
    "towards class 1",
)


def of_dtype(dtype: str, make: Callable[[], Triple], its: str | None = None) -> Callable[[], Triple]:
    """The same numbers in other dtypes."""

    def change() -> Triple:
        triple = make()
        for net, d in ((triple.g, dtype), (triple.h, its or dtype)):
            net.dtype = d
            for node in net.nodes.values():
                node.params = {role: np.array(value, d) for role, value in node.params.items()}
        return triple

    return change


def third_row() -> Triple:
    """A third that float64 rounds: three times it is 1 only if the product is rounded, too."""
    triple = layered([[1, 2], [1, 2]], [0, 0], lump([0, 0], 1, [0], {1: F(1, 3)}), ([[1, 2]], [0]), [[1, 3]], ([[2]], [0]))()
    triple = of_dtype("float64", lambda: triple)()
    triple.g.nodes["h"].params["weight"][1] = [1 / 3, 2 / 3]
    return triple


alone("a rounded third is no third", third_row, TIED)


def third_weight() -> Triple:
    """The reduced weight is four thirds, which float64 does not hold either."""
    triple = of_dtype("float32", layered([[3, 6], ROW], [0, 0], lump([0, 0], 1, [0], {1: F(1, 3)}), ([[3, 6]], [0]), [[1, 1]], ([[1]], [0])), "float64")()
    triple.h.nodes["y"].params["weight"][0, 0] = 4 / 3
    return triple


alone("rounded four thirds are not four thirds", third_weight, "towards column 0")
for _stored in (4, 1, 2 / 3):
    alone(
        f"four thirds are not {_stored}",
        layered([[3, 6], ROW], [0, 0], lump([0, 0], 1, [0], {1: F(1, 3)}), ([[3, 6]], [0]), [[1, 1]], ([[_stored]], [0])),
        "towards column 0",
    )
for _stored in (1, -1, 0.5):
    alone(
        f"one and minus one are not {_stored}",
        layered([ROW, ROW], [0, 0], TWO, ([ROW], [0]), [[1, -1]], ([[_stored]], [0])),
        "towards column 0",
    )
for _stored in (0.375, 1.5, 3):
    for _dtype in ("float32", "float64"):
        alone(
            f"three quarters are not {_stored} in {_dtype}",
            of_dtype(_dtype, layered([ROW, ROW], [0, 0], TWO, ([ROW], [0]), [[0.5, 0.25]], ([[_stored]], [0]))),
            "towards column 0",
        )


def across(first: Any, lumping: Any, mine: Any, its: Any, kept: Any, member: int = 0) -> Callable[[], Triple]:
    """Two groups with a row each, which are claimed to be one."""
    reps = [1 - member]

    def net(rows: Any, weight: Any, last: Any, groups: int) -> Net:
        w = np.array(weight, "float32")[:, :, None]
        nodes = {"h": channels(len(rows), rows), "v": N("conv", (None, len(w), 1), ["h"], conv(1, groups), {"weight": w})}
        last = np.array(last, "float32").reshape(1, len(w), 1)
        return Net({"x": (None, 2, 1)}, nodes | {"y": N("conv", (None, 1, 1), ["v"], conv(1), {"weight": last})}, ["y"])

    def make() -> Triple:
        h = net([first[rep] for rep in lumping.representatives], [kept], [2], 1)
        return Triple(net(first, [mine, its], [1, 1], 2), h, {"h": lumping, "v": lump([0, 0], 1, reps)})

    return make


OPPOSITE = [ROW, [-1, -2], OTHER, OTHER]
BOTH_WAYS = lump([0, 0, 1, 1], 2, [0, 2], {1: -1})
for _member in (0, 1):
    _rows = ([1, -1], [0, 0]), ([0, 0], [1, 1])
    for _what, (_left, _right) in zip(("opposite", "equal"), _rows, strict=True):
        _kept = [[0, 0], [2, 0]][_member] if _what == "opposite" else [[0, 2], [0, 0]][_member]
        alone(
            f"{_what} weights of one group are nothing in another, seen from {_member}", across(OPPOSITE, BOTH_WAYS, _left, _right, _kept, _member), "differ in"
        )
SHARED = [ROW, [-1, -2], OTHER, OTHER, OTHER, OTHER]
for _member in (0, 1):
    for _mine, _its in ((2, 1), (1, 2)):
        alone(
            f"{_mine} and {_its} times one class differ, seen from {_member}",
            across(SHARED, lump([0, 0, 1, 1, 1, 1], 2, [0, 2], {1: -1}), [0, 0, _mine], [0, _its, 0], [0, (_its, _mine)[_member]], _member),
            "differ in",
        )
DOUBLED_CHANNEL = [ROW, OTHER, [2, 4], OTHER]
for _member in (0, 1):
    alone(
        f"a scale counts beside what has none, seen from {_member}",
        across(DOUBLED_CHANNEL, lump([0, 1, 0, 1], 2, [0, 1], {2: 2}), [6, 1], [6, 1], ([12, 1], [6, 1])[_member], _member),
        "differ in",
    )


def odd_quotient() -> Triple:
    """Nothing, in a class whose scale has a denominator that takes a weight beyond float64."""
    s = (1 << 24) - 3
    d = pow(s, -1, 1 << 31)
    w = (s * d - 1) >> 31
    rows = [[0, 0], [0, 0], OTHER, [-3, 1]]
    lumping = lump([0, 1, 0, 1], 2, [0, 1], {2: F(1, d), 3: -1})

    def net(first: Any, weight: Any, last: Any, groups: int) -> Net:
        weight = np.array(weight, "float32")[:, :, None]
        nodes = {"h": channels(len(first), first), "v": N("conv", (None, 2, 1), ["h"], conv(1, groups), {"weight": weight})}
        return Net({"x": (None, 2, 1)}, nodes | {"y": N("conv", (None, 1, 1), ["v"], conv(1), {"weight": np.ones((1, 2, 1), "float32")})}, ["y"])

    rows = [[0, 0], OTHER, [0, 0], [-3, 1]]
    return Triple(net(rows, [[0, 0], [w * 2.0**31, 0]], None, 2), net(rows[:2], [[0, 0], [s, 0]], None, 1), {"h": lumping})


alone("a weight divided is not nearly divided", odd_quotient, "towards column 0")


def far_tap() -> Triple:
    """Padded by one under a dilation of two: the last tap reads beyond the end, and weighs a constant."""
    layer = {"weight": np.zeros((1, 1, 1), "float32"), "bias": [5]}
    y = N("conv", (None, 1, 3), ["h"], conv(1, dilation=[2], padding=[1]), {"weight": np.array([[[0, 0, 1]]], "float32")})
    g = Net({"x": (None, 1, 5)}, {"h": N("conv", (None, 1, 5), ["x"], conv(1), layer), "y": y}, ["y"])
    h = Net({"x": (None, 1, 5)}, {"y": N("constant", (None, 1, 3), ["x"], {"shape": [1, 3], "axis": 1}, {"value": [5]})}, ["y"])
    return Triple(g, h, {"h": lump([-1], 0, [], {}, {0: 5})})


alone("a dilated tap reads beyond the end", far_tap, "tap 2, which reads the zero padding")


def unfolded() -> Triple:
    """(2 positions, 2 units) in one row: a ghost at the second position is not the first position's unit."""

    def net(rows: Any, last: Any) -> Net:
        n = len(rows)
        nodes = {"h": N("linear", (None, 2, n), ["x"], {}, {"weight": np.array(rows, "float32")})}
        nodes["v"] = N("reshape", (None, 2 * n), ["h"], {"shape": [2 * n]})
        return Net({"x": (None, 2, 2)}, nodes | {"y": linear("v", last)}, ["y"])

    g, h = net([ROW, OTHER], [[0, 0, 1, 1]]), net([ROW], [[1, 1]])
    return Triple(g, h, {"h": lump([0, 1], 1, [0, 1], axis=2), "v": lump([2, 3, 1, 0], 2, [3, 2, 0, 1])})


alone("a ghost at another position is no column", unfolded, "claims column 0")

# --- rounding ------------------------------------------------------------------------------------
ROUNDED: dict[str, Callable[[], Triple]] = {}
"""Correct triples in which some stored numbers are rounded and others are not."""


def narrowed(kind: str, shape: tuple[Any, ...], attrs: dict[str, Any], before: tuple[Any, ...], **params: Any) -> Callable[[], Triple]:
    """A float64 node between identities, and the float32 node next to it: every other number is rounded."""

    def make() -> Triple:
        full, near = {}, {}
        for role, values in params.items():
            near[role] = np.array(values, "float32")
            full[role] = near[role] + 2.0**-40 * (np.arange(near[role].size) % 2).reshape(near[role].shape)
        own = {"x": 2} if kind == "embedding" else {}
        g, h = (Net({"x": before}, {"y": N(kind, shape, ["x"], attrs, p)}, ["y"], d, own) for p, d in ((full, "float64"), (near, "float32")))
        return Triple(g, h, {}, "nearest")

    return make


def lone(role: str, kind: str) -> Callable[[], Triple]:
    """One stored number for two that are equal once they are rounded."""

    def make() -> Triple:
        numbers = np.array([0.5, 0.5 + 2.0**-40]), np.array(0.5, "float32")
        g, h = (Net({"x": (None, 2)}, {"y": N(kind, (None, 2), ["x"], {"axis": 1}, {role: n})}, ["y"], str(n.dtype)) for n in numbers)
        return Triple(g, h, {}, "nearest")

    return make


def thirds(dtype: str) -> Callable[[], Triple]:
    """A third of a unit, in rows where it is rounded and in rows where it is not, and a ghost."""

    def net(rows: Any, bias: Any, last: Any, c: Any) -> Net:
        nodes = {"h": N("linear", (None, len(rows)), ["x"], {}, {"weight": np.array(rows, dtype), "bias": np.array(bias, dtype)})}
        return Net(
            {"x": (None, 2)}, nodes | {"y": N("linear", (None, 2), ["h"], {}, {"weight": np.array(last, dtype), "bias": np.array(c, dtype)})}, ["y"], dtype
        )

    def make() -> Triple:
        g = net([[3, 6], ROW, [5, 1]], [0, 1, 0], [[1, 1, 0], [1, 3, 0]], [0, 0])
        return Triple(g, net([[3, 6]], [0], [[4 / 3], [2]], [1, 3]), {"h": lump([0, 0, 1], 1, [0, 2], {1: F(1, 3)}, {1: 1})}, "nearest")

    return make


ROUNDED |= {f"one {role}": lone(role, kind) for role, kind in (("term", "add_constant"), ("factor", "mul_constant"))}
ROUNDED |= {f"thirds in {dtype}": thirds(dtype) for dtype in ("float32", "float64")}
_square = [[1, 2, 3], [4, 5, 6]]
ROUNDED |= {
    "a linear layer": narrowed("linear", (None, 2), {}, (None, 3), weight=_square, bias=[1, 2]),
    "a linear layer without bias": narrowed("linear", (None, 2), {}, (None, 3), weight=_square),
    "groups": narrowed("conv", (None, 4, 2), conv(1, 2), (None, 2, 3), weight=np.arange(8).reshape(4, 1, 2), bias=[1, 2, 3, 4]),
    "groups of a transposed convolution": narrowed(
        "conv_transpose", (None, 4, 5), turned(1, 2), (None, 4, 3), weight=np.arange(24).reshape(4, 2, 3) + 1, bias=[1, 2, 3, 4]
    ),
    "a table": narrowed("embedding", (None, 3), {}, (None,), weight=_square),
    "a constant": narrowed("constant", (None, 3), {"shape": [3], "axis": 1}, (None, 2), value=[1, 2, 3]),
    "terms": narrowed("add_constant", (None, 3), {"axis": 1}, (None, 3), term=[1, 2, 3]),
}


@pytest.mark.parametrize("name", ROUNDED)
def test_a_rounded_network_is_proved(name: str, tmp_path: Path) -> None:
    verdict = ROUNDED[name]().verdict(tmp_path)
    assert isinstance(verdict, Proved), verdict


@pytest.mark.parametrize("law", FORGERIES)
def test_a_forgery_is_refuted(law: str, tmp_path: Path) -> None:
    case, breaking, message = FORGERIES[law]
    verdict = CASES[case]().broken(breaking).verdict(tmp_path)
    assert isinstance(verdict, Refuted), verdict
    assert re.search(message, verdict.reason), verdict.reason
