"""The algebra of layouts against numpy: random operations on random shapes, with several batch sizes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from lumpnet.lift.arrangement import BATCH, Arrangement, base

BATCHES = (1, 2, 3, 5)
Arrays = dict[int, np.ndarray]


def sizes(extents, batch: int) -> list[int]:
    return [n if isinstance(n, int) else n[0] * batch for n in extents]


def meaning(arranged: Arrangement, x: np.ndarray) -> np.ndarray:
    """By the definition: which base entry stands at each place."""
    for k, at in enumerate(arranged.index, 1):
        x = x if at is None else np.take(x, at, axis=k)
    extents = [[x.shape[0] if atom == BATCH else atom.size for atom in dim] for dim in arranged.dims]
    flat = [atom for dim in arranged.dims for atom in dim]
    digits = np.indices([n for dim in extents for n in dim])
    place = [np.zeros(digits.shape[1:], dtype=int) for _ in x.shape]
    for atom, digit in zip(flat, digits, strict=True):
        place[atom.axis] += atom.stride * digit
    return x[tuple(place)].reshape([math.prod(dim) for dim in extents])


def made(arranged: Arrangement, x: np.ndarray) -> np.ndarray:
    """By the steps that the graph would have."""
    for kind, attrs in arranged.as_batch_first() or []:
        match kind:
            case "index_select":
                x = np.take(x, attrs["index"], axis=attrs["axis"])
            case "reshape":
                x = x.reshape(len(x), *attrs["shape"])
            case "permute":
                x = x.transpose(attrs["dims"])
            case _:
                raise ValueError(kind)
    return x


def divisor(n: int, rng: np.random.Generator) -> int:
    return int(rng.choice([d for d in range(1, n + 1) if n % d == 0]))


def target(extents, rng: np.random.Generator) -> list:
    """Another shape of as many entries: neighbours joined, sizes split, ones put in."""
    out = list(extents)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(len(out)))
        size, batch = (out[at], False) if isinstance(out[at], int) else (out[at][0], True)
        if rng.random() < 0.5 and at + 1 < len(out):
            other, more = (out[at + 1], False) if isinstance(out[at + 1], int) else (out[at + 1][0], True)
            out[at : at + 2] = [(size * other,) if batch or more else size * other]
        else:
            d = divisor(size, rng)
            parts = [(d,), size // d] if batch and rng.random() < 0.5 else [d, (size // d,)] if batch else [d, size // d]
            out[at : at + 1] = parts
    return out


def moves(rng: np.random.Generator) -> Iterator[tuple[str, Arrangement, Arrangement | None, Arrays, Arrays]]:
    """(operation, before, after, arrays before, arrays after numpy did it) along a random path."""
    shape = tuple(int(rng.choice([1, 2, 3, 4, 6])) for _ in range(rng.integers(1, 4)))
    arranged, arrays = base(shape), {b: np.arange(b * math.prod(shape)).reshape(b, *shape) for b in BATCHES}
    for _ in range(8):
        rank = len(arranged.dims)
        at = int(rng.integers(rank))
        match rng.choice(["reshape", "permute", "unsqueeze", "squeeze", "select", "restrict"], p=[0.35, 0.25, 0.1, 0.1, 0.1, 0.1]):
            case "reshape":
                wanted = target(arranged.sizes, rng)
                name, after = f"reshape {wanted}", arranged.reshape(wanted)
                new = {b: x.reshape(sizes(wanted, b)) for b, x in arrays.items()}
            case "permute":
                order = rng.permutation(rank).tolist()
                name, after = f"permute {order}", arranged.permute(order)
                new = {b: x.transpose(order) for b, x in arrays.items()}
            case "unsqueeze":
                name, after, new = f"unsqueeze {at}", arranged.unsqueeze(at), {b: np.expand_dims(x, at) for b, x in arrays.items()}
            case "squeeze":
                if arranged.sizes[at] != 1:
                    continue
                name, after, new = f"squeeze {at}", arranged.squeeze([at]), {b: np.squeeze(x, at) for b, x in arrays.items()}
            case "select":
                if not isinstance(arranged.sizes[at], int) or rank < 2:
                    continue
                p = int(rng.integers(arranged.sizes[at]))
                name, after, new = f"select {at} {p}", arranged.select(at, p), {b: np.take(x, p, axis=at) for b, x in arrays.items()}
            case _:
                if not isinstance(arranged.sizes[at], int):
                    continue
                positions = rng.integers(arranged.sizes[at], size=rng.integers(1, 5)).tolist()
                if rng.random() < 0.5:
                    positions = list(range(positions[0], arranged.sizes[at]))
                name, after = f"restrict {at} {positions}", arranged.restrict(at, positions)
                new = {b: np.take(x, positions, axis=at) for b, x in arrays.items()}
        yield name, arranged, after, arrays, new
        if after is not None:
            arranged, arrays = after, new


def paths(rng: np.random.Generator, count: int = 400):
    for _ in range(count):
        yield from moves(rng)


def original(arranged: Arrangement, batch: int) -> np.ndarray:
    return np.arange(batch * math.prod(arranged.shape)).reshape(batch, *arranged.shape)


def test_operations_mean_what_numpy_does(rng):
    said = 0
    for name, before, after, _, arrays in paths(rng):
        if after is None:
            continue
        said += 1
        for batch, x in arrays.items():
            assert list(x.shape) == sizes(after.sizes, batch), (name, before)
            assert np.array_equal(meaning(after, original(after, batch)), x), (name, before, after)
    assert said > 1000


def test_steps_make_what_is_arranged(rng):
    made_some = 0
    for name, _, after, _, arrays in paths(rng):
        if after is None or not after.is_batch_first():
            assert after is None or after.as_batch_first() is None
            continue
        made_some += 1
        for batch, x in arrays.items():
            assert np.array_equal(made(after, original(after, batch)), x), (name, after)
    assert made_some > 300


def test_the_base_is_recognised_and_nothing_else(rng):
    """An arrangement that is the base has its entries; with distinct entries and more than one batch size, only the base has them."""
    seen = set()
    for _, _, after, _, arrays in paths(rng):
        if after is None:
            continue
        same = all(x.shape == original(after, b).shape and np.array_equal(x, original(after, b)) for b, x in arrays.items())
        assert after.is_base() == same, after
        assert not same or after.as_batch_first() == []
        seen.add(same)
    assert seen == {True, False}


def test_one_spelling_for_one_arrangement(rng):
    """Along a path that comes back to the same entries, the arrangement is the same."""
    spelled: dict[tuple, Arrangement] = {}
    for _, _, after, _, arrays in paths(rng):
        if after is not None:
            key = (after.shape, *((x.shape, x.tobytes()) for x in arrays.values()))
            index_free = all(at is None for at in after.index)
            assert not index_free or spelled.setdefault(key, after) == after


def test_a_map_on_the_last_dimension_is_a_map_on_the_base_axis(rng):
    found = 0
    for _, _, after, _, arrays in paths(rng):
        for k in range(1, len(after.shape) + 1) if after is not None else ():
            if not after.last_dim_is_axis(k):
                continue
            found += 1
            n = after.restricted[k - 1]
            weight = rng.integers(-3, 4, size=(int(rng.choice([1, 2, 6])), n))
            for batch, x in arrays.items():
                y = original(after, batch)
                for axis, at in enumerate(after.index, 1):
                    y = y if at is None else np.take(y, at, axis=axis)
                y = np.moveaxis(np.moveaxis(y, k, -1) @ weight.T, -1, k)
                assert np.array_equal(meaning(after.resized(k, len(weight)), y), x @ weight.T), after
    assert found > 200


def test_the_batch_in_front_keeps_the_entries(rng):
    for _, _, after, _, arrays in paths(rng, 100):
        if after is not None:
            front = after.with_batch_first()
            assert front.is_batch_first()
            for batch, x in arrays.items():
                assert sorted(made(front, original(front, batch)).reshape(-1).tolist()) == sorted(x.reshape(-1).tolist())


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [((6,), [(1,), 4]), ((6,), [(2,), 2]), ((2, 3), [(1,), 4, 2]), ((4,), [2, (2,)]), ((4,), [(1,), 2])],
)
def test_what_is_no_regrouping_of_atoms_is_not_said(shape, sizes):
    assert base(shape).reshape(sizes) is None


def test_selfattention_comes_back():
    """The path of torch's packed self-attention over (batch, tokens 5, features 8), with 2 heads."""
    x = base((5, 8)).permute([1, 0, 2])
    assert x.last_dim_is_axis(2)
    y = x.resized(2, 24)
    q = y.reshape([5, (1,), 3, 8]).unsqueeze(0).permute([3, 1, 2, 0, 4]).squeeze([3]).select(0, 1)
    heads = q.reshape([5, (2,), 4]).permute([1, 0, 2]).reshape([(1,), 2, 5, 4])
    assert heads.as_batch_first() == [
        ("index_select", {"axis": 2, "index": list(range(8, 16))}),
        ("reshape", {"shape": [5, 2, 4]}),
        ("permute", {"dims": [0, 2, 1, 3]}),
    ]
    assert heads.permute([0, 2, 1, 3]).reshape([(1,), 5, 8]).as_batch_first() == [("index_select", {"axis": 2, "index": list(range(8, 16))})]
