"""The module that a graph becomes: it interprets the plan, in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from lumpnet.errors import GraphError


@dataclass(frozen=True)
class Instruction:
    """Call the submodule `path` on the values `inputs`, with `tensors` (role to module path and attribute); then forget `frees`."""

    name: str
    path: str
    inputs: tuple[str, ...]
    tensors: Mapping[str, tuple[str, str]]
    frees: tuple[str, ...]


class LoweredNetwork(nn.Module):
    """Takes the network's inputs in order; returns its output, or a tuple of them.

    Submodules, parameters and buffers carry the names that the graph keeps.
    The `lumpnet_` attributes let a later lift give inputs and notes back.
    """

    def __init__(self, inputs: tuple[str, ...], outputs: tuple[str, ...], notes: tuple[str, ...]):
        super().__init__()
        self.lumpnet_inputs, self.lumpnet_outputs, self.lumpnet_notes = inputs, outputs, notes
        self.plan: tuple[Instruction, ...] = ()

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Raises `GraphError` for the wrong number of inputs."""
        if len(inputs) != len(self.lumpnet_inputs):
            raise GraphError(
                "lowered network",
                f"called with {len(inputs)} inputs",
                f"{len(self.lumpnet_inputs)}: {', '.join(self.lumpnet_inputs)}",
                "pass one tensor per input",
            )
        values = dict(zip(self.lumpnet_inputs, inputs, strict=True))
        for step in self.plan:
            tensors = {role: getattr(self.get_submodule(path), name) for role, (path, name) in step.tensors.items()}
            result = self.get_submodule(step.path)(*(values[v] for v in step.inputs), **tensors)
            values[step.name] = result[0] if isinstance(result, tuple) else result  # torch's recurrent layers add their last state
            for name in step.frees:
                del values[name]
        results = tuple(values[name] for name in self.lumpnet_outputs)
        return results[0] if len(results) == 1 else results
