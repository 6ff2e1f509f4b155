"""What one operator kind knows: shape, run, and the rules of its lumping.

Drivers call these methods and never ask which operator they hold. A rule reads
a `Site`: one node with its tensors, the shapes around it and the unit axes of
its operands. Number worlds: `run` is generic over float and `Fraction` arrays;
`forward`, `demands`, `alive`, `quotient` are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from lumpnet.exact import ONE, Collapsed, Scaled, constant_array
from lumpnet.ir import Node, Shape
from lumpnet.partition import Demand, Lumping, discrete, everything

Params = dict[str, np.ndarray]
ParamAxes = dict[str, tuple[int | None, int | None]]
"""By parameter role: the axis along which it has one entry for every unit of the output, and the one for every unit of the operand (None: none)."""
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Site:
    """A node where it stands. `in_axes[k]` is the unit axis of operand k, None where it has none (pinned whole)."""

    node: Node
    params: Params
    in_shapes: tuple[Shape, ...]
    in_axes: tuple[int | None, ...]
    axis: int | None = None
    derived: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def once(self, what: str, make: Callable[[], T]) -> T:
        """What a rule derives from the node alone, computed the first time."""
        if what not in self.derived:
            self.derived[what] = make()
        found: T = self.derived[what]
        return found

    @property
    def attrs(self) -> Any:
        return self.node.attrs

    @property
    def shape(self) -> Shape:
        return self.node.shape

    @property
    def units(self) -> int:
        """Units of the output (of its axis 1 or last where no axis is followed)."""
        return size(self.shape, self.axis)


def size(shape: Shape, axis: int | None) -> int:
    """Units of a value: the size of its unit axis, 1 for a value without one."""
    return int(shape[axis] or 0) if axis is not None else 1


@dataclass(frozen=True, eq=False)
class Kept:
    """A final lumping: `units[k]` is the unit of the original that column k of the reduced value equals.

    `column[i]` is the column of unit i: below `len(units)` kept, above it a class that no output observes, -1 a constant.
    """

    lumping: Lumping
    units: np.ndarray
    column: np.ndarray

    def all_kept(self) -> bool:
        return len(self.units) == len(self.lumping)


@dataclass(frozen=True, eq=False)
class Piece:
    """A node of the quotient: kind, surviving operands (by position; none: any value gives the batch size), attributes, exact or stored parameters."""

    kind: str
    operands: tuple[int, ...]
    attrs: dict[str, Any]
    params: dict[str, np.ndarray | Scaled | Collapsed]


class Op:
    """An operator kind. Subclass, set `kind`, and register with `@register`."""

    kind: str = ""
    counts_units = False
    """Whether its outputs are counted as units (linear, convolution, recurrent)."""
    column_role = "weight"
    """The parameter whose axis 1 is collapsed to the operand's columns."""
    needs_operand = True
    """Whether the node cannot stand without any operand unit. What makes new columns can become a `constant` where it reads none."""

    def infer(self, shapes: Sequence[Shape], attrs: Any, params: Params) -> Shape:
        """The output's full shape."""
        raise NotImplementedError

    def run(self, site: Site, xs: Sequence[np.ndarray]) -> np.ndarray:
        """Evaluate on arrays with a leading batch axis, float or `Fraction` (raises `NoExactValue`)."""
        raise NotImplementedError

    def features(self, site: Site, x: np.ndarray) -> np.ndarray | None:
        """What every row of the weight is multiplied with, (positions, entries of a row) in the output's order of positions; None for other operators."""
        return None

    def unit_axis(self, site: Site) -> int | None:
        """The unit axis of the output; None pins the node (and `why_pinned` says so)."""
        raise NotImplementedError

    def why_pinned(self, site: Site) -> str:
        return "no rule"

    def forward(self, site: Site, ins: Sequence[Lumping]) -> Lumping:
        """The coarsest lumping of the output that this operator allows over its operands' lumpings."""
        raise NotImplementedError

    def demands(
        self, site: Site, ins: Sequence[Lumping], out: Lumping, free: Sequence[np.ndarray], free_out: np.ndarray
    ) -> tuple[list[Demand | None], Demand | None]:
        """What the operator demands of its operands and of its output. `free` marks units no output observes."""
        raise NotImplementedError

    def alive(self, site: Site, ins: Sequence[Lumping], out: Lumping, alive_out: np.ndarray) -> list[np.ndarray]:
        """Units of each operand that an observed unit of the output reads."""
        raise NotImplementedError

    def revives(self, site: Site, out: Lumping, alive_out: np.ndarray) -> np.ndarray:
        """Units of the output that observed units of the output read (a state on a cycle)."""
        return np.zeros_like(alive_out)

    def links(self, site: Site) -> list[tuple[np.ndarray, np.ndarray]]:
        """Shared columns: for each operand the pairs (operand unit, output unit) that stay together or leave together.

        Empty for operators that make new columns (linear, convolution).
        """
        return []

    def brought(self, site: Site, free: Sequence[np.ndarray], alive_out: np.ndarray) -> np.ndarray:
        """Observed output units, and those that an observed unit of an operand brings along."""
        mask = alive_out.copy()
        for (source, target), unread in zip(self.links(site), free, strict=False):
            mask[target] |= ~unread[source]
        return mask

    def same_units(self, site: Site) -> list[tuple[np.ndarray, np.ndarray]]:
        """As `links`, of columns that may leave one by one too: the pairs whose representatives have to fit each other."""
        return self.links(site)

    def declined(self, site: Site, ins: Sequence[Kept], out: Kept, role: str, mask: np.ndarray) -> list[Demand | None]:
        """Demands on the operands under which the entries `mask` of parameter `role` would not have been computed."""
        return [None] * len(ins)

    def declined_own(self, site: Site, out: Kept, role: str, mask: np.ndarray) -> Demand | None:
        """As `declined`, of the output itself (a state on a cycle)."""
        return None

    def rounded(self, site: Site, mask: np.ndarray) -> np.ndarray:
        """The columns of the operand behind the entries `mask` of the weight, where columns were summed."""
        return np.zeros(0, dtype=np.int64)

    def rounding_cost(self, site: Site, members: np.ndarray, scales: np.ndarray, out: Kept, dtype: str) -> int:
        """How many weights would be rounded if these units of the operand became one column with these scales."""
        return 0

    def param_axes(self, site: Site) -> ParamAxes | None:
        """Where the parameters have one entry a unit; None where they are not cut like that.

        With zeros at a unit of the operand's axis the node does not read it; with equal entries at two units of the
        output's axis these are equal, if the units that they share columns with are.
        """
        return None if site.params else {}

    def choices(self, site: Site) -> int | None:
        """How many integers, from 0, the operand may be; None where it holds real numbers."""
        return None

    def multiply_adds(self, site: Site) -> int:
        """Multiplications by stored weights for one example."""
        return 0

    def quotient(self, site: Site, ins: Sequence[Kept], out: Kept) -> Piece:
        """The node of the reduced network."""
        raise NotImplementedError


class Pin(Op):
    """Any operator without a rule: operands and output stay whole (THEORY: unknown pins)."""

    def unit_axis(self, site: Site) -> int | None:
        return None

    def forward(self, site: Site, ins: Sequence[Lumping]) -> Lumping:
        return discrete(site.units)

    def demands(
        self, site: Site, ins: Sequence[Lumping], out: Lumping, free: Sequence[np.ndarray], free_out: np.ndarray
    ) -> tuple[list[Demand | None], Demand | None]:
        if free_out.all():
            return [None] * len(ins), None
        return [everything(len(lumping)) for lumping in ins], everything(len(out))

    def alive(self, site: Site, ins: Sequence[Lumping], out: Lumping, alive_out: np.ndarray) -> list[np.ndarray]:
        return [np.full(len(lumping), bool(alive_out.any())) for lumping in ins]

    def quotient(self, site: Site, ins: Sequence[Kept], out: Kept) -> Piece:
        return Piece(site.node.kind, tuple(range(len(ins))), dict(site.attrs), dict(site.params))


def claimed(x: Lumping, free: np.ndarray) -> np.ndarray:
    """Units about which the relation says something that must be shown: observed ones, and members of a class of several."""
    together = x.present.copy()
    together[x.present] = x.sizes[x.classes[x.present]] > 1
    return np.asarray(x.present & (~free | together))


def keep_where(mask: np.ndarray, scale: np.ndarray | None = None, label: np.ndarray | None = None) -> Demand:
    """A demand that constants under `mask` stay."""
    n = len(mask)
    return Demand(np.zeros(n, dtype=np.int64) if label is None else label, mask, constant_array(n, ONE) if scale is None else scale)


def stay_together(here: Lumping, there: Lumping, free_there: np.ndarray, scale: np.ndarray | None = None) -> Demand:
    """What shared columns demand of `here` when `there` has the same units one by one.

    Units apart there are apart here, and a constant here stays if the unit
    there is one that stays and is observed. Free units that claim nothing demand nothing.
    """
    kept = ~here.present & claimed(there, free_there)
    label = np.where(there.present, there.classes, np.where(here.present, -1, 0))
    return Demand(label, kept, there.scale if scale is None else scale)


def apart(here: Lumping, there: Lumping) -> np.ndarray:
    """Labels that keep units of `here` apart which are apart `there`. A constant there asks for nothing yet: it goes with a unit of its class here."""
    label = np.where(there.present, there.classes, 0)
    for i in np.flatnonzero(here.present & ~there.present):
        mates = there.classes[(here.classes == here.classes[i]) & there.present]
        label[i] = mates[0] if len(mates) else 0
    return label
