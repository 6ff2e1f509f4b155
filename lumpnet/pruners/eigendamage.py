"""EigenDamage (Wang, Grosse, Fidler, Zhang: EigenDamage: Structured Pruning in the Kronecker-Factored Eigenbasis, ICML 2019, arXiv 1905.05934)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch

from lumpnet.ir import Graph, Node, Value
from lumpnet.pruners.base import Change, Pruned, Pruner, Task
from lumpnet.pruners.observing import Observed
from lumpnet.pruners.registry import register
from lumpnet.pruners.selection import best


@register
@dataclass(frozen=True)
class EigenDamage(Pruner):
    """A layer becomes three: into the directions of its operand that matter, the weights between directions, and out of the directions that matter.

    Directions are the eigenvectors of `A`, the mean of `x x^T` of the operand, and of `G`, the mean of `g g^T` of the gradients at the output: the two
    Kronecker factors of the Fisher matrix, `A` times `G`. In them the weights are `W* = Q_G^T W Q_A`, and to take an entry away costs `W*_ij^2 l_G,i
    l_A,j`. Of the directions on either side, so many stay as `keep` says, those whose entries cost most together. Gradients are those of the
    log-likelihood of labels drawn from the network's own answer (softmax of an output of two or more numbers an example, else a normal distribution
    around it), so no labels are wanted. A kernel is a matrix between channels at every tap, `A` a mean over places: the outer layers are 1x1 convolutions.

    Left alone: what is no plain matrix or ungrouped kernel, shares its weights, or would have no fewer weights as three. Reconstructed: counts are
    layer by layer, the paper ranks over the network; it also prunes in several rounds with training between. Changes count weights; the new nodes
    are `NAME.in` and `NAME.core`, the last one keeps the name.
    """

    name: ClassVar[str] = "eigendamage"
    needs: ClassVar[tuple[str, ...]] = ("data",)

    def prune(self, task: Task) -> Pruned:
        seen, graph = Observed(task), task.graph
        uses = Counter(tensor for node in graph.nodes for tensor in set(node.params.values()))
        taken = {*(v.name for v in graph.values()), *graph.tensors}
        gradients = _gradients(seen, graph, task.rng())
        nodes: list[Node] = []
        tensors, changes, skipped = dict(graph.tensors), [], []
        for node in graph.nodes:
            kernel = _FORMS.get(node.kind)
            if kernel is None or node.attrs.get("groups", 1) != 1:
                nodes.append(node)
                continue
            weight = graph.tensors[node.params["weight"]].astype(np.float64)
            counts = task.count(weight.shape[0]), task.count(weight.shape[1])
            size = counts[1] * weight.shape[1] + counts[0] * counts[1] * weight[0, 0].size + counts[0] * weight.shape[0]
            reason = _why_not(node, graph, uses, taken, weight, size)
            if reason is not None or node.name not in gradients:
                skipped.append(((node.name,), reason or "no output answers to it"))
                nodes.append(node)
                continue
            axis = 1 if node.kind == "conv" else -1
            parts = _parts(weight, _moment(seen[node.inputs[0]], axis), _moment(gradients[node.name], axis), counts)
            nodes += _three(node, graph, kernel, counts)
            dtype = graph.tensors[node.params["weight"]].dtype
            tensors |= {f"{node.name}.{part}.weight": numbers.astype(dtype) for part, numbers in zip(_PARTS, parts, strict=True)}
            del tensors[node.params["weight"]]
            changes.append(Change((node.name,), "weights", weight.size, size))
        return Pruned(replace(graph, nodes=tuple(nodes), tensors=tensors), tuple(changes), tuple(skipped))


_PARTS = ("in", "core", "out")
_FORMS: dict[str, Mapping[str, object]] = {"linear": {}, "conv": {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}}
"""By kind, the attributes of a layer that only mixes units: numbers stand for one number an axis, but for the groups."""


def _why_not(node: Node, graph: Graph, uses: Mapping[str, int], taken: set[str], weight: np.ndarray, size: int) -> str | None:
    if uses[node.params["weight"]] > 1:
        return f"{node.name} shares its weights with another layer"
    if {f"{node.name}.{part}" for part in _PARTS} & taken or {f"{node.name}.{part}.weight" for part in _PARTS} & taken:
        return f"the names of the parts of {node.name} are taken"
    if graph.value(node.inputs[0]).shape[0] is not None or node.shape[0] is not None:
        return f"{node.name} does not depend on the examples"
    return f"three layers would have {size:,} weights instead of {weight.size:,}" if size >= weight.size else None


def _gradients(seen: Observed, graph: Graph, rng: np.random.Generator) -> dict[str, torch.Tensor]:
    """By node, the gradients (examples, ...) at its value of the log-likelihood of answers drawn from what the network answers."""
    values = {v.name: seen[v.name] for v in graph.inputs}
    wanted = []
    for node in graph.nodes:
        value = seen.answer(node.name, *(values[name] for name in node.inputs))
        if node.kind in _FORMS and value.is_floating_point():
            value = value if value.requires_grad else value.detach().requires_grad_()
            wanted.append(node.name)
        values[node.name] = value
    total = torch.zeros((), dtype=torch.float64)
    for name in graph.outputs:
        answer = values[name].flatten(1)
        if answer.requires_grad and values[name].dim() == 2 and answer.shape[1] > 1:
            share = torch.softmax(answer.detach(), 1).cumsum(1)
            drawn = (share < torch.from_numpy(rng.random((len(answer), 1)))).sum(1).clamp(max=answer.shape[1] - 1)
            total = total + torch.nn.functional.cross_entropy(answer, drawn, reduction="sum")
        elif answer.requires_grad:
            total = total + (answer * torch.from_numpy(rng.standard_normal(tuple(answer.shape)))).sum()
    if not total.requires_grad:
        return {}
    found = torch.autograd.grad(total, [values[name] for name in wanted], allow_unused=True)
    return {name: gradient for name, gradient in zip(wanted, found, strict=True) if gradient is not None}


def _moment(numbers: torch.Tensor, axis: int) -> np.ndarray:
    """The mean of `x x^T` over examples and places, units on the axis."""
    rows = numbers.detach().movedim(axis, -1).flatten(0, -2)
    return np.asarray((rows.T @ rows / len(rows)).numpy())


def _parts(weight: np.ndarray, operand: np.ndarray, gradient: np.ndarray, counts: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Weights (out, in, taps ...) of the three layers."""
    (size_a, along_a), (size_g, along_g) = np.linalg.eigh(operand), np.linalg.eigh(gradient)
    between = np.einsum("oi...,op,iq->pq...", weight, along_g, along_a)
    cost = (between.reshape(*between.shape[:2], -1) ** 2).sum(axis=2) * np.maximum(size_g, 0)[:, None] * np.maximum(size_a, 0)
    rows, columns = best(cost.sum(axis=1), counts[0]), best(cost.sum(axis=0), counts[1])
    ones = [1] * (weight.ndim - 2)
    into, out = along_a[:, columns].T, along_g[:, rows]
    return into.reshape(*into.shape, *ones), between[rows][:, columns], out.reshape(*out.shape, *ones)


def _three(node: Node, graph: Graph, form: Mapping[str, object], counts: tuple[int, int]) -> list[Node]:
    """The nodes in place of one: the last has its name, and its bias."""
    out, into = counts
    axis, taps = (1, len(node.shape) - 2) if form else (len(node.shape) - 1, 0)
    mixing = {key: number if key == "groups" else [number] * taps for key, number in form.items()}

    def value(part: str, shape: tuple[int | None, ...], units: int) -> Value:
        return Value(f"{node.name}.{part}", (*shape[:axis], units, *shape[axis + 1 :]), node.value.dtype)

    def weight(part: str) -> dict[str, str]:
        return {"weight": f"{node.name}.{part}.weight"}

    first = Node(value("in", graph.value(node.inputs[0]).shape, into), node.kind, node.inputs, mixing, weight("in"))
    core = Node(value("core", node.shape, out), node.kind, (first.name,), node.attrs, weight("core"))
    last = Node(node.value, node.kind, (core.name,), mixing, {**node.params, **weight("out")})
    return [first, core, last]
