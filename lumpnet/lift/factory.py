"""A module from the user's own code, with weights that are numbers and nothing else.

`PACKAGE.MODULE:FACTORY` names a function without arguments (or a class) that
gives an `nn.Module`. Importing it runs the user's code, as they asked; the
weights come from a safetensors file, which cannot run anything.
"""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lumpnet.errors import FileError, LiftError

if TYPE_CHECKING:
    import torch

FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
SHAPE = re.compile(r"\d{1,9}(?:,\d{1,9})*(?::(?:float32|float64|int64|int32))?")
WIDER = {"F16": ("float32", "float64"), "BF16": ("float32", "float64"), "F32": ("float64",)}
"""Stored types, and the types that hold each of their numbers."""
SAME = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64", "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8"}
SAME |= {"U8": "uint8", "BOOL": "bool"}


def is_factory(model: object) -> bool:
    """Whether a MODEL argument names code rather than a file."""
    return isinstance(model, str) and FACTORY.fullmatch(model) is not None and not os.path.exists(model)


def build(model: str, weights: str | Path | None, shapes: list[str]) -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
    """The module in evaluation mode, and example inputs: zeros of these shapes behind a batch of 2.

    A shape is text like `3,32,32` or `16:int64`. Raises `LiftError` for code that
    gives no module, `FileError` for weights that are not exactly the module's.
    """
    examples = _examples(model, shapes)
    module = _module(model)
    if weights is not None:
        _load(module, str(weights))
    return module.eval(), examples


def _examples(model: str, shapes: list[str]) -> tuple[torch.Tensor, ...]:
    import torch

    for shape in shapes:
        if not SHAPE.fullmatch(shape):
            raise LiftError(f"--input-shape {shape}", "no shape", "sizes behind the batch, with a dtype or without", "--input-shape 3,32,32 or 16:int64")
    if not shapes:
        raise LiftError(model, "no input shape is given", "the sizes of every input behind the batch", "--input-shape 3,32,32, once for every input of forward")
    split = [shape.partition(":") for shape in shapes]
    try:
        return tuple(torch.zeros((2, *map(int, sizes.split(","))), dtype=getattr(torch, dtype or "float32")) for sizes, _, dtype in split)
    except RuntimeError as error:
        raise LiftError(f"--input-shape {' '.join(shapes)}", "no memory for a batch of this shape", "the shape of one example", "a smaller one") from error


def _module(model: str) -> torch.nn.Module:
    import torch

    home, _, name = model.partition(":")
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        factory: Any = import_module(home)
        for part in name.split("."):
            factory = getattr(factory, part)
        module = factory()
    except Exception as error:
        found = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise LiftError(model, f"your code stopped ({found})", "a function without arguments that gives an nn.Module", "call it in Python first") from error
    if not isinstance(module, torch.nn.Module):
        raise LiftError(model, f"it gives a {type(module).__name__}", "an nn.Module", "name a function without arguments that returns the module")
    return module


def _load(module: torch.nn.Module, path: str) -> None:
    """Every tensor of the module from the file and the other way round; tied ones may stand there once."""
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_model

    if not path.endswith(".safetensors"):
        hint = "save them as safetensors: safetensors.torch.save_model(module, path)"
        raise FileError(path, "these weights are not in a safetensors file, and pickles are not opened", "a .safetensors file", hint)
    try:
        with safe_open(path, framework="numpy") as file:
            dtypes = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118  (safe_open is not a dict)
        for name, tensor in module.state_dict().items():
            _lossless(path, name, dtypes.get(name), str(tensor.dtype).removeprefix("torch."))
        load_model(module, path, strict=True)
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise FileError(path, f"not a readable safetensors file ({error})", "a .safetensors file of weights", "check the path") from error
    except RuntimeError as error:
        found = f"its tensors are not the module's ({' '.join(str(error).split())[:300]})"
        raise FileError(path, found, "a tensor of the same name and shape for each of the module's", "save the weights of this very architecture") from error


def _lossless(path: str, name: str, stored: str | None, wanted: str) -> None:
    if stored is not None and SAME.get(stored) != wanted and wanted not in WIDER.get(stored, ()):
        raise FileError(
            path, f"tensor {name!r} is {stored}, the module's is {wanted}", "a type that loses nothing", "let the factory call .double() or .float()"
        )
