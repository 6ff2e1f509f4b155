"""Chains of drafts that are one operator, which torch's exporter spells out.

A channel shuffle is a view, a transposition and a view back; softsign is
`x / (|x| + 1)`. What a chain leaves unread is dropped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lumpnet.lift.torch.assemble import Draft
from lumpnet.lift.torch.names import common
from lumpnet.lift.torch.operands import Form, Val

MAX_ENTRIES = 1 << 22
"""Chains over more entries than this are left as they are."""
Chain = tuple[Draft, list[int]]
"""The draft in place of the last one of a chain, and where the others stand."""


def tidied(drafts: Sequence[Draft], outputs: Sequence[Val]) -> tuple[list[Draft], list[Val]]:
    """The drafts with every such chain in one piece, and the outputs as they are now numbered."""
    found, unread = list(drafts), set[int]()
    for at in range(len(found)):
        chain = _shuffle(found, at) or _softsign(found, at)
        if chain is not None:
            found[at], others = chain
            unread |= set(others)
    return _without(found, outputs, unread)


def read_only(drafts: Sequence[Draft], outputs: Sequence[Val]) -> tuple[list[Draft], list[Val]]:
    """The drafts that an output reads; others were steps on the way to something shorter."""
    return _without(list(drafts), outputs, set(range(len(drafts))))


def _without(drafts: list[Draft], outputs: Sequence[Val], candidates: set[int]) -> tuple[list[Draft], list[Val]]:
    """Drop the candidates that nothing reads, from the last one on."""
    readers = [0] * len(drafts)
    for ref in (*(ref for d in drafts for ref in d.inputs), *(v.ref for v in outputs)):
        if isinstance(ref, int):
            readers[ref] += 1
    gone = set()
    for at in sorted(candidates, reverse=True):
        if not readers[at]:
            gone.add(at)
            for ref in drafts[at].inputs:
                if isinstance(ref, int):
                    readers[ref] -= 1
    place = {at: k for k, at in enumerate(at for at in range(len(drafts)) if at not in gone)}

    def moved(ref: str | int) -> str | int:
        return place[ref] if isinstance(ref, int) else ref

    left = [replace(d, inputs=tuple(map(moved, d.inputs))) for at, d in enumerate(drafts) if at not in gone]
    return left, [replace(v, ref=moved(v.ref)) for v in outputs]


def _shuffle(drafts: Sequence[Draft], at: int) -> Chain | None:
    """Reshapes and permutations that return to the shape they began with, having moved whole slices of one axis."""
    chain: list[int] = []
    here: str | int = at
    while isinstance(here, int) and drafts[here].form.kind in ("reshape", "permute"):
        chain.append(here)
        here = drafts[here].inputs[0]
        source = drafts[chain[-1]].form.inputs[0]
        if source.shape == drafts[at].shape and any(drafts[k].form.kind == "permute" for k in chain):
            return _one_select(drafts, chain)
    return None


def _one_select(drafts: Sequence[Draft], chain: list[int]) -> Chain | None:
    shape = [int(n or 0) for n in drafts[chain[0]].shape[1:]]
    if not 0 < math.prod(shape) <= MAX_ENTRIES:
        return None
    before = np.arange(math.prod(shape)).reshape(shape)
    after = before
    for k in reversed(chain):
        attrs = drafts[k].form.attrs
        after = after.transpose([d - 1 for d in attrs["dims"][1:]]) if "dims" in attrs else after.reshape(attrs["shape"])
    for axis in range(len(shape)):
        index = np.moveaxis(after, axis, 0).reshape(shape[axis], -1)[:, 0] // math.prod(shape[axis + 1 :]) % shape[axis]
        if (np.take(before, index, axis) == after).all():
            first = drafts[chain[-1]]
            form = Form("index_select", first.form.inputs, {"axis": axis + 1, "index": index.tolist()})
            stack = common(drafts[k].stack for k in chain)
            return replace(drafts[chain[0]], stack=stack, operation="index_select", form=form, inputs=first.inputs), chain[1:]
    return None


def _softsign(drafts: Sequence[Draft], at: int) -> Chain | None:
    """`x / (1 + |x|)`."""
    draft = drafts[at]
    plain: dict[str, object] = {"target": "aten.div.Tensor", "args": [{"input": 0}, {"input": 1}], "kwargs": {}, "output": None}
    if (draft.form.kind, dict(draft.form.attrs)) not in (("opaque", plain), ("div", {})) or not isinstance(draft.inputs[1], int):
        return None
    plus = drafts[draft.inputs[1]]
    if plus.form.kind != "add_constant" or plus.form.params["term"].tensor.ndim or float(plus.form.params["term"].tensor) != 1:
        return None
    (inner,) = plus.inputs
    if not isinstance(inner, int) or drafts[inner].form.kind != "abs" or drafts[inner].inputs[0] != draft.inputs[0]:
        return None
    form = Form("softsign", drafts[inner].form.inputs)
    return replace(draft, operation="softsign", form=form, inputs=drafts[inner].inputs), [draft.inputs[1], inner]
