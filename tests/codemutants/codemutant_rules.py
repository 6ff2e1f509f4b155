"""Questions about single functions of the checker's rules: short cuts must decide as the long way does, and bounds must be the ones they were."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from fractions import Fraction as F
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from codemutant_engine import ROOT, Case

Check = Callable[..., Any]


def shortcuts() -> list[Case]:
    return [
        Case(f"short cut: {question.__name__}", partial(_asked, question), forged=True)
        for question in (_floats, _multiples, _alike, _blocks, _ranges, _margins)
    ]


def _asked(question: Callable[[np.random.Generator], str], check: Check) -> str:
    return question(np.random.default_rng(7))


def _module(name: str) -> Any:
    return sys.modules[f"lumpnet.check.{name}"]


def _floats(rng: np.random.Generator) -> str:
    """`Part.floats` says of sums in float64 that they are exact, and stay exact times numbers of `room` bits: they are, and it says so of small ones."""
    affine = _module("rules.affine")
    for turn in range(400):
        units, dtype = int(rng.integers(1, 6)), "float64" if turn % 10 == 0 else "float32"
        classes = np.sort(rng.integers(0, 2, units))
        found, starts = np.unique(classes, return_index=True)
        width, room = int(rng.choice([1, 2, 8, 24, 28, 29, 31])), int(rng.choice([0, 1, 4, 25, 28, 29]))
        factors = None if turn % 3 == 0 else np.array([int(v) for v in rng.integers(-(1 << width) + 1, 1 << width, units)], object)
        plain = factors is None and len(found) == units
        spread = int(rng.choice([0, 3, 12, 40]))
        x = np.ldexp(rng.integers(-(1 << 24) + 1, 1 << 24, (units, 3, 2)).astype(dtype), rng.integers(-spread, spread + 1, (units, 3, 2))).astype(dtype)
        if turn % 2:
            x = rng.integers(-3, 4, (units, 3, 2)).astype(dtype)
        x[:, 0] *= turn % 4 > 1
        x[rng.random(x.shape) < 0.2] = 0
        if turn % 5 == 0:  # as many terms as their count has bits for, each as large as the smallest one allows
            units, factors, classes, found, starts, plain, dtype = (
                7,
                None,
                np.zeros(7, np.int64),
                np.zeros(1, np.int64),
                np.zeros(1, np.int64),
                False,
                "float32",
            )
            x = np.ldexp(np.full((7, 3, 2), (1 << 24) - 1), int(rng.integers(22, 31))).astype(dtype)
            x[0], room = (1 << 24) - 1, int(rng.integers(0, 3))
        elif factors is not None and turn % 4 == 1:
            factors[0] = 1
        part = affine.Part(np.arange(units), starts, found, factors, None, plain)
        sums, exact = part.floats(x, room)
        bits = int(np.bincount(classes).max()).bit_length() + (0 if factors is None else max(abs(f).bit_length() for f in factors))
        wide = affine.Part(np.arange(units), starts, found, factors, np.array([3, 1 << room, 1][: len(found)], object)[:, None, None])
        if (part.room, part.divided, wide.divided) != (bits, 0, max(2, room + 1) if len(found) > 1 else 2):
            return "other bits than the sums have"
        small = dtype == "float32" and turn % 2 and turn % 5 and bits + room <= 20
        for row in range(3):
            if not exact[row]:
                if small:
                    return "small sums are not done in floats"
                continue
            if dtype != "float32":
                return "sums of float64 are done in floats"
            for k, a in enumerate(starts):
                b = [*starts[1:], units][k]
                for tap in range(2):
                    true = sum(F(float(x[u, row, tap])) * (1 if factors is None else factors[u]) for u in range(a, b))
                    most = (1 << room) - 1
                    if F(float(sums[k, row, tap])) != true or F(float(sums[k, row, tap]) * most) != true * most:
                        return "a sum in floats is not exact"
    return "floats"


def _related(classes: list[int], columns: int, reps: list[int], scale: dict[int, F], offset: dict[int, F]) -> Any:
    relation = _module("relation")
    return relation.Relation("v", (None, len(classes)), 1, columns, np.array(classes), np.array(reps), scale, offset)


def _multiples(rng: np.random.Generator) -> str:
    """`Affine.multiples` says which rows are a scale times their representatives' rows: just those, for short scales of float32."""
    affine = _module("rules.affine")
    for turn in range(800):
        dtype = np.float64 if turn % 4 == 0 else np.float32
        bits = int(rng.choice([1, 2, 5, 28, 29, 30, 35]))
        top, bottom = (int(v) for v in rng.integers(1 << (bits - 1), 1 << bits, 2))
        scale = rng.choice([F(1), F(top, bottom), F(top), F(1, bottom), F(-3), F(1, 2), F(1 << 28), F(1 << 29), F(1, 1 << 34), F(1, 3)])
        theirs = rng.integers(-8, 9, (2, 2)) * scale.denominator
        mine = np.array([[int(v * scale) for v in row] for row in theirs], object)
        if turn % 3 == 0:
            mine[int(rng.integers(2)), int(rng.integers(2))] += 1
        weight = np.zeros((3, 2, 2), dtype)
        with np.errstate(all="ignore"):
            weight[1], weight[0] = theirs.astype(dtype), mine.astype(dtype)
        if dtype == np.float64 and scale == F(1, 3):
            weight[1], weight[0] = 1, 1 / 3  # whose product with 3 is rounded to 1
        layer = affine.Affine.__new__(affine.Affine)
        layer.weight, layer.out = weight, _related([0, 0, 1], 2, [1, 2], {} if scale == 1 else {0: scale}, {})
        said = bool(layer.multiples(np.array([0]), np.array([1]))[0])
        true = all(F(float(a)) == scale * F(float(b)) for a, b in zip(weight[0].ravel(), weight[1].ravel(), strict=True))
        short = scale == 1 or (dtype == np.float32 and max(abs(scale.numerator).bit_length(), scale.denominator.bit_length()) <= 29)
        if said != (true and short):
            return f"a row is said {'' if said else 'not '}to be {scale} times another"
    return "multiples"


def _alike(rng: np.random.Generator) -> str:
    """`_alike` says which channels follow at a glance: those with everything equal and a short dyadic scale of weight and bias."""
    norm, graph, files = _module("rules.norm"), _module("graph"), _module("files")

    def pick(*choices: Any) -> Any:
        return choices[int(rng.integers(len(choices)))]

    for turn in range(3000):
        dtype = pick("float32", "float32", "float32", "float64")
        s = pick(
            F(1), F(2), F(1, 2), F(-3, 4), F(1, 3), F(1 << 27), F(1 << 28), F((1 << 20) + 1, 1 << 10), F((1 << 29) + 1, 1 << 29), F((1 << 53) + 1, 1 << 29)
        )
        w, b, m, v = (float(rng.choice([1, 3])) for _ in range(4))
        values = {"weight": [w * float(s), w], "bias": [b * float(s), b], "mean": [m, m], "var": [v, v]}
        if rng.random() < 0.3:
            role = pick(*values)
            values[role][int(rng.integers(2))] += pick(1, -1, 0.5)
        params = {role: files.Tensor("F32", np.array([*two, 1.0], dtype)) for role, two in values.items()}
        node = graph.Node("v", (None, 3), dtype, "batch_norm", ("h",), {"eps": 0.5}, params)
        one, two, c, e, d = (
            pick(F(1), F(1), F(2)),
            pick(F(1), F(1), F(2)),
            pick(F(0), F(0), F(0), F(5)),
            pick(F(0), F(0), F(0), F(5)),
            pick(F(0), F(0), F(0), F(5)),
        )
        classes = pick([0, 0, 0], [0, 0, 0], [1, 0, 0], [-1, -1, 0], [1, 1, 0])
        if turn % 2:
            one, two, c, e, d, classes = F(1), F(1), F(0), F(0), F(0), [0, 0, 0]
        inn = _related(classes, 1, [2], {k: x for k, x in ((0, one), (1, two)) if x != 1}, {k: x for k, x in ((0, c), (1, e)) if x})
        out = _related([0, 0, 1], 2, [1, 2], {} if s == 1 else {0: s}, {0: d} if d else {})
        stored = {role: [F(float(x)) for x in t.data[:2]] for role, t in params.items()}
        equal = all(stored[role][0] == stored[role][1] for role in ("mean", "var")) and all(stored[r][0] == s * stored[r][1] for r in ("weight", "bias"))
        bare = one == two and c == e == d == 0 and classes[0] == classes[1] >= 0
        short = dtype == "float32" and s.denominator & (s.denominator - 1) == 0 and abs(s.numerator).bit_length() + s.denominator.bit_length() <= 29
        if bool(norm._alike(node, inn, out, np.array([0]), np.array([1]))[0]) != (equal and bare and short):
            return "channels follow at a glance"
    return "alike"


def _blocks(rng: np.random.Generator) -> str:
    """Equality of tensors of more than one block, and of other shapes."""
    pinned = _module("rules.pinned")
    pinned._BLOCK = 4
    one = np.arange(10.0)
    said = [pinned.equal_numbers(one, np.where(np.arange(10) == at, -1, one)) for at in range(11)]
    said += [pinned.equal_numbers(np.ones(shape), np.ones((2, 3))) for shape in ((2, 3), (3, 2), (6,), (1, 1), (1,), (2, 3, 1))]
    return "blocks" if said == [False] * 10 + [True] + [True] + [False] * 5 else f"equal: {said}"


ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 31, 32, 33, (1 << 31) - 1, 1 << 31, (1 << 31) + 1, 1 << 53, (1 << 53) + 1, -(1 << 53), -(1 << 53) - 1, (1 << 52) + 1,
    0.0, 1.0, -1.0, 0.5, float("inf"), "", "1", "none", "tanh", "relu", "nearest", "linear", "constant", "reflect", "edge", [], [0], [1], [-1], [True], [1.0],
    [1, 0], [1, -1], ["1"], {}, {"a": 1}, [[0, 0]], [[0, 1], [-1, 0]], [[0, 1], [1, 0]], [[0]], [[0, 0, 0]], ["ab"], [{"a": 1, "b": 2}], [[True, 0]], (), (1,),
)  # fmt: skip
"""What may stand in a file where a number, a list or a text is expected, and a little more."""


def _tried(call: Callable[..., Any], *values: Any) -> str:
    try:
        return repr(call(*values))
    except Exception as problem:
        return type(problem).__name__


def _ranges(rng: np.random.Generator) -> str:
    """Which attributes, roles and inputs every kind may have, and which numbers a certificate may hold: as they were."""
    certificate, said = sys.modules["lumpnet.certificate"], []
    for name, kind in sorted(_module("rules").KINDS.items()):
        said.append(
            f"{name} {kind.inputs} {kind.roles} {sorted(kind.optional)} {kind.free} {kind.training} {kind.operands} {kind.opaque} {kind.effect is None}"
        )
        said += [f"{key} {''.join(_tried(good, value)[0] for value in ODD)}" for key, good in sorted(kind.attrs.items())]
    for read in (certificate._number, certificate._count, certificate._bound, certificate._real, certificate._rational, certificate._interval):
        said += [_tried(read, "w", value) for value in ODD]
    said += [_tried(certificate._counts, "w", [value], least) for value in ODD for least in (-1, 0)]
    said += [_tried(certificate._count, "w", value, 1) for value in ODD]
    said += [
        _tried(certificate._interval, "w", {"lower": low, "upper": high})
        for low in ([], [1], 1, 2, [0, 3], [1, 1, 1])
        for high in ([], [1], 1, 2, [0, 3], [1, 1])
    ]
    said += [_tried(certificate._real, "w", [a, b, r]) for a in ("0", "1/2") for b in ("0", "1", "-1") for r in ("0", "1", "2", "-1", "1/2")]
    return " ".join(said)


def _margins(rng: np.random.Generator) -> str:
    """What bounds are raised by, down to the last bit, where numbers are subnormal, too."""
    effect, graph, files = _module("effect"), _module("graph"), _module("files")
    x = np.array([0.0, 2.0**-1074, 2.0**-1073, 3 * 2.0**-1074, 2.0**-1022, 1e-300, 1.0, 1 / 3, 1e300])
    said = [effect.up(x, n) for n in (0, 1, 2, 17)] + [effect.plus(x, x), effect.plus(x, x, x), effect.times(x[:8], x[:8]), effect.times(x, 0.5)]
    for dtype in ("float32", "float64"):
        info = np.finfo(dtype)
        said.append(effect.slack(np.array([0, 1, 1.5, -1, info.tiny, info.tiny / 2, info.smallest_subnormal, 3 * info.smallest_subnormal, 1e-30], dtype)))
    two = effect.Near(np.array([[0.25, 3.0], [0.5, 0.125]]), np.array([[0.0, 1.0], [0.25, 4.0]]))
    node = graph.Node("v", (None, 2), "float32", "tanh", ("h",), {}, {"p": files.Tensor("F32", np.array([1, 3], "float32"))})
    steps = [effect.Step(node, ((None, 2),), {"p": exact} if exact is not None else {}) for exact in (None, True, False, np.array([True, False]))]
    for near in (two, effect.Near(two.size[:1], two.apart[:1])):
        for slope in (0.5, 1.0, 2.0, np.array([[1.0, 2.0]]), np.array([[1.0, 1.0]])):
            for gain in (0.5, 1.0, np.array([[1.0, 0.5]])):
                for at_zero, most in ((0.0, np.inf), (0.75, np.inf), (0.0, 1.0), (0.25, 2.0)):
                    bent = effect.bent_by(steps[0], near, np.asarray(slope), np.asarray(gain), at_zero, most)
                    said += [bent.size, bent.apart]
        said += [near.most([1]).size, near.scaled(0.3).apart, steps[0].constants(np.array([[5.0, 6.0]]), near)]
    texts = [a.tolist() for step in steps for a in step.stored("p")]
    texts += (
        [_tried(step.equal, "p") for step in steps] + [_tried(steps[0].along, np.ones(2), axis) for axis in (0, 1, None)] + [_tried(steps[0].own, "q", 7.0)]
    )
    return " ".join([*(repr(np.asarray(a).tolist()) for a in said), *map(str, texts)])


def masks(folder: Path) -> list[Case]:
    """Which stored numbers are found to be the quotient's own, where every weight may be rounded."""
    sys.path.insert(0, str(ROOT / "tests/check"))
    from catalog import CASES
    from test_refuses_conditions import ROUNDED

    cases = []
    for k, (name, make) in enumerate((CASES | ROUNDED).items()):
        (folder / str(k)).mkdir()
        make().write(folder / str(k))
        cases.append(Case(f"mask: {name}", partial(_mask, folder / str(k)), forged=True))
    return cases


def _mask(place: Path, check: Check) -> str:
    rules, reader, run, certificate = _module("rules"), _module("graph"), _module("run"), sys.modules["lumpnet.certificate"]
    g, h = (reader.read_graph(_module("files").read_network_file(place / f"{side}.safetensors"), rules.KINDS) for side in "gh")
    relations, said = run._relations(g, certificate.loads((place / "c.json").read_bytes())), []
    pairs = run._pairs(g, h, relations)
    for node in g.nodes:
        case = run._case(node, pairs[node.name], relations, "nearest", (g.dtype, h.dtype))
        run._discharge(case)
        said.append(" ".join(f"{role} {np.asarray(mask).astype(int).tolist()}" for role, mask in sorted(case.exact.items())))
    return "; ".join(said)


def effects(folder: Path) -> list[Case]:
    """What rounding does to the networks that were written by hand: every bound to the last bit, where every weight may be rounded and where some may."""
    sys.path.insert(0, str(ROOT / "tests/check"))
    import test_effect
    from catalog import CASES
    from forge import N, Net, file_bytes

    nets = {name: make().h for name, make in CASES.items()} | {f"steep {k}": net for k, net in enumerate(test_effect.STEEP)}
    for kind, attrs in (test_effect.SLOPES | {"softmax": {"axis": 1}}).items():
        nets |= {f"{kind} of {size}": test_effect.behind(kind, 3, weight=(size, 2 * size), attrs=attrs) for size in (0.01, 1.0)}
        nets[f"{kind} of 0.01"].nodes["h"].params["bias"] = np.zeros(3, "float32")
    for name, n, attrs in (
        ("max_pool", 2, {"dilation": [1]}),
        ("max_pool", 6, {"dilation": [1], "padding": [1], "kernel": [1], "stride": [1]}),
        ("avg_pool", 2, {}),
    ):
        window = {"kernel": [2], "stride": [2], "padding": [0], "ceil_mode": False} | attrs
        window |= {"count_include_pad": True, "divisor_override": None} if name == "avg_pool" else {}
        nets[f"{name} of an input, to {n}"] = Net({"x": (None, 1, 4)}, {"y": N(name, (None, 1, n), ["x"], window)}, ["y"])
    window = {"kernel": [3], "stride": [1], "padding": [1], "dilation": [1], "ceil_mode": False}
    pooled = {"p": N("max_pool", (None, 1, 4), ["x"], window), "f": N("reshape", (None, 4), ["p"], {"shape": [4]})}
    last = N("linear", (None, 2), ["f"], {}, {"weight": np.array([[1, 0, 0, 7], [0, 5, 0, 0]], "float32")})
    nets["entries behind a pool"] = Net({"x": (None, 1, 4)}, pooled | {"y": last}, ["y"])
    nets["two outputs"] = test_effect.behind("relu", 3)
    nets["two outputs"].outputs = ["h", "y"]
    nets["eps below zero"] = test_effect.behind("batch_norm", 3, mean=[1, 2, 3], var=[9, 16, 4], attrs={"eps": -1.0})
    nets |= {f"{name}, wildest": test_effect.wildest(net) for name, net in nets.items()}
    cases = []
    for k, (name, net) in enumerate(nets.items()):
        path = folder / f"{k}.safetensors"
        path.write_bytes(file_bytes(copy.deepcopy(net)))
        cases.append(Case(f"effect: {name}", partial(_bounds, path), forged=True))
    return cases


def _bounds(path: Path, check: Check) -> str:
    rules, reader = _module("rules"), _module("files")
    graph = _module("graph").read_graph(reader.read_network_file(path), rules.KINDS)
    rng, said = np.random.default_rng(7), []
    some: dict[str, dict[str, Any]] = {node.name: {role: rng.random(t.data.shape) < 0.5 for role, t in node.params.items()} for node in graph.nodes}
    reals = [value for value in graph.inputs if value.dtype == graph.dtype]
    ends = {value.name: np.sort(rng.normal(size=(2, int(np.prod(value.shape[1:])))), axis=0) for value in reals}
    boxes = {value.name: ((-1.0,), (2.0,)) for value in reals}, {name: (tuple(e[0].tolist()), tuple(e[1].tolist())) for name, e in ends.items()}
    affine = _module("rules.affine")
    usual = affine._BLOCK
    for exact, box, block in product(({}, some), (None, *boxes), (usual, 0)):  # at once, and row by row
        affine._BLOCK = block
        try:
            one, two = _module("effect").effect(graph, rules.KINDS, exact, box)
            said.append(f"{one.alpha!r} {one.beta!r} {two.alpha!r} {two.beta!r}")
        except (_module("outcome").Unsure, _module("outcome").Refusal) as problem:
            said.append(type(problem).__name__)
        finally:
            affine._BLOCK = usual
    return "; ".join(said)
