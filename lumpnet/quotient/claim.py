"""The certificate of a quotient: the relation at every value, and the two files it binds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lumpnet.certificate import DROPPED, IDENTITY, Certificate, Effect, Lumping, Moves
from lumpnet.certificate import Surd as WrittenSurd
from lumpnet.exact import Surd
from lumpnet.lump.exact import Outcome
from lumpnet.ops import Kept


def certificate(
    outcome: Outcome,
    kept: Mapping[str, Kept],
    hashes: tuple[str, str],
    rounding: str,
    rules: Mapping[str, int],
    annotations: Mapping[str, object],
    effect: Effect | None = None,
    moved: Moves | None = None,
) -> Certificate:
    """The claim that the file with hashes[0], after these moves if there are any, lumps to the one with hashes[1]."""
    lumpings = {value.name: written(outcome, kept[value.name], value.name) for value in outcome.graph.values()}
    verdict = "exact" if moved is None else "bounded"
    return Certificate(hashes[0], hashes[1], lumpings, rounding, verdict, rules, annotations, effect=effect, moved=moved)


def written(outcome: Outcome, kept: Kept, name: str) -> Lumping | str:
    """One value's lumping as plain data."""
    axis, x = outcome.axes[name], kept.lumping
    if axis is None:
        is_input = any(v.name == name for v in outcome.graph.inputs)
        return IDENTITY if is_input or outcome.alive[name].any() else DROPPED
    if kept.all_kept():
        return IDENTITY
    if not len(kept.units) and x.present.all() and x.is_discrete:
        return DROPPED
    first = np.full(x.count, -1, dtype=np.int64)
    for unit in np.flatnonzero(x.present & (x.scale == 1) & (x.offset == 0))[::-1]:
        first[kept.column[unit]] = unit
    first[: len(kept.units)] = kept.units
    scale = {int(i): x.scale[i] for i in np.flatnonzero(x.present & (x.scale != 1))}
    offset = {int(i): WrittenSurd(v.a, v.b, v.r) if isinstance(v, Surd) else v for i in np.flatnonzero(x.moved) for v in [x.offset[i]]}
    return Lumping(axis, len(kept.units), tuple(kept.column.tolist()), tuple(first.tolist()), scale, offset)
