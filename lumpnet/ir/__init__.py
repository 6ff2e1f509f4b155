"""Ground floor: what a network is (THEORY section 1), and its file."""

from lumpnet.ir.graph import FLOATS, Graph, Module, Node, Shape, Value
from lumpnet.ir.storage import graph_json, graph_of, link_whole, load_network, network_bytes, network_chunks, save_network, write_whole

__all__ = [
    "FLOATS",
    "Graph",
    "Module",
    "Node",
    "Shape",
    "Value",
    "graph_json",
    "graph_of",
    "link_whole",
    "load_network",
    "network_bytes",
    "network_chunks",
    "save_network",
    "write_whole",
]
