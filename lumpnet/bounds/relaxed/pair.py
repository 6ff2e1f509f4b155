"""The difference of two networks as one program: THEORY section 4 with `d = x - (E y + c)` as a value of its own.

A *match* says for a value of the original which value of the other network it
follows, and by which relation. Through an affine step

    d_out = W_F d_in + (W_F E_in - E_out W_G) y_in + (W_F c_in + b_F - E_out b_G - c_out)

so the weights multiply the small d, and only the difference of the weights multiplies y. Through a
function, `d_out = f(z + d) - f(z)` with `z = E y + c`, wherever `f(E y + c) = E_out f(y) + c_out`. Where
nobody matched, or the rule does not hold, d is the plain difference of both values: correct, and wide.
A d that is zero whatever the input is not written at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lumpnet.bounds.relaxed import relaxations as relax
from lumpnet.bounds.relaxed.devices import placed
from lumpnet.bounds.relaxed.maps import Chain, Dense, Diagonal, Difference, Function, Gather, Map
from lumpnet.bounds.relaxed.program import Affine, Input, Node, Nonlinear, Program, constant, everywhere, plain, unstable
from lumpnet.bounds.relaxed.relaxations import Bounds, Lines
from lumpnet.bounds.relaxed.tape import Step, Tape, curve_of

U = 2.0**-53


@dataclass(frozen=True, eq=False)
class Relation:
    """`x[i] = scale[i] y[of[i]] + offset[i]` for the entries of two flat values; `of[i]` is -1 where x[i] is the constant.

    Scales and offsets are floats, meant exactly.
    """

    of: Tensor
    scale: Tensor
    offset: Tensor
    size: int

    @property
    def plain(self) -> bool:
        """Whether x = y."""
        return len(self.of) == self.size and bool((self.of == torch.arange(self.size)).all() and (self.scale == 1).all() and (self.offset == 0).all())

    @property
    def operator(self) -> Gather:
        return Gather(self.of, self.size, None if bool((self.scale == 1).all()) else self.scale)


def same(n: int) -> Relation:
    return Relation(torch.arange(n), torch.ones(n, dtype=torch.float64), torch.zeros(n, dtype=torch.float64), n)


@dataclass(frozen=True, eq=False)
class Units:
    """A relation of units along one axis of a value (its batch counted: 1 is the first): `of`, `scale`, `offset` by unit."""

    of: np.ndarray
    scale: np.ndarray
    offset: np.ndarray
    axis: int = 1

    def fit(self, shape: Sequence[int], other: Sequence[int]) -> bool:
        """Whether values of these shapes, without batch, differ along the axis only, and the relation is as long as that."""
        k = self.axis - 1
        return k < len(shape) and len(self.of) == shape[k] and (*shape[:k], *shape[k + 1 :]) == (*other[:k], *other[k + 1 :])

    def flat(self, shape: Sequence[int], other: Sequence[int]) -> Relation:
        """For values of these shapes, without batch."""
        axis, n = self.axis - 1, int(np.prod(other, dtype=np.int64))
        numbers = np.arange(n).reshape(other)
        taken = np.take(numbers, np.maximum(self.of, 0), axis=axis)
        wide = [1] * len(shape)
        wide[axis] = -1
        of, scale, offset = (np.broadcast_to(v.reshape(wide), shape) for v in (self.of, self.scale, self.offset))
        index = np.where(of < 0, -1, taken).reshape(-1)
        factor, shift = (placed(np.array(v, dtype=np.float64).reshape(-1)) for v in (scale, offset))
        return Relation(placed(index), factor, shift, n)


Match = Mapping[str, tuple[str, Units | None]]
"""Original's value -> the other's value, and the relation of their units (None: equal)."""


def pair(original: Tape, other: Tape, match: Match) -> Program:
    """The program whose outputs are the differences of the outputs, original minus other, in the order of the original's outputs."""
    return _Pair(original, other, match).program()


class _Pair:
    def __init__(self, original: Tape, other: Tape, match: Match):
        self.f, self.g = original, other
        self.nodes: list[Node] = []
        self.inputs: list[int] = []
        self.made: dict[tuple[str, int], int | None] = {}
        self.relations: dict[int, Relation | None] = {}
        self.with_ = self._steps(match)

    def _steps(self, match: Match) -> dict[int, tuple[int, Units | None]]:
        """Steps of the original that follow steps of the other: the values matched, and what lies inside of their operators."""
        at = {step.origin: number for number, step in enumerate(self.g.steps)}
        found = {}
        for number, step in enumerate(self.f.steps):
            name, units = match.get(step.origin[0], (None, None))
            partner = at.get((name, step.origin[1])) if name is not None else None
            if partner is None or self.g.steps[partner].kind != step.kind or len(self.g.steps[partner].shape) != len(step.shape):
                continue
            if units is None and self.g.steps[partner].shape != step.shape:
                continue
            if units is not None and not units.fit(step.shape, self.g.steps[partner].shape):
                continue
            found[number] = partner, units
        for mine, theirs in zip(self.f.graph.inputs, self.g.graph.inputs, strict=True):
            found[self.f.values[mine.name]] = self.g.values[theirs.name], None
        return found

    def program(self) -> Program:
        for value in self.f.graph.inputs:
            number = self.f.values[value.name]
            self.made["y", self.with_[number][0]] = self._add(Input(self.f.steps[number].size, value.name))
            self.inputs.append(len(self.nodes) - 1)
        for number in range(len(self.g.steps)):  # in order, so that nothing waits for a long row of operands
            self.y(number)
        for number in range(len(self.f.steps)):
            self.d(number) if self.relation(number) is not None else self.x(number)
        outputs = []
        for one, two in zip(self.f.graph.outputs, self.g.graph.outputs, strict=True):
            outputs.append(self._output(self.f.values[one], self.g.values[two]))
        return self._needed(outputs)

    def _needed(self, outputs: list[int | None]) -> Program:
        """The program of just those nodes that an output consists of."""
        needed = {*self.inputs, *(number for number in outputs if number is not None)}
        for number in range(len(self.nodes) - 1, -1, -1):
            if number in needed:
                needed.update(self.nodes[number].parents)
        at = {number: k for k, number in enumerate(sorted(needed))}
        for number in at:
            self.nodes[number].parents = tuple(at[p] for p in self.nodes[number].parents)
        self.nodes, self.inputs = [self.nodes[number] for number in at], [at[i] for i in self.inputs]
        self.made = {key: None if number is None else at[number] for key, number in self.made.items() if number is None or number in at}
        return Program(self.nodes, self.inputs, [None if o is None else at[o] for o in outputs])

    def _output(self, one: int, two: int) -> int | None:
        partner = self.with_.get(one)
        if partner is not None and partner[0] == two:
            d = self.d(one)
            relation = self.relation(one)
            if relation is not None and relation.plain:
                return d
        return self._minus(self.x(one), self.y(two), same(self.g.steps[two].size), self.f.steps[one].origin[0])

    def _add(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    # -- both networks alone --------------------------------------------------------------

    def y(self, number: int) -> int:
        """The other network's value."""
        key = ("y", number)
        if key not in self.made:
            step = self.g.steps[number]
            self.made[key] = self._add(plain(step, tuple(self.y(p) for p in step.parents)))
        made = self.made[key]
        assert made is not None
        return made

    def x(self, number: int) -> int:
        """The original's value: what its partner says plus d, or its own step."""
        key = ("x", number)
        if key not in self.made:
            if self.with_.get(number) and self.relation(number) is not None:
                z, d = self.expanded(number), self.d(number)
                n = self.f.steps[number].size
                eye = Gather(torch.arange(n), n)
                self.made[key] = z if d is None else self._affine([(z, eye, False), (d, eye, False)], n, torch.zeros(n), torch.zeros(n), "")
            else:
                step = self.f.steps[number]
                self.made[key] = self._add(plain(step, tuple(self.x(p) for p in step.parents)))
        made = self.made[key]
        assert made is not None
        return made

    def expanded(self, number: int) -> int:
        """z = E y + c of a matched value."""
        key = ("z", number)
        if key not in self.made:
            relation, y = self.relation(number), self.y(self.with_[number][0])
            assert relation is not None
            if relation.plain:
                self.made[key] = y
            else:
                self.made[key] = self._affine([(y, relation.operator, False)], len(relation.of), relation.offset, torch.zeros(len(relation.of)), "")
        made = self.made[key]
        assert made is not None
        return made

    # -- the difference -------------------------------------------------------------------

    def relation(self, number: int) -> Relation | None:
        """The relation of a matched value; None where its operator's rule does not give it, and it is taken as unmatched."""
        if number not in self.relations:
            self.relations[number] = self._relation(number)
        return self.relations[number]

    def _relation(self, number: int) -> Relation | None:
        if number not in self.with_:
            return None
        step, (partner, units) = self.f.steps[number], self.with_[number]
        other = self.g.steps[partner]
        wanted = same(step.size) if units is None else units.flat(step.shape, other.shape)
        if step.kind in ("input", "affine"):
            return wanted
        if not _same_function(step, other):
            return None
        operands = [self.relation(p) for p in step.parents]
        if any(o is None or self.with_[p][0] != q for o, p, q in zip(operands, step.parents, other.parents, strict=True)):
            return None
        if all(o is not None and o.plain for o in operands) and wanted.plain:
            return wanted
        (first, *rest) = operands
        assert first is not None
        if rest or step.kind not in ("relu", "curve") or bool(((first.of >= 0) & (first.offset != 0)).any()):
            return None
        if bool((first.of >= 0).any()) and not _passes(step.kind, first.scale[first.of >= 0]):
            return None
        if step.kind == "curve" and bool((first.of < 0).any()):
            return None  # the image of a constant is no float
        image = Relation(first.of, first.scale, torch.where(first.of < 0, first.offset.clamp(min=0), 0.0), first.size)
        return image

    def d(self, number: int) -> int | None:
        """The deviation of a matched value; None where it is 0."""
        key = ("d", number)
        if key not in self.made:
            step, partner = self.f.steps[number], self.g.steps[self.with_[number][0]]
            if step.kind == "input":
                self.made[key] = None
            elif step.kind == "affine":
                self.made[key] = self._affine_difference(number, step, partner)
            else:
                ds = [self.d(p) for p in step.parents]
                self.made[key] = None if all(d is None for d in ds) else self._add(self._function(step, ds))
        return self.made[key]

    def _affine_difference(self, number: int, step: Step, partner: Step) -> int | None:
        out = self.relation(number)
        assert out is not None
        operands = [self.relation(p) if p in self.with_ else None for p in step.parents]
        alike = _alike(step, partner) and out.plain and all(o is not None and o.plain for o in operands)
        alike = alike and all(self.with_[p][0] == q for p, q in zip(step.parents, partner.parents, strict=True))
        terms: list[tuple[int, Map, bool]] = []
        moved, size, count = step.bias.clone(), step.bias.abs(), 0.0
        left = list(zip(partner.parents, partner.maps, strict=True))
        for p, operator, relation in zip(step.parents, step.maps, operands, strict=True):
            if relation is None:
                terms.append((self.x(p), operator, True))
                continue
            d = self.d(p)
            if d is not None:
                terms.append((d, operator, False))
            if bool((relation.offset != 0).any()):
                moved, size = moved + operator.apply(relation.offset), size + operator.absolute(relation.offset.abs())
                count += operator.terms + operator.rel + 1
            q = self.with_[p][0]
            match = next((k for k, entry in enumerate(left) if entry[0] == q), None)
            theirs = left.pop(match)[1] if match is not None else None
            between = None if alike and theirs is not None else _between(operator, relation, theirs, out)
            if between is not None:
                terms.append((self.y(q), between, True))
        terms += [(self.y(q), _minus(Chain(operator, out.operator)), True) for q, operator in left]
        if alike and not left:
            moved, off = torch.zeros_like(moved), torch.zeros_like(moved)
        else:
            bias = out.operator.apply(partner.bias)
            exact = count == 0 and bool((out.scale == 1).all() and (out.offset == 0).all())
            size = size + bias.abs() + out.offset.abs()
            moved = moved - bias - out.offset
            off = (step.off + out.operator.absolute(partner.off)) * (1 + 8 * U) + 2 * U * (moved.abs() if exact else (count + 8) * size)
        residual = bool((moved != 0).any() or (off != 0).any())
        return self._affine(terms, step.size, moved, off, step.origin[0], residual) if terms or residual else None

    def _affine(self, terms: Sequence[tuple[int, Map, bool]], n: int, bias: Tensor, off: Tensor, origin: str, bias_residual: bool = False) -> int:
        parents, maps, residual = (tuple(column) for column in zip(*terms, strict=True)) if terms else ((), (), ())
        return self._add(Affine(n, parents, maps, bias.double(), off.double(), origin, residual, bias_residual))

    def _minus(self, x: int, y: int, relation: Relation, origin: str) -> int:
        n = len(relation.of)
        eye = Gather(torch.arange(n), n)
        return self._affine([(x, eye, True), (y, _minus(relation.operator), True)], n, -relation.offset, torch.zeros(n), origin)

    def _function(self, step: Step, deviations: Sequence[int | None]) -> Node:
        zs = [self.expanded(p) for p in step.parents]
        ds = [self._zero(self.nodes[z].size) if d is None else d for d, z in zip(deviations, zs, strict=True)]
        match step.kind:
            case "relu":
                return Nonlinear(step.size, (ds[0], zs[0]), lambda x: relax.relu_difference(x[0], x[1]), unstable, _moved, lambda x: relax.bend(x[0], x[1]))
            case "curve":
                assert step.site is not None
                f, name = curve_of(step.site)
                whole, quick = (lambda x: relax.curve_difference(f, name, x[0], x[1])), (lambda x: relax.any_difference(name, x[0]))
                return Nonlinear(step.size, (ds[0], zs[0]), whole, everywhere, quick=quick)
            case "product":
                return Nonlinear(step.size, (ds[0], zs[0], ds[1], zs[1]), lambda x: constant(relax.product_difference(x[0], x[1], x[2], x[3]), 4), _either)
            case "softmax":
                assert step.site is not None
                axis, shape = step.site.attrs["axis"], step.shape

                def softmax(x: Sequence[Bounds]) -> tuple[Bounds, Lines]:
                    low, high = (b.reshape(-1, *shape) for b in x[0])
                    found = relax.softmax_difference((low, high), axis)
                    return constant((found[0].flatten(1), found[1].flatten(1)), 2)

                return Nonlinear(step.size, (ds[0], zs[0]), softmax, everywhere)
        return self._images(step, ds, zs)

    def _images(self, step: Step, ds: Sequence[int], zs: Sequence[int]) -> Node:
        """An operator with an interval only: both images, and their difference."""
        whole = plain(step, tuple(zs))
        assert isinstance(whole, Nonlinear)

        def interval(operands: Sequence[Bounds]) -> tuple[Bounds, Lines]:
            half = len(operands) // 2
            d, z = operands[:half], operands[half:]
            x = [(torch.nextafter(a[0] + b[0], _down(a[0])), torch.nextafter(a[1] + b[1], -_down(a[1]))) for a, b in zip(d, z, strict=True)]
            one, two = whole.relax(x)[0], whole.relax(z)[0]
            low, high = one[0] - two[1], one[1] - two[0]
            return constant((torch.nextafter(low, _down(low)), torch.nextafter(high, -_down(high))), len(operands))

        return Nonlinear(step.size, (*ds, *zs), interval, everywhere if len(zs) == 1 else lambda operands: None)

    def _zero(self, n: int) -> int:
        zero = torch.zeros(n, dtype=torch.float64)
        return self._affine([], n, zero, zero, "")


def _down(x: Tensor) -> Tensor:
    return torch.full_like(x, -torch.inf)


def _either(operands: Sequence[Bounds]) -> Tensor:
    found: Tensor = (operands[0][0] < operands[0][1]) | (operands[2][0] < operands[2][1])
    return found


def _moved(operands: Sequence[Tensor]) -> Tensor:
    d, z = operands
    return (z + d).clamp(min=0) - z.clamp(min=0)


def _passes(kind: str, scale: Tensor) -> bool:
    return bool((scale > 0).all()) if kind == "relu" else bool((scale == 1).all())


def _same_function(step: Step, other: Step) -> bool:
    """Whether both steps apply one function: relu and products say all of it, other kinds have attributes and numbers (gelu has two forms, softmax an axis)."""
    if step.kind in ("relu", "product"):
        return True
    one, two = step.site, other.site
    if one is None or two is None or one.node.kind != two.node.kind or one.node.attrs != two.node.attrs or set(one.params) != set(two.params):
        return False
    return all(np.array_equal(one.params[role], two.params[role]) for role in one.params)


def _alike(step: Step, partner: Step) -> bool:
    """Whether both steps are the same step of the same operator with the same stored numbers."""
    one, two = step.site, partner.site
    if one is None or two is None or step.origin[1] != partner.origin[1] or step.shape != partner.shape:
        return False
    same = one.node.kind == two.node.kind and one.node.attrs == two.node.attrs and set(one.params) == set(two.params) and one.in_shapes == two.in_shapes
    return same and all(np.array_equal(one.params[role], two.params[role]) for role in one.params)


def _minus(operator: Map) -> Map:
    return Chain(operator, Diagonal(-torch.ones(operator.n_out, dtype=torch.float64)))


def _between(one: Map, into: Relation, two: Map | None, out: Relation) -> Map | None:
    """`one E_in - E_out two`, or None where it is zero."""
    if two is None:
        return _reached(one, into)
    if into.plain and out.plain:
        if isinstance(one, Dense) and isinstance(two, Dense) and one.rel == two.rel == 0:
            return None if bool((one.weight == two.weight).all()) else Dense(one.weight - two.weight, 1.0)
        if isinstance(one, Diagonal) and isinstance(two, Diagonal):
            if one.rel == two.rel == 0:
                return None if bool((one.weight == two.weight).all()) else Diagonal(one.weight - two.weight, 1.0)
            return Difference(one, two)
        if isinstance(one, Gather) and isinstance(two, Gather) and _equal(one, two):
            return None
        if isinstance(one, Function) and isinstance(two, Function) and one.in_shape == two.in_shape and one.out_shape == two.out_shape:
            if one.what != two.what:
                return Difference(one, two)
            if one.weight is None and two.weight is None:
                return None
            if one.weight is not None and two.weight is not None and one.weight.shape == two.weight.shape:
                change = one.weight - two.weight
                return None if bool((change == 0).all()) else replace(one, weight=change, rel=1.0)
    if isinstance(one, Gather) and isinstance(two, Gather) and _equal(_after(one, into), _after(out.operator, two)):
        return None
    if isinstance(one, Dense) and isinstance(two, Dense):
        return _dense(one, into, two, out)
    if bool((into.of < 0).all()):
        return _minus(Chain(two, out.operator))
    return Difference(Chain(into.operator, one), Chain(two, out.operator))


def _reached(one: Map, into: Relation) -> Map | None:
    return None if bool((into.of < 0).all()) else Chain(into.operator, one)


def _dense(one: Dense, into: Relation, two: Dense, out: Relation) -> Map | None:
    """Both products, entry by entry, with the magnitude of what was summed."""
    back = into.operator
    mine, most = back.back(one.weight), Gather(back.index, back.size, None if back.scale is None else back.scale.abs()).back(one.weight.abs())
    theirs = out.operator.apply(two.weight.T).T
    if bool((mine == theirs).all()) and _exactly_summed(back, out):
        return None
    return Dense(mine - theirs, back.terms + 3.0 + one.rel + two.rel, most + theirs.abs())


def _exactly_summed(back: Gather, out: Relation) -> bool:
    """Whether no arithmetic was done on either side: one entry a column, factors of 1."""
    return back.terms == 1 and back.scale is None and bool((out.scale == 1).all())


def _after(second: Gather | Map, first: Gather | Relation | Map) -> Gather | None:
    """`second` after `first`, both of them gathers with one entry a row."""
    operator = first.operator if isinstance(first, Relation) else first
    if not isinstance(second, Gather) or not isinstance(operator, Gather):
        return None
    index = torch.where(second.index < 0, -1, operator.index[second.index.clamp(min=0)]) if len(operator.index) else second.index
    ones = torch.ones(len(index), dtype=torch.float64)
    one = ones if second.scale is None else second.scale
    two = ones if operator.scale is None else operator.scale[second.index.clamp(min=0)]
    if not bool(((one.abs() == 1) | (two.abs() == 1) | (index < 0)).all()):
        return None
    return Gather(index, operator.size, torch.where(index < 0, 0.0, one * two))


def _equal(one: Gather | None, two: Gather | None) -> bool:
    if one is None or two is None or one.size != two.size or len(one.index) != len(two.index):
        return False
    ones = torch.ones(len(one.index), dtype=torch.float64)
    a, b = (ones if g.scale is None else g.scale for g in (one, two))
    read = one.index >= 0
    return bool((one.index == two.index).all() and (a[read] == b[read]).all())
