"""What rounded weights do at the outputs: never more than is claimed, whatever the weights' slack; and every part of every rule is needed."""

from __future__ import annotations

import copy
import inspect
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any

import meaning
import numpy as np
import pytest
import torch
from catalog import CASES
from forge import N, Net, Triple, arr, file_bytes

import lumpnet
from lumpnet.certificate import Effect, dumps, loads
from lumpnet.check import check_files
from lumpnet.check import effect as room
from lumpnet.check import run as judge
from lumpnet.check.effect import Bent, effect, slack, up
from lumpnet.check.files import read_network_file
from lumpnet.check.graph import Kind, Network, read_graph
from lumpnet.check.outcome import Unsure
from lumpnet.check.rules import KINDS, affine, arithmetic, constant, lookup, norm, padding, pooling, slopes
from lumpnet.errors import CertificateError, NoExactValue
from lumpnet.exact import fractions
from lumpnet.network import Network as Lifted
from lumpnet.ops.sites import run
from lumpnet.quotient import plan
from lumpnet.testing.bases import FAMILIES, base
from lumpnet.testing.widen import Widener
from lumpnet.verdict import Proved, Unknown

ROUNDED = ("linear", "conv", "conv_transpose", "embedding", "constant", "add_constant", "mul_constant")
"""Kinds whose parameters may be rounded."""
UNKNOWN = {
    "attention", "ceil", "celu", "div", "exp", "floor", "group_norm", "gru", "instance_norm", "layer_norm", "log", "lstm", "matmul", "opaque", "pow",
    "reciprocal", "rms_norm", "rnn", "round", "sign", "softplus", "sqrt",
}  # fmt: skip
"""Kinds without a rule: jumps, singularities, and what mixes units by products."""


# -- arithmetic ---------------------------------------------------------------------------


def test_sums_of_products_are_bounded_from_above(rng: np.random.Generator) -> None:
    for low in (-2, -400, -1074):
        for n in (1, 2, 17, 300):
            a, b = (np.ldexp(rng.random((n, 40)), rng.integers(low, max(low + 8, 2), (n, 40))) for _ in range(2))
            exact = [sum(Fraction(x) * Fraction(y) for x, y in zip(a[:, k].tolist(), b[:, k].tolist(), strict=True)) for k in range(40)]
            raised = up(np.einsum("nk,nk->k", a, b), 2 * n)
            assert all(Fraction(r) >= e for r, e in zip(raised.tolist(), exact, strict=True))
            assert all(Fraction(r) <= e * (1 + Fraction(4 * n + 9, 2**52)) + Fraction(9 * n, 2**1074) for r, e in zip(raised.tolist(), exact, strict=True))


def test_a_bound_is_raised_even_where_nothing_seems_lost() -> None:
    """One rounding down of a half ulp, and an underflow to zero."""
    third = np.float64(1) / np.float64(3)
    assert Fraction(float(up(third, 1))) > Fraction(1, 3) > Fraction(float(third))
    assert Fraction(float(up(np.float64(2.0**-600) * 2.0**-600, 1))) >= Fraction(1, 2**1200)


def test_a_process_that_flushes_subnormals_makes_no_claim(tmp_path: Path) -> None:
    graph = network(CASES["linear_nearest"]().h, tmp_path)
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor does not flush")
    try:
        with pytest.raises(Unsure, match="gradual underflow"):
            effect(graph, KINDS, {}, None)
    finally:
        torch.set_flush_denormal(False)
    effect(graph, KINDS, {}, None)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_slack_is_half_the_gap_away_from_zero(dtype: str, rng: np.random.Generator) -> None:
    info = np.finfo(dtype)
    special = [0, 1, -1, info.tiny, -info.tiny, info.smallest_subnormal, np.nextafter(np.array(info.tiny, dtype), np.array(0, dtype)), info.max / 2]
    low = np.frexp(info.tiny)[1] - 30
    stored = np.concatenate([np.array(special, dtype), np.ldexp(rng.normal(size=200), rng.integers(low, 60, 200)).astype(dtype)])
    for w, h in zip(stored, slack(stored), strict=True):
        gap = Fraction(float(np.nextafter(np.abs(w), np.array(np.inf, dtype)))) - abs(Fraction(float(w)))
        assert Fraction(float(h)) == max(gap / 2, Fraction(2) ** -1074)
    top = np.array([info.max], dtype)
    assert Fraction(float(slack(top)[0])) == (Fraction(float(top[0])) - Fraction(float(np.nextafter(top, np.zeros(1, dtype))[0]))) / 2


# -- the law, with slack of any size ------------------------------------------------------


def wide(stored: np.ndarray) -> np.ndarray:
    """In the place of half an ulp: as much as can be seen."""
    return np.asarray(np.abs(stored.astype(np.float64)) / 8 + 1 / 64)


def network(net: Net, folder: Path) -> Network:
    path = folder / "n.safetensors"
    path.write_bytes(file_bytes(net))
    return read_graph(read_network_file(path), KINDS)


def exact_but(graph: Network, rounded: set[str]) -> dict[str, Any]:
    """What the pass is told where the nodes `rounded` may have any weight rounded, and the others none."""
    return {node.name: dict.fromkeys((*node.params, "bias"), node.name not in rounded) for node in graph.nodes}


def moved(net: Net, sign: Callable[[np.ndarray], Any]) -> Net:
    """The exact network that a rounded one may stand for: every weight somewhere within its slack."""
    out = copy.deepcopy(net)
    for name, node in out.nodes.items():
        if node.kind in ROUNDED:
            for role, value in net.stored(name).items():
                node.params[role] = value.astype(np.float64) + sign(value) * wide(value)
    return out


def wildest(net: Net) -> Net:
    """All parameters positive: bounds by absolute values are attained."""
    out = copy.deepcopy(net)
    for name, node in out.nodes.items():
        node.params = {role: np.asarray(np.abs(value) if role != "mean" else -np.abs(value)) for role, value in net.stored(name).items()}
    return out


def excess(net: Net, folder: Path, rng: np.random.Generator, kinds: Mapping[str, Kind] = KINDS) -> float:
    """By how much the two networks are further apart than is claimed, relatively, at the worst of some inputs and weights. Raises `Unsure`."""
    graph, worst = network(net, folder), -1.0
    rounded = {node.name for node in graph.nodes if node.kind in ROUNDED}
    reals = [value for value in graph.inputs if value.dtype == graph.dtype]
    flat = {value.name: ((-1.0,), (2.0,)) for value in reals}
    ends = {v.name: rng.normal(size=(2, int(np.prod(v.shape[1:])))) for v in reals}
    uneven = {name: (tuple(e.min(axis=0)), tuple(e.max(axis=0))) for name, e in ends.items()}
    for box in (flat, uneven) if any(node.kind == "mul" for node in graph.nodes) else (flat, uneven, None):
        claim, _ = effect(graph, kinds, exact_but(graph, rounded), box)
        for inputs, t in some_inputs(net, graph, box, rng):
            for sign in (lambda w: 1, lambda w: np.where(w < 0, -1, 1), lambda w: rng.choice([-1, 1], w.shape), lambda w: rng.uniform(-1, 1, w.shape)):
                for q, r in zip(meaning.outputs(moved(net, sign), inputs), meaning.outputs(net, inputs), strict=True):
                    bound = claim.alpha + claim.beta * t
                    worst = max(worst, (float((q - r).abs().max()) - bound) / max(bound, 1e-9))
    return worst


def some_inputs(net: Net, graph: Network, box: Any, rng: np.random.Generator) -> Iterator[tuple[dict[str, torch.Tensor], float]]:
    for how in ("top", "bottom", "corner", "inside"):
        for t in (0.0, 1.0, 7.0) if box is None else (1.0,):
            found, largest = {}, 0.0
            for value in graph.inputs:
                shape = tuple(n or 0 for n in value.shape[1:])
                if value.name in net.choices:
                    found[value.name] = torch.as_tensor(rng.integers(0, net.choices[value.name], (3, *shape)))
                    continue
                low, high = ((-t,), (t,)) if box is None else box[value.name]
                low, high = (np.broadcast_to(np.array(e), int(np.prod(shape))).reshape(shape) for e in (low, high))
                pick = {"top": 1.0, "bottom": 0.0, "corner": rng.choice([0.0, 1.0], (3, *shape)), "inside": rng.random((3, *shape))}[how]
                x = low + (high - low) * np.broadcast_to(pick, (3, *shape))
                found[value.name], largest = torch.as_tensor(x), max(largest, float(np.abs(x).max(initial=0)))
            yield found, largest


def unknown(net: Net) -> bool:
    return any(node.kind in UNKNOWN for node in net.nodes.values())


@pytest.mark.parametrize("name", CASES)
def test_no_weights_within_their_slack_move_an_output_further_than_claimed(
    name: str, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "slack", wide)
    net = CASES[name]().h
    if unknown(net):
        with pytest.raises(Unsure, match="no rule"):
            excess(net, tmp_path, rng)
        return
    for one in (net, wildest(net)):
        assert excess(one, tmp_path, rng) <= 1e-9


BENDS = {kind: found.effect for kind, found in KINDS.items() if isinstance(found.effect, Bent)}


def test_every_kind_has_a_rule_or_is_known_to_have_none() -> None:
    assert {name for name, kind in KINDS.items() if kind.effect is None} == UNKNOWN


SLOPES = {
    "relu": {}, "leaky_relu": {"slope": -2.5}, "tanh": {}, "sigmoid": {}, "silu": {}, "gelu": {"approximate": "none"}, "hardtanh": {"min": 0.5, "max": 3.0},
    "abs": {}, "erf": {}, "sin": {}, "cos": {}, "softsign": {}, "elu": {"alpha": -1.5}, "selu": {},
    "hardswish": {}, "hardsigmoid": {"alpha": 0.5, "beta": 0.25}, "mish": {}, "logsigmoid": {},
}  # fmt: skip


@pytest.mark.parametrize("kind", SLOPES)
@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_functions_bend_as_much_as_is_said_and_hardly_less(kind: str, approximate: str) -> None:
    """|f(u) - f(v)| <= slope |u - v|, and somewhere almost that; |f(u)| within its bounds, and somewhere close."""
    attrs = SLOPES[kind] | ({"approximate": approximate} if kind == "gelu" else {})
    bend = BENDS[kind].of(attrs)
    u = torch.linspace(-12, 12, 240_001, dtype=torch.float64)
    y = meaning._elementwise(kind, attrs)(u)
    steep = (y.diff() / u.diff()).abs().max()
    assert 0.995 * bend.slope <= steep <= bend.slope * (1 + 1e-9)
    bound = torch.clamp(bend.at_zero + (bend.slope if bend.gain is None else bend.gain) * u.abs(), max=bend.most)
    assert (y.abs() <= bound + 1e-9).all()
    assert (y.abs() >= 0.7 * bound - 1e-9)[(u.abs() > 1e-3)].any()


# -- every part of every rule is needed ---------------------------------------------------


def weakened(rule: Callable[..., Any], old: str, new: str) -> Callable[..., Any]:
    """The rule with one piece of its text exchanged."""
    text = inspect.getsource(rule)
    assert text.count(old) >= 1, old
    names = dict(rule.__globals__)
    exec(compile(text.replace(old, new), "weakened", "exec"), names)
    return names[rule.__name__]  # type: ignore[no-any-return]


WEAK: list[tuple[str, Callable[..., Any], str, str]] = [
    *((kind, affine._effect, old, new) for kind in ("linear", "conv", "conv_transpose") for old, new in (
        ("(x.apart[..., read] + x.size[..., read])", "x.apart[..., read]"),
        ("(x.apart[..., read] + x.size[..., read])", "x.size[..., read]"),
        ("x.size[..., read] @ w", "x.size[..., read] @ w * 0.999"),
        ("x.apart[..., read] @ w", "x.apart[..., read] @ w * 0"),
        ("elif not known[at].all()", "elif False"),
        ("apart[0] += step.off(bias, step.known(\"bias\"))", "pass"),
        ("size[0] += np.abs(bias.astype(np.float64))", ""),
    )),
    ("conv", affine._effect, "slice(group * columns, (group + 1) * columns)", "slice(0, columns)"),
    ("conv_transpose", affine._effect, "slice(group * columns, (group + 1) * columns)", "slice(0, columns)"),
    ("conv", affine._effect, "np.abs(weight[at]).sum(axis=2, dtype=np.float64)", "np.abs(weight[at]).max(axis=2)"),
    ("conv", affine._effect, "step.off(weight[at], known[at]).sum(axis=2)", "step.off(weight[at], known[at]).max(axis=2)"),
    ("add", arithmetic._sum_effect, "plus(one.size, two.size)", "np.maximum(one.size, two.size)"),
    ("add", arithmetic._sum_effect, "plus(one.apart, two.apart)", "np.maximum(one.apart, two.apart)"),
    ("mul", arithmetic._product_effect, "plus(two.size, two.apart)", "two.size"),
    ("mul", arithmetic._product_effect, "times(one.size, two.apart)", "two.apart * 0"),
    ("mul", arithmetic._product_effect, "times(one.size, two.size)", "one.size"),
    ("add_constant", arithmetic._shift_effect, "plus(ins[0].apart, off)", "ins[0].apart"),
    ("add_constant", arithmetic._shift_effect, "plus(ins[0].size, term)", "ins[0].size"),
    ("mul_constant", arithmetic._factor_effect, ", times(ins[0].size, off)", ""),
    ("mul_constant", arithmetic._factor_effect, "plus(factor, off)", "factor"),
    ("mul_constant", arithmetic._factor_effect, "times(ins[0].size, factor)", "ins[0].size"),
    ("div_constant", arithmetic._quotient_effect, "a / np.abs", "a * np.abs"),
    ("constant", constant._effect, 'step.stored("value")', '(a * (k == 0) for k, a in enumerate(step.stored("value")))'),
    ("embedding", lookup._effect, "x.max(axis=0)", "x.min(axis=0)"),
    ("batch_norm", norm._effect, "times(x.apart, slope)", "x.apart"),
    ("batch_norm", norm._effect, 'np.abs(mine["mean"])', '0 * mine["mean"]'),
    ("batch_norm", norm._effect, 'np.abs(mine["bias"])', '0 * mine["bias"]'),
    ("batch_norm", norm._effect, "_slope(step, mine)", "np.abs(mine['weight']) / (mine['var'] + step.node.attrs['eps'])"),
    ("prelu", slopes._effect, "np.maximum(np.abs(step.own(\"slope\")), 1.0)", "np.minimum(np.abs(step.own(\"slope\")), 1.0)"),
    ("pad", padding._effect, "np.maximum(x.size, step.constants(value, x))", "x.size"),
    ("sum", pooling._added_up, ".scaled(float(count))", ""),
    ("avg_pool", pooling._averaged, "if divisor is None else", "if True else"),
]  # fmt: skip


def name_of(weak: Any) -> str:
    return weak if isinstance(weak, str) else ""


@pytest.mark.parametrize(("kind", "rule", "old", "new"), WEAK, ids=name_of)
def test_a_weaker_rule_claims_too_little(
    kind: str, rule: Any, old: str, new: str, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "slack", wide)
    kinds = {**KINDS, kind: replace(KINDS[kind], effect=weakened(rule, old, new))}
    nets = [net for net in (*(build().h for build in CASES.values()), *STEEP) if not unknown(net) and any(node.kind == kind for node in net.nodes.values())]
    assert any(excess(one, tmp_path, rng, kinds) > 1e-6 for net in nets for one in (net, wildest(net)))


def test_a_quarter_of_an_ulp_is_too_little(tmp_path: Path) -> None:
    """The worst network is a whole slack away, weight by weight."""
    net = Net({"x": (None, 2)}, {"y": N("linear", (None, 1), ["x"], {}, {"weight": arr([[1.0, 3.0]]), "bias": arr([0.5])})}, ["y"])
    claim, _ = effect(network(net, tmp_path), KINDS, {}, None)
    half = [Fraction(1, 2**24), Fraction(1, 2**23), Fraction(1, 2**25)]
    assert half[2] <= Fraction(claim.alpha) <= half[2] * (1 + Fraction(1, 2**40))
    assert half[0] + half[1] <= Fraction(claim.beta) <= (half[0] + half[1]) * (1 + Fraction(1, 2**40))


def behind(kind: str, *shape: int, weight: Any = (2.0, 3.0), attrs: Any = None, after: tuple[int, ...] | None = None, **params: Any) -> Net:
    """x -> linear -> the operator -> linear, everything positive."""
    units = shape[-1]
    after = after or shape
    grow = np.outer(np.linspace(*weight, units), [1.0, 0.5])
    return Net(
        {"x": (None, *shape[:-1], 2)},
        {
            "h": N("linear", (None, *shape), ["x"], {}, {"weight": arr(grow), "bias": arr(np.ones(units))}),
            "v": N(kind, (None, *after), ["h"], dict(attrs or {}), {role: arr(p) for role, p in params.items()}),
            "y": N("linear", (None, *after[:-1], 1), ["v"], {}, {"weight": arr(np.ones((1, after[-1]))), "bias": arr([0.0])}),
        },
        ["y"],
    )


STEEP = [
    behind("div_constant", 3, attrs={"axis": 1}, divisor=[0.25, 0.5, 0.125]),
    behind("div_constant", 3, attrs={"axis": 1}, divisor=[4, 5, 8]),
    behind("prelu", 3, weight=(-2.0, -3.0), slope=[4.0]),
    behind("batch_norm", 3, mean=[-5, -6, -7], var=[0.25, 0.01, 4], weight=[1, 2, 3], bias=[4, 5, 6], attrs={"eps": 0.0}),
    behind("batch_norm", 3, mean=[-5, -6, -7], var=[9, 16, 4], weight=[1, 2, 3], bias=[4, 5, 6], attrs={"eps": 0.0}),
    behind("sum", 4, 3, attrs={"axes": [1], "keepdim": True}, after=(1, 3)),
    behind(
        "avg_pool", 2, 2, 2, after=(2, 1, 1),
        attrs={"kernel": [2, 2], "stride": [2, 2], "padding": [0, 0], "ceil_mode": False, "count_include_pad": True, "divisor_override": 1},
    ),
    behind("pad", 3, attrs={"pads": [[1, 1]], "mode": "constant", "value": 50.0}, after=(5,)),
]  # fmt: skip


# -- what the checker makes of a claim ----------------------------------------------------


def claimed(triple: Triple, folder: Path, box: Any = None) -> tuple[tuple[Path, Path, Path], Effect]:
    """The files, and the bound that the checker itself finds: it says so where less is claimed."""
    paths = triple.write(folder)
    assert _accepted(paths, None)
    _, numbers = answer(paths, Effect(0.0, 0.0, box)).reason.split("the checker itself finds ")
    return paths, Effect(*(float(word) for word in re.findall(r"[0-9][0-9.e+-]*[0-9]", numbers)), box=box)


def _accepted(paths: tuple[Path, Path, Path], claim: Effect | None) -> bool:
    return isinstance(answer(paths, claim), Proved)


def answer(paths: tuple[Path, Path, Path], claim: Effect | None, *edits: tuple[bytes, bytes]) -> Any:
    data = dumps(replace(loads(paths[2].read_bytes()), effect=claim))
    for old, new in edits:
        assert data.count(old) == 1, (old, data)
        data = data.replace(old, new)
    other = paths[2].with_name("other.json")
    other.write_bytes(data)
    return check_files(*paths[:2], other)


BOX = {"x": ((-1.0,), (2.0,))}


@pytest.mark.parametrize("box", [None, BOX], ids=["every input", "box"])
def test_the_checkers_own_bound_is_proved_and_nothing_below_it(box: Any, tmp_path: Path) -> None:
    paths, own = claimed(CASES["linear_nearest"](), tmp_path, box)
    verdict = answer(paths, own)
    assert isinstance(verdict, Proved)
    assert verdict.rounding == "bounded"
    assert repr(own.alpha) in verdict.statements[1]
    assert ("on every input x" if box is None else "certificate's box") in verdict.statements[1]
    below = [replace(own, alpha=float(np.nextafter(own.alpha, 0)))]
    below += [] if box else [replace(own, beta=float(np.nextafter(own.beta, 0)))]
    for claim in below:
        found = answer(paths, claim)
        assert isinstance(found, Unknown)
        assert repr(own.alpha) in found.reason
    assert _accepted(paths, replace(own, alpha=own.alpha * 2))


def test_a_bound_on_a_smaller_box_is_none_on_a_larger(tmp_path: Path) -> None:
    paths, own = claimed(CASES["linear_nearest"](), tmp_path, BOX)
    assert not _accepted(paths, replace(own, box={"x": ((-1.0,), (2.001,))}))
    assert not _accepted(paths, replace(own, box={"x": ((-2.001, -1.0), (2.0, 2.0))}))
    assert _accepted(paths, replace(own, box={"x": ((-2.0, -1.0), (2.0, 2.0))}))


def test_exact_layers_add_nothing(tmp_path: Path) -> None:
    """Only the last layer of this network is rounded; with slack in the first one the bound is larger."""
    paths, own = claimed(CASES["linear_nearest"](), tmp_path)
    graph = read_graph(read_network_file(paths[1]), KINDS)
    (every, _), (layer, _) = (effect(graph, KINDS, exact, None) for exact in ({}, exact_but(graph, {"y"})))
    assert own.beta < layer.beta < every.beta


@pytest.mark.parametrize("name", CASES)
def test_exact_numbers_are_found_to_be_exact(name: str, tmp_path: Path) -> None:
    """Where rounding is allowed and nothing is rounded, nothing moves: a bound of underflows only."""
    triple = CASES[name]()
    if triple.rounding == "nearest" or unknown(triple.h) or any(node.kind == "mul" for node in triple.h.nodes.values()):
        return
    triple.rounding = "nearest"
    paths = triple.write(tmp_path)
    assert _accepted(paths, Effect(1e-290, 1e-290)), answer(paths, Effect(1e-290, 1e-290))


SPREAD = {"stride": [1], "padding": [0], "dilation": [1]}
PARTLY: dict[str, tuple[tuple[Any, ...], tuple[Any, ...], dict[str, Any], dict[str, tuple[int, ...]]]] = {
    "linear": ((None, 3), (None, 2), {}, {"weight": (2, 3), "bias": (2,)}),
    "conv": ((None, 4, 3), (None, 6, 2), SPREAD | {"groups": 2}, {"weight": (6, 2, 2), "bias": (6,)}),
    "conv_transpose": ((None, 4, 3), (None, 6, 4), SPREAD | {"groups": 2, "output_padding": [0]}, {"weight": (4, 3, 2), "bias": (6,)}),
    "embedding": ((None, 2), (None, 2, 3), {"padding_idx": -1}, {"weight": (5, 3)}),
    "constant": ((None, 3), (None, 3), {"shape": [3], "axis": 1}, {"value": (3,)}),
    "add_constant": ((None, 3), (None, 3), {"axis": 1}, {"term": (3,)}),
    "mul_constant": ((None, 3), (None, 3), {"axis": 1}, {"factor": (3,)}),
}


def test_every_kind_that_rounds_is_rounded_in_part() -> None:
    assert set(PARTLY) == set(ROUNDED)


@pytest.mark.parametrize("box", [None, BOX], ids=["every input", "box"])
@pytest.mark.parametrize("kind", PARTLY)
def test_just_the_rounded_numbers_count(kind: str, box: Any, tmp_path: Path) -> None:
    """A network of float64, half of whose numbers float32 holds: the checker's own bound is that of the other half."""
    before, after, attrs, shapes = PARTLY[kind]
    draw = np.random.default_rng(6)
    wide = {role: np.ldexp(np.where(draw.random(shape) < 0.5, 0.1, 0.125), np.arange(math.prod(shape)).reshape(shape)) for role, shape in shapes.items()}
    choices = {"x": shapes["weight"][0]} if kind == "embedding" else {}
    box = {} if box is not None and choices else box

    def net(dtype: str) -> Net:
        params = {role: numbers.astype(dtype) for role, numbers in wide.items()}
        nodes = {"v": N(kind, after, ["x"], dict(attrs), params), "y": N("relu", after, ["v"])}
        return Net({"x": before}, nodes, ["y"], dtype, choices)

    masks = {role: np.asarray(numbers.astype("float32") == numbers) for role, numbers in wide.items()}
    triple = Triple(net("float64"), net("float32"), {}, "nearest")
    paths, own = claimed(triple, tmp_path, box)
    graph = network(triple.h, tmp_path)
    assert own == effect(graph, KINDS, {"v": masks}, box)[0]
    assert own != effect(graph, KINDS, {"v": {role: mask[::-1] for role, mask in masks.items()}}, box)[0]
    assert _accepted(paths, own)
    assert not _accepted(paths, replace(own, alpha=float(np.nextafter(own.alpha, 0))))


@pytest.mark.parametrize("kind", ["add_constant", "mul_constant"])
def test_one_number_for_all_units_is_rounded_where_it_is_so_for_any(kind: str, tmp_path: Path) -> None:
    role = "term" if kind == "add_constant" else "factor"
    near = np.float64(np.float32(0.1))

    def net(dtype: str, numbers: Any) -> Net:
        return Net({"x": (None, 2)}, {"y": N(kind, (None, 2), ["x"], {"axis": 1}, {role: np.array(numbers, dtype)})}, ["y"], dtype)

    for numbers, exact in (([near, near], True), ([near, 0.1], False), ([0.1, near], False), ([0.1, 0.1], False)):
        paths, own = claimed(Triple(net("float64", numbers), net("float32", 0.1), {}, "nearest"), tmp_path, BOX)
        assert (own.alpha < 1e-300) == exact
        assert _accepted(paths, Effect(1e-300, 0.0, BOX)) == exact


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("kind", ["conv", "conv_transpose"])
def test_rows_of_weights_go_back_to_where_they_are_stored(kind: str, groups: int, tmp_path: Path) -> None:
    weight = np.arange(4 * 3 * 2, dtype=np.float32).reshape(4, 3, 2)
    attrs = {"stride": [1], "padding": [0], "dilation": [1], "groups": groups} | ({"output_padding": [0]} if kind == "conv_transpose" else {})
    channels, units = (3 * groups, 4) if kind == "conv" else (4, 3 * groups)
    net = Net({"x": (None, channels, 5)}, {"y": N(kind, (None, units, 4 if kind == "conv" else 6), ["x"], attrs, {"weight": weight})}, ["y"])
    (node,) = network(net, tmp_path).nodes
    assert (affine._as_stored(node, affine._as_rows(node, weight)) == weight).all()


def test_boxes_of_other_inputs_are_refused(tmp_path: Path) -> None:
    paths = CASES["linear_nearest"]().write(tmp_path)
    for box in ({}, {"z": BOX["x"]}, BOX | {"z": BOX["x"]}, {"x": ((0.0,) * 3, (1.0,) * 3)}):
        found = answer(paths, Effect(1e9, 0.0, box))
        assert type(found).__name__ == "Refuted", box
        assert "box" in found.reason


def test_without_a_rule_there_is_no_claim(tmp_path: Path) -> None:
    net = Net({"x": (None, 2)}, {"v": N("exp", (None, 2), ["x"]), "y": N("linear", (None, 1), ["v"], {}, {"weight": [[1, 2]]})}, ["y"])
    paths = Triple(net, copy.deepcopy(net), {}, "nearest").write(tmp_path)
    assert _accepted(paths, None)
    found = answer(paths, Effect(1e9, 1e9))
    assert isinstance(found, Unknown)
    assert "node 'v' (exp)" in found.reason


def test_numbers_along_the_batch_are_not_taken_for_coefficients(tmp_path: Path) -> None:
    """A fixed first axis may carry parameters; axis 0 of a bound holds something else."""
    net = Net({"x": (2, 3)}, {"y": N("add_constant", (2, 3), ["x"], {"axis": 0}, {"term": [1.0, 5.0]})}, ["y"])
    for box in (None, {"x": ((0.0,), (1.0,))}):
        with pytest.raises(Unsure, match="axis 0"):
            effect(network(net, tmp_path), KINDS, {}, box)


def test_a_number_beyond_the_floats_is_no_bound(tmp_path: Path) -> None:
    nodes = {f"n{k}": N("linear", (None, 1), [f"n{k - 1}" if k else "x"], {}, {"weight": arr([[3e38]])}) for k in range(10)}
    net = Net({"x": (None, 1)}, nodes, ["n9"])
    paths = Triple(net, copy.deepcopy(net), {}, "nearest").write(tmp_path)
    found = answer(paths, Effect(1e308, 1e308))
    assert isinstance(found, Unknown)
    assert "beyond the floats" in found.reason


HOSTILE = {
    "a bound that is NaN": (b'"alpha":1.5', b'"alpha":NaN'),
    "a bound that is infinite": (b'"alpha":1.5', b'"alpha":1e999'),
    "a negative bound": (b'"alpha":1.5', b'"alpha":-1.5'),
    "a bound in a text": (b'"alpha":1.5', b'"alpha":"1.5"'),
    "a bound that is true": (b'"alpha":1.5', b'"alpha":true'),
    "a bound that is null": (b'"alpha":1.5', b'"alpha":null'),
    "a huge integer": (b'"alpha":1.5', b'"alpha":9007199254740993'),
    "no alpha": (b'"alpha":1.5,', b""),
    "a bound twice": (b'"alpha":1.5', b'"alpha":1.5,"alpha":0'),
    "a bound on all inputs and on a box": (b'"alpha":1.5', b'"alpha":1.5,"box":{}'),
    "another key": (b'"alpha":1.5', b'"alpha":1.5,"gamma":0'),
    "an effect that is null": (b'{"alpha":1.5,"beta":2.5}', b"null"),
    "an effect of exact weights": (b'"rounding":"nearest"', b'"rounding":"none"'),
}
HOSTILE_BOX = {
    "an end that is NaN": (b'"lower":-1.0', b'"lower":NaN'),
    "an empty interval": (b'"lower":-1.0', b'"lower":2.5'),
    "an empty interval at one entry": (b'"lower":-1.0', b'"lower":[-1,2.5]'),
    "ends of unequal lengths": (b'"lower":-1.0,"upper":2.0', b'"lower":[-1,-1,-1],"upper":[2,2]'),
    "ends in an empty list": (b'"lower":-1.0', b'"lower":[]'),
    "no upper end": (b',"upper":2.0', b""),
    "an interval in a list": (b'{"lower":-1.0,"upper":2.0}', b"[-1,2]"),
    "a box in a list": (b'{"x":{"lower":-1.0,"upper":2.0}}', b"[]"),
    "ends in a text": (b'"lower":-1.0', b'"lower":"-1"'),
    "ends in nested lists": (b'"lower":-1.0', b'"lower":[[-1]]'),
    "a slope on a box": (b'"bound":1.5', b'"bound":1.5,"beta":0'),
}


@pytest.mark.parametrize("what", [*HOSTILE, *HOSTILE_BOX])
def test_an_unreadable_claim_is_refused(what: str, tmp_path: Path) -> None:
    paths = CASES["linear_nearest"]().write(tmp_path)
    claim, edit = (Effect(1.5, 2.5), HOSTILE[what]) if what in HOSTILE else (Effect(1.5, 0.0, BOX), HOSTILE_BOX[what])
    with pytest.raises(CertificateError) as caught:
        answer(paths, claim, edit)
    assert len(str(caught.value)) < 1000


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    paths = CASES["linear_nearest"]().write(tmp_path)
    for claim in (None, Effect(0.1, 1e-300), Effect(5e-324, 0.0, {"x": ((0.1,), (0.1,)), "y": ((-1.5, 2.0), (3.0, 1e300))}), Effect(1.0, 0.0, {})):
        one = replace(loads(paths[2].read_bytes()), effect=claim)
        assert loads(dumps(one)) == one


BEYOND_A_SCHEMA = ("NaN", "infinite", "huge", "twice", "empty interval", "unequal lengths")


def test_the_published_schema_agrees(tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(json.loads(files("lumpnet").joinpath("certificate.schema.json").read_text()))
    one = loads(CASES["linear_nearest"]().write(tmp_path)[2].read_bytes())
    for claim, texts in ((Effect(1.5, 2.5), HOSTILE), (Effect(1.5, 0.0, BOX), HOSTILE_BOX)):
        data = dumps(replace(one, effect=claim))
        assert validator.is_valid(json.loads(data))
        for what, (old, new) in texts.items():
            if not any(word in what for word in BEYOND_A_SCHEMA):
                assert not validator.is_valid(json.loads(data.replace(old, new))), what


# -- the whole way ------------------------------------------------------------------------


def thrice(seed: int, family: str, activation: str) -> Any:
    """A network of float32 noise in which some units stand three times: three times a weight is hardly ever a float32."""
    draft = base(seed, family, activation, trained=True)
    widener = Widener(draft, np.random.default_rng(seed))
    for column in widener.hidden()[:3]:
        widener.copy(column)
        widener.copy(column)
    return draft.freeze()


def _doubles(graph: Any, x: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: fractions(value) for name, value in run(graph, {name: value.astype(np.float64) for name, value in x.items()}).items()}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("activation", ["relu", "hardtanh"])
def test_reduced_networks_are_as_close_as_claimed_in_exact_arithmetic(family: str, activation: str, seed: int, rng: np.random.Generator) -> None:
    lifted = Lifted(thrice(seed, family, activation))
    for domain in (None, lumpnet.Box(-1, 2)):
        found = lumpnet.reduce(lifted, domain=domain)
        assert isinstance(found.verdict, Proved), found.verdict
        claim = found.certificate.effect
        if claim is None:
            assert found.certificate.rounding == "none" or "product" in str(found.moved)
            continue
        assert found.rounding == "bounded"
        for low, high in ((-1, 1), (-50, 50)) if domain is None else ((-1, 2),):
            x = {v.name: fractions(rng.choice([float(low), float(high)], (2, *(n or 0 for n in v.shape[1:])))) for v in lifted.graph.inputs}
            t = max(abs(e) for v in x.values() for e in v.reshape(-1))
            try:
                noise, (one, two) = Fraction(0), (run(each.graph, x) for each in (found.original, found.network))
            except NoExactValue:
                assert any(node.kind in ("batch_norm", "sigmoid") for node in lifted.graph.nodes)
                noise, (one, two) = Fraction(1, 10**10), (_doubles(each.graph, x) for each in (found.original, found.network))
            for name in lifted.graph.outputs:
                gap = max(abs(a - b) for a, b in zip(one[name].reshape(-1), two[name].reshape(-1), strict=True))
                assert gap <= Fraction(claim.alpha) + Fraction(claim.beta) * t + noise * max(1, *abs(one[name]).reshape(-1))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", [None, "float32"])
def test_the_checker_finds_the_weights_that_the_reducer_rounded(family: str, dtype: str | None, seed: int) -> None:
    """Two readings: masks of the checker's obligations, and of the reducer's rounding."""
    graph = thrice(seed, family, "relu")
    if dtype is not None:  # weights that float32 does not hold
        generator = np.random.default_rng(seed)
        wide = {name: np.asarray(t * (1 + generator.choice([0, 2.0**-40], t.shape) * (t.ndim > 1)), np.float64) for name, t in graph.tensors.items()}
        if any(node.kind == "batch_norm" for node in graph.nodes):
            return
        graph = double(replace(graph, tensors=wide))
    made = plan(graph, "nearest", dtype).quotient
    found = lumpnet.reduce(Lifted(graph), dtype=dtype)
    files = found.original.filed().file, found.network.file
    g, h = (read_graph(file, KINDS) for file in files)
    relations = judge.relations_of(g, found.certificate)
    pairs = judge._pairs(g, h, relations)
    for node in g.nodes:
        case = judge._case(node, pairs[node.name], relations, "nearest", (g.dtype, h.dtype))
        judge._discharge(case)
        for role, tensor in case.reduced.params.items() if case.reduced is not None and case.reduced.kind in ROUNDED else ():
            rounded = made.inexact.get((node.name, role), np.zeros(tensor.data.shape, bool))
            assert (np.broadcast_to(case.exact.get(role, False), tensor.data.shape) == ~rounded).all(), (node.name, role)


def double(graph: Any) -> Any:
    """The graph with values of float64."""
    return replace(
        graph,
        inputs=tuple(replace(v, dtype="float64") for v in graph.inputs),
        nodes=tuple(replace(n, value=replace(n.value, dtype="float64")) for n in graph.nodes),
    )


def test_such_networks_are_rounded_and_differ(rng: np.random.Generator) -> None:
    """Or the law above would say nothing."""
    found = lumpnet.reduce(Lifted(thrice(0, "mlp", "leaky_relu")))
    x = {v.name: fractions(rng.normal(size=(2, *(n or 0 for n in v.shape[1:])))) for v in found.network.graph.inputs}
    one, two = run(found.original.graph, x), run(found.network.graph, x)
    assert (found.rounding, found.as_dict()["rounding"]) == ("bounded", "bounded")
    assert any((one[name] != two[name]).any() for name in found.network.graph.outputs)
