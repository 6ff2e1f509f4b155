"""`.pt2` in: what `torch.export.save` wrote, read without executing anything.

`torch.export.load` runs callables that hide in sample inputs and pickled
weights, and evaluates the texts of symbolic sizes. Here the archive, its JSON
and its raw weights are read by `archive`, `document` and `weights`, which know
neither torch nor pickle. Then `rehearsal` tries the calls for one batch size,
and `replay` records them for all: on tensors without data, with operators from a
fixed list.
"""

from __future__ import annotations

from pathlib import Path

from lumpnet.ir import Graph
from lumpnet.lift.pt2.archive import Archive
from lumpnet.lift.pt2.document import read_document
from lumpnet.lift.pt2.weights import read_weights

__all__ = ["lift_pt2"]


def lift_pt2(path: str | Path) -> Graph:
    """The graph of the one program in a `.pt2` file. Raises `FileError`, `LiftError`, `GraphError`.

    Torch is loaded only when everything that can be said without it is said.
    Call it where memory and time are limited: `lumpnet.lift.files` does.
    """
    with Archive(path) as archive:
        document = read_document(archive)
        weights = read_weights(archive, document)
    from lumpnet.lift.pt2.rehearsal import rehearse

    rehearse(document, weights)
    from lumpnet.lift.pt2.replay import lift_document

    return lift_document(document, weights)
