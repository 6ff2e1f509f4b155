"""What the operators compute, over any world's numbers; positions are tuples of integers.

These few functions are the meaning that the lemmas speak of. The tests hold
them against torch on small integers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from proofs.worlds import Fact, Number, World

Position = tuple[int, ...]
Field = Mapping[Any, Number]
"""One unit over its positions (or one kernel over its taps); keys are `Position`s."""


def dot(left: Sequence[Number], right: Sequence[Number]) -> Number:
    return sum((a * b for a, b in zip(left, right, strict=True)), start=0)


def column(matrix: Sequence[Sequence[Number]], index: int) -> list[Number]:
    return [row[index] for row in matrix]


def relu(world: World, u: Number) -> Number:
    return world.choose(u > 0, u, world.constant(0))


def leaky_relu(world: World, slope: Number, u: Number) -> Number:
    return world.choose(u > 0, u, slope * u)


def hardtanh(world: World, low: Number, high: Number, u: Number) -> Number:
    return world.choose(u < low, low, world.choose(u > high, high, u))


def maximum(world: World, elements: Sequence[Number]) -> Number:
    best = elements[0]
    for element in elements[1:]:
        best = world.choose(element > best, element, best)
    return best


@dataclass(frozen=True)
class Windows:
    """The geometry of a convolution or pooling; every field has one entry per spatial axis."""

    size: Position
    kernel: Position
    stride: Position
    padding: Position
    dilation: Position

    def taps(self) -> Iterator[Position]:
        return product(*map(range, self.kernel))

    def outputs(self) -> Iterator[Position]:
        """Floor mode: floor((size + 2 padding - dilation (kernel - 1) - 1) / stride) + 1 per axis."""
        axes = zip(self.size, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        return product(*[range((n + 2 * p - d * (k - 1) - 1) // s + 1) for n, k, s, p, d in axes])

    def reads(self, output: Position, tap: Position) -> Position:
        axes = zip(output, tap, self.stride, self.padding, self.dilation, strict=True)
        return tuple(o * s - p + t * d for o, t, s, p, d in axes)

    def inside(self, position: Position) -> bool:
        return all(0 <= at < n for at, n in zip(position, self.size, strict=True))

    def outside_taps(self) -> set[Position]:
        """Taps that some output position reads outside the input, along any spatial axis."""
        return {t for o in self.outputs() for t in self.taps() if not self.inside(self.reads(o, t))}

    def real(self, output: Position) -> list[Position]:
        """The input positions of one window, without the padding."""
        reads = [self.reads(output, tap) for tap in self.taps()]
        return [at for at in reads if self.inside(at)]


def conv(windows: Windows, kernels: Sequence[Field], bias: Number, x: Sequence[Field]) -> dict[Position, Number]:
    """One output unit: `kernels[j]` is its kernel on input unit `j`; zero padding."""
    result = {}
    for output in windows.outputs():
        terms = [
            kernel[tap] * unit[windows.reads(output, tap)]
            for kernel, unit in zip(kernels, x, strict=True)
            for tap in windows.taps()
            if windows.inside(windows.reads(output, tap))
        ]
        result[output] = sum(terms, start=bias)
    return result


@dataclass(frozen=True)
class Spread:
    """The geometry of a transposed convolution; every field has one entry per spatial axis."""

    size: Position
    kernel: Position
    stride: Position
    padding: Position
    extra: Position
    dilation: Position

    def taps(self) -> Iterator[Position]:
        return product(*map(range, self.kernel))

    def inputs(self) -> Iterator[Position]:
        return product(*map(range, self.size))

    def outputs(self) -> Iterator[Position]:
        """(size - 1) stride - 2 padding + dilation (kernel - 1) + extra + 1 per axis."""
        axes = zip(self.size, self.kernel, self.stride, self.padding, self.extra, self.dilation, strict=True)
        return product(*[range((n - 1) * s - 2 * p + d * (k - 1) + extra + 1) for n, k, s, p, extra, d in axes])

    def reads(self, output: Position) -> list[tuple[Position, Position]]:
        """(tap, input position) where input position q adds to the output through tap t: output = q stride - padding + t dilation."""
        return [(t, q) for t in self.taps() for q in self.inputs() if self._target(q, t) == output]

    def _target(self, at: Position, tap: Position) -> Position:
        return tuple(q * s - p + t * d for q, t, s, p, d in zip(at, tap, self.stride, self.padding, self.dilation, strict=True))


def conv_transpose(spread: Spread, kernels: Sequence[Field], bias: Number, x: Sequence[Field]) -> dict[Position, Number]:
    """One output unit: `kernels[j]` is its kernel on input unit `j`."""
    result = {}
    for output in spread.outputs():
        terms = [kernel[tap] * unit[at] for kernel, unit in zip(kernels, x, strict=True) for tap, at in spread.reads(output)]
        result[output] = sum(terms, start=bias)
    return result


def average(windows: Windows, x: Field, count_padding: bool, divisor: int | None = None) -> dict[Position, Number]:
    """Average pooling of one unit in floor mode."""
    result = {}
    for output in windows.outputs():
        real = windows.real(output)
        count = divisor or (len(list(windows.taps())) if count_padding else len(real))
        result[output] = sum((x[at] for at in real), start=0) / count
    return result


def largest(world: World, windows: Windows, x: Field) -> dict[Position, Number | None]:
    """Max pooling of one unit in floor mode; None is minus infinity (a window of padding alone)."""
    return {o: maximum(world, [x[at] for at in windows.real(o)]) if windows.real(o) else None for o in windows.outputs()}


def adaptive_window(size: int, outputs: int, index: int) -> range:
    """The positions of one adaptive window: floor(i n / o) to ceil((i + 1) n / o)."""
    return range(index * size // outputs, -(-(index + 1) * size // outputs))


def is_one_of(world: World, value: Number, choices: Iterable[int]) -> Fact:
    return world.some([value == choice for choice in choices])


Function = Callable[[Number], Number]


def lstm_cell(sigma: Function, tau: Function, gates: Sequence[Number], cell: Number) -> tuple[Number, Number]:
    """One unit after one step: (h', c') from the pre-activations i, f, g, o and the cell before."""
    i, f, g, o = gates
    after = sigma(f) * cell + sigma(i) * tau(g)
    return sigma(o) * tau(after), after


def gru_cell(sigma: Function, tau: Function, gates: Sequence[Number], sides: Sequence[Number], state: Number) -> Number:
    """One unit after one step: r, z, the candidate's input side and its state side (reset after the linear map), and the unit before."""
    r, z = gates
    candidate = tau(sides[0] + sigma(r) * sides[1])
    return (1 - sigma(z)) * candidate + sigma(z) * state


def gru_cell_reset_first(
    sigma: Function, tau: Function, update: Number, into: Number, weights: Sequence[Number], resets: Sequence[Number], states: Sequence[Number], state: Number
) -> Number:
    """The same where every unit is reset before the linear map: `weights` read the units `states`, reset by `resets`; biases are in `into`."""
    own = sum((w * sigma(r) * h for w, r, h in zip(weights, resets, states, strict=True)), start=0)
    return (1 - sigma(update)) * tau(into + own) + sigma(update) * state
