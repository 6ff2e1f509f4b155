"""A graph as a list of sites: every node with its tensors, shapes and unit axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lumpnet.errors import GraphError, NoExactValue
from lumpnet.ir import Graph
from lumpnet.ops.base import Op, Pin, Site, size
from lumpnet.ops.registry import get

_PIN = Pin()


def sites(graph: Graph) -> list[Site]:
    """One site a node, in order. Raises `GraphError` where a stored shape is not the one the operator computes."""
    axes: dict[str, int | None] = {v.name: None for v in graph.inputs}
    found = []
    for node in graph.nodes:
        op = get(node.kind)
        shapes = tuple(graph.value(name).shape for name in node.inputs)
        params = graph.params_of(node)
        site = Site(node, params, shapes, tuple(axes[name] for name in node.inputs))
        if node.kind != "opaque":
            try:
                shape = op.infer(shapes, node.attrs, params)
            except (KeyError, TypeError, ValueError, IndexError) as error:
                raise GraphError(f"node {node.name!r}", f"malformed attributes or parameters for {node.kind} ({error})") from error
            if shape != node.shape:
                raise GraphError(f"node {node.name!r}", f"stored shape {node.shape}, computed {shape}", "the shape its operands give")
        batched = all(s and s[0] is None for s in (*shapes, node.shape))
        site = replace(site, axis=op.unit_axis(site) if batched else None, derived={})
        axes[node.name] = site.axis
        found.append(site)
    return found


def rules(site: Site) -> Op:
    """The operator's own rules, or the pin where its units cannot be followed."""
    return get(site.node.kind) if site.axis is not None else _PIN


def counted(all_sites: Sequence[Site], outputs: tuple[str, ...]) -> list[Site]:
    """The sites whose outputs count as hidden units."""
    return [s for s in all_sites if get(s.node.kind).counts_units and s.node.name not in outputs]


def operand_units(site: Site, k: int) -> int:
    """Units of operand k as this node sees them: along its unit axis, or along the axis the node needs."""
    axis = site.in_axes[k]
    if axis is None and site.axis is not None:
        axis = site.axis if len(site.in_shapes[k]) == len(site.shape) else None
    return size(site.in_shapes[k], axis)


def run(graph: Graph, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every value of the graph on arrays with a leading batch axis, float or `Fraction`.

    Raises `NoExactValue` where an operator has no value in that number world.
    """
    values = dict(inputs)
    exact = any(x.dtype == object for x in inputs.values())
    for site in sites(graph):
        if exact:
            from lumpnet.exact import fractions

            site = replace(site, params={role: fractions(p) if p.dtype.kind == "f" else p for role, p in site.params.items()}, derived={})
        values[site.node.name] = get(site.node.kind).run(site, [values[name] for name in site.node.inputs])
    return values


__all__ = ["NoExactValue", "counted", "operand_units", "rules", "run", "sites"]
