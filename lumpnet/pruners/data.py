"""The examples a method may look at: arrays by input name, and labels if there are any."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lumpnet.errors import FileError, PruneError
from lumpnet.ir import FLOATS, Value

LABELS = "labels"


@dataclass(frozen=True, eq=False)
class Data:
    """`inputs[name]` (examples, ...) in the input's dtype, `labels` (examples,) integers or None."""

    inputs: Mapping[str, np.ndarray]
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))


def data_for(inputs: Sequence[Value], given: Any) -> Data:
    """What the user gave, for a network with these inputs. Raises `PruneError` where it does not fit, `FileError` for files.

    given: a file (`.npy`: the only input; `.npz`: arrays by input name, and `labels`), an array or tensor, a mapping by
    name, or a pair (any of these, labels); or a `DataLoader` of batches of any of these, read once from front to back, in its own order.
    """
    labels = None
    if (loaders := sys.modules.get("torch.utils.data")) is not None and isinstance(given, loaders.DataLoader):
        try:
            given = _loaded(given)
        except (KeyError, ValueError, TypeError) as error:
            _refuse(f"batches of a loader that do not go together ({error})", "batches alike")
    if isinstance(given, str | Path):
        given = read(given)
    if isinstance(given, tuple):
        given, labels = given
    if not isinstance(given, Mapping):
        given = {inputs[0].name: given} if len(inputs) == 1 else _refuse(f"one array for {len(inputs)} inputs", "arrays by the names of the inputs")
    arrays = {name: _array(x) for name, x in given.items()}
    labels = arrays.pop(LABELS, None) if labels is None and LABELS not in {v.name for v in inputs} else labels
    if set(arrays) != {v.name for v in inputs}:
        _refuse(f"arrays for {', '.join(map(repr, sorted(arrays)))}", f"one for each of {', '.join(repr(v.name) for v in inputs)}")
    fitted = {v.name: _fitted(arrays[v.name], v) for v in inputs}
    labels = None if labels is None else _labels(_array(labels))
    sizes = {len(x) for x in fitted.values()} | (set() if labels is None else {len(labels)})
    if len(sizes) != 1 or 0 in sizes:
        _refuse(f"{' and '.join(map(str, sorted(sizes)))} examples", "at least one, and as many for every input and the labels")
    return Data(fitted, labels)


def _loaded(batches: Iterable[Any]) -> Any:
    """All batches of a loader as one. Raises `PruneError` for batches that are neither inputs nor inputs with labels."""
    every = list(batches)
    if not every:
        _refuse("a loader without batches", "at least one")
    first = every[0]
    if isinstance(first, Mapping):
        return {name: np.concatenate([_array(batch[name]) for batch in every]) for name in first}
    if not isinstance(first, list | tuple):
        return np.concatenate([_array(batch) for batch in every])
    if len(first) == 1:
        return _loaded([batch[0] for batch in every])
    if len(first) != 2:
        _refuse(f"batches of {len(first)} parts", "batches of inputs, or of inputs and labels")
    return tuple(_loaded([batch[k] for batch in every]) for k in (0, 1))


def read(path: str | Path) -> Any:
    """An array, or a mapping of arrays; nothing pickled. Raises `FileError`."""
    try:
        with Path(path).open("rb") as file:
            found = np.load(file, allow_pickle=False)
            return dict(found) if isinstance(found, np.lib.npyio.NpzFile) else found
    except (OSError, ValueError, EOFError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise FileError(str(path), f"cannot be read as arrays ({why})", "a .npy or .npz file without pickled objects", "numpy.save(path, array)") from error


def _array(x: Any) -> np.ndarray:
    try:
        return np.asarray(x)
    except (TypeError, ValueError, RuntimeError) as error:
        raise PruneError("data", f"no array of numbers ({error})", "arrays, examples on axis 0", "numpy arrays, or tensors on the CPU, detached") from error


def _labels(labels: np.ndarray) -> np.ndarray:
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        _refuse(f"labels of shape {labels.shape} and type {labels.dtype}", "one integer an example")
    return labels


def _fitted(array: np.ndarray, value: Value) -> np.ndarray:
    if array.ndim < 1 or array.shape[1:] != value.shape[1:]:
        _refuse(f"an array of shape {array.shape} for input {value.name!r}", f"(examples, {', '.join(map(str, value.shape[1:]))})")
    kinds = "fiu" if value.dtype in FLOATS else "iu"
    if array.dtype.kind not in kinds or (array.dtype.kind == "f" and not np.isfinite(array).all()):
        _refuse(f"{array.dtype} values for input {value.name!r}, or NaN or infinity among them", f"finite numbers that {value.dtype} can hold")
    return array.astype(value.dtype)


def _refuse(found: str, expected: str) -> Any:
    raise PruneError("data", found, expected, "data as the network takes them, examples on axis 0")
