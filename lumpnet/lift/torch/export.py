"""From a module to torch's exported program: a copy in eval mode on the CPU, batch dynamic on axis 0."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.export import Dim, ExportedProgram, export

from lumpnet.errors import LiftError
from lumpnet.ir import FLOATS

HALVES = ("float16", "bfloat16")
"""What float32 holds exactly; the network's function over the reals is the same."""


@dataclass(frozen=True)
class Exported:
    """A program and what is known of the module it came from, whoever exported it.

    `modules` has every module by its path, the network itself under "";
    `parameters` and `others` (buffers, constants) have every name of every
    tensor. `aliases` maps names in the program to those, where they differ.
    """

    program: ExportedProgram
    inputs: tuple[str, ...]
    modules: Mapping[str, nn.Module]
    parameters: Mapping[str, torch.Tensor]
    others: Mapping[str, torch.Tensor]
    notes: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"network {type(self.modules['']).__name__}"


def export_module(module: nn.Module, example_inputs: tuple[Any, ...]) -> Exported:
    """Raises `LiftError` where the module cannot be copied or exported, or an input is no batched tensor."""
    where = f"network {type(module).__name__}"
    inputs = _batch_of_two(where, _tensors(where, example_inputs))
    twin = _eval_copy(where, module)
    halves = _halves(where, (*twin.parameters(), *twin.buffers(), *inputs))
    if halves:
        twin, inputs = twin.float(), tuple(t.float() if t.is_floating_point() else t for t in inputs)
    names, spec = _signature(where, twin, inputs)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = export(twin, inputs, dynamic_shapes=spec, strict=False).run_decompositions({})
    except Exception as error:
        raise LiftError(
            where,
            f"torch.export stopped ({type(error).__name__}: {_first_line(error)})",
            "a forward whose path does not depend on the data and that accepts every batch size on axis 0",
            "replace control flow on tensor values and sizes that fix the batch (use x.shape[0], not a number), or lift the part of the network without it",
        ) from error
    widened = (f"its {' and '.join(halves)} numbers are lifted in float32, which holds them exactly",) if halves else ()
    return _described(program, twin, names, widened)


def _halves(where: str, tensors: Iterable[torch.Tensor]) -> list[str]:
    """The dtypes among them that are to be widened. Raises `LiftError` beside float64, which float32 does not hold."""
    dtypes = {str(t.dtype).removeprefix("torch.") for t in tensors}
    found = sorted(dtypes & set(HALVES))
    if found and "float64" in dtypes:
        raise LiftError(where, f"its numbers are {' and '.join(found)} beside float64", "one dtype throughout", "convert the module with .double()")
    return found


def _described(program: ExportedProgram, module: nn.Module, inputs: tuple[str, ...], told: tuple[str, ...]) -> Exported:
    """The program of a module that is at hand: a copy whose tensors it refers to."""
    parameters = dict(module.named_parameters(remove_duplicate=False))
    constants = {k: v for k, v in program.constants.items() if isinstance(v, torch.Tensor)}
    others = {k: v for k, v in (constants | dict(module.named_buffers(remove_duplicate=False))).items() if k not in parameters}
    notes = vars(module).get("lumpnet_notes", ())  # what a lowered network was told when it was lifted
    return Exported(program, inputs, dict(module.named_modules(remove_duplicate=False)), parameters, others, (*notes, *told))


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else "no message"


def _tensors(where: str, inputs: object) -> tuple[torch.Tensor, ...]:
    given = (inputs,) if isinstance(inputs, torch.Tensor) else inputs
    if not isinstance(given, tuple | list) or not given or not all(isinstance(t, torch.Tensor) for t in given):
        raise LiftError(
            where,
            "the example inputs are not a tuple of tensors",
            "one tensor per argument of forward",
            "wrap the module in one whose forward takes tensors only",
        )
    for i, tensor in enumerate(given):
        if tensor.ndim == 0:
            raise LiftError(where, f"example input {i} has no axes", "tensors with the batch on axis 0", "give the input a batch axis")
        if tensor.is_floating_point() and str(tensor.dtype).removeprefix("torch.") not in (*FLOATS, *HALVES):
            raise LiftError(where, f"example input {i} has dtype {tensor.dtype}", "float32 or float64", "lift module.float() with float32 inputs")
    return tuple(t.detach().cpu() for t in given)


def _batch_of_two(where: str, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """A batch of one is repeated: export would fix a size of 0 or 1."""
    sizes = {t.shape[0] for t in inputs}
    if len(sizes) != 1 or sizes == {0}:
        raise LiftError(
            where, f"the example inputs have batch sizes {sorted(sizes)}", "one batch size on axis 0, at least 1", "give every input the same number of samples"
        )
    return tuple(torch.cat([t, t]) for t in inputs) if sizes == {1} else inputs


def _eval_copy(where: str, module: nn.Module) -> nn.Module:
    """Tensors that hang on modules outside the state (a pruned `weight`) cannot be deep-copied while they carry a gradient; they are detached."""
    memo: dict[int, Any] = {}
    for part in module.modules():
        for item in vars(part).values():
            if isinstance(item, torch.Tensor) and not item.is_leaf:
                memo[id(item)] = item.detach().clone()
    try:
        return copy.deepcopy(module, memo).cpu().eval()
    except Exception as error:
        raise LiftError(
            where,
            f"it cannot be copied ({type(error).__name__}: {_first_line(error)})",
            "a module that copy.deepcopy accepts",
            "remove what cannot be copied (hooks, locks, open files)",
        ) from error


def _signature(where: str, module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Names of the inputs and the matching `dynamic_shapes`."""
    try:
        bound = inspect.signature(module.forward).bind(*inputs).arguments
    except TypeError as error:
        raise LiftError(
            where, f"forward does not accept {len(inputs)} tensors ({error})", "one tensor per argument of forward", "give every required argument an example"
        ) from error
    batch = {0: Dim("batch")}
    spec = {name: tuple(batch for _ in given) if isinstance(given, tuple) else batch for name, given in bound.items()}
    names: list[str] = []
    for name, given in bound.items():
        names += [f"{name}_{i}" for i in range(len(given))] if isinstance(given, tuple) else [name]
    own: Any = vars(module).get("lumpnet_inputs")  # a lowered network knows the names that its graph gave them
    return own if own is not None and len(own) == len(names) else tuple(names), spec
