"""What the operators compute, as Z3 terms over the reals: a reading of its own, shared with neither the rules nor the checker.

`element` gives one entry of a node's output from entries of its operands, which
are asked for on demand. Functions without a rational meaning (tanh, softmax,
operators without a rule) are uninterpreted, with a few true facts stated of
them: a proof under these holds for the real functions, a counterexample may not.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import z3

from lumpnet.evidence import smt_functions
from lumpnet.ir import Graph, Node

Term = Any
"""A Z3 real term."""
Index = tuple[int, ...]
"""The entry of a value, without the batch axis."""
Operand = Callable[[Index], Term]
MAX_ARGUMENTS = 512


class Unstated(Exception):
    """Something that is not said to Z3, and why."""


class Reals:
    """Numerals, square roots and functions of one question; `facts` are true of the real ones and belong to every query."""

    def __init__(self) -> None:
        self.facts: list[Any] = []
        self.uninterpreted: set[str] = set()
        self._numbers: dict[Any, Term] = {}
        self._cores: list[tuple[Fraction, Term]] = []
        self._applied: set[Any] = set()

    def number(self, value: Any) -> Term:
        """The exact numeral of a float, integer or `Fraction`."""
        if value not in self._numbers:
            exact = Fraction(value)
            self._numbers[value] = z3.RealVal(f"{exact.numerator}/{exact.denominator}")
        return self._numbers[value]

    def root(self, value: Fraction) -> tuple[Fraction, Term | None]:
        """`sqrt(value)` as a rational times a symbol s > 0 with s*s rational, one symbol for all rational multiples (None: rational)."""
        if value <= 0:
            raise Unstated("the square root of a number that is not positive")
        outer = _rational_root(value)
        if outer is not None:
            return outer, None
        for core, symbol in self._cores:
            outer = _rational_root(value / core)
            if outer is not None:
                return outer, symbol
        symbol = z3.Real(f"sqrt({value})")
        self._cores.append((value, symbol))
        self.facts += [symbol > 0, symbol * symbol == self.number(value)]
        return Fraction(1), symbol

    def surd(self, rational: Fraction, factor: Fraction, radicand: Fraction) -> Term:
        """`rational + factor * sqrt(radicand)`."""
        outer, symbol = self.root(radicand)
        return self.number(rational + factor * outer) if symbol is None else self.number(rational) + self.number(factor * outer) * symbol

    def apply(self, name: str, arguments: Sequence[Term], facts: Callable[[Any, Term], Any] | None = None) -> Term:
        """An uninterpreted function; equal names are equal functions. `facts` states what is known of it at its first argument."""
        if not 0 < len(arguments) <= MAX_ARGUMENTS:
            raise Unstated(f"a function of {len(arguments)} entries")
        self.uninterpreted.add(name.split(":")[0])
        function = z3.Function(name, *[z3.RealSort()] * (len(arguments) + 1))
        if facts is not None and (key := (name, arguments[0])) not in self._applied:
            self._applied.add(key)
            self.facts.append(facts(function, arguments[0]))
        return function(*arguments)

    def affine(self, pairs: Iterable[tuple[Any, Term]], constant: Any = 0) -> Term:
        """The sum of `weight * term`, and a constant."""
        terms = [self.number(weight) * term for weight, term in pairs if weight != 0]
        return z3.Sum([*terms, self.number(constant)])

    def maximum(self, terms: Sequence[Term]) -> Term:
        best = terms[0]
        for term in terms[1:]:
            best = z3.If(term > best, term, best)
        return best


def _odd(f: Any, u: Term) -> Any:
    return f(-u) == -f(u)


def _mirrored(f: Any, u: Term) -> Any:
    return f(-u) == 1 - f(u)


def _zero_at_zero(f: Any, u: Term) -> Any:
    return f(z3.RealVal(0)) == 0


def _rational_root(value: Fraction) -> Fraction | None:
    top, bottom = math.isqrt(value.numerator), math.isqrt(value.denominator)
    return Fraction(top, bottom) if top * top == value.numerator and bottom * bottom == value.denominator else None


@dataclass(frozen=True, eq=False)
class Place:
    """A node with its tensors and the shapes around it (all without the batch axis)."""

    node: Node
    params: Mapping[str, np.ndarray]
    in_shapes: tuple[Index, ...]
    shape: Index
    read: Mapping[str, list[Any]] = field(default_factory=dict)

    @property
    def attrs(self) -> Mapping[str, Any]:
        return self.node.attrs

    def entries(self, role: str) -> list[Any]:
        """A parameter as nested lists of Python floats."""
        return self.read[role]


def place(graph: Graph, node: Node) -> Place:
    """The node where it stands. Raises `Unstated` for values that are not batches of real numbers."""
    values = [graph.value(name) for name in node.inputs]
    for value in (*values, node.value):
        if not value.shape or value.shape[0] is not None:
            raise Unstated("a value without a batch axis")
        if not value.dtype.startswith("float"):
            raise Unstated(f"a value of dtype {value.dtype}")
    params = graph.params_of(node)
    return Place(node, params, tuple(_sizes(v.shape) for v in values), _sizes(node.shape), {role: p.tolist() for role, p in params.items()})


def _sizes(shape: Sequence[int | None]) -> Index:
    return tuple(int(n or 0) for n in shape[1:])


def element(reals: Reals, at: Place, operands: Sequence[Operand], index: Index) -> Term:
    """Entry `index` of the node's output. Raises `Unstated` for a kind without a reading, `IndexError` where shapes do not fit."""
    if at.node.kind not in _ELEMENTS:
        raise Unstated(f"operators of kind {at.node.kind!r}")
    return _ELEMENTS[at.node.kind](reals, at, operands, index)


# -- affine -------------------------------------------------------------------------------


def _linear(reals: Reals, at: Place, xs: Sequence[Operand], index: Index) -> Term:
    row = at.entries("weight")[index[-1]]
    bias = at.entries("bias")[index[-1]] if "bias" in at.params else 0
    return reals.affine(((w, xs[0]((*index[:-1], j))) for j, w in enumerate(row) if w), bias)


def _conv(reals: Reals, at: Place, xs: Sequence[Operand], index: Index) -> Term:
    weight = at.params["weight"]
    first = index[0] // (weight.shape[0] // at.attrs["groups"]) * weight.shape[1]
    row = weight[index[0]]
    bias = at.entries("bias")[index[0]] if "bias" in at.params else 0
    inside = list(window(at, index[1:], weight.shape[2:]))
    return reals.affine(
        ((float(row[(j, *tap)]), xs[0]((first + j, *read))) for j in range(weight.shape[1]) for tap, read in inside if row[(j, *tap)]),
        bias,
    )


def _conv_transpose(reals: Reals, at: Place, xs: Sequence[Operand], index: Index) -> Term:
    """Input position q meets output position p through tap t where p + padding = q * stride + t * dilation."""
    weight, a = at.params["weight"], at.attrs
    made, width = weight.shape[1], weight.shape[0] // a["groups"]
    group, row = divmod(index[0], made)
    bias = at.entries("bias")[index[0]] if "bias" in at.params else 0
    terms = []
    for tap in np.ndindex(*weight.shape[2:]):
        steps = [divmod(p + pad - t * d, s) for p, t, s, pad, d in zip(index[1:], tap, a["stride"], a["padding"], a["dilation"], strict=True)]
        if all(rest == 0 and 0 <= q < n for (q, rest), n in zip(steps, at.in_shapes[0][1:], strict=True)):
            read = tuple(q for q, _ in steps)
            terms += [(float(weight[(j, row, *tap)]), xs[0]((j, *read))) for j in range(group * width, (group + 1) * width) if weight[(j, row, *tap)]]
    return reals.affine(terms, bias)


def _batch_norm(reals: Reals, at: Place, xs: Sequence[Operand], index: Index) -> Term:
    """`gamma * (x - mean) / sqrt(v) + beta`, and `1 / sqrt(v) = sqrt(v) / v`."""
    gamma, mean, beta = (Fraction(at.entries(role)[index[0]]) if role in at.params else Fraction(role == "weight") for role in ("weight", "mean", "bias"))
    variance = Fraction(at.entries("var")[index[0]]) + Fraction(at.attrs["eps"])
    outer, symbol = reals.root(variance)
    factor = gamma * outer / variance
    x = xs[0](index)
    if symbol is None:
        return reals.affine([(factor, x)], beta - factor * mean)
    return reals.affine([(factor, x * symbol), (-factor * mean, symbol)], beta)


def _with_constant(at: Place, role: str, index: Index) -> Any:
    constant = at.params[role]
    return constant.item() if constant.ndim == 0 else at.entries(role)[index[at.attrs["axis"] - 1]]


# -- elementwise --------------------------------------------------------------------------


def _hardtanh(reals: Reals, at: Place, xs: Sequence[Operand], index: Index) -> Term:
    """Clamped from below, then from above."""
    u, low, high = xs[0](index), reals.number(at.attrs["min"]), reals.number(at.attrs["max"])
    raised = z3.If(u < low, low, u)
    return z3.If(raised > high, high, raised)


def _leaky_relu(reals: Reals, at: Place, xs: Sequence[Operand], index: Index) -> Term:
    u = xs[0](index)
    return z3.If(u > 0, u, reals.number(at.attrs["slope"]) * u)


def _relu(reals: Reals, at: Place, xs: Sequence[Operand], index: Index) -> Term:
    u = xs[0](index)
    return z3.If(u > 0, u, reals.number(0))


def _function(kind: str) -> Callable[[Reals, Place, Sequence[Operand], Index], Term]:
    """A function of the table; the attributes are part of an uninterpreted one's name."""
    if kind in smt_functions.FORMULAS:
        return lambda reals, at, xs, index: smt_functions.FORMULAS[kind](at.attrs, xs[0](index))
    known = smt_functions.FACTS[kind]

    def term(reals: Reals, at: Place, xs: Sequence[Operand], index: Index) -> Term:
        name = f"{kind}:{json.dumps(dict(at.attrs), sort_keys=True)}"
        return reals.apply(name, [xs[0](index)], None if known is None else lambda f, u: known(at.attrs, f, u))

    return term


def _two(at: Place, xs: Sequence[Operand], index: Index) -> tuple[Term, Term]:
    """Both operands at `index`, broadcast along axes of size 1."""
    a, b = (x(tuple(0 if n == 1 else i for i, n in zip(index, shape, strict=True))) for x, shape in zip(xs, at.in_shapes, strict=True))
    return a, b


# -- entries that move --------------------------------------------------------------------


def _concat(reals: Reals, at: Place, xs: Sequence[Operand], index: Index) -> Term:
    axis = at.attrs["axis"] - 1
    here = index[axis]
    for x, shape in zip(xs, at.in_shapes, strict=True):
        if here < shape[axis]:
            return x((*index[:axis], here, *index[axis + 1 :]))
        here -= shape[axis]
    raise IndexError("beyond the operands of a concatenation")


def _reshape(reals: Reals, at: Place, xs: Sequence[Operand], index: Index) -> Term:
    flat = np.ravel_multi_index(index, at.shape) if index else 0
    return xs[0](tuple(int(i) for i in np.unravel_index(flat, at.in_shapes[0])))


def _permute(reals: Reals, at: Place, xs: Sequence[Operand], index: Index) -> Term:
    source = [0] * len(index)
    for axis, i in zip(at.attrs["dims"][1:], index, strict=True):
        source[axis - 1] = i
    return xs[0](tuple(source))


def _index_select(reals: Reals, at: Place, xs: Sequence[Operand], index: Index) -> Term:
    axis = at.attrs["axis"] - 1
    return xs[0]((*index[:axis], at.attrs["index"][index[axis]], *index[axis + 1 :]))


# -- windows ------------------------------------------------------------------------------


def window(at: Place, position: Index, kernel: Sequence[int]) -> Iterator[tuple[Index, Index]]:
    """(tap, input position) for the taps of an output position that read inside the input."""
    stride, padding, dilation = at.attrs["stride"], at.attrs["padding"], at.attrs.get("dilation", [1] * len(kernel))
    sizes = at.in_shapes[0][1:]
    for tap in product(*map(range, kernel)):
        read = tuple(o * s - p + t * d for o, t, s, p, d in zip(position, tap, stride, padding, dilation, strict=True))
        if all(0 <= i < n for i, n in zip(read, sizes, strict=True)):
            yield tap, read


def _seen(at: Place, index: Index) -> list[Index]:
    inside = [(index[0], *read) for _, read in window(at, index[1:], at.attrs["kernel"])]
    if not inside:
        raise Unstated("a window without any entry")
    return inside


def divisor(at: Place, position: Index) -> int:
    """What an average pool divides by at an output position."""
    a = at.attrs
    if a["divisor_override"] is not None:
        return int(a["divisor_override"])
    count = 1
    for o, n, k, s, p in zip(position, at.in_shapes[0][1:], a["kernel"], a["stride"], a["padding"], strict=True):
        start, stop = o * s - p, min(o * s - p + k, n + p)
        count *= stop - start if a["count_include_pad"] else min(stop, n) - max(start, 0)
    return count


def _avg_pool(reals: Reals, at: Place, xs: Sequence[Operand], index: Index) -> Term:
    share = Fraction(1, divisor(at, index[1:]))
    return reals.affine((share, xs[0](i)) for i in _seen(at, index))


def _region(at: Place, index: Index) -> list[Index]:
    """The entries that an adaptive pool reads: from floor(i n / o) to ceil((i + 1) n / o) on each axis."""
    axes = zip(index[1:], at.in_shapes[0][1:], at.attrs["output_size"], strict=True)
    return [(index[0], *read) for read in product(*(range(i * n // o, -(-(i + 1) * n // o)) for i, n, o in axes))]


def _average(reals: Reals, x: Operand, entries: Sequence[Index]) -> Term:
    if not entries:
        raise Unstated("an average of nothing")
    return reals.affine((Fraction(1, len(entries)), x(i)) for i in entries)


def _over(at: Place, index: Index) -> list[Index]:
    """The entries that a reduction over axes reads."""
    axes = {a - 1 for a in at.attrs["axes"]}
    rest = iter([i for k, i in enumerate(index) if not (at.attrs["keepdim"] and k in axes)])
    spans = [range(n) if k in axes else [next(rest)] for k, n in enumerate(at.in_shapes[0])]
    return list(product(*spans))


# -- padding and repetition ---------------------------------------------------------------


def _pad(reals: Reals, at: Place, xs: Sequence[Operand], index: Index) -> Term:
    read, mode = [], at.attrs["mode"]
    for i, n, (before, _) in zip(index, at.in_shapes[0], at.attrs["pads"], strict=True):
        i -= before
        if mode == "constant" and not 0 <= i < n:
            return reals.number(at.attrs["value"])
        bent = {"reflect": abs(i) if i < n else 2 * (n - 1) - i, "replicate": min(max(i, 0), n - 1), "circular": i % n}
        read.append(bent.get(mode, i))
    return xs[0](tuple(read))


def _upsample(reals: Reals, at: Place, xs: Sequence[Operand], index: Index) -> Term:
    return xs[0]((index[0], *(i // s for i, s in zip(index[1:], at.attrs["scales"], strict=True))))


def _prelu(reals: Reals, at: Place, xs: Sequence[Operand], index: Index) -> Term:
    u, slopes = xs[0](index), at.entries("slope")
    return z3.If(u > 0, u, reals.number(slopes[index[0] if len(slopes) > 1 else 0]) * u)


# -- uninterpreted ------------------------------------------------------------------------


def _softmax(reals: Reals, at: Place, xs: Sequence[Operand], index: Index) -> Term:
    axis = at.attrs["axis"] - 1
    size = at.shape[axis]
    return reals.apply(f"softmax:{size}:{index[axis]}", [xs[0]((*index[:axis], j, *index[axis + 1 :])) for j in range(size)])


def _opaque(reals: Reals, at: Place, xs: Sequence[Operand], index: Index) -> Term:
    """One function per output entry of all entries of the operands of one example; the tensors are part of its name."""
    if sum(map(math.prod, at.in_shapes)) > MAX_ARGUMENTS:
        raise Unstated(f"a function of {sum(map(math.prod, at.in_shapes))} entries")
    digest = hashlib.sha256(json.dumps([dict(at.attrs), at.in_shapes, at.shape], sort_keys=True).encode())
    for role, tensor in sorted(at.params.items()):
        digest.update(f"{role} {tensor.dtype} {tensor.shape} ".encode() + tensor.tobytes())
    arguments = [x(i) for x, shape in zip(xs, at.in_shapes, strict=True) for i in np.ndindex(*shape)]
    return reals.apply(f"{at.attrs['target']}:{digest.hexdigest()}:{index}", arguments)


_ELEMENTS: Mapping[str, Callable[[Reals, Place, Sequence[Operand], Index], Term]] = {
    "linear": _linear,
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "batch_norm": _batch_norm,
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "hardtanh": _hardtanh,
    "identity": lambda reals, at, xs, index: xs[0](index),
    "dropout": lambda reals, at, xs, index: xs[0](index),
    "tanh": lambda reals, at, xs, index: reals.apply("tanh", [xs[0](index)], _odd),
    "sigmoid": lambda reals, at, xs, index: reals.apply("sigmoid", [xs[0](index)], _mirrored),
    "silu": lambda reals, at, xs, index: reals.apply("silu", [xs[0](index)], _zero_at_zero),
    "gelu": lambda reals, at, xs, index: reals.apply(f"gelu:{at.attrs['approximate']}", [xs[0](index)], _zero_at_zero),
    **{kind: _function(kind) for kind in smt_functions.KINDS},
    "add": lambda reals, at, xs, index: z3.Sum(list(_two(at, xs, index))),
    "mul": lambda reals, at, xs, index: z3.Product(list(_two(at, xs, index))),
    "mul_constant": lambda reals, at, xs, index: xs[0](index) * reals.number(_with_constant(at, "factor", index)),
    "add_constant": lambda reals, at, xs, index: xs[0](index) + reals.number(_with_constant(at, "term", index)),
    "constant": lambda reals, at, xs, index: reals.number(_with_constant(at, "value", index)),
    "div_constant": lambda reals, at, xs, index: xs[0](index) * reals.number(1 / Fraction(_with_constant(at, "divisor", index))),
    "concat": _concat,
    "reshape": _reshape,
    "permute": _permute,
    "index_select": _index_select,
    "max_pool": lambda reals, at, xs, index: reals.maximum([xs[0](i) for i in _seen(at, index)]),
    "avg_pool": _avg_pool,
    "adaptive_avg_pool": lambda reals, at, xs, index: _average(reals, xs[0], _region(at, index)),
    "adaptive_max_pool": lambda reals, at, xs, index: reals.maximum([xs[0](i) for i in _region(at, index)]),
    "mean": lambda reals, at, xs, index: _average(reals, xs[0], _over(at, index)),
    "sum": lambda reals, at, xs, index: reals.affine((1, xs[0](i)) for i in _over(at, index)),
    "amax": lambda reals, at, xs, index: reals.maximum([xs[0](i) for i in _over(at, index)]),
    "amin": lambda reals, at, xs, index: -reals.maximum([-xs[0](i) for i in _over(at, index)]),
    "pad": _pad,
    "upsample": _upsample,
    "prelu": _prelu,
    "softmax": _softmax,
    "opaque": _opaque,
}


def region_sizes(at: Place, position: Index) -> Index:
    """How many entries an adaptive pool reads on each axis."""
    axes = zip(position, at.in_shapes[0][1:], at.attrs["output_size"], strict=True)
    return tuple(-(-(i + 1) * n // o) - i * n // o for i, n, o in axes)
