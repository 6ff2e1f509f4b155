"""Forged certificates: each violates just one condition, and is refuted at that condition."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from catalog import CASES, CLASSES, REPS, hidden, sandwich
from forge import F, N, Triple, both, lump, set_attr, set_entry, set_lumping

from lumpnet.certificate import Surd
from lumpnet.verdict import Refuted

Breaking = Callable[[Triple], Any]
FORGERIES: dict[str, tuple[str, Breaking, str]] = {}


def forge(law: str, case: str, breaking: Breaking, message: str) -> None:
    FORGERIES[law] = (case, breaking, message)


def lumpings(**changed: Any) -> Breaking:
    return lambda triple: triple.lumpings.update(changed)


def node(net: str, name: str, **changes: Any) -> Breaking:
    def breaking(triple: Triple) -> None:
        for key, value in changes.items():
            setattr(getattr(triple, net).nodes[name], key, value)

    return breaking


def twice(layer: N, unit: int) -> None:
    for role, tensor in layer.params.items():
        layer.params[role] = np.array(tensor, copy=True)
        layer.params[role][unit] *= 2


def longer(net: str, name: str) -> Breaking:
    """One more position."""
    return lambda t: node(net, name, shape=(*getattr(t, net).nodes[name].shape[:2], getattr(t, net).nodes[name].shape[2] + 1))(t)


def scale(name: str, unit: int, value: Any) -> Breaking:
    return lambda t: set_lumping(name, scale=dict(t.lumpings[name].scale) | {unit: F(value)})(t)


def offset(name: str, unit: int, value: Any) -> Breaking:
    return lambda t: set_lumping(name, offset=dict(t.lumpings[name].offset) | {unit: value if isinstance(value, Surd) else F(value)})(t)


# --- linear --------------------------------------------------------------------------------------
forge("a member's collapsed row is its scale times the representative's", "relu", set_entry("g", "h", "weight", (1, 0), 1.5), "unit 1 and its representative 0")
forge("the last bit of a weight counts", "relu", set_entry("g", "h", "weight", (1, 1), np.nextafter(np.float32(2), np.float32(3))), "unit 1 and its rep")
forge("a scale is checked on every unit", "relu", scale("h", 2, "5/2"), "unit 2 and its representative 0")
forge("a ghost pair is proportional", "relu", set_entry("g", "h", "weight", (7, 0), 4), "unit 7 and its representative 6")
forge("a constant unit has zero weights", "relu", set_entry("g", "h", "weight", (3, 0), 1e-30), "unit 3 has a non-zero weight")
forge("a constant is the bias", "relu", offset("h", 3, 8), "unit 3 claims the constant 8")
forge("a constant of a linear layer is rational", "relu", offset("h", 3, Surd(F(7), F(1), F(2))), "unit 3 claims the constant")
forge("a member's offset is the difference of the biases", "linear_offsets", offset("h", 1, 4), "unit 1 claims offset 4 to unit 0")
forge("the reduced weight is the collapsed one", "relu", set_entry("h", "y", "weight", (0, 0), 10), "reduced weight of unit 0 towards column 0")
forge("the reduced bias gathers the constants", "relu", set_entry("h", "y", "bias", 0, 28), "reduced bias of unit 0")
forge("the reduced hidden weight is the representative's", "relu", set_entry("h", "h", "weight", (1, 0), 4), "reduced weight of unit 4 towards column 0")
forge("nothing kept reads a ghost", "relu", set_entry("g", "y", "weight", (0, 5), 1), "unit 0 has a non-zero weight towards class 2")
forge("ghosts that do not cancel are read", "linear_ghost_cancels", set_entry("g", "y", "weight", (0, 7), 2), "non-zero weight towards class 3")
forge(
    "a ghost row may depend on ghosts only in proportion", "linear_chain_of_ghosts", set_entry("g", "k", "weight", (2, 2), 5), "unit 2 and its representative 1"
)
forge("a missing reduced bias is zero", "relu", lambda t: t.h.nodes["y"].params.pop("bias"), "reduced bias of unit 0")
forge("none means exactly", "linear_nearest", lambda t: setattr(t, "rounding", "none"), "exactly")
forge(
    "nearest means the nearest",
    "linear_nearest",
    lambda t: set_entry("h", "y", "weight", (0, 0), np.nextafter(t.h.nodes["y"].params["weight"][0, 0], np.float32(9)))(t),
    "rounded to nearest",
)
forge("units lie on the last axis", "linear_positions", lumpings(h=lump([-1, -1, -1], 0, [], axis=1)), "reduced nodes")
forge(
    "a layer reads the axis that is lumped",
    "concat_positions",
    both(
        node("g", "y", inputs=["u"]),
        node("h", "y", inputs=["u"]),
        lambda t: [getattr(t, n).nodes.update(u=N("identity", (None, 4, 2 - (n == "h")), ["v"]), y=getattr(t, n).nodes.pop("y")) for n in "gh"],
        lumpings(u=lump([0, 0, 1, 2], 3, [0, 2, 3], axis=1)),
    ),
    "the reduced value has shape|lumped on axis",
)
forge(
    "permuted outputs are not the identity",
    "relu",
    lambda t: set_lumping("h", classes=(1, 1, 1, -1, 0, 2, 3, 3), representatives=(4, 0, 5, 6))(t),
    "reduced weight",
)


# --- convolution ---------------------------------------------------------------------------------
forge("a tap that reads the padding carries no constant", "conv_padded", set_entry("g", "y", "weight", (0, 2, 0, 0), 1), "tap 0, which reads the zero padding")
forge("every border counts", "conv_padded", set_entry("g", "y", "weight", (1, 2, 1, 2), 1), "tap 5, which reads the zero padding")
forge("a tap on the near border reads the padding under stride too", "conv_unpadded_tap", set_entry("g", "y", "weight", (0, 2, 0, 1), 1), "tap 1, which reads")
forge(
    "dilation moves the border",
    "conv_unpadded_tap",
    both(*(f(n) for n in "gh" for f in (lambda n: set_attr(n, "y", "dilation", [2, 2]), lambda n: set_attr(n, "y", "padding", [2, 2])))),
    "which reads the zero padding",
)
KERNEL = "the reduced kernel has the sizes"
for _what, _kernel in (("exchanged", (3, 2)), ("one more of one", (3, 3)), ("one less of one", (2, 2))):
    forge(
        f"the sizes of a kernel are not {_what}",
        "conv_strided",
        lambda t, kernel=_kernel: t.h.nodes["h"].params.update(weight=np.full((1, 2, *kernel), 3, "float32")),
        KERNEL,
    )
forge("the original's kernel has sizes of its own", "conv_strided", lambda t: t.g.nodes["h"].params.update(weight=t.g.stored("h")["weight"][..., :2]), KERNEL)
forge("every tap collapses", "conv_padded", set_entry("h", "y", "weight", (1, 0, 2, 2), 9), "towards column 0 \\(tap 8\\)")
forge("rows agree at every tap", "conv_padded", set_entry("g", "h", "weight", (1, 1, 2, 2), 9), "unit 1 and its representative 0")
forge("the dilation stays", "conv_padded", both(set_attr("h", "h", "dilation", [1, 2]), set_attr("h", "h", "padding", [1, 2])), "the reduced dilation")
forge(
    "rows in other groups read the same class",
    "conv_grouped",
    lumpings(h=lump([0, 1, 2, 1], 2, [0, 1, 2], {3: 2})),
    "representative 0 differ in the weight towards class",
)
forge("a class read across groups keeps its scale", "conv_grouped", set_entry("g", "d", "weight", (6, 0, 0, 0), 9), "unit 6 and its representative 2")
forge(
    "a kept row stays in its group",
    "conv_grouped",
    set_lumping("d", classes=(0, 2, 1, 3, 0, 2, 1, -1), representatives=(0, 2, 1, 3)),
    "as the reduced layer does not read that class",
)
forge(
    "a reduced group holds nothing else",
    "conv_grouped",
    lambda t: (node("h", "d", attrs=dict(t.h.nodes["d"].attrs) | {"groups": 1})(t), t.h.nodes["d"].params.update(weight=np.ones((4, 2, 3, 3), "float32"))),
    "the reduced weight of unit 0",
)

# --- transposed convolution ----------------------------------------------------------------------
UNEVEN = "weighs the input's offsets differently at different positions"
forge("positions that read other taps sum the offsets alike", "conv_transpose", set_entry("g", "y", "weight", (2, 0, 1), 6), UNEVEN)
forge("at every position, also beyond the last input", "conv_transpose_uneven", set_entry("g", "y", "weight", (2, 0), [1, 2, 1]), UNEVEN)
forge("a constant has one sum, not that of all taps", "conv_transpose", set_entry("h", "y", "bias", 0, 71), "the reduced bias of unit 0")
forge(
    "output padding reads fewer taps",
    "conv_transpose",
    both(*(f(n) for n in "gh" for f in (lambda n: set_attr(n, "y", "output_padding", [1]), lambda n: longer(n, "y"), lambda n: longer(n, "z")))),
    UNEVEN,
)
forge("every tap collapses upwards", "conv_transpose", set_entry("h", "y", "weight", (0, 0, 1), 9), "towards column 0 \\(tap 1\\)")
forge("rows upwards are columns of the stored weight", "conv_transpose", set_entry("g", "y", "weight", (3, 1, 0), 9), "unit 1 and its representative 0")
forge(
    "channels of one group upwards stay",
    "conv_transpose_depthwise",
    set_lumping("y", classes=(0, 0, -1, 1), scale={1: F(3)}),
    "unit 1 and its representative 0",
)
forge("the dilation stays upwards", "conv_transpose_depthwise", set_attr("h", "y", "dilation", [2]), "the reduced dilation")

# --- softmax -------------------------------------------------------------------------------------
forge("softmax passes no scale", "softmax_of_positions", both(lambda t: twice(t.g.nodes["h"], 2), scale("h", 2, 2)), "unit 2 claims")
forge("nor does its output have one", "softmax_of_positions", scale("v", 2, 2), "unit 2 claims")
forge("nor an offset", "softmax_of_positions", offset("v", 1, 3), "unit 1 claims")
forge("a constant shares equally", "softmax_of_positions", offset("v", 3, F(1, 2)), "unit 3 claims")
forge("with the positions it is summed over", "softmax_of_positions", both(*(set_attr(n, "v", "axis", 2) for n in "gh")), "unit 3 claims")
forge("softmax of units is whole", "softmax_of_positions", both(*(set_attr(n, "v", "axis", 1) for n in "gh")), "along the axis that it sums over")

# --- embedding -----------------------------------------------------------------------------------
forge("every entry of a table agrees", "embedding", set_entry("g", "e", "weight", (3, 1), 6), "unit 1 is not 1 times unit 0 plus 1")
forge(
    "the last bit of an entry counts", "embedding", set_entry("g", "e", "weight", (2, 2), np.nextafter(np.float32(-0.25), np.float32(1))), "unit 2 is not -1/2"
)
forge("a scale of columns", "embedding", scale("e", 2, "1/2"), "unit 2 is not 1/2 times unit 0")
forge("an offset of columns", "embedding", offset("e", 1, "1/3"), "unit 1 is not 1 times unit 0 plus 1/3")
forge("ghost columns agree", "embedding", set_entry("g", "e", "weight", (0, 6), 3), "unit 6 is not 3 times unit 5 plus 2")
forge("a constant is every entry", "embedding", set_entry("g", "e", "weight", (1, 3), 8), "unit 3 is not the constant 7")
forge("a constant entry is rational", "embedding", offset("e", 3, Surd(F(7), F(1), F(2))), "unit 3 is not the constant")
forge("the reduced table is the representatives' columns", "embedding", set_entry("h", "e", "weight", (3, 1), 1), "the reduced entry 3 of column 1")
forge(
    "the reduced table has every entry",
    "embedding",
    lambda t: t.h.nodes["e"].params.update(weight=np.concatenate([t.h.nodes["e"].params["weight"]] * 2)),
    "a reduced table of 8 entries",
)
forge("integers are not lumped", "embedding", lumpings(x=lump([0, 1, 1], 2, [0, 1])), "dtype int64")
forge("units of a table lie on the last axis", "embedding", lumpings(e=lump([0, 1, 1], 2, [0, 1])), "lumped on axis|the reduced value has shape")

# --- batch normalisation -------------------------------------------------------------------------
forge("a slope has its variance", "batch_norm", set_entry("g", "v", "var", 1, 5), "unit 1 claims scale 1")
forge(
    "an irrational slope is decided by squares",
    "batch_norm",
    set_entry("g", "v", "var", 7, np.nextafter(np.float32(2), np.float32(3))),
    "unit 7 claims scale 6",
)
forge("a slope has a sign", "batch_norm", scale("v", 7, -6), "unit 7 claims scale -6")
forge("an offset has its mean", "batch_norm", set_entry("g", "v", "mean", 1, 7), "unit 1 claims offset 4")
forge("an offset has its bias", "batch_norm", set_entry("g", "v", "bias", 7, 4), "unit 7 claims offset -3")
forge("an offset times an irrational slope stays irrational", "batch_norm", set_entry("g", "v", "mean", 7, 1), "unit 7 claims offset -3")
forge(
    "a normalised constant needs a zero weight or a constant",
    "batch_norm",
    lumpings(v=lump([0, 0, 0, -1, 1, -1, 2, 2], 2, [0, 4, 6], {7: 6}, {1: 4, 2: -3, 3: 9, 5: 1, 7: -3})),
    "unit 5 is claimed to be constant",
)
forge("a constant is the bias of a zero weight", "batch_norm", offset("v", 3, 8), "unit 3 claims the constant 8")
forge("a surd is that surd", "batch_norm_constant_surd", offset("v", 3, Surd(F(9), F(1, 2), F(3))), "unit 3 claims the constant")
forge("a rational near a surd is not it", "batch_norm_constant_surd", offset("v", 3, F(9) + F(7071067811865475, 10**16)), "unit 3 claims the constant")
forge("the reduced statistics are the representative's", "batch_norm", set_entry("h", "v", "mean", 0, 4), "the reduced mean of column 0")
forge("the reduced variance is the representative's", "batch_norm", set_entry("h", "v", "var", 1, 3), "the reduced var of column 1")
forge("a missing reduced weight is one", "batch_norm", lambda t: t.h.nodes["v"].params.pop("weight"), "the reduced weight of column 0")
forge("eps stays", "batch_norm", set_attr("h", "v", "eps", 1.0), "the reduced eps")
forge(
    "the reduced channel reads the representative's column",
    "batch_norm",
    set_lumping("v", classes=(1, 1, 1, -1, 0, 2, 3, 3), representatives=(4, 0, 5, 6)),
    "but does not read it",
)
forge("a surd is not read", "batch_norm_constant_surd", set_entry("g", "y", "weight", (0, 3, 0, 0), 1), "whose constant is irrational")
forge(
    "the sign of a surd decides its ReLU",
    "batch_norm_surd_relu",
    both(set_entry("g", "v", "bias", 3, -0.5), offset("v", 3, Surd(F(-1, 2), F(1, 2), F(2)))),
    "unit 3 claims",
)

# --- elementwise ---------------------------------------------------------------------------------
forge("ReLU passes no negative scale", "tanh", lambda t: [node(n, "v", kind="relu")(t) for n in "gh"], "unit 2 claims")
forge("ReLU passes no offset", "linear_offsets", lambda t: [node(n, "v", kind="relu")(t) for n in "gh"], "unit 1 claims \\(scale 1, offset 3\\)")
forge("ReLU clips a constant", "relu_of_negative_constant", offset("v", 3, -7), "unit 3 claims")
forge("tanh passes no scale but a sign", "relu", lambda t: ([node(n, "v", kind="tanh")(t) for n in "gh"]), "unit 2 claims \\(scale 2")
forge("tanh of a constant is not rational", "tanh", both(set_entry("g", "h", "bias", 3, 1), offset("h", 3, 1), offset("v", 3, 1)), "unit 3 claims")
forge("sigmoid mirrors into one minus", "sigmoid", offset("v", 2, 0), "unit 2 claims \\(scale -1, offset 0\\)")
forge("sigmoid of zero is a half", "sigmoid", offset("v", 3, 0), "unit 3 claims")
forge("silu passes no sign", "tanh", lambda t: [node(n, "v", kind="silu")(t) for n in "gh"], "unit 2 claims")
forge("gelu passes no sign", "tanh", lambda t: [node(n, "v", kind="gelu", attrs={"approximate": "tanh"})(t) for n in "gh"], "unit 2 claims")
forge(
    "hardtanh is odd only between symmetric limits",
    "hardtanh_symmetric",
    lambda t: [set_attr(n, "v", "max", 3.0)(t) for n in "gh"],
    "unit 2 claims \\(scale -1",
)
forge("hardtanh clips a constant", "hardtanh_six", offset("v", 3, 7), "unit 3 claims")
forge("a leaky constant has the slope", "leaky_relu", offset("v", 3, -7), "unit 3 claims")
forge("the slope stays", "leaky_relu", set_attr("h", "v", "slope", 0.25), "the reduced slope")
forge("the kind stays", "relu", node("h", "v", kind="tanh"), "the reduced node is tanh")
forge("a function makes no constants", "relu", lambda t: set_lumping("v", classes=(0, 0, 0, -1, 1, -1, 2, 2), representatives=(0, 4, 6))(t), "unit 5 claims")
forge(
    "a function joins no classes", "relu", lumpings(v=lump([0, 0, 0, -1, 1, 0, 2, 2], 2, [0, 4, 6], {2: 2, 7: 3}, {3: 7})), "unit 5 is claimed to follow unit 0"
)
forge("a function moves no columns", "relu", set_lumping("v", classes=(1, 1, 1, -1, 0, 2, 3, 3), representatives=(4, 0, 5, 6)), "claims column")
forge(
    "a column is read by scale one",
    "relu",
    set_lumping("v", representatives=(2, 4, 5, 6), scale={0: F(1, 2), 1: F(1, 2), 7: F(3)}),
    "representative 2 reads its column",
)
forge(
    "a ghost has no column", "relu", lambda t: (set_lumping("v", columns=3)(t), node("h", "v", shape=(None, 2))(t)), "the reduced value has shape|claims column"
)

# --- sums, products, constants -------------------------------------------------------------------
forge("offsets add", "add", offset("v", 1, 6), "unit 1 claims \\(scale 1, offset 6\\)")
forge(
    "operands share their classes",
    "add",
    lumpings(k=lump([0, 2, 0, -1, 1, 3, 4, 4], 2, [0, 4, 1, 5, 6], {2: 2, 7: 3}, {3: -1})),
    "unit 1 is claimed to follow unit 0",
)
forge(
    "operands share their scales",
    "add",
    both(set_entry("g", "k", "weight", (2, 0), 3), set_entry("g", "k", "weight", (2, 1), 6), set_entry("g", "k", "bias", 2, 3), scale("k", 2, 3)),
    "unit 2 claims",
)
forge(
    "operands share their columns",
    "add",
    lambda t: (
        set_lumping("k", classes=(1, 1, 1, -1, 0, 2, 3, 3), representatives=(4, 0, 5, 6))(t),
        t.h.nodes["k"].params.update(weight=t.h.nodes["k"].params["weight"][::-1].copy(), bias=t.h.nodes["k"].params["bias"][::-1].copy()),
    ),
    "claims column 0",
)
forge("operands keep their order", "add", lambda t: t.h.nodes["v"].inputs.reverse(), "the reduced node is add of \\['k', 'h'\\]")
forge("constants add", "add", offset("v", 3, 5), "unit 3 claims")
forge(
    "an added constant stays in the reduced network",
    "dead_branch",
    lambda t: t.h.nodes.update(y=N("identity", (None, 2), ["k"])),
    "the reduced term of column 0",
)
forge("the constant added is the dead operand's", "dead_branch", set_entry("h", "y", "term", 1, 1), "the reduced term of column 1")
forge("a dead operand is constant", "dead_branch", lumpings(e="dropped", f="dropped"), "claims column|live operand plus")
forge(
    "broadcasting is along positions",
    "add_opposite_scales_of_constants",
    lambda t: lumpings(h=lump([0, 1, 2], 3, [0, 1, 2]), v=lump([0, 1, 1], 2, [0, 1]), k="identity")(t),
    "lumped on axis|broadcast along the unit axis|reduced",
)
forge("scales multiply", "mul", scale("v", 2, 2), "unit 2 claims")
forge("constants multiply", "mul", offset("v", 3, 7), "unit 3 claims")
forge("products carry no offsets", "add", lambda t: [node(n, "v", kind="mul")(t) for n in "gh"], "unit 1 is claimed to follow unit 0")
forge(
    "a product without a rule is no constant",
    "mul_ghost_gates",
    lumpings(v=lump([0, -1, 0, -1, 1, 2, 3, 3], 2, [0, 4, 5, 6], {2: 4, 7: 9}, {3: -7})),
    "unit 1 claims",
)
forge(
    "a product without a rule has no column",
    "mul_ghost_gates",
    set_lumping("v", representatives=(0, 4, 1, 5, 6), classes=(2, 0, 2, -1, 1, 3, 4, 4)),
    "representative|claims",
)
forge("a value without units is equal or nothing", "one_number_per_example", set_entry("h", "t", "factor", (), 5), "has no unit axis 0")
forge("a term without units is equal", "one_number_per_example", set_entry("h", "u", "term", (), 5), "has no unit axis 0")
forge("a scalar factor is the nearest", "narrowed_scalar", set_entry("h", "v", "factor", (), 0.75), "the reduced factor of column 0")
forge("a stored number is what it is", "stored_constants", set_entry("g", "v", "value", 1, 6), "unit 1 is 6")
forge("a stored multiple is exact", "stored_constants", set_entry("g", "v", "value", 2, np.nextafter(np.float32(4), np.float32(5))), "unit 2 is")
forge("a stored constant that leaves is the claimed one", "stored_constants", offset("v", 3, 8), "unit 3 is 7")
forge("a stored constant is rational", "stored_constants", offset("v", 3, Surd(F(0), F(1), F(2))), "irrational")
forge("the reduced number is the representative's", "stored_constants", set_entry("h", "v", "value", 1, -4), "the reduced value of column 1")
forge("ghosts of stored numbers are tied too", "stored_constants", set_entry("g", "v", "value", 7, 4), "unit 7 is 4")
forge(
    "a layer becomes a constant where its rows collapse to zero", "layer_left_over", set_entry("g", "v", "weight", (2, 1), 1), "non-zero weight towards class 1"
)
forge("a layer becomes the constant that it is", "layer_left_over", set_entry("h", "v", "value", 0, 5), "the reduced bias of unit 0")
forge("the offsets of what has gone count", "layer_left_over", offset("h", 2, 2), "unit 2 claims offset 2")
forge("a constant stands along the units", "layer_left_over", set_attr("h", "v", "axis", 1), "lies along axis 1")
forge("only zero annihilates", "mul_by_zero", both(set_entry("g", "h", "bias", 3, 1), offset("h", 3, 1)), "unit 3 claims")
forge("a factor scales its unit", "mul_constant", set_entry("g", "v", "factor", 2, 4), "unit 2 claims")
forge("a factor scales a constant", "mul_constant", offset("v", 3, 7), "unit 3 claims")
forge("the reduced factor is the representative's", "mul_constant", set_entry("h", "v", "factor", 0, 3), "the reduced factor of column 0")
forge("a factor scales an offset", "mul_constant_scalar", offset("v", 1, 3), "unit 1 claims")
forge("a term shifts its unit", "add_constant", set_entry("g", "v", "term", 1, 3), "unit 1 claims")
forge("the reduced term is the representative's", "add_constant", set_entry("h", "v", "term", 1, 2), "the reduced term of column 1")
forge("the axis of a constant is the unit axis", "mul_constant_scalar", set_attr("h", "v", "axis", None), "the reduced axis")

# --- layout --------------------------------------------------------------------------------------
forge(
    "every flattened element keeps its class",
    "flatten",
    lambda t: set_lumping("f", classes=(0, 1, 2, 3, 1, 0, 2, 3, -1, -1, -1, -1))(t),
    "unit 4 is claimed to follow unit 1",
)
forge("every flattened element keeps its scale", "flatten", scale("f", 5, 3), "unit 5 claims")
forge("every flattened element keeps its constant", "flatten", offset("f", 10, 4), "unit 10 claims")
forge(
    "the reduced reshape places columns alike",
    "flatten",
    lambda t: set_lumping("f", classes=(1, 0, 2, 3, 1, 0, 2, 3, -1, -1, -1, -1), representatives=(1, 0, 2, 3))(t),
    "claims column",
)
forge("positions that become units agree", "permute_and_unflatten", lumpings(u=lump([0, 1], 2, [0, 1], axis=2)), "lumped|shape|follow|column")
forge("a moved axis stays moved", "permute_and_unflatten", set_attr("h", "p", "dims", [0, 1, 2]), "the reduced dims|shape")
forge(
    "concat keeps units apart that were apart",
    "concat_units",
    lumpings(v=lump([0, 0, -1, 1, 0], 2, [0, 3], {1: 3}, {2: 4})),
    "unit 4 is claimed to follow|shape",
)
forge("concat keeps scales", "concat_units", scale("v", 1, 2), "unit 1 claims")
forge("concat loses only absent operands", "concat_units", lambda t: t.h.nodes["v"].inputs.reverse(), "the reduced node is concat of")
forge("concat keeps the columns' order", "concat_units", set_lumping("v", classes=(0, 0, -1, 2, 1), representatives=(0, 4, 3)), "claims column")
forge(
    "positions joined share one lumping",
    "concat_positions",
    lambda t: (set_entry("g", "k", "weight", (1, 0), 3)(t), set_entry("g", "k", "weight", (1, 1), 6)(t), lumpings(k=lump([0, 0], 1, [0], {1: 3}, axis=2))(t)),
    "the lumping of 'k'",
)

# --- pooling -------------------------------------------------------------------------------------
forge(
    "a maximum passes no negative scale",
    "avg_pool",
    lambda t: [
        node(n, "v", kind="max_pool", attrs={"kernel": [2, 2], "stride": [2, 2], "padding": [0, 0], "dilation": [1, 1], "ceil_mode": False})(t) for n in "gh"
    ],
    "unit 2 claims \\(scale -2",
)
forge(
    "every window of a maximum holds an element",
    "max_pool",
    lambda t: [
        (
            set_attr(n, "v", "dilation", [5, 5])(t),
            set_attr(n, "v", "stride", [3, 3])(t),
            node(n, "v", shape=(None, 8 if n == "g" else 2, 1, 1))(t),
            node(n, "y", shape=(None, 2, 1, 1))(t),
        )
        for n in "gh"
    ],
    "padding only",
)
forge("a maximum keeps offsets", "max_pool", offset("v", 1, 2), "unit 1 claims")
forge("counted padding breaks offsets", "avg_pool_uncounted_padding", lambda t: [set_attr(n, "v", "count_include_pad", True)(t) for n in "gh"], "unit 1 claims")
forge(
    "counted padding breaks constants",
    "avg_pool_counted_padding",
    both(set_entry("g", "h", "bias", 3, 1), offset("h", 3, 1), offset("v", 3, 1)),
    "unit 3 claims",
)
forge(
    "a divisor that is not the window breaks offsets", "avg_pool_divisor", lambda t: [set_attr(n, "v", "divisor_override", 3)(t) for n in "gh"], "unit 1 claims"
)
forge("an override counts short windows wrongly", "avg_pool_ceil", lambda t: [set_attr(n, "v", "divisor_override", 4)(t) for n in "gh"], "unit 1 claims")
forge("the window stays", "avg_pool", set_attr("h", "v", "divisor_override", 4), "the reduced divisor_override")
forge(
    "a mean over units is pinned",
    "mean_moves_the_unit_axis",
    lambda t: (
        [
            (
                set_attr(n, "v", "axes", [2])(t),
                node(n, "v", shape=(None, 3))(t),
                node(n, "y", shape=(None, 2), params={"weight": np.ones((2, 3), "float32")})(t),
            )
            for n in "gh"
        ]
        and lumpings(v="identity")(t)
    ),
    "reduces the unit axis",
)
forge("a mean moves the unit axis and keeps the rows", "mean", scale("v", 2, 2), "unit 2 claims")


# --- selections, frames, slopes, sums, functions -------------------------------------------------
forge("a chosen unit keeps its scale", "index_select_units", scale("v", 2, 3), "unit 2 claims")
forge("a chosen constant is the unit's own", "index_select_units", offset("v", 3, 8), "unit 3 claims")
forge("units of two classes stay apart", "index_select_units", set_lumping("v", classes=(0, 0, 1, -1, 0), representatives=(0, 2), scale={}), "follow unit 0")
forge("the reduced selection takes the column of the representative", "index_select_units", set_attr("h", "v", "index", [0, 1]), "claims column")
forge("a double does not represent the column", "index_select_units", set_lumping("v", representatives=(0, 2), scale={1: F(1, 2)}), "reads its column by")
forge("positions are chosen alike", "index_select_positions", set_attr("h", "v", "index", [3, 0, 1]), "other positions")
forge("chosen positions keep offsets", "index_select_positions", offset("v", 1, 4), "unit 1 claims")
forge("a frame of zeros passes no offset", "pad_with_zeros", both(offset("v", 1, 1), offset("h", 1, 1)), "unit 1")
forge(
    "a frame passes the rows that map it to itself",
    "pad_around_its_value",
    both(set_attr("g", "v", "value", 2.0), set_attr("h", "v", "value", 2.0)),
    "unit 2 claims",
)
forge("both frames hold one value", "pad_around_its_value", set_attr("h", "v", "value", 2.0), "the reduced value is 2.0")
forge("both frames are of one mode", "pad_circular", set_attr("h", "v", "mode", "replicate"), "the reduced mode is")
forge("a constant in a frame is the frame's", "pad_with_zeros", offset("v", 3, 1), "unit 3 claims")
forge("a unit of padding is a constant of its value", "pad_units", offset("v", 10, 4), "unit 10 claims")
forge("units of padding are related by their value", "pad_units", offset("v", 1, -4), "unit 1 claims")
forge(
    "no unit follows the padding", "pad_units", set_lumping("v", classes=(0, 0, 0, 1, 1, -1, 2, 3, 4, 4, -1), representatives=(0, 3, 6, 7, 8)), "follow unit 0"
)
forge("the reduced padding is of one value", "pad_units", set_attr("h", "v", "value", 6.0), "the reduced value is 6.0")
forge("the reduced padding stands where it stood", "pad_units", set_attr("h", "v", "pads", [[0, 1]]), "claims column")
forge("the reduced padding stands at the same positions", "pad_with_zeros", set_attr("h", "v", "pads", [[0, 0], [0, 1], [0, 2]]), "the reduced pads are")
forge("members share a slope", "prelu", set_entry("g", "v", "slope", 1, 0.5), "unit 1 has another slope than unit 0")
forge("a ghost pair shares a slope", "prelu", set_entry("g", "v", "slope", 7, 0.25), "unit 7 has another slope than unit 6")
forge("a constant is bent by its own slope", "prelu", offset("v", 3, -7), "unit 3 claims")
forge("the reduced slope is the representative's", "prelu", set_entry("h", "v", "slope", 1, 0.5), "the reduced slope of column 1")
forge("a sum counts constants", "sum_over_positions", offset("v", 3, 7), "unit 3 claims")
forge("a sum counts offsets", "sum_over_positions", offset("v", 1, 3), "unit 1 claims")
forge("a sum passes scales as they are", "sum_over_positions", scale("v", 2, -32), "unit 2 claims")
forge("the smallest passes positive scales", "amin", both(scale("h", 2, -2), scale("v", 2, -2)), "unit 2")
forge("a divisor divides the scale", "div_constant", scale("v", 2, 2), "unit 2 claims")
forge("a divisor divides the constant", "div_constant", offset("v", 3, 7), "unit 3 claims")
forge("the reduced divisor is the representative's", "div_constant", set_entry("h", "v", "divisor", 0, 2), "the reduced divisor of column 0")
forge("the magnitude of a scale", "abs", scale("v", 2, -3), "unit 2 claims")
forge("the inverse of a scale", "reciprocal", scale("v", 2, -4), "unit 2 claims")
forge("a square squares the scale", "square", scale("v", 2, -2), "unit 2 claims")
forge("another power", "square", both(set_attr("g", "v", "exponent", 3), set_attr("h", "v", "exponent", 3)), "unit 2 claims")
forge("an even function passes no sign", "cos", scale("v", 2, -1), "unit 2 claims")
forge(
    "below its threshold softplus is irrational", "softplus", both(offset("h", 3, 20), set_entry("g", "h", "bias", 3, 20), offset("v", 3, 20)), "unit 3 claims"
)
forge("a ramp of another height has no mirror", "hardsigmoid", both(set_attr("g", "v", "beta", 0.25), set_attr("h", "v", "beta", 0.25)), "claims")
forge("halves are rounded to even", "round", offset("v", 3, 3), "unit 3 claims")

# --- pinned --------------------------------------------------------------------------------------
forge(
    "softmax is pinned",
    "relu",
    lambda t: [node(n, "v", kind="softmax", attrs={"axis": 1})(t) for n in "gh"],
    "along the axis that it sums over",
)
forge("an opaque tensor is bitwise the same", "pinned", set_entry("h", "y", "0", 1, -0.0), "the reduced tensor '0' is another one")
forge("an opaque call is the same", "pinned", lambda t: set_attr("h", "y", "target", "aten.rms_norm.default")(t), "the reduced target")
forge("opaque arguments are the same", "pinned", lambda t: set_attr("h", "y", "args", [{"input": 0}, [2], {"param": "0"}, None, 1e-06])(t), "the reduced args")
forge(
    "one is not one point zero in an opaque call",
    "pinned",
    lambda t: (set_attr("g", "y", "output", None)(t), set_attr("g", "y", "kwargs", {"k": 1})(t), set_attr("h", "y", "kwargs", {"k": 1.0})(t)),
    "the reduced kwargs",
)
forge(
    "an opaque operator keeps its dtype",
    "pinned",
    lambda t: (setattr(t.h, "dtype", "float64"), t.h.nodes["y"].params.update({"0": np.array([1.5, 0.0])})),
    "dtype float64",
)
forge(
    "an opaque operator reads the identity",
    "pinned",
    lambda t: (
        node("g", "y", inputs=["h"])(t),
        node("h", "y", inputs=["h"], shape=(None, 2))(t),
        t.g.nodes["y"].attrs.update(args=[{"input": 0}]),
        t.h.nodes["y"].attrs.update(args=[{"input": 0}]),
    ),
    "identity lumpings around an operator that mixes units",
)

# --- binding -------------------------------------------------------------------------------------
forge("inputs are the identity", "relu", lumpings(x=lump([0, 1], 1, [0, 1])), "lumping of 'x'")
forge("outputs are the identity", "relu", lumpings(y=lump([1, 0], 2, [1, 0])), "lumping of 'y'")
forge("an output is not dropped", "relu", lumpings(y="dropped"), "lumping of 'y'")
forge("every value has a lumping", "relu", lambda t: lumpings(ghost="identity")(t), "one for 'ghost'")
forge("outputs keep their order", "relu", lambda t: setattr(t.h, "outputs", ["y", "y"]), "reduced outputs")
forge("inputs keep their shape", "identical", lambda t: (setattr(t, "h", t.broken(lambda _: None).h), t.h.inputs.update(z=(None, 3))), "reduced inputs")
forge("no node is added", "relu", lambda t: t.h.nodes.update(z=N("relu", (None, 2), ["y"])), "reduced nodes")
forge("no node goes missing", "relu", lambda t: (t.h.nodes.pop("v"), node("h", "y", inputs=["h"])(t)), "reduced nodes")
forge("a dropped value is gone", "dead_branch", lambda t: setattr(t.h, "nodes", {"d": t.g.nodes["d"], **t.h.nodes}), "reduced nodes")
forge("a node reads what the original reads", "relu", node("h", "y", inputs=["h"]), "the reduced node is linear of \\['h'\\]")
forge("a column count is the reduced size", "relu", lambda t: set_lumping("h", columns=1)(t), "the reduced value has shape")
forge("a lumping has one class per unit", "relu", set_lumping("h", classes=(0, 0, 0, -1, 1, 2, 3)), "classes for 7 units")
forge("a class has its representative", "relu", set_lumping("h", representatives=(0, 4, 6, 6)), "a representative outside its class")
forge("a class number exists", "relu", set_lumping("h", classes=(0, 0, 0, -1, 1, 2, 3, 4)), "a class without representative")
forge("a representative has scale one", "relu", set_lumping("h", scale={0: F(2), 2: F(2), 7: F(3)}), "for representative 0")
forge("a representative has offset zero", "relu", set_lumping("h", offset={0: F(2), 3: F(7)}), "an offset for representative 0")
forge("a scale is not zero", "relu", set_lumping("h", scale={1: F(0), 2: F(2), 7: F(3)}), "scale 0 for unit 1")
forge("a constant has no scale", "relu", set_lumping("h", scale={3: F(2)}), "a scale for unit 3")
forge("a member's offset is rational", "linear_offsets", set_lumping("h", offset={1: Surd(F(1), F(1), F(2)), 3: F(7)}), "an irrational offset for unit 1")
forge("the batch is no unit axis", "relu", lumpings(h=lump(CLASSES, 2, REPS, axis=5)), "axis 5")
forge("an unlumped claim needs an unlumped network", "relu", lumpings(h="identity", v="identity"), "the reduced value has shape")
forge("there are at most as many columns as classes", "relu", set_lumping("h", columns=5), "5 columns")


# --- attention -----------------------------------------------------------------------------------
def rows_of(name: str, unit: int, bias: float | None = None, times: float = 1) -> Breaking:
    """Another row of a layer of the original: scaled, with another bias."""

    def breaking(triple: Triple) -> None:
        weight, old = triple.g.stored(name)["weight"], triple.g.stored(name)["bias"]
        set_entry("g", name, "weight", unit, weight[unit] * times)(triple)  # type: ignore[arg-type]
        set_entry("g", name, "bias", unit, float(old[unit] * times if bias is None else bias))(triple)

    return breaking


FOLLOW = "unit 1 is claimed to follow unit 0"
forge("queries without the inverse scale in the keys are another head", "attention", both(rows_of("q", 2, times=2), scale("q", 2, 4)), FOLLOW)
forge(
    "keys without the inverse scale in the queries are another head",
    "attention",
    both(rows_of("k", 3, bias=1, times=2), scale("k", 3, 1)),
    FOLLOW,
)
forge("a query offset is seen", "attention", both(rows_of("q", 2, bias=3), offset("q", 2, 1)), FOLLOW)
forge("query units in another order are another head", "attention", lambda t: _swap(t, "q"), FOLLOW)
forge(
    "heads that attend alike on other values are apart",
    "attention",
    lambda t: _reads(t, "v", lump([0, 2, 1, -1], 2, [0, 2, 1], {}, {3: 7}, axis=2)),
    FOLLOW,
)
forge("the row of the value is the output's", "attention", offset("a", 1, 6), "unit 1 claims")
forge("the scale of the value is the output's", "attention", scale("a", 1, 2), "unit 1 claims")
forge("a constant value is the output's constant", "attention", offset("a", 3, 8), "unit 3 claims")
forge("the scale is kept", "attention", set_attr("h", "a", "scale", 0.25), "the reduced scale")
forge("the causal mask is kept", "attention", set_attr("h", "a", "causal", True), "the reduced causal")
forge("the heads of the reduced network are those that stay", "attention", lambda t: t.h.nodes["a"].attrs.update(heads=1, kv_heads=1), "claims column 0")
forge("a reduced head has its own queries", "attention", lambda t: _crossed(t, "q"), "claims column 0")
forge("a reduced head has its own values", "attention", lambda t: _crossed(t, "v"), "claims column 0")
forge("a key that is no constant cannot leave alone", "attention_narrower", lambda t: _keeps(t, "k"), "claims column 0")
forge("a query constant that is not zero is seen", "attention_narrower", both(rows_of("q", 2, bias=1), offset("q", 2, 1)), "claims column 0")
forge("an irrational query constant is not compared", "attention_narrower", offset("q", 2, Surd(F(0), F(1), F(2))), "unit 2 claims the constant")


def _swap(triple: Triple, name: str) -> None:
    """Units 2 and 3, the second head's, change places in the original."""
    old = triple.lumpings[name]
    assert not isinstance(old, str)
    for role, stored in triple.g.stored(name).items():
        stored[[2, 3]] = stored[[3, 2]]
        triple.g.nodes[name].params[role] = stored
    set_lumping(name, classes=(0, 1, 1, 0, *old.classes[4:]))(triple)


def _reads(triple: Triple, name: str, lumping: Any) -> None:
    set_entry("g", name, "weight", (1, 0), 4)(triple)
    triple.lumpings[name] = lumping


def _crossed(triple: Triple, name: str) -> None:
    """The kept columns of the operand change places in the reduced network."""
    old = triple.lumpings[name]
    assert not isinstance(old, str)
    half = old.columns // 2
    order = [*range(half, old.columns), *range(half)]
    for role, stored in triple.h.stored(name).items():
        triple.h.nodes[name].params[role] = stored[order]
    place = {c: order.index(c) for c in range(old.columns)}
    reps = [old.representatives[c] for c in order] + list(old.representatives[old.columns :])
    set_lumping(name, classes=tuple(place.get(c, c) for c in old.classes), representatives=tuple(reps))(triple)


def _keeps(triple: Triple, name: str) -> None:
    """The first key unit is no constant but a ghost."""
    set_entry("g", name, "weight", (0, 0), 1)(triple)
    triple.lumpings[name] = lump([2, 0, 1], 1, [1, 2, 0], axis=2)


@pytest.mark.parametrize("law", FORGERIES)
def test_a_forgery_is_refuted(law: str, tmp_path: Path) -> None:
    case, breaking, message = FORGERIES[law]
    triple = CASES[case]().broken(breaking)
    verdict = triple.verdict(tmp_path)
    assert isinstance(verdict, Refuted), verdict
    assert verdict.what == "certificate"
    assert re.search(message, verdict.reason), verdict.reason


MIXING: dict[str, dict[str, Any]] = {
    "layer_norm": {"dims": 1, "eps": 0.5},
    "rms_norm": {"dims": 1, "eps": 0.5},
    "group_norm": {"groups": 2, "eps": 0.5},
    "instance_norm": {"eps": 0.5},
}


@pytest.mark.parametrize("kind", [*MIXING, "matmul", "div"])
def test_what_mixes_units_is_not_lumped(kind: str, tmp_path: Path) -> None:
    """A constant, copies, scales, ghosts: none of it passes a normalisation, a product or a quotient of values."""
    triple = sandwich(kind, hidden(), MIXING.get(kind, {}), spatial=(2, 4))
    if kind not in MIXING:
        for net in (triple.g, triple.h):
            net.nodes["v"].inputs = ["h", "h"]
            if kind == "matmul":
                square = (None, net.nodes["h"].shape[1], 3, 3)
                net.inputs["x"] = (None, 2, 3, 3)
                for node in net.nodes.values():
                    node.shape = (*node.shape[:2], *square[2:])
    verdict = triple.verdict(tmp_path)
    assert isinstance(verdict, Refuted), verdict
    assert "around an operator that mixes units" in verdict.reason


def test_the_catalogue_holds_before_it_is_broken(tmp_path: Path) -> None:
    assert hidden() == CASES["relu"]().lumpings["h"]
    assert len(FORGERIES) >= 100
