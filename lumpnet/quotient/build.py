"""The reduced network: every surviving node with its rows at the representatives, collapsed to the columns that stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from lumpnet.errors import RoundingError
from lumpnet.exact import Scaled, rounded
from lumpnet.ir import Graph, Node, Shape, Value
from lumpnet.lump.exact import Outcome
from lumpnet.ops import Kept, Piece, Site
from lumpnet.ops.sites import operand_units, rules
from lumpnet.quotient.columns import whole


@dataclass(frozen=True)
class Quotient:
    """The reduced graph; `inexact[node][role]` counts weights that were rounded to nearest."""

    graph: Graph
    inexact: Mapping[str, Mapping[str, int]]

    @property
    def rounding(self) -> str:
        return "nearest" if self.inexact else "none"


@dataclass
class _Tensors:
    """Tensors of the reduced network, shared where the original shares them and the contents still agree."""

    out: dict[str, np.ndarray] = field(default_factory=dict)

    def put(self, key: str, tensor: np.ndarray, node: str) -> str:
        for name in (key, f"{key}@{node}"):
            held = self.out.setdefault(name, tensor)
            if held is tensor or (held.shape == tensor.shape and held.dtype == tensor.dtype and held.tobytes() == tensor.tobytes()):
                return name
        raise RoundingError(node, f"no name is free for tensor {key!r}", "distinct tensor names")


def build(outcome: Outcome, kept: Mapping[str, Kept], dtype: str | None = None) -> Quotient:
    """Lower the relation to a graph. dtype None keeps each tensor's dtype.

    Raises `RoundingError` where a merged weight overflows the output dtype.
    """
    graph = outcome.graph
    tensors, inexact = _Tensors(), {}
    nodes = []
    for site in outcome.sites:
        name = site.node.name
        if not len(kept[name].units) or not outcome.alive[name].any():
            continue
        piece = _piece(site, kept)
        params, rounding = _params(site, piece, tensors, dtype)
        if rounding:
            inexact[name] = rounding
        nodes.append(_node(site, piece, params, len(kept[name].units), dtype))
    inputs = tuple(replace(v, dtype=_dtype(v.dtype, dtype)) for v in graph.inputs)
    buffers = frozenset(n for n in tensors.out if n.split("@")[0] in graph.buffers)
    return Quotient(Graph(inputs, tuple(nodes), graph.outputs, tensors.out, buffers, graph.notes), inexact)


def _piece(site: Site, kept: Mapping[str, Kept]) -> Piece:
    ins = [kept[name] if axis is not None else whole(operand_units(site, k)) for k, (name, axis) in enumerate(zip(site.node.inputs, site.in_axes, strict=True))]
    return rules(site).quotient(site, ins, kept[site.node.name])


def _dtype(held: str, wanted: str | None) -> str:
    return wanted if wanted is not None and held in ("float32", "float64") else held


def _params(site: Site, piece: Piece, tensors: _Tensors, dtype: str | None) -> tuple[dict[str, str], dict[str, int]]:
    params, rounding = {}, {}
    for role, exact in piece.params.items():
        target = _dtype(site.node.value.dtype, dtype)
        if isinstance(exact, Scaled):
            tensor, count, overflow = rounded(exact, target)
            if overflow:
                raise RoundingError(f"{site.node.name} ({role})", f"a merged weight overflows {target}", "finite weights", "--dtype float64")
            if count:
                rounding[role] = count
        else:
            tensor = exact.astype(target) if exact.dtype.kind == "f" else exact
        params[role] = tensors.put(site.node.params.get(role) or _fresh(site.node, role), np.ascontiguousarray(tensor), site.node.name)
    return params, rounding


def _fresh(node: Node, role: str) -> str:
    """A name for a parameter the original node did not have: beside its weight, as its module would call it."""
    weight = node.params.get("weight")
    prefix = weight.removesuffix(".weight") if weight and weight.endswith(".weight") else node.name
    return f"{prefix}.{role}"


def _node(site: Site, piece: Piece, params: dict[str, str], units: int, dtype: str | None) -> Node:
    old = site.node
    inputs = tuple(old.inputs[k] for k in piece.operands)
    module = old.module if piece.kind == old.kind else None
    value = Value(old.name, _shape(old.shape, site.axis, units), _dtype(old.value.dtype, dtype))
    return Node(value, piece.kind, inputs, piece.attrs, params, module)


def _shape(shape: Shape, axis: int | None, units: int) -> Shape:
    return shape if axis is None else (*shape[:axis], units, *shape[axis + 1 :])
