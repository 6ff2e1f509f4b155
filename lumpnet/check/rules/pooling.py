"""Pools, means, sums, extremes and repetitions over positions: what a window does to a row.

A maximum carries rows of positive scale. A weighted sum carries any row where
the weights of every window add up to one, and rows without offset otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import numpy as np

from lumpnet.certificate import Real
from lumpnet.check.effect import Near, Step, largest, positions, up
from lumpnet.check.graph import Case, Kind, Node, boolean, integer, integers
from lumpnet.check.numbers import Array, same, scale_real
from lumpnet.check.outcome import Refusal, Unsure
from lumpnet.check.relation import ZERO, Law, Shape, carry
from lumpnet.check.rules.elementwise import relative

_MAX_WINDOWS = 1 << 24


def _axes(node: Node, x: Shape) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Per spatial axis: input size, kernel, stride, padding, dilation, output size."""
    attrs, count = node.attrs, len(node.attrs["kernel"])
    lists = [attrs[key] for key in ("kernel", "stride", "padding")] + [attrs.get("dilation", [1] * count)]
    if not 1 <= count <= 3 or len(x) != count + 2 or any(len(entry) != count for entry in lists):
        raise ValueError(f"windows {lists} on an input of shape {x}")
    for n, k, stride, padding, dilation in zip((m or 0 for m in x[2:]), *lists, strict=True):
        room = n + 2 * padding - dilation * (k - 1) - 1
        size = (room + (stride - 1 if attrs["ceil_mode"] else 0)) // stride + 1
        if attrs["ceil_mode"] and (size - 1) * stride >= n + padding:
            size -= 1
        yield n, k, stride, padding, dilation, size


def _window_shape(node: Node, ins: list[Shape]) -> Shape:
    sizes = [size for *_, size in _axes(node, ins[0])]
    if min(sizes) < 1:
        raise ValueError(f"windows larger than their input of shape {ins[0]}")
    return (*ins[0][:2], *sizes)


def _real_elements(n: int, kernel: int, stride: int, padding: int, dilation: int, size: int) -> Array:
    """(size,) how many taps of each window lie inside the input."""
    first = np.arange(size, dtype=np.int64) * stride - padding
    low = np.maximum(-(first // dilation), 0)  # the first tap at or after 0
    high = np.minimum((n - 1 - first) // dilation, kernel - 1)  # the last tap at or before n - 1
    return np.asarray(np.maximum(high - low + 1, 0))


def _always_real(node: Node, x: Shape) -> bool:
    return all((_real_elements(*axis) > 0).all() for axis in _axes(node, x))


def _of_nothing(node: Node, ins: list[Shape]) -> bool:
    """Whether some window may hold padding only; too many windows are not counted."""
    return any((n or 0) > _MAX_WINDOWS for n in node.shape[2:]) or not _always_real(node, ins[0])


def _sums_to_one(node: Node, x: Shape) -> bool:
    """Whether the weights of every window of an average pool add up to one."""
    product = 1
    for n, k, stride, padding, dilation, size in _axes(node, x):
        real = _real_elements(n, k, stride, padding, dilation, size)
        first = np.arange(size, dtype=np.int64) * stride - padding
        counted = np.minimum(first + k, n + padding) - first
        if not (real > 0).all() or (node.attrs["divisor_override"] is not None and (real != real[0]).any()):
            return False
        if node.attrs["divisor_override"] is None and node.attrs["count_include_pad"] and (real != counted).any():
            return False
        product *= int(real[0])
    return node.attrs["divisor_override"] in (None, product)


def _bounded(case: Case) -> None:
    if any((n or 0) > _MAX_WINDOWS for n in case.node.shape[2:]):
        raise Unsure(case.where, f"more than {_MAX_WINDOWS} windows on one axis")


def _rows(case: Case, passes: Callable[[Law, Law, Law], bool], constant: Callable[[Real, Real], bool]) -> None:
    carry(case.where, case.ins[0].on(1, case.where).rows(), case.out.on(1, case.where).rows(), passes, constant)


def _maximum(mine: Law, its: Law, claimed: Law) -> bool:
    row = relative(mine, its)
    return row[0] > 0 and row == claimed


def _average(mine: Law, its: Law, claimed: Law) -> bool:
    return relative(mine, its) == claimed


def _without_offset(mine: Law, its: Law, claimed: Law) -> bool:
    row = relative(mine, its)
    return row[1] == 0 and row == claimed


def _zero(c: Real, claimed: Real) -> bool:
    return same(c, ZERO) and same(claimed, ZERO)


def _max_pool(case: Case) -> str:
    _bounded(case)
    if not _always_real(case.node, case.ins[0].shape):
        raise Refusal(case.where, "a window that holds padding only, whose maximum is no number", "identity lumpings around it")
    _rows(case, _maximum, same)
    return "scales are positive and every window holds an element"


def _avg_pool(case: Case) -> str:
    _bounded(case)
    if _sums_to_one(case.node, case.ins[0].shape):
        _rows(case, _average, same)
        return "the weights of every window add up to one"
    _rows(case, _without_offset, _zero)
    return "linear, on rows without offset"


def _adaptive_shape(node: Node, ins: list[Shape]) -> Shape:
    sizes = node.attrs["output_size"]
    if not 1 <= len(sizes) <= 3 or len(ins[0]) != len(sizes) + 2 or 0 in ins[0][2:]:
        raise ValueError(f"an output size {sizes} for an input of shape {ins[0]}")
    return (*ins[0][:2], *sizes)


def _adaptive_max(case: Case) -> str:
    _rows(case, _maximum, same)
    return "scales are positive and every window holds an element"


def _adaptive_avg(case: Case) -> str:
    _rows(case, _average, same)
    return "the weights of every window add up to one"


def _mean_shape(node: Node, ins: list[Shape]) -> Shape:
    (x,), axes = ins, node.attrs["axes"]
    if not axes or len(set(axes)) != len(axes) or max(axes) >= len(x):
        raise ValueError(f"axes {axes} of an input of shape {x}")
    if any(x[axis] == 0 for axis in axes):
        raise ValueError(f"a {node.kind} over no element, of an input of shape {x}")
    if node.attrs["keepdim"]:
        return tuple(1 if axis in axes else n for axis, n in enumerate(x))
    return tuple(n for axis, n in enumerate(x) if axis not in axes)


def _reduced(case: Case, passes: Callable[[Law, Law, Law], bool], constant: Callable[[Real, Real], bool]) -> None:
    """Over positions; the unit axis moves left by the axes that vanish before it."""
    axes, inn, out = case.node.attrs["axes"], case.ins[0], case.out
    survivors = [axis for axis in range(len(inn.shape)) if axis not in axes or case.node.attrs["keepdim"]]
    before = inn.axis
    if before is None:
        before = survivors[out.axis] if out.axis is not None else next((a for a in survivors[1:] if a not in axes), 0)
    if before in axes or before == 0:
        raise Refusal(case.where, f"it reduces the unit axis {before}", "identity lumpings around it, or positions only")
    after = survivors.index(before)
    carry(case.where, inn.on(before, case.where).rows(), out.on(after, case.where).rows(), passes, constant)


def _mean(case: Case) -> str:
    _reduced(case, _average, same)
    return "a mean over positions"


def _sum(case: Case) -> str:
    """Offsets and constants count once a position."""
    count = Fraction(1)
    for axis in case.node.attrs["axes"]:
        count *= case.ins[0].shape[axis] or 0

    def passes(mine: Law, its: Law, claimed: Law) -> bool:
        scale, offset = relative(mine, its)
        return (scale, count * offset) == claimed

    _reduced(case, passes, lambda c, claimed: same(scale_real(count, c), claimed))
    return "a sum over positions"


def _extreme(case: Case) -> str:
    _reduced(case, _maximum, same)
    return "an extreme over positions, under positive scales"


def _upsample_shape(node: Node, ins: list[Shape]) -> Shape:
    scales = node.attrs["scales"]
    if not 1 <= len(scales) <= 3 or len(ins[0]) != len(scales) + 2:
        raise ValueError(f"factors {scales} of an input of shape {ins[0]}")
    return (*ins[0][:2], *((n or 0) * s for n, s in zip(ins[0][2:], scales, strict=True)))


def _upsample(case: Case) -> str:
    _rows(case, _average, same)
    return "every position is repeated"


def _averaged(step: Step, ins: Sequence[Near]) -> Near:
    """A window's weights add up to at most 1, or to its size over the divisor."""
    x, divisor = ins[0].most(positions(step.node)), step.node.attrs["divisor_override"]
    return x if divisor is None else x.scaled(up(np.asarray(math.prod(step.node.attrs["kernel"]) / divisor), 1))


def _axes_of(node: Node) -> Sequence[int]:
    return list(node.attrs["axes"])


def _over(step: Step, ins: Sequence[Near]) -> Near:
    """The largest along the axes, which vanish or stay with length 1."""
    x, axes = ins[0].most(_axes_of(step.node)), tuple(_axes_of(step.node))
    return x if step.node.attrs["keepdim"] else x.each(lambda a: a.squeeze(axes))


def _added_up(step: Step, ins: Sequence[Near]) -> Near:
    count = math.prod(step.shapes[0][axis] or 0 for axis in _axes_of(step.node))
    return _over(step, ins).scaled(float(count))


KINDS = {
    "max_pool": Kind(
        _window_shape,
        _max_pool,
        attrs={"kernel": integers(1), "stride": integers(1), "padding": integers(0), "dilation": integers(1), "ceil_mode": boolean},
        partial=_of_nothing,
        effect=largest(positions),
    ),
    "avg_pool": Kind(
        _window_shape,
        _avg_pool,
        attrs={
            "kernel": integers(1),
            "stride": integers(1),
            "padding": integers(0),
            "ceil_mode": boolean,
            "count_include_pad": boolean,
            "divisor_override": lambda value: value is None or integer(1)(value),
        },
        partial=_of_nothing,
        effect=_averaged,
    ),
    "adaptive_avg_pool": Kind(_adaptive_shape, _adaptive_avg, attrs={"output_size": integers(0)}, effect=largest(positions)),
    "adaptive_max_pool": Kind(_adaptive_shape, _adaptive_max, attrs={"output_size": integers(0)}, effect=largest(positions)),
    "mean": Kind(_mean_shape, _mean, attrs={"axes": integers(1), "keepdim": boolean}, effect=_over),
    "sum": Kind(_mean_shape, _sum, attrs={"axes": integers(1), "keepdim": boolean}, effect=_added_up),
    "amax": Kind(_mean_shape, _extreme, attrs={"axes": integers(1), "keepdim": boolean}, effect=_over),
    "amin": Kind(_mean_shape, _extreme, attrs={"axes": integers(1), "keepdim": boolean}, effect=_over),
    "upsample": Kind(_upsample_shape, _upsample, attrs={"scales": integers(1), "mode": lambda value: value == "nearest"}, effect=largest(positions)),
}
