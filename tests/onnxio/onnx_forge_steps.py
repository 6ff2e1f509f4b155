"""The steps of the forge, one operator (or family) each."""

from __future__ import annotations

import numpy as np
from onnx_forge import Forge, Misfit, step

PLAIN = ["Relu", "Tanh", "Sigmoid", "Abs", "Erf", "Sin", "Cos", "Softsign", "Neg", "Identity", "Softplus"]
SHARP = ["Floor", "Ceil", "Round", "Sign"]


@step
def plain(f: Forge) -> None:
    f.add(str(f.rng.choice(PLAIN)), [f.pick()[0]])


@step
def newer(f: Forge) -> None:
    since = {"HardSwish": 14, "Mish": 18, "Gelu": 20}
    operator = str(f.rng.choice(list(since)))
    if f.opset < since[operator]:
        raise Misfit
    f.add(operator, [f.pick()[0]], **({"approximate": "tanh"} if operator == "Gelu" and f.maybe() else {}))


@step
def sharp(f: Forge) -> None:
    """Functions with jumps, on the input only: rounding must not decide."""
    f.add(str(f.rng.choice(SHARP)), f.add("Add", ["input", f.const(f.rng.normal() + 0.123456)]))


@step
def with_attributes(f: Forge) -> None:
    x, number = f.pick()[0], lambda: float(f.rng.normal())
    attrs = {
        "LeakyRelu": {"alpha": abs(number())}, "Elu": {"alpha": abs(number())}, "Celu": {"alpha": abs(number()) + 0.1}, "Selu": {},
        "HardSigmoid": {"alpha": number(), "beta": number()}, "ThresholdedRelu": {"alpha": abs(number())},
    }  # fmt: skip
    operator = str(f.rng.choice(list(attrs)))
    f.add(operator, [x], **(attrs[operator] if f.maybe(0.7) else {}))


@step
def domains(f: Forge) -> None:
    """Logarithms, roots and powers where they are defined."""
    (x,) = f.add("Abs", [f.pick()[0]])
    (x,) = f.add("Add", [x, f.const(0.5)])
    operator = str(f.rng.choice(["Log", "Sqrt", "Reciprocal", "Pow", "Exp"]))
    if operator == "Exp":
        (x,) = f.add("Neg", [x])
    f.add(operator, [x, *([f.const(f.rng.choice([2.0, 0.5, 3.0, -1.0, 1.7]))] if operator == "Pow" else [])])


@step
def clip(f: Forge) -> None:
    limits = [f.const(f.rng.normal() if f.maybe(0.7) else 0.0) if f.maybe(0.7) else "" for _ in range(2)]
    f.add("Clip", [f.pick()[0], *limits])


@step
def prelu(f: Forge) -> None:
    x, s = f.pick(2, 3, 4)
    shape = [[s[0]] + [1] * (len(s) - 1), [1], [1, s[0]] + [1] * (len(s) - 1), [s[-1]]][f.int(0, 3)]
    f.add("PRelu", [x, f.const(f.rng.random(shape))])


@step
def softmax(f: Forge) -> None:
    x, s = f.pick()
    f.add(str(f.rng.choice(["Softmax", "LogSoftmax"])), [x], axis=f.int(-len(s) - 1, len(s)) if f.maybe(0.8) else None)


@step
def dropout(f: Forge) -> None:
    x = f.pick()[0]
    f.add("Dropout", [x, f.const(0.3)] if f.maybe() else [x])


@step
def cast(f: Forge) -> None:
    f.add("Cast", [f.pick()[0]], to=1)


@step
def with_constant(f: Forge) -> None:
    x, s = f.pick()
    shape = list(s)
    for k in range(len(shape)):
        if f.maybe(0.6):
            shape[k] = 1
    shape = [[], shape, [1, *shape], shape[f.int(0, len(shape)) :]][f.int(0, 3)]
    array = f.rng.normal(size=shape)
    array = np.full(shape, f.rng.normal()) if f.maybe(0.2) else array
    c = f.const(np.where(abs(array) < 0.1, 0.5, array))
    operator = str(f.rng.choice(["Add", "Sub", "Mul", "Div"]))
    f.add(operator, [x, c] if operator == "Div" or f.maybe(0.6) else [c, x])


@step
def quotient_of_constant(f: Forge) -> None:
    x = f.add("Add", [*f.add("Abs", [f.pick()[0]]), f.const(1.0)])[0]
    f.add("Div", [f.const(f.rng.normal()), x])


@step
def of_two(f: Forge) -> None:
    x, s = f.pick()
    others = [n for n, t in f.values.items() if len(t) == len(s) and all(a in (1, b) or b == 1 for a, b in zip(s, t, strict=True))]
    operator = str(f.rng.choice(["Add", "Sub", "Mul", "Max", "Min", "Sum"]))
    f.add(operator, [x, str(f.rng.choice(others))])


@step
def gated(f: Forge) -> None:
    x = f.pick()[0]
    f.add("Mul", [x, f.add("Sigmoid", [x])[0]])


@step
def quotient(f: Forge) -> None:
    x = f.pick()[0]
    bottom = f.add("Add", [*f.add("Abs", [x]), f.const(1.0)])[0]
    f.add("Div", [x, bottom])


@step
def gemm(f: Forge) -> None:
    x, (k,) = f.pick(2)
    m, across = f.int(1, 6), f.int(0, 1)
    weight = f.weight(m, k) if across else f.weight(k, m)
    addend = [[], [f.const(f.rng.normal(size=m))], [f.const(f.rng.normal(size=(1, m)))], [f.const(0.7)], [f.const(f.rng.normal(size=(1, 1)))]][f.int(0, 4)]
    attrs = {"alpha": float(f.rng.choice([1, 2, 0.3])), "beta": float(f.rng.choice([1, 0.5, 0.7]))} if f.maybe(0.4) else {}
    f.add("Gemm", [x, weight, *addend], transB=across, **attrs)


@step
def matmul(f: Forge) -> None:
    x, s = f.pick()
    m, way = f.int(1, 5), f.int(0, 5)
    if way <= 2:
        f.add("MatMul", [x, f.weight(s[-1], m)])
    elif way == 3:
        f.add("MatMul", [x, f.weight(s[-1])])
    elif way == 4 and len(s) > 1:
        f.add("MatMul", [f.weight(m, s[-2]), x])
    else:
        f.add("MatMul", [x, f.const(f.rng.normal(size=[1] * (len(s) - 1) + [s[-1], m]))])


@step
def biased_matmul(f: Forge) -> None:
    x, s = f.pick()
    m = f.int(1, 5)
    y = f.add("MatMul", [x, f.weight(s[-1], m)])[0]
    f.add("Add", [y, f.weight(m)] if f.maybe() else [f.weight(m), y])


@step
def attention_product(f: Forge) -> None:
    x, s = f.pick(3, 4)
    turned = f.add("Transpose", [x], perm=[*range(len(s) - 1), len(s), len(s) - 1])[0]
    f.add("MatMul", [x, turned])


def _spatial(f: Forge) -> tuple[str, list[int], int]:
    x, s = f.pick(3, 4)
    return x, s, len(s) - 1


def _pads(f: Forge, kernel: list[int], attrs: dict) -> None:
    way = f.rng.random()
    if way < 0.25:
        attrs["auto_pad"] = str(f.rng.choice(["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"]))
    elif way < 0.7:
        half = [f.int(0, (k - 1) // 2 + f.int(0, 1)) for k in kernel]
        attrs["pads"] = half + (half if f.maybe(0.6) else [f.int(0, k - 1) for k in kernel])


@step
def conv(f: Forge) -> None:
    x, s, d = _spatial(f)
    kernel = [f.int(1, 3) for _ in range(d)]
    groups = int(f.rng.choice([1, 1, s[0], 2 if s[0] % 2 == 0 else 1]))
    out = groups * f.int(1, 2)
    attrs: dict = {"group": groups}
    if f.maybe():
        attrs["strides"] = [f.int(1, 2) for _ in range(d)]
    if f.maybe(0.3):
        attrs["dilations"] = [f.int(1, 2) for _ in range(d)]
    _pads(f, kernel, attrs)
    bias = [f.weight(out)] if f.maybe() else []
    f.add("Conv", [x, f.weight(out, s[0] // groups, *kernel), *bias], **attrs)


@step
def conv_transpose(f: Forge) -> None:
    x, s, d = _spatial(f)
    kernel = [f.int(1, 3) for _ in range(d)]
    groups = int(f.rng.choice([1, s[0]]))
    attrs: dict = {"group": groups, "strides": [f.int(1, 3) for _ in range(d)]}
    if f.maybe(0.4):
        attrs["pads"] = [f.int(0, k - 1) for k in kernel] * 2 if f.maybe() else [f.int(0, k - 1) for k in kernel * 2]
    if f.maybe(0.3):
        attrs["output_padding"] = [f.int(0, n - 1) for n in attrs["strides"]]
    if f.maybe(0.2):
        attrs["dilations"] = [f.int(1, 2) for _ in range(d)]
    out = f.int(1, 3)
    f.add("ConvTranspose", [x, f.weight(s[0], out, *kernel), *([f.weight(out * groups)] if f.maybe() else [])], **attrs)


@step
def pool(f: Forge) -> None:
    x, _s, d = _spatial(f)
    kernel = [f.int(1, 3) for _ in range(d)]
    operator = str(f.rng.choice(["MaxPool", "AveragePool"]))
    attrs: dict = {"kernel_shape": kernel}
    if f.maybe(0.7):
        attrs["strides"] = [f.int(1, 3) for _ in range(d)]
    _pads(f, kernel, attrs)
    if f.maybe(0.4) and "auto_pad" not in attrs:
        attrs["ceil_mode"] = 1
    if operator == "AveragePool" and f.maybe():
        attrs["count_include_pad"] = 1
    if f.maybe(0.2) and (operator == "MaxPool" or f.opset >= 19):
        attrs["dilations"] = [f.int(1, 2) for _ in range(d)]
    f.add(operator, [x], **attrs)


@step
def global_pool(f: Forge) -> None:
    f.add(str(f.rng.choice(["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"])), [_spatial(f)[0]])


@step
def batch_norm(f: Forge) -> None:
    x, s = f.pick(2, 3, 4)
    gamma, beta, mean = (f.const(f.rng.normal(size=s[0])) for _ in range(3))
    eps = {"epsilon": 1e-3} if f.maybe() else {}
    f.add("BatchNormalization", [x, gamma, beta, mean, f.const(f.rng.random(s[0]) + 0.3)], **eps)


@step
def layer_norm(f: Forge) -> None:
    x, s = f.pick()
    if f.opset < 17:
        raise Misfit
    axis = f.int(1, len(s))
    shape = s[axis - 1 :]
    bias = [f.const(f.rng.normal(size=shape))] if f.maybe() else []
    attrs = {"axis": axis if f.maybe() else axis - len(s) - 1, "epsilon": 1e-2}
    f.add("LayerNormalization", [x, f.const(f.rng.normal(size=shape)), *bias], **attrs)


@step
def other_norms(f: Forge) -> None:
    x, s = f.pick(3, 4)
    if f.opset >= 21 and f.maybe():
        groups = int(f.rng.choice([g for g in (1, 2, 4) if s[0] % g == 0]))
        f.add("GroupNormalization", [x, f.weight(s[0]), f.weight(s[0])], num_groups=groups, epsilon=1e-2)
    else:
        f.add("InstanceNormalization", [x, f.weight(s[0]), f.weight(s[0])], epsilon=1e-2)


@step
def reshape(f: Forge) -> None:
    x, s = f.pick()
    n = int(np.prod(s))
    split = [k for k in range(1, n + 1) if n % k == 0]
    a = int(f.rng.choice(split))
    targets = [[0, -1], [-1, n], [0, a, n // a], [0, -1, a], [0, 0, -1], [-1, a, n // a], [1, -1], [0, n, 1], [1, a, n // a], [-1, a]]
    target = targets[f.int(0, len(targets) - 1)]
    f.add("Reshape", [x, f.ints(target)])


@step
def reshape_by_shape(f: Forge) -> None:
    """As exporters write it: Shape, Gather, Unsqueeze, Concat, Reshape."""
    x, s = f.pick()
    shape = f.add("Shape", [x])[0]
    first = f.add("Gather", [shape, f.const(0, np.int64)], axis=0)[0]
    first = f.add("Unsqueeze", [first, f.ints([0])])[0]
    if f.maybe():
        rest = f.ints([-1])
    else:
        part = f.add("Slice", [shape, f.ints([1]), f.ints([len(s) + 1])])[0]
        rest = f.add("ReduceProd", [part], keepdims=1)[0] if f.opset >= 18 or f.maybe() else f.ints([-1])
    f.add("Reshape", [x, f.add("Concat", [first, rest], axis=0)[0]])


@step
def flatten(f: Forge) -> None:
    x, _s = f.pick()
    f.add("Flatten", [x], axis=int(f.rng.choice([1, 1, 1, 2, 0, -1])))


@step
def squeeze(f: Forge) -> None:
    x, s = f.pick()
    axes = [k for k, n in enumerate(s, 1) if n == 1 and f.maybe(0.7)]
    if not axes:
        raise Misfit
    f.axes("Squeeze", x, [a - len(s) - 1 if f.maybe(0.3) else a for a in axes], 13)


@step
def unsqueeze(f: Forge) -> None:
    x, s = f.pick(2, 3, 4)
    f.add("Unsqueeze", [x, f.ints([int(f.rng.choice([1, 2, -1, len(s) + 1]))])])


@step
def transpose(f: Forge) -> None:
    x, s = f.pick()
    perm = list(f.rng.permutation(np.arange(1, len(s) + 1)))
    f.add("Transpose", [x], perm=[0, *map(int, perm)] if f.maybe(0.9) else None)


@step
def concat(f: Forge) -> None:
    x, s = f.pick()
    axis = f.int(1, len(s))
    same = [n for n, t in f.values.items() if len(t) == len(s) and all(a == b for k, (a, b) in enumerate(zip(s, t, strict=True), 1) if k != axis)]
    f.add("Concat", [x, *map(str, f.rng.choice(same, size=f.int(0, 2)))], axis=axis if f.maybe(0.7) else axis - len(s) - 1)


@step
def split(f: Forge) -> None:
    x, s = f.pick()
    axis = f.int(1, len(s))
    n = s[axis - 1]
    if n > 1 and f.maybe():
        cut = f.int(1, n - 1)
        f.add("Split", [x, f.ints([cut, n - cut])], 2, axis=axis)
    elif f.opset >= 18:
        count = f.int(1, n)
        f.add("Split", [x], count, axis=axis, num_outputs=count)
    else:
        count = int(f.rng.choice([k for k in range(1, n + 1) if n % k == 0]))
        f.add("Split", [x], count, axis=axis)


@step
def slice_(f: Forge) -> None:
    x, s = f.pick()
    axes = [k for k in range(1, len(s) + 1) if f.maybe(0.6)] or [1]
    starts = [f.int(-s[a - 1] - 1, s[a - 1]) for a in axes]
    ends = [int(f.rng.choice([f.int(-s[a - 1], s[a - 1] + 1), 2**31 - 1, -(2**31)])) for a in axes]
    steps = [int(f.rng.choice([1, 1, 2, -1])) for _ in axes]
    named = [a - len(s) - 1 if f.maybe(0.3) else a for a in axes]
    f.add("Slice", [x, f.ints(starts), f.ints(ends), f.ints(named), *([f.ints(steps)] if f.maybe(0.7) else [])])


@step
def gather(f: Forge) -> None:
    x, s = f.pick()
    axis = f.int(1, len(s))
    n = s[axis - 1]
    shape = [(), (2,), (3,), (2, 2)][f.int(0, 3)]
    f.add("Gather", [x, f.const(f.rng.integers(-n, n, size=shape), np.int64)], axis=axis)


@step
def embedding(f: Forge) -> None:
    f.tokens = f.tokens or f.int(1, 4)
    f.add("Gather", [f.weight(f.int(2, 6), f.int(1, 5)), "tokens"], **({"axis": 0} if f.maybe() else {}))


@step
def pad(f: Forge) -> None:
    x, s = f.pick()
    modes = ["constant", "constant", "reflect", "edge", *(["wrap"] if f.opset >= 19 else [])]
    mode = str(f.rng.choice(modes))
    low = -1 if mode == "constant" else 0
    most = [2 if mode in ("constant", "edge") else n - 1 for n in s]
    before, after = ([f.int(low if n > 2 else 0, m) if f.maybe() else 0 for n, m in zip(s, most, strict=True)] for _ in range(2))
    value = [f.const(f.rng.normal())] if mode == "constant" and f.maybe(0.4) else []
    f.add("Pad", [x, f.ints([0, *before, 0, *after]), *value], mode=mode)


@step
def expand(f: Forge) -> None:
    x, s = f.pick()
    target = [f.int(1, 3) if n == 1 else int(f.rng.choice([n, 1])) for n in s]
    f.add("Expand", [x, f.ints([1, *target] if f.maybe(0.8) else target)])


@step
def tile(f: Forge) -> None:
    x, s = f.pick()
    f.add("Tile", [x, f.ints([1, *(f.int(1, 2) for _ in s)])])


@step
def depth(f: Forge) -> None:
    x, (c, h, w) = f.pick(4)
    if c % 4 == 0 and f.maybe():
        f.add("DepthToSpace", [x], blocksize=2, mode=str(f.rng.choice(["DCR", "CRD"])))
    elif h % 2 == 0 and w % 2 == 0:
        f.add("SpaceToDepth", [x], blocksize=2)
    else:
        raise Misfit


@step
def resize(f: Forge) -> None:
    x, s = f.pick(3, 4)
    scales = [1, 1, *(f.int(1, 3) for _ in s[1:])]
    ways = [("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"), ("asymmetric", "ceil"), ("align_corners", "round_prefer_floor")]
    way = ways[f.int(0, 3)]
    attrs = {"mode": "nearest" if f.maybe(0.9) else "linear", "coordinate_transformation_mode": way[0], "nearest_mode": way[1]}
    if f.maybe():
        f.add("Resize", [x, "", f.const(scales)], **attrs)
    elif f.one:
        f.add("Resize", [x, "", "", f.ints([1, s[0], *(n * k for n, k in zip(s[1:], scales[2:], strict=True))])], **attrs)
    else:
        raise Misfit


@step
def reduction(f: Forge) -> None:
    x, s = f.pick()
    operator = str(f.rng.choice(["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceSumSquare"]))
    axes = [k if f.maybe() else k - len(s) - 1 for k in range(0 if f.maybe(0.1) else 1, len(s) + 1) if f.maybe()]
    attrs = {"keepdims": f.int(0, 1)}
    if f.maybe(0.2) and f.opset >= 18:
        attrs["noop_with_empty_axes"] = 1
    f.axes(operator, x, axes or None, 13 if operator == "ReduceSum" else 18, **attrs)


@step
def where(f: Forge) -> None:
    x, s = f.pick()
    mask = f.const(f.rng.random(s) > 0.5, np.bool_)
    f.add("Where", [mask, x, f.const(f.rng.normal())])


@step
def folded_weight(f: Forge) -> None:
    """A weight that is an expression of constants."""
    x, s = f.pick()
    m = f.int(1, 4)
    w = f.const(f.rng.integers(-8, 8, size=(m, s[-1])))
    way = f.int(0, 3)
    if way == 0:
        w = f.add("Mul", [w, f.const(0.5)])[0]
    elif way == 1:
        w = f.add("Reshape", [f.add("Cast", [w], to=10)[0], f.ints([m, s[-1]])])[0]
        w = f.add("Cast", [w], to=1)[0]
    elif way == 2:
        w = f.add("Concat", [w, f.const(f.rng.normal(size=(2, s[-1])))], axis=0)[0]
    f.add("MatMul", [x, f.add("Transpose", [w], perm=[1, 0])[0]])


@step
def repeated_constant(f: Forge) -> None:
    """A constant as large as the batch."""
    x, s = f.pick()
    first = f.add("Shape", [x], start=0, end=1)[0] if f.opset >= 15 else f.add("Slice", [f.add("Shape", [x])[0], f.ints([0]), f.ints([1])])[0]
    target = f.add("Concat", [first, f.ints(s)], axis=0)[0]
    f.add("Add", [x, f.add("ConstantOfShape", [target])[0]])


@step
def subtracted_input(f: Forge) -> None:
    f.add("Sub", ["input", f.const(f.rng.normal(size=[1, *f.shape]) if f.maybe() else np.zeros([1, *f.shape]))])


@step
def recurrent(f: Forge) -> None:
    """Time first, as exporters write it; the sequence or the last state, one direction or two."""
    x, (_, into) = f.pick(3)
    operator, n = str(f.rng.choice(["RNN", "LSTM", "GRU"])), f.int(1, 3)
    way = str(f.rng.choice(["forward", "reverse", "bidirectional"]))
    gates, count = {"RNN": 1, "LSTM": 4, "GRU": 3}[operator], 1 + (way == "bidirectional")
    attrs = {"linear_before_reset": f.int(0, 1)} if operator == "GRU" else {}
    if operator == "RNN" and f.maybe():
        attrs["activations"] = ["Relu"] * count
    sequence = f.add("Transpose", [x], perm=[1, 0, 2])[0]
    weights = [f.const(f.rng.normal(size=(count, gates * n, m)) / 2) for m in (into, n)]
    bias = [f.const(f.rng.normal(size=(count, 2 * gates * n)))] if f.maybe(0.7) else []
    states = []
    if bias and f.maybe(0.3) and not f.one:
        batch = f.add("Gather", [f.add("Shape", [x])[0], f.ints([0])], axis=0)[0]
        states = ["", f.add("ConstantOfShape", f.add("Concat", [f.ints([count]), batch, f.ints([n])], axis=0))[0]]
    y, last = f.add(operator, [sequence, *weights, *bias, *states], 2, direction=way, hidden_size=n, **attrs)
    if f.maybe(0.4):
        f.add("Gather", [last, f.const(count - 1, np.int64)], axis=0)
    elif way == "bidirectional":
        y = f.add("Reshape", [f.add("Transpose", [y], perm=[0, 2, 1, 3])[0], f.ints([0, 0, -1])])[0]
        f.add("Transpose", [y], perm=[1, 0, 2])
    else:
        y = f.add("Squeeze", [y, f.ints([1])])[0]
        f.add("Transpose", [y], perm=[1, 0, 2])
