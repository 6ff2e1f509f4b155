"""A network, held together with the file it stands in: read, lifted, written, lowered."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lumpnet.check.files import NetworkFile, read_network_file
from lumpnet.check.graph import KEY, read_graph
from lumpnet.check.outcome import Unsure
from lumpnet.check.rules import KINDS
from lumpnet.errors import FileError, LiftError, LumpnetError
from lumpnet.ir import Graph, graph_of, link_whole, network_bytes, network_chunks, write_whole
from lumpnet.lift.files import foreign, network_file_of, refuse_weights
from lumpnet.quotient.explain import Size, measure

if TYPE_CHECKING:
    import torch

ONNX = ".onnx"


@dataclass(frozen=True, eq=False)
class Network:
    """A lifted network: the graph, and the network file it was read from, if it was."""

    graph: Graph
    file: NetworkFile | None = None
    scratch: tempfile.TemporaryDirectory[str] | None = None
    """The folder of `file`, if it is there for this object only."""

    @property
    def data(self) -> bytes:
        """The bytes of the network file."""
        return network_bytes(self.graph) if self.file is None else self.file.data.tobytes()

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest() if self.file is None else self.file.sha256

    @cached_property
    def size(self) -> Size:
        return measure(self.graph)

    def save(self, path: str | Path) -> None:
        """Write the network file. Raises `FileError`."""
        if self.file is None:
            write_whole(path, network_chunks(self.graph))
        elif self.scratch is None or not link_whole(self.file.where, path):
            write_whole(path, [self.file.data.data])

    def filed(self, folder: str | Path | None = None) -> Network:
        """This network in a file: as it was read, or else written into a scratch folder inside `folder` and read again."""
        if self.file is not None:
            return self
        try:
            scratch = tempfile.TemporaryDirectory(prefix=".lumpnet-", dir=folder)
        except OSError as error:
            raise FileError(str(folder), f"cannot write here ({error.strerror})", "a writable folder", "another output path") from error
        path = Path(scratch.name) / "network.safetensors"
        write_whole(path, network_chunks(self.graph))
        return replace(_load(path), scratch=scratch)

    @staticmethod
    def load(path: str | Path) -> Network:
        """Read a network file, once the checker's strict reader has found it well formed; nothing in it is executed.

        The tensors stay in the file, which is mapped: do not write into it meanwhile.
        A `.pt2` or `.onnx` file is lifted in a child process with limits, and
        the network file that it answers is read in the same way. Raises
        `FileError`, `GraphError`, `LiftError`. Operators the checker has no rule
        for may pass.
        """
        if not foreign(path):
            return _load(path)
        with tempfile.TemporaryDirectory(prefix="lumpnet-") as folder:
            answer = Path(folder) / f"{Path(path).stem[:100]}.safetensors"
            answer.write_bytes(network_file_of(path))
            return _load(answer)


def _load(path: str | Path) -> Network:
    file = read_network_file(path)
    if KEY not in file.metadata:
        refuse_weights(path)
    with suppress(Unsure):
        read_graph(file, KINDS)
    return Network(graph_of(file), file)


def lift(model: torch.nn.Module | str | Path, example_inputs: Any = None) -> Network:
    """Lift an `nn.Module` in evaluation mode, or a model file; the batch is dynamic.

    example_inputs (for a module) is a tensor or a tuple of tensors, batch first.
    Raises `LiftError` where the graph would not be the model's function.
    """
    if isinstance(model, str | Path):
        return as_network(model)
    from lumpnet.lift.torch import lift_module

    return Network(lift_module(model, batches(example_inputs)))


def lower(network: Network) -> torch.nn.Module:
    """The network as an `nn.Module` with the original's submodule and parameter names."""
    from lumpnet.lower.torch import lower_graph

    return lower_graph(network.graph)


def as_network(model: Any, example_inputs: Any = None) -> Network:
    """A `Network` from a `Network`, a file (network file, `.pt2`, `.onnx`) or an `nn.Module` with example inputs."""
    if isinstance(model, Network):
        return model
    if isinstance(model, str | Path):
        return Network.load(model)
    if example_inputs is None:
        raise LumpnetError("lumpnet.reduce", "a module without example inputs", "a batch of example inputs", "lumpnet.reduce(model, torch.zeros(2, 3, 32, 32))")
    return lift(model, example_inputs)


def beside(out: str | Path) -> tuple[Path, Path]:
    """Where the network files of the original and the reduced model stand beside an output of another format."""
    return Path(out).with_suffix(".original.safetensors"), Path(out).with_suffix(".safetensors")


def onnx_bytes(network: Network) -> bytes:
    """The network as an ONNX model, which lifts to the same network file. Raises `LiftError`."""
    model_bytes, lift_onnx = _onnx()
    data: bytes = model_bytes(network.graph)
    if network_bytes(lift_onnx(data)) != network.data:
        hint = "save it as a lumpnet network file (.safetensors)"
        raise LiftError("network", "as ONNX it would lift to another network", "the identical network", hint)
    return data


def _onnx() -> tuple[Callable[..., bytes], Callable[..., Graph]]:
    """Writer and reader of ONNX files, which need the package `onnx`."""
    try:
        from lumpnet.lift.onnx import lift_onnx
        from lumpnet.lower.onnx import model_bytes
    except ModuleNotFoundError as error:
        raise FileError("ONNX", f"the package {error.name} is not installed", "lumpnet with its onnx extra", "pip install 'lumpnet[onnx]'") from error
    return model_bytes, lift_onnx


def file_of(network: Network) -> NetworkFile:
    """The file in which a filed network stands."""
    assert network.file is not None, "a network that was filed"
    return network.file


def batches(example_inputs: Any) -> tuple[Any, ...]:
    """One batch for every input of a module."""
    return tuple(example_inputs) if isinstance(example_inputs, Sequence) else (example_inputs,)


def read_whole(path: str | Path) -> bytes:
    """Raises `FileError`."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise FileError(str(path), f"cannot be read ({error.strerror})", "a readable file", "check the path") from error
