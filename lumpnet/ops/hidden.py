"""A hidden state as a value on a cycle: the coarsest stable lumping (THEORY section 2, RNN / LSTM / GRU).

The relation is coinductive. A hypothesis about the state of one step, true of
the zero state, is used for the state before, and must follow for the state
after. So scales hold at zero, offsets are zero, and the only constant is zero.
Hypotheses start at "every unit is zero" and only split; what is stable holds
at every step. A coarser hypothesis sees coarser rows, so the stable lumping
reached is the coarsest one inside the start.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from lumpnet.exact import ZERO, Merge, Scaled, constant_array
from lumpnet.partition import Lumping, normal_form

Vector = tuple[Sequence[np.ndarray], Sequence[Fraction]]
"""What one unit reads: per weight the exact collapsed integers (their factor is shared by all units), and the biases."""
Direction = Callable[[Vector], tuple[Hashable, Fraction]]


@dataclass(frozen=True, eq=False)
class Form:
    """One affine form per hidden unit: blocks of input and hidden rows (units, columns), and a bias (units,) each. None: no such part.

    `turns` marks a form whose multiples make multiples of the unit (a candidate); of the others units that agree have equal ones.
    """

    input: np.ndarray | None
    hidden: np.ndarray | None
    biases: tuple[Fraction, ...]
    turns: bool


def zeros(n: int) -> Lumping:
    """Every unit is constantly zero: the coarsest hypothesis."""
    return Lumping(np.full(n, -1), constant_array(n, ZERO), constant_array(n, ZERO), constant_array(n, ZERO))


def stable(forms: Sequence[Form], x: Merge, start: Lumping, direction: Direction) -> Lumping:
    """The coarsest lumping inside `start` that follows from itself; `x` collapses the operand."""
    inputs = [None if f.input is None else x.apply(f.input[:, :, None]) for f in forms]
    here = start
    while True:
        after = _step(forms, inputs, here, direction)
        if np.array_equal(after.classes, here.classes):
            return here
        here = after


def _step(forms: Sequence[Form], inputs: Sequence[Scaled | None], here: Lumping, direction: Direction) -> Lumping:
    """One split: what the hypothesis says of the state after."""
    n = len(here)
    keys: list[Hashable] = [int(c) for c in here.classes]  # a unit alone stays alone
    scale = here.scale.copy()
    together = ~here.present
    together[here.present] = here.sizes[here.classes[here.present]] > 1
    units = np.flatnonzero(together)
    if not len(units):
        return here
    state = Merge(here.classes, here.scale, here.count)
    hidden = [None if f.hidden is None else state.apply(f.hidden[units][:, :, None]) for f in forms]
    for k, i in enumerate(units.tolist()):
        parts = [_read(f, a, i, b, k) for f, a, b in zip(forms, inputs, hidden, strict=True)]
        turning = [part for part, form in zip(parts, forms, strict=True) if form.turns]
        like = tuple(_plain(part) for part, form in zip(parts, forms, strict=True) if not form.turns)
        vector = [a for ints, _ in turning for a in ints], [b for _, biases in turning for b in biases]
        key, factor = direction(vector)
        if factor == 0:
            keys[i] = (keys[i], like, _plain(vector), here.scale[i]) if here.present[i] else None
        elif here.present[i]:
            keys[i] = (keys[i], like, key, factor / here.scale[i])
        else:
            keys[i], scale[i] = ("new", like, key), factor
    value = constant_array(n, None)
    value[[key is None for key in keys]] = ZERO
    return normal_form(keys, scale, constant_array(n, ZERO), value)


def _read(form: Form, inputs: Scaled | None, i: int, hidden: Scaled | None, k: int) -> Vector:
    return [part.ints[row, :, 0] for part, row in ((inputs, i), (hidden, k)) if part is not None], [form.biases[i]]


def _plain(vector: Vector) -> Hashable:
    return tuple(_key(a) for a in vector[0]), tuple(vector[1])


def _key(ints: np.ndarray) -> Hashable:
    return ints.tobytes() if ints.dtype != object else tuple(ints.tolist())


def up_to_sign(vector: Vector) -> tuple[Hashable, Fraction]:
    """For an odd function of the vector: the vector, turned so that its first entry is positive, and the sign; 0 for the zero vector."""
    weights, biases = vector
    first = next((int(a[j]) for a in weights for j in np.flatnonzero(a != 0)[:1]), next((b for b in biases if b), 0))
    if first == 0:
        return None, ZERO
    sign = 1 if first > 0 else -1
    return (tuple(_key(sign * a) for a in weights), tuple(sign * b for b in biases)), Fraction(sign)


def up_to_size(vector: Vector) -> tuple[Hashable, Fraction]:
    """For the rectifier of one form: the vector against its own size, and that size; 0 where the rectifier gives zero."""
    weights, (bias,) = vector
    sizes = [int(np.gcd.reduce(np.abs(a), initial=0)) for a in weights]
    size = Fraction(next((g for g in sizes if g), 0))
    if size == 0:
        return ("bias", abs(bias) if bias > 0 else ZERO)
    return (tuple(_key(a // max(g, 1)) for a, g in zip(weights, sizes, strict=True)), tuple(g / size for g in sizes), bias / size), size
