"""A network file that the command line may open: the checker's strict reader has found it well formed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from lumpnet.check.files import read_network_file
from lumpnet.check.graph import read_graph
from lumpnet.check.outcome import Unsure
from lumpnet.check.rules import KINDS


def vetted(model: Path) -> str:
    """The path as text. Raises `FileError` for a damaged or hostile network file; what the checker has no rule for may pass."""
    if model.suffix == ".safetensors":
        with suppress(Unsure):
            read_graph(read_network_file(model), KINDS)
    return str(model)
