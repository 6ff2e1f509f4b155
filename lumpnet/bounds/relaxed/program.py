"""Certified bounds of the values of a program over a batch of boxes: intervals forwards, linear bounds backwards (CROWN).

The values of a program are flat; a batch of B boxes gives each a lower and an
upper bound of shape (B, n). Intervals come first; where a relaxation would gain
by better ones, rows are substituted back to the inputs, line by line.

Where the inputs are few, a bound is not a linear but a convex function of them, known by its values at the corners of a box:
a chord's offset is what relu needs at the worst of all operands, and at a corner, where the operand is bounded better, it needs
less (`Relief`). Sums of these with coefficients of one sign are convex again, so the largest corner bounds the box.

In floating point: every step adds to a *slack* what its arithmetic can be off.
A sum of k products errs by at most `(k + c) u sum |a| |w| |x|` (`bounds.rounding`), the c
counting accumulations and constants; the magnitudes `|w| |x|` of a value are computed
once, forwards, so a step costs one more product with a vector. Slacks are sums of
non-negative numbers; `RAISED` covers their own rounding. Underflow is covered by `TINY` once, for
values and coefficients below `HUGE`, which is checked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lumpnet.bounds.outward import Range
from lumpnet.bounds.registry import rule_for
from lumpnet.bounds.relaxed import relaxations as relax
from lumpnet.bounds.relaxed.allowance import Allowance
from lumpnet.bounds.relaxed.devices import current, fetched, placed, room
from lumpnet.bounds.relaxed.maps import Chain, Difference, Gather, Map
from lumpnet.bounds.relaxed.relaxations import Bounds, Lines
from lumpnet.bounds.relaxed.tape import Step, curve_of
from lumpnet.errors import NoBound

U = 2.0**-53
RAISED = 1 + 2.0**-20
TINY = 2.0**-400
HUGE = 2.0**300
ELEMENTS = 1 << 19
"""Coefficients held at once by one substitution on a processor: more do not stay in a cache."""
FEW = 64
"""Inputs up to which `Evaluation.reach` is kept, and above which there are many."""
SHALLOW = 1
"""Layers that are a few."""
FACED = 6
"""Inputs up to which all corners of a box are looked at."""
ARCHED = 8
"""Inputs up to which upper bounds are convex functions, largest at a corner."""
HELD = 1 << 18
"""Numbers at the corners of a box, for one value, at most."""
POINTS = 1 << 12
"""Entries of curves relaxed at once."""
CACHED = 1 << 16
"""Numbers at corners held at once."""


Relax = Callable[[Sequence[Bounds]], tuple[Bounds, Lines]]


class Node:
    """A value of a program."""

    size: int
    parents: tuple[int, ...]


@dataclass(eq=False)
class Input(Node):
    size: int
    name: str
    parents: tuple[int, ...] = ()


@dataclass(eq=False)
class Affine(Node):
    """`sum maps[k] parents[k] + bias`, the bias at most `off` wrong.

    `residual` marks the terms (and `bias_residual` the bias) by which two networks differ at `origin`.
    """

    size: int
    parents: tuple[int, ...]
    maps: tuple[Map, ...]
    bias: Tensor
    off: Tensor
    origin: str = ""
    residual: tuple[bool, ...] = ()
    bias_residual: bool = False

    @property
    def terms(self) -> int:
        return sum(m.terms for m in self.maps) + len(self.maps) + 1

    @property
    def rel(self) -> float:
        return max((m.rel for m in self.maps), default=0.0)


@dataclass(eq=False)
class Nonlinear(Node):
    """`relax(operands)` gives an interval and lines; `refine(operands)` the entries whose operands should be known better (None: no entry).

    `run(operands)` is the function itself, in floats, where it is that simple. `quick` is a `relax` that is wider and takes no time, where entries
    stand alone and the usual one takes long. `bend(operands)` is where it is not linear in the last operand, whatever the others are: the ends of one
    stretch (None: anywhere).
    """

    size: int
    parents: tuple[int, ...]
    relax: Relax
    refine: Callable[[Sequence[Bounds]], Tensor | None]
    run: Callable[[Sequence[Tensor]], Tensor] | None = None
    bend: Callable[[Sequence[Bounds]], Bounds] | None = None
    quick: Relax | None = None


@dataclass(eq=False)
class Program:
    """`outputs` are numbers of values; None is a value that is zero whatever the input. Its tensors are on `device`."""

    nodes: list[Node]
    inputs: list[int]
    outputs: list[int | None]
    device: torch.device = field(default_factory=current)

    @property
    def elements(self) -> int:
        """Coefficients held at once by one substitution."""
        return ELEMENTS * room(self.device)

    @cached_property
    def crowd(self) -> int:
        """The most operands that one value is: so many coefficients may be added up for it."""
        return max(Counter(parent for node in self.nodes for parent in node.parents).values(), default=0)

    @cached_property
    def many(self) -> bool:
        """Whether inputs are many."""
        return sum(self.nodes[i].size for i in self.inputs) > FEW

    @cached_property
    def levels(self) -> list[int]:
        """For each value how many functions that are not affine may follow one another up to it."""
        found: list[int] = []
        for node in self.nodes:
            found.append(max((found[p] for p in node.parents), default=0) + isinstance(node, Nonlinear))
        return found

    @cached_property
    def held(self) -> int:
        """Numbers at the corners of a box for the largest value; 0 where there are too many for convex bounds."""
        inputs = sum(self.nodes[i].size for i in self.inputs)
        most = max(node.size for node in self.nodes) << min(inputs, ARCHED)
        return most if inputs <= ARCHED and most <= HELD and not self.many else 0


@dataclass(eq=False)
class Relief:
    """`by` (B, n, C): what may be taken off the offset of an upper line at each corner, and where `both` off the lower one's;
    linear between the corners the line holds still. `most` (B, n) are the largest magnitudes."""

    by: Tensor
    most: Tensor
    both: bool


@dataclass(eq=False)
class Evaluation:
    """Bounds of all values on a batch of boxes, and what substitutions need."""

    bounds: list[Bounds]
    lines: dict[int, Lines] = field(default_factory=dict)
    sizes: dict[int, Tensor] = field(default_factory=dict)
    gaps: dict[int, Tensor] = field(default_factory=dict)
    refined: dict[int, Bounds] = field(default_factory=dict)
    crowd: int = 0
    reach: dict[int, Tensor] = field(default_factory=dict)
    """Of refined entries the share that each input has in the width of their bounds (B, n, inputs), where the inputs are few."""
    corners: dict[int, Tensor] = field(default_factory=dict)
    """What the values are at the corners of the boxes (B, corners, n), in floats, where the inputs are very few."""
    slopes: dict[int, Tensor] = field(default_factory=dict)
    """Lower slopes for each corner (B, corners, n): half of what is tight there, half of the usual ones."""
    points: dict[int, Tensor] = field(default_factory=dict)
    """The corners (B, n, C) of each input, where the inputs are few enough for convex bounds."""
    heights: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    """At the corners (B, n, C) what a concave function below and a convex one above values are."""
    reliefs: dict[int, Relief] = field(default_factory=dict)
    done: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    """The entries (B, n) of a value that were substituted down to a level."""
    allowance: Allowance = field(default_factory=Allowance)


@dataclass(eq=False)
class Upper:
    """Upper bounds (B, K), the coefficients of the inputs, what each residual adds to them at most, and the coefficients of nonlinear values (B, K, n).

    `linear` (B, K) are the bounds that these coefficients give, `heights` (B, K, C) what a convex function above is at the corners (None: there is none).
    """

    bound: Tensor
    coefficients: dict[int, Tensor]
    shares: dict[str, Tensor]
    passed: dict[int, Tensor]
    linear: Tensor
    heights: Tensor | None = None


def evaluate(
    program: Program, boxes: Sequence[Bounds], prior: dict[int, Bounds] | None = None, refine: bool = True, allowance: Allowance | None = None
) -> Evaluation:
    """boxes: lower and upper (B, n) of every input. prior: bounds known from larger boxes. Raises `NoBound` where numbers grow too large, or time is up."""
    found = Evaluation([None] * len(program.nodes), crowd=program.crowd, allowance=allowance or Allowance())  # type: ignore[list-item]
    at = dict(zip(program.inputs, boxes, strict=True))
    if sum(low.shape[1] for low, _ in boxes) <= FACED:
        found.corners = dict(zip(program.inputs, _corners(boxes), strict=True))
    if program.held:
        found.points = {k: c.transpose(1, 2) for k, c in zip(program.inputs, _corners(boxes), strict=True)}
    for number, node in enumerate(program.nodes):
        found.allowance.check()
        if isinstance(node, Input):
            found.bounds[number] = at[number]
        elif isinstance(node, Affine):
            found.bounds[number] = _met(_interval(node, found, number), prior.get(number) if prior else None)
        else:
            assert isinstance(node, Nonlinear)
            if refine:
                _refine(program, node, found)
            if found.points:
                _heighten(program, node, found)
            found.bounds[number], found.lines[number] = _relaxed(node, [found.bounds[p] for p in node.parents], found.allowance)
            found.sizes[number] = _line_sizes(found.lines[number], [_most(found.bounds[p]) for p in node.parents])
            found.gaps[number] = _gap(found.lines[number], [found.bounds[p] for p in node.parents])
            if found.lines[number].chord is not None and node.parents[0] in found.heights:
                found.reliefs[number] = _relief(found.lines[number], *found.heights[node.parents[0]])
        _visit(number, node, found)
        if not bool((_most(found.bounds[number]) < HUGE).all()):
            raise NoBound("bounds", "values beyond 2^300, or none", "values of moderate size", "a smaller domain")
    return found


def _relaxed(node: Nonlinear, operands: Sequence[Bounds], allowance: Allowance) -> tuple[Bounds, Lines]:
    """What takes long is relaxed some entries at a time: they stay in a cache, and where time is up the others are relaxed quickly."""
    step = max(1, POINTS // len(operands[0][0]))
    if node.quick is None or node.size <= step:
        return node.relax(operands)
    found = []
    for k in range(0, node.size, step):
        part = [(low[:, k : k + step], high[:, k : k + step]) for low, high in operands]
        found.append((node.quick if allowance.over else node.relax)(part))
    bounds, lines = zip(*found, strict=True)
    low, high = ([None if s[0] is None else torch.cat(s, 1) for s in zip(*(getattr(line, side) for line in lines), strict=True)] for side in ("low", "high"))
    under, over = (torch.cat([getattr(line, name) for line in lines], 1) for name in ("under", "over"))
    return (torch.cat([b[0] for b in bounds], 1), torch.cat([b[1] for b in bounds], 1)), Lines(low, high, under, over)


def upper(
    program: Program,
    found: Evaluation,
    target: int,
    rows: Tensor,
    trace: bool = False,
    passing: bool = False,
    peaks: Tensor | None = None,
    pulls: dict[int, Tensor] | None = None,
    floor: int = 0,
) -> Upper:
    """Bounds above `rows` (B, K, n) of a value, by substitution down to the inputs; integers (B, K) stand for those entries and then their negatives.

    `trace` asks for shares, `passing` for the coefficients of nonlinear values. `peaks` (B, K) are corners: each row takes the slopes of its own.
    `pulls` are multipliers c (B, K, n) of values z below the target: `c z - min c z`, which is never negative, is added to the rows. Values of a
    level below `floor` are taken for inputs.
    """
    if rows.is_floating_point():
        const = torch.zeros(rows.shape[:2], dtype=torch.float64)
        slack, held = torch.zeros_like(const), {target: rows}
    else:
        const, slack, held = _entries(program.nodes[target], found, target, rows)
    shares: dict[str, Tensor] = {}
    ends: dict[int, Tensor] = {}
    passed: dict[int, Tensor] = {}
    relieved: dict[int, Tensor] = {}
    for number in range(target, -1, -1):
        a = held.pop(number, None)
        if pulls is not None and number in pulls:
            a, const, slack = _pulled(pulls[number], a, found.bounds[number], const, slack)
        if a is None:
            continue
        node = program.nodes[number]
        if isinstance(node, Input) or program.levels[number] < floor:
            ends[number] = a
            continue
        if isinstance(node, Affine):
            const, slack = _through_affine(node, number, a, held, found, const, slack, shares if trace else None)
        else:
            if passing:
                passed[number] = a
            if number in found.reliefs:
                relieved[number] = a.abs() if found.reliefs[number].both else a.clamp(min=0)
            free = _picked(found.slopes[number], peaks) if peaks is not None and number in found.slopes else None
            const, slack = _through_lines(node, number, a, held, found, const, slack, free)
    heights = _at_corners(found, ends, relieved, const, slack) if relieved else None
    for number, a in ends.items():
        low, high = found.bounds[number]
        middle, radius = _centred(low, high)
        size = a.abs()
        spread = _dot(size, radius)
        weight = _dot(size, middle.abs()) + spread
        const = const + _dot(a, middle) + spread
        slack = slack + (2 * a.shape[-1] + 16) * U * weight + 8 * U * const.abs()
    linear = torch.nan_to_num(const + slack * RAISED + (TINY + 4 * U * const.abs()), nan=torch.inf)
    return Upper(linear if heights is None else torch.fmin(linear, heights.amax(2)), ends, shares, passed, linear, heights)


def _at_corners(found: Evaluation, ends: dict[int, Tensor], relieved: dict[int, Tensor], const: Tensor, slack: Tensor) -> Tensor:
    """What rows (B, K, n) of inputs are at the corners, with the reliefs: a convex function, by its values at the corners (B, K, C)."""
    count = sum(a.shape[2] for a in (*ends.values(), *relieved.values())) + 16
    for number, a in ends.items():
        slack = slack + count * U * _dot(a.abs(), _most(found.bounds[number]))
    for number, a in relieved.items():
        slack = slack + count * U * _dot(a, found.reliefs[number].most)
    base = const + slack * RAISED + (TINY + count * U * const.abs())
    (batch, rows), corners = const.shape, next(iter(found.points.values())).shape[2]
    heights = base[..., None].expand(batch, rows, corners).contiguous()
    step = max(1, CACHED * room(heights.device) // (rows * corners))
    for b in range(0, batch, step):
        part = heights[b : b + step]
        for number, a in ends.items():
            part.baddbmm_(a[b : b + step], found.points[number][b : b + step])
        for number, a in relieved.items():
            part.baddbmm_(a[b : b + step], found.reliefs[number].by[b : b + step], alpha=-1)
    return heights


def both(program: Program, found: Evaluation, target: int, trace: bool = False) -> tuple[Bounds, Upper]:
    """Bounds of all entries of a value: rows of the identity and of its negative."""
    n, batch = program.nodes[target].size, len(found.bounds[target][0])
    eye = torch.eye(n, dtype=torch.float64)
    rows = torch.cat([eye, -eye]).expand(batch, 2 * n, n)
    answer = upper(program, found, target, rows, trace)
    return _met((-answer.bound[:, n:], answer.bound[:, :n]), found.bounds[target]), answer


def _interval(node: Affine, found: Evaluation, number: int) -> Bounds:
    """Centre and radius, with the margin of both sums."""
    centre, radius, size = node.bias, torch.zeros((), dtype=torch.float64), node.bias.abs()
    for parent, operator in zip(node.parents, node.maps, strict=True):
        middle, half = _centred(*found.bounds[parent])
        centre, radius = centre + operator.apply(middle), radius + operator.radius(half)
        size = size + operator.absolute(_most(found.bounds[parent]))
    batch = len(found.bounds[0][0])
    off = (2 * node.terms + node.rel + 16) * U * size + node.off
    found.sizes[number] = ((node.terms + node.rel + 16 + found.crowd) * size).expand(batch, node.size) + node.size * node.bias.abs() + node.off / U
    reach = (radius + off) * RAISED + TINY * _touched(node, found, size).double()  # of a bool it would be a float32, and 0
    return (centre - reach).expand(batch, node.size), (centre + reach).expand(batch, node.size)


def _touched(node: Affine, found: Evaluation, size: Tensor) -> Tensor:
    """The entries that need not be exactly 0: where the sum of magnitudes is 0, every product may have underflowed."""
    touched = size > 0
    if not bool(touched.all()):
        for parent, operator in zip(node.parents, node.maps, strict=True):
            touched = touched | (operator.absolute((_most(found.bounds[parent]) > 0).double()) > 0)
    return touched


def _entries(node: Node, found: Evaluation, number: int, index: Tensor) -> tuple[Tensor, Tensor, dict[int, Tensor]]:
    """What `_through_affine` makes of rows of the identity and of its negative: rows of the maps."""
    assert isinstance(node, Affine)
    held: dict[int, Tensor] = {}
    for parent, operator in zip(node.parents, node.maps, strict=True):
        rows = operator.rows(index)
        held[parent] = held[parent] + rows if parent in held else rows
    const, slack = node.bias[index], U * found.sizes[number].gather(1, index)
    return torch.cat([const, -const], 1), torch.cat([slack, slack], 1), {p: torch.cat([a, -a], 1) for p, a in held.items()}


def _through_affine(
    node: Affine, number: int, a: Tensor, held: dict[int, Tensor], found: Evaluation, const: Tensor, slack: Tensor, shares: dict[str, Tensor] | None
) -> tuple[Tensor, Tensor]:
    slack = slack + U * _dot(a.abs(), found.sizes[number])
    if shares is not None and any((*node.residual, node.bias_residual)):
        shares[node.origin] = shares.get(node.origin, torch.zeros_like(const)) + (a @ node.bias if node.bias_residual else torch.zeros_like(const))
    for k, (parent, operator) in enumerate(zip(node.parents, node.maps, strict=True)):
        b = operator.back(a)
        if shares is not None and node.residual and node.residual[k]:
            middle, half = _centred(*found.bounds[parent])
            shares[node.origin] = shares[node.origin] + _dot(b, middle) + _dot(b.abs(), half)
        held[parent] = held[parent] + b if parent in held else b
    const = const + a @ node.bias
    return const, slack + 4 * U * const.abs()


def _pulled(c: Tensor, a: Tensor | None, z: Bounds, const: Tensor, slack: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What is left to substitute, a + c, and `- min c z`."""
    total, most = c if a is None else a + c, _most(z)
    const = const - _dot(c.clamp(min=0), z[0]) - _dot(c.clamp(max=0), z[1])
    return total, const, slack + (c.shape[-1] + 16) * U * _dot(c.abs(), most) + U * _dot(total.abs(), most) + 4 * U * const.abs()


def _through_lines(
    node: Node, number: int, a: Tensor, held: dict[int, Tensor], found: Evaluation, const: Tensor, slack: Tensor, free: Tensor | None
) -> tuple[Tensor, Tensor]:
    """`free` (B, K, n): lower slopes of the first operand for every row, in the place of `low`."""
    lines, sizes = found.lines[number], found.sizes[number]
    positive, negative = a.clamp(min=0), a.clamp(max=0)
    above, below = (torch.matmul(side, torch.stack([offset, sizes], 2)) for side, offset in ((positive, lines.over), (negative, lines.under)))
    slack = slack + (node.size + 16 + found.crowd) * U * (above[..., 1] - below[..., 1])
    for k, parent in enumerate(node.parents):
        high, low = (None if s is None else s[:, None] for s in (lines.high[k], lines.low[k]))
        low = free if free is not None and k == 0 else low
        b = None if high is None else positive * high
        b = b if low is None else negative * low if b is None else b.addcmul_(negative, low)
        if b is not None:
            held[parent] = b.add_(held[parent]) if parent in held else b
    const = const + above[..., 0] + below[..., 0]
    return const, slack + 4 * U * const.abs()


def _refine(program: Program, node: Nonlinear, found: Evaluation) -> None:
    """Better bounds of the operands where the node gains by them.

    Where inputs are many: deviations after what they deviate from, and through a few layers first, as all the way only those go that are still wanted.
    """
    wanted = node.refine([found.bounds[p] for p in node.parents])
    if not program.many:
        for parent in node.parents:
            operand = program.nodes[parent]
            if wanted is not None and bool(wanted.any()) and isinstance(operand, Affine) and not _tight(program, operand):
                _once(program, found, parent, wanted, 0)
        return
    floor = max(program.levels[p] for p in node.parents) - SHALLOW
    for at in (floor, 0) if floor > 0 and node.refine is unstable else (0,):
        for parent in reversed(node.parents):
            wanted = node.refine([found.bounds[p] for p in node.parents])
            if wanted is not None and bool(wanted.any()):
                _sharpen(program, found, parent, wanted, at)


def _sharpen(program: Program, found: Evaluation, target: int, wanted: Tensor, floor: int) -> None:
    """The wanted entries (B, n), each once down to a level; of what is copied from another value, those there."""
    node = program.nodes[target]
    if not isinstance(node, Affine) or _tight(program, node):
        return
    if len(node.maps) == 1 and isinstance(node.maps[0], Gather) and isinstance(program.nodes[node.parents[0]], Affine):
        _sharpen(program, found, node.parents[0], node.maps[0].back(wanted.double()) != 0, floor)
        found.bounds[target] = _met(_interval(node, found, target), found.bounds[target])
        return
    _once(program, found, target, wanted, floor)


def _once(program: Program, found: Evaluation, target: int, wanted: Tensor, floor: int) -> None:
    """Those of the entries that were not substituted down to this level before: another function may have asked."""
    done = found.done.setdefault((target, floor), torch.zeros_like(wanted))
    rest = wanted & ~done
    if bool(rest.any()):
        found.bounds[target] = found.refined[target] = _rows(program, found, target, rest, floor)
        done |= rest


def _tight(program: Program, node: Affine) -> bool:
    """Whether intervals are the best bounds there are: inputs that come once, through maps whose magnitudes are their own."""
    inputs = all(isinstance(program.nodes[p], Input) for p in node.parents)
    return inputs and len(set(node.parents)) == len(node.parents) and not any(isinstance(m, Chain | Difference) for m in node.maps)


def _rows(program: Program, found: Evaluation, target: int, wanted: Tensor, floor: int = 0) -> Bounds:
    """Bounds of the wanted entries (B, n) by substitution, the others as they are, and those for which there is no time; some rows at once."""
    low, high = (b.clone() for b in found.bounds[target])
    counts = wanted.sum(1)
    widest = max(node.size for node in program.nodes[: target + 1])
    order = torch.argsort(wanted.int(), dim=1, descending=True, stable=True)[:, : int(counts.max())]
    batch = len(low)
    inputs = sum(program.nodes[i].size for i in program.inputs)
    corners = next(iter(found.points.values())).shape[2] if found.points else 0
    flat = [b[..., None].expand(-1, -1, corners) for b in (low, high)]
    heights, raised = tuple(h.clone() for h in found.heights.get(target, flat)) if corners else (), False
    shares = found.reach.setdefault(target, torch.zeros(*low.shape, inputs, dtype=torch.float64)) if inputs <= FEW else None
    boxes = max(1, min(batch, program.elements // (2 * widest * order.shape[1]) or 1))
    rows = max(1, program.elements // (2 * widest * boxes))
    for b in range(0, batch, boxes):
        part = found if boxes == batch else _part(found, b, b + boxes)
        for k in range(0, order.shape[1], rows):
            if found.allowance.late:
                found.allowance.left += int((counts[b : b + boxes] - k).clamp(min=0).sum())
                break
            index = order[b : b + boxes, k : k + rows]
            answer = upper(program, part, target, index, peaks=_peaks(program, part, target, index), floor=floor)
            bound, n = answer.bound, index.shape[1]
            if shares is not None:
                spread = _spread(program, part, answer, n)
                shares[b : b + boxes].scatter_(1, index[..., None].expand_as(spread), spread)
            raised = bool(heights) and answer.heights is not None
            if heights and answer.heights is not None:
                at = index[..., None].expand(-1, -1, corners)
                heights[1][b : b + boxes].scatter_(1, at, answer.heights[:, :n])
                heights[0][b : b + boxes].scatter_(1, at, -answer.heights[:, n:])
            high[b : b + boxes].scatter_reduce_(1, index, bound[:, :n], "amin")
            low[b : b + boxes].scatter_reduce_(1, index, -bound[:, n:], "amax")
    if raised and heights:
        found.heights[target] = heights[0], heights[1]
    return _met((low, high), found.bounds[target])


def _heighten(program: Program, node: Nonlinear, found: Evaluation) -> None:
    """Heights of a first operand that is affine in the inputs alone: itself, give or take its rounding."""
    parent = node.parents[0]
    operand = program.nodes[parent]
    if parent in found.heights or not isinstance(operand, Affine) or not operand.parents or not all(p in found.points for p in operand.parents):
        return
    at = sum((m.apply(found.points[p].transpose(1, 2)) for m, p in zip(operand.maps, operand.parents, strict=True)), operand.bias.expand(1, 1, -1))
    size = sum((m.absolute(_most(found.bounds[p])) for m, p in zip(operand.maps, operand.parents, strict=True)), operand.bias.abs())
    off = ((operand.terms + operand.rel + 16) * U * size + operand.off)[..., None] * RAISED + TINY
    at = at.transpose(1, 2)
    found.heights[parent] = at - off, at + off


def _relief(lines: Lines, below: Tensor, above: Tensor) -> Relief:
    """`max(p, 0) = s p + max((1 - s) p, -s p)` for any s in [0, 1], and what is added to s p is at most the convex `max((1 - s) above, -s below, 0)`.

    That stands for the offset of a chord. A lower line of slope t needs the same for s = 1 - t, so both lines together the larger factors.
    """
    high, low = lines.high[0], lines.low[0]
    assert high is not None
    assert lines.chord is not None
    offset, slope, other = lines.over, high, 1 - high
    if lines.both:
        assert low is not None
        offset, slope, other = torch.minimum(offset, -lines.under), torch.maximum(slope, 1 - low), torch.maximum(other, low)
    slope, other, offset = (torch.where(lines.chord, t, 0.0)[..., None] for t in (slope, other, offset))
    by, most = torch.empty_like(above), torch.empty_like(above[..., 0])
    step = max(1, CACHED * room(above.device) // above[0].numel())
    for b in range(0, len(by), step):
        part = slice(b, b + step)
        term = torch.maximum(above[part] * other[part], (below[part] * slope[part]).neg_()).clamp_(min=0)
        torch.sub(offset[part], term.mul_(1 + 16 * U).add_(lines.chord[part, :, None] * TINY), out=by[part])
        by[part] -= 4 * U * offset[part]
        most[part] = torch.maximum(by[part].amax(2), -by[part].amin(2))
    return Relief(by, most, lines.both)


def _spread(program: Program, found: Evaluation, answer: Upper, rows: int) -> Tensor:
    """The share of each input in the width between lower and upper bounds, (B, rows, inputs)."""
    shares = []
    for number in program.inputs:
        low, high = found.bounds[number]
        a = answer.coefficients.get(number)
        shares.append(
            torch.zeros(len(low), rows, low.shape[1], dtype=low.dtype) if a is None else (a[:, :rows].abs() + a[:, rows:].abs()) * (high - low)[:, None]
        )
    spread = torch.cat(shares, 2)
    return spread / spread.sum(2, keepdim=True).clamp(min=1e-300)


def _part(found: Evaluation, start: int, stop: int) -> Evaluation:
    def cut(x: Any) -> Any:
        return None if x is None else x[start:stop]

    lines = {k: Lines([cut(s) for s in v.low], [cut(s) for s in v.high], cut(v.under), cut(v.over), cut(v.free)) for k, v in found.lines.items()}
    bounds: Any = [None if b is None else (cut(b[0]), cut(b[1])) for b in found.bounds]
    sizes, corners, slopes, points = ({k: cut(v) for k, v in table.items()} for table in (found.sizes, found.corners, found.slopes, found.points))
    reliefs = {k: Relief(cut(v.by), cut(v.most), v.both) for k, v in found.reliefs.items()}
    return Evaluation(bounds, lines, sizes, crowd=found.crowd, corners=corners, slopes=slopes, points=points, reliefs=reliefs)


def _corners(boxes: Sequence[Bounds]) -> list[Tensor]:
    low, high = (torch.cat([b[k] for b in boxes], 1)[:, None] for k in (0, 1))
    ends = torch.tensor([False, True])
    share = torch.cartesian_prod(*[ends] * low.shape[2]).reshape(-1, low.shape[2])
    return list(torch.split(torch.where(share, high, low), [b[0].shape[1] for b in boxes], 2))


def _visit(number: int, node: Node, found: Evaluation) -> None:
    """What a value is at the corners, and the slopes that are tight there."""
    if isinstance(node, Input) or not all(p in found.corners for p in node.parents) or not found.corners:
        return
    values = [found.corners[p] for p in node.parents]
    if isinstance(node, Affine):
        found.corners[number] = sum((m.apply(v) for m, v in zip(node.maps, values, strict=True)), node.bias.expand(len(found.bounds[0][0]), 1, -1))
    elif isinstance(node, Nonlinear) and node.run is not None:
        found.corners[number] = node.run(values)
        lines = found.lines[number]
        if lines.free is not None and lines.low[0] is not None:
            usual = lines.low[0][:, None]
            found.slopes[number] = torch.where(lines.free[:, None], (usual + (values[0] > 0)) / 2, usual)


def _peaks(program: Program, found: Evaluation, target: int, index: Tensor) -> Tensor | None:
    """For entries (B, K) of a value of one network and their negatives the corners (B, 2 K) where they are largest: there lines are best tight.

    A difference is so small that its relaxed bound is largest elsewhere: None.
    """
    node = program.nodes[target]
    if target not in found.corners or (isinstance(node, Affine) and node.residual):
        return None
    values = found.corners[target].gather(2, index[:, None].expand(-1, found.corners[target].shape[1], -1))
    return torch.cat([values.argmax(1), values.argmin(1)], 1)


def _picked(table: Tensor, index: Tensor) -> Tensor:
    """(B, P, n) and (B, K) -> (B, K, n)."""
    batch, points, n = table.shape
    at = index + torch.arange(batch)[:, None] * points
    return table.reshape(-1, n).index_select(0, at.reshape(-1)).reshape(batch, -1, n)


def _line_sizes(lines: Lines, most: Sequence[Tensor]) -> Tensor:
    """Magnitudes of what both lines sum, with a free slope at its largest."""
    size = torch.maximum(lines.under.abs(), lines.over.abs())
    for low, high, m in zip(lines.low, lines.high, most, strict=True):
        slopes = [s.abs() for s in (low, high) if s is not None]
        if slopes:
            size = size + (slopes[0] if len(slopes) == 1 else torch.maximum(*slopes)) * m
    return size if lines.free is None else size + torch.where(lines.free, most[0], 0.0)


def _gap(lines: Lines, operands: Sequence[Bounds]) -> Tensor:
    """How far both lines are apart in the middle of the operands."""
    gap = lines.over - lines.under
    for high, low, (a, b) in zip(lines.high, lines.low, operands, strict=True):
        if high is not None and low is not None:
            gap = gap + (high - low) * (a + b) / 2
    return gap.clamp(min=0)


def _met(one: Bounds, two: Bounds | None) -> Bounds:
    return one if two is None else (torch.maximum(one[0], two[0]), torch.minimum(one[1], two[1]))


def _most(x: Bounds) -> Tensor:
    return torch.maximum(x[0].abs(), x[1].abs())


def _centred(low: Tensor, high: Tensor) -> Bounds:
    """A float in the interval, and how far the interval reaches from it, rounded up."""
    middle = torch.minimum(torch.maximum(low / 2 + high / 2, low), high)
    radius = torch.maximum(high - middle, middle - low)
    return middle, torch.where(radius > 0, radius * (1 + 4 * U) + 5e-324, radius)


def _dot(a: Tensor, x: Tensor) -> Tensor:
    """(B, K, n) by (B, n)."""
    return torch.matmul(a, x[..., None])[..., 0]


# -- nodes from steps -------------------------------------------------------------------------


def unstable(operands: Sequence[Bounds]) -> Tensor:
    """Where the last operand, with all others added, may have either sign."""
    low, high = sum(o[0] for o in operands), sum(o[1] for o in operands)
    (a, b) = operands[-1]
    return (torch.minimum(low, a) < 0) & (torch.maximum(high, b) > 0)  # type: ignore[arg-type]


def everywhere(operands: Sequence[Bounds]) -> Tensor:
    return operands[0][0] < operands[0][1]


def plain(step: Step, parents: tuple[int, ...]) -> Node:
    """The node of one network's step."""
    match step.kind:
        case "affine":
            return Affine(step.size, parents, step.maps, step.bias, step.off, step.origin[0])
        case "relu":
            return Nonlinear(step.size, parents, lambda x: relax.relu(x[0]), unstable, lambda v: v[0].clamp(min=0), lambda x: relax.bend(None, x[0]))
        case "curve":
            assert step.site is not None
            f, name = curve_of(step.site)
            quick = lambda x: relax.curve(f, name, x[0], 1)  # noqa: E731
            return Nonlinear(step.size, parents, lambda x: relax.curve(f, name, x[0]), everywhere, quick=quick)
        case "product":
            return Nonlinear(step.size, parents, lambda x: relax.product(x[0], x[1]), everywhere)
    assert step.site is not None
    site, shapes = step.site, [tuple(int(d or 0) for d in s[1:]) for s in step.site.in_shapes]

    def interval(operands: Sequence[Bounds]) -> tuple[Bounds, Lines]:
        lows, highs = [], []
        with np.errstate(all="ignore"):
            for b in range(len(operands[0][0])):
                xs = [Range(fetched(low[b]).reshape(s), fetched(high[b]).reshape(s)) for (low, high), s in zip(operands, shapes, strict=True)]
                out = rule_for(site).range(site, xs)
                lows.append(placed(np.array(np.broadcast_to(out.lo, step.shape)).reshape(-1)))
                highs.append(placed(np.array(np.broadcast_to(out.hi, step.shape)).reshape(-1)))
        return constant((torch.stack(lows), torch.stack(highs)), len(operands))

    return Nonlinear(step.size, parents, interval, everywhere if len(parents) == 1 else _nowhere)


def _nowhere(operands: Sequence[Bounds]) -> None:
    return None


def constant(bounds: Bounds, operands: int) -> tuple[Bounds, Lines]:
    """Lines of slope 0."""
    return bounds, Lines([None] * operands, [None] * operands, *bounds)
