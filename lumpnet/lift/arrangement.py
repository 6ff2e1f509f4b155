"""The algebra of layouts: how a tensor is its base value in another order.

A base value has the shape (batch, n_1, ..., n_r). Every axis is read as a mixed
radix number whose digits are `Atom`s, and a tensor is *arranged* as a list of
dimensions, each an ordered product of atoms, the batch among them. Reshapes and
permutations only regroup atoms; a selection restricts a base axis to an index
list. All of it holds for every batch size. What the algebra cannot say it
answers with None.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

Extent = int | tuple[int]
"""A size: a number, or (m,) for m times the batch size."""
Step = tuple[str, dict[str, Any]]
"""An operator kind that only moves entries, with its attributes."""


@dataclass(frozen=True)
class Atom:
    """The digit `(position // stride) % size` of the positions on a base axis; the batch is axis 0, whole, of size 0."""

    axis: int
    stride: int
    size: int

    @property
    def is_batch(self) -> bool:
        return self.axis == 0


BATCH = Atom(0, 1, 0)
Dim = tuple[Atom, ...]


@dataclass(frozen=True)
class Arrangement:
    """`shape` is the base's without the batch; `index[k - 1]` are the positions of axis k that are there (None: all, in order)."""

    shape: tuple[int, ...]
    index: tuple[tuple[int, ...] | None, ...]
    dims: tuple[Dim, ...]

    # -- what it is -------------------------------------------------------------------------

    @property
    def sizes(self) -> tuple[Extent, ...]:
        """The arranged tensor's shape."""
        return tuple(_extent(dim) for dim in self.dims)

    @property
    def restricted(self) -> tuple[int, ...]:
        """The base's shape with only the positions that are there."""
        return tuple(n if at is None else len(at) for n, at in zip(self.shape, self.index, strict=True))

    def is_base(self) -> bool:
        """Whether the tensor is the base itself."""
        return self == base(self.shape)

    def is_batch_first(self) -> bool:
        return bool(self.dims) and self.dims[0] == (BATCH,) and not any(BATCH in dim for dim in self.dims[1:])

    def last_dim_is_axis(self, k: int) -> bool:
        """Whether the last dimension is the base axis k as a whole, so that a map on the one is a map on the other."""
        return bool(self.dims) and self.dims[-1] == _whole(k, self.restricted[k - 1])

    # -- what may happen to it ----------------------------------------------------------------

    def permute(self, order: Sequence[int]) -> Arrangement:
        return replace(self, dims=tuple(self.dims[d] for d in order))

    def reshape(self, sizes: Sequence[Extent]) -> Arrangement | None:
        """Atoms are regrouped, and split where a size asks for it."""
        atoms = [atom for dim in self.dims for atom in dim]
        dims = []
        for size in sizes:
            dim = _take(atoms, size)
            if dim is None:
                return None
            dims.append(_normal(dim))
        return replace(self, dims=tuple(dims)) if not atoms else None

    def unsqueeze(self, dim: int) -> Arrangement:
        return replace(self, dims=(*self.dims[:dim], (), *self.dims[dim:]))

    def squeeze(self, dims: Sequence[int]) -> Arrangement:
        """Without those of the dimensions `dims` that have size 1."""
        return replace(self, dims=tuple(dim for k, dim in enumerate(self.dims) if k not in dims or dim))

    def select(self, dim: int, position: int) -> Arrangement | None:
        """One position of a dimension, which vanishes."""
        found = self
        if BATCH in self.dims[dim]:
            return None
        while found.dims[dim]:
            inner = found.dims[dim][-1]
            position, digit = divmod(position, inner.size)
            found = found._digits(inner, (digit,))
        return replace(found, dims=(*found.dims[:dim], *found.dims[dim + 1 :]))

    def restrict(self, dim: int, positions: Sequence[int]) -> Arrangement | None:
        """The given positions of a dimension, in the given order."""
        if tuple(positions) == tuple(range(_extent_or_none(self.dims[dim]) or 0)):
            return self
        if len(self.dims[dim]) != 1 or BATCH in self.dims[dim] or not positions:
            return None
        return self._digits(self.dims[dim][0], tuple(positions))

    def resized(self, k: int, size: int) -> Arrangement:
        """The same arrangement of another base, whose axis k has `size` positions; that axis stands whole in one dimension."""
        shape = tuple(size if axis == k else n for axis, n in enumerate(self.restricted, 1))
        old, new = _whole(k, self.restricted[k - 1]), _whole(k, size)
        if old:
            dims = tuple(new if dim == old else dim for dim in self.dims)
        else:
            dims = (*self.dims[:-1], new)
        return Arrangement(shape, (None,) * len(shape), dims)

    def _digits(self, atom: Atom, digits: tuple[int, ...]) -> Arrangement:
        """Only these digits of an atom, in this order: the axis has fewer positions, and outer digits a smaller stride."""
        k, n = atom.axis, self.restricted[atom.axis - 1]
        block = atom.stride * atom.size
        positions = [outer + digit * atom.stride + inner for outer in range(0, n, block) for digit in digits for inner in range(atom.stride)]
        held = self.index[k - 1]
        chosen = tuple(positions if held is None else (held[p] for p in positions))
        index = tuple((None if chosen == tuple(range(self.shape[k - 1])) else chosen) if axis == k else at for axis, at in enumerate(self.index, 1))

        def moved(other: Atom) -> Iterator[Atom]:
            if other == atom:
                yield Atom(k, atom.stride, len(digits))
            elif other.axis == k and other.stride >= block:
                yield Atom(k, other.stride // atom.size * len(digits), other.size)
            else:
                yield other

        dims = tuple(_normal([new for other in dim for new in moved(other)]) for dim in self.dims)
        return Arrangement(self.shape, index, dims)

    # -- how to make it -----------------------------------------------------------------------

    def as_batch_first(self) -> list[Step] | None:
        """The selections, reshapes and permutations that make the tensor of its base; None where the batch is not its first dimension."""
        if not self.is_batch_first():
            return None
        wanted = [atom for dim in self.dims[1:] for atom in dim]
        steps: list[Step] = [("index_select", {"axis": k, "index": list(at)}) for k, at in enumerate(self.index, 1) if at is not None]
        inner = sorted(wanted, key=lambda atom: (atom.axis, -atom.stride))
        held = list(self.restricted)
        if inner != wanted:
            steps += [("reshape", {"shape": [a.size for a in inner]})] if held != [a.size for a in inner] else []
            steps.append(("permute", {"dims": [0, *(1 + inner.index(atom) for atom in wanted)]}))
            held = [a.size for a in wanted]
        sizes = [math.prod(a.size for a in dim) for dim in self.dims[1:]]
        return steps + ([("reshape", {"shape": sizes})] if held != sizes else [])

    def whole(self) -> Arrangement:
        """The base with the positions that are there, in its own order."""
        return replace(self, dims=((BATCH,), *(_whole(k, n) for k, n in enumerate(self.restricted, 1))))

    def with_batch_first(self) -> Arrangement:
        """The same atoms with the batch in front and the other dimensions behind it, without those that have size 1, except the last."""
        rest = [tuple(atom for atom in dim if not atom.is_batch) for dim in self.dims]
        return replace(self, dims=((BATCH,), *(dim for dim in rest[:-1] if dim), *rest[-1:]))


def base(shape: Sequence[int]) -> Arrangement:
    """A value as it is. `shape` is without the batch, of sizes of at least 1."""
    return Arrangement(tuple(shape), (None,) * len(shape), ((BATCH,), *(_whole(k, n) for k, n in enumerate(shape, 1))))


def _whole(axis: int, n: int) -> Dim:
    return (Atom(axis, 1, n),) if n != 1 else ()


def _extent(dim: Dim) -> Extent:
    size = math.prod(atom.size for atom in dim if not atom.is_batch)
    return (size,) if BATCH in dim else size


def _extent_or_none(dim: Dim) -> int | None:
    size = _extent(dim)
    return size if isinstance(size, int) else None


def _take(atoms: list[Atom], size: Extent) -> list[Atom] | None:
    """Take atoms from the front until they have this size; the last one may be split."""
    rest, batch = (size, False) if isinstance(size, int) else (size[0], True)
    taken: list[Atom] = []
    while rest > 1 or batch:
        if not atoms:
            return None
        atom = atoms.pop(0)
        if atom.is_batch and batch:
            batch = False
        elif atom.is_batch or rest == 1:
            return None
        elif rest % atom.size == 0:
            rest //= atom.size
        elif atom.size % rest == 0:
            inner = atom.size // rest
            atoms.insert(0, Atom(atom.axis, atom.stride, inner))
            atom, rest = Atom(atom.axis, atom.stride * inner, rest), 1
        else:
            return None
        taken.append(atom)
    return taken if rest == 1 else None


def _normal(atoms: Sequence[Atom]) -> Dim:
    """Without atoms of size 1, and with neighbours joined that are neighbours on their axis: one spelling for one arrangement."""
    found: list[Atom] = []
    for atom in atoms:
        if atom.size == 1 and not atom.is_batch:
            continue
        last = found[-1] if found else None
        if last is not None and not atom.is_batch and last.axis == atom.axis and last.stride == atom.stride * atom.size:
            found[-1] = Atom(atom.axis, atom.stride, last.size * atom.size)
        else:
            found.append(atom)
    return tuple(found)
