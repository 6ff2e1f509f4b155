"""Which unit became which, as a certificate says it.

A relation only steers a bound: any one bounds soundly, and one that fits what was done bounds tightly. So nothing of the certificate is
checked here but that it speaks of these networks; a bounded one is as welcome as an exact one, and so is that of a network of the same shape.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from lumpnet.bounds.relaxed import Match, Units
from lumpnet.certificate import DROPPED, MAX_BYTES, Certificate, Lumping, Real, Surd, loads
from lumpnet.check.files import read_bytes
from lumpnet.errors import CertificateError
from lumpnet.ir import Graph, Value


def related(certificate: Certificate | str | Path, original: Graph, other: Graph) -> Match:
    """The relation at every value that both networks have. Units that nothing reads are related to 0.

    Raises `CertificateError` where it does not fit these networks, and for files that are none.
    """
    given = certificate if isinstance(certificate, Certificate) else loads(read_bytes(certificate, MAX_BYTES, CertificateError))
    theirs = {value.name: value for value in other.values()}
    found: dict[str, tuple[str, Units | None]] = {}
    for value in original.values():
        lumping = given.lumpings.get(value.name, DROPPED)
        if value.name not in theirs or lumping == DROPPED:
            continue
        units = _units(value.name, lumping, value, theirs[value.name]) if isinstance(lumping, Lumping) else None
        if units is None and value.shape != theirs[value.name].shape:
            _refuse(value.name, "no relation between values of different shapes")
        found[value.name] = value.name, units
    if len(found) <= len(original.inputs):
        _refuse("certificate", "no value that both networks have")
    return found


def _units(name: str, lumping: Lumping, mine: Value, theirs: Value) -> Units:
    classes, axis = np.array(lumping.classes, dtype=np.int64), lumping.axis
    shapes = [v.shape[:axis] + v.shape[axis + 1 :] for v in (mine, theirs)]
    if not (axis < len(mine.shape) == len(theirs.shape) and shapes[0] == shapes[1]):
        _refuse(name, f"a relation along axis {axis} of values of shapes {mine.shape} and {theirs.shape}")
    n, m = len(classes), lumping.columns
    if (mine.shape[axis], theirs.shape[axis]) != (n, m) or any(not 0 <= unit < n for unit in (*lumping.scale, *lumping.offset)):
        _refuse(name, f"a relation of {n} units and {m} columns")
    read = classes < m
    of = np.where(read, classes, -1)
    scale, offset = np.where(of < 0, 0.0, 1.0), np.zeros(n)
    for unit, factor in lumping.scale.items():
        scale[unit] = _float(name, factor) if of[unit] >= 0 else 0.0
    for unit, constant in lumping.offset.items():
        offset[unit] = _float(name, constant) if read[unit] else 0.0
    return Units(of, scale, offset, axis)


def _float(name: str, number: Real) -> float:
    try:
        found = float(number.a) + float(number.b) * math.sqrt(number.r) if isinstance(number, Surd) else float(number)
    except OverflowError:
        found = math.inf
    return found if math.isfinite(found) else _refuse(name, "a number beyond all floats")


def _refuse(where: str, found: str) -> float:
    raise CertificateError(where, found, "the certificate of a reduction of this network to the other", "leave the certificate out: units are matched then")
