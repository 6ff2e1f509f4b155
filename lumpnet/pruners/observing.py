"""What a network does on data, value by value, in float64: for methods that choose by what units do rather than by their weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from lumpnet.errors import PruneError
from lumpnet.lower.torch import LoweredNetwork
from lumpnet.lump.layers import Layer, read_by
from lumpnet.ops import Site
from lumpnet.ops.sites import sites
from lumpnet.pruners.base import GONE, Change, Pruned, Task
from lumpnet.pruners.selection import heard

_LINEAR, _NORM = ("linear", "conv", "conv_transpose"), "batch_norm"


class Observed:
    """The values of the task's network on its data, all examples at once.

    `hears` tells readers of a layer to hear its columns less, more or not at all from then on, as if their weights had changed; the
    values behind them are computed again when they are asked for.
    """

    def __init__(self, task: Task):
        if task.data is None:
            raise PruneError("data", "none", "examples to look at", "data=X")
        module = task.module().double().requires_grad_(False)
        assert isinstance(module, LoweredNetwork)
        self.module = module
        self.sites = {s.node.name: s for s in sites(task.graph)}
        self.steps = {step.name: step for step in module.plan}
        self.users: dict[str, list[str]] = {}
        for site in self.sites.values():
            for name in dict.fromkeys(site.node.inputs):
                self.users.setdefault(name, []).append(site.node.name)
        inputs = {name: torch.from_numpy(x) for name, x in task.data.inputs.items()}
        self._values = {name: x.double() if x.is_floating_point() else x for name, x in inputs.items()}
        self._factors: dict[tuple[str, str], torch.Tensor] = {}

    def __getitem__(self, name: str) -> torch.Tensor:
        """A value, (examples, ...)."""
        for step in self.steps.values() if name not in self._values else ():
            if step.name not in self._values:
                with torch.no_grad():
                    self._values[step.name] = self.answer(step.name, *(self._heard(step.name, operand) for operand in step.inputs))
            if step.name == name:
                break
        return self._values[name]

    def answer(self, name: str, *operands: torch.Tensor) -> torch.Tensor:
        """What an operator makes of these operands; autograd goes through it."""
        step = self.steps[name]
        tensors = {role: getattr(self.module.get_submodule(path), attribute) for role, (path, attribute) in step.tensors.items()}
        found = self.module.get_submodule(step.path)(*operands, **tensors)
        value: torch.Tensor = found[0] if isinstance(found, tuple) else found
        return value

    def _heard(self, reader: str, operand: str) -> torch.Tensor:
        factor = self._factors.get((reader, operand))
        return self[operand] if factor is None else self[operand] * factor

    def readers(self, layer: Layer) -> list[tuple[Site, str]]:
        """(node, the operand that holds the layer's units)."""
        return [(site, operand) for site in self.sites.values() for operand in read_by(site) if operand in layer.at]

    def hears(self, layer: Layer, factors: np.ndarray) -> None:
        """From now on the readers of the layer hear its columns times `factors` (columns,)."""
        stale = []
        for site, operand in self.readers(layer):
            self._factors[site.node.name, operand] = self._units(layer, operand, factors, 1.0) * self._factors.get((site.node.name, operand), 1.0)
            stale.append(site.node.name)
        while stale:
            name = stale.pop()
            if self._values.pop(name, None) is not None:
                stale += self.users.get(name, [])

    def _units(self, layer: Layer, value: str, columns: np.ndarray, otherwise: float) -> torch.Tensor:
        """Numbers of columns as numbers of a value's units, in its shape with 1 on the other axes."""
        site = self.sites[value]
        axis = site.axis or 0
        numbers = np.full(site.units, otherwise)
        numbers[layer.at[value]] = columns[:, None]
        return torch.from_numpy(numbers.reshape([site.units if k == axis else 1 for k in range(len(site.shape))]))

    def only(self, layer: Layer, value: str, columns: np.ndarray | None = None) -> torch.Tensor:
        """1 at the units of these columns (None: of all), 0 at the others."""
        return self._units(layer, value, np.ones(len(layer)) if columns is None else columns, 0.0)

    def columns(self, layer: Layer, value: str, numbers: torch.Tensor) -> np.ndarray:
        """Sums of numbers (..., in the shape of a value) over the units of each column, examples and places, (columns,)."""
        axis = self.sites[value].axis or 0
        by_unit = numbers.movedim(axis, 0).flatten(1).sum(dim=1).numpy()
        return np.asarray(by_unit[layer.at[value]].sum(axis=1))

    def part(self, site: Site, x: torch.Tensor) -> torch.Tensor:
        """The linear part of a reader on x, with the batch norm behind it where nothing else reads it: what is added for x, without any bias."""
        return self._through(site, x) - self._through(site, torch.zeros_like(x[:1]))

    def _through(self, site: Site, x: torch.Tensor) -> torch.Tensor:
        y, users = self.answer(site.node.name, x), self.users.get(site.node.name, [])
        norms = [name for name in users if self.sites[name].node.kind == _NORM]
        return self.answer(norms[0], y) if norms and len(users) == 1 else y


@dataclass(frozen=True, eq=False)
class Choice:
    """As in `Change`, of the columns of one layer, each of which stays (for itself) or leaves."""

    into: np.ndarray
    scores: np.ndarray
    scale: np.ndarray | None = None


def front_to_back(task: Task, choose: Callable[[Observed, Layer, int], Choice | str]) -> Pruned:
    """Layer after layer, each on what the network computes when those before it are pruned; `choose` may say why it leaves a layer alone.

    Only layers inside a block: made by one operator and read by linear ones.
    """
    seen, tensors, changes, skipped = Observed(task), dict(task.graph.tensors), [], []
    for layer in task.layers:
        found = _outside(seen, layer) or choose(seen, layer, task.count(len(layer)))
        if isinstance(found, str):
            skipped.append((layer.makers, found))
            continue
        layer.rewrite(tensors, layer.reads, heard(found.into, found.scale))
        stays = found.into != GONE
        seen.hears(layer, np.where(stays, 1.0 if found.scale is None else found.scale, 0.0))
        changes.append(Change(layer.makers, "units", len(layer), int(stays.sum()), found.into, layer.at, found.scores, found.scale))
    return Pruned(replace(task.graph, tensors=tensors), tuple(changes), tuple(skipped))


def _outside(seen: Observed, layer: Layer) -> str | None:
    """Why a layer is not inside a block."""
    if layer.kept_by is not None:
        return layer.kept_by
    if len(layer.makers) > 1:
        return f"{', '.join(layer.makers)} make it together (a sum, or shared units): the method prunes inside blocks only"
    readers = [site.node for site, _ in seen.readers(layer)]
    if not readers:
        return f"nothing reads {', '.join(layer.makers)}"
    others = [node for node in readers if node.kind not in _LINEAR]
    return f"{others[0].name} ({others[0].kind}) reads it: the method needs readers that are linear" if others else None
