"""Exact fingerprints of rows: linear algebra in a finite field.

A dyadic rational has an exact residue modulo the Mersenne prime 2^31 - 1, where
multiplying by a power of two is a rotation. A random linear form of a row
commutes with merging its columns and with scaling it, so rows that are
proportional after the merge *always* share the key h1/h2, and rows that are
not share it with probability about 2^-62. The key proposes; exact integers decide.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from lumpnet.exact.integers import Merge

P = (1 << 31) - 1
FORMS = 4


def residues(array: np.ndarray) -> np.ndarray:
    """Residues modulo `P` of finite floats, int64 in [0, P), same shape."""
    if array.dtype == np.float32:
        mantissa, exponent = np.frexp(array)
        whole = np.ldexp(mantissa, 24).astype(np.int64)
        exponent = exponent - 24
    else:
        mantissa, exponent = np.frexp(array)
        whole = np.ldexp(mantissa, 53).astype(np.int64)
        exponent = exponent - 53
    negative = whole < 0
    whole = np.abs(whole)
    whole = (whole & P) + (whole >> 31)
    shift = (exponent % 31).astype(np.int64)
    rotated = ((whole << shift) & P) + (whole >> (31 - shift))
    rotated = np.where(rotated >= P, rotated - P, rotated)
    return np.asarray(np.where(negative & (rotated != 0), P - rotated, rotated))


def residue(q: Fraction) -> int:
    """The residue of a rational; a denominator divisible by P has none and maps to 0 (only a worse fingerprint)."""
    return q.numerator * pow(q.denominator, P - 2, P) % P


def linear_forms(array: np.ndarray, merge: Merge, rows: np.ndarray | None = None) -> np.ndarray:
    """`FORMS` random linear forms of the collapsed `rows` (r,) (None: all), modulo P: (m, n, taps) float -> (r, FORMS) int64.

    The randomness is seeded: it decides speed, never the answer.
    """
    _, n, taps = array.shape
    rows = np.arange(len(array)) if rows is None else rows
    rng = np.random.default_rng(2**31 - 1)
    points = rng.integers(1, P, size=(merge.count, taps, FORMS), dtype=np.int64)
    factors = np.array([residue(merge.scales[j]) for j in merge.columns], dtype=np.int64).reshape(-1, 1, 1)
    weights = np.zeros((n, taps, FORMS), dtype=np.int64)
    weights[merge.columns] = points[merge.targets] * factors % P
    out = np.zeros((len(rows), FORMS), dtype=np.int64)
    step = max(1, (1 << 18) // max(1, n * taps))
    for start in range(0, len(rows), step):
        block = residues(array[rows[start : start + step]])
        out[start : start + step] = _dot(block.reshape(len(block), -1), weights.reshape(-1, FORMS))
    return out


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(r, k) @ (k, f) modulo P for residues, through float64 products that stay below 2^53."""
    total = np.zeros((a.shape[0], b.shape[1]), dtype=np.int64)
    pieces_a = ((a & 0xFFFF).astype(np.float64), (a >> 16).astype(np.float64))
    pieces_b = ((b & 0xFFFF).astype(np.float64), (b >> 16).astype(np.float64))
    step = 1 << 20
    for i, pa in enumerate(pieces_a):
        for j, pb in enumerate(pieces_b):
            shift = (1 << (16 * (i + j))) % P
            for start in range(0, a.shape[1], step):
                part = (pa[:, start : start + step] @ pb[start : start + step]).astype(np.int64) % P
                total = (total + part * shift) % P
    return total


def directions(forms: np.ndarray) -> np.ndarray:
    """One key per row, int64 (m,), equal for proportional rows; -1 where every form vanishes (a zero row, surely if the row is zero)."""
    keys = (_ratios(forms[:, 0], forms[:, 1]) << 31) + _ratios(forms[:, 2], forms[:, 3])
    return np.where((forms != 0).any(axis=1), keys, -1)


def _ratios(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a / b modulo P; where b vanishes, 0 or (if a does not) P, which is no residue."""
    inverse, power = np.ones_like(b), b
    for bit in bin(P - 2)[:1:-1]:  # Fermat
        if bit == "1":
            inverse = inverse * power % P
        power = power * power % P
    return np.where(b != 0, a * inverse % P, np.where(a != 0, P, 0))
