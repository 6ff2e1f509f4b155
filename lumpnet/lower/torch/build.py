"""Graph to module: every node gets a submodule, every tensor its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from lumpnet.errors import GraphError
from lumpnet.ir import Graph, Node
from lumpnet.lower.torch import kinds as _kinds  # noqa: F401  (fills the registry)
from lumpnet.lower.torch.network import Instruction, LoweredNetwork
from lumpnet.lower.torch.registry import MAKERS, REBUILDERS, RUNNERS, SLOTS
from lumpnet.lower.torch.step import Step
from lumpnet.lower.torch.tree import Tree


def lower_graph(graph: Graph) -> LoweredNetwork:
    """The module that computes `graph`, in eval mode, ready to be saved, trained on or exported.

    Layers come back as their own `torch.nn` type under their own name where
    the node still fits it; everything else runs as a function. Tensors are
    copied, tied ones share one parameter. Raises `GraphError` for a kind that
    nothing runs.
    """
    network = LoweredNetwork(tuple(v.name for v in graph.inputs), graph.outputs, graph.notes)
    network.plan = _Lowering(graph, network).plan()
    return network.eval()


@dataclass
class _Lowering:
    graph: Graph
    network: LoweredNetwork
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    leaves: dict[str, Node] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    places: dict[str, tuple[str, str]] = field(default_factory=dict)

    def plan(self) -> tuple[Instruction, ...]:
        self.tree = Tree(self.network)
        self.owner = {n.name: n.module.path if n.module else None for n in self.graph.nodes}
        self.first_use = {key: node.name for node in reversed(self.graph.nodes) for key in node.params.values()}
        self.tensors = {key: _tensor(value, key in self.graph.buffers) for key, value in self.graph.tensors.items()}
        for node in self.graph.nodes:
            self.paths[node.name] = self._place(node)
        functions = [n for n in self.graph.nodes if isinstance(self.network.get_submodule(self.paths[n.name]), Step)]
        for key in dict.fromkeys(key for n in functions for key in n.params.values()):
            if key not in self.places:
                self.places[key] = self.tree.tensor(key, self.tensors[key])
        frees = _last_uses(self.graph)
        return tuple(self._instruction(n, frees[n.name]) for n in self.graph.nodes)

    def _instruction(self, node: Node, frees: tuple[str, ...]) -> Instruction:
        given = isinstance(self.network.get_submodule(self.paths[node.name]), Step)
        tensors = {role: self.places[key] for role, key in node.params.items()} if given else {}
        return Instruction(node.name, self.paths[node.name], node.inputs, tensors, frees)

    def _place(self, node: Node) -> str:
        """The path of the submodule that computes the node."""
        if str(node.attrs.get("target", "")).startswith("onnx::"):
            hint = "write the network as ONNX: -o FILE.onnx, or lumpnet.lower.onnx.save_onnx"
            raise GraphError(f"node {node.name!r}", f"{node.attrs['target']} is an operator of ONNX", "operators that PyTorch has", hint)
        path = node.module.path if node.module else ""
        if path in self.leaves and _same_layer(self.leaves[path], node):
            return path
        leaf = self._leaf(node, path)
        if leaf is not None:
            return self._own(node, leaf, path)
        if node.kind in MAKERS:
            module = MAKERS[node.kind](node.attrs)
            module.lumpnet_origin = node.module  # type: ignore[assignment]
            return self.tree.module(node.name, module)
        if node.kind not in RUNNERS:
            raise GraphError(
                f"node {node.name!r}",
                f"nothing runs the kind {node.kind!r}",
                f"one of {', '.join(sorted(RUNNERS))}",
                "lift the network again with this version",
            )
        return self.tree.module(node.name, Step(node.kind, node.attrs, node.module))

    def _leaf(self, node: Node, path: str) -> nn.Module | None:
        """The node's own type of module, if it fits: a free path, tensors of its own or tied to an earlier node's."""
        rebuild = REBUILDERS.get((node.kind, node.module.type)) if node.module else None
        if rebuild is None or path in self.leaves or not self.tree.fits(path) or self._name_of_others(path):
            return None
        slots = SLOTS[node.kind]
        for role, key in node.params.items():
            if key != f"{path}.{slots.get(role)}" and not self._used_before(key, node):
                return None
        return rebuild(node, {role: self.tensors[key] for role, key in node.params.items()})

    def _name_of_others(self, path: str) -> bool:
        """Whether something that is not the layer's needs the path for itself."""
        return path in self.graph.tensors or self.owner.get(path, path) != path

    def _used_before(self, key: str, node: Node) -> bool:
        return self.first_use[key] != node.name

    def _own(self, node: Node, leaf: nn.Module, path: str) -> str:
        self.leaves[path] = node
        self.tree.module(path, leaf)
        for role, slot in SLOTS[node.kind].items():
            key = node.params.get(role)
            _set(leaf, slot, self.tensors[key] if key else None)
            if key == f"{path}.{slot}":
                self.places[key] = (path, slot)
        return path


def _set(leaf: nn.Module, slot: str, tensor: torch.Tensor | None) -> None:
    """Fill a slot of a layer with a tensor, a parameter or nothing."""
    if tensor is None and not hasattr(leaf, slot):
        return
    leaf._parameters.pop(slot, None)
    leaf._buffers.pop(slot, None)
    if isinstance(tensor, nn.Parameter):
        setattr(leaf, slot, tensor)  # recurrent layers keep a list of their own of what is set
    elif tensor is None and slot in ("weight", "bias"):
        leaf.register_parameter(slot, tensor)
    else:
        leaf.register_buffer(slot, tensor)


def _tensor(value: np.ndarray, buffer: bool) -> torch.Tensor:
    tensor = torch.from_numpy(np.array(value))
    return tensor if buffer or not tensor.is_floating_point() else nn.Parameter(tensor)


def _same_layer(known: Node, node: Node) -> bool:
    return (known.kind, known.attrs, known.params, known.module) == (node.kind, node.attrs, node.params, node.module)


def _last_uses(graph: Graph) -> Mapping[str, tuple[str, ...]]:
    """For each node, the values that nothing reads after it."""
    last: dict[str, str] = {}
    for node in graph.nodes:
        last[node.name] = node.name
        last |= dict.fromkeys(node.inputs, node.name)
    frees: dict[str, list[str]] = {node.name: [] for node in graph.nodes}
    for value, node_name in last.items():
        if value not in graph.outputs:
            frees[node_name].append(value)
    return {name: tuple(sorted(values)) for name, values in frees.items()}
