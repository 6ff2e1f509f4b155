"""What a MODEL argument can be: the one place that knows kinds of files by their names.

A network file is read here. Files of other formats are read in a child process
with limits, which answers with the bytes of a network file.
"""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from lumpnet.errors import FileError
from lumpnet.lift.sandbox import FOREIGN, network_file_of

__all__ = ["FOREIGN", "NETWORK", "foreign", "network_file_of", "refuse_weights"]

NETWORK = ".safetensors"
PICKLED = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".mar")
_CODE = (
    "lumpnet.reduce(module, example_inputs) in Python with the module itself, "
    "or on the command line lumpnet reduce PACKAGE.MODULE:FACTORY --input-shape 3,32,32 --weights"
)


def foreign(path: str | Path) -> bool:
    """Whether the file is of a format that is read in a child process. Raises `FileError` for a kind of file that is not read at all."""
    suffix = Path(path).suffix.lower()
    if suffix in FOREIGN:
        return True
    if suffix != NETWORK:
        _refuse(path)
    return False


def refuse_weights(path: str | Path) -> NoReturn:
    """Raises `FileError` for a safetensors file without a graph, as other libraries write them."""
    raise FileError(str(path), "weights without a lumpnet graph, so how they are connected is not known", "a lumpnet network file", f"{_CODE} {path}")


def _refuse(path: str | Path) -> NoReturn:
    """Raises `FileError` with what to do instead."""
    suffix = Path(path).suffix.lower()
    if suffix in PICKLED:
        raise FileError(
            str(path),
            f"a {suffix} file is pickled, which runs code when it is opened, and a state dict has no graph",
            "a network file (.safetensors), .onnx or .pt2",
            f"{_CODE} FILE.safetensors (save the weights with safetensors.torch.save_model)",
        )
    raise FileError(
        str(path),
        "this kind of file is not read here",
        "a lumpnet network file (.safetensors), .onnx or .pt2",
        "lumpnet.lift(module, example_inputs).save(path) in Python",
    )
