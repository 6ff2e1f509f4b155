"""The reduced network: every surviving node with its rows at the representatives, collapsed to the columns that stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from lumpnet.errors import RoundingError
from lumpnet.ir import Graph, Node, Shape, Value
from lumpnet.lump.exact import Outcome
from lumpnet.ops import Kept, Piece, Site, get
from lumpnet.ops.sites import operand_units, rules
from lumpnet.quotient.columns import whole


@dataclass(frozen=True)
class Quotient:
    """The reduced graph; by node and parameter role, masks of the weights that were rounded and of those that overflowed."""

    graph: Graph
    inexact: Mapping[tuple[str, str], np.ndarray]
    overflow: Mapping[tuple[str, str], np.ndarray]

    @property
    def rounding(self) -> str:
        return "nearest" if self.inexact else "none"


@dataclass
class _Tensors:
    """Tensors of the reduced network, shared where the original shares them and the contents still agree."""

    out: dict[str, np.ndarray] = field(default_factory=dict)
    came_from: dict[str, str] = field(default_factory=dict)

    def put(self, key: str, tensor: np.ndarray, node: Node) -> str:
        """Store under the key, or, where that holds something else by now, under the name that the node's own module gives."""
        own = [f"{node.module.path}.{key.rpartition('.')[2]}"] if node.module is not None else []
        for name in (key, *own, f"{key}@{node.name}"):
            held = self.out.setdefault(name, tensor)
            self.came_from.setdefault(name, key)
            if held is tensor or (held.shape == tensor.shape and held.dtype == tensor.dtype and held.tobytes() == tensor.tobytes()):
                return name
        raise RoundingError(node.name, f"no name is free for tensor {key!r}", "distinct tensor names")


@dataclass
class _Marks:
    inexact: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    overflow: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)

    def note(self, place: tuple[str, str], inexact: np.ndarray, overflow: np.ndarray) -> None:
        if inexact.any():
            self.inexact[place] = inexact
        if overflow.any():
            self.overflow[place] = overflow


def build(outcome: Outcome, kept: Mapping[str, Kept], dtype: str | None = None) -> Quotient:
    """Lower the relation to a graph. dtype None keeps each tensor's dtype."""
    graph = outcome.graph
    tensors, marks = _Tensors(), _Marks()
    nodes = []
    for site in outcome.sites:
        name = site.node.name
        if not len(kept[name].units) or not outcome.alive[name].any():
            continue
        piece = piece_of(site, kept)
        params = _params(site, piece, tensors, marks, dtype)
        nodes.append(_node(site, piece, params, len(kept[name].units), graph.inputs[0].name, dtype))
    inputs = tuple(replace(v, dtype=_dtype(v.dtype, dtype)) for v in graph.inputs)
    buffers = frozenset(name for name, key in tensors.came_from.items() if key in graph.buffers)
    return Quotient(Graph(inputs, tuple(nodes), graph.outputs, tensors.out, buffers, graph.notes), marks.inexact, marks.overflow)


def operands(site: Site, kept: Mapping[str, Kept]) -> list[Kept]:
    """The operands' columns as this node sees them."""
    return [
        kept[name] if axis is not None else whole(operand_units(site, k), bool(len(kept[name].units)))
        for k, (name, axis) in enumerate(zip(site.node.inputs, site.in_axes, strict=True))
    ]


def piece_of(site: Site, kept: Mapping[str, Kept]) -> Piece:
    return rules(site).quotient(site, operands(site, kept), kept[site.node.name])


def _dtype(held: str, wanted: str | None) -> str:
    return wanted if wanted is not None and held in ("float32", "float64") else held


def _params(site: Site, piece: Piece, tensors: _Tensors, marks: _Marks, dtype: str | None) -> dict[str, str]:
    params = {}
    for role, exact in piece.params.items():
        target = _dtype(site.node.value.dtype, dtype)
        if not isinstance(exact, np.ndarray):
            tensor, inexact, overflow = exact.rounded(target)
            marks.note((site.node.name, role), inexact, overflow)
        elif exact.dtype.kind == "f" and exact.dtype != target:
            tensor, inexact, overflow = _converted(exact, target)
            if inexact.any() and not get(site.node.kind).counts_units:
                found = f"its {role} has no exact value in {target}, and only weights of linear layers and convolutions may be rounded"
                raise RoundingError(f"node {site.node.name!r}", found, f"parameters that {target} holds", "emit the network in its own dtype")
            marks.note((site.node.name, role), inexact, overflow)
        else:
            tensor = exact
        params[role] = tensors.put(site.node.params.get(role) or _fresh(site.node, role), np.asarray(tensor, order="C"), site.node)
    return params


def _converted(stored: np.ndarray, target: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stored floats in another dtype, as `rounded` answers: the array, what was not exact, what overflowed (and is 0)."""
    with np.errstate(over="ignore"):
        tensor = stored.astype(target)
    overflow = ~np.isfinite(tensor)
    tensor[overflow] = 0
    return tensor, np.asarray(tensor.astype(np.float64) != stored), overflow


def _fresh(node: Node, role: str) -> str:
    """A name for a parameter the original node did not have: beside its weight, as its module would call it."""
    beside = role.replace("bias", "weight")
    head, found, tail = node.params.get(beside, "").rpartition(f".{beside}")
    return f"{head}.{role}{tail}" if found and (not tail or beside != "weight") else f"{node.name}.{role}"


def _node(site: Site, piece: Piece, params: dict[str, str], units: int, source: str, dtype: str | None) -> Node:
    """`source` is any value, for a piece that reads only the batch size; what never read anything reads nothing."""
    old = site.node
    inputs = tuple(old.inputs[k] for k in piece.operands) or ((source,) if old.inputs else ())
    module = old.module if piece.kind == old.kind else None
    value = Value(old.name, _shape(old.shape, site.axis, units), _dtype(old.value.dtype, dtype))
    return Node(value, piece.kind, inputs, piece.attrs, params, module)


def _shape(shape: Shape, axis: int | None, units: int) -> Shape:
    return shape if axis is None else (*shape[:axis], units, *shape[axis + 1 :])
