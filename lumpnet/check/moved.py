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
from lumpnet.check.files import Tensor
from lumpnet.check.graph import FLOATS, Kind, Network, Node
from lumpnet.check.numbers import Array
from lumpnet.check.outcome import Refusal


def after(network: Network, moves: Moves, kinds: Mapping[str, Kind]) -> Network:
    """The network with these rows moved. Raises `Refusal` for moves of what is not there, or that leave no network of the same shapes."""
    missing = sorted(set(moves) - {node.name for node in network.nodes})
    if missing:
        raise Refusal("moved", f"rows of {missing[0]!r}", "nodes of the original network")
    nodes = {node.name: _node(network, node, moves.get(node.name, {}), kinds[node.kind]) for node in network.nodes}
    values = {name: nodes.get(name) or replace(value, dtype=_wide(network, value.dtype)) for name, value in network.values.items()}
    inputs = tuple(values[value.name] for value in network.inputs)
    return Network(inputs, tuple(nodes.values()), network.outputs, MappingProxyType(values), network.dtype and "float64")


def _wide(network: Network, dtype: str) -> str:
    return "float64" if dtype == network.dtype else dtype


def _node(network: Network, node: Node, moves: Mapping[str, Mapping[int, Move]], kind: Kind) -> Node:
    where = f"moved {node.name!r}"
    missing = sorted(set(moves) - {role for role, tensor in node.params.items() if tensor.dtype in FLOATS.values()})
    if missing or (moves and kind.opaque):
        raise Refusal(where, f"the parameter {(missing or list(moves))[0]!r}", "parameters that this operator computes with")
    params = {role: _tensor(f"{where} {role}", tensor, moves.get(role, {})) for role, tensor in node.params.items()}
    out = replace(node, dtype=_wide(network, node.dtype), params=MappingProxyType(params))
    try:
        shape = kind.shape(out, [network.values[name].shape for name in node.inputs])
    except ValueError as problem:
        raise Refusal(where, str(problem), "parameters that the operator can have") from problem
    if shape != node.shape:
        raise Refusal(where, f"the shape {shape}", f"{node.shape}")
    return out


def _tensor(where: str, tensor: Tensor, moves: Mapping[int, Move]) -> Tensor:
    if tensor.dtype not in FLOATS.values():
        return tensor
    rows = tensor.data.astype(np.float64)
    for row, move in moves.items():
        for at in (row, move.source or 0):
            if not rows.ndim or at >= len(rows):
                raise Refusal(where, f"row {at}", f"rows of a tensor of shape {rows.shape}")
        rows[row] = move.factor if move.source is None else move.factor * tensor.data[move.source].astype(np.float32).astype(np.float64)
    if not np.isfinite(rows).all():
        raise Refusal(where, "a number that is not finite", "finite parameters")
    return Tensor("F64", rows)


def parameters(network: Network) -> dict[str, Mapping[str, Array]]:
    """By node and role, what `effect` compares another network's parameters with."""
    return {node.name: {role: tensor.data for role, tensor in node.params.items()} for node in network.nodes}
