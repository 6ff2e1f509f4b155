"""A network while it is trained: minibatches, masks on its columns, and the way back into the graph, tensor by tensor.

Batch norms that are modules of their own are in training mode: they normalise by the minibatch and update their running
statistics. Those that a network calls as functions keep theirs, and so do graphs from ONNX. Dropout drops. Trained is every other floating-point
tensor that is no buffer, whether or not the user had frozen it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from lumpnet.errors import PruneError
from lumpnet.ir import Graph
from lumpnet.lower.torch.registry import SLOTS
from lumpnet.pruners.base import GONE
from lumpnet.pruners.selection import heard
from lumpnet.pruners.training.columns import Columns, Rows

if TYPE_CHECKING:
    from lumpnet.lower.torch import LoweredNetwork
    from lumpnet.lump.layers import Layer
    from lumpnet.pruners.base import Task

STATISTICS = ("mean", "var", "num_batches_tracked")
"""Roles of tensors that are measured, not trained."""
Stays = Sequence[np.ndarray]
"""By prunable layer, a mask (columns,) of what stays."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Inputs in the network's order and labels; `step` counts from 0, `part` (0 to 1) says how much of the training has gone."""

    inputs: tuple[Tensor, ...]
    labels: Tensor
    step: int
    part: float


@contextmanager
def isolated(seed: int) -> Iterator[None]:
    """Gradients on, and a seed for dropout; the caller's generator and modes are as before afterwards."""
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.enable_grad():
        torch.default_generator.manual_seed(seed)
        yield


class Trainee:
    """The network of a task, in training mode, and its prunable layers. Use it inside `isolated`.

    why_not gives the reason why a layer is left alone, or None. Raises `PruneError` for networks and data that the cross-entropy does not take.
    """

    def __init__(self, task: Task, method: str, why_not: Callable[[Layer], str | None] = lambda layer: layer.kept_by):
        self.task, self.method = task, method
        self.module: LoweredNetwork = task.module()  # type: ignore[assignment]
        self.module.train()
        self.names = dict(_places(task.graph, self.module))
        held = dict(self.module.named_parameters(remove_duplicate=False)) | dict(self.module.named_buffers(remove_duplicate=False))
        self.tensors: dict[str, Tensor] = {key: held[name] for key, name in self.names.items()}
        measured = {key for node in task.graph.nodes for role, key in node.params.items() if role in STATISTICS}
        for key in measured:
            self.tensors[key].requires_grad_(False)
        self.parameters = {key: t for key, t in self.tensors.items() if isinstance(t, nn.Parameter) and key not in measured}
        reasons = [(layer, why_not(layer) or self._untrained(layer)) for layer in task.layers]
        self.layers = tuple(layer for layer, why in reasons if why is None)
        self.skipped = tuple((layer.makers, why) for layer, why in reasons if why is not None)
        assert task.data is not None
        assert task.data.labels is not None
        self.inputs = tuple(torch.from_numpy(task.data.inputs[v.name]) for v in task.graph.inputs)
        self.labels = torch.from_numpy(task.data.labels.astype(np.int64))
        self._fits(task.graph)

    def _untrained(self, layer: Layer) -> str | None:
        return None if any(s.tensor in self.parameters for s in layer.rows) else f"nothing that makes {layer.makers[0]} is trained"

    def _fits(self, graph: Graph) -> None:
        shapes = [graph.value(name).shape for name in graph.outputs]
        if len(shapes) != 1 or len(shapes[0]) != 2:
            told = f"outputs of shapes {', '.join(map(str, shapes))}"
            raise PruneError(f"pruner {self.method!r}", told, "one output (examples, classes), whose softmax is trained on the labels")
        least, most, classes = int(self.labels.min()), int(self.labels.max()), int(shapes[0][1] or 0)
        if least < 0 or most >= classes:
            raise PruneError(f"pruner {self.method!r}", f"labels from {least} to {most}", f"the classes 0 to {classes - 1} of the network")
        if not self.parameters:
            raise PruneError(f"pruner {self.method!r}", "a network without parameters to train", "at least one")

    def batches(self, epochs: int, size: int, what: str, stream: int = 0) -> Iterator[Batch]:
        """Every example once an epoch in an order drawn from the task's seed and the stream, in batches of nearly equal sizes of at most `size`."""
        rng, n = np.random.default_rng([self.task.seed, stream]), len(self.labels)
        an_epoch = -(-n // size)
        for epoch in range(epochs):
            self.task.progress(f"{self.method}: {what}, epoch {epoch + 1} of {epochs}")
            for k, rows in enumerate(np.array_split(rng.permutation(n), an_epoch)):
                at, step = torch.from_numpy(rows), epoch * an_epoch + k
                yield Batch(tuple(x[at] for x in self.inputs), self.labels[at], step, step / (epochs * an_epoch))

    def logits(self, batch: Batch, stays: Stays | None = None) -> Tensor:
        """(examples, classes); what does not stay counts as 0 wherever it is read."""
        found: Tensor = functional_call(self.module, self.masked(stays), batch.inputs) if stays is not None else self.module(*batch.inputs)
        return found

    def step(self, optimizer: torch.optim.Optimizer, batch: Batch, stays: Stays | None = None) -> float:
        """One step down the cross-entropy. Weights that are masked get no gradient. Returns the loss."""
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.logits(batch, stays), batch.labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return float(loss.detach())

    def margins(self, batch: Batch, stays: Stays) -> np.ndarray:
        """(examples,) logit of the label minus the largest other one, in evaluation mode: no statistics change, nothing is dropped."""
        self.module.eval()
        with torch.no_grad():
            found = self.logits(batch, stays)
        self.module.train()
        own = found.gather(1, batch.labels[:, None])
        others = found.scatter(1, batch.labels[:, None], -torch.inf).amax(1)
        return np.asarray((own[:, 0] - others).double())

    def values(self, names: Sequence[str], inputs: tuple[Tensor, ...]) -> dict[str, np.ndarray]:
        """Values of the network by name, unmasked, in evaluation mode."""
        wanted, calls = set(names), dict[str, list[Tensor]]()
        paths = {step.path for step in self.module.plan if step.name in wanted}
        hooks = [self.module.get_submodule(path).register_forward_hook(lambda _, __, out, path=path: calls.setdefault(path, []).append(out)) for path in paths]
        self.module.eval()
        with torch.no_grad():
            self.module(*inputs)
        self.module.train()
        for hook in hooks:
            hook.remove()
        found = {step.name: calls[step.path].pop(0) for step in self.module.plan if step.path in paths}
        return {name: np.asarray(out[0] if isinstance(out, tuple) else out) for name, out in found.items() if name in wanted}

    def masked(self, stays: Stays) -> dict[str, Tensor]:
        """By name in the module, the weights that read columns which do not stay, with zeros there."""
        kept: dict[tuple[str, int], np.ndarray] = {}
        for layer, stay in zip(self.layers, stays, strict=True):
            for slot in () if stay.all() else layer.reads:
                mask = kept.setdefault((slot.tensor, slot.axis), np.ones(self.tensors[slot.tensor].shape[slot.axis], dtype=bool))
                mask[layer.at[slot.value][~stay]] = False
        found: dict[str, Tensor] = {}
        for (key, axis), mask in kept.items():
            weight = found.get(self.names[key], self.tensors[key])
            shape = [-1 if k == axis else 1 for k in range(weight.ndim)]
            found[self.names[key]] = weight * torch.from_numpy(mask).to(weight.dtype).view(shape)
        return found

    def rows(self, layer: Layer) -> Columns:
        """The trained numbers that make a layer's columns: weights, biases, batch norms' scales and shifts, in all of its makers."""
        parts = [Rows(self.parameters[s.tensor], s.axis, torch.from_numpy(layer.at[s.value])) for s in layer.rows if s.tensor in self.parameters]
        return Columns(tuple(parts))

    def graph(self, stays: Stays | None = None) -> Graph:
        """The task's graph with the trained numbers, and zeros where what does not stay is read. Raises `PruneError` where training diverged."""
        tensors = dict(self.task.graph.tensors)
        for key, tensor in self.tensors.items():
            found = tensor.detach().numpy().copy()
            if found.dtype.kind == "f" and not np.isfinite(found).all():
                raise PruneError(f"pruner {self.method!r}", f"training diverged: {key} is not finite any more", "finite numbers", "a smaller lr")
            tensors[key] = found
        for layer, stay in zip(self.layers, stays or (), strict=stays is not None):
            layer.rewrite(tensors, layer.reads, heard(np.where(stay, np.arange(len(layer)), GONE)))
        return replace(self.task.graph, tensors=tensors)


def descent(trainee: Trainee, lr: float, momentum: float) -> tuple[torch.optim.Optimizer, Callable[[Batch], None]]:
    """Stochastic gradient descent, and what sets its rate for a batch: from lr to 0 along half a cosine."""
    optimizer = torch.optim.SGD(list(trainee.parameters.values()), lr=lr, momentum=momentum)

    def pace(batch: Batch) -> None:
        for group in optimizer.param_groups:
            group["lr"] = lr * (1 + float(np.cos(np.pi * batch.part))) / 2

    return optimizer, pace


def _places(graph: Graph, module: LoweredNetwork) -> Iterator[tuple[str, str]]:
    """(tensor of the graph, its name in the module)."""
    for node, step in zip(graph.nodes, module.plan, strict=True):
        for role, key in node.params.items():
            path, slot = step.tensors.get(role) or (step.path, SLOTS[node.kind][role])
            yield key, f"{path}.{slot}" if path else slot
