"""`lumpnet show`: what lumpnet sees in a model."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from lumpnet.cli.console import count, out, print_json, printable
from lumpnet.cli.model import Given
from lumpnet.network import Network, as_network
from lumpnet.ops import get
from lumpnet.ops.sites import rules, sites
from lumpnet.quotient.explain import measure, pinned


def show(given: Given, json: bool) -> int:
    """Print the table (or JSON); always exit code 0 for a readable model."""
    data = describe(as_network(*given.arguments()))
    if json:
        print_json(data)
    else:
        _print(data)
    return 0


def describe(network: Network) -> dict[str, Any]:
    """Operators with shapes, units and coupled group; pinned operators with reasons; folded parameters."""
    graph = network.graph
    all_sites = sites(graph)
    groups = _groups(all_sites)
    size = measure(graph)
    return {
        "inputs": [{"name": v.name, "shape": list(v.shape), "dtype": v.dtype} for v in graph.inputs],
        "operators": [
            {
                "name": s.node.name,
                "kind": s.node.attrs.get("target", s.node.kind),
                "inputs": list(s.node.inputs),
                "shape": list(s.shape),
                "units": s.units if s.axis is not None else None,
                "axis": s.axis,
                "hidden_units": get(s.node.kind).counts_units and s.node.name not in graph.outputs,
                "group": groups.get(s.node.name),
            }
            for s in all_sites
        ],
        "outputs": list(graph.outputs),
        "pinned": [{"operator": operator, "reason": reason} for operator, reason in pinned(all_sites)],
        "notes": list(graph.notes),
        "units": size.units,
        "parameters": size.parameters,
        "multiply_adds": size.multiply_adds,
    }


def _groups(all_sites: list[Any]) -> dict[str, int]:
    """Values that share columns, numbered: a unit leaves all values of a group or none."""
    import networkx as nx  # here: importing it takes longer than refusing a bad file

    graph: nx.Graph[str] = nx.Graph()
    for s in all_sites:
        if s.axis is None:
            continue
        graph.add_node(s.node.name)
        for name, axis, _ in zip(s.node.inputs, s.in_axes, rules(s).links(s), strict=False):
            if axis is not None:
                graph.add_edge(name, s.node.name)
    return {name: number for number, group in enumerate(nx.connected_components(graph), 1) for name in group}


def _print(data: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, justify in (("operator", "left"), ("kind", "left"), ("output", "left"), ("units", "right"), ("group", "right")):
        table.add_column(column, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for op in data["operators"]:
        shape = "x".join("N" if d is None else str(d) for d in op["shape"])
        units = count(op["units"]) if op["hidden_units"] and op["units"] is not None else ""
        table.add_row(printable(op["name"]), printable(op["kind"]), shape, units, str(op["group"] or ""))
    out.print(table)
    out.print(f"\n{count(data['units'])} hidden units, {count(data['parameters'])} parameters, {count(data['multiply_adds'])} multiply-adds an example")
    out.print("Values of one group share their units: a unit leaves all of them or none.")
    for pin in data["pinned"]:
        out.print(f"pinned: {printable(pin['operator'])}: {printable(pin['reason'])}")
    for note in data["notes"]:
        out.print(f"note: {printable(note)}")
