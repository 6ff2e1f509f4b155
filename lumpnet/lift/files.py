"""What a MODEL argument can be: the one place that knows kinds of files by their names.

A network file is read here. Files of other formats are read in a child process
with limits, which answers with the bytes of a network file.
"""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from lumpnet.errors import FileError
from lumpnet.lift.sandbox import FOREIGN, network_file_of

__all__ = ["FOREIGN", "NETWORK", "foreign", "network_file_of", "refuse"]

NETWORK = ".safetensors"
PICKLED = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".mar")


def foreign(path: str | Path) -> bool:
    """Whether the file is of a format that is read in a child process. Raises `FileError` for a kind of file that is not read at all."""
    suffix = Path(path).suffix.lower()
    if suffix in FOREIGN:
        return True
    if suffix != NETWORK:
        refuse(path)
    return False


def refuse(path: str | Path) -> NoReturn:
    """Raises `FileError` with what to do instead."""
    suffix = Path(path).suffix.lower()
    if suffix in PICKLED:
        raise FileError(
            str(path),
            f"a {suffix} file is pickled, which runs code when it is opened, and a state dict has no graph",
            "a network file (.safetensors), .onnx or .pt2",
            "pass the module itself: lumpnet.reduce(module, example_inputs) in Python, or lumpnet reduce PACKAGE.MODULE:FACTORY "
            "--weights FILE.safetensors --input-shape 3,32,32 with the weights saved by safetensors",
        )
    raise FileError(
        str(path),
        "this kind of file is not read here",
        "a lumpnet network file (.safetensors), .onnx or .pt2",
        "lumpnet.lift(module, example_inputs).save(path) in Python",
    )
