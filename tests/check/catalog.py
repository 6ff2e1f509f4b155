"""Correct triples, one or more per rule. Every entry is a function that builds a fresh triple.

Most are sandwiches: a linear layer or 1x1 convolution makes eight hidden units

    0: A    1: A + o    2: s*A    3: constant c    4: B    5: a ghost    6: P (ghost)    7: t*P (ghost)

the operator under test carries them on, and a last layer reads the result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from catalog_recurrent import CASES as RECURRENT
from forge import F, N, Net, Triple, arr, lump

from lumpnet.certificate import Lumping, Surd

CASES: dict[str, Callable[[], Triple]] = dict(RECURRENT)
A, B, U, P = np.array([1.0, 2.0]), np.array([3.0, -1.0]), np.array([5.0, 7.0]), np.array([1.0, 1.0])
READ = arr([[1, 2, 3, 4, 5, 0, 0, 0], [0, 1, -1, 2, 1, 0, 0, 0]])
CLASSES, REPS = [0, 0, 0, -1, 1, 2, 3, 3], [0, 4, 5, 6]


def case(build: Callable[[], Triple]) -> Callable[[], Triple]:
    CASES[build.__name__] = build
    return build


def hidden(s: Any = 2, t: Any = 3, c: Any = 7, o: Any = 0, axis: int = 1) -> Lumping:
    return lump(CLASSES, 2, REPS, {u: v for u, v in ((2, s), (7, t)) if v != 1}, {u: v for u, v in ((1, o), (3, c)) if v != 0}, axis)


def layers(s: float = 2, t: float = 3, c: float = 7, o: float = 0) -> tuple[np.ndarray, np.ndarray]:
    """Weight (8, 2) and bias (8,) of the hidden layer."""
    weight = np.stack([A, A, s * A, 0 * A, B, U, P, t * P])
    bias = np.array([1, 1 + o, s, c, -2, 1, 1, t])
    return weight, bias


def collapse(weight: np.ndarray, bias: np.ndarray, lumping: Lumping) -> tuple[np.ndarray, np.ndarray]:
    """`W E`, kept columns, and `W c + b`."""
    n = len(lumping.classes)
    e, c = np.zeros((n, lumping.columns)), np.zeros(n)
    for unit, k in enumerate(lumping.classes):
        if 0 <= k < lumping.columns:
            e[unit, k] = float(lumping.scale.get(unit, 1))
        offset = lumping.offset.get(unit, 0)
        c[unit] = 0 if isinstance(offset, Surd) else float(offset)
    return weight @ e, weight @ c + bias


def sandwich(
    kind: str,
    out: Lumping,
    attrs: dict[str, Any] | None = None,
    params: dict[str, Any] | None = None,
    hparams: dict[str, Any] | None = None,
    hattrs: dict[str, Any] | None = None,
    spatial: tuple[int, ...] = (),
    after: tuple[int, ...] | None = None,
    read: np.ndarray = READ,
    dtype: str = "float32",
    **units: float,
) -> Triple:
    """x -> h (8 units) -> v by the operator -> y (2 units)."""
    weight, bias = layers(**units)
    ones = (1,) * len(spatial)
    after = spatial if after is None else after
    tail = (1,) * len(after)
    read_bias = np.array([1.0, -1.0])
    reduced_read, reduced_bias = collapse(read, read_bias, out)

    def net(w: np.ndarray, b: np.ndarray, attributes: Any, parameters: Any, r: np.ndarray, rb: np.ndarray) -> Net:
        def layer(name: str, sizes: tuple[int, ...], inputs: list[str], k: tuple[int, ...], m: np.ndarray, v: np.ndarray) -> N:
            if not k:
                return N("linear", (None, len(m)), inputs, {}, {"weight": arr(m, dtype), "bias": arr(v, dtype)})
            conv = {"stride": [1] * len(k), "padding": [0] * len(k), "dilation": [1] * len(k), "groups": 1}
            return N("conv", (None, len(m), *sizes), inputs, conv, {"weight": arr(m, dtype).reshape(*m.shape, *k), "bias": arr(v, dtype)})

        return Net(
            {"x": (None, 2, *spatial)},
            {
                "h": layer("h", spatial, ["x"], ones, w, b),
                "v": N(kind, (None, r.shape[1], *after), ["h"], dict(attributes), {k: arr(v, dtype) for k, v in parameters.items()}),
                "y": layer("y", after, ["v"], tail, r, rb),
            },
            ["y"],
            dtype,
        )

    g = net(weight, bias, attrs or {}, params or {}, read, read_bias)
    h = net(weight[[0, 4]], bias[[0, 4]], hattrs or attrs or {}, hparams or {}, reduced_read, reduced_bias)
    return Triple(g, h, {"h": hidden(**units), "v": out})


@case
def linear_offsets() -> Triple:
    return sandwich("identity", hidden(o=3), o=3)


@case
def linear_ghost_cancels() -> Triple:
    """The last layer reads the ghosts 6 and 7 with weights that cancel: -3 * P + 3P."""
    read = READ.copy()
    read[0, 6:] = -3, 1
    return sandwich("identity", hidden(), read=read)


@case
def linear_nearest() -> Triple:
    """0.1 + 0.2 + ... has no exact float32; the correctly rounded sum stands in the reduced layer."""
    read = arr(np.array([[0.1, 0.7, 1e-3, 4, 5, 0, 0, 0], [1e-9, 1, -1, 2, 1, 0, 0, 0]], "float32"))
    triple = sandwich("relu", hidden(), read=read.astype("float64"))
    triple.rounding = "nearest"
    return triple


@case
def linear_positions() -> Triple:
    """A linear layer acts on the last axis; the other axes are positions."""
    triple = sandwich("relu", hidden(axis=2))
    for net in (triple.g, triple.h):
        net.inputs["x"] = (None, 3, 2)
        for node in net.nodes.values():
            node.shape = (None, 3, *node.shape[1:])
    triple.lumpings["h"] = hidden(axis=2)
    return triple


@case
def linear_chain_of_ghosts() -> Triple:
    """A ghost class of two units follows from a ghost class of two units, and feeds nothing."""
    g = Net(
        {"x": (None, 2)},
        {
            "h": N("linear", (None, 3), ["x"], {}, {"weight": [[1, 2], [3, 4], [6, 8]], "bias": [0, 1, 2]}),
            "k": N("linear", (None, 3), ["h"], {}, {"weight": [[1, 0, 0], [0, 3, 1], [1, 2, 4]], "bias": [1, 2, 4]}),
            "y": N("linear", (None, 1), ["k"], {}, {"weight": [[2, 0, 0]]}),
        },
        ["y"],
    )
    h = Net(
        {"x": (None, 2)},
        {
            "h": N("linear", (None, 1), ["x"], {}, {"weight": [[1, 2]], "bias": [0]}),
            "k": N("linear", (None, 1), ["h"], {}, {"weight": [[1]], "bias": [1]}),
            "y": N("linear", (None, 1), ["k"], {}, {"weight": [[2]]}),
        },
        ["y"],
    )
    triple = Triple(g, h, {"h": lump([0, 1, 1], 1, [0, 1], {2: 2}), "k": lump([0, 1, 1], 1, [0, 1], {2: 2}, {})})
    triple.g.nodes["k"].params["weight"] = arr([[1, 0, 0], [0, 3, 1], [0, 2, 4]])
    return triple


@case
def dead_branch() -> Triple:
    """A dropped value, and a value whose units are all constant."""
    g = Net(
        {"x": (None, 2)},
        {
            "d": N("linear", (None, 2), ["x"], {}, {"weight": [[1, 2], [3, 4]]}),
            "e": N("linear", (None, 2), ["d"], {}, {"weight": [[0, 0], [0, 0]], "bias": [5, -6]}),
            "f": N("relu", (None, 2), ["e"]),
            "k": N("linear", (None, 2), ["x"], {}, {"weight": [[1, 1], [2, 1]]}),
            "y": N("add", (None, 2), ["k", "f"]),
        },
        ["y"],
    )
    h = Net({"x": (None, 2)}, {"k": copy_node(g, "k"), "y": N("add_constant", (None, 2), ["k"], {"axis": 1}, {"term": [5, 0]})}, ["y"])
    return Triple(g, h, {"d": "dropped", "e": lump([-1, -1], 0, [], {}, {0: 5, 1: -6}), "f": lump([-1, -1], 0, [], {}, {0: 5})})


@case
def add_of_zeros() -> Triple:
    triple = dead_branch()
    triple.g.nodes["e"].params["bias"] = [-5, -6]
    triple.lumpings |= {"e": lump([-1, -1], 0, [], {}, {0: -5, 1: -6}), "f": lump([-1, -1], 0, [])}
    triple.h.nodes["y"] = N("identity", (None, 2), ["k"])
    return triple


def copy_node(net: Net, name: str) -> N:
    node = net.nodes[name]
    return N(node.kind, node.shape, list(node.inputs), dict(node.attrs), dict(node.params))


# --- elementwise ---------------------------------------------------------------------------------


@case
def relu() -> Triple:
    return sandwich("relu", hidden())


@case
def relu_of_negative_constant() -> Triple:
    return sandwich("relu", hidden(c=0), c=-7)


@case
def dropout() -> Triple:
    return sandwich("dropout", hidden(s=-2, o=3), {"p": 0.5}, s=-2, o=3)


@case
def leaky_relu() -> Triple:
    return sandwich("leaky_relu", hidden(c=-3.5), {"slope": 0.5}, c=-7)


@case
def tanh() -> Triple:
    return sandwich("tanh", hidden(s=-1, t=-1, c=0), s=-1, t=-1, c=0)


@case
def sigmoid() -> Triple:
    return sandwich("sigmoid", lump(CLASSES, 2, REPS, {2: -1, 7: -1}, {2: 1, 3: F(1, 2), 7: 1}), s=-1, t=-1, c=0)


@case
def silu() -> Triple:
    return sandwich("silu", hidden(s=1, t=1, c=0), s=1, t=1, c=0)


@case
def gelu() -> Triple:
    return sandwich("gelu", hidden(s=1, t=1, c=0), {"approximate": "none"}, s=1, t=1, c=0)


@case
def hardtanh_symmetric() -> Triple:
    return sandwich("hardtanh", hidden(s=-1, t=-1, c=2), {"min": -2.0, "max": 2.0}, s=-1, t=-1)


@case
def hardtanh_six() -> Triple:
    return sandwich("hardtanh", hidden(s=1, t=1, c=6), {"min": 0.0, "max": 6.0}, s=1, t=1)


def _table(kind: str, scale: Any, constant: Any, image: Any, tie: Any = None, /, **attrs: Any) -> Callable[[], Triple]:
    """Units 2 and 7 are `scale` times their representatives, the constant becomes `image`; behind the function the scale is `tie`."""
    after = scale if tie is None else tie
    return lambda: sandwich(kind, hidden(s=after, t=after, c=image), attrs, s=scale, t=scale, c=constant)


CASES |= {
    "abs": _table("abs", -3, -7, 7, 3),
    "sign": _table("sign", -2, -7, -1, -1),
    "exp": _table("exp", 1, 0, 1),
    "log": _table("log", 1, 1, 0),
    "sqrt": _table("sqrt", 1, 2.25, F(3, 2)),
    "reciprocal": _table("reciprocal", -4, 8, F(1, 8), F(-1, 4)),
    "erf": _table("erf", -1, 0, 0),
    "sin": _table("sin", -1, 0, 0),
    "cos": _table("cos", -1, 0, 1, 1),
    "softsign": _table("softsign", -1, -3, F(-3, 4)),
    "elu": _table("elu", 1, 2, 2, alpha=0.5),
    "selu": _table("selu", 1, 0, 0),
    "celu": _table("celu", 1, 2, 2, alpha=2.0),
    "softplus": _table("softplus", 1, 21, 21, beta=1.0, threshold=20.0),
    "hardswish": _table("hardswish", 1, -1.5, F(-3, 8)),
    "mish": _table("mish", 1, 0, 0),
    "floor": _table("floor", 1, -1.5, -2),
    "ceil": _table("ceil", 1, -1.5, -1),
    "round": _table("round", -1, 2.5, 2),
    "square": _table("pow", -2, -3, 9, 4, exponent=2),
    "cube": _table("pow", -2, -3, -27, -8, exponent=3.0),
    "inverse_square": _table("pow", -2, 2, F(1, 4), F(1, 4), exponent=-2),
}


@case
def square_root_as_a_power() -> Triple:
    """A power that is no whole number passes equal units; its constant stays as a unit of its own."""
    triple = sandwich("pow", hidden(s=1, t=1), {"exponent": 0.5}, s=1, t=1)
    return _kept_constant(triple)


@case
def logsigmoid() -> Triple:
    return _kept_constant(sandwich("logsigmoid", hidden(s=1, t=1), s=1, t=1))


def _kept_constant(triple: Triple) -> Triple:
    """The constant unit 3 is a class of its own, kept."""
    out = lump([0, 0, 0, 1, 2, 3, 4, 4], 3, [0, 3, 4, 5, 6])
    triple.lumpings |= {"h": out, "v": out}
    first, last = triple.g.nodes["h"].params, triple.g.nodes["y"].params
    triple.h.nodes["h"].params = {role: first[role][[0, 3, 4]] for role in first}
    reduced, bias = collapse(READ, last["bias"], out)
    triple.h.nodes["y"].params = {"weight": arr(reduced), "bias": arr(bias)}
    triple.h.nodes["h"].shape = triple.h.nodes["v"].shape = (None, 3)
    return triple


@case
def hardsigmoid() -> Triple:
    out = lump(CLASSES, 2, REPS, {2: -1, 7: -1}, {2: 1, 3: F(1, 2), 7: 1})
    return sandwich("hardsigmoid", out, {"alpha": 0.25, "beta": 0.5}, s=-1, t=-1, c=0)


# --- batch norm ----------------------------------------------------------------------------------

BN = {
    "weight": [2, 2, 4, 0, 3, 1, 1, 2],
    "bias": [1, 5, 1, 9, 1, 1, 1, 3],
    "mean": [3, 6, 12, 1, 2, 2, 0, 0],
    "var": [4, 4, 64, 1, 2, 2, 2, 2],
}


def bn_reduced() -> dict[str, Any]:
    return {role: [values[0], values[4]] for role, values in BN.items()}


@case
def batch_norm() -> Triple:
    """eps 0 keeps v = var. Unit 1 is A + 3 around mean 6; unit 2 is 2A around 12, slope 1 per A, with a rational offset; unit 7 has an irrational slope."""
    # a_0 = 1, a_1 = 1, a_2 = 1/2 (so 2A has slope 1): x_1 = (A + 3 - 6) + 5, x_0 = (A - 3) + 1: offset 4; x_2 = (2A - 12)/2 + 1 = A - 5: offset -3
    # a_6 = 1/sqrt(2), a_7 = 2/sqrt(2) of 3P: scale 6, x_7 = 6 (x_6 - 1) + 3: offset -3
    out = lump(CLASSES, 2, REPS, {7: 6}, {1: 4, 2: -3, 3: 9, 7: -3})
    return sandwich("batch_norm", out, {"eps": 0.0}, BN, bn_reduced(), spatial=(2, 2), o=3)


@case
def identity_of_ghosts_in_another_order() -> Triple:
    """The second ghost is twice the first plus three; behind a function that is none, the first follows the second."""

    def net(rows: Any, bias: Any, last: Any, c: Any) -> Net:
        h = N("linear", (None, len(rows)), ["x"], {}, {"weight": arr(rows), "bias": bias})
        nodes = {"h": h, "v": N("identity", (None, len(rows)), ["h"]), "y": N("linear", (None, 1), ["v"], {}, {"weight": arr(last), "bias": c})}
        return Net({"x": (None, 2)}, nodes, ["y"])

    g, h = net([[1, 2], [3, 1], [6, 2]], [1, 0, 3], [[5, 2, -1]], [0]), net([[1, 2]], [1], [[5]], [-3])
    before, behind = lump([0, 1, 1], 1, [0, 1], {2: 2}, {2: 3}), lump([0, 1, 1], 1, [0, 2], {1: F(1, 2)}, {1: F(-3, 2)})
    return Triple(g, h, {"h": before, "v": behind})


@case
def products_quotients_and_norms() -> Triple:
    """What carries equality and nothing else, with every parameter it may have, on shapes that are not square."""

    def net() -> Net:
        both = {"weight": [1, 2, 3], "bias": [0, 1, 2]}
        return Net(
            {"x": (None, 2, 3), "z": (None, 3, 4), "u": (None, 1, 4)},
            {
                "l": N("layer_norm", (None, 2, 3), ["x"], {"dims": 1, "eps": 0.5}, both),
                "r": N("rms_norm", (None, 2, 3), ["l"], {"dims": 2, "eps": 0.5}, {"weight": arr([[1, 2, 3], [4, 5, 6]])}),
                "i": N("instance_norm", (None, 2, 3), ["r"], {"eps": 0.5}, {"weight": [1, 2], "bias": [3, 4]}),
                "g": N("group_norm", (None, 2, 3), ["i"], {"groups": 2, "eps": 0.5}, {"weight": [1, 2], "bias": [3, 4]}),
                "p": N("matmul", (None, 2, 4), ["g", "z"]),
                "q": N("div", (None, 2, 4), ["p", "u"]),
                "y": N("div", (None, 2, 4), ["u", "q"]),
            },
            ["y"],
        )

    return Triple(net(), net(), {})


@case
def batch_norm_of_ghosts_in_another_order() -> Triple:
    """The ghosts behind the norm follow the second of them, which the layer before writes as twice the first plus three."""
    norm = {"weight": [1, 1, 1], "bias": [0, 0, 0], "mean": [0, 0, 0], "var": [1, 1, 1]}

    def net(rows: Any, bias: Any, last: Any, c: Any) -> Net:
        kept = {role: arr(values[: len(rows)]) for role, values in norm.items()} | {"num_batches_tracked": np.array(7)}
        return Net(
            {"x": (None, 2)},
            {
                "h": N("linear", (None, len(rows)), ["x"], {}, {"weight": arr(rows), "bias": bias}),
                "v": N("batch_norm", (None, len(rows)), ["h"], {"eps": 0.0, "momentum": 0.1}, kept),
                "y": N("linear", (None, 1), ["v"], {}, {"weight": arr(last), "bias": c}),
            },
            ["y"],
        )

    g, h = net([[1, 2], [3, 1], [6, 2]], [1, 0, 3], [[5, 2, -1]], [0]), net([[1, 2]], [1], [[5]], [-3])
    before, behind = lump([0, 1, 1], 1, [0, 1], {2: 2}, {2: 3}), lump([0, 1, 1], 1, [0, 2], {1: F(1, 2)}, {1: F(-3, 2)})
    return Triple(g, h, {"h": before, "v": behind})


@case
def batch_norm_constant_surd() -> Triple:
    """Constant 7 with weight 1, mean 6, v = 2 becomes 9 + 1/sqrt(2) = 9 + sqrt(2)/2; nothing reads it."""
    params = {role: list(values) for role, values in BN.items()}
    params["weight"][3], params["mean"][3], params["var"][3] = 1, 6, 2
    read = READ.copy()
    read[:, 3] = 0
    out = lump(CLASSES, 2, REPS, {7: 6}, {1: 4, 2: -3, 3: Surd(F(9), F(1, 2), F(2)), 7: -3})
    return sandwich("batch_norm", out, {"eps": 0.0}, params, bn_reduced(), spatial=(2, 2), read=read, o=3)


@case
def batch_norm_rational_constant() -> Triple:
    """Constant 7, weight 1, mean 1, v = 9: 9 + 6/3 = 11, although written as a surd of a square it would be equal too."""
    params = {role: list(values) for role, values in BN.items()}
    params["weight"][3], params["mean"][3], params["var"][3] = 1, 1, 9
    out = lump(CLASSES, 2, REPS, {7: 6}, {1: 4, 2: -3, 3: 11, 7: -3})
    return sandwich("batch_norm", out, {"eps": 0.0}, params, bn_reduced(), spatial=(2, 2), o=3)


@case
def batch_norm_surd_relu() -> Triple:
    """-9 + sqrt(2)/2 is negative, so ReLU makes it zero exactly."""
    triple = batch_norm_constant_surd()
    classes, reps = CLASSES, REPS
    g, h = triple.g, triple.h
    g.nodes["v"].params = {role: arr(v) for role, v in BN.items()}
    for role, values in {"weight": (2, 2, 8, 1), "mean": (3, 6, 12, 6), "var": (4, 4, 64, 2), "bias": (1, 1, 2, -9)}.items():
        g.nodes["v"].params[role][:4] = values
    # unit 0: A - 3 + 1; unit 1 the same; unit 2: 2A - 12 + 2 ... = (2A-12) + 2; twice (A - 3 + 1) is 2A - 4, so shift by the bias
    g.nodes["v"].params["bias"][2] = 8
    g.nodes["v"].params["weight"][6:], g.nodes["v"].params["bias"][6:] = (1, 1), (1, 3)
    between = lump(classes, 2, reps, {2: 2, 7: 3}, {3: Surd(F(-9), F(1, 2), F(2))})
    triple.lumpings["v"] = between
    triple.lumpings["r"] = lump(classes, 2, reps, {2: 2, 7: 3})
    for net, n in ((g, 8), (h, 2)):
        last = net.nodes.pop("y")
        net.nodes["r"] = N("relu", (None, n, 2, 2), ["v"])
        net.nodes["y"] = N(last.kind, last.shape, ["r"], last.attrs, last.params)
    read = READ.astype("float32")
    reduced, bias = collapse(read, np.array([1.0, -1.0]), triple.lumpings["r"])
    g.nodes["y"].params["weight"] = read.reshape(2, 8, 1, 1)
    h.nodes["y"].params = {"weight": arr(reduced).reshape(2, 2, 1, 1), "bias": arr(bias)}
    return triple


# --- constants, sums, products -------------------------------------------------------------------


@case
def stored_constants() -> Triple:
    """Numbers that ignore the layer before them, tied and shifted like units of a layer; unit 3 leaves."""
    value = [2, 5, 4, 7, -3, 9, 1, 3]
    out = lump(CLASSES, 2, REPS, {2: 2, 7: 3}, {1: 3, 3: 7})
    return sandwich("constant", out, {"shape": [8], "axis": 1}, {"value": value}, {"value": [2, -3]}, {"shape": [2], "axis": 1})


@case
def layer_left_over() -> Triple:
    """Every row of v collapses to zero over h (unit 2 is unit 0 + 1), so h goes and v holds numbers, at three positions."""
    weight, bias = arr([[1, 2], [3, 4], [1, 2]]), arr([0, 1, 1])
    read, read_bias = arr([[1, 0, -1], [-2, 0, 2], [0, 0, 0]]), arr([5, 9, 3])
    last = {"weight": arr([[1, 2, 3]]), "bias": arr([1])}
    nodes = {
        "h": N("linear", (None, 3, 3), ["x"], {}, {"weight": weight, "bias": bias}),
        "v": N("linear", (None, 3, 3), ["h"], {}, {"weight": read, "bias": read_bias}),
        "t": N("tanh", (None, 3, 3), ["v"]),
        "y": N("linear", (None, 3, 1), ["t"], {}, last),
    }
    reduced = {
        "v": N("constant", (None, 3, 3), ["x"], {"shape": [3, 3], "axis": 2}, {"value": arr([4, 11, 3])}),
        "t": N("tanh", (None, 3, 3), ["v"]),
        "y": N("linear", (None, 3, 1), ["t"], {}, last),
    }
    h = lump([0, 1, 0], 0, [0, 1], {}, {2: 1}, axis=2)
    return Triple(Net({"x": (None, 3, 2)}, nodes, ["y"]), Net({"x": (None, 3, 2)}, reduced, ["y"]), {"h": h})


@case
def mul_constant() -> Triple:
    factor = [2, 2, 3, 5, 0, 7, 4, -4]
    out = lump(CLASSES, 2, REPS, {2: 3, 7: -3}, {3: 35})
    return sandwich("mul_constant", out, {"axis": 1}, {"factor": factor}, {"factor": [2, 0]})


@case
def mul_constant_scalar() -> Triple:
    return sandwich("mul_constant", hidden(c=F(7, 2), o=F(3, 2)), {"axis": 1}, {"factor": 0.5}, {"factor": 0.5}, o=3)


@case
def div_constant() -> Triple:
    """A and 2A over 4 are A/4 and A/2; over divisors 4 and 2 they are A/4 and A."""
    divisor = [4, 4, 2, 2, 8, 7, 2, -2]
    out = lump(CLASSES, 2, REPS, {2: 4, 7: -3}, {1: F(3, 4), 3: F(7, 2)})
    return sandwich("div_constant", out, {"axis": 1}, {"divisor": divisor}, {"divisor": [4, 8]}, o=3)


@case
def div_constant_scalar() -> Triple:
    return sandwich("div_constant", hidden(c=14, o=6), {"axis": 1}, {"divisor": 0.5}, {"divisor": 0.5}, o=3)


@case
def add_constant() -> Triple:
    term = [1, 2, 2, -7, 3, 1, 1, 4]
    return sandwich("add_constant", lump(CLASSES, 2, REPS, {2: 2, 7: 3}, {1: 1, 7: 1}), {"axis": 1}, {"term": term}, {"term": [1, 3]})


def two_operands(kind: str, one: Lumping, two: Lumping, out: Lumping, first: dict[str, float], second: dict[str, float], spatial: bool = False) -> Triple:
    """x -> h and k (8 units each) -> v = kind(h, k) -> y."""
    triple = sandwich(kind, out, **first)
    other = sandwich(kind, out, **second)
    for net, source in ((triple.g, other.g), (triple.h, other.h)):
        nodes = {"h": net.nodes["h"], "k": source.nodes["h"], "v": net.nodes["v"], "y": net.nodes["y"]}
        nodes["v"].inputs = ["h", "k"]
        net.nodes = nodes
    triple.lumpings |= {"h": one, "k": two}
    return triple


@case
def add() -> Triple:
    return two_operands("add", hidden(o=3), hidden(o=4, c=-1), hidden(o=7, c=6), {"o": 3}, {"o": 4, "c": -1})


@case
def add_opposite_scales_of_constants() -> Triple:
    """Broadcasting a size-1 position axis: (N, 3, 8) + (N, 1, 8)."""
    triple = two_operands("add", hidden(axis=2), hidden(axis=2), hidden(c=14, axis=2), {}, {})
    for net in (triple.g, triple.h):
        net.inputs = {"x": (None, 3, 2), "z": (None, 1, 2)}
        for name, node in net.nodes.items():
            node.shape = (None, 1 if name == "k" else 3, *node.shape[1:])
        net.nodes["k"].inputs = ["z"]
    return triple


@case
def add_with_constant_operand_kept_alive() -> Triple:
    """Unit 3 is constant in one operand only: h_3 + 5 keeps the column of h_3; here h_4 + c is kept with offsets that cancel."""
    g = Net(
        {"x": (None, 2)},
        {
            "h": N("linear", (None, 3), ["x"], {}, {"weight": [[1, 2], [1, 2], [3, 4]], "bias": [0, 3, 1]}),
            "k": N("linear", (None, 3), ["x"], {}, {"weight": [[2, 2], [2, 2], [1, 4]], "bias": [0, -3, 1]}),
            "v": N("add", (None, 3), ["h", "k"]),
            "y": N("linear", (None, 1), ["v"], {}, {"weight": [[1, 2, 3]]}),
        },
        ["y"],
    )
    h = Net(
        {"x": (None, 2)},
        {
            "h": N("linear", (None, 2), ["x"], {}, {"weight": [[1, 2], [3, 4]], "bias": [0, 1]}),
            "k": N("linear", (None, 2), ["x"], {}, {"weight": [[2, 2], [1, 4]], "bias": [0, 1]}),
            "v": N("add", (None, 2), ["h", "k"]),
            "y": N("linear", (None, 1), ["v"], {}, {"weight": [[3, 3]]}),
        },
        ["y"],
    )
    return Triple(g, h, {"h": lump([0, 0, 1], 2, [0, 2], {}, {1: 3}), "k": lump([0, 0, 1], 2, [0, 2], {}, {1: -3}), "v": lump([0, 0, 1], 2, [1, 2])})


@case
def mul() -> Triple:
    return two_operands("mul", hidden(), hidden(s=-1, t=1, c=-1), hidden(s=-2, t=3, c=-7), {}, {"s": -1, "t": 1, "c": -1})


@case
def mul_ghost_gates() -> Triple:
    """Gates with offsets are ghosts of one unit each: nothing is known of their product, and nothing reads it."""
    triple = two_operands(
        "mul", hidden(o=3), hidden(o=4, c=-1), lump([0, 2, 0, -1, 1, 3, 4, 4], 2, [0, 4, 1, 5, 6], {2: 4, 7: 9}, {3: -7}), {"o": 3}, {"o": 4, "c": -1}
    )
    triple.g.nodes["y"].params["weight"][:, 1] = 0
    triple.h.nodes["y"].params["weight"] = arr([[13, 5], [-4, 1]])
    triple.h.nodes["y"].params["bias"] = arr([-27, -15])
    return triple


@case
def one_number_per_example() -> Triple:
    """Values of shape (N,) have no unit axis; only equality carries them."""
    nodes = {
        "s": N("mean", (None,), ["x"], {"axes": [1], "keepdim": False}),
        "t": N("mul_constant", (None,), ["s"], {"axis": 0}, {"factor": 2}),
        "u": N("add_constant", (None,), ["t"], {"axis": 0}, {"term": 3}),
        "y": N("add", (None,), ["u", "s"]),
    }
    net = Net({"x": (None, 2)}, nodes, ["y"])
    return Triple(net, Net(net.inputs, {name: copy_node(net, name) for name in nodes}, ["y"]), {})


@case
def mul_by_zero() -> Triple:
    """Unit 3 is constantly zero in one operand and alive in the other."""
    triple = two_operands("mul", hidden(c=0), hidden(c=-1), hidden(s=4, t=9, c=0), {"c": 0}, {"c": -1})
    triple.g.nodes["k"].params["weight"][3] = 9, 9
    triple.lumpings["k"] = lump([0, 0, 0, 2, 1, 3, 4, 4], 2, [0, 4, 3, 5, 6], {2: 2, 7: 3})
    return triple


# --- convolution ---------------------------------------------------------------------------------


def conv_attrs(padding: int = 1, stride: int = 1, dilation: int = 1, groups: int = 1) -> dict[str, Any]:
    return {"stride": [stride] * 2, "padding": [padding] * 2, "dilation": [dilation] * 2, "groups": groups}


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@case
def conv_padded() -> Triple:
    """A constant channel is read through the centre tap only; the border taps of the others are free."""
    g_first = rng().integers(-3, 4, (3, 2, 3, 3)).astype("float32")
    g_first[1], g_first[2] = 2 * g_first[0], 0
    last = rng().integers(-3, 4, (2, 3, 3, 3)).astype("float32")
    last[:, 2] = 0
    last[0, 2, 1, 1] = 4
    g = Net(
        {"x": (None, 2, 4, 4)},
        {
            "h": N("conv", (None, 3, 4, 4), ["x"], conv_attrs(), {"weight": g_first, "bias": [1, 2, 5]}),
            "r": N("relu", (None, 3, 4, 4), ["h"]),
            "y": N("conv", (None, 2, 4, 4), ["r"], conv_attrs(), {"weight": last}),
        },
        ["y"],
    )
    h = Net(
        {"x": (None, 2, 4, 4)},
        {
            "h": N("conv", (None, 1, 4, 4), ["x"], conv_attrs(), {"weight": g_first[:1], "bias": [1]}),
            "r": N("relu", (None, 1, 4, 4), ["h"]),
            "y": N("conv", (None, 2, 4, 4), ["r"], conv_attrs(), {"weight": last[:, :1] + 2 * last[:, 1:2], "bias": [20, 0]}),
        },
        ["y"],
    )
    lumping = lump([0, 0, -1], 1, [0], {1: 2}, {2: 5})
    return Triple(g, h, {"h": lumping, "r": lumping})


@case
def conv_unpadded_tap() -> Triple:
    """Stride 2 with padding 1 on an even size: the last row of taps never leaves the input on the far side, so it may read a constant."""
    triple = conv_padded()
    for net in (triple.g, triple.h):
        net.nodes["y"].attrs = conv_attrs(stride=2)
        net.nodes["y"].shape = (None, 2, 2, 2)
    triple.g.nodes["y"].params["weight"][0, 2] = [[0, 0, 0], [0, 4, 1], [0, 2, 1]]
    triple.h.nodes["y"].params["bias"] = [40, 0]
    return triple


@case
def conv_strided() -> Triple:
    """A stride of 5 on 6 positions: kernels of two and of three, in either axis, have outputs of one shape. All taps are equal."""
    taps = np.ones((3, 2, 2, 3), "float32") * arr([3, 6, 0]).reshape(3, 1, 1, 1)
    first, small = ({"weight": taps[rows], "bias": arr([1, 2, 5])[rows]} for rows in (slice(3), slice(1)))
    read, less = ({"weight": arr(w).reshape(1, -1, 1, 1)} for w in ([1, 2, 3], [5]))

    def net(units: int, first: dict[str, Any], read: dict[str, Any]) -> Net:
        nodes = {
            "h": N("conv", (None, units, 1, 1), ["x"], conv_attrs(0, stride=5), first),
            "r": N("relu", (None, units, 1, 1), ["h"]),
            "y": N("conv", (None, 1, 1, 1), ["r"], conv_attrs(0), read),
        }
        return Net({"x": (None, 2, 6, 6)}, nodes, ["y"])

    lumping = lump([0, 0, -1], 1, [0], {1: 2}, {2: 5})
    return Triple(net(3, first, read), net(1, small, less | {"bias": [15]}), {"h": lumping, "r": lumping})


@case
def conv_grouped() -> Triple:
    """Four groups of one channel in, two out: channels 0 and 2 are equal, 1 and 3 are equal; classes span groups and two groups stay."""
    first = arr([[1, 2], [3, 4], [1, 2], [6, 8]]).reshape(4, 2, 1, 1)
    taps = rng().integers(-3, 4, (4, 2, 3, 3)).astype("float32")
    taps[2], taps[3] = taps[0], taps[1] / 2
    grouped = taps.reshape(8, 1, 3, 3)
    grouped[7] = 0
    read = arr([[1, 2, 3, 4, 5, 6, 7, 8]]).reshape(1, 8, 1, 1)
    # rows of the grouped layer: 0,1 on channel 0; 2,3 on 1; 4,5 on 2 (equal to 0,1); 6,7 on 3: 6 equals 2, 7 is constant 3
    triple = Triple(
        Net(
            {"x": (None, 2, 4, 4)},
            {
                "h": N("conv", (None, 4, 4, 4), ["x"], conv_attrs(0), {"weight": first}),
                "d": N("conv", (None, 8, 4, 4), ["h"], conv_attrs(groups=4), {"weight": grouped, "bias": [1, 2, 3, 4, 1, 2, 3, 3]}),
                "y": N("conv", (None, 1, 4, 4), ["d"], conv_attrs(0), {"weight": read}),
            },
            ["y"],
        ),
        Net(
            {"x": (None, 2, 4, 4)},
            {
                "h": N("conv", (None, 2, 4, 4), ["x"], conv_attrs(0), {"weight": first[:2]}),
                "d": N("conv", (None, 4, 4, 4), ["h"], conv_attrs(groups=2), {"weight": grouped[:4], "bias": [1, 2, 3, 4]}),
                "y": N("conv", (None, 1, 4, 4), ["d"], conv_attrs(0), {"weight": arr([[6, 8, 10, 4]]).reshape(1, 4, 1, 1), "bias": [24]}),
            },
            ["y"],
        ),
        {"h": lump([0, 1, 0, 1], 2, [0, 1], {3: 2}), "d": lump([0, 1, 2, 3, 0, 1, 2, -1], 4, [0, 1, 2, 3], {}, {7: 3})},
    )
    return triple


# --- layout --------------------------------------------------------------------------------------


@case
def flatten() -> Triple:
    """(N, 3, 2, 2) to (N, 12): channels 0 and 1 agree up to scale 2, channel 2 is constant."""
    first = arr([[1, 2], [2, 4], [0, 0]]).reshape(3, 2, 1, 1)
    read = rng().integers(-3, 4, (2, 12)).astype("float32")
    flat = lump([0, 1, 2, 3, 0, 1, 2, 3, -1, -1, -1, -1], 4, [0, 1, 2, 3], {4: 2, 5: 2, 6: 2, 7: 2}, {8: 5, 9: 5, 10: 5, 11: 5})
    reduced, bias = collapse(read, np.zeros(2), flat)
    return Triple(
        Net(
            {"x": (None, 2, 2, 2)},
            {
                "h": N("conv", (None, 3, 2, 2), ["x"], conv_attrs(0), {"weight": first, "bias": [1, 2, 5]}),
                "f": N("reshape", (None, 12), ["h"], {"shape": [12]}),
                "y": N("linear", (None, 2), ["f"], {}, {"weight": read}),
            },
            ["y"],
        ),
        Net(
            {"x": (None, 2, 2, 2)},
            {
                "h": N("conv", (None, 1, 2, 2), ["x"], conv_attrs(0), {"weight": first[:1], "bias": [1]}),
                "f": N("reshape", (None, 4), ["h"], {"shape": [4]}),
                "y": N("linear", (None, 2), ["f"], {}, {"weight": arr(reduced), "bias": arr(bias)}),
            },
            ["y"],
        ),
        {"h": lump([0, 0, -1], 1, [0], {1: 2}, {2: 5}), "f": flat},
    )


@case
def permute_and_unflatten() -> Triple:
    """(N, 6) to (N, 3, 2) to (N, 2, 3) and a linear layer on the last axis: units become an axis, then the axis moves."""
    first = arr([[1, 2], [3, 4], [1, 2], [3, 4], [5, 6], [7, 8]])
    read = arr([[1, 2, 3]])
    split, moved = lump([0, 0, 1], 2, [0, 2]), lump([0, 0, 1], 2, [0, 2], axis=2)
    flat = lump([0, 1, 0, 1, 2, 3], 4, [0, 1, 4, 5])

    def net(weight: np.ndarray, n: int, last: np.ndarray) -> Net:
        return Net(
            {"x": (None, 2)},
            {
                "h": N("linear", (None, 2 * n), ["x"], {}, {"weight": weight}),
                "u": N("reshape", (None, n, 2), ["h"], {"shape": [n, 2]}),
                "p": N("permute", (None, 2, n), ["u"], {"dims": [0, 2, 1]}),
                "y": N("linear", (None, 2, 1), ["p"], {}, {"weight": last}),
            },
            ["y"],
        )

    return Triple(net(first, 3, read), net(first[[0, 1, 4, 5]], 2, arr([[3, 3]])), {"h": flat, "u": split, "p": moved})


@case
def concat_units() -> Triple:
    """A unit of one operand; the operand of constants vanishes from the reduced concat; one value stands twice."""
    g = Net(
        {"x": (None, 2)},
        {
            "h": N("linear", (None, 2), ["x"], {}, {"weight": [[1, 2], [3, 6]]}),
            "c": N("linear", (None, 1), ["x"], {}, {"weight": [[0, 0]], "bias": [4]}),
            "k": N("linear", (None, 2), ["x"], {}, {"weight": [[5, 1], [1, 1]]}),
            "v": N("concat", (None, 5), ["h", "c", "k"], {"axis": 1}),
            "y": N("linear", (None, 1), ["v"], {}, {"weight": [[1, 2, 3, 4, 5]]}),
        },
        ["y"],
    )
    h = Net(
        {"x": (None, 2)},
        {
            "h": N("linear", (None, 1), ["x"], {}, {"weight": [[1, 2]]}),
            "k": N("linear", (None, 2), ["x"], {}, {"weight": [[5, 1], [1, 1]]}),
            "v": N("concat", (None, 3), ["h", "k"], {"axis": 1}),
            "y": N("linear", (None, 1), ["v"], {}, {"weight": [[7, 4, 5]], "bias": [12]}),
        },
        ["y"],
    )
    return Triple(g, h, {"h": lump([0, 0], 1, [0], {1: 3}), "c": lump([-1], 0, [], {}, {0: 4}), "v": lump([0, 0, -1, 1, 2], 3, [0, 3, 4], {1: 3}, {2: 4})})


@case
def concat_without_a_dropped_operand() -> Triple:
    """What nothing reads leaves the reduced concat; the columns behind it move up."""

    def net(inputs: list[str], last: Any) -> Net:
        rows = {"k": [[1, 0], [0, 1]], "h": [[1, 2], [3, 5]]}
        nodes = {name: N("linear", (None, 2), ["x"], {}, {"weight": rows[name]}) for name in inputs}
        nodes |= {"v": N("concat", (None, 2 * len(inputs)), inputs, {"axis": 1}), "y": N("linear", (None, 1), ["v"], {}, {"weight": last})}
        return Net({"x": (None, 2)}, nodes, ["y"])

    return Triple(net(["k", "h"], [[0, 0, 4, 5]]), net(["h"], [[4, 5]]), {"k": "dropped", "v": lump([2, 3, 0, 1], 2, [2, 3, 0, 1])})


@case
def concat_positions() -> Triple:
    """Two sequences of units under one lumping, joined on the position axis."""
    lumping = lump([0, 0], 1, [0], {1: 2}, axis=2)

    def net(weight: Any, n: int, last: Any) -> Net:
        return Net(
            {"x": (None, 3, 2), "z": (None, 1, 2)},
            {
                "h": N("linear", (None, 3, n), ["x"], {}, {"weight": weight}),
                "k": N("linear", (None, 1, n), ["z"], {}, {"weight": weight}),
                "v": N("concat", (None, 4, n), ["h", "k"], {"axis": 1}),
                "y": N("linear", (None, 4, 1), ["v"], {}, {"weight": last}),
            },
            ["y"],
        )

    return Triple(net([[1, 2], [2, 4]], 2, [[1, 1]]), net([[1, 2]], 1, [[3]]), {"h": lumping, "k": lumping, "v": lumping})


@case
def index_select_units() -> Triple:
    """Units 4, 0, 2, 4 again and the constant: a class read in another order, B before A, and a unit read twice."""
    return _selecting([4, 0, 2, 3, 4], [1, 0], lump([0, 1, 1, -1, 0], 2, [0, 1], {2: 2}, {3: 7}))


def _selecting(index: list[int], small: list[int], out: Lumping) -> Triple:
    triple = sandwich("identity", hidden())
    read, bias = READ[:, index], np.array([1.0, -1.0])
    for net, chosen, weight, shift in ((triple.g, index, read, bias), (triple.h, small, *collapse(read, bias, out))):
        net.nodes["v"] = N("index_select", (None, len(chosen)), ["h"], {"axis": 1, "index": chosen})
        net.nodes["y"].params = {"weight": arr(weight), "bias": arr(shift)}
    triple.lumpings["v"] = out
    return triple


# --- transposed convolutions ---------------------------------------------------------------------


def spread(**changes: Any) -> dict[str, Any]:
    return {"stride": [2], "padding": [0], "output_padding": [0], "dilation": [1], "groups": 1} | changes


def upwards(attrs: dict[str, Any], taps: Any, reduced: Any, bias: Any, positions: int, out: Lumping | None = None) -> Triple:
    """x -> h (A, 2A, the constant 7, B) -> y by a transposed convolution; `taps` (4, out, k) over h, `reduced` (2, out', k) over its columns."""
    pointwise = {"stride": [1], "padding": [0], "dilation": [1], "groups": 1}
    weight = np.stack([A, 2 * A, 0 * A, B])[:, :, None]
    values, less = arr(taps), arr(reduced)

    def net(w: np.ndarray, b: Any, t: np.ndarray, tb: Any) -> Net:
        y = N("conv_transpose", (None, len(tb), positions), ["h"], attrs | {"groups": len(tb) // t.shape[1]}, {"weight": t, "bias": arr(tb)})
        last = N("conv", (None, 1, positions), ["y"], dict(pointwise), {"weight": np.ones((1, len(tb), 1), "float32")})
        nodes = {"h": N("conv", (None, len(w), 3), ["x"], dict(pointwise), {"weight": arr(w), "bias": arr(b)}), "y": y, "z": last}
        return Net({"x": (None, 2, 3)}, nodes, ["z"])

    h = lump([0, 0, -1, 1], 2, [0, 3], {1: 2}, {2: 7})
    triple = Triple(net(weight, [1, 2, 7, -2], values, bias[0]), net(weight[[0, 3]], [1, -2], less, bias[1]), {"h": h})
    if out is not None:
        triple.lumpings["y"] = out
        triple.h.nodes["z"].params["weight"] = np.full((1, less.shape[1], 1), 3, "float32")
    return triple


@case
def index_select_some_units() -> Triple:
    """The second half of the units, of which nobody reads the last three: a slice."""
    return _selecting([4, 5, 6, 7], [1], lump([0, 1, 2, 2], 1, [0, 1, 2], {3: 3}))


@case
def index_select_positions() -> Triple:
    attrs = {"axis": 3, "index": [3, 0, 0]}
    return sandwich("index_select", hidden(s=-2, o=3), attrs, spatial=(4, 4), after=(4, 3), s=-2, o=3)


@case
def conv_transpose() -> Triple:
    """Stride 2, kernel 2: every position reads one tap, and the constant's taps are equal; the second channel out is twice the first."""
    one = [[1, 2], [3, 4], [5, 5], [6, 7]]
    taps = [[row, [2 * w for w in row]] for row in one]
    return upwards(spread(), taps, [[[7, 10]], [[6, 7]]], ([1, 2], [36]), 6, lump([0, 0], 1, [0], {1: 2}))


@case
def conv_transpose_uneven() -> Triple:
    """Stride 2, kernel 3, padding 1: positions read the middle tap or both others, whose sums are equal but at the last one (output padding)."""
    taps = [[[1, 2, 3]], [[0, 1, 0]], [[0, 0, 0]], [[6, 7, 8]]]
    return upwards(spread(padding=[1], output_padding=[1]), taps, [[[1, 4, 3]], [[6, 7, 8]]], ([1], [1]), 6)


@case
def conv_transpose_groups() -> Triple:
    """Two groups of two: the first of A and 2A would need a group of one, so all units stay; only what reads y is merged."""
    taps = [[[1, 2]], [[3, 4]], [[5, 6]], [[7, 8]]]
    triple = upwards(spread(dilation=[2]), taps, [[[1, 2]], [[7, 8]]], ([1, 2], [1, 2]), 7)
    triple.h.nodes = {name: copy_node(triple.g, name) for name in triple.g.nodes}
    triple.lumpings = {}
    return triple


@case
def conv_transpose_depthwise() -> Triple:
    """One channel a group, the second twice the first with the same taps; the constant's single tap is read at every position of a kernel of one."""
    triple = upwards(spread(stride=[1]), [[[2]], [[2]], [[3]], [[5]]], [[[2]], [[5]]], ([1, 2, 4, 1], [1, 1]), 3)
    triple.lumpings["y"] = lump([0, 0, -1, 1], 2, [0, 3], {1: 2}, {2: 25})
    triple.h.nodes["z"].params = {"weight": arr([[[3], [1]]]), "bias": arr([25])}
    return triple


# --- embedding -----------------------------------------------------------------------------------

TABLE = {"A": [1, -2, 0.5, 4], "B": [3, 3, 1, 0], "P": [0, 1, 5, 2]}


@case
def embedding() -> Triple:
    """Columns A, A + 1, -A/2, the constant 7, B; ghosts P and 3P + 2; looked up by four integers."""
    a, b, p = (np.array(TABLE[name]) for name in "ABP")
    table = np.stack([a, a + 1, -a / 2, 0 * a + 7, b, p, 3 * p + 2], axis=1)
    out = lump([0, 0, 0, -1, 1, 2, 2], 2, [0, 4, 5], {2: F(-1, 2), 6: 3}, {1: 1, 3: 7, 6: 2}, axis=2)
    read = arr([[1, 2, 4, 4, 5, -3, 1], [0, 1, -2, 2, 1, 0, 0]])
    reduced, bias = collapse(read, np.array([2.0, -1.0]), out)

    def net(t: np.ndarray, r: np.ndarray, rb: Any) -> Net:
        e = N("embedding", (None, 3, t.shape[1]), ["x"], {"padding_idx": -1}, {"weight": arr(t)})
        return Net({"x": (None, 3)}, {"e": e, "y": N("linear", (None, 3, 2), ["e"], {}, {"weight": arr(r), "bias": arr(rb)})}, ["y"], choices={"x": 4})

    return Triple(net(table, read, [2, -1]), net(table[:, [0, 4]], reduced, bias), {"e": out})


@case
def softmax_of_positions() -> Triple:
    """What is added at all positions cancels; a constant has equal shares."""
    return sandwich("softmax", hidden(s=1, t=1, c=F(1, 4)), {"axis": 3}, spatial=(2, 4), s=1, t=1, o=3)


# --- pooling -------------------------------------------------------------------------------------


def pool(**changes: Any) -> dict[str, Any]:
    return {"kernel": [2, 2], "stride": [2, 2], "padding": [0, 0], "ceil_mode": False} | changes


def average(**changes: Any) -> dict[str, Any]:
    return pool(count_include_pad=True, divisor_override=None) | changes


@case
def max_pool() -> Triple:
    attrs = pool(dilation=[1, 1], padding=[1, 1])
    return sandwich("max_pool", hidden(o=3), attrs, spatial=(4, 4), after=(3, 3), o=3)


@case
def avg_pool() -> Triple:
    return sandwich("avg_pool", hidden(s=-2, o=3), average(), spatial=(4, 4), after=(2, 2), s=-2, o=3)


@case
def avg_pool_uncounted_padding() -> Triple:
    attrs = average(padding=[1, 1], count_include_pad=False)
    return sandwich("avg_pool", hidden(o=3), attrs, spatial=(4, 4), after=(3, 3), o=3)


@case
def avg_pool_counted_padding() -> Triple:
    attrs = average(padding=[1, 1])
    return sandwich("avg_pool", hidden(s=-2, c=0), attrs, spatial=(4, 4), after=(3, 3), s=-2, c=0)


@case
def avg_pool_ceil() -> Triple:
    """Size 5, windows of 2: the last window holds one element, and the overhang beyond the padding is not counted."""
    return sandwich("avg_pool", hidden(o=3), average(ceil_mode=True), spatial=(5, 5), after=(3, 3), o=3)


@case
def avg_pool_divisor() -> Triple:
    return sandwich("avg_pool", hidden(o=3), average(divisor_override=4), spatial=(4, 4), after=(2, 2), o=3)


@case
def adaptive_avg_pool() -> Triple:
    return sandwich("adaptive_avg_pool", hidden(s=-2, o=3), {"output_size": [3, 2]}, spatial=(4, 4), after=(3, 2), s=-2, o=3)


@case
def adaptive_max_pool() -> Triple:
    return sandwich("adaptive_max_pool", hidden(o=3), {"output_size": [3, 2]}, spatial=(4, 4), after=(3, 2), o=3)


@case
def mean() -> Triple:
    return sandwich("mean", hidden(s=-2, o=3), {"axes": [2, 3], "keepdim": False}, spatial=(4, 4), after=(), s=-2, o=3)


@case
def mean_keepdim() -> Triple:
    return sandwich("mean", hidden(s=-2, o=3), {"axes": [3], "keepdim": True}, spatial=(4, 4), after=(4, 1), s=-2, o=3)


@case
def mean_moves_the_unit_axis() -> Triple:
    """(N, 3, 8) averaged over axis 1: units on axis 2 arrive on axis 1."""
    triple = sandwich("mean", hidden(), {"axes": [1], "keepdim": False})
    for net in (triple.g, triple.h):
        net.inputs["x"] = (None, 3, 2)
        net.nodes["h"].shape = (None, 3, *net.nodes["h"].shape[1:])
    triple.lumpings["h"] = hidden(axis=2)
    return triple


@case
def mean_keeps_an_axis_before_the_units() -> Triple:
    """(N, 3, 8) averaged over axis 1 and kept: units stay on axis 2."""
    triple = sandwich("mean", hidden(axis=2), {"axes": [1], "keepdim": True})
    for net in (triple.g, triple.h):
        net.inputs["x"] = (None, 3, 2)
        for name, node in net.nodes.items():
            node.shape = (None, 3 if name == "h" else 1, *node.shape[1:])
    triple.lumpings["h"] = hidden(axis=2)
    return triple


@case
def max_pool_of_one_axis_with_dilation() -> Triple:
    attrs = {"kernel": [3], "stride": [1], "padding": [1], "dilation": [2], "ceil_mode": False}
    return sandwich("max_pool", hidden(o=3), attrs, spatial=(4,), after=(2,), o=3)


@case
def avg_pool_of_three_axes() -> Triple:
    return sandwich("avg_pool", hidden(o=3), average(kernel=[1, 2, 1], stride=[1] * 3, padding=[0] * 3), spatial=(1, 2, 1), after=(1, 1, 1), o=3)


@case
def adaptive_avg_pool_of_three_axes() -> Triple:
    return sandwich("adaptive_avg_pool", hidden(o=3), {"output_size": [1, 1, 1]}, spatial=(1, 2, 1), after=(1, 1, 1), o=3)


@case
def conv_whose_groups_stay() -> Triple:
    """Two groups of two channels and two rows; one channel and one row of each stay, and so do the groups."""

    def net(first: Any, weight: Any, last: Any) -> Net:
        conv = {"stride": [1], "padding": [0], "dilation": [1]}
        n, w = len(first), arr(weight)[:, :, None]
        return Net(
            {"x": (None, 2, 1)},
            {
                "h": N("conv", (None, n, 1), ["x"], conv | {"groups": 1}, {"weight": arr(first).reshape(n, 2, 1), "bias": [1] * n}),
                "v": N("conv", (None, len(w), 1), ["h"], conv | {"groups": 2}, {"weight": w}),
                "y": N("conv", (None, 1, 1), ["v"], conv | {"groups": 1}, {"weight": arr(last).reshape(1, len(w), 1)}),
            },
            ["y"],
        )

    g = net([[1, 2], [1, 2], [3, -1], [6, -2]], [[1, 2], [2, 1], [1, 2], [2, 4]], [1, 1, 1, 1])
    g.nodes["h"].params["bias"] = [1, 4, 1, 2]
    h = net([[1, 2], [3, -1]], [[3], [5]], [2, 3])
    h.nodes["v"].params["bias"] = [6, 0]
    h.nodes["y"].params["bias"] = [-3]
    twos = {"h": lump([0, 0, 1, 1], 2, [0, 2], {3: 2}, {1: 3}), "v": lump([0, 0, 1, 1], 2, [0, 2], {3: 2}, {1: -3})}
    return Triple(g, h, twos)


@case
def conv_depthwise_of_scaled_channels() -> Triple:
    """h1 is twice h0, and goes through half the weight: both rows of the depthwise layer are one."""

    def net(first: Any, weight: Any, last: float) -> Net:
        conv = {"stride": [1], "padding": [0], "dilation": [1]}
        n = len(first)
        return Net(
            {"x": (None, 2, 1)},
            {
                "h": N("conv", (None, n, 1), ["x"], conv | {"groups": 1}, {"weight": arr(first).reshape(n, 2, 1)}),
                "v": N("conv", (None, n, 1), ["h"], conv | {"groups": n}, {"weight": arr(weight).reshape(n, 1, 1)}),
                "y": N("conv", (None, 1, 1), ["v"], conv | {"groups": 1}, {"weight": np.full((1, n, 1), last, "float32")}),
            },
            ["y"],
        )

    return Triple(net([[1, 2], [2, 4]], [6, 3], 1), net([[1, 2]], [6], 2), {"h": lump([0, 0], 1, [0], {1: 2}), "v": lump([0, 0], 1, [0])})


@case
def sum_over_positions() -> Triple:
    """Offset 3 and constant 7 count sixteen times."""
    return sandwich("sum", hidden(s=-2, o=48, c=112), {"axes": [2, 3], "keepdim": False}, spatial=(4, 4), after=(), s=-2, o=3)


@case
def amax() -> Triple:
    return sandwich("amax", hidden(o=3), {"axes": [3], "keepdim": True}, spatial=(4, 4), after=(4, 1), o=3)


@case
def amin() -> Triple:
    return sandwich("amin", hidden(o=3), {"axes": [2, 3], "keepdim": False}, spatial=(4, 4), after=(), o=3)


@case
def upsample() -> Triple:
    return sandwich("upsample", hidden(s=-2, o=3), {"scales": [2, 3], "mode": "nearest"}, spatial=(2, 2), after=(4, 6), s=-2, o=3)


@case
def pad_with_zeros() -> Triple:
    attrs = {"pads": [[0, 0], [1, 0], [0, 2]], "mode": "constant", "value": 0.0}
    return sandwich("pad", hidden(s=-2, c=0), attrs, spatial=(2, 2), after=(3, 4), s=-2, c=0)


@case
def pad_around_its_value() -> Triple:
    """Padding 3: scale 2 with offset -3 maps it to itself, and so does the constant 3."""
    triple = sandwich("pad", hidden(c=3), {"pads": [[0, 0], [1, 1], [1, 1]], "mode": "constant", "value": 3.0}, spatial=(2, 2), after=(4, 4), c=3)
    own = lump(CLASSES, 2, REPS, {2: 2, 7: 3}, {2: -3, 3: 3, 7: -6})
    triple.lumpings |= {"h": own, "v": own}
    first = triple.g.nodes["h"].params["bias"]
    first[2], first[7] = 2 * first[0] - 3, 3 * first[6] - 6
    reduced, bias = collapse(READ, np.array([1.0, -1.0]), own)
    triple.h.nodes["y"].params = {"weight": arr(reduced).reshape(2, 2, 1, 1), "bias": arr(bias)}
    return triple


@case
def pad_units() -> Triple:
    """Two units of 5 before and one behind: the first a kept column of its own, the second a multiple of it, the last a constant."""
    out = lump([0, 0, *[1, 1, 1, -1, 2, 3, 4, 4], -1], 3, [0, 2, 6, 7, 8], {1: 2, 4: 2, 9: 3}, {1: -5, 5: 7, 10: 5})
    triple = sandwich("identity", hidden())
    read, bias = np.concatenate([READ[:, :2], READ, READ[:, :1]], axis=1), np.array([1.0, -1.0])
    for net, pads, weight, shift in ((triple.g, [2, 1], read, bias), (triple.h, [1, 0], *collapse(read, bias, out))):
        net.nodes["v"] = N("pad", (None, weight.shape[1]), ["h"], {"pads": [pads], "mode": "constant", "value": 5.0})
        net.nodes["y"].params = {"weight": arr(weight), "bias": arr(shift)}
    triple.lumpings["v"] = out
    return triple


@case
def pad_units_of_positions() -> Triple:
    """The same around channels of two positions, which are not padded."""
    flat, triple = pad_units(), sandwich("identity", hidden(), spatial=(2,))
    for net, model in ((triple.g, flat.g), (triple.h, flat.h)):
        (pads,) = model.nodes["v"].attrs["pads"]
        net.nodes["v"] = N("pad", (*model.nodes["v"].shape, 2), ["h"], model.nodes["v"].attrs | {"pads": [pads, [0, 0]]})
        net.nodes["y"].params = {"weight": model.nodes["y"].params["weight"][..., None], "bias": model.nodes["y"].params["bias"]}
    triple.lumpings["v"] = flat.lumpings["v"]
    return triple


@case
def pad_reflecting() -> Triple:
    attrs = {"pads": [[0, 0], [1, 0], [0, 2]], "mode": "reflect", "value": 0.0}
    return sandwich("pad", hidden(s=-2, o=3), attrs, spatial=(3, 3), after=(4, 5), s=-2, o=3)


@case
def pad_circular() -> Triple:
    attrs = {"pads": [[0, 0], [2, 0], [1, 1]], "mode": "circular", "value": 0.0}
    return sandwich("pad", hidden(o=3), attrs, spatial=(2, 3), after=(4, 5), o=3)


@case
def prelu() -> Triple:
    """Slopes by class; the constant -7 is bent by its own."""
    slope = [0.25, 0.25, 0.25, 0.5, 2, -1, 0.5, 0.5]
    return sandwich("prelu", hidden(c=-3.5), {}, {"slope": slope}, {"slope": [0.25, 2]}, c=-7)


@case
def prelu_of_one_slope() -> Triple:
    return sandwich("prelu", hidden(c=7), {}, {"slope": [0.25]}, {"slope": [0.25]}, spatial=(2, 2))


# --- pinned --------------------------------------------------------------------------------------


@case
def pinned() -> Triple:
    """Softmax and an opaque layer norm between equal values, with a reducible layer in front."""
    call = {"target": "aten.layer_norm.default", "args": [{"input": 0}, [2], {"param": "0"}, None, 1e-05], "kwargs": {}, "output": None}

    def net(weight: Any, n: int, read: Any) -> Net:
        return Net(
            {"x": (None, 2)},
            {
                "h": N("linear", (None, n), ["x"], {}, {"weight": weight}),
                "v": N("linear", (None, 2), ["h"], {}, {"weight": read}),
                "s": N("softmax", (None, 2), ["v"], {"axis": 1}),
                "y": N("opaque", (None, 2), ["s"], dict(call), {"0": arr([1.5, 0.0])}),
            },
            ["y"],
        )

    return Triple(net([[1, 2], [2, 4]], 2, [[1, 1], [0, 2]]), net([[1, 2]], 1, [[3], [4]]), {"h": lump([0, 0], 1, [0], {1: 2})})


@case
def widened_dtype() -> Triple:
    """A float64 reduction of a float32 network."""
    triple = sandwich("relu", hidden())
    triple.h.dtype = "float64"
    for node in triple.h.nodes.values():
        node.params = {role: arr(value, "float64") for role, value in node.params.items()}
    return triple


@case
def narrowed_dtype() -> Triple:
    """A float32 reduction of a float64 network, its weights correctly rounded."""
    triple = sandwich("relu", hidden(), dtype="float64")
    triple.g.nodes["y"].params["weight"][0, 0] += 2.0**-40
    triple.g.nodes["h"].params["weight"][4, 0] += 2.0**-40
    triple.h.dtype, triple.rounding = "float32", "nearest"
    for node in triple.h.nodes.values():
        node.params = {role: arr(value, "float32") for role, value in node.params.items()}
    return triple


@case
def narrowed_scalar() -> Triple:
    """A scalar factor is rounded with the rest."""
    triple = sandwich("mul_constant", hidden(c=F(7, 2), o=F(3, 2)), {"axis": 1}, {"factor": 0.5}, {"factor": 0.5}, o=3, dtype="float64")
    triple.g.nodes["v"].params["factor"] = np.array(0.5 + 2.0**-40)
    factor = F(1, 2) + F(1, 2**40)
    triple.lumpings["v"] = hidden(c=7 * factor, o=3 * factor)
    triple.h.dtype, triple.rounding = "float32", "nearest"
    for node in triple.h.nodes.values():
        node.params = {role: arr(value, "float32") for role, value in node.params.items()}
    return triple


def gone(kind: str, attrs: dict[str, Any], shape: tuple[int, ...] = (2,), after: tuple[int, ...] = (2,), out: Any = None, **params: Any) -> None:
    """Two equal units go, and so does what an operator makes of them: the claim about both is checked, and nothing is left of them."""

    def build() -> Triple:
        rows = arr([[1, 2], [1, 2]])
        layer = {"weight": rows} if len(shape) == 1 or shape[-1] == 2 else {"weight": rows.reshape(2, 2, 1)}
        first = {"stride": [1], "padding": [0], "dilation": [1], "groups": 1} if layer["weight"].ndim == 3 else {}
        h = N("conv" if first else "linear", (None, *shape), ["x"], first, layer)
        v = N(kind, (None, *after), ["h"], attrs, {role: arr(p) for role, p in params.items()})
        axis = 1 if first or len(shape) == 1 else len(shape)
        y = N("relu", (None, *shape), ["x"])
        nodes: dict[str, N] = {"h": h, "v": v, "y": y}
        both = lump([0, 0], 0, [0], axis=axis)
        tied = lump([0] * (after[axis - 1] if len(after) >= axis else after[0]), 0, [0], axis=min(axis, len(after))) if out is None else out
        return Triple(Net({"x": (None, *shape)}, nodes, ["y"]), Net({"x": (None, *shape)}, {"y": y}, ["y"]), {"h": both, "v": tied})

    CASES[f"{kind} on {len(after)} axes with {len(params)} parameters of what has gone"] = build


gone("batch_norm", {"eps": 1.0}, mean=[1, 1], var=[2, 2], weight=[3, 3], bias=[4, 4])
gone("batch_norm", {"eps": 1.0}, mean=[1, 1], var=[2, 2])
gone("add_constant", {"axis": 1}, term=[3, 3])
gone("mul_constant", {"axis": 1}, factor=[3, 3])
gone("linear", {}, weight=[[1, 2], [1, 2]])
gone("prelu", {}, slope=[0.5, 0.5])
gone("index_select", {"axis": 1, "index": [1, 0, 1]}, after=(3,))
gone("reshape", {"shape": [2, 1]}, after=(2, 1))
gone("pad", {"pads": [[0, 0], [1, 0]], "mode": "constant", "value": 0.0}, (2, 3), (2, 4))
gone("pad", {"pads": [[1, 0]], "mode": "constant", "value": 7.0}, (2,), (3,), lump([-1, 0, 0], 0, [1], {}, {0: 7}))
gone("rnn", {"nonlinearity": "tanh", "reverse": False}, (3, 2), (3, 2), weight_ih=[[1, 2], [1, 2]], weight_hh=[[1, 1], [1, 1]])


@case
def table_of_what_has_gone() -> Triple:
    def net(more: dict[str, N]) -> Net:
        y = N("embedding", (None, 1), ["x"], {}, {"weight": arr([[1], [2]])})
        return Net({"x": (None,)}, more | {"y": y}, ["y"], choices={"x": 2})

    e = N("embedding", (None, 3), ["x"], {}, {"weight": arr([[1, 1, 3], [2, 2, 5]])})
    return Triple(net({"e": e}), net({}), {"e": lump([0, 0, 0], 0, [0], {2: 2}, {2: 1})})


@case
def quotients_may_go() -> Triple:
    """What nothing reads goes, with the inputs at which it is undefined."""
    call = {"target": "aten.layer_norm.default", "args": [{"input": 0}, [2], {"param": "0"}, None, 1e-05], "kwargs": {}, "output": None}

    def net(more: dict[str, N]) -> Net:
        return Net({"x": (None, 2), "z": (None, 2)}, more | {"y": N("relu", (None, 2), ["x"])}, ["y"])

    return Triple(
        net({"q": N("div", (None, 2), ["x", "z"]), "o": N("opaque", (None, 2), ["x"], call, {"0": [1, 2]})}), net({}), {"q": "dropped", "o": "dropped"}
    )


@case
def weights_of_all_sizes() -> Triple:
    """Sums that float64 does not hold: of a member and its representative, of a constant, and of what is kept."""
    tiny = 2.0**-40
    rows = arr([[1, tiny, 5, 0], [tiny, 1, 0, 5], [tiny, 1, -1, 0], [0, 0, 0, 0]])
    rows[2, 3] = -tiny
    merged, v = lump([0, 0, 0, 0], 1, [0]), lump([0, 0, -1, -1], 1, [0], {}, {2: 3, 3: 4})

    def net(first: Any, weight: Any, bias: Any, last: Any, c: Any) -> Net:
        nodes = {"h": N("linear", (None, len(first)), ["x"], {}, {"weight": arr(first)})}
        nodes["v"] = N("linear", (None, len(weight)), ["h"], {}, {"weight": arr(weight), "bias": bias})
        return Net({"x": (None, 2)}, nodes | {"y": N("linear", (None, 1), ["v"], {}, {"weight": arr(last), "bias": c})}, ["y"])

    rows[:2, 2:] = 0
    rows[:2, :2] = [[1, 2.0**-20], [2.0**-20, 1]]
    return Triple(net([[1, 2]] * 4, rows, [1, 1, 3, 4], [[1, 1, 1, 1]], [0]), net([[1, 2]], [[1 + 2.0**-20]], [1], [[2]], [7]), {"h": merged, "v": v})


@case
def identical() -> Triple:
    triple = sandwich("tanh", hidden())
    triple.h = triple.g
    triple.lumpings = {}
    return triple


# --- attention -----------------------------------------------------------------------------------


def attending(q: Any, k: Any, v: Any, read: Any, heads: int, kv: int, causal: bool = False) -> Net:
    """x (3 tokens of 2) -> q, k, v, rows of (weight, weight, bias) -> attention of scale 1/2 -> y."""
    nodes = {}
    for name, rows in (("q", q), ("k", k), ("v", v)):
        table = np.array(rows, float)
        nodes[name] = N("linear", (None, 3, len(table)), ["x"], {}, {"weight": arr(table[:, :2]), "bias": arr(table[:, 2])})
    weight, bias = np.array(read[0], float), np.array(read[1], float)
    nodes["a"] = N("attention", (None, 3, weight.shape[1]), ["q", "k", "v"], {"heads": heads, "kv_heads": kv, "scale": 0.5, "causal": causal})
    nodes["y"] = N("linear", (None, 3, len(weight)), ["a"], {}, {"weight": arr(weight), "bias": arr(bias)})
    return Net({"x": (None, 3, 2)}, nodes, ["y"])


@case
def attention() -> Triple:
    """Head 1 is head 0 with doubled queries, halved and shifted keys, and values 3v + 5; head 3 has the value 7."""
    q, k, v = [[1, 2, 1], [3, -1, 2]], [[2, 4, 0], [6, 2, 4]], [[1, 1, 1]]
    q2, k2, v2 = [[1, 0, 3], [0, 1, 0]], [[1, 1, 1], [2, 0, 0]], [[0, 2, 1]]
    other = [[5, 7, 0], [7, 5, 0]]
    g = attending(
        [*q, *(2 * np.array(q)), *q2, *other],
        [*k, [1, 2, 9], [3, 1, -1], *k2, *other],
        [*v, [3, 3, 8], *v2, [0, 0, 7]],
        ([[1, 2, 3, 4], [0, 1, -1, 2]], [1, 0]),
        4,
        4,
    )
    h = attending([*q, *q2], [*k, *k2], [*v, *v2], ([[7, 3], [3, -1]], [39, 19]), 2, 2)
    reps = [0, 1, 4, 5, 6, 7]
    classes = [0, 1, 0, 1, 2, 3, 4, 5]
    lumpings = {
        "q": lump(classes, 4, reps, {2: 2, 3: 2}, axis=2),
        "k": lump(classes, 4, reps, {2: F(1, 2), 3: F(1, 2)}, {2: 9, 3: -3}, axis=2),
        "v": lump([0, 0, 1, -1], 2, [0, 2], {1: 3}, {1: 5, 3: 7}, axis=2),
        "a": lump([0, 0, 1, -1], 2, [0, 2], {1: 3}, {1: 5, 3: 7}, axis=2),
    }
    return Triple(g, h, lumpings)


@case
def attention_of_wide_values() -> Triple:
    """Two heads of their own with two values each, of which the second is a multiple of the first."""
    q, k = [[1, 2, 1], [3, -1, 2]], [[2, 4, 0], [6, 2, 4]]
    g = attending(q, k, [[1, 1, 1], [2, 2, 2], [0, 2, 1], [0, 6, 3]], ([[1, 2, 3, 4], [0, 1, -1, 2]], [1, 0]), 2, 2)
    h = attending(q, k, [[1, 1, 1], [0, 2, 1]], ([[5, 15], [2, 5]], [1, 0]), 2, 2)
    twos = lump([0, 0, 1, 1], 2, [0, 2], {1: 2, 3: 3}, axis=2)
    return Triple(g, h, {"v": twos, "a": twos})


@case
def attention_narrower() -> Triple:
    """One key head for two query heads; the first key unit is a constant, the third query unit is zero in both heads: of width 3 is left 1."""
    g = attending(
        [[5, 6, 0], [1, 2, 3], [0, 0, 0], [7, 8, 0], [2, 2, 1], [0, 0, 0]],
        [[0, 0, 4], [3, 1, 2], [6, 6, 6]],
        [[1, 2, 3]],
        ([[1, 2]], [0]),
        2,
        1,
        causal=True,
    )
    h = attending([[1, 2, 3], [2, 2, 1]], [[3, 1, 2]], [[1, 2, 3]], ([[1, 2]], [0]), 2, 1, causal=True)
    lumpings = {
        "q": lump([2, 0, -1, 3, 1, -1], 2, [1, 4, 0, 3], axis=2),
        "k": lump([-1, 0, 1], 1, [1, 2], {}, {0: 4}, axis=2),
    }
    return Triple(g, h, lumpings)
