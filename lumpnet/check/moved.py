"""The network that a bounded certificate lumps exactly: the original in float64, some rows of its parameters replaced.

Nothing is taken on trust here: whatever the moves are, the result is *some*
network of the original's shape, and how far the two are apart is computed from
the parameters of both (`effect`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from lumpnet.certificate import Move, Moves
from lumpnet.check.effect import Other
from lumpnet.check.files import Tensor
from lumpnet.check.graph import FLOATS, Kind, Network, Node
from lumpnet.check.outcome import Refusal
from lumpnet.check.relation import Relation


def after(network: Network, moves: Moves, kinds: Mapping[str, Kind], reduced: Network, relations: Mapping[str, Relation]) -> Network:
    """The network with these moves. Raises `Refusal` for moves of what is not there, or that leave no network of the same shapes."""
    missing = sorted({*moves.rows, *moves.taken} - {node.name for node in network.nodes})
    if missing:
        raise Refusal("moved", f"numbers of {missing[0]!r}", "nodes of the original network")
    small = {node.name: node for node in reduced.nodes}
    nodes = {}
    for node in network.nodes:
        wide = replace(node, dtype=_wide(network, node.dtype), params=MappingProxyType({role: _doubled(tensor) for role, tensor in node.params.items()}))
        if node.name in moves.taken:
            wide = _taken(wide, small.get(node.name), relations)
        nodes[node.name] = _node(network, wide, moves.rows.get(node.name, {}), kinds[node.kind])
    values = {name: nodes.get(name) or replace(value, dtype=_wide(network, value.dtype)) for name, value in network.values.items()}
    inputs = tuple(values[value.name] for value in network.inputs)
    return Network(inputs, tuple(nodes.values()), network.outputs, MappingProxyType(values), network.dtype and "float64")


def _wide(network: Network, dtype: str) -> str:
    return "float64" if dtype == network.dtype else dtype


def _doubled(tensor: Tensor) -> Tensor:
    return Tensor("F64", tensor.data.astype(np.float64)) if tensor.dtype in FLOATS.values() else tensor


def _taken(node: Node, small: Node | None, relations: Mapping[str, Relation]) -> Node:
    """The rows of kept units have the reduced node's numbers at the representatives of what they read, and zero elsewhere."""
    where, axis = f"moved {node.name!r}", len(node.shape) - 1 if node.kind == "linear" else 1
    if node.kind not in ("linear", "conv") or node.attrs.get("groups", 1) != 1 or small is None or small.kind != node.kind:
        raise Refusal(
            where,
            f"the numbers of {'nothing' if small is None else small.kind} for {node.kind}",
            "a linear layer, or a convolution of one group, in both networks",
        )
    rows, columns = (relations[name].on(axis, where).kept() for name in (node.name, node.inputs[0]))
    weight, theirs = node.params["weight"].data.copy(), small.params["weight"].data
    if theirs.shape != (len(rows), len(columns), *weight.shape[2:]):
        raise Refusal(where, f"a reduced weight of shape {theirs.shape}", f"one of {len(rows)} rows and {len(columns)} columns")
    weight[rows] = 0
    weight[np.ix_(rows, columns)] = theirs
    params = {**node.params, "weight": Tensor("F64", weight)}
    if "bias" in node.params or "bias" in small.params:
        bias = node.params["bias"].data.copy() if "bias" in node.params else np.zeros(len(weight))
        bias[rows] = small.params["bias"].data if "bias" in small.params else 0
        params["bias"] = Tensor("F64", bias)
    return replace(node, params=MappingProxyType(params))


def _node(network: Network, node: Node, moves: Mapping[str, Mapping[int, Move]], kind: Kind) -> Node:
    where = f"moved {node.name!r}"
    missing = sorted(set(moves) - {role for role, tensor in node.params.items() if tensor.dtype in FLOATS.values()})
    if missing or (moves and kind.opaque):
        raise Refusal(where, f"the parameter {(missing or list(moves))[0]!r}", "parameters that this operator computes with")
    out = replace(node, params=MappingProxyType({role: _tensor(f"{where} {role}", tensor, moves.get(role, {})) for role, tensor in node.params.items()}))
    try:
        shape = kind.shape(out, [network.values[name].shape for name in node.inputs])
    except ValueError as problem:
        raise Refusal(where, str(problem), "parameters that the operator can have") from problem
    if shape != node.shape:
        raise Refusal(where, f"the shape {shape}", f"{node.shape}")
    return out


def _tensor(where: str, tensor: Tensor, moves: Mapping[int, Move]) -> Tensor:
    if not moves:
        return tensor
    rows = tensor.data.copy()
    for row, move in moves.items():
        for at in (row, move.source or 0):
            if not rows.ndim or at >= len(rows):
                raise Refusal(where, f"row {at}", f"rows of a tensor of shape {rows.shape}")
        rows[row] = move.factor if move.source is None else move.factor * tensor.data[move.source].astype(np.float32).astype(np.float64)
    if not np.isfinite(rows).all():
        raise Refusal(where, "a number that is not finite", "finite parameters")
    return Tensor("F64", rows)


def other(network: Network, relations: Mapping[str, Relation]) -> Other:
    """What `effect` compares the moved network with."""
    return Other({node.name: {role: tensor.data for role, tensor in node.params.items()} for node in network.nodes}, relations)
